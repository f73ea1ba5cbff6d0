"""Two releases compared row by row, by ids: what came, what went, what is judged otherwise; never a text."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from schemas.errors import RequestError
from tasks.label_table import opened
from tasks.sql import keep, relation
from tasks.table_file import literal, write

CHANGES = ("added", "removed", "moved", "relabelled", "changed", "unchanged")
FIRST = 20  # ids of each kind that are named
_COLUMNS = "item_id, change, split_before, split_after, label_before, label_after, status_before, status_after"
_SPLITS = ("train", "validation", "test")
Counts = list[dict[str, Any]]


@contextmanager
def compared(older: Path, newer: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection with the relation `change` of two releases' rows; raise RequestError where they cannot be read."""
    with opened() as connection:
        connection.execute("set enable_progress_bar = false")
        try:
            for name, folder in (("older", older), ("newer", newer)):
                files = ", ".join(literal(str(folder / "data" / f"{split}.parquet")) for split in _SPLITS)
                connection.execute(f"create view {name} as from read_parquet([{files}])")
            keep(connection, "change")
        except duckdb.Error:  # its words may hold a text
            raise RequestError(f"the tables of {older} and {newer} cannot be compared: `assay verify` says what is wrong") from None  # fmt: skip
        yield connection


def counts(connection: duckdb.DuckDBPyConnection) -> Counts:
    """Return how many items changed how, from which split, label and status to which."""
    found = relation(connection, "change_count")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def first(connection: duckdb.DuckDBPyConnection, change: str) -> list[str]:
    """Return the first ids of the items that changed so."""
    query = f"select item_id from change where change = {literal(change)} order by item_id limit {FIRST}"
    return [item for (item,) in connection.sql(query).fetchall()]


def write_changes(connection: duckdb.DuckDBPyConnection, out: Path) -> None:
    """Write a row for each item that changed, by its id."""
    write(
        connection, connection.sql(f"select {_COLUMNS} from change where change <> 'unchanged' order by item_id"), out
    )


def by(column: str, rows: Counts) -> dict[str, dict[str, int]]:
    """Return of each split, label or status how many items it had and has, came to it and left it."""
    found: dict[str, Counter] = {}
    for row in rows:
        before, after, items = row[f"{column}_before"], row[f"{column}_after"], row["items"]
        for value, names in ((before, ("before", "left")), (after, ("after", "came"))):
            if value is not None:
                cell = found.setdefault(value, Counter(before=0, after=0, came=0, left=0))
                cell[names[0]] += items
                cell[names[1]] += items * (before != after)
    return {value: dict(found[value]) for value in sorted(found)}


def turned(rows: Counts) -> list[dict[str, Any]]:
    """Return which labels became which, most items first."""
    pairs: Counter = Counter()
    for row in rows:
        if row["change"] not in ("added", "removed") and row["label_before"] != row["label_after"]:
            pairs[row["label_before"], row["label_after"]] += row["items"]
    ranked = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    return [{"before": one, "after": other, "items": items} for (one, other), items in ranked]


def total(rows: Counts, key: str, value: Any = True) -> int:
    """Return of how many items something is so."""
    return sum(row["items"] for row in rows if row[key] == value)


def mean_entropy(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, float | None]]:
    """Return the mean entropy of people's votes over the examples of each release, in nats, rounded to 9 digits."""
    query = "select round(avg(entropy_nats), 9) from {}"
    return {
        name: {"mean_entropy_nats": connection.sql(query.format(name)).fetchone()[0]} for name in ("older", "newer")
    }
