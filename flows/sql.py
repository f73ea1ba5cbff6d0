"""DuckDB over the tables of the store and of the latest release, read-only."""

from pathlib import Path
from typing import Any

import duckdb

from schemas.errors import RequestError
from schemas.run import Run, started
from tasks.draft import LATEST
from tasks.known import known
from tasks.release.folder import current
from tasks.release.shapes import SPLITS
from tasks.sql import query

VIEWS = (
    "documents", "items", "annotations", "consensus", "queue", "examples", "failing", "quarantine", "replies", "spend", "runs",
)  # fmt: skip
_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}


def sql(statement: str, curation: str, home: str | None) -> dict[str, Any]:
    """Return {columns, rows} of a query over documents, items, annotations, consensus, queue, examples, failing, quarantine, replies, …"""
    connection = opened(started(curation, labels="now", home=home))
    try:
        kinds = {one.type for one in connection.extract_statements(statement)}
        if not kinds <= _READING:
            raise RequestError("DuckDB: only queries are answered here, such as select, describe, summarize, explain")
        found = connection.sql(statement)
    except duckdb.Error as error:
        raise RequestError(f"DuckDB: {error}") from None
    if found is None:
        return {"columns": [], "rows": []}
    return {"columns": found.columns, "rows": [[_plain(value) for value in row] for row in found.fetchall()]}


def opened(run: Run) -> duckdb.DuckDBPyConnection:
    """Return a connection that holds the views a user may query, and reads nothing but their files."""
    facts = known(run)
    for noun in LATEST:
        derived = run.store / "derived" / "latest" / f"{noun}.parquet"
        facts.execute(f"create view {noun}_draft as {_rows([derived] if derived.exists() else [], noun)}")
    latest = current(run.releases)
    files = [run.releases / latest / "data" / f"{split}.parquet" for split in SPLITS] if latest else []
    facts.execute(f"create view example_published as {_rows([file for file in files if file.exists()], 'example')}")
    facts.execute("create schema shown")
    for view in VIEWS:
        facts.execute(f"create view shown.{view} as {query(f'shown/{view}')}")
    # our views go on reading their files: what is locked is what a user's statement may name
    places = [str(run.store), str(run.releases)]
    facts.execute("set search_path = 'shown,main'")
    facts.execute(f"set allowed_directories = [{', '.join(_quoted(place) for place in places)}]")
    facts.execute("set enable_external_access = false; set lock_configuration = true")
    return facts


def _rows(files: list[Path], noun: str) -> str:
    from schemas.consensus import Consensus
    from schemas.example import Example
    from schemas.promise import Failing
    from schemas.review import QueueEntry
    from schemas.row import columns

    if files:
        return f"select * from read_parquet([{', '.join(_quoted(str(file)) for file in files)}])"
    models = {"consensus": Consensus, "queue": QueueEntry, "example": Example, "failing": Failing, "kept_out": Failing}
    names = columns(models[noun]).names
    return "select " + ", ".join(f"null as {name}" for name in names) + " where false"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)


def story(found: dict[str, Any]) -> str:
    """Return the rows as an aligned table."""
    cells = [found["columns"], *([_shown(value) for value in row] for row in found["rows"])]
    widths = [max(len(row[place]) for row in cells) for place in range(len(found["columns"]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([*lines[:1], "  ".join("─" * width for width in widths), *lines[1:]])


def _shown(value: Any) -> str:
    return "" if value is None else " ".join(str(value).split())[:80]
