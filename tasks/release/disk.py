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


def sync(folder: Path) -> None:
    """Wait until the disk has a folder's list of files: without it a loss of power could undo a rename."""
    handle = os.open(folder, os.O_RDONLY)
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
