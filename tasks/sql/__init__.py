"""Relations: one query per file, named for what it returns."""

from pathlib import Path

import duckdb

_HERE = Path(__file__).parent


def query(name: str) -> str:
    """Return the text of the query that makes the relation `name`."""
    return (_HERE / f"{name}.sql").read_text(encoding="utf-8")


def relation(connection: duckdb.DuckDBPyConnection, name: str, **parameters: object) -> duckdb.DuckDBPyRelation:
    """Return the relation `name`, its `$parameters` bound."""
    # DuckDB imports pandas when it first binds a parameter (0.8 s), so what must start fast binds none.
    return connection.sql(query(name), params=parameters or None)


def keep(
    connection: duckdb.DuckDBPyConnection, table: str, name: str | None = None, **parameters: object
) -> duckdb.DuckDBPyRelation:
    """Return the relation `name`, computed once and kept as a temporary table (of the same name, if no other)."""
    # Both names are written in our code, so nothing of a user's becomes SQL.
    connection.execute(f"create or replace temp table {table} as {query(name or table)}", parameters or None)
    return connection.table(table)
