"""The ledger: what was decided about each content, under which name it was published, and what is current."""

import fcntl
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from schemas.errors import AssayError
from schemas.run import Run
from tasks.release import disk
from tasks.release.manifest import MANIFEST
from tasks.store import Store

LATEST = "LATEST"
_NAME = re.compile(r"\d{4}-\d{2}-\d{2}\.[1-9]\d*")


@dataclass(frozen=True)
class Claim:
    """The name a content has, for good."""

    release: str
    parent: str | None
    as_of: date


def order(release: str) -> tuple[str, int]:
    """Return what releases are ordered by: their date, then their number."""
    day, number = release.split(".")
    return day, int(number)


@contextmanager
def alone(folder: Path, lock: str = ".lock") -> Iterator[None]:
    """Let one process at a time write into a folder of releases; the system lets go of the lock when a process dies.

    Raise AssayError where the folder cannot be written, or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / lock).open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield
    except OSError as error:
        place = error.filename or folder
        raise AssayError(
            f"{place}: cannot be written ({error.strerror or error}); make room or give leave, and run again: what was done is kept"
        ) from None


def entries(run: Run, kind: str) -> list[dict[str, Any]]:
    """Return the ledger's entries of a kind, oldest first."""
    rows = (
        Store(run.store)
        .connect()
        .sql("select * from ledger where kind = $kind order by recorded_at, entry_id", params={"kind": kind})
    )
    return rows.pl().to_dicts()


def verdict_of(run: Run, content_id: str) -> dict[str, Any] | None:
    """Return the gate's verdict on a content, or None where it has not been judged."""
    return next((entry for entry in entries(run, "verdict") if entry["content_id"] == content_id), None)


def published_as(run: Run, content_id: str) -> dict[str, Any] | None:
    """Return the ledger's entry of a content that was published, or None."""
    return next((entry for entry in entries(run, "published") if entry["content_id"] == content_id), None)


def record_verdict(run: Run, content_id: str, verdict: dict[str, Any]) -> None:
    """Write down what the gate said of a content."""
    _record(
        run,
        "verdict",
        content_id,
        content_id=content_id,
        passed=verdict["passed"],
        failed=json.dumps(verdict["failed"]),
    )


def claim(run: Run, content_id: str) -> Claim:
    """Return the name of a content: the one it has, here or in the ledger, else the next of the run's date."""
    here, claims, published = on_disk(run.releases), entries(run, "claim"), entries(run, "published")
    # What stands here counts first: it was published from another store, or from one that was lost.
    for named in [*here.values(), *published, *claims]:
        name = named["release"]
        is_taken = name in here and here[name]["content_id"] != content_id  # by another store, after this one's claim
        if named["content_id"] == content_id and not is_taken:
            return Claim(name, named["parent"], _date(name))
    name = _next({entry["release"] for entry in claims} | here.keys(), run.as_of)
    earlier = {entry["release"] for entry in published} | here.keys()
    parent = max((other for other in earlier if order(other) < order(name)), key=order, default=None)
    _record(run, "claim", name, content_id=content_id, release=name, parent=parent, as_of=_date(name))
    return claim(run, content_id)  # as it stands: another run may have been first


def on_disk(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the manifest of each release in a folder, by its name; what was moved aside has another name."""
    places = sorted(place for place in folder.glob(f"*/{MANIFEST}") if _NAME.fullmatch(place.parent.name))
    return {place.parent.name: _manifest(place) for place in places}


def _manifest(place: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(place.read_bytes())
        return {key: manifest[key] for key in ("release", "parent", "content_id")}
    except (ValueError, TypeError, KeyError):
        raise AssayError(f"{place}: is no manifest; move the folder away, and run again") from None


def _date(name: str) -> date:
    return date.fromisoformat(order(name)[0])


def _next(taken: set[str], as_of: date) -> str:
    numbers = [order(name)[1] for name in taken if order(name)[0] == str(as_of)]
    return f"{as_of}.{max(numbers, default=0) + 1}"


def record_published(run: Run, content_id: str, claimed: Claim, digest: str, seconds: float) -> None:
    """Write down the digest of a published manifest; raise AssayError where the same content once had other bytes."""
    before = published_as(run, content_id)
    if before and before["digest"] != digest:
        raise AssayError(
            f"{claimed.release}: the same content gave other bytes (manifest {digest[:12]}, in the ledger "
            f"{before['digest'][:12]}): was it made by another version of the code?"
        )
    _record(run, "published", claimed.release, content_id=content_id, release=claimed.release, parent=claimed.parent,
            digest=digest, seconds=seconds)  # fmt: skip


def _record(run: Run, kind: str, subject: str, **columns: Any) -> None:
    empty = dict.fromkeys(("content_id", "release", "parent", "passed", "failed", "digest", "seconds"))
    stamp = {"as_of": run.as_of, "recorded_at": run.started_at, "run_id": run.run_id}
    Store(run.store).merge("ledger", [{"entry_id": f"{kind}:{subject}", "kind": kind} | empty | stamp | columns])


def current(folder: Path) -> str | None:
    """Return the name of the current release, or None."""
    place = folder / LATEST
    return place.read_text(encoding="utf-8").strip() if place.is_file() else None


def advance(folder: Path, release: str) -> None:
    """Make a release the current one, if it is later than the one that is."""
    with alone(folder, f".{LATEST}.lock"):  # else a slower run could put an earlier name back
        before = current(folder)
        if before is None or order(release) > order(before):
            draft = folder / f".{LATEST}"
            disk.write(draft, release + "\n")
            disk.move(draft, folder / LATEST)
            disk.sync(folder)
