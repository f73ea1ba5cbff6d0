"""The ledger: what was decided about each content and each release, by whom, and under which name it was published."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from schemas.errors import AssayError
from schemas.release import Decision, LedgerEntry
from schemas.run import Run
from tasks.release.folder import on_disk, order
from tasks.store import Store


@dataclass(frozen=True)
class Claim:
    """The name a content has, for good."""

    release: str
    parent: str | None
    as_of: date


def entries(run: Run, kind: str) -> list[dict[str, Any]]:
    """Return the ledger's entries of a kind, oldest first."""
    found = [row for row in Store(run.store).rows("ledger") if row["kind"] == kind]
    return sorted(found, key=lambda row: (row["recorded_at"], row["entry_id"]))


def verdict_of(run: Run, content_id: str) -> dict[str, Any] | None:
    """Return the gate's verdict on a content after the release it would follow now, or None where there is none."""
    parent = parent_of(run, content_id)
    judged = [entry for entry in entries(run, "verdict") if entry["content_id"] == content_id]
    return next((entry for entry in judged if entry["parent"] == parent), None)


def published_as(run: Run, content_id: str) -> dict[str, Any] | None:
    """Return the ledger's entry of a content that was published, or None."""
    return next((entry for entry in entries(run, "published") if entry["content_id"] == content_id), None)


def withdrawn(run: Run) -> set[str]:
    """Return the releases that were rolled back, or that a person declined."""
    declined = {entry["release"] for entry in entries(run, "approval") if not entry["passed"]}
    return declined | returned_from(run).keys()


def returned_from(run: Run) -> dict[str, str]:
    """Return the releases that were rolled back, each with the one that was returned to."""
    return {entry["release"]: entry["parent"] for entry in entries(run, "rollback")}


def expired(run: Run) -> set[str]:
    """Return the releases whose files were removed because later ones are enough."""
    return {entry["release"] for entry in entries(run, "expired")}


def put_away(run: Run, content_id: str) -> str | None:
    """Return why a content that was published is not made again: it was withdrawn or has expired; None where it may be."""
    reasons = {"approval": "was declined", "rollback": "was rolled back", "expired": "has expired"}
    for kind, reason in reasons.items():
        for entry in entries(run, kind):
            if entry["content_id"] == content_id and not entry["passed"]:
                return f"{entry['release']}, which has this content, {reason}"
    return None


def approval_of(run: Run, release: str) -> dict[str, Any] | None:
    """Return what a person decided of a release, {passed, by, note, …}; None where nobody has."""
    return next((entry for entry in entries(run, "approval") if entry["release"] == release), None)


def digest_of(run: Run, release: str) -> str | None:
    """Return the sha256 of a release's manifest as it must be now: that after its last erasure, else as published."""
    told = [entry for kind in ("published", "recut") for entry in entries(run, kind) if entry["release"] == release]
    return told[-1]["digest"] if told else None


def record_recut(run: Run, release: str, digest: str, previous_digest: str) -> None:
    """Write down the digest that a release's manifest has after an erasure."""
    _record(run, "recut", f"{release}:{digest}", release=release, digest=digest, previous_digest=previous_digest)


def record_verdict(run: Run, content_id: str, verdict: dict[str, Any]) -> None:
    """Write down what the gate said of a content after the release it follows: a verdict depends on both."""
    parent, failed = parent_of(run, content_id), json.dumps(verdict["failed"])
    subject = f"{content_id}:{parent or '-'}"
    _record(run, "verdict", subject, content_id=content_id, parent=parent, passed=verdict["passed"], failed=failed)


def record_approval(run: Run, release: str, decision: Decision) -> dict[str, Any]:
    """Return what a person decided of a published release, {passed, by, note, …}: who comes first decides."""
    content = next(entry["content_id"] for entry in entries(run, "published") if entry["release"] == release)
    _record(run, "approval", release, release=release, content_id=content, as_of=date_of(release),
            passed=decision.approve, by=decision.name, note=decision.note, recorded_at=datetime.now(UTC))  # fmt: skip
    return approval_of(run, release)


def record_rollback(run: Run, contents: dict[str, str], to: str) -> None:
    """Write down, all at once, that releases {name: content id} were withdrawn, to return to another."""
    _record_all(run, [_entry(run, "rollback", name, release=name, content_id=content, parent=to, as_of=date_of(name))
                      for name, content in contents.items()])  # fmt: skip


def record_expired(run: Run, contents: dict[str, str]) -> None:
    """Write down, all at once, that the files of releases {name: content id} are to go."""
    _record_all(run, [_entry(run, "expired", name, release=name, content_id=content, as_of=date_of(name))
                      for name, content in contents.items()])  # fmt: skip


def parent_of(run: Run, content_id: str) -> str | None:
    """Return the release that one of this content follows: the highest earlier one not withdrawn; None for the first."""
    return _named(run, content_id).parent


def claim(run: Run, content_id: str) -> Claim:
    """Return the name of a content: the one it has, here or in the ledger, else the next of the run's date."""
    named = _named(run, content_id)
    _record(run, "claim", named.release, content_id=content_id, release=named.release, parent=named.parent,
            as_of=named.as_of)  # fmt: skip
    return _named(run, content_id)  # as it stands: another run may have been first


def _named(run: Run, content_id: str) -> Claim:
    """Return the name that a content has or would get, and its parent, which is fixed once it was published."""
    here, published, claims = on_disk(run.releases), entries(run, "published"), entries(run, "claim")
    others = {name for name, entry in here.items() if entry["content_id"] != content_id}  # of another store, perhaps

    def own(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        return [one for one in found if one["content_id"] == content_id and one["release"] not in others]

    # What stands here counts first: it was published from another store, or from one that was lost.
    if fixed := own([*here.values(), *published]):
        return Claim(fixed[0]["release"], fixed[0]["parent"], date_of(fixed[0]["release"]))
    claimed = [entry["release"] for entry in own(claims)]
    name = claimed[0] if claimed else _next({entry["release"] for entry in claims} | here.keys(), run.as_of)
    earlier = ({entry["release"] for entry in published} | here.keys()) - withdrawn(run)
    parent = max((other for other in earlier if order(other) < order(name)), key=order, default=None)
    return Claim(name, parent, date_of(name))


def date_of(name: str) -> date:
    """Return the logical date of a release."""
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
    _record_all(run, [_entry(run, kind, subject, **columns)])


def _entry(run: Run, kind: str, subject: str, **columns: Any) -> dict[str, Any]:
    empty, stamp = dict.fromkeys(LedgerEntry.model_fields), {"recorded_at": run.started_at, "run_id": run.run_id}
    return empty | {"entry_id": f"{kind}:{subject}", "kind": kind, "as_of": run.as_of} | stamp | columns


def _record_all(run: Run, rows: list[dict[str, Any]]) -> None:
    Store(run.store).merge("ledger", rows)
