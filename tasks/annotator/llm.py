"""A language model as an annotator: items in, answers out; what it answered before is remembered, not asked again."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple

from openai import OpenAIError

from schemas.curation import Labels, LLMAnnotator
from schemas.errors import AssayError, RequestError
from tasks.annotator import chat, comparison, profile, prompt
from tasks.annotator.by_batch import ByBatch
from tasks.annotator.chat import Answer
from tasks.endpoint import EMBEDDED_URL, shown
from tasks.endpoint.call import Caller, Model, Unanswered
from tasks.endpoint.capability import Capabilities, probe
from tasks.endpoint.journal import Journal, left_behind
from tasks.endpoint.switchboard import Switchboard
from tasks.store import Ids, Store
from tasks.text import canonical

PROBE = prompt.Example("probe", "It was good.", "{}")


@dataclass
class Usage:
    """What asking models took, in items, calls, tokens and US dollars.

    Of the items `asked` about, each is labelled, abstained or quarantined; `failed` of the quarantined have no answer,
    and the next run asks again; `pending` requests wait in batches. `calls` went out, `cached` replies were remembered, `unpriced` ones have no known price;
    calls that were lost, and may have been billed, cost `usd_at_risk` at most.
    """

    asked: int = 0
    labelled: int = 0
    abstained: int = 0
    quarantined: int = 0
    failed: int = 0
    pending: int = 0
    calls: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    usd_at_risk: float = 0.0
    unpriced: int = 0
    annotations: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)})

    @property
    def row(self) -> dict[str, Any]:
        """Return the counts as a plain mapping; the cost is null where a model's price is not known."""
        counts = asdict(self)
        return counts | {"usd": None if self.unpriced else self.usd}


class Said(NamedTuple):
    """An answer about an item, the ids of the replies it was read from (the last ones first), and when it came."""

    answer: Answer
    reply_ids: list[str]
    event_at: datetime

    @property
    def columns(self) -> dict[str, Any]:
        """Return it as columns of an annotation."""
        replies = {"reply_id": self.reply_ids[0], "reply_ids": self.reply_ids, "event_at": self.event_at}
        return self.answer.columns | replies


@dataclass
class Answered:
    """What became of the items a model was asked about; one that is in neither was not asked."""

    answers: dict[str, Said] = field(default_factory=dict)
    """By item: its answer."""
    unanswered: dict[str, Unanswered] = field(default_factory=dict)
    """By item: why there is no answer."""
    usage: Usage = field(default_factory=Usage)
    """What it took."""


@dataclass(frozen=True)
class Asking:
    """An annotator, and what it is told whatever the item: the labels with their meaning, and the guidelines."""

    board: Switchboard
    store: Store
    ids: Ids
    run_id: str
    annotator: LLMAnnotator
    labels: Labels
    guidelines: str
    _systems: dict[tuple[str | None, ...], str] = field(default_factory=dict)

    async def about(
        self, items: list[prompt.Example], shots: Mapping[str, list[prompt.Example]] | None = None
    ) -> Answered:
        """Return what became of the items, each shown with its shots; every reply is in the store before this returns."""
        name, model = self.annotator.name, self.board.model(self.annotator)
        journal = Journal(self.store.folder / "journal", name, model.name, self.run_id)
        board, stamp = self.board, {"annotator_id": name, "run_id": self.run_id}
        caller = Caller(model, board.pace(self.annotator), board.purse, journal, board.ending, stamp,
                        board.patience, profile.compact)  # fmt: skip
        chunk = _Chunk(self, model, caller, items, shots or {})
        try:
            await chunk.ask()
        finally:  # also where the run is stopped: what was answered may be paid for
            await asyncio.to_thread(self._keep, journal)
            await journal.close(is_stored=True)
        return Answered(chunk.answers, chunk.unanswered, chunk.usage(journal))

    def _keep(self, journal: Journal) -> None:
        if self.store.merge("reply", journal.replies) < len(journal.replies):
            journal.lost.extend(self._repeated(journal))
        self.store.merge("lost_call", journal.lost)

    def _repeated(self, journal: Journal) -> list[dict[str, Any]]:
        """Return the calls whose reply another run had stored before: they cost what they cost all the same."""
        ids = _listed(reply["reply_id"] for reply in journal.replies)
        query = f"select reply_id from reply where reply_id in ({ids}) and run_id <> '{self.run_id}'"
        theirs = {reply_id for (reply_id,) in self.store.connect().sql(query).fetchall()}
        return [
            {name: reply[name] for name in ("annotator_id", "item_id", "model", "event_at", "run_id")}
            | {"call_id": f"{self.run_id}-{reply['reply_id']}", "kind": "repeated", "usd_at_most": reply["usd"]}
            for reply in journal.replies
            if reply["reply_id"] in theirs
        ]

    def bodies(self, item: prompt.Example, shots: Iterable[prompt.Example]) -> list[dict[str, Any]]:
        """Return the request bodies about an item, one a sample: they rest on the item and the version, on nothing else."""
        return [self._body(item, list(shots), sample) for sample in range(self.annotator.samples)]

    def _body(self, item: prompt.Example, shots: list[prompt.Example], sample: int) -> dict[str, Any]:
        labels = prompt.ordered(self.labels, item.item_id, sample)
        item, *shots = (comparison.posed(self.labels, one, sample) for one in (item, *shots))
        system = self._system(labels, tuple(json.loads(item.context)))
        answer = prompt.answer_format(self.annotator, list(labels))
        return chat.request(self.annotator, prompt.messages(system, shots, item), answer, sample)

    def _system(self, labels: dict[str, str], context: tuple[str, ...]) -> str:
        """Return the system message for labels in their order and the names of a context: one text for many items."""
        key = (*labels, None, *context)
        if key not in self._systems:
            self._systems[key] = prompt.instructions(self.annotator, labels, self.guidelines, context, self.labels.kind)
        return self._systems[key]

    def reply_id(self, base_url: str, body: dict[str, Any]) -> str:
        """Return the id of the reply to a request: a keyed hash of endpoint, protocol, model, parameters and prompt."""
        return self.ids.id("reply", base_url, self.annotator.api, canonical(body))


class _Chunk:
    """A chunk of items on their way to answers."""

    def __init__(
        self, asking: Asking, model: Model, caller: Caller, items: list[prompt.Example], shots: Mapping
    ) -> None:
        self._asking, self._model, self._caller = asking, model, caller
        self._labels, self._cached, self._pending = list(asking.labels.shown), 0, 0
        self._from_batches: list[dict[str, Any]] = []
        self._requests = {item.item_id: self._named(asking.bodies(item, shots.get(item.item_id, ()))) for item in items}
        self._remembered: dict[str, dict[str, Any]] = {}
        self._read: dict[str, Answer] = {}
        self.answers: dict[str, Said] = {}
        self.unanswered: dict[str, Unanswered] = {}

    async def ask(self) -> None:
        """Ask about every item; what ends the run is left on the switchboard."""
        first = [request for requests in self._requests.values() for request in requests]
        self._remember([reply_id for reply_id, _ in first])
        self._remember([reply_id for reply_id, _ in self._named(self._asked_again(first))])
        if any(reply_id not in self._remembered for reply_id, _ in first):
            await _capable(self._asking, self._model, self._caller)
            await self._ask_by_batch()
        works = [asyncio.create_task(self._item(item_id)) for item_id in self._requests]
        try:
            await asyncio.gather(*works)
        finally:  # where one fails as none should, the others are over before what they wrote is stored
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)

    async def _ask_by_batch(self) -> None:
        """Send what is not remembered by batch, where the annotator wants that; items that wait for one are left out."""
        asking = self._asking
        if not asking.annotator.batch or asking.board.ending.has_come:
            return
        missing = [
            (reply_id, item_id, body)
            for item_id, requests in self._requests.items()
            for reply_id, body in requests
            if reply_id not in self._remembered
        ]
        way = ByBatch(asking.board, asking.store, asking.ids, asking.run_id, asking.annotator, self._model)
        outcome = await way.ask(missing)
        came = [*outcome.answered, *outcome.set_aside]
        self._remember(came)
        self._from_batches = [self._remembered[reply_id] for reply_id in came if reply_id in self._remembered]
        waiting = set(outcome.pending) | {request["reply_id"] for request in outcome.unaffordable}
        self._requests = {
            item_id: requests
            for item_id, requests in self._requests.items()
            if not any(reply_id in waiting for reply_id, _ in requests)
        }
        self._pending = len(waiting)

    def _named(self, bodies: Iterable[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
        """Return requests with the ids of their replies."""
        return [(self._asking.reply_id(self._model.base_url, body), body) for body in bodies]

    def _remember(self, wanted: list[str]) -> None:
        if not wanted:
            return
        connection = self._asking.store.connect()
        # the ids first: only they are read of all the replies there are
        if known := connection.sql(f"select reply_id from reply where reply_id in ({_listed(wanted)})").fetchall():
            ids = _listed(reply_id for (reply_id,) in known)
            rows = connection.sql(f"select * from reply where reply_id in ({ids})").pl().to_dicts()
            self._remembered |= {row["reply_id"]: row for row in rows}

    def _asked_again(self, requests: list[tuple[str, dict[str, Any]]]) -> Iterable[dict[str, Any]]:
        """Yield the second requests that remembered replies ask for."""
        for reply_id, body in requests:
            if reply := self._remembered.get(reply_id):
                self._read[reply_id] = chat.read(reply, self._labels)
                yield from filter(None, [chat.again(body, self._read[reply_id])])

    async def _item(self, item_id: str) -> None:
        samples = (self._sample(item_id, *request) for request in self._requests[item_id])
        read = await asyncio.gather(*samples, return_exceptions=True)
        self._requests[item_id] = []  # a chunk's requests are most of what it takes in memory
        for problem in read:
            if isinstance(problem, Unanswered):
                if problem.reason != "stopped":
                    self.unanswered[item_id] = problem
                    self._asking.board.done[self._asking.annotator.name] += 1
                return
            if isinstance(problem, AssayError):  # the switchboard has it
                return
            if isinstance(problem, BaseException):
                raise problem
        labels = self._asking.labels
        answers = [one.answer.renamed(comparison.places(labels, item_id, sample)) for sample, one in enumerate(read)]
        self.answers[item_id] = Said(
            chat.settled(answers, comparison.offered(labels, item_id)),
            [reply_id for said in read for reply_id in said.reply_ids],
            max(said.event_at for said in read),
        )
        self._asking.board.done[self._asking.annotator.name] += 1

    async def _sample(self, item_id: str, reply_id: str, body: dict[str, Any]) -> Said:
        """Return one answer about an item and the replies it took: where the first is unusable, one more."""
        reply = await self._reply(item_id, reply_id, body)
        answer = self._read.pop(reply_id, None) or chat.read(reply, self._labels)
        if not (other := chat.again(body, answer)):
            return Said(answer, [reply_id], reply["event_at"])
        ((second_id, _),) = self._named([other])
        second = await self._reply(item_id, second_id, other)
        return Said(chat.read(second, self._labels), [second_id, reply_id], second["event_at"])

    async def _reply(self, item_id: str, reply_id: str, body: dict[str, Any]) -> dict[str, Any]:
        if reply := self._remembered.get(reply_id):
            self._cached += 1
            return reply
        return await self._caller.ask(reply_id, item_id, body)

    def usage(self, journal: Journal) -> Usage:
        """Return what the chunk took."""
        reasons = Counter(said.answer.reason for said in self.answers.values() if said.answer.label is None)
        set_aside = sum(number for reason, number in reasons.items() if reason in chat.QUARANTINED)
        failed, replies = len(self.unanswered), [*journal.replies, *self._from_batches]
        return Usage(
            asked=len(self.answers) + failed,
            labelled=len(self.answers) - reasons.total(),
            abstained=reasons.total() - set_aside,
            quarantined=set_aside + failed,
            failed=failed,
            pending=self._pending,
            calls=self._caller.calls + len(self._from_batches),
            cached=self._cached - len(self._from_batches),
            prompt_tokens=sum(reply["prompt_tokens"] for reply in replies),
            cached_tokens=sum(reply["cached_tokens"] for reply in replies),
            completion_tokens=sum(reply["completion_tokens"] for reply in replies),
            usd=sum(reply["usd"] or 0.0 for reply in replies),
            usd_at_risk=sum(lost["usd_at_most"] or 0.0 for lost in journal.lost),
            unpriced=sum(reply["usd"] is None for reply in replies),
        )


def _listed(ids: Iterable[str]) -> str:
    """Return ids, which are letters of ours, as SQL: binding them would import pandas, 60 MB."""
    return ", ".join(f"'{one}'" for one in ids)


async def _capable(asking: Asking, model: Model, caller: Caller) -> None:
    """Find out once a run what a model's endpoint supports; where it does not answer, take what is on record."""
    async with model.probing:
        if model.is_known or model.base_url == EMBEDDED_URL:
            return
        number = count(1)

        async def ask(body: dict[str, Any]) -> dict[str, Any]:
            reply_id = asking.ids.id("probe", asking.run_id, model.base_url, model.api, model.name, next(number))
            return await caller.call(reply_id, PROBE.item_id, body)

        refused = None
        try:
            model.capabilities = await probe(ask, asking.bodies(PROBE, ())[0])
            _record(asking, model)
        except OpenAIError as error:
            refused = error
        except AssayError:  # the switchboard has it
            pass
        except Unanswered as why:
            if not (recorded := _on_record(asking.store, model)) and why.reason != "stopped":
                # one that has never answered is more likely misspelt than down
                said = f"{asking.annotator.name}: {shown(model.base_url)} gives no answer ({why.detail or why.reason})"
                asking.board.ending.come(RequestError(f"{said}: check the address, or run again once it is up"))
            model.capabilities = recorded or model.capabilities
        model.is_known = True
    if refused:
        with suppress(AssayError):  # the switchboard has it
            caller.judge(refused, is_probe=True)


def _record(asking: Asking, model: Model) -> None:
    place, found = (model.base_url, model.api, model.name), json.dumps(model.capabilities.row)
    asking.store.merge("capability", [{
        "capability_id": asking.ids.id("capability", *place, found), "base_url": model.base_url, "api": model.api,
        "model": model.name, "finding": found, "recorded_at": datetime.now(UTC), "run_id": asking.run_id,
    }])  # fmt: skip


def _on_record(store: Store, model: Model) -> Capabilities | None:
    query = """
        select finding
        from capability
        where base_url = $base_url and api = $api and model = $model
        order by recorded_at desc
        limit 1
    """
    place = {"base_url": model.base_url, "api": model.api, "model": model.name}
    found = store.connect().sql(query, params=place).fetchone()
    return Capabilities(**json.loads(found[0])) if found else None


def recover(store: Store) -> int:
    """Return how many replies killed runs had heard and not stored; they are in the store now."""
    with left_behind(store.folder / "journal") as (replies, lost):
        store.merge("lost_call", lost)
        return store.merge("reply", replies)
