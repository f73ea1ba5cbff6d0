"""A chunk's requests go by the Batch API: what comes back are replies as a direct call would have brought them."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from schemas.curation import LLMAnnotator
from schemas.errors import BudgetStop
from tasks.annotator import profile
from tasks.endpoint import batch, price, wire
from tasks.endpoint.batch import Outcome, Owner, Request
from tasks.endpoint.call import Model
from tasks.endpoint.failure import NoReply, failure, refused_unseen
from tasks.endpoint.switchboard import Switchboard
from tasks.erasure.facts import ERASED, removed_items
from tasks.store import Ids, Store

TIER = "batch"

Bodies = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class ByBatch:
    """A model asked by batch for an annotator, in a run."""

    board: Switchboard
    store: Store
    ids: Ids
    run_id: str
    annotator: LLMAnnotator
    model: Model

    async def ask(self, requests: list[tuple[str, str, dict[str, Any]]]) -> Outcome:
        """Return what became of requests (reply id, item id, body); replies that came are in the store.

        Ends the run's calls where the budget has no room for a request.
        """
        owner, purse = Owner(self.model.base_url, self.annotator.name, self.run_id), self.board.purse
        before = self._planned_usd()
        bodies = {reply_id: self.model.capabilities.fit(body) for reply_id, _, body in requests}
        outcome = await batch.ask(
            self.model.client,
            self.store,
            self.ids,
            owner,
            [Request(reply_id=one, item_id=item, body=bodies[one]) for one, item, _ in requests],
            self.annotator.batch,
            partial(self._save, bodies),
            api=self.model.api,
            usd_at_most=self._usd_at_most,
            room_usd=purse.room,
            sleep=self.board.ending.within,
            is_over=lambda: self.board.ending.has_come,
            lose=lambda lost: self._lose([(name, item, "batch_lost", usd) for name, item, usd in lost]),
        )  # fmt: skip
        # what the batches of this run can cost is spent, as far as it is concerned: their rows come when they come
        purse.book(self._planned_usd() - before)
        if outcome.unaffordable:
            self.board.ending.come(BudgetStop(f"the budget has no room for {len(outcome.unaffordable):,} requests of a "
                                              "batch; what was paid for is kept. Raise `budget`, or wait for the next month"))  # fmt: skip
        return outcome

    def _save(self, bodies: Bodies, rows: list[tuple[str, str, int, dict[str, Any]]]) -> Collection[str]:
        """Keep rows as replies; return the ids of those that are none, and book what these may have cost.

        `bodies` are of the requests of this run; those of earlier ones are not at hand.
        """
        replies, broken, gone = [], set(), removed_items(self.store)
        lost: list[tuple[str, str, str, float | None]] = []
        for reply_id, item_id, status, body in rows:
            at_most = self._usd_at_most(bodies[reply_id]) if reply_id in bodies else None
            try:
                found = self._columns(status, body)
            except NoReply as error:
                broken.add(reply_id)
                if status == 200:
                    usd = price.usd(self.model.price, error.usage | {"service_tier": TIER}) if error.usage else at_most
                    lost.append((self._row_id(reply_id, body), item_id, failure(error).kind, usd))
                continue
            if status == 200 and not found["prompt_tokens"] and at_most != 0:  # it does not tell what it cost
                found["usd"] = None
                lost.append((self._row_id(reply_id, body), item_id, "no_usage", at_most))
            now = datetime.now(UTC)
            found |= {"reply_id": reply_id, "item_id": item_id, "annotator_id": self.annotator.name,
                      "model": self.model.name, "latency_ms": 0.0, "event_at": now, "recorded_at": now,
                      "run_id": self.run_id}  # fmt: skip
            if item_id in gone:  # erased since it was asked: what it cost is booked, what was said is not kept
                lost.append((self._row_id(reply_id, body), item_id, ERASED, found["usd"]))
                continue
            replies.append(found)
        self._lose(lost)
        self.store.merge("reply", replies)
        return broken

    def _planned_usd(self) -> float:
        query = """
            select coalesce(sum(usd_at_most), 0.0)
            from batch
            where step = 'planned' and run_id = $run and annotator_id = $annotator
        """
        whose = {"run": self.run_id, "annotator": self.annotator.name}
        return self.store.connect().sql(query, params=whose).fetchone()[0]

    def _usd_at_most(self, body: dict[str, Any]) -> float | None:
        return price.usd_at_most(self.model.price, body, batch=True)

    def _row_id(self, reply_id: str, body: dict[str, Any]) -> str:
        """Return the id of the call behind a row; one that is read twice is one call."""
        return self.ids.id("lost_call", reply_id, json.dumps(body, sort_keys=True))

    def _lose(self, lost: list[tuple[str, str, str, float | None]]) -> None:
        """Book calls that nobody knows the cost of: id, item, what became of it, and the most it can have cost."""
        calls = [
            {"call_id": call_id, "annotator_id": self.annotator.name, "item_id": item_id, "model": self.model.name,
             "kind": kind, "usd_at_most": usd, "event_at": datetime.now(UTC), "run_id": self.run_id}
            for call_id, item_id, kind, usd in lost
            if usd != 0  # what is free cannot be lost
        ]  # fmt: skip
        self.store.merge("lost_call", calls)

    def _columns(self, status: int, body: dict[str, Any]) -> dict[str, Any]:
        if status != 200:
            if reason := refused_unseen(batch.error(status, body)):
                return wire.unseen(reason)
            raise NoReply("a request of this make is asked for directly")
        found = wire.reply(self.model.api, json.dumps(body).encode(), profile.compact) | {"service_tier": TIER}
        return found | {"usd": price.usd(self.model.price, found)}
