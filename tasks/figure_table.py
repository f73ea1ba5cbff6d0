"""Figures of annotators, and of pairs of them, as tables that can be written to a file."""

from types import UnionType
from typing import Any, get_args, get_type_hints

import duckdb

from tasks.agreement import score
from tasks.sql import keep, relation
from tasks.table_file import relation_of

RANKED = ("ordinal", "interval", "ratio")
TYPES = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN", list[list[float]]: "DOUBLE[][]"}
FIGURE = {"": "DOUBLE", "_low": "DOUBLE", "_high": "DOUBLE", "_reason": "VARCHAR"}


def scorecard_table(
    connection: duckdb.DuckDBPyConnection, labels: list[str] | None, kind: str
) -> duckdb.DuckDBPyRelation:
    """Return one row per annotator of `vote`: quality, and whether one guesses, drifts or copies."""
    from tasks.scorecard import Scorecard, scorecards  # with SciPy, which takes a while to import

    return relation_of(connection, scorecards(connection, labels, kind), types_of(Scorecard))


def pair_table(connection: duckdb.DuckDBPyConnection, labels: list[str] | None, metric: str) -> duckdb.DuckDBPyRelation:
    """Return one row per pair of annotators of `vote`: shared items, and each figure with its interval."""
    from tasks.agreement.pairs import pairs

    if labels is None:
        used = [label for label, _ in relation(connection, "label_code").fetchall()]
        labels = sorted(used, key=score) if metric in RANKED else used
    keep(connection, "repeated_vote")  # of everybody: what was counted before may be people's alone
    found = pairs(connection, labels, metric)
    figures = [name for name, value in found[0].items() if isinstance(value, dict)] if found else ["percent"]
    types = {"annotator_a": "VARCHAR", "annotator_b": "VARCHAR", "items": "BIGINT"}
    types |= {name + end: type for name in figures for end, type in FIGURE.items()}
    return relation_of(connection, (_flat(pair) for pair in found), types)


def types_of(row: type) -> dict[str, str]:
    """Return the columns of a kind of row with their types in DuckDB."""
    hints = get_type_hints(row).items()
    return {name: TYPES[get_args(hint)[0] if isinstance(hint, UnionType) else hint] for name, hint in hints}


def _flat(pair: dict[str, Any]) -> dict[str, Any]:
    """Return a pair with the value and the ends of each figure as columns of their own."""
    row = {name: value for name, value in pair.items() if not isinstance(value, dict)}
    for name, figure in pair.items():
        if isinstance(figure, dict):
            row |= {name: figure["value"]} | {f"{name}_{part}": figure[part] for part in ("low", "high", "reason")}
    return row
