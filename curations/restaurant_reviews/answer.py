"""The people of the demo: up to three answer each item of the queue, with the labels that were held back."""

import csv
import gzip
import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
PEOPLE = 3  # who answer an item, so that no audit ends in a tie of two


def main(queue: str, answers: str) -> None:
    """Read the queue's file and write it again with answers."""
    held_back, ids = labels(), documents()
    with open(queue, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    given = [
        row | {"annotator_id": worker, "label": label}
        for row in rows
        for document in ids.get(key(row["text"], row["aspect"]), [])[:1]
        for worker, label in held_back.get(document, [])[:PEOPLE]
    ]
    with open(answers, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0] if rows else ["queue_id", "label", "annotator_id"])
        writer.writeheader()
        writer.writerows(given)
    answered = len({row["queue_id"] for row in given})
    print(f"people answered {answered} of {len(rows)} items, {len(given)} answers in all: {answers}")


def labels() -> dict[str, list[tuple[str, str]]]:
    """Return the held-back labels of each document, each with who gave it, by name."""
    found: dict[str, list[tuple[str, str]]] = {}
    with open(HERE / "held_back" / "labels.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["item_id"], []).append((row["worker"], row["label"]))
    return {document: sorted(given) for document, given in found.items()}


def documents() -> dict[tuple[str, str], list[str]]:
    """Return the ids of the documents that say the same of the same aspect."""
    found: dict[tuple[str, str], list[str]] = {}
    for place in sorted((HERE / "data").glob("*.jsonl.gz")):
        with gzip.open(place, "rt", encoding="utf-8") as file:
            for one in map(json.loads, file):
                found.setdefault(key(one["text"], one["aspect"]), []).append(one["id"])
    return found


def key(text: str, aspect: str) -> tuple[str, str]:
    """Return what an item is known by: its text as it is cleaned, without the apostrophe that csv may put before it."""
    return " ".join(text.split()).removeprefix("'"), aspect


if __name__ == "__main__":
    main(*sys.argv[1:])
