"""A call: one request to one model becomes a reply, or the reason there is none, and every attempt is accounted for."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2
import openai
from openai import AsyncOpenAI, OpenAIError

from schemas.curation import Price
from schemas.errors import AssayError, BudgetStop, RequestError
from tasks.endpoint import price, wire
from tasks.endpoint.capability import Capabilities
from tasks.endpoint.ending import Ending
from tasks.endpoint.failure import Do, Failure, NoReply, complaint, failure, refused_unseen
from tasks.endpoint.journal import Journal
from tasks.endpoint.pace import Breaker, GivenUp, Pace
from tasks.endpoint.purse import Purse

ALL_REFUSED = 20  # bad requests, and not one reply, after which it is the request's make that is wrong


@dataclass(frozen=True)
class Patience:
    """How long an endpoint is borne with, in seconds, and how often it is asked again about one item."""

    attempts: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    call_s: float = 60.0
    flex_call_s: float = 900.0
    item_s: float = 900.0
    breaker: Breaker = field(default_factory=Breaker)


class Unanswered(Exception):
    """Raised where a model gives no answer about an item: why, as a code, and the last failure."""

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


@dataclass
class Model:
    """One model at one endpoint, as a run reaches it."""

    client: AsyncOpenAI
    base_url: str
    name: str
    api: str = "chat"
    key_env: str = "OPENAI_API_KEY"
    price: Price | None = None
    capabilities: Capabilities = field(default_factory=Capabilities)
    is_known: bool = False
    """Whether what it supports has been found out in this run."""
    probing: asyncio.Lock = field(default_factory=asyncio.Lock)


class Caller:
    """Asks one model, for one chunk of work: at its pace, within the purse, into the journal."""

    def __init__(
        self,
        model: Model,
        pace: Pace,
        purse: Purse,
        journal: Journal,
        ending: Ending,
        stamp: dict[str, str],
        patience: Patience | None = None,
        compact: Callable[[Any], wire.Tokens] = wire.as_they_came,
    ) -> None:
        self._model, self._pace, self._purse, self._journal = model, pace, purse, journal
        self._stamp, self._patience, self._compact = stamp, patience or Patience(), compact
        self._ending, self._refused = ending, 0
        self.calls = 0

    async def ask(self, reply_id: str, item_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the reply to a request; raise Unanswered where there is none, and what ends the run where that is so."""
        try:
            return await self.call(reply_id, item_id, self._model.capabilities.fit(body))
        except OpenAIError as error:
            refused = error
        # raised here, so that the client's own error, which may quote the item, is no context of it
        self.judge(refused)
        raise Unanswered("bad_request", failure(refused).kind)

    def judge(self, error: OpenAIError, is_probe: bool = False) -> None:
        """End the run, and raise what ends it, where an error would meet every item; a probe's always would."""
        said = complaint(error, self._model.base_url, self._model.name, self._model.key_env)
        found = failure(error)
        self._refused += found.do is Do.SET_ASIDE
        if found.do is Do.QUOTA:
            self._ending.come(BudgetStop(f"{said}; what was paid for is kept"))
        elif is_probe or found.do is Do.STOP or (self._refused >= ALL_REFUSED and not self._journal.replies):
            self._ending.come(RequestError(said))
        if self._ending.error:
            raise self._ending.error

    async def call(self, reply_id: str, item_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the reply to a body as it is sent, however many attempts that takes.

        Raises the client's error where asking again would not help, Unanswered where patience is at its end.
        """
        attempts, waits, until = 0, 0, None
        while True:
            try:
                reply, error = await self._attempt(reply_id, item_id, body)
            except GivenUp:
                raise Unanswered("llm_unavailable", self._pace.last_failure) from None
            if reply:
                return reply
            until = until or time.monotonic() + self._patience.item_s
            found = failure(error)
            attempts += found.do is Do.RETRY
            waits += 1
            if found.do not in (Do.RETRY, Do.WAIT):
                raise error
            if attempts >= self._patience.attempts:
                raise Unanswered("llm_unavailable", found.kind)
            await self._wait(found, waits, until)

    async def _wait(self, found: Failure, waits: int, until: float) -> None:
        """Wait before asking again: as long as told, else with full jitter; raise Unanswered where that is too long."""
        longest = min(self._patience.longest_wait_s, self._patience.first_wait_s * 2 ** min(waits - 1, 30))
        wait = found.wait_s or random.uniform(0.0, longest)
        if time.monotonic() + wait > until:
            if found.wait_s > self._patience.item_s:
                self._pace.give_up()  # whatever is asked, it would be told the same
            raise Unanswered("rate_limited" if found.do is Do.WAIT else "llm_unavailable", found.kind)
        if await self._ending.within(wait):
            raise Unanswered("stopped", found.kind)

    async def _attempt(
        self, reply_id: str, item_id: str, body: dict[str, Any]
    ) -> tuple[dict[str, Any] | None, OpenAIError | None]:
        """Return the reply to one call, or the error it ended with."""
        at_most = price.usd_at_most(self._model.price, body)
        size = sum(len(message["content"]) for message in body["messages"])
        tokens = self._pace.tokens(size, body.get("max_completion_tokens") or body.get("max_tokens") or 0)
        await self._turn(tokens, at_most)
        used, paid, error, headers, call_id = tokens, 0.0, None, None, None
        try:
            call_id, started = self._journal.sent(item_id, at_most), time.perf_counter()
            self.calls += 1
            paid = at_most
            found, headers = await self._post(body)
            reply = self._reply(found, reply_id, item_id, started)
            if reply["prompt_tokens"]:
                used = reply["prompt_tokens"] + reply["completion_tokens"]
                self._pace.learn(size, reply["prompt_tokens"], reply["completion_tokens"])
            elif at_most and reply["usd"] is not None and "usd" not in found:
                reply["usd"] = None  # it does not tell its tokens: it counts at the most it can have cost
            if (paid := reply["usd"]) is None and at_most is not None:
                self._journal.uncosted(call_id, at_most)
            self._journal.answered(call_id, reply)
            return reply, None
        except OpenAIError as raised:
            error = raised
            if isinstance(error, openai.APIStatusError):
                headers = error.response.headers
            if isinstance(error, NoReply) and error.usage:
                paid = price.usd(self._model.price, error.usage)
            if failure(error).may_be_billed:
                self._journal.lose(call_id, failure(error).kind, paid)
            else:
                self._journal.refused(call_id)
                used, paid = 0.0, 0.0
            return None, error
        except asyncio.CancelledError:
            self._journal.lose(call_id, "cancelled", paid)
            raise
        except AssayError as full:  # nothing can be written down any more
            self._ending.come(full)
            raise
        finally:
            self._purse.settle(at_most, paid)
            self._pace.end(tokens, used, failure(error) if error else None, headers)

    async def _turn(self, tokens: float, usd_at_most: float | None) -> None:
        """Wait until a call may be sent; raise where none may be any more."""
        await self._pace.begin(tokens, self._ending)
        try:
            if not self._ending.has_come:
                await self._purse.reserve(usd_at_most)
                if not self._ending.has_come:  # it may have come while others' calls were waited for
                    return
                self._purse.settle(usd_at_most, 0.0)
            raise Unanswered("stopped")
        except BaseException as stop:
            self._pace.leave(tokens)
            if isinstance(stop, BudgetStop):
                self._ending.come(stop)
            raise

    async def _post(self, body: dict[str, Any]) -> tuple[dict[str, Any], httpx2.Headers]:
        """Return what the endpoint said, as a reply's columns, and its headers."""
        spelled, path = wire.spelled(self._model.api, body), wire.PATHS[self._model.api]
        patience = self._patience
        response, refused = None, NoReply("what came is no answer")
        try:
            is_flex = body.get("service_tier") == "flex"
            async with self._ending.timeout(patience.flex_call_s if is_flex else patience.call_s):
                # The same request as `chat.completions.create` sends. That copies every message through its types
                # first, and the answer too: nine tenths of a few-shot call's work in this process.
                response = await self._model.client.post(path, cast_to=httpx2.Response, body=spelled)
        except TimeoutError:
            refused = openai.APITimeoutError(request=None)
        except OpenAIError as error:
            refused = error
        except Exception:  # what the client leaves as it is of its transport's errors quotes what came
            pass
        if response is not None:
            return wire.reply(self._model.api, response.content, self._compact), response.headers
        if reason := refused_unseen(refused):
            return wire.unseen(reason), refused.response.headers
        raise refused

    def _reply(self, found: dict[str, Any], reply_id: str, item_id: str, started: float) -> dict[str, Any]:
        now = datetime.now(UTC)
        names = {"reply_id": reply_id, "item_id": item_id, "model": self._model.name} | self._stamp
        took = {"latency_ms": (time.perf_counter() - started) * 1000, "event_at": now, "recorded_at": now}
        return {"usd": price.usd(self._model.price, found)} | found | names | took
