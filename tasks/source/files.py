"""The files of a source: found by glob, dated by name, known by digest, opened whatever their compression."""

import glob
import gzip
import os
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from hashlib import file_digest
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from schemas.errors import SourceRefused

AS_OF = "{as_of}"
_DATE_GLOB = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_GLOB = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
_BROKEN = (EOFError, gzip.BadGzipFile, zlib.error, pa.ArrowInvalid, OSError)


@dataclass(frozen=True)
class File:
    """One file of a source."""

    path: str
    """Relative to the curation, the same on every machine; bytes that are no UTF-8 are escaped."""
    place: Path
    """Where it stands on this machine."""
    available_on: date | None
    """The date in its name; None where the name holds none."""
    bytes: int
    modified_ns: int

    def digest(self) -> str:
        """Return the sha256 of its bytes; raise SourceRefused where it cannot be read."""
        try:
            with self.place.open("rb") as stream:
                return file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise SourceRefused(f"{self.path}: cannot be read: {error.strerror}") from None

    def has_changed(self) -> bool:
        """Return whether it is no longer as it was found."""
        try:
            now = self.place.stat()
        except OSError:  # gone since
            return True
        return (now.st_size, now.st_mtime_ns) != (self.bytes, self.modified_ns)


class Damaged(Exception):
    """A compressed file ends early or breaks off; what came before it stands."""


def find(folder: Path, pattern: str) -> list[File]:
    """Return the regular files a pattern names, by date and name; raise SourceRefused for a name with no such date."""
    names = glob.glob(pattern.replace(AS_OF, _DATE_GLOB), root_dir=folder, recursive=True)
    files = [_file(folder, name, pattern) for name in names if _is_regular(folder / name)]
    return sorted(files, key=lambda file: (file.available_on or date.max, file.path))


def belongs(path: str, pattern: str) -> bool:
    """Return whether a pattern names a file of that path."""
    parts = [_as_regex(part) for part in pattern.split(AS_OF)]
    return bool(re.fullmatch("\\d{4}-\\d{2}-\\d{2}".join(parts), path, re.DOTALL))


def _is_regular(place: Path) -> bool:
    try:
        return stat.S_ISREG(place.stat().st_mode)
    except OSError:  # a loop of links, or gone since
        return False


def _file(folder: Path, name: str, pattern: str) -> File:
    place = folder / name
    state = place.stat()
    path = os.fsencode(Path(name).as_posix()).decode("utf-8", "backslashreplace")
    return File(path, place, _date(name, pattern), state.st_size, state.st_mtime_ns)


def _date(name: str, pattern: str) -> date | None:
    if AS_OF not in pattern:
        return None
    before, after = pattern.split(AS_OF)
    shape = f"{_as_regex(before)}(\\d{{4}}-\\d{{2}}-\\d{{2}}){_as_regex(after)}"
    found = re.fullmatch(shape, name.replace(os.sep, "/"), re.DOTALL)
    try:
        return date.fromisoformat(found[1])
    except (TypeError, ValueError):
        raise SourceRefused(f"{name!r}: no date stands where the path says {AS_OF}") from None


def _as_regex(pattern: str) -> str:
    tokens = re.split(r"(\*\*/|\*|\?|\[!?\]?[^\]]*\])", pattern)
    return "".join(_GLOB.get(token) or _as_class(token) for token in tokens)


def _as_class(token: str) -> str:
    if not re.fullmatch(r"\[.+\]", token, re.DOTALL):
        return re.escape(token)
    return "[^/]"  # which characters it may be, the glob has seen to


@contextmanager
def opened(file: File) -> Iterator[BinaryIO]:
    """Yield the file's decompressed bytes; raise Damaged where they break off."""
    try:
        with file.place.open("rb") as raw:
            yield _decompressed(raw, file.place.suffix.lower())
    except _BROKEN as error:
        raise Damaged(type(error).__name__) from None


def _decompressed(raw: BinaryIO, suffix: str) -> BinaryIO:
    match suffix:
        case ".gz":
            return gzip.GzipFile(fileobj=raw)
        case ".zst":
            return pa.CompressedInputStream(pa.PythonFile(raw), "zstd")
        case _:
            return raw
