"""The hard stop: what a call can cost at most is reserved before it, and what it did cost is booked after it."""

import asyncio
from collections import deque

from schemas.errors import BudgetStop


class Purse:
    """Money that calls of one event loop share: first come, first served, and never more than the limit."""

    def __init__(self, limit_usd: float | None) -> None:
        self.limit = limit_usd
        self.spent = 0.0
        """What calls that have ended cost, in US dollars."""
        self.in_flight = 0.0
        """The most that calls in flight can cost, in US dollars."""
        self._calls = 0
        self._is_closed = False
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()

    async def reserve(self, usd_at_most: float | None) -> None:
        """Return once the call can be paid for, whatever the calls before it turn out to cost.

        Raises BudgetStop, to all that wait and to all that come later, once nothing is in flight and the next still
        does not fit. No call may reserve twice without having settled. A price that is not known fits no limit.
        """
        if self.limit is None or usd_at_most == 0:
            self._take(usd_at_most)
            return
        if not self._waiting and self._fits(usd_at_most):
            self._take(usd_at_most)
            return
        await self._turn(usd_at_most)

    def settle(self, usd_at_most: float | None, usd: float | None) -> None:
        """Book what a call cost, in US dollars; one whose cost is not known counts at the most it can have cost."""
        cost = usd if usd is not None else usd_at_most
        self.spent += cost or 0.0
        if usd_at_most != 0:
            self._calls -= 1
            self.in_flight = self.in_flight - (usd_at_most or 0.0) if self._calls else 0.0  # no rest of rounding
        if self._waiting:
            self._wake()

    @property
    def room(self) -> float:
        """Return what is left of the limit, in US dollars, whatever the calls in flight turn out to cost."""
        return float("inf") if self.limit is None else max(0.0, self.limit - self.spent - self.in_flight)

    def book(self, usd: float) -> None:
        """Book what was spent otherwise than by a call that reserved, in US dollars."""
        self.spent += usd
        if self._waiting:
            self._wake()

    def _fits(self, usd_at_most: float | None) -> bool:
        if self._is_closed or usd_at_most is None:
            return False
        return self.spent + self.in_flight + usd_at_most <= self.limit

    def _take(self, usd_at_most: float | None) -> None:
        if usd_at_most != 0:
            self._calls += 1
            self.in_flight += usd_at_most or 0.0

    async def _turn(self, usd_at_most: float | None) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((usd_at_most, turn))
        self._wake()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:  # its turn came in the same moment
                self.settle(usd_at_most, 0.0)
            else:
                self._wake()  # those behind it may fit
            raise

    def _wake(self) -> None:
        """Let those at the head of the queue go on who fit; stop all where nothing can make the first one fit."""
        while self._waiting:
            usd_at_most, turn = self._waiting[0]
            if turn.done():  # cancelled
                self._waiting.popleft()
            elif self._fits(usd_at_most):
                self._waiting.popleft()
                self._take(usd_at_most)
                turn.set_result(None)
            elif self._calls:
                return
            else:
                self._stop()

    def _stop(self) -> None:
        self._is_closed = True
        while self._waiting:
            _, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(BudgetStop(self._story()))

    def _story(self) -> str:
        if not self.spent:
            return (
                f"the budget of ${self.limit:,.4g} is less than the next call can cost. Raise `budget` or --max-usd, and the "
                "next run goes on from here"
            )
        return (
            f"the budget of ${self.limit:,.4g} is used up: ${self.spent:,.4g} is spent or may be charged, and the next call may cost more "
            "than is left; all that was paid for is kept. Raise `budget` or --max-usd, and the next run goes on from here"
        )
