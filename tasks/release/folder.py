"""The folder of releases: who may write there, what stands in it, and which release is the current one."""

import fcntl
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deltalake.exceptions import DeltaError

from schemas.errors import AssayError
from tasks.release import disk
from tasks.release.manifest import MANIFEST

LATEST = "LATEST"
_NAME = re.compile(r"\d{4}-\d{2}-\d{2}\.[1-9]\d*")
_GOING = ".going-"  # what a release is called while its files are removed


def order(release: str) -> tuple[str, int]:
    """Return what releases are ordered by: their date, then their number."""
    day, number = release.split(".")
    return day, int(number)


def is_name(text: str) -> bool:
    """Return whether a text is the name of a release: DATE.N."""
    return bool(_NAME.fullmatch(text))


@contextmanager
def alone(folder: Path, lock: str = ".lock") -> Iterator[None]:
    """Let one process at a time write into a folder of releases; the system lets go of the lock when a process dies.

    Raise AssayError where the folder or the store cannot be written, or the disk is full.
    """
    try:
        disk.make(folder)
        with (folder / lock).open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield
    except (OSError, DeltaError) as error:
        place, why = getattr(error, "filename", None) or folder, getattr(error, "strerror", None) or error
        raise AssayError(
            f"{place}: cannot be written ({why}); make room or give leave, and run again: what was done is kept"
        ) from None


def on_disk(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the manifest of each release in a folder, by its name; what was moved aside has another name."""
    places = sorted(place for place in folder.glob(f"*/{MANIFEST}") if is_name(place.parent.name))
    return {place.parent.name: _manifest(place) for place in places}


def _manifest(place: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(place.read_bytes())
        return {key: manifest[key] for key in ("release", "parent", "content_id")}
    except (ValueError, TypeError, KeyError):
        raise AssayError(f"{place}: is no manifest; move the folder away, and run again") from None


def current(folder: Path) -> str | None:
    """Return the name of the current release; None where LATEST is not there, or names none."""
    place = folder / LATEST
    name = place.read_text(encoding="utf-8", errors="replace").strip() if place.is_file() else ""
    return name if is_name(name) else None


def point(folder: Path, release: str) -> None:
    """Make a release the current one; call it within `alone`."""
    disk.put(folder / LATEST, release + "\n")


def enter(staged: Path, place: Path) -> None:
    """Give staged files, all of them at once, their place among the releases."""
    disk.sync_all(staged)
    disk.move(staged, place)
    disk.sync(place.parent)


def leave(place: Path) -> None:
    """Remove a release: all of it is gone from sight at once."""
    going = place.with_name(_GOING + place.name)
    disk.move(place, going)
    disk.sync(place.parent)
    disk.remove(going)


def tidy(folder: Path) -> None:
    """Remove what is left of releases whose removal was cut short."""
    for left in sorted(folder.glob(f"{_GOING}*")):
        disk.remove(left)
