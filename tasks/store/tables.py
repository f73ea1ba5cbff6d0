"""Delta tables of one curation, written by insert-only merges and read through DuckDB."""

import random
import re
import time
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, Field, Schema
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from schemas.annotation import Annotation, Reply, Shot
from schemas.document import Document, Quarantined, SourceFile
from schemas.errors import RequestError
from schemas.item import Item, Neighbour
from schemas.release import LedgerEntry, RunEvent
from schemas.row import Row, columns
from schemas.split import Split

# Every table and the model of its rows; the first field is the key.
TABLES: dict[str, type[Row]] = {
    "file": SourceFile,
    "document": Document,
    "quarantine": Quarantined,
    "item": Item,
    "neighbour": Neighbour,
    "split": Split,
    "annotation": Annotation,
    "reply": Reply,
    "shot": Shot,
    "ledger": LedgerEntry,
    "run": RunEvent,
}
KEYS = {table: next(iter(model.model_fields)) for table, model in TABLES.items()}
MAX_ATTEMPTS = 100  # of a merge that other writers' commits overtake; each of theirs is progress, so few are needed
MAX_FILES = 64  # of a table: each costs every reader a look
_NO_FOLDER = re.compile(r"[%\\\x00-\x1f\x7f]")  # what the Delta library takes for something else in a path


class Store:
    """The facts of one curation, in a folder; every write is a merge that inserts what is not there."""

    def __init__(self, folder: Path) -> None:
        if _NO_FOLDER.search(str(folder)):
            raise RequestError(f"{str(folder)!r}: the path of a store may hold no %, backslash or control character")
        self.folder = folder

    def merge(self, table: str, rows: list[dict[str, Any]] | pl.DataFrame) -> int:
        """Return how many rows were new; a row whose key is there already changes nothing."""
        frame = arrow(TABLES[table], rows)
        if not frame.num_rows:
            return 0
        for _ in range(MAX_ATTEMPTS - 1):
            try:
                return self._merged(table, frame)
            except CommitFailedError:  # another writer came first: look again at what is there
                time.sleep(random.uniform(0.0, 0.05))
        return self._merged(table, frame)

    def _merged(self, table: str, frame: pa.Table) -> int:
        key = KEYS[table]
        merge = self._open_or_create(table).merge(
            frame, predicate=f"t.{key} = s.{key}", source_alias="s", target_alias="t"
        )
        return merge.when_not_matched_insert_all().execute()["num_target_rows_inserted"]

    def tidy(self) -> None:
        """Put the many small files that nights of merges leave into few; rows stay, and readers keep their files a week."""
        for table in TABLES:
            if len(self._files(table)) > MAX_FILES:
                delta = DeltaTable(self._path(table))
                with suppress(CommitFailedError):  # a writer was faster: the next run tidies
                    delta.optimize.compact()
                    delta.vacuum(dry_run=False)

    def connect(self, as_of: date | None = None) -> duckdb.DuckDBPyConnection:
        """Return a DuckDB connection with one view per table, as a variable `as_of` for queries, and no way out."""
        connection = duckdb.connect(
            config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        )
        connection.execute("set timezone = 'UTC'; set enable_progress_bar = false")
        connection.execute("set variable as_of = $as_of", {"as_of": as_of or date.max})
        for table in TABLES:
            self._view(connection, table)
        return connection

    def _view(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        files = self._files(table)
        if files:
            names = ", ".join("'" + name.replace("'", "''") + "'" for name in files)
            connection.execute(f"create view {table} as select * from read_parquet([{names}])")
        else:
            connection.register(f"{table}_empty", columns(TABLES[table]).empty_table())
            connection.execute(f"create view {table} as select * from {table}_empty")

    def _files(self, table: str) -> list[str]:
        try:
            added = DeltaTable(self._path(table)).get_add_actions().column("path").to_pylist()
        except TableNotFoundError:
            return []
        # not the library's own addresses of them, in which a space is %20
        return sorted(str(self.folder / table / name) for name in added)

    def _open_or_create(self, table: str) -> DeltaTable:
        try:
            return DeltaTable(self._path(table))
        except TableNotFoundError:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return DeltaTable.create(
                self._path(table),
                schema=Schema([_field(field) for field in columns(TABLES[table])]),
                mode="ignore",
                # statistics in the log would copy the smallest and greatest text out of erasure's reach
                configuration={"delta.dataSkippingStatsColumns": KEYS[table]},
            )

    def _path(self, table: str) -> str:
        return str(self.folder / table)


def arrow(model: type[Row], rows: list[dict[str, Any]] | pl.DataFrame) -> pa.Table:
    """Return rows as an Arrow table in the model's columns, one row per key, the first one given."""
    schema = columns(model)
    if isinstance(rows, pl.DataFrame):
        table = rows.select(schema.names).to_arrow().cast(schema)
    else:
        table = pa.Table.from_pylist(rows, schema=schema)
    keys = table.column(0).to_pylist()
    first = {key: position for position, key in reversed(list(enumerate(keys)))}
    return table if len(first) == len(keys) else table.take(sorted(first.values()))


def _field(field: pa.Field) -> Field:
    return Field.from_arrow(field)
