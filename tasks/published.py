"""A release that was published: its folder, and the manifest in it, read as what a stranger may have written."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from schemas.errors import RequestError

MANIFEST = "manifest.json"
MOST_BYTES = 64 * 2**20  # of what is read whole: pages and figures, never rows


class Published(NamedTuple):
    """The manifest of a release."""

    manifest: dict[str, Any]
    content: bytes
    """Its bytes."""

    @property
    def digest(self) -> str:
        """Return the manifest's sha256."""
        return sha256(self.content).hexdigest()


def read(folder: Path) -> Published:
    """Return the manifest of a release's folder; raise RequestError where there is none, or none that can be read."""
    place = folder / MANIFEST
    try:
        if not folder.is_dir():
            raise RequestError(f"{folder}: is no folder; name the folder of a release, as releases/NAME/DATE.N")
        if place.is_symlink() or not place.is_file():
            raise RequestError(f"{folder}: holds no {MANIFEST}; name the folder of a release, as releases/NAME/DATE.N")
        content = whole(place)
        manifest = json.loads(content)
    except OSError as error:
        raise RequestError(f"{folder}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, RequestError):
            raise
        manifest = None
    if not isinstance(manifest, dict):
        raise RequestError(f"{place}: is no manifest; a JSON object of at most {MOST_BYTES // 2**20} MB is expected")
    return Published(manifest, content)


def whole(place: Path) -> bytes:
    """Return a file's bytes; raise ValueError where it is larger than any page that was published."""
    with place.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError("too large")
    return content


def part(folder: Path, name: str) -> dict[str, Any]:
    """Return the JSON object in a file of a release; an empty one where it is missing or no such object."""
    try:
        found = json.loads(whole(folder / name))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
