"""The files of a release, as they are on disk, beside what its manifest lists."""

import os
import stat
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from tasks.published import MANIFEST
from tasks.verify.fault import Fault

_CHUNK = 2**20


class Measured(NamedTuple):
    """A file as it is."""

    sha256: str
    bytes: int
    lines: int
    """Line ends in it."""
    is_whole: bool
    """Whether it ends with one, or is empty."""


def compared(folder: Path, manifest: dict[str, Any]) -> Iterator[Fault]:
    """Yield where the files there are and the files that are listed differ."""
    listed = {file["path"]: file for file in manifest["files"]}
    found = dict(_walked(folder))
    for path in sorted(found.keys() - listed.keys() - {MANIFEST}):
        if found[path] != "folder":
            yield Fault(path, "is not listed in the manifest")
        elif not any(name.startswith(f"{path}/") for name in listed):
            yield Fault(path, "is a folder without a file of the release")
    for path, file in listed.items():
        if path not in found:
            yield Fault(path, "is missing")
        elif found[path] != "file":
            yield Fault(path, f"is a {found[path]}, not a file")
        else:
            yield from _measured(folder, file)


def _measured(folder: Path, file: dict[str, Any]) -> Iterator[Fault]:
    try:
        one = measure(folder / file["path"])
    except OSError as error:
        yield Fault(file["path"], f"cannot be read ({error.strerror})")
        return
    if one.bytes != file["bytes"]:
        yield Fault(file["path"], f"has {one.bytes:,} bytes, in the manifest {file['bytes']:,}")
    if one.sha256 != file["sha256"]:
        yield Fault(
            file["path"], f"has another sha256 than in the manifest: {one.sha256[:12]}…, {file['sha256'][:12]}…"
        )
    if file["path"].endswith(".jsonl") and (one.lines != file["rows"] or not one.is_whole):
        yield Fault(file["path"], f"has {one.lines:,} whole lines, in the manifest {file['rows']} rows")


def measure(place: Path) -> Measured:
    """Return what a file holds, read once and never more than a megabyte of it at a time; a link is not followed."""
    digest, size, lines, last = sha256(), 0, 0, b"\n"
    with open(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size, lines, last = size + len(chunk), lines + chunk.count(b"\n"), chunk[-1:]
    return Measured(digest.hexdigest(), size, lines, last == b"\n")


def _walked(folder: Path, above: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path of everything below a folder, with what it is; links are not followed."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path, kind = above + entry.name, _kind(entry.stat(follow_symlinks=False).st_mode)
        yield path, kind
        if kind == "folder":
            yield from _walked(Path(entry.path), f"{path}/")


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "link"
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "device, pipe or socket"
