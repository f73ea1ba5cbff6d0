"""A scan over every byte that is ours, for texts that should not be there any more."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.erasure.sought import Sought, forms, marks

BLOCK = 1 << 22
ROWS = 20_000
_PACKED = {".gz": gzip.open, ".zst": lambda place: pa.CompressedInputStream(pa.OSFile(str(place)), "zstd")}


@dataclass(frozen=True)
class Found:
    """A file that holds some of the texts."""

    place: Path
    bytes: int
    """Bytes of text found in it."""


class Scan:
    """Looks for texts; `files` and `bytes` say how much it has looked at."""

    def __init__(self, sought: Sought) -> None:
        self._anywhere = sorted({form for text in sought.anywhere for form in forms(text)})
        self._whole = sought.whole
        self._patterns = self._anywhere + marks(sought.whole)
        self._overlap = max((len(pattern.encode()) for pattern in self._patterns), default=1) - 1
        self.files = self.bytes = 0

    def folders(self, places: list[Path]) -> list[Found]:
        """Return the files, below these folders or named, that hold one of the texts."""
        return [found for place in places for file in _files(place) if (found := self.file(file))]

    def file(self, place: Path) -> Found | None:
        """Return what a file holds of the texts: its bytes as they stand, and what they unpack to; None where it is nothing."""
        try:
            count = sum(self._count(block) for block in self._blocks(place))
            if place.suffix == ".parquet":
                count += self._table(place)
        except FileNotFoundError:  # a lock, or a file of another command's, gone meanwhile
            return None
        self.files += 1
        return Found(place, count) if count else None

    def _blocks(self, place: Path) -> Iterator[bytes]:
        with place.open("rb") as raw:
            yield from self._overlapping(raw)
        if place.suffix in _PACKED:
            try:
                with _PACKED[place.suffix](place) as stream:
                    yield from self._overlapping(stream)
            except (OSError, EOFError, pa.ArrowInvalid):  # is none, or breaks off: what came before it was looked at
                return

    def _overlapping(self, stream: BinaryIO) -> Iterator[bytes]:
        """Yield blocks that begin with the end of the one before, so that no text falls between two."""
        tail = b""
        while block := stream.read(BLOCK):
            self.bytes += len(block)
            yield tail + block
            tail = (tail + block)[-self._overlap :] if self._overlap else b""

    def _count(self, block: bytes) -> int:
        return self._within(pl.Series([block.decode("utf-8", "replace")], dtype=pl.String))

    def _within(self, values: pl.Series) -> int:
        """Return the bytes of text found in values; only where there are some is it asked which."""
        if not self._patterns or not (hits := values.filter(values.str.contains_any(self._patterns))).len():
            return 0
        return sum(len(pattern.encode()) * value.count(pattern) for value in hits for pattern in self._patterns)

    def _table(self, place: Path) -> int:
        """Return the bytes of text found in the texts of a table, nested ones too."""
        count = 0
        with pq.ParquetFile(place) as table:
            for batch in table.iter_batches(batch_size=ROWS):
                for values in _strings(batch.columns):
                    count += self._within(values)
                    count += sum(len(value.encode()) for value in values.filter(values.is_in(self._whole)))
        return count


def _strings(columns: list[pa.Array]) -> Iterator[pl.Series]:
    """Yield the texts of columns, and of the lists and structs among them."""
    for column in columns:
        if pa.types.is_struct(column.type):
            yield from _strings(column.flatten())
        elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            yield from _strings([column.flatten()])
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            yield pl.Series(column, dtype=pl.String).drop_nulls()


def _files(place: Path) -> list[Path]:
    """Return a file, or the files below a folder; no link is followed."""
    if place.is_dir() and not place.is_symlink():
        return [file for file in sorted(place.rglob("*")) if file.is_file() and not file.is_symlink()]
    return [place] if place.is_file() else []
