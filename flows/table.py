"""A file of rows in any format: looked at once, read chunk by chunk, written chunk by chunk, never held whole."""

import csv
import gzip
import io
import json
import math
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import RequestError, SourceRefused
from tasks.table_file import COMPRESSIONS, FORMATS, replaced, written_format

MAX_LINE_BYTES = 1_000_000
MAX_ROWS = 2_048  # in memory at once, while a file is looked at
DELIMITERS = ",;\t|"
_TYPES = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
_FORMULA = re.compile(r"[-=+@\t\r]")
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")
_TO_QUOTE = re.compile(r'[\r\n"]')
csv.field_size_limit(MAX_LINE_BYTES)

Row = dict[str, Any]
Chunk = list[Row] | pa.RecordBatch
Write = Callable[[Chunk, list[Row]], None]


@dataclass
class Table:
    """A file of rows: its columns, with the types a Parquet file would give them, and how many rows it holds."""

    path: Path
    format: str
    delimiter: str = ","
    columns: dict[str, pa.DataType] = field(default_factory=dict)
    rows: int = 0

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Yield the rows in their order, at most so many at once; raise SourceRefused where one cannot be read."""
        with _readable(self.path) as stream:
            if self.format == "parquet":
                yield from pq.ParquetFile(stream).iter_batches(size)
                return
            rows = _objects(self, stream) if self.format == "jsonl" else _records(self, stream)
            while chunk := list(islice(rows, size)):
                yield chunk


def looked_at(path: Path, text: str) -> Table:
    """Return what a file holds, once all of it has been read; raise where it cannot be, or is of no known format.

    `text` names the column that is wanted: a csv file's delimiter is the one that makes it a column.
    """
    bare = path.with_suffix("") if path.suffix in COMPRESSIONS else path
    if bare.suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise RequestError(
            f"cannot tell the format of {path.name}: names end in {known}, then .gz or .zst if compressed"
        )
    if not path.is_file():
        raise RequestError(f"there is no file {path}")
    table = Table(path, FORMATS[bare.suffix])
    if table.format == "jsonl":
        for chunk in table.chunks(MAX_ROWS):
            table.rows += len(chunk)
            _note(table, chunk)
        table.columns = {name: pa.string() if kind == pa.null() else kind for name, kind in table.columns.items()}
        return table
    _name(table, text)
    table.rows = sum(len(chunk) for chunk in table.chunks(MAX_ROWS))
    return table


def _name(table: Table, text: str) -> None:
    """Find the columns of a csv or Parquet file, and the delimiter."""
    with _readable(table.path) as stream:
        if table.format == "parquet":
            schema = pq.ParquetFile(stream).schema_arrow
            names, types = schema.names, schema.types
        else:
            line = next(_lines(table, stream), "")
            headers = {mark: next(csv.reader([line], delimiter=mark), []) for mark in DELIMITERS}
            table.delimiter = next((mark for mark, names in headers.items() if text in names), ",")
            names = headers[table.delimiter]
            types = [pa.string()] * len(names)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RequestError(f"{table.path.name} has two columns called {twice!r}: name them apart")
    table.columns = dict(zip(names, types, strict=True))


def _note(table: Table, chunk: list[Row]) -> None:
    """Note the columns that JSON objects have, each with the type that holds all its values."""
    for row in chunk:
        for name, value in row.items():
            known, found = table.columns.setdefault(name, pa.null()), _type(value)
            if known != found:
                table.columns[name] = _wider(known, found)


def _type(value: Any) -> pa.DataType:
    """Return the type that holds a JSON value; lists, objects and numbers too great for it are held as JSON text."""
    if value is None:
        return pa.null()
    if type(value) is int and not -(2**63) <= value < 2**63:
        return pa.string()
    return _TYPES.get(type(value), pa.string())


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if pa.null() in (one, other):
        return other if one == pa.null() else one
    return pa.float64() if {one, other} == {pa.int64(), pa.float64()} else pa.string()


@contextmanager
def _readable(path: Path) -> Iterator[BinaryIO]:
    """Yield a file's bytes, unpacked; raise SourceRefused where they break off. A packed Parquet file is unpacked first."""
    try:
        with path.open("rb") as raw, TemporaryFile() as whole:
            stream = _unpacked(raw, path.suffix)
            if stream is not raw and ".parquet" in path.suffixes:
                shutil.copyfileobj(stream, whole)
                whole.seek(0)
                stream = whole
            yield stream
    except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
        raise SourceRefused(f"{path.name} cannot be read: it is damaged ({type(error).__name__})") from None


def _unpacked(raw: BinaryIO, suffix: str) -> BinaryIO:
    match suffix:
        case ".gz":
            return gzip.GzipFile(fileobj=raw)
        case ".zst":
            return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(raw), "zstd"))
        case _:
            return raw


def _lines(table: Table, stream: BinaryIO) -> Iterator[str]:
    """Yield each line with its end; raise SourceRefused for one that is too long or no UTF-8."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise _bad(table, number, f"the line is longer than {MAX_LINE_BYTES:,} bytes")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise _bad(table, number, "it is not in UTF-8") from None


def _records(table: Table, stream: BinaryIO) -> Iterator[Row]:
    """Yield the rows of a csv file."""
    rows = csv.reader(_lines(table, stream), delimiter=table.delimiter, strict=True)
    try:
        names = next(rows, [])
        for row in rows:
            if row and len(row) != len(names):
                raise _bad(table, rows.line_num, f"it has {len(row)} cells, the first line {len(names)}")
            if row:  # a blank line is none
                yield dict(zip(names, row, strict=True))
    except csv.Error as error:
        raise _bad(table, rows.line_num, f"a quote is not closed, or stands where none may ({error})") from None


def _objects(table: Table, stream: BinaryIO) -> Iterator[Row]:
    """Yield the rows of a file of JSON lines."""
    for number, line in enumerate(_lines(table, stream), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise _bad(table, number, "it is no JSON") from None
        if not isinstance(row, dict):
            raise _bad(table, number, "it is no JSON object")
        yield row


def _bad(table: Table, line: int, what: str) -> SourceRefused:
    return SourceRefused(f"{table.path.name} cannot be read at line {line:,}: {what}")


def rows_of(chunk: Chunk, columns: list[str] | None = None) -> list[Row]:
    """Return a chunk's rows as mappings, of those columns where they are named."""
    if isinstance(chunk, list):
        return chunk
    try:
        return (chunk.select(columns) if columns else chunk).to_pylist()
    except (ValueError, OverflowError, pa.ArrowException):
        raise SourceRefused("a time in it is finer or further away than text can say: write parquet") from None


def kept_as(table: Table, added: dict[str, pa.DataType]) -> dict[str, str]:
    """Return what each column of a table is called beside the added ones: `input_` goes before a name that is taken."""
    names: dict[str, str] = {}
    for name in table.columns:
        free = name
        while free in added or (free != name and free in table.columns):
            free = f"input_{free}"
        names[name] = free
    return names


@contextmanager
def writing(out: Path, table: Table, added: dict[str, pa.DataType]) -> Iterator[Write]:
    """Yield a function that writes a chunk of a table and its added columns; `out` is there once all went well."""
    form, kept = written_format(out), kept_as(table, added)
    with replaced(out) as temporary:
        if form == "parquet":
            own = pa.schema([(kept[name], kind) for name, kind in table.columns.items()])
            schema = pa.schema([*own, *added.items()])
            with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
                yield lambda chunk, more: writer.write_batch(_batch(table, chunk, more, schema))
            return
        names, mark = [*kept.values(), *added], "\t" if ".tsv" in out.suffixes else ","
        with temporary.open("wb") as raw, _packed(raw, out) as file:
            if form == "csv":
                file.write(_csv_line(names, mark))
                yield lambda chunk, more: file.writelines(
                    _csv_line([row.get(name) for name in names], mark) for row in _joined(chunk, more, kept)
                )
            else:
                yield lambda chunk, more: file.writelines(map(_line, _joined(chunk, more, kept)))


@contextmanager
def _packed(raw: BinaryIO, out: Path) -> Iterator[BinaryIO]:
    """Yield what to write to, packed if the name of `out` says so; the same rows give the same bytes."""
    if out.suffix != ".gz":
        yield raw
        return
    with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file:  # else it tells its name and the time
        yield file


def _joined(chunk: Chunk, more: list[Row], kept: dict[str, str]) -> Iterator[Row]:
    for row, new in zip(rows_of(chunk), more, strict=True):
        yield {kept[name]: value for name, value in row.items()} | new


def _batch(table: Table, chunk: Chunk, more: list[Row], schema: pa.Schema) -> pa.RecordBatch:
    """Return a chunk with its added columns; a Parquet file's own columns stay what they are."""
    own = list(table.columns.items())
    if isinstance(chunk, list):
        typed = [{name: _typed(row.get(name), kind) for name, kind in own} for row in chunk]
        chunk = pa.RecordBatch.from_pylist(typed, pa.schema(own))
    new = pa.RecordBatch.from_pylist(more, pa.schema(list(schema)[len(own) :]))
    return pa.RecordBatch.from_arrays([*chunk.columns, *new.columns], schema=schema)


def _typed(value: Any, kind: pa.DataType) -> Any:
    if kind == pa.float64() and value is not None:
        return float(value)
    return _text(value) if kind == pa.string() else value


def _line(row: Row) -> bytes:
    """Return a row as a line of JSON."""
    row = {name: _plain(value) for name, value in row.items()}
    try:
        return json.dumps(row, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON may hold if it is escaped
        return json.dumps(row).encode() + b"\n"


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it; a number that is none becomes null, times and the like become text."""
    match value:
        case str() | bool() | int() | None:
            return value
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): _plain(part) for key, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case _:
            return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _text(value: Any) -> str | None:
    """Return a value as one text; lists and objects as JSON."""
    if value is None:
        return None
    plain = _plain(value)
    text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    return text.encode(errors="replace").decode()


def _csv_line(values: list[Any], mark: str) -> bytes:
    """Return a row of csv, in which no spreadsheet finds a formula: an apostrophe goes before = + - @ tab and return."""
    return mark.join(_cell(_text(value) or "", mark) for value in values).encode() + b"\n"


def _cell(text: str, mark: str) -> str:
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        text = "'" + text
    # csv.writer leaves a lone return unquoted, which readers take for the end of the row
    return '"' + text.replace('"', '""') + '"' if mark in text or _TO_QUOTE.search(text) else text
