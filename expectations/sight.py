"""Sight: what the SQL of a promise reads: frames alone, through functions that say the same of the same rows."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import duckdb

from schemas.frame import FRAMES

_QUERY = {
    "SELECT_NODE", "SET_OPERATION_NODE", "BASE_TABLE", "SUBQUERY", "JOIN", "EMPTY", "EXPRESSION_LIST",
    "ORDER_DEFAULT", "ASCENDING", "DESCENDING",
}  # fmt: skip
_QUERY_PARTS = ("_MODIFIER", "_TYPE_INFO")
# DuckDB calls these consistent; yet they tell of the clock, the run or the machine, or draw a sample
_NOT_ALIKE = {"age", "current_localtime", "current_localtimestamp", "current_setting", "getvariable", "reservoir_quantile"}  # fmt: skip
# each may repeat what it is given: nested ones grow by powers, before DuckDB can be interrupted
_MACROS = 8
_ALIKE = """
    select function_name, list(distinct macro_definition) filter (where macro_definition is not null)
    from duckdb_functions()
    group by function_name
    having bool_and(function_type in ('scalar', 'aggregate', 'macro') and coalesce(stability, 'CONSISTENT') = 'CONSISTENT')
"""


def beyond(frames: duckdb.DuckDBPyConnection, query: str) -> str | None:
    """Return what a query reads that is no frame, or that may differ between two runs; None where there is nothing."""
    try:
        nodes = list(_nodes(frames, query))
    except RecursionError:
        return "an expression nested that deeply"
    if sum(bool(_functions().get(node.get("function_name", "").lower())) for node in nodes) > _MACROS:
        return f"more than {_MACROS} calls of macros of DuckDB's, as `nullif`"
    return next((found for node in nodes if (found := _beyond(frames, node))), None)


def has_query(frames: duckdb.DuckDBPyConnection, query: str) -> bool:
    """Return whether a query holds another one."""
    return any(node.get("class") == "SUBQUERY" for node in _nodes(frames, query))


def _nodes(frames: duckdb.DuckDBPyConnection, query: str) -> Iterator[dict[str, Any]]:
    """Yield every part of a query as DuckDB parses it; raise ParserException where it does not."""
    quoted = query.replace("'", "''")
    parsed = json.loads(frames.sql(f"select json_serialize_sql('{quoted}')").fetchone()[0])
    if parsed["error"]:
        raise duckdb.ParserException(parsed["error_message"])
    waiting = list(parsed["statements"])
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _beyond(frames: duckdb.DuckDBPyConnection, node: dict[str, Any]) -> str | None:
    """Return what one part of a query reads that it may not; what is not known to be harmless may not be."""
    kind = node.get("type")
    if node.get("sample") or node.get("cte_map", {}).get("map"):
        return "a sample" if node.get("sample") else "`with`"
    if kind == "BASE_TABLE":
        return None if _is_frame(node) else f"the table {node['table_name']!r}"
    if "function_name" in node:
        name = node["function_name"].lower()
        return None if _is_alike(frames, name) else f"the function {name!r}"
    if kind == "COLUMN_REF" and len(node["column_names"]) == 1:
        return _function_of_no_column(frames, node["column_names"][0])
    if isinstance(kind, str) and "class" not in node and kind not in _QUERY and not kind.endswith(_QUERY_PARTS):
        return kind.replace("_", " ").lower()
    return None


def _is_frame(node: dict[str, Any]) -> bool:
    """Return whether a table is a frame, named in full: what has no schema may be any file or table of the run."""
    is_in_full = node["schema_name"].lower() == "frame" and not node["catalog_name"]
    return is_in_full and node["table_name"].lower() in FRAMES


def _is_alike(frames: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Return whether a function says the same of the same values in every run; a macro is what it is defined as."""
    if name in _NOT_ALIKE or name not in _functions():
        return False
    return all(beyond(frames, f"select {definition}") is None for definition in _functions()[name] or ())


def _function_of_no_column(frames: duckdb.DuckDBPyConnection, name: str) -> str | None:
    """Return a name that means something without any table, as `current_date` does: it is a function's, not a column's."""
    quoted = name.replace('"', '""')
    try:
        frames.sql(f'select "{quoted}"')
    except duckdb.Error:
        return None
    return f"the function {name!r}"


@cache
def _functions() -> dict[str, list[str] | None]:
    """Return the functions that read nothing but what they are given, with what macros among them are defined as."""
    with duckdb.connect() as connection:
        return dict(connection.sql(_ALIKE).fetchall())
