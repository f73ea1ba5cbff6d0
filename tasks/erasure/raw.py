"""A quarantined record as it arrived: what it names, and the texts in it, also where it is broken or was cut short."""

import csv
import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from schemas.curation import Fields

SEPARATORS = ",;\t|"
_PAIR = re.compile(r'"((?:[^"\\]|\\.)*+)"\s*+:\s*+(?:"((?:[^"\\]|\\.)*+)|([^\s",{}\[\]]++))', re.DOTALL)


def values(raw: str) -> Iterator[str]:
    """Yield the values that a record may hold, whatever its format is."""
    read = _json(raw)
    if read is not None:
        yield from (str(value).strip() for value in _plain(read))
    else:
        yield from (cell for separator in SEPARATORS for cell in _cells(raw, separator))


def texts(raw: str, fields: list[Fields], ids: set[str], group: str | None, shortest: int) -> set[str]:
    """Return the texts of a record that is of one of the documents or of the group, and what stands beside them.

    A csv row has no names of its fields: of it, cells that are long enough to be told from other things, and no time.
    """
    read = _json(raw)
    if not isinstance(read, dict):
        return _cell_texts(raw, ids | {group}, shortest) if read is None else set()
    called = {
        kind: {getattr(one, kind) for one in fields} - {None} for kind in ("text", "id", "group", "slice", "time")
    }
    named = {kind: {str(read[name]).strip() for name in called[kind] & read.keys()} for kind in ("id", "group")}
    if not named["id"] & ids and group not in named["group"]:
        return set()
    found = {read[name] for name in called["text"] & read.keys() if isinstance(read[name], str)}
    beside = read.keys() - set().union(*called.values())
    strings = (value for name in beside for value in _plain(read[name]) if isinstance(value, str))
    return found | {value for value in strings if len(value) >= shortest}


def _json(raw: str) -> dict[str, Any] | list[Any] | None:
    """Return the object or the list that a record is, of a broken object the fields that can be told; None for a csv row."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        pairs = _PAIR.finditer(raw) if raw.lstrip().startswith("{") else ()
        found = {
            _decoded(key): plain or _decoded(text) for key, text, plain in (pair.groups() for pair in pairs)
        } or None
    return found if isinstance(found, dict | list) else None


def _decoded(text: str) -> str:
    """Return a JSON string's text; one that was cut within an escape, or has an unknown one, as it stands."""
    try:
        return json.loads(f'"{text}"', strict=False)
    except ValueError:
        return text


def _plain(value: Any) -> Iterator[Any]:
    """Yield everything in a value that is no object and no list."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _plain(part)
    elif value is not None:
        yield value


def _cells(raw: str, separator: str) -> list[str]:
    try:
        return [cell.strip().strip('"') for row in csv.reader([raw], delimiter=separator) for cell in row]
    except csv.Error:
        return [cell.strip().strip('"') for cell in raw.split(separator)]


def _cell_texts(raw: str, names: set[str | None], shortest: int) -> set[str]:
    rows = (_cells(raw, separator) for separator in SEPARATORS)
    cells = next((row for row in rows if len(row) > 1 and names & set(row)), [])
    return {cell for cell in cells if len(cell) >= shortest and cell not in names and not _is_time(cell)}


def _is_time(cell: str) -> bool:
    try:
        return bool(datetime.fromisoformat(cell))
    except ValueError:
        return False
