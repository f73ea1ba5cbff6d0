"""How well the embedded model labels the demo: against people's labels that were held back from it."""

import csv
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

DEMO = Path(__file__).resolve().parent.parent / "curations" / "restaurant_reviews"
NIGHT = "2026-11-19"
QUERY = """
    select document.source_id, model.annotator_id, model.label
    from annotations as model
    join documents as document on document.item_id = model.item_id
    where model.annotator_kind = 'llm'
"""


def figures() -> list[str]:
    """Return lines of accuracy by annotator: on documents no label of which a run has seen, and on all."""
    with tempfile.TemporaryDirectory() as folder:
        demo, home = Path(folder) / DEMO.name, Path(folder) / "home"
        shutil.copytree(DEMO, demo, ignore=shutil.ignore_patterns("releases"))
        _assay("run", str(demo), "--as-of", NIGHT, "--home", str(home))
        rows = _assay("sql", QUERY, str(demo), "--home", str(home))["rows"]
    given = [row for file in sorted((DEMO / "labels").glob("*.csv")) for row in _table(file)]
    held = _table(DEMO / "held_back" / "labels.csv")
    seen = {row["item_id"] for row in given}
    whole = majority(given + held)
    unseen = {item: label for item, label in whole.items() if item not in seen}
    lines = []
    for name, reference in (("never labelled in a run", unseen), ("all", whole)):
        commonest, count = Counter(reference.values()).most_common(1)[0]
        lines.append(
            f"demo, {name}: {len(reference)} pairs with a majority; always {commonest!r} {count / len(reference):.3f}"
        )
        for annotator in sorted({row[1] for row in rows}):
            said = {item: label for item, who, label in rows if who == annotator}
            right = sum(said[item] == label for item, label in reference.items())
            lines.append(f"  {annotator:<10} {right / len(reference):.3f}")
    return lines


def majority(rows: list[dict[str, str]]) -> dict[str, str]:
    """Return the label most people gave each document; ties have none."""
    votes: dict[str, Counter] = {}
    for row in rows:
        votes.setdefault(row["item_id"], Counter())[row["label"]] += 1
    ranked = {item: counts.most_common(2) for item, counts in votes.items()}
    return {item: top[0][0] for item, top in ranked.items() if len(top) == 1 or top[0][1] > top[1][1]}


def _table(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _assay(*arguments: str) -> dict:
    command = [sys.executable, "-m", "flows", *arguments, "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
