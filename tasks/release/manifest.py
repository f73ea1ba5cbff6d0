"""The files of a release, listed with their digests, and described for other tools."""

import json
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


def as_json(value: Any) -> str:
    """Return JSON for people to read, keys in the order given."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def listed(folder: Path, rows: dict[str, int]) -> list[dict[str, Any]]:
    """Return every file of a folder but the manifest, with sha256, size, and rows where it has any."""
    places = sorted(place for place in folder.rglob("*") if place.is_file() and place.name != MANIFEST)
    return [_entry(place, place.relative_to(folder).as_posix(), rows) for place in places]


def _entry(place: Path, path: str, rows: dict[str, int]) -> dict[str, Any]:
    with place.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return {"path": path, "sha256": digest, "bytes": place.stat().st_size, "rows": rows.get(path)}


def digest(folder: Path) -> str:
    """Return the sha256 of a release's manifest."""
    return sha256((folder / MANIFEST).read_bytes()).hexdigest()
