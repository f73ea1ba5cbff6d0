"""Records of a file: each one a mapping of fields, or a reason why it is none."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.curation.model import file_format
from tasks.source.files import Damaged, File, opened

MAX_RECORD_BYTES = 1_000_000
MAX_RAW_CHARS = 65_536
MAX_RATIO, FREE_BYTES = 200, 256_000_000  # a small file may unpack to this much before its ratio matters
_BLOCK = 1 << 20


class Rejected(Exception):
    """A record cannot be used: a reason code, and what was expected."""

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


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
    """The records of one file; `damage` says, once they are read, why the file ends early."""

    file: File
    format: str
    damage: str | None = field(default=None, init=False)

    def __iter__(self) -> Iterator[Record]:
        try:
            if self.format == "parquet":
                yield from _parquet(self.file)
                return
            with opened(self.file) as stream:
                yield from _FORMATS[self.format](_Limited(stream, self.file.bytes))
        except Damaged as error:
            self.damage = f"truncated_source ({error})"
        except Rejected as error:
            self.damage = error.reason


class _Limited:
    """A stream of lines that refuses to unpack without end and never holds more of a line than a record may have."""

    def __init__(self, stream: BinaryIO, packed: int) -> None:
        self._stream, self._limit = stream, max(FREE_BYTES, packed * MAX_RATIO)
        self._rest, self._seen = b"", 0

    def lines(self) -> Iterator[tuple[bytes, bool]]:
        """Yield each line without its end, and whether it was too long (then its start alone)."""
        pending, too_long = b"", False
        while block := self._stream.read(_BLOCK):
            self._seen += len(block)
            if self._seen > self._limit:
                raise Rejected("decompression_limit")
            *whole, last = block.split(b"\n")
            for line in whole:
                yield self._line(pending + line, too_long)
                pending, too_long = b"", False
            pending += last
            if len(pending) > MAX_RECORD_BYTES:
                pending, too_long = pending[:MAX_RECORD_BYTES], True
        if pending:
            yield self._line(pending, too_long)

    @staticmethod
    def _line(line: bytes, too_long: bool) -> tuple[bytes, bool]:
        is_long = too_long or len(line) > MAX_RECORD_BYTES
        return (line[:MAX_RECORD_BYTES] if is_long else line.removesuffix(b"\r")), is_long


def _numbered(stream: _Limited) -> Iterator[Record]:
    """Yield one record per line that is not blank, its bytes only, or why the line cannot be one."""
    for position, (line, is_long) in enumerate(stream.lines(), 1):
        if position == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
            if line.startswith((b"\xff\xfe", b"\xfe\xff")):
                yield Record(0, line[:64], rejected=Rejected("bad_encoding", "UTF-8 expected, UTF-16 found"))
                return
            if b"\x00" in line and not line.lstrip().startswith(b"{"):
                yield Record(0, line[:64], rejected=Rejected("not_text", "a binary file"))
                return
        if is_long:
            yield Record(position, line, rejected=Rejected("too_large", f"at most {MAX_RECORD_BYTES:,} bytes"))
        elif line.strip():
            yield Record(position, line)


def _text(stream: _Limited) -> Iterator[Record]:
    for record in _numbered(stream):
        if not record.rejected:
            _fill(record, lambda raw: {"text": _decoded(raw)})
        yield record


def _jsonl(stream: _Limited) -> Iterator[Record]:
    for record in _numbered(stream):
        if not record.rejected:
            _fill(record, _object)
        yield record


def _fill(record: Record, parse: Any) -> None:
    try:
        record.fields = parse(record.raw)
    except Rejected as rejected:
        record.rejected = rejected


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Rejected("bad_encoding", "UTF-8 expected") from None


def _object(raw: bytes) -> dict[str, Any]:
    text = _decoded(raw)
    try:
        value = json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_constant)
    except RecursionError:
        raise Rejected("too_deep") from None
    except ValueError as error:
        where = f"column {error.colno}" if isinstance(error, json.JSONDecodeError) else None
        raise Rejected("bad_json", where) from None
    if not isinstance(value, dict):
        raise Rejected("not_object", "a JSON object expected")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Rejected("duplicate_key")
    return fields


def _no_constant(name: str) -> None:
    raise Rejected("bad_json", f"{name} is no JSON number")


def _csv(stream: _Limited) -> Iterator[Record]:
    """Yield one record per row; undecodable bytes become surrogates, so that one bad row does not end the file."""
    taken: list[bytes] = []

    def lines() -> Iterator[str]:
        for number, (line, _) in enumerate(stream.lines()):
            taken.append(line)
            line = line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line
            yield line.decode("utf-8", "surrogateescape") + "\n"

    rows = csv.reader(lines(), strict=True)
    header: list[str] | None = None
    while True:
        taken.clear()
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Record(rows.line_num, b"\n".join(taken), rejected=Rejected("bad_csv", str(error)))
            if "end of data" in str(error):
                return
            continue
        if not row:
            continue
        raw = b"\n".join(taken)
        if header is None:
            header = row
            if len(set(header)) < len(header):
                yield Record(0, raw, rejected=Rejected("duplicate_key", "two columns share a name"))
                return
            continue
        record = Record(rows.line_num, raw)
        _fill(record, lambda _, row=row, header=header: _row(header, row))
        yield record


def _row(header: list[str], row: list[str]) -> dict[str, str]:
    if len(row) != len(header):
        raise Rejected("ragged_row", f"{len(header)} columns expected, {len(row)} found")
    if any("\udc80" <= char <= "\udcff" for cell in row for char in cell):
        raise Rejected("bad_encoding", "UTF-8 expected")
    return dict(zip(header, row, strict=True))


def _parquet(file: File) -> Iterator[Record]:
    try:
        position = 0
        for batch in pq.ParquetFile(file.place).iter_batches(batch_size=10_000):
            for fields in batch.to_pylist():
                position += 1
                yield Record(position, json.dumps(fields, default=str, ensure_ascii=False).encode(), fields)
    except (pa.ArrowException, OSError) as error:
        raise Damaged(type(error).__name__) from None


_FORMATS = {"jsonl": _jsonl, "csv": _csv, "text": _text}


def read(file: File, format: str | None = None) -> Reading:
    """Return the records of a file, in its format or the one its name stands for."""
    return Reading(file, format or file_format(file.path) or "text")
