"""The disk: every write of a release goes through here, one step at a time, so that a test can stop it at any of them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def writing(place: Path) -> Iterator[BinaryIO]:
    """Yield a new file to write to; when it is left, the disk has it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write(place: Path, content: str | bytes) -> None:
    """Write a file and wait until the disk has it."""
    with writing(place) as file:
        file.write(content if isinstance(content, bytes) else content.encode())


def put(place: Path, content: str | bytes) -> None:
    """Write a file so that its readers see what it was before or all of what it is now."""
    draft = place.with_name(f".{place.name}.new")
    write(draft, content)
    move(draft, place)
    sync(place.parent)


def make(folder: Path) -> None:
    """Make a folder, and those above it that are not there."""
    for place in reversed([folder, *folder.parents]):
        if not place.is_dir():
            place.mkdir(exist_ok=True)
            sync(place.parent)


def sync_all(folder: Path) -> None:
    """Wait until the disk has the lists of files of a folder and of all folders in it."""
    for place in [*sorted(folder.rglob("*/")), folder]:
        sync(place)


def sync(place: Path) -> None:
    """Wait until the disk has a file, or a folder's list of files: without it a loss of power could undo a rename."""
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def move(old: Path, new: Path) -> None:
    """Give a file or folder another name in one step; a file that has the name is replaced, a folder is not."""
    os.replace(old, new)


def remove(place: Path) -> None:
    """Remove a folder with all that is in it, or a file; nothing where there is none."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
