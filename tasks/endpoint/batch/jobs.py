"""Batch jobs as the store knows them: each is the sum of its events, and its key comes from the requests in it."""

import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import duckdb

from tasks.store import Ids

Facts = duckdb.DuckDBPyConnection

REMEMBERED = timedelta(days=30)  # endpoints drop a batch's files after that, and what failed before it is new again
LIMIT_REMEMBERED = timedelta(days=1)
# why a job was given up
UNSENT = "unsent"  # its run died before it was sent: no fault of its own
NOT_TAKEN = "not_taken"  # the endpoint refused it
QUEUE_FULL = "queue_full"  # the account has too many tokens waiting, some of them ours
TOO_LARGE = "too_large"  # the same while none of ours was waiting: it takes smaller ones

_JOBS = """
    select
        batch_key,
        max(recorded_at) filter (step = 'planned') as planned_at,
        max(run_id) filter (step = 'planned') as run_id,
        max(requests) filter (step = 'planned') as requests,
        max(usd_at_most) filter (step = 'planned') as usd_at_most,
        max(recorded_at) filter (step = 'submitted') as submitted_at,
        max(remote_id) filter (step = 'submitted') as remote_id,
        max(recorded_at) filter (step in ('ended', 'abandoned')) as closed_at,
        max(status) filter (step in ('ended', 'abandoned')) as status,
        coalesce(bool_or(step = 'ended'), false) as is_ended,
        coalesce(max(failed), 0) as failed,
        coalesce(bool_or(step = 'cleared'), false) as is_cleared
    from batch
    where base_url = $base_url and annotator_id = $annotator_id
    group by batch_key
    having bool_or(step = 'planned')
"""


@dataclass(frozen=True)
class Owner:
    """Whose jobs: an annotator at an endpoint, and the run that acts for it."""

    base_url: str
    annotator_id: str
    run_id: str


@dataclass(frozen=True)
class Job:
    """A batch: the items of its requests by reply id, and how far it has come."""

    key: str
    items: dict[str, str]
    planned_at: datetime
    run_id: str
    submitted_at: datetime | None = None
    remote_id: str | None = None
    closed_at: datetime | None = None
    status: str | None = None
    is_ended: bool = False
    usd_at_most: float | None = None

    @property
    def began_at(self) -> datetime:
        """Return since when its requests wait for an answer."""
        return self.submitted_at or self.planned_at


@dataclass(frozen=True)
class Past:
    """What came of a reply's earlier batches: how many there were, how many were no use, since when it waits."""

    rounds: int = 0
    failed: int = 0
    is_invalid: bool = False
    since: datetime | None = None

    def after(self, job: Job) -> "Past":
        """Return the same with one more job, closed, that did not answer it."""
        if job.status == UNSENT:
            return Past(self.rounds + 1, self.failed, self.is_invalid, self.since)
        return Past(
            self.rounds + 1,
            self.failed + (job.is_ended or job.status == NOT_TAKEN),
            self.is_invalid or (job.is_ended and job.status == "failed"),
            min(self.since or job.began_at, job.began_at),
        )


def key(ids: Ids, owner: Owner, rounds: int, reply_ids: Collection[str]) -> str:
    """Return the key of a job: of what it asks, and of how many came before it."""
    return ids.id("batch", owner.base_url, owner.annotator_id, rounds, *sorted(reply_ids))


def open_jobs(facts: Facts, owner: Owner, key: str | None = None) -> Iterator[Job]:
    """Yield the jobs that are planned or submitted and not closed, oldest first; of one key, where it is given."""
    return _select(facts, owner, "closed_at is null and ($key is null or batch_key = $key)", key=key)


def uncleared(facts: Facts, owner: Owner, now: datetime) -> list[Job]:
    """Return the closed jobs whose files may still lie at the endpoint."""
    where = "closed_at > $since and remote_id is not null and not is_cleared"
    return list(_select(facts, owner, where, since=now - REMEMBERED))


def past(facts: Facts, owner: Owner, wanted: Collection[str], now: datetime) -> dict[str, Past]:
    """Return what came of the earlier batches of those wanted replies that had any."""
    found: dict[str, Past] = {}
    for job in _select(facts, owner, "closed_at > $since and (failed > 0 or not is_ended)", since=now - REMEMBERED):
        for reply_id in job.items:
            if reply_id in wanted:
                found[reply_id] = found.get(reply_id, Past()).after(job)
    return found


def most_at_once(facts: Facts, owner: Owner, now: datetime) -> int | None:
    """Return how many requests one batch may hold, and it alone, since the endpoint's queue was full; None if it was not."""
    where = f"closed_at > $since and status in ('{QUEUE_FULL}', '{TOO_LARGE}')"
    full = list(_select(facts, owner, where, since=now - LIMIT_REMEMBERED))
    halves = [max(1, len(job.items) // 2) for job in full if job.status == TOO_LARGE]
    return min(halves, default=max(len(job.items) for job in full)) if full else None


def answered(facts: Facts, wanted: Collection[str]) -> set[str]:
    """Return those of the wanted replies that are in the store."""
    query = "select reply_id from reply where reply_id in (select unnest($ids))"
    return {reply_id for (reply_id,) in facts.execute(query, {"ids": list(wanted)}).fetchall()}


def _select(facts: Facts, owner: Owner, where: str, **parameters: Any) -> Iterator[Job]:
    """Yield jobs by what their events say, one at a time: the requests of one are megabytes."""
    query = f"select * from ({_JOBS}) where {where} order by planned_at, batch_key"
    parameters |= {"base_url": owner.base_url, "annotator_id": owner.annotator_id}
    rows = facts.execute(query, parameters)
    while row := rows.fetchone():
        key, planned_at, run_id, requests, usd, submitted_at, remote_id, closed_at, status, is_ended, _, _ = row
        items = dict(json.loads(requests))
        yield Job(key, items, planned_at, run_id, submitted_at, remote_id, closed_at, status, is_ended, usd)


def planned(owner: Owner, key: str, items: dict[str, str], usd: float | None, now: datetime) -> dict[str, Any]:
    """Return the event of a job that is about to be sent."""
    requests = json.dumps(list(items.items()), separators=(",", ":"))
    return event(owner, key, "planned", now, requests=requests, usd_at_most=usd)


def event(owner: Owner, key: str, step: str, now: datetime, **columns: Any) -> dict[str, Any]:
    """Return the event of a step of a job; a step is taken once."""
    row = {"event_id": f"{key}:{step}", "batch_key": key, "step": step, "base_url": owner.base_url,
           "annotator_id": owner.annotator_id, "remote_id": None, "requests": None, "status": None, "answered": None,
           "failed": None, "usd_at_most": None, "recorded_at": now, "run_id": owner.run_id}  # fmt: skip
    return row | columns


def private(path: Path) -> BinaryIO:
    """Return a file opened for writing that only its owner can read: it holds texts."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
