"""A table of labels, in any file, becomes one label per item and the probability of each."""

import math
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np

from flows.measure import DEFAULT_TIME, opened, read_votes, replaced, write, write_lines, written_format
from tasks.posterior import Posterior, labels_in_use, posterior, votes

DIGITS = 12  # of every probability written
COLUMNS = {
    "item_id": "VARCHAR",
    "label": "VARCHAR",
    "posterior": "MAP(VARCHAR, DOUBLE)",
    "entropy_nats": "DOUBLE",
    "annotators": "INTEGER",
    "is_tie": "BOOLEAN",
}


def aggregate(
    path: str | Path,
    method: str,
    out: str | Path,
    item: str = "item_id",
    annotator: str = "annotator_id",
    label: str = "label",
    time: str | None = DEFAULT_TIME,
) -> dict[str, Any]:
    """Return what became of a file of labels, ready for JSON; write one row per item to `out`."""
    form = written_format(out)  # refuse before the work, not after
    connection = opened()
    counts = read_votes(connection, path, item, annotator, label, time)
    labels = labels_in_use(connection)
    found = posterior(votes(connection), labels, method)
    if form == "jsonl":
        with replaced(Path(out)) as temporary:
            write_lines(temporary, Path(out), rows(found))
    else:
        _write(connection, found, Path(out), form)
    return counts | _summary(found, method)


def rows(found: Posterior) -> Iterator[dict[str, Any]]:
    """Yield one row per item, as `COLUMNS` names them; no label where two are equally probable."""
    columns = (found.item_ids, found.winner, np.round(found.matrix, DIGITS), np.round(found.entropy_nats, DIGITS))
    for item_id, winner, matrix, entropy, annotations, is_tie in zip(
        *(column.tolist() for column in (*columns, found.annotations, found.is_tie)), strict=True
    ):
        yield {
            "item_id": item_id,
            "label": None if winner < 0 else found.labels[winner],
            "posterior": dict(zip(found.labels, matrix, strict=True)),
            "entropy_nats": entropy,
            "annotators": annotations,
            "is_tie": is_tie,
        }


def story(result: dict[str, Any]) -> str:
    """Return what became of the labels as a person reads it on a terminal."""
    width = max([5, *map(len, result["labels"])])
    votes = f"{result['annotations']:,} labels of {result['annotators']:,} annotators"
    lines = [
        f"{result['items']:,} items settled by {result['method']} from {votes}",
        f"  {result['ties']:,} items have two labels with most votes; {result['unlabelled']:,} items get no label",
    ]
    if not result["is_converged"]:
        lines.append(f"  still moving after {result['rounds']} rounds: take the probabilities with care")
    lines += ["", f"{'label':<{width}}        items"]
    lines += [f"{name:<{width}}  {n:11,}" for name, n in result["labels"].items()]
    return "\n".join(lines)


def _write(connection: duckdb.DuckDBPyConnection, found: Posterior, out: Path, form: str) -> None:
    # By way of JSON lines: handing values to DuckDB makes it import pandas, which takes longer.
    types = COLUMNS | ({"posterior": "VARCHAR"} if form == "csv" else {})
    with TemporaryDirectory() as folder:
        lines = Path(folder) / "rows.jsonl"
        write_lines(lines, lines, rows(found))
        write(connection.read_json(str(lines), format="newline_delimited", columns=types), out)


def _summary(found: Posterior, method: str) -> dict[str, Any]:
    won = np.bincount(found.winner[found.winner >= 0], minlength=len(found.labels)).tolist()
    people = (found.annotator_ids, found.labels_given, np.round(found.accuracy, DIGITS))
    return {
        "method": method,
        "items": len(found.item_ids),
        "annotations": int(found.annotations.sum()),
        "annotators": len(found.annotator_ids),
        "labels": dict(zip(found.labels, won, strict=True)),
        "ties": int(found.is_tie.sum()),
        "unlabelled": int((found.winner < 0).sum()),
        "entropy": {"mean_nats": round(math.fsum(found.entropy_nats) / len(found.item_ids), DIGITS) if won else None},
        "rounds": found.rounds,
        "is_converged": found.is_converged,
        "by_annotator": [
            {"annotator_id": name, "annotations": given, "accuracy": accuracy}
            for name, given, accuracy in zip(*(column.tolist() for column in people), strict=True)
        ],
    }
