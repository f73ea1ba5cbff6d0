"""Pace: how fast one model may be asked: calls in flight, requests and tokens a minute, and when to leave it alone."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from tasks.endpoint.ending import Ending
from tasks.endpoint.failure import Do, Failure

MINUTE_S = 60.0
# Of a limit, this much is used, and this much more may go out in a burst: an endpoint that counts over a sliding minute
# sees at most 95 + 2 % of its limit, whatever its clock.
USED_SHARE, BURST_SHARE = 0.95, 0.02
FIRST_WINDOW = 16  # calls in flight at first; doubled every round trip until the endpoint objects
HALVED_ONCE_IN_S = 1.0  # the many 429s of one moment are one objection
LEARNT_FROM = 20  # calls that what a request takes is averaged over


@dataclass(frozen=True)
class Breaker:
    """When an endpoint is left alone: so many failures of so many calls; for how long; how often before it is given up."""

    calls: int = 50
    failed_share: float = 0.5
    pause_s: float = 60.0
    trips: int = 3


class GivenUp(Exception):
    """Raised where an endpoint has failed so often that asking on would be vain."""


class _Bucket:
    """A limit a minute as a token bucket: filled evenly, emptied by calls, refunded what a call did not use."""

    def __init__(self, per_minute: float | None) -> None:
        self.at, self.level, self.limit, self.largest = time.monotonic(), 0.0, 0.0, 0.0
        self.rate = self.capacity = float("inf")
        self.set(per_minute)
        self.level = self.capacity

    def set(self, per_minute: float | None) -> None:
        if not per_minute or per_minute == self.limit:
            return
        self.limit = per_minute
        self.rate = per_minute * USED_SHARE / MINUTE_S
        self.capacity = max(1.0, per_minute * BURST_SHARE)
        self.level = min(self.level, self.capacity)

    def wait_s(self, amount: float) -> float:
        """Return how long until that much is there; an amount the bucket never holds goes when it is full."""
        if self.rate == float("inf"):
            return 0.0
        now = time.monotonic()
        self.level = min(self.capacity, self.level + (now - self.at) * self.rate)
        self.at = now
        return max(0.0, (min(amount, self.capacity) - self.level) / self.rate)

    def take(self, amount: float) -> None:
        if self.rate < float("inf"):
            self.level -= amount
            self.largest = max(self.largest, amount)
            # a minute holds whole requests: where few fit in, those that do must take all of it
            fitting = self.largest * (self.limit // self.largest) if 0 < self.largest <= self.limit else self.limit
            self.rate = min(USED_SHARE * self.limit, fitting) / MINUTE_S


class Pace:
    """The pace of one model at one endpoint, shared by all that ask it; waits are first come, first served."""

    def __init__(
        self,
        most_at_once: int,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        self._most, self._window, self._is_starting = most_at_once, float(min(most_at_once, FIRST_WINDOW)), True
        self._given = (requests_per_minute, tokens_per_minute)
        self._requests, self._tokens = _Bucket(requests_per_minute), _Bucket(tokens_per_minute)
        self._breaker, self._outcomes, self._trips = breaker or Breaker(), deque[bool](), 0
        self._is_given_up, self._paused_until = False, 0.0
        self.last_failure: str | None = None
        self._in_flight, self._quiet_until, self._halved_at = 0, 0.0, float("-inf")
        self._door, self._changed = asyncio.Lock(), None  # what the first in the line waits for
        self._tokens_per_character, self._answer_tokens = 0.3, None

    def allow(self, most_at_once: int, *per_minute: float | None) -> None:
        """Take one more into the pace: its calls in flight are allowed, its limits of requests and tokens kept to."""
        self._most = max(self._most, most_at_once)
        pairs = zip(self._given, per_minute, strict=True)
        self._given = tuple(min(filter(None, pair), default=None) for pair in pairs)
        for bucket, limit in zip((self._requests, self._tokens), self._given, strict=True):
            bucket.set(limit)

    def tokens(self, size: int, answer_cap: int) -> float:
        """Return how many tokens a request of that many characters is likely to take, going by those before it."""
        answer = answer_cap if self._answer_tokens is None else min(answer_cap, 1.5 * self._answer_tokens + 8)
        return size * self._tokens_per_character + answer

    async def begin(self, tokens: float, ending: Ending) -> None:
        """Wait for one's turn, or for the ending; raise GivenUp where the endpoint is left alone for good."""
        async with self._door:
            while (wait := self._wait_s(tokens)) > 0 and not ending.has_come:
                await self._change(wait)
            self._in_flight += 1
            self._requests.take(1)
            self._tokens.take(tokens)

    async def _change(self, within_s: float) -> None:
        """Return when a call ends, or after that many seconds."""
        loop = asyncio.get_running_loop()
        self._changed = loop.create_future()
        timer = None if within_s == float("inf") else loop.call_later(within_s, self.wake)
        try:
            await self._changed
        finally:
            if timer:
                timer.cancel()

    def _wait_s(self, tokens: float) -> float:
        if self._is_given_up:
            raise GivenUp
        if self._in_flight >= int(self._window):
            return float("inf")  # until one ends
        quiet = self._quiet_until - time.monotonic()
        return max(quiet, self._requests.wait_s(1), self._tokens.wait_s(tokens))

    def leave(self, tokens: float) -> None:
        """Give a turn back that was not used."""
        self._in_flight -= 1
        self._requests.take(-1)
        self._tokens.take(-tokens)
        self.wake()

    def end(self, tokens: float, used: float, failure: Failure | None, headers: Mapping[str, str] | None) -> None:
        """Give back what a call did not use, and learn from how it went."""
        self._in_flight -= 1
        self._tokens.take(used - tokens)
        if headers is not None:
            self._learn_limits(headers)
        if failure:
            self.last_failure = failure.kind
        if failure and failure.wait_s:
            self._quiet_until = max(self._quiet_until, time.monotonic() + failure.wait_s)
        if failure and failure.is_overload:
            self._slow_down()
        elif not failure:
            self._speed_up()
        if failure is None or failure.do is Do.RETRY:  # no other failure says that the endpoint is out of order
            self._note(failure is None)
        self.wake()

    def give_up(self) -> None:
        """Leave the endpoint alone for good."""
        self._is_given_up = True
        self.wake()

    def learn(self, size: int, prompt_tokens: int, answer_tokens: int) -> None:
        """Learn from a reply what requests take."""
        if size and prompt_tokens:
            self._tokens_per_character += (prompt_tokens / size - self._tokens_per_character) / LEARNT_FROM
        before = answer_tokens if self._answer_tokens is None else self._answer_tokens
        self._answer_tokens = before + (answer_tokens - before) / LEARNT_FROM

    def wake(self) -> None:
        """Let who waits look again."""
        if self._changed and not self._changed.done():
            self._changed.set_result(None)

    def _learn_limits(self, headers: Mapping[str, str]) -> None:
        """Take the endpoint's own limits where they are lower than those given, and what it says is left."""
        for bucket, given, of in zip((self._requests, self._tokens), self._given, ("requests", "tokens"), strict=True):
            limit, left = (_whole(headers.get(f"x-ratelimit-{what}-{of}")) for what in ("limit", "remaining"))
            if limit:
                bucket.set(min(limit, given or limit))
            if left is not None and bucket.rate < float("inf"):
                bucket.level = min(bucket.level, float(left))

    def _slow_down(self) -> None:
        now = time.monotonic()
        if now - self._halved_at >= HALVED_ONCE_IN_S:
            self._window, self._is_starting, self._halved_at = max(1.0, self._window / 2), False, now

    def _speed_up(self) -> None:
        grown = self._window + (1.0 if self._is_starting else 1.0 / self._window)
        self._window = min(float(self._most), grown)

    def _note(self, is_good: bool) -> None:
        """Trip the breaker where half of the last calls failed; a good stretch makes up for the trips before it."""
        now = time.monotonic()
        if now < self._paused_until:
            return  # sent before the breaker tripped, by what it has tripped for already
        self._outcomes.append(is_good)
        if len(self._outcomes) < self._breaker.calls:
            return
        failed = self._outcomes.count(False)
        if failed >= self._breaker.failed_share * self._breaker.calls:
            self._trips += 1
            self._is_given_up |= self._trips >= self._breaker.trips
            self._paused_until = now + self._breaker.pause_s
            self._quiet_until = max(self._quiet_until, self._paused_until)
            self._outcomes.clear()
        else:
            self._trips = 0
            self._outcomes.popleft()


def _whole(value: str | None) -> int | None:
    """Return a number that a header holds, or None where it holds none."""
    return int(value) if value and value.isdecimal() and len(value) < 16 else None
