"""The rows of a release: counted, held to what every row must be, and retold in each format."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.curation import Curation, Labels
from tasks.label_table import opened
from tasks.published import MANIFEST
from tasks.release.shapes import FORMATS, SPLITS, asking, places
from tasks.release.shapes.table import SCHEMA
from tasks.sql import relation
from tasks.table_file import literal
from tasks.verify.fault import Fault

_BATCH = 4_096
_LONGEST = 64 * 2**20  # bytes of a line
_COLUMNS = ["item_id", "text", "context", "label", "posterior"]  # what formats are made of


class Table(NamedTuple):
    """What the tables of a release hold."""

    rows: dict[str, int]
    """Rows of each split."""
    labels: dict[str, dict[str, int]]
    """Rows of each label, of each split."""
    accepted: int
    """Rows whose label is a model's."""
    faults: list[Fault]


def counted(folder: Path, manifest: dict[str, Any]) -> Table:
    """Return what the Parquet files hold, and what is wrong with it."""
    rows, faults = {}, []
    for split in SPLITS:
        try:
            if not (folder / _table(split)).is_file():  # a pipe would be waited for
                raise FileNotFoundError
            file = pq.ParquetFile(folder / _table(split))
            rows[split] = file.metadata.num_rows
            if file.schema_arrow.remove_metadata() != SCHEMA:
                faults.append(Fault(_table(split), "has other columns than a release's table"))
        except (OSError, pa.ArrowException):
            faults.append(Fault(_table(split), "is no Parquet file that can be read"))
    faults += _miscounted(manifest, rows)
    if faults:
        return Table(rows, {}, 0, faults)
    try:
        return _held(folder, manifest, rows)
    except duckdb.Error:  # its words may hold a text
        return Table(rows, {}, 0, [Fault("data", "the tables cannot be read to their end")])


def _table(split: str) -> str:
    return f"data/{split}.parquet"


def _miscounted(manifest: dict[str, Any], rows: dict[str, int]) -> Iterator[Fault]:
    listed = {file["path"]: file["rows"] for file in manifest["files"]}
    for split, found in rows.items():
        for said in (listed.get(_table(split)), manifest["splits"].get(split)):
            if said != found:
                yield Fault(_table(split), f"has {found:,} rows, in the manifest {said}")


def _held(folder: Path, manifest: dict[str, Any], rows: dict[str, int]) -> Table:
    with opened() as connection:
        parts = (
            f"select *, '{split}' as file from read_parquet({literal(str(folder / _table(split)))})" for split in SPLITS
        )
        connection.execute(f"create view published as {' union all '.join(parts)}")
        known = ", ".join(f"({literal(label)})" for label in manifest["labels"]["values"]) or "(null)"
        connection.execute(f"create view label_known as from (values {known})")
        found = relation(connection, "published_fault").fetchall()
        faults = [Fault(_table(split), f"{what}: {count:,} rows") for split, what, count in found]
        labels: dict[str, dict[str, int]] = {split: {} for split in SPLITS}
        for split, label, count in relation(connection, "split_label").fetchall():
            labels[split][label] = count
        accepted = connection.sql("select count(*) from published where status = 'accepted'").fetchone()[0]
    return Table(rows, labels, accepted, faults)


def retold(folder: Path, manifest: dict[str, Any]) -> Iterator[Fault]:
    """Yield the files of which a line is not what its row of the table becomes in their format, byte by byte.

    What a release does not tell is the guidelines: they are taken from its first line, and every other must have the same.
    """
    unknown = [name for name in manifest["formats"] if name not in FORMATS]
    for name in unknown:
        yield Fault(MANIFEST, f"names the format {name[:40]!r}, which there is not")
    if unknown:
        return
    guidelines = _Guidelines(has_any=manifest["versions"].get("guideline") != "none")
    labels = Labels.model_construct(**manifest["labels"])
    asked = asking(Curation.model_construct(labels=labels, sources=()), guidelines.mark)
    formats = places(manifest["curation"], manifest["formats"])
    for split in SPLITS:
        files = {paths[split]: FORMATS[name].shaped for name, paths in formats.items() if split in paths}
        there = {
            path: shaped for path, shaped in files.items() if (folder / path).is_file()
        }  # what is missing was said
        yield from _retold(folder, split, there, asked, guidelines)


def _retold(folder: Path, split: str, files: dict[str, Any], asked: Any, guidelines: "_Guidelines") -> Iterator[Fault]:
    """Yield which files of a split have a line that is not its row's, each with its first one."""
    with ExitStack() as opened_files:
        lines = {path: opened_files.enter_context((folder / path).open("rb")) for path in files}
        numbers = dict.fromkeys(files, 0)
        for row in _rows(folder / _table(split)):
            try:
                one = asked(row)
                expected = {path: [orjson.dumps(line) for line in files[path](one)] for path in lines}
            except (ValueError, KeyError, TypeError, AttributeError):
                yield Fault(_table(split), "has a row that cannot be told in its formats")
                return
            for path, shaped in expected.items():
                for line in shaped:
                    numbers[path] += 1
                    if path in lines and not guidelines.complete(line, lines[path].readline(_LONGEST)):
                        yield Fault(path, f"line {numbers[path]:,} is not what its row of {_table(split)} becomes")
                        del lines[path]
        for path, file in lines.items():
            if file.read(1):
                yield Fault(path, f"goes on after line {numbers[path]:,}, and {_table(split)} does not")


def _rows(table: Path) -> Iterator[dict[str, Any]]:
    for batch in pq.ParquetFile(table).iter_batches(_BATCH, columns=_COLUMNS):
        yield from batch.to_pylist()


class _Guidelines:
    """The guidelines of a release, which every line has alike."""

    def __init__(self, has_any: bool) -> None:
        self.mark = f"guidelines {token_hex(16)}" if has_any else ""  # which no text can hold
        self._encoded: bytes | None = None

    def complete(self, expected: bytes, line: bytes) -> bool:
        """Return whether a line is as expected, with the guidelines where their mark stands."""
        if not self.mark or (mark := self.mark.encode()) not in expected:
            return line == expected + b"\n"
        before, _, after = expected.partition(mark)
        if len(line) <= len(before) + len(after) or not (line.startswith(before) and line.endswith(after + b"\n")):
            return False
        found = line[len(before) : len(line) - len(after) - 1]
        if self._encoded is None:
            self._encoded = found if _is_text(found) else b""
        return found == self._encoded


def _is_text(encoded: bytes) -> bool:
    """Return whether these bytes are one JSON string's, and do not end it to go on otherwise."""
    try:
        return isinstance(orjson.loads(b'"' + encoded + b'"'), str)
    except ValueError:
        return False
