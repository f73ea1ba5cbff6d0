"""The plan of an erasure: what is to go, kept in a file of its own until all of it is gone."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from schemas.run import Run
from tasks.erasure.sought import Sought
from tasks.erasure.subject import Asked, Subject
from tasks.release import disk

FOLDER = "erasing"


@dataclass(frozen=True)
class Plan:
    """What one erasure takes out: so that one that was killed can go on, whatever is gone already."""

    erasure_id: str
    asked: Asked
    by: str
    started_at: str
    gone: Subject
    sought: Sought
    rows: dict[str, int] = field(default_factory=dict)
    """Rows to go, by table."""
    releases: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of each release that holds some of it: rows to go, and the digest it has until then."""
    files: dict[str, int] = field(default_factory=dict)
    """Rows to go of other files, by path in the home."""
    remote: list[dict[str, Any]] = field(default_factory=list)
    """Batches at endpoints that were sent the texts, and whose files may still be there."""


def keep(run: Run, plan: Plan) -> None:
    """Write a plan down: it holds the texts to look for, so only its owner may read it, and it goes last."""
    folder = run.store / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # so that nobody else can read what is in it
    disk.put(folder / f"{plan.erasure_id}.json", json.dumps(asdict(plan)))


def unfinished(run: Run) -> list[Plan]:
    """Return the plans of erasures that are not finished: they were killed, or left something."""
    return [_read(place) for place in sorted((run.store / FOLDER).glob("*.json"))]


def _read(place: Path) -> Plan:
    given = json.loads(place.read_text(encoding="utf-8"))
    parts = {"asked": Asked(**given["asked"]), "gone": Subject(**given["gone"]), "sought": Sought(**given["sought"])}
    return Plan(**given | parts)


def forget(run: Run, erasure_id: str) -> None:
    """Remove a plan."""
    disk.remove(run.store / FOLDER / f"{erasure_id}.json")


def sweep(run: Run) -> None:
    """Remove what is left of plans that were not wholly written down, of erasures that never began."""
    for place in (run.store / FOLDER).glob(".*.new"):
        disk.remove(place)
