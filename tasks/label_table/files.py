"""A file of rows as a relation: its columns as text, or in their own types where it is Parquet."""

import csv
import gzip
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import duckdb

from schemas.errors import RequestError, SourceRefused
from tasks.table_file import column, format_of, spill_folder

DELIMITERS = ",\t;|"
OURS = (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException)  # mistakes no file can make
EMPTY = "{} is empty: there is not even a line with the names of columns"
NO_OBJECT = "{} holds no object in JSON: one a line is expected"
NO_CHARACTER = "\x01"  # stands in no table, so that a line read with it as delimiter stays whole


class Table(NamedTuple):
    """A file that can be read."""

    path: Path
    """The file, as the user named it."""
    file: Path
    """The same file, unpacked where that must come first."""
    form: str
    """csv, jsonl or parquet."""
    rows: duckdb.DuckDBPyRelation
    """The rows, not read yet."""
    cells: dict[str, str]
    """Columns by their names in the file, as SQL has them."""
    types: dict[str, str]
    """Types of the columns, by their names in the file."""


def table(
    connection: duckdb.DuckDBPyConnection, path: Path, wanted: list[str], is_wide: bool = False, name: str = "line"
) -> Table:
    """Return a file's rows; the columns `wanted` tell a csv file's delimiter, and what is read of JSON lines.

    JSON lines are read once, into a table of that name: only then is it known which columns there are.
    """
    if os.path.isdir(path):
        raise RequestError(f"{path} is a folder: name a file in it")
    form, compression = format_of(path)
    if not os.path.isfile(path):  # unlike pathlib, also of a name too long to be one
        raise RequestError(f"there is no file {path}")
    if path.stat().st_size == 0:
        raise SourceRefused(EMPTY.format(path.name))
    if form == "csv":
        return _csv(connection, path, wanted)
    if form == "jsonl":
        return _jsonl(connection, path, wanted, is_wide, name)
    file = _unpacked(connection, path) if compression else path
    rows = connection.read_parquet(_literal(file))
    types = dict(zip(rows.columns, map(str, rows.types), strict=True))
    return Table(path, file, form, rows, {name: column(name) for name in types}, types)


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Raise what DuckDB says of a broken file in our words: its own quote the content."""
    path = Path(path)
    try:
        yield
    except (duckdb.OutOfMemoryException, MemoryError):
        raise RequestError(f"the memory is too small for {path.name}: raise --memory-limit, or leave it out") from None
    except OURS:
        raise
    except (duckdb.Error, gzip.BadGzipFile, EOFError, csv.Error) as error:
        raise SourceRefused(f"{path.name} cannot be read as {format_of(path)[0]}: {_fault(str(error))}") from None
    except PermissionError:
        raise RequestError(f"{path} may not be read: its permissions forbid it") from None


def _fault(said: str) -> str:
    """Return what is wrong with a file."""
    found = re.search(r"(?i)\bline:? (\d+)", said)
    where = f" at line {int(found[1]):,}" if found else ""
    if cells := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", said):
        return f"{where.removeprefix(' at ') or 'a line'} has {cells[2]} cells, the first line {cells[1]}"
    if re.search(r"(?i)utf-?8|unicode", said):
        return f"it is not in UTF-8{where}"
    if "quote" in said.split("Possible", 1)[0]:
        return f"a quote is not closed, or stands where none may{where}"
    return f"it is damaged{where}"


def _csv(connection: duckdb.DuckDBPyConnection, path: Path, wanted: list[str]) -> Table:
    """Return the rows of a csv file; its columns are numbered, so that no name can be in the way."""
    head = connection.read_csv(
        _literal(path), header=False, columns={"line": "VARCHAR"}, delimiter=NO_CHARACTER,
        quotechar="", escapechar="", auto_detect=False, parallel=False, strict_mode=False,
    ).limit(1).fetchall()  # fmt: skip
    if not head or not head[0][0]:
        raise SourceRefused(EMPTY.format(path.name))
    names, delimiter = _header(head[0][0], wanted)
    if twice := [name for name in names if names.count(name) > 1]:
        raise RequestError(f"{path.name} has two columns called {twice[0]!r}: name them apart")
    rows = connection.read_csv(
        _literal(path), header=False, skiprows=1, columns={f"c{n}": "VARCHAR" for n in range(len(names))},
        delimiter=delimiter, quotechar='"', escapechar='"', auto_detect=False, strict_mode=True,
    )  # fmt: skip
    cells = {name: f"c{n}" for n, name in enumerate(names)}
    return Table(path, path, "csv", rows, cells, dict.fromkeys(names, "VARCHAR"))


def _header(line: str, wanted: list[str]) -> tuple[list[str], str]:
    """Return the columns' names and the delimiter: the one that makes most of the columns wanted, else most columns."""
    lines = {mark: next(csv.reader([line], delimiter=mark), []) for mark in DELIMITERS}
    best = max(lines, key=lambda mark: (len(set(lines[mark]) & set(wanted)), len(lines[mark])))
    return lines[best], best


def _jsonl(
    connection: duckdb.DuckDBPyConnection, path: Path, wanted: list[str], is_wide: bool, table_name: str
) -> Table:
    """Return the rows of a file of JSON lines, read once; of a wide table all columns, else those wanted."""
    how = {"format": "newline_delimited", "records": "true"}
    try:
        seen = connection.read_json(_literal(path), maximum_depth=1, **how).columns
    except duckdb.Error as error:
        if _is_list(path):
            raise SourceRefused(f"{path.name} is one JSON list: jsonl holds one object a line") from None
        if isinstance(error, duckdb.BinderException):
            raise SourceRefused(NO_OBJECT.format(path.name)) from None
        raise
    names = list(dict.fromkeys([*wanted, *seen])) if is_wide else wanted
    cells = {name: f"c{n}" for n, name in enumerate(names)}
    rows = connection.read_json(_literal(path), columns=dict.fromkeys(names, "VARCHAR"), **how)
    chosen = ", ".join(f"{column(name)} as {cell}" for name, cell in cells.items())
    connection.execute(f"drop table if exists {table_name}")
    rows.project(chosen).create(table_name)
    # The first rows tell the columns, but one that only later ones have is there all the same.
    late = [name for name in names if name not in seen]
    held = connection.table(table_name).aggregate(", ".join(["count(*)", *(f"count({cells[name]})" for name in late)]))
    there = [*seen, *(name for name, count in zip(late, held.fetchone()[1:], strict=True) if count)]
    return Table(path, path, "jsonl", connection.table(table_name), cells, dict.fromkeys(there, "VARCHAR"))


def _is_list(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(100).lstrip().startswith(b"[")


def _unpacked(connection: duckdb.DuckDBPyConnection, path: Path) -> Path:
    """Return a Parquet file that was packed as a whole, unpacked beside what DuckDB spills."""
    whole = spill_folder(connection) / "table.parquet"
    with path.open("rb") as packed, whole.open("wb") as file:
        shutil.copyfileobj(_stream(packed, path.suffix), file)
    return whole


def _stream(packed, suffix):
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=packed)
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(packed), "zstd")


def _literal(path: Path) -> str:
    """Return a path as the name of a file, not a pattern of names."""
    return re.sub(r"([\[*?])", r"[\1]", str(path))
