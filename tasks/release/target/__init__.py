"""Targets: further places that hold what the folder of releases holds, kept in step with it by every run."""

import re
from pathlib import Path
from typing import Any, Protocol

from obstore.exceptions import BaseError

from schemas.curation.release import Target as Settings
from schemas.errors import AssayError
from schemas.run import Run
from tasks.release import ledger
from tasks.release.folder import alone, current, on_disk, order
from tasks.release.manifest import digest
from tasks.release.target.bucket import Bucket
from tasks.release.target.folder import Folder
from tasks.release.target.hub import Hub

_LOCK = ".targets.lock"
_CODE = re.compile(r"<Code>(\w+)</Code>")


class Target(Protocol):
    """A place that releases are copied to; whoever reads there sees a release whole or not at all."""

    is_shelf: bool
    """Whether releases stand there side by side; else the current one alone is wanted."""

    def releases(self) -> set[str]:
        """Return the names of the whole releases there."""

    def digest(self, release: str) -> str:
        """Return the sha256 of the manifest of a release there."""

    def put(self, place: Path) -> None:
        """Copy a release there from its folder."""

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
    """Bring a target into step: what has expired goes, what is missing comes, what was erased goes there too."""
    now, here, there = current(run.releases), on_disk(run.releases), target.releases()
    if now not in here:
        return
    gone, over = ledger.withdrawn(run), ledger.expired(run)
    stands = {name for name in here if name not in gone and order(name) <= order(now)}  # later ones wait for a person
    wanted = stands if target.is_shelf else {now}
    for release in sorted(there & over, key=order):
        target.remove(release)
    for release in sorted(_outdated(run, target, there & here.keys(), now), key=order):
        target.remove(release)
        there.discard(release)
        wanted = wanted | {release} if target.is_shelf else wanted
    for release in sorted(wanted - there, key=order):
        target.put(run.releases / release)
    target.point(now, gone)


def _outdated(run: Run, target: Target, both: set[str], now: str) -> set[str]:
    """Return the releases that an erasure has changed since; raise AssayError where the current one is not ours."""
    recut = {entry["release"] for entry in ledger.entries(run, "recut")}
    differ = {name for name in both & (recut | {now}) if target.digest(name) != digest(run.releases / name)}
    if differ - recut:
        raise AssayError(f"another release named {now} is there already; give this target another path")
    return differ
