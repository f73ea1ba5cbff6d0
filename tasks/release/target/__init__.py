"""Targets: further places that hold what the folder of releases holds, kept in step with it by every run."""

import json
import re
from pathlib import Path
from typing import Any, Protocol

from obstore.exceptions import BaseError

from schemas.curation.release import Target as Settings
from schemas.errors import AssayError
from schemas.run import Run
from tasks.release import ledger
from tasks.release.folder import alone, current, on_disk, order
from tasks.release.manifest import MANIFEST, digest
from tasks.release.target.bucket import Bucket
from tasks.release.target.folder import Folder, taken
from tasks.release.target.hub import Hub

_LOCK = ".targets.lock"
_CODE = re.compile(r"<Code>(\w+)</Code>")


class Target(Protocol):
    """A place that releases are copied to; whoever reads there sees a release whole or not at all."""

    is_shelf: bool
    """Whether releases stand there side by side; else the current one alone is wanted."""

    def releases(self) -> set[str]:
        """Return the names of the whole releases there."""

    def held(self) -> dict[str, dict[str, int]]:
        """Return {path: bytes} of every release there, by its name, whole or not."""

    def digest(self, release: str) -> str:
        """Return the sha256 of the manifest of a release there."""

    def tidy(self, ours: dict[str, set[str]], coming: dict[str, str]) -> None:
        """Remove what killed writers left there of releases of ours, {name: digests}, but of what comes now, {name: digest}."""

    def put(self, place: Path) -> None:
        """Copy a release there from its folder, or mend it; raise AssayError where another has its name."""

    def remove(self, release: str) -> None:
        """Remove a release there."""

    def latest(self) -> str | None:
        """Return the release that is current there."""

    def point(self, release: str, withdrawn: set[str]) -> None:
        """Make a release current there, unless a later one is that was not withdrawn."""


def target_of(run: Run, settings: Settings) -> Target:
    """Return the target that a curation describes."""
    match settings.kind:
        case "folder":
            return Folder(run.folder / settings.path / run.curation.name)
        case "hub":
            return Hub(run.folder / settings.path)
        case "s3":
            return Bucket(f"{settings.path.rstrip('/')}/{run.curation.name}", settings.endpoint)


def copied(run: Run) -> list[dict[str, Any]]:
    """Return, for each target, {kind, path, latest, error}: brought into step, or why it could not be."""
    if not run.curation.release.targets or not run.releases.is_dir():
        return []
    with alone(run.releases, _LOCK):
        return [_told(run, settings, in_step) for settings in run.curation.release.targets]


def seen(run: Run) -> list[dict[str, Any]]:
    """Return, for each target, {kind, path, latest, releases, error}: what it holds now, or why that is not known."""
    return [
        {"releases": []} | _told(run, settings, lambda _, target: {"releases": sorted(target.releases(), key=order)})
        for settings in run.curation.release.targets
    ]


def _told(run: Run, settings: Settings, do: Any) -> dict[str, Any]:
    """Return what came of doing something with a target; one that cannot be reached is no fault of the release."""
    told = {"kind": settings.kind, "path": settings.path, "latest": None, "error": None}
    try:
        target = target_of(run, settings)
        return told | (do(run, target) or {}) | {"latest": target.latest()}
    except (AssayError, OSError, BaseError) as fault:
        return told | {"error": _why(fault)}


def _why(fault: Exception) -> str:
    """Return what went wrong without what a server said of it, or of whom it knows us to be."""
    if isinstance(fault, AssayError):
        return str(fault)
    if isinstance(fault, BaseError) or not getattr(fault, "strerror", None):
        code = _CODE.search(str(fault))
        return f"the server said {code[1]}" if code else f"it cannot be reached ({type(fault).__name__})"
    return f"{fault.filename}: {fault.strerror}"


def in_step(run: Run, target: Target) -> None:
    """Bring a target into step: leftovers and what has expired go, what is missing comes, what was erased goes there too."""
    ours, wanted, here = _ours(run), _wanted(run, target), on_disk(run.releases)
    target.tidy(ours, {name: digest(run.releases / name) for name in wanted})
    there, over = target.releases(), ledger.expired(run)
    for release in sorted(there & over, key=order):
        if release not in ours or target.digest(release) in ours[release]:
            target.remove(release)
    if not wanted:
        return
    differ, theirs = _outdated(run, target, (there - over) & here.keys(), ours)
    for release in sorted(differ, key=order):
        target.remove(release)
        if target.is_shelf or release in wanted:
            target.put(run.releases / release)
    for release in sorted(_lacking(run, target, wanted - theirs), key=order):
        target.put(run.releases / release)
    if theirs:
        raise taken(max(theirs, key=order))
    target.point(current(run.releases), ledger.withdrawn(run))


def _ours(run: Run) -> dict[str, set[str]]:
    """Return the digests that each release's manifest has, or had before an erasure."""
    digests = {name: {digest(run.releases / name)} for name in on_disk(run.releases)}
    for entry in [*ledger.entries(run, "published"), *ledger.entries(run, "recut")]:
        digests.setdefault(entry["release"], set()).update({entry["digest"], entry["previous_digest"]} - {None})
    return digests


def _wanted(run: Run, target: Target) -> set[str]:
    """Return the releases that a target is to hold; later ones than the current one wait for a person."""
    now, here = current(run.releases), on_disk(run.releases)
    if now not in here:
        return set()
    gone = ledger.withdrawn(run) | ledger.expired(run) - {now}
    stands = {name for name in here if name not in gone and order(name) <= order(now)}
    return stands if target.is_shelf else {now}


def _outdated(run: Run, target: Target, both: set[str], ours: dict[str, set[str]]) -> tuple[set[str], set[str]]:
    """Return the releases that an erasure has changed since, and those, of them and the current one, that are not ours."""
    recut = {entry["release"] for entry in ledger.entries(run, "recut")}
    there = {name: target.digest(name) for name in both & (recut | {current(run.releases)})}
    differ = {name for name, its in there.items() if its != digest(run.releases / name)}
    theirs = {name for name in differ if name not in recut or there[name] not in ours[name]}
    return differ - theirs, theirs


def _lacking(run: Run, target: Target, wanted: set[str]) -> set[str]:
    """Return the releases that are not there, or not with every file in the size that the manifest tells."""
    held = target.held()
    return {name for name in wanted if not _whole(run.releases / name, held.get(name, {}))}


def _whole(place: Path, held: dict[str, int]) -> bool:
    manifest = json.loads((place / MANIFEST).read_bytes())
    return MANIFEST in held and all(held.get(file["path"]) == file["bytes"] for file in manifest["files"])
