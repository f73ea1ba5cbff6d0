"""The fields of a release's files: every column of the tables, and what the lines of a format hold."""

from pathlib import PurePath
from typing import Any

import pyarrow as pa

from schemas.example import Example
from schemas.row import columns
from tasks.release.shapes import FORMATS, places

_KINDS = {pa.string(): "sc:Text", pa.int64(): "sc:Integer", pa.float64(): "sc:Float", pa.bool_(): "sc:Boolean"}


def record_sets(evidence: dict[str, Any], tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one record set per split of the table, and one per split and format whose lines Croissant can express.

    A file of lines without one has no record set: its reader fails on it.
    """
    rows = {file["path"]: file["rows"] for file in tables}
    splits = [_split(path) for path in sorted(rows) if path.startswith("data/")]
    lines = [
        _record_set(f"{name}/{split}", path, pa.schema(FORMATS[name].fields))
        for name, files in places(evidence["curation"], evidence["formats"]).items()
        for split, path in files.items()
        if FORMATS[name].fields and rows.get(path)
    ]
    return splits + lines


def _split(path: str) -> dict[str, Any]:
    split = PurePath(path).stem
    records = _record_set(split, path, columns(Example)) | {"key": {"@id": f"{split}/item_id"}}
    told = {f"{split}/{name}": field.description for name, field in Example.model_fields.items()}
    return records | {"field": [field | {"description": told[field["@id"]]} for field in records["field"]]}


def _record_set(name: str, path: str, fields: pa.Schema) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "field": [_field(f"{name}/{field.name}", path, field) for field in fields],
    }


def _field(name: str, path: str, field: pa.Field) -> dict[str, Any]:
    source = {"fileObject": {"@id": path}, "extract": {"column": field.name}}
    if not pa.types.is_list(field.type):
        return _named(name, dataType=_KINDS[field.type], source=source)
    parts = [
        _named(
            f"{name}/{part.name}", dataType=_KINDS[part.type], source=source | {"transform": {"jsonPath": part.name}}
        )
        for part in field.type.value_type
    ]
    return _named(name, repeated=True, subField=parts)


def _named(name: str, **told: Any) -> dict[str, Any]:
    return {"@type": "cr:Field", "@id": name, "name": name, **told}
