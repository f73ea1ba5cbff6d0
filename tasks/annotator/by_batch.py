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
from tasks.endpoint.failure import NoReply, refused_unseen
from tasks.endpoint.switchboard import Switchboard
from tasks.store import Ids, Store

TIER = "batch"


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
        outcome = await batch.ask(
            self.model.client,
            self.store,
            self.ids,
            owner,
            [Request(reply_id=one, item_id=item, body=self.model.capabilities.fit(body)) for one, item, body in requests],
            self.annotator.batch,
            self._save,
            api=self.model.api,
            usd_at_most=partial(price.usd_at_most, self.model.price, batch=True),
            room_usd=purse.room,
        )  # fmt: skip
        # what the batches of this run can cost is spent, as far as it is concerned: their rows come when they come
        purse.book(self._planned_usd() - before)
        if outcome.unaffordable:
            self.board.ending.come(BudgetStop(f"the budget has no room for {len(outcome.unaffordable):,} requests of a "
                                              "batch; what was paid for is kept. Raise `budget`, or wait for the next month"))  # fmt: skip
        return outcome

    def _save(self, rows: list[tuple[str, str, int, dict[str, Any]]]) -> Collection[str]:
        """Keep rows as replies; return the ids of those that are none."""
        replies, broken = [], set()
        for reply_id, item_id, status, body in rows:
            try:
                found = self._columns(status, body)
            except NoReply:
                broken.add(reply_id)
                continue
            now = datetime.now(UTC)
            found |= {"reply_id": reply_id, "item_id": item_id, "annotator_id": self.annotator.name,
                      "model": self.model.name, "latency_ms": 0.0, "event_at": now, "recorded_at": now,
                      "run_id": self.run_id}  # fmt: skip
            replies.append(found)
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

    def _columns(self, status: int, body: dict[str, Any]) -> dict[str, Any]:
        if status != 200:
            if reason := refused_unseen(batch.error(status, body)):
                return wire.unseen(reason)
            raise NoReply("a request of this make is asked for directly")
        found = wire.reply(self.model.api, json.dumps(body).encode(), profile.compact) | {"service_tier": TIER}
        return found | {"usd": price.usd(self.model.price, found)}
