"""The people of the demo: they answer the queue with the labels that were held back, one each; the rest they leave empty."""

import csv
import gzip
import json
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(queue: str, answers: str) -> None:
    """Read the queue's file and write it again with answers."""
    held_back, ids = labels(), documents()
    with open(queue, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for document in ids.get(key(row["text"], row["aspect"]), []):
            if document in held_back and not row["label"]:
                row["annotator_id"], row["label"] = held_back[document]
    with open(answers, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0] if rows else ["queue_id", "label", "annotator_id"])
        writer.writeheader()
        writer.writerows(rows)
    print(f"people answered {sum(bool(row['label']) for row in rows)} of {len(rows)} items: {answers}")


def labels() -> dict[str, tuple[str, str]]:
    """Return one held-back label of each document, and who gave it: the first by name."""
    with open(HERE / "held_back" / "labels.csv", encoding="utf-8", newline="") as file:
        rows = sorted((row["item_id"], row["worker"], row["label"]) for row in csv.DictReader(file))
    return {document: (worker, label) for document, worker, label in reversed(rows)}


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
