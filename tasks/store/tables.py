"""Delta tables of one curation, written by insert-only merges and read through DuckDB."""

import os
import random
import re
import time
import uuid
from contextlib import suppress
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Field, Schema
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from deltalake.transaction import AddAction

from schemas.annotation import Annotation, BatchEvent, Capability, LostCall, Reply, Shot, Unanswered
from schemas.certificate import Candidate, Draw, Epoch
from schemas.document import Document, Quarantined, SourceFile
from schemas.erasure import ErasureEntry
from schemas.errors import RequestError
from schemas.item import Item, Neighbour
from schemas.release import LedgerEntry, RunEvent
from schemas.review import Handout
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
    "lost_call": LostCall,
    "unanswered": Unanswered,
    "capability": Capability,
    "batch": BatchEvent,
    "shot": Shot,
    "epoch": Epoch,
    "candidate": Candidate,
    "draw": Draw,
    "handout": Handout,
    "erasure": ErasureEntry,
    "ledger": LedgerEntry,
    "run": RunEvent,
}
KEYS = {table: next(iter(model.model_fields)) for table, model in TABLES.items()}
MAX_ATTEMPTS = 100  # of a merge that other writers' commits overtake; each of theirs is progress, so few are needed
MAX_FILES = 64  # of a table: each costs every reader a look
_SQL_TYPES = {
    pa.string(): "varchar",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us", tz="UTC"): "timestamptz",
}
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
        """Return how many rows were new; raise CommitFailedError where another writer came between look and write.

        Delta's own MERGE reads every column of all the rows there are. Only the keys matter, and a commit that must be
        the very next after the version they were read from is as safe: of two writers one looks again.
        """
        delta = self._open_or_create(table)
        fresh = _fresh(frame, KEYS[table], _names(self.folder, table, delta))
        if fresh.num_rows:
            self._append(delta, table, fresh)
        return fresh.num_rows

    def _append(self, delta: DeltaTable, table: str, rows: pa.Table) -> None:
        name = f"{uuid.uuid4()}.parquet"
        file = self.folder / table / name
        # no statistics of columns: they would copy the smallest and greatest text out of erasure's reach
        try:
            file.touch(mode=0o600)
            pq.write_table(rows, file, compression="zstd", write_statistics=False)
            _wait_for(file)  # else a loss of power could leave a commit that names rows which never were written
            size, now = file.stat().st_size, time.time_ns() // 1_000_000
            added = AddAction(name, size, {}, now, True, f'{{"numRecords":{rows.num_rows}}}')
            only_next = CommitProperties(max_commit_retries=0)
            delta.create_write_transaction([added], "append", delta.schema(), commit_properties=only_next)
        except BaseException:  # whatever stops it, no row stays where no table knows of it
            file.unlink(missing_ok=True)
            raise
        _wait_for(*sorted((file.parent / "_delta_log").glob("*.json"))[-1:])

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return all rows of a small table: to show every table to a connection takes fifty times as long."""
        return list(_all_rows(self.folder, table, _commit(self.folder / table)))

    def tidy(self) -> None:
        """Put the many small files that nights of merges leave into few; rows stay, and readers keep their files a week."""
        for table in TABLES:
            if len(self._files(table)) > MAX_FILES:
                delta = DeltaTable(self._path(table))
                with suppress(CommitFailedError):  # a writer was faster: the next run tidies
                    delta.optimize.compact()
                    delta.vacuum(dry_run=False, full=True)  # what killed writers left, too
                    delta.create_checkpoint()

    def connect(self, as_of: date | None = None) -> duckdb.DuckDBPyConnection:
        """Return a DuckDB connection with one view per table, as a variable `as_of` for queries, and no way out."""
        connection = duckdb.connect(
            config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        )
        connection.execute("set timezone = 'UTC'; set enable_progress_bar = false")
        connection.execute(f"set variable as_of = date '{as_of or date.max}'")  # binding it would import pandas
        for table in TABLES:
            self._view(connection, table)
        return connection

    def _view(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        connection.execute(f"create view {table} as {_rows(self.folder, table, _commit(self.folder / table))}")

    def _files(self, table: str) -> list[str]:
        return _files(self.folder, table) if _commit(self.folder / table) else []

    def _open_or_create(self, table: str) -> DeltaTable:
        schema = Schema([_field(field) for field in columns(TABLES[table])])
        try:
            delta = DeltaTable(self._path(table))
        except TableNotFoundError:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            statistics = {
                "delta.dataSkippingStatsColumns": KEYS[table]
            }  # where the library writes files: when it tidies
            return DeltaTable.create(self._path(table), schema=schema, mode="ignore", configuration=statistics)
        known = {field.name for field in delta.schema().fields}
        if added := [field for field in schema.fields if field.name not in known]:
            delta.alter.add_columns(added)  # the store was made by an earlier version
            delta = DeltaTable(self._path(table))
        return delta

    def _path(self, table: str) -> str:
        return str(self.folder / table)


@lru_cache(maxsize=16)
def _all_rows(folder: Path, table: str, commit: tuple[str, int, int] | None) -> tuple[dict[str, Any], ...]:
    empty = dict.fromkeys(TABLES[table].model_fields)  # files of an earlier version lack some
    files = _files(folder, table) if commit else []
    return tuple(empty | row for file in files for row in pq.ParquetFile(file).read().to_pylist())


@lru_cache(maxsize=4096)
def _rows(folder: Path, table: str, commit: tuple[str, int, int] | None) -> str:
    """Return a query of a table's rows as of its latest commit: to open it anew each time takes ten times as long."""
    files = _files(folder, table) if commit else []
    if not files:
        return _no_rows(table)
    rows = f"select * from {_read(files)}"
    there = {field for file in files for field in pq.read_schema(file).names}
    if set(columns(TABLES[table]).names) - there:
        rows += f" union all by name {_no_rows(table)}"  # files of an earlier version lack some
    return rows


def _commit(place: Path) -> tuple[str, int, int] | None:
    """Return name, time and number of the file of a table's latest commit; None where there is no table."""
    try:
        latest = max((one for one in os.scandir(place / "_delta_log") if one.name.endswith(".json")),
                     key=lambda one: one.name, default=None)  # fmt: skip
    except FileNotFoundError:
        return None
    if latest is None:
        return None
    seen = latest.stat()
    return latest.name, seen.st_mtime_ns, seen.st_ino


def _files(folder: Path, table: str) -> list[str]:
    return _names(folder, table, DeltaTable(str(folder / table)))


def _names(folder: Path, table: str, delta: DeltaTable) -> list[str]:
    # not the library's own addresses of them, in which a space is %20
    added = delta.get_add_actions().column("path").to_pylist()
    return sorted(str(folder / table / name) for name in added)


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


def _fresh(frame: pa.Table, key: str, files: list[str]) -> pa.Table:
    """Return the rows whose key is in none of the files."""
    given, known = frame[key].combine_chunks(), []
    for file in files:  # one by one: reading them as a dataset would import pandas
        there = pq.ParquetFile(file).read([key])[key]
        known.append(there.filter(pc.is_in(there, value_set=given)).combine_chunks())
    if not known:
        return frame
    return frame.filter(pc.invert(pc.is_in(frame[key], value_set=pa.concat_arrays(known))))


def _no_rows(table: str) -> str:
    """Return a query of a table's columns and none of its rows; registering an empty one would import pandas."""
    names = ", ".join(f"null::{_sql_type(field.type)} as {field.name}" for field in columns(TABLES[table]))
    return f"select {names} where false"


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_sql_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        return f"struct({', '.join(f'{field.name} {_sql_type(field.type)}' for field in kind)})"
    return _SQL_TYPES[kind]


def _read(files: list[str]) -> str:
    names = ", ".join("'" + name.replace("'", "''") + "'" for name in files)
    return f"read_parquet([{names}], union_by_name = true)"


def _wait_for(*files: Path) -> None:
    """Wait until the disk has files, and the list of what is in their folder."""
    for place in [*files, *{file.parent for file in files}]:
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _field(field: pa.Field) -> Field:
    return Field.from_arrow(field)
