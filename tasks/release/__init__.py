"""Examples become a release: staged, judged by the gate, named, and published whole or not at all."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import get_run_logger

from schemas.errors import AssayError
from schemas.promise import Suite
from schemas.release import Decision
from schemas.run import Run
from tasks.draft import write_table
from tasks.known import known
from tasks.release import disk, folder, latest, ledger, target
from tasks.release.content import content_id
from tasks.release.croissant import croissant
from tasks.release.evidence import evidence
from tasks.release.frames import framed
from tasks.release.manifest import MANIFEST, as_json, digest, listed
from tasks.release.measure import Measures, failing, measures
from tasks.release.staging import arrow_bytes, first_examples, rows_by_file, write_examples
from tasks.report import card, report
from tasks.stage import stage

__all__ = [
    "alone", "awaits", "copy", "decide", "describe", "evidence_file", "identify", "make_current", "publish", "recall",
    "record", "reduce_staged", "refusal_page", "stage_files",
]  # fmt: skip

alone, awaits = folder.alone, latest.awaits
_STAGING = ".staging"


@stage
def identify(run: Run, versions: dict[str, str]) -> str:
    """Return the content id of what a release as of the run would be made from."""
    return content_id(run, versions)


@stage
def recall(run: Run, content: str) -> dict[str, Any] | None:
    """Return how this content ended before: {status, release}; None where it is to be made (again).

    Where no item is known by the date there is nothing to make.
    """
    if not len(known(run).table("known_item")):
        return {"status": "unchanged", "release": None}
    if why := ledger.put_away(run, content):
        return {"status": "unchanged", "release": None, "why": why}
    if _is_refused(run, content):
        return {"status": "refused", "release": None}
    entry = ledger.published_as(run, content)
    if not entry or not (run.releases / entry["release"]).exists():
        return None
    place = run.releases / entry["release"]
    if not (place / MANIFEST).is_file() or digest(place) != ledger.digest_of(run, entry["release"]):
        raise AssayError(f"{place}: not as it was published; move it away, and the next run makes it again")
    return {"status": "unchanged", "release": str(place)}


def _is_refused(run: Run, content: str) -> bool:
    """Return whether the gate refused this content after the same parent, and why is still on disk."""
    verdict, kept = ledger.verdict_of(run, content), evidence_file(run, content)
    if verdict is None or verdict["passed"] or not kept.exists():
        return False
    return json.loads(kept.read_text(encoding="utf-8"))["parent"] == verdict["parent"]


@stage
def stage_files(run: Run) -> dict[str, int]:
    """Return the number of examples by split, their files staged beside the releases; call it within `alone`."""
    staged = _staged(run)
    disk.remove(staged)  # left behind by a run that was killed
    return write_examples(run, staged)


@stage
def reduce_staged(run: Run, versions: dict[str, str], content: str, suites: list[Suite]) -> Measures:
    """Return the measures that the gate judges, and leave among the drafts the items that break a promise."""
    connection = framed(run, versions, content, _staged(run))
    found = measures(connection, suites)
    write_table(run, "failing", failing(connection, suites, found))
    return found


@stage
def record(run: Run, versions: dict[str, str], content: str, verdict: dict[str, Any]) -> dict[str, Any] | None:
    """Return the evidence of a verdict, which is on disk before anything depends on it.

    None where another run added facts since `content` was identified: what was judged is then another content.
    """
    found = evidence(run, versions) | {"gate": verdict, "content_id": content, "parent": ledger.parent_of(run, content)}
    if content_id(run, versions) != content:
        return None
    disk.make(evidence_file(run, content).parent)
    if not verdict["passed"]:  # what is published has a report of its own
        told = found | {"as_of": str(run.as_of), "release": f"refused {content[:12]}"}
        disk.put(refusal_page(run, content), report(told))
    disk.put(evidence_file(run, content), as_json(found))
    ledger.record_verdict(run, content, verdict)
    return found


def evidence_file(run: Run, content: str) -> Path:
    """Return where the evidence of a content's verdict stands."""
    return run.store / "evidence" / f"{content}.json"


def refusal_page(run: Run, content: str) -> Path:
    """Return where the page stands that shows why a content was refused."""
    return evidence_file(run, content).with_suffix(".html")


@stage
def publish(run: Run, content: str, verdict: dict[str, Any], shown: dict[str, Any]) -> dict[str, Any]:
    """Return {status, release} of the staged files, published under the content's name; call it within `alone`."""
    claimed, staged = ledger.claim(run, content), _staged(run)
    shown = shown | {"release": claimed.release, "parent": claimed.parent, "as_of": str(claimed.as_of)}
    describe(staged, shown, verdict)
    place = run.releases / claimed.release
    seconds = (datetime.now(UTC) - run.started_at).total_seconds()
    ledger.record_published(run, content, claimed, digest(staged), seconds)
    if place.exists():  # made from another store: the same bytes, or not ours to touch
        if digest(place) != digest(staged):
            raise AssayError(f"{place}: not as it was published; move it away, and the next run makes it again")
        disk.remove(staged)
    else:
        folder.enter(staged, place)
    get_run_logger().info("published %s", claimed.release)
    return {"status": "published", "release": str(place)}


@stage
def decide(run: Run, outcome: dict[str, Any], decision: Decision | None) -> dict[str, Any]:
    """Return the outcome with what a person decided of its release; where none came, it waits for the next run."""
    release = Path(outcome["release"]).name
    if decision is None:
        return outcome | {"why": f"{release} waits for approval: run its date again to be asked again"}
    told = ledger.record_approval(run, release, decision)
    get_run_logger().info("%s %s", release, "approved" if told["passed"] else "declined")
    if told["passed"]:
        return outcome | {"approved_by": told["by"]}
    return {"status": "refused", "release": None, "why": f"{release} was declined by {told['by']}"}


@stage
def make_current(run: Run, outcome: dict[str, Any]) -> dict[str, Any]:
    """Return the outcome once the latest release that stands is the current one, and the oldest are removed."""
    if not run.releases.is_dir():
        return outcome
    name = Path(outcome["release"]).name if outcome["release"] else None
    with alone(run.releases):
        latest.advance(run, None if latest.awaits(run, name) else name)
        latest.expire(run, name)
    if name in ledger.withdrawn(run):  # while it was being made or approved
        return {"status": "unchanged", "release": None, "why": f"{name} was withdrawn meanwhile"}
    return outcome


@stage
def copy(run: Run) -> list[dict[str, Any]]:
    """Return, for each target, {kind, path, latest, error} once it is in step with the folder, or why it is not."""
    told = target.copied(run)
    for one in told:
        if one["error"]:
            get_run_logger().warning("target %s: %s; the next run tries again", one["path"], one["error"])
    return told


def describe(staged: Path, shown: dict[str, Any], verdict: dict[str, Any]) -> None:
    """Write what a release says of itself; the manifest last."""
    rows = rows_by_file(shown["curation"], shown["formats"], shown["splits"])
    data = listed(staged, rows)
    shown = shown | {"files": data, "arrow_bytes": arrow_bytes(staged)}
    disk.write(staged / "certificate.json", as_json(shown["certificate"] | {"release": shown["release"]}))
    disk.write(staged / "checks.json", as_json(verdict))
    disk.write(staged / "croissant.json", as_json(croissant(shown, data)))
    disk.write(staged / "README.md", card(shown, first_examples(staged, shown.get("card_examples", 0))))
    disk.write(staged / "report.html", report(shown))
    manifest = {
        "curation": shown["curation"],
        "release": shown["release"],
        "parent": shown["parent"],
        "as_of": shown["as_of"],
        "content_id": shown["content_id"],
        "versions": shown["versions"],
        "labels": shown["labels"],
        "formats": shown["formats"],
        "splits": shown["splits"],
        "files": listed(staged, rows),
    }
    disk.write(staged / MANIFEST, as_json(manifest))


def _staged(run: Run) -> Path:
    return run.releases / _STAGING
