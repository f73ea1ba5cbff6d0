"""Records of a file: each one a mapping of fields, or a reason why it is none."""

import csv
import json
import math
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.curation import COMPRESSIONS, file_format
from tasks.source.files import Damaged, File, opened
from tasks.source.json_object import decoded, elements, json_object
from tasks.source.rejected import Rejected

MAX_RECORD_BYTES = 1_000_000
MAX_RAW_CHARS = 65_536
MAX_RATIO, FREE_BYTES = 200, 256_000_000  # a small file may unpack to this much before its ratio matters
MAX_ROW_LINES = 1_000  # of a csv row; a quote left open is looked for no further
_BLOCK = 1 << 16  # what is lost at most where a zstd file breaks off
_PARQUET_ROWS = 1_000  # in memory at once: columns unpack to far more than their file's size
_UNDECODABLE = re.compile("[\udc80-\udcff]")


_TOO_LARGE = Rejected("too_large", f"at most {MAX_RECORD_BYTES:,} bytes")
csv.field_size_limit(MAX_RECORD_BYTES)


@dataclass
class Record:
    """One record as it stands in its file; `fields` or `rejected` is set."""

    position: int
    raw: bytes
    fields: dict[str, Any] | None = None
    rejected: Rejected | None = None

    @property
    def sha256(self) -> str:
        """Return the digest of its bytes."""
        return sha256(self.raw).hexdigest()

    @property
    def text(self) -> str:
        """Return its bytes as text, undecodable ones escaped, cut at 64 KB."""
        return self.raw[:MAX_RAW_CHARS].decode("utf-8", "backslashreplace")


@dataclass
class Reading:
    """The records of one file; `damage` says, once they are read, why the file ends early, and so does record 0."""

    file: File
    format: str
    delimiter: str = ","
    damage: str | None = field(default=None, init=False)

    def __iter__(self) -> Iterator[Record]:
        try:
            yield from self._records()
        except Damaged as error:
            self.damage = f"truncated_source ({error})"
            yield Record(0, b"", rejected=Rejected("truncated_source", str(error)))
        except Rejected as error:
            self.damage = error.reason
            yield Record(0, b"", rejected=error)

    def _records(self) -> Iterator[Record]:
        if self.format == "parquet":
            yield from _parquet(self.file)
            return
        with opened(self.file) as stream:
            limited = _Limited(stream, self.file.bytes)
            yield from _csv(limited, self.delimiter) if self.format == "csv" else _FORMATS[self.format](limited)


class _Limited:
    """A stream of lines that refuses to unpack without end and never holds more of a line than a record may have."""

    def __init__(self, stream: BinaryIO, packed: int) -> None:
        self._stream, self._limit = stream, _limit(packed)

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes as they come; raise Rejected where there are too many for the size of the file."""
        seen = 0
        while block := self._stream.read1(_BLOCK):
            seen += len(block)
            if seen > self._limit:
                raise Rejected("decompression_limit")
            yield block

    def text(self) -> Iterator[bytes]:
        """Yield the bytes without UTF-8's mark; raise Rejected where they cannot begin a text in UTF-8."""
        for number, block in enumerate(self.blocks()):
            yield block if number else _without_mark(block)

    def lines(self) -> Iterator[tuple[bytes, bool]]:
        """Yield each line without its end, and whether it was too long (then its start alone)."""
        pending, too_long = bytearray(), False
        for block in self.text():
            *whole, last = block.split(b"\n")
            for line in whole:
                yield self._line(bytes(pending + line), too_long)
                pending, too_long = bytearray(), False
            if not too_long:
                pending += last
            too_long = too_long or len(pending) > MAX_RECORD_BYTES
        if pending:
            yield self._line(bytes(pending), too_long)

    @staticmethod
    def _line(line: bytes, too_long: bool) -> tuple[bytes, bool]:
        is_long = too_long or len(line) > MAX_RECORD_BYTES
        return (line[:MAX_RECORD_BYTES] if is_long else line.removesuffix(b"\r")), is_long


def _limit(packed: int) -> int:
    return max(FREE_BYTES, packed * MAX_RATIO)


def _without_mark(head: bytes) -> bytes:
    """Return the first bytes of a file without UTF-8's mark; raise Rejected where they cannot begin a text in UTF-8."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Rejected("bad_encoding", "UTF-8 expected, UTF-16 found")
    if b"\x00" in head.split(b"\n", 1)[0] and not head.lstrip().startswith(b"{"):
        raise Rejected("not_text", "a binary file")
    return head.removeprefix(b"\xef\xbb\xbf")


def _numbered(lines: Iterator[tuple[bytes, bool]], parse: Callable[[bytes], dict[str, Any]]) -> Iterator[Record]:
    """Yield one record per line that is not blank, or why the line cannot be one."""
    for position, (line, is_long) in enumerate(lines, 1):
        if is_long:
            yield Record(position, line, rejected=_TOO_LARGE)
        elif line.strip():
            record = Record(position, line)
            _fill(record, parse)
            yield record


def _text(stream: _Limited) -> Iterator[Record]:
    return _numbered(stream.lines(), lambda raw: {"text": decoded(raw)})


def _jsonl(stream: _Limited) -> Iterator[Record]:
    return _numbered(stream.lines(), json_object)


def _json(stream: _Limited) -> Iterator[Record]:
    return _numbered(elements(stream.text(), MAX_RECORD_BYTES), json_object)


def _fill(record: Record, parse: Any) -> None:
    try:
        record.fields = parse(record.raw)
    except Rejected as rejected:
        record.rejected = rejected.bare()


def _csv(stream: _Limited, delimiter: str) -> Iterator[Record]:
    """Yield one record per row; undecodable bytes become surrogates, so that one bad row does not end the file."""
    lines, header = _RowLines(stream), None
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.forget()
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield lines.refused(Rejected("bad_csv", str(error).partition(" - ")[0]))
            continue
        except _Overlong as overlong:
            yield lines.refused(overlong)
            continue
        if not lines.raw.strip():
            continue
        if header is None:
            header = _header(row)
            continue
        record = Record(lines.position, lines.raw)
        _fill(record, lambda _, row=row, header=header: _row(header, row))
        yield record


class _Overlong(Rejected):
    """A csv row takes more lines or bytes than one may; the file goes on."""


class _RowLines:
    """The lines a csv row is read from; a row that cannot be read gives all but its first back.

    So a quote that is never closed costs its own row, not the rest of the file.
    """

    def __init__(self, stream: _Limited) -> None:
        self._lines, self._again, self._taken = stream.lines(), deque(), []
        self.position = 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line, is_long = self._again.popleft() if self._again else next(self._lines)
        self._taken.append((line, is_long))
        if is_long or sum(len(line) for line, _ in self._taken) > MAX_RECORD_BYTES:
            raise _Overlong(_TOO_LARGE.reason, _TOO_LARGE.detail)
        if len(self._taken) > MAX_ROW_LINES:
            raise _Overlong("bad_csv", f"a quote closed within {MAX_ROW_LINES:,} lines expected")
        return line.decode("utf-8", "surrogateescape") + "\n"

    @property
    def raw(self) -> bytes:
        """Return the bytes of the lines taken since `forget`."""
        return b"\n".join(line for line, _ in self._taken)

    def forget(self) -> None:
        """Begin the next row."""
        self.position += len(self._taken)
        self._taken.clear()

    def refused(self, reason: Rejected) -> Record:
        """Return the first line as a record that is none, and give the others back."""
        first, *others = self._taken
        self._again.extendleft(reversed(others))
        self._taken[:] = [first]
        return Record(self.position, first[0], rejected=reason)


def _header(row: list[str]) -> list[str]:
    if _has_undecodable(row):
        raise Rejected("bad_encoding", "column names in UTF-8 expected")
    if len(set(row)) < len(row):
        raise Rejected("duplicate_key", "two columns share a name")
    return row


def _row(header: list[str], row: list[str]) -> dict[str, str]:
    if len(row) != len(header):
        raise Rejected("ragged_row", f"{len(header)} columns expected, {len(row)} found")
    if _has_undecodable(row):
        raise Rejected("bad_encoding", "UTF-8 expected")
    return dict(zip(header, row, strict=True))


def _has_undecodable(row: list[str]) -> bool:
    return any(_UNDECODABLE.search(cell) for cell in row)


def _parquet(file: File) -> Iterator[Record]:
    with _seekable(file) as stream:
        try:
            table = pq.ParquetFile(stream)
            _refuse_unfit(table, file)
            position = 0
            for batch in table.iter_batches(batch_size=_PARQUET_ROWS):
                for fields in _rows(_in_microseconds(batch)):
                    position += 1
                    yield _of_row(position, fields)
        except (pa.ArrowException, OSError) as error:
            raise Damaged(type(error).__name__) from None


@contextmanager
def _seekable(file: File) -> Iterator[BinaryIO]:
    """Yield the file's bytes where any of them can be reached: a compressed file is unpacked to one without a name."""
    if file.place.suffix.lower() not in COMPRESSIONS:
        with opened(file) as stream:
            yield stream
        return
    with TemporaryFile() as unpacked:
        with opened(file) as stream:
            for block in _Limited(stream, file.bytes).blocks():
                unpacked.write(block)
        unpacked.seek(0)
        yield unpacked


def _refuse_unfit(table: pq.ParquetFile, file: File) -> None:
    groups = (table.metadata.row_group(number) for number in range(table.metadata.num_row_groups))
    if sum(group.total_byte_size for group in groups) > _limit(file.bytes):
        raise Rejected("decompression_limit")
    names = table.schema_arrow.names
    if len(set(names)) < len(names):
        raise Rejected("duplicate_key", "two columns share a name")


def _in_microseconds(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with its instants as Python's clock can tell them."""
    columns = [
        column.cast(pa.timestamp("us", column.type.tz), safe=False) if pa.types.is_timestamp(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _rows(batch: pa.RecordBatch) -> list[dict[str, Any] | None]:
    """Return the rows of a batch, None for one that holds a value Python has no form for."""
    try:
        return batch.to_pylist()
    except (ValueError, OverflowError, pa.ArrowException):
        if batch.num_rows == 1:
            return [None]
        return [row for number in range(batch.num_rows) for row in _rows(batch.slice(number, 1))]


def _of_row(position: int, fields: dict[str, Any] | None) -> Record:
    if fields is None:
        return Record(
            position, b"", rejected=Rejected("bad_type", "text in UTF-8, dates in the years 1 to 9999 expected")
        )
    plain = _plain(fields)
    raw = json.dumps(plain, default=str, ensure_ascii=False).encode()
    if len(raw) > MAX_RECORD_BYTES:
        return Record(position, raw[:MAX_RECORD_BYTES], rejected=_TOO_LARGE)
    return Record(position, raw, plain)


def _plain(value: Any) -> Any:
    """Return a value as JSON could have held it; instants stay, a number that is none becomes null."""
    match value:
        case dict():
            return {key: _plain(part) for key, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case float():
            return value if math.isfinite(value) else None
        case str() | int() | None | datetime():
            return value
        case _:
            return str(value)


_FORMATS = {"jsonl": _jsonl, "json": _json, "text": _text}


def read(file: File, format: str | None = None) -> Reading:
    """Return the records of a file, in its format or the one its name stands for."""
    return Reading(file, format or file_format(file.path) or "text")
