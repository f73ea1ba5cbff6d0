"""A run: which curation, for which date, in which home, seeing which labels."""

import os
import secrets
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

from schemas.curation import Curation, find, load
from schemas.errors import RequestError
from schemas.row import Row

Labels = Literal["then", "now"]
FARTHEST = timedelta(days=3653)  # ahead of the clock, which may be wrong


class Run(Row):
    """What every stage is told; values only, so that it may cross any boundary."""

    run_id: str
    """Names the run in the facts it adds."""
    as_of: date
    """The logical date."""
    labels: Labels
    """then: people's labels available by that date; now: every label known."""
    started_at: datetime
    """When the run started, UTC: the clock of all it records."""
    home: Path
    """Folder of the stores."""
    folder: Path
    """Folder of the curation's file, which its paths are relative to."""
    curation: Curation
    """What the run was told."""
    max_usd: float | None = None
    """What models may cost in it, in US dollars, beside the curation's budget."""

    @property
    def store(self) -> Path:
        """Return the folder of this curation's store."""
        return self.home / self.curation.name

    @property
    def releases(self) -> Path:
        """Return the folder of this curation's releases."""
        return self.folder / self.curation.release.path / self.curation.name

    @property
    def drafts(self) -> Path:
        """Return the folder of what this run derives, for later stages to read."""
        return self.store / "derived" / self.run_id


def started(
    curation: str,
    as_of: date | None = None,
    labels: Labels = "then",
    home: str | None = None,
    max_usd: float | None = None,
) -> Run:
    """Return a new run of a curation: its file read, its clock set; raise RequestError where curation or date is wrong."""
    file, now = find(curation), datetime.now(UTC)
    if as_of and as_of > now.date() + FARTHEST:  # what is done for a date cannot be undone, and earlier ones then wait
        raise RequestError(f"{as_of} lies more than ten years ahead: is the year mistyped?")
    return Run(
        run_id=f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}",
        as_of=as_of or now.date(),
        labels=labels,
        started_at=now,
        home=Path(home or os.environ.get("ASSAY_HOME") or ".assay").absolute(),
        folder=file.parent,
        curation=load(file),
        max_usd=max_usd,
    )
