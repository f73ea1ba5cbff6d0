"""The formats a queue is handed out in, and written to a file whole or not at all."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from schemas.curation import Labels
from schemas.errors import RequestError
from tasks.handout import argilla, doccano, label_studio, prodigy, table
from tasks.handout.queue import Entry
from tasks.label_table import opened
from tasks.table_file import relation_of, replaced, written_format
from tasks.table_file import write as write_table

TABLE = "table"
# What each writes and reads; the first in whose export a record can be recognised has it.
TOOLS: dict[str, ModuleType] = {
    "label-studio": label_studio, "argilla": argilla, "prodigy": prodigy, "doccano": doccano,
}  # fmt: skip
FORMATS = (TABLE, *TOOLS)


def checked(form: str, out: Path) -> None:
    """Raise RequestError where a queue cannot be written to a file of that name in that format."""
    if form == TABLE:
        if out.suffix == ".json":
            raise RequestError(f"{out.name}: say for which tool: --format {', '.join(TOOLS)}")
        written_format(out)
        return
    suffix = TOOLS[form].SUFFIX
    if out.suffixes[-2:] != [suffix, ".gz"] and out.suffix != suffix:
        raise RequestError(f"{out.name}: {form} reads {suffix} files, plain or as .gz")
    if not out.parent.is_dir():
        raise RequestError(f"there is no folder {out.parent} to write {out.name} to")
    if out.is_dir():
        raise RequestError(f"{out} is a folder: name a file to write")


def write(entries: list[Entry], labels: Labels, form: str, out: Path) -> None:
    """Write entries to a file that only its owner may read, whole or not at all."""
    if form == TABLE:
        columns, rows = table.written(entries, labels)
        with opened() as connection:
            types = dict.fromkeys(columns, "VARCHAR")
            write_table(connection, relation_of(connection, rows, types), out, is_private=True)
        return
    tool = TOOLS[form]
    lines = _as_list if tool.SUFFIX == ".json" else _as_lines
    raw = "".join(lines(tool.written(entries, labels))).encode()
    _replace(out, gzip.compress(raw, mtime=0) if out.suffix == ".gz" else raw)


def labelling_interface(entries: list[Entry], labels: Labels, form: str, out: Path) -> Path | None:
    """Return the file beside `out` that Label Studio's labelling interface is written to; None for other tools."""
    if form != "label-studio":
        return None
    beside = out.with_name(out.name.removesuffix(".gz").removesuffix(".json") + ".xml")
    _replace(beside, label_studio.interface(entries, labels).encode())
    return beside


def _replace(out: Path, raw: bytes) -> None:
    with replaced(out, is_private=True) as temporary:
        temporary.write_bytes(raw)


def _as_list(records: Iterator[dict[str, Any]]) -> Iterator[str]:
    yield "["
    for number, record in enumerate(records):
        yield (",\n" if number else "\n") + json.dumps(record, ensure_ascii=False)
    yield "\n]\n"


def _as_lines(records: Iterator[dict[str, Any]]) -> Iterator[str]:
    for record in records:
        yield json.dumps(record, ensure_ascii=False) + "\n"
