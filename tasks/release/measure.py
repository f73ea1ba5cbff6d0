"""Measures: each frame is reduced in one scan to a row of figures, one per promise, that the gate judges."""

from math import isfinite
from typing import Any

import duckdb
import pyarrow as pa

from schemas.frame import at_most
from schemas.promise import ROW_COUNT, Failing, Promise, Suite
from schemas.row import columns

DIGITS = 9  # of a measure; what comes after depends on the machine
SCAN_SECONDS = 600.0  # of a frame; what takes longer could not be judged
Measures = dict[str, dict[str, float | None]]


def measures(connection: duckdb.DuckDBPyConnection, suites: list[Suite]) -> Measures:
    """Return {suite: {promise: its measure, row count: that of its frame}}; what cannot be measured is left out.

    Suites of one frame share a scan of it.
    """
    frames = list(dict.fromkeys(suite.frame for suite in suites))
    found: Measures = {}
    for frame in frames:
        found |= _measured(connection, frame, [suite for suite in suites if suite.frame == frame])
    return {suite.suite: found[suite.suite] for suite in suites}


def _measured(connection: duckdb.DuckDBPyConnection, frame: str, suites: list[Suite]) -> Measures:
    asked = [(suite.suite, ROW_COUNT, "count(*)") for suite in suites[:1]]
    asked += [(suite.suite, promise.name, promise.reduced) for suite in suites for promise in suite.promises]
    values = _scan(connection, frame, [sql for _, _, sql in asked])
    if values is None:  # one of them raises: which one, only each by itself can tell
        alone = [_scan(connection, frame, [sql]) for _, _, sql in asked]
        told = [(suite, name, one[0]) for (suite, name, _), one in zip(asked, alone, strict=True) if one]
    else:
        told = [(suite, name, value) for (suite, name, _), value in zip(asked, values, strict=True)]
    found: Measures = {suite.suite: {} for suite in suites}
    for suite, name, value in told:
        for one in found if name == ROW_COUNT else (suite,):
            found[one][name] = round(value, DIGITS) if value is not None and isfinite(value) else None
    return found


def _scan(connection: duckdb.DuckDBPyConnection, frame: str, asked: list[str]) -> list[Any] | None:
    """Return the aggregates over a frame; None where one raises (what DuckDB says of it may quote a value) or hangs."""
    try:
        with at_most(SCAN_SECONDS, connection.interrupt):
            return list(connection.execute(f"select {', '.join(asked)} from frame.{frame}").fetchone())
    except duckdb.Error:
        return None


def failing(connection: duckdb.DuckDBPyConnection, suites: list[Suite], found: Measures) -> pa.Table:
    """Return one row per item and promise that it breaks, in the columns of schemas.promise.Failing."""
    parts = [
        part
        for suite in suites
        if suite.has_items
        for promise in suite.promises
        if found[suite.suite].get(promise.name) and (part := _failing(suite, promise))
    ]
    schema = columns(Failing)
    if not parts:
        return schema.empty_table()
    rows = connection.sql(" union all ".join(parts) + " order by all")
    return rows.to_arrow_table().cast(schema)


def _failing(suite: Suite, promise: Promise) -> str | None:
    items = promise.failing(f"frame.{suite.frame}")
    told = (f"{suite.suite}.{promise.name}", promise.severity, promise.policy, suite.frame)
    names = ("promise", "severity", "policy", "frame")
    columns = ", ".join(f"'{value}' as {name}" for value, name in zip(told, names, strict=True))
    return items and f"select distinct {columns}, item_id from ({items})"
