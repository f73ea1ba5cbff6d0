"""Asking by batch: plan, send, poll, take what came, ask again for what did not.

The order of writes is what lets a kill anywhere lose nothing and repeat nothing. A job is in the store before it is
sent, and carries its key as metadata, so that one sent unheard is found. Its rows are saved before it counts as ended,
and it has ended before its files go.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import openai
from openai.types import Batch as RemoteBatch

from schemas.curation import Batch
from schemas.errors import BudgetStop, RequestError
from tasks.endpoint.batch import jobs, plan
from tasks.endpoint.batch.harvest import Harvest, Save
from tasks.endpoint.batch.jobs import Job, Owner, Past
from tasks.endpoint.batch.plan import Means, Request
from tasks.endpoint.batch.remote import FULL, Later, NotTaken, Remote
from tasks.endpoint.failure import USED_UP, Do, Failure
from tasks.store import Ids, Store, alone

ROUNDS = 2  # batches a request may fail in before it is asked for directly
POLL_S = (60.0, 900.0)  # first and longest pause
POLL_FACTOR = 1.5
CANCELLING = timedelta(minutes=15)  # the Batch API takes up to 10 to stop a batch
STUCK = timedelta(days=1)  # a batch that has not ended so long after it was to be cancelled never will
ENDED = {"completed", "failed", "expired", "cancelled"}

Lose = Callable[[list[tuple[str, str, float | None]]], None]


@dataclass
class Outcome:
    """What became of the requests: each is in one of answered, set_aside, direct, unaffordable and pending."""

    answered: set[str] = field(default_factory=set)
    """Reply ids; their rows were saved, or already in the store."""
    set_aside: set[str] = field(default_factory=set)
    """Reply ids refused for a reason of their own; saved with the status and body of the refusal."""
    direct: list[Request] = field(default_factory=list)
    """To be asked for directly: they wait for too long, or failed in batches."""
    unaffordable: list[Request] = field(default_factory=list)
    """Not sent: there was no room for what they may cost."""
    pending: list[str] = field(default_factory=list)
    """Reply ids that a later run takes up."""
    counts: Counter[str] = field(default_factory=Counter)
    """Batches: submitted, ended, abandoned, put_off. Their rows: answered, set_aside, failed, missing, repeated, foreign."""


async def ask(
    client: openai.AsyncOpenAI,
    store: Store,
    ids: Ids,
    owner: Owner,
    requests: list[Request],
    settings: Batch,
    save: Save,
    *,
    api: str = "chat",
    usd_at_most: Callable[[dict[str, Any]], float | None] = lambda body: None,
    room_usd: float = float("inf"),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    is_over: Callable[[], bool] = lambda: False,
    lose: Lose = lambda lost: None,
) -> Outcome:
    """Return what became of the requests once none is pending, or once the time to wait, or the run, is over.

    `save` is given rows that are final, those of earlier runs' batches too; what it keeps must be in the store's
    `reply` table when it returns, and it may return the ids of those that are no reply after all. `usd_at_most` is of
    one body at the price of a batch; requests for which `room_usd` has no room are not sent. `sleep` may return early
    where the run `is_over`. `lose` is given the requests that may be charged and of which nothing will ever come: a
    name for each that does not change, its item, and the most it can have cost, in US dollars.
    """
    remote = Remote(client, owner.annotator_id, sleep, is_over)
    wanted = {request["reply_id"]: request for request in requests}
    asking = _Asking(store, ids, owner, settings, save, lose, api, Means(usd_at_most, room_usd), now, remote, wanted)
    return await asking.all()


@dataclass
class _Asking:
    store: Store
    ids: Ids
    owner: Owner
    settings: Batch
    save: Save
    lose: Lose
    api: str
    means: Means
    now: Callable[[], datetime]
    remote: Remote
    wanted: dict[str, Request]
    outcome: Outcome = field(default_factory=Outcome)
    homes: dict[str, Job] = field(default_factory=dict)
    until: datetime | None = None
    is_full: bool = False

    async def all(self) -> Outcome:
        """Return what became of the requests: go round until nothing is open, or the time or the run is over."""
        self.until = self.now() + timedelta(minutes=self.settings.wait_minutes)
        for job in jobs.uncleared(self.store.connect(), self.owner, self.now()):
            await self._alone(job, self._clear)
        pause, longest = POLL_S
        while True:
            await self._round()
            left = (self.until - self.now()).total_seconds()
            if left <= 0 or not (self.outcome.pending or self.homes):
                return self.outcome
            await self.remote.sleep(min(pause, left))
            if self.remote.is_over():
                return self.outcome
            pause = min(pause * POLL_FACTOR, longest)

    async def _round(self) -> None:
        """Take every open job one step on, and send what has no job."""
        self.is_full = False
        for job in jobs.open_jobs(self.store.connect(), self.owner):
            await self._alone(job, self._advance)
        made = True
        while made and not self.is_full:
            with ExitStack() as held:
                made = self._planned(held)
                for job in made:
                    await self._try(job, self._send)

    async def _alone(self, job: Job, step: Callable[[Job], Awaitable[None]]) -> None:
        """Take a step with a job, as it is now, unless somebody else is at it or the run is over."""
        if self.remote.is_over():
            return
        with alone(self._folder, job.key) as is_alone:
            if is_alone and not job.closed_at:
                job = self._reread(job.key)
            if is_alone and job:
                await self._try(job, step)

    async def _try(self, job: Job, step: Callable[[Job], Awaitable[None]]) -> None:
        """Take a step with a job; one that the endpoint does not allow now is taken later."""
        try:
            await step(job)
        except (Later, openai.APIStatusError):
            self.outcome.counts["put_off"] += 1

    def _reread(self, key: str) -> Job | None:
        return next(jobs.open_jobs(self.store.connect(), self.owner, key), None)

    # what to send

    def _planned(self, held: ExitStack) -> list[Job]:
        """Return new jobs for the requests that no batch holds, in the store and locked before any of them is sent."""
        with alone(self._folder, "plan", wait=True):  # else two runs could plan for one request at once
            connection = self.store.connect()
            self.homes = {job.key: job for job in jobs.open_jobs(connection, self.owner)}
            loose, past = self._loose(connection)
            sizes = {request["reply_id"]: len(plan.line(request, self.api)) for request in loose}
            self.outcome.direct = [one for one in loose if self._is_for_direct(one, past, sizes)]
            loose = [one for one in loose if not self._is_for_direct(one, past, sizes)]
            self.means.unaffordable = self.outcome.unaffordable = []
            most = jobs.most_at_once(connection, self.owner, self.now())
            packs = plan.packs(loose, sizes, most or plan.MAX_REQUESTS, self.means)
            if most:  # the endpoint's queue was full: one batch at a time
                packs = () if self.homes or self.is_full else islice(packs, 1)
            if self.remote.is_over():
                packs = ()
            made = [job for pack in packs if (job := self._plan(pack, past, held))]
        others = {one["reply_id"] for one in (*self.outcome.direct, *self.outcome.unaffordable)}
        others |= self.outcome.answered | self.outcome.set_aside
        self.outcome.pending = [reply_id for reply_id in self.wanted if reply_id not in others]
        return made

    def _loose(self, connection: duckdb.DuckDBPyConnection) -> tuple[list[Request], dict[str, Past]]:
        """Return the requests that are neither settled nor in an open batch, and what came of their earlier batches."""
        homed = {reply_id for job in self.homes.values() for reply_id in job.items}
        loose = self.wanted.keys() - homed - self.outcome.answered - self.outcome.set_aside
        answered = jobs.answered(connection, loose) if loose else set()  # by another run, since this one looked
        self.outcome.answered |= answered
        loose -= answered
        past = jobs.past(connection, self.owner, loose, self.now()) if loose else {}
        return [request for reply_id, request in self.wanted.items() if reply_id in loose], past

    def _is_for_direct(self, request: Request, past: dict[str, Past], sizes: dict[str, int]) -> bool:
        was = past.get(request["reply_id"], Past())
        is_old = was.since is not None and self.now() - was.since >= self._direct_after
        return is_old or was.is_invalid or was.failed >= ROUNDS or sizes[request["reply_id"]] > plan.MAX_BYTES

    def _plan(self, pack: list[Request], past: dict[str, Past], held: ExitStack) -> Job | None:
        """Return a new job for the requests, locked; None where there is one of that key already."""
        items = {request["reply_id"]: request["item_id"] for request in pack}
        rounds = max(past.get(reply_id, Past()).rounds for reply_id in items)
        key, now = jobs.key(self.ids, self.owner, rounds, items), self.now()
        is_alone = held.enter_context(alone(self._folder, key))
        if not is_alone:
            return None
        if self.store.merge("batch", [jobs.planned(self.owner, key, items, self.means.at_most(pack), now)]):
            return Job(key, items, now, self.owner.run_id)
        if not self._reread(key):  # it has ended, and yet they are asked for
            self.outcome.direct += pack
        return None

    async def _send(self, job: Job) -> None:
        """Send a job whose requests are all at hand, unless the run is over."""
        if self.remote.is_over():
            return self._abandon(job, jobs.UNSENT)
        body = self._folder / f"{job.key}.jsonl"
        try:
            with jobs.private(body) as file:
                file.writelines(plan.line(self.wanted[reply_id], self.api) for reply_id in job.items)
            remote_id = await self.remote.send(job, body, plan.path(self.api))
        except NotTaken as error:
            self._abandon(job, self._fullness(job) if error.is_full else jobs.NOT_TAKEN)
        except (RequestError, BudgetStop):
            self._abandon(job, jobs.UNSENT)
            raise
        else:
            self._record(job, "submitted", remote_id=remote_id)
            self.outcome.counts["submitted"] += 1
        finally:
            body.unlink(missing_ok=True)

    def _fullness(self, job: Job) -> str:
        """Return what a full queue says of a job: that others of ours go first, or that it is too large itself."""
        self.is_full = True
        others = (other for other in jobs.open_jobs(self.store.connect(), self.owner) if other.key != job.key)
        return jobs.QUEUE_FULL if any(other.remote_id for other in others) else jobs.TOO_LARGE

    # what came

    async def _advance(self, job: Job) -> None:
        """Take an open job one step on."""
        if not job.remote_id:
            return await self._recover(job)
        batch, age = await self.remote.batch(job.remote_id), self.now() - job.began_at
        if batch and batch.status not in ENDED | {"cancelling"} and age >= self._direct_after:
            batch = await self.remote.cancel(batch)
            self.until = max(self.until, self.now() + CANCELLING)
        is_stuck = age >= self._direct_after + (STUCK if batch else timedelta(0))
        if is_stuck or (batch and batch.status in ENDED):
            await self._settle(job, batch, is_stuck)

    async def _recover(self, job: Job) -> None:
        """Take up a job that was planned and perhaps sent, by a run that did not live to write it down."""
        body = self._folder / f"{job.key}.jsonl"
        body.unlink(missing_ok=True)
        if remote_id := await self.remote.find(job):
            self._record(job, "submitted", remote_id=remote_id)
            self.outcome.counts["submitted"] += 1
            return
        await self.remote.forget_uploads(body.name)
        if job.items.keys() <= self.wanted.keys():
            await self._send(job)
        else:  # its texts are not at hand: those of it that are wanted get a new one
            self._abandon(job, jobs.UNSENT)

    async def _settle(self, job: Job, batch: RemoteBatch | None, is_stuck: bool) -> None:
        """Save what a job brought, then count it as ended, then delete its files."""
        harvest = Harvest(job, self.save)
        files = [one for one in (batch.output_file_id, batch.error_file_id) if one] if batch else []
        counts = batch and batch.request_counts
        is_answered = batch and batch.status == "completed" and (counts is None or counts.completed > 0)
        is_whole = batch and batch.status in ENDED and (files or not is_answered)
        if not is_whole and not is_stuck:
            raise Later  # its files are still to come
        for file_id in files:
            is_whole = await self._gather(harvest, file_id, is_stuck) and is_whole
        codes = {str(wrong.code) for wrong in (batch and batch.errors and batch.errors.data) or ()}
        if codes & FULL and not harvest.answered:
            self._abandon(job, self._fullness(job))
        elif codes & USED_UP and not harvest.answered:
            self._abandon(job, jobs.UNSENT)
            harvest.stop = Failure("insufficient_quota", Do.QUOTA)
        else:
            if not is_whole:
                self._lose(harvest)
            self._end(job, batch.status if batch else "not_found", harvest)
        with suppress(Later, openai.APIStatusError):  # the next run clears
            await self._clear(job, batch)
        if harvest.stop:
            self.remote.stop_for(harvest.stop)

    async def _gather(self, harvest: Harvest, file_id: str, is_stuck: bool) -> bool:
        """Let a file of the endpoint's pass over the disk, and return whether there was one.

        A download that breaks off is begun again.
        """
        to = self._folder / f"{harvest.job.key}.{file_id[-16:].replace('/', '-')}.jsonl"
        try:
            is_there = await self.remote.download(file_id, to)
            if is_there:
                harvest.take(to)
            elif not is_stuck:
                raise Later  # it may be there soon
            return is_there
        finally:
            to.unlink(missing_ok=True)

    def _lose(self, harvest: Harvest) -> None:
        """Book the requests that a job shows no row of, and never will: each may have cost its share of the job."""
        job, usd = harvest.job, harvest.job.usd_at_most
        share = None if usd is None else usd / len(job.items)
        self.lose([(f"{job.key}-{reply_id}", job.items[reply_id], share) for reply_id in sorted(harvest.missing)])
        harvest.charged |= harvest.missing

    def _end(self, job: Job, status: str, harvest: Harvest) -> None:
        counts = harvest.counts
        self._record(job, "ended", status=status, answered=counts["answered"],
                     failed=len(job.items) - counts["answered"])  # fmt: skip
        self.outcome.counts += counts + Counter(ended=1)
        self.outcome.answered |= harvest.answered & self.wanted.keys()
        self.outcome.set_aside |= harvest.set_aside & self.wanted.keys()
        for reply_id in (job.items.keys() - harvest.answered - harvest.charged) & self.wanted.keys():
            self.means.refund(self.wanted[reply_id])

    def _abandon(self, job: Job, status: str) -> None:
        self._record(job, "abandoned", status=status)
        self.outcome.counts["abandoned"] += 1

    async def _clear(self, job: Job, batch: RemoteBatch | None = None) -> None:
        """Delete a closed job's files at the endpoint, which hold texts."""
        batch = batch or await self.remote.batch(job.remote_id)
        for file_id in (batch.input_file_id, batch.output_file_id, batch.error_file_id) if batch else ():
            await self.remote.delete(file_id)
        self._record(job, "cleared")
        (self._folder / f"{job.key}.lock").unlink(missing_ok=True)

    def _record(self, job: Job, step: str, **columns: Any) -> None:
        self.store.merge("batch", [jobs.event(self.owner, job.key, step, self.now(), **columns)])

    @property
    def _folder(self) -> Path:
        return self.store.folder / "outbox"

    @property
    def _direct_after(self) -> timedelta:
        return timedelta(minutes=self.settings.direct_after_minutes)
