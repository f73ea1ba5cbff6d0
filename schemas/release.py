"""Releases: what was decided about each version, and by which run."""

from datetime import date, datetime
from typing import Literal

from schemas.row import Row


class LedgerEntry(Row):
    """One row per decision about a release; the first writer of an entry wins."""

    entry_id: str
    """Kind and subject, as `claim:2026-11-19.1` or `verdict:<content_id>:<parent>`."""
    kind: Literal["verdict", "claim", "published", "approval", "rollback", "expired", "recut"]
    """verdict: what the gate said of a content after a parent; claim: its name; published: its digest; approval: what a
    person said of it; rollback: it was withdrawn; expired: its files were removed; recut: its digest after an erasure."""
    content_id: str | None
    """Digest of everything the release is made from."""
    release: str | None
    """Its name, DATE.N."""
    parent: str | None
    """The release it follows; of a rollback, the one that was returned to."""
    as_of: date | None
    """The logical date."""
    passed: bool | None
    """The gate's verdict, or a person's."""
    failed: str | None
    """Names of the critical expectations that failed, as a JSON list."""
    digest: str | None
    """sha256 of the manifest."""
    previous_digest: str | None
    """sha256 of the manifest before an erasure."""
    by: str | None
    """Who approved or declined."""
    note: str | None
    """What they said of it, in their own words."""
    seconds: float | None
    """How long the run took until then."""
    recorded_at: datetime
    """When it was decided."""
    run_id: str
    """The run that decided it."""


class Decision(Row):
    """What a person decides of a release, in the form that they fill in."""

    approve: bool
    """Whether it becomes the current release; if not, it is withdrawn for good."""
    name: str
    """Who decides."""
    note: str = ""
    """Why, for the ledger."""


class RunEvent(Row):
    """One row per start and end of a run."""

    event_id: str
    """Run and event."""
    run_id: str
    """The run."""
    event: Literal["started", "ended"]
    """Which of the two."""
    as_of: date
    """The logical date it ran for."""
    labels: str
    """Which of people's labels it saw: then or now."""
    status: str | None
    """How it ended: published, unchanged, refused, source_refused or failed."""
    release: str | None
    """The release it answers with."""
    summary: str | None
    """What `assay run --json` printed."""
    recorded_at: datetime
    """When it started or ended."""
