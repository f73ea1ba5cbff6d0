"""The ending of a run's calls: none is sent any more, and those in flight are waited for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from schemas.errors import AssayError

GRACE_S = 20.0  # what is left to calls in flight: who asks a process to stop kills it half a minute later


class Ending:
    """Whether a run's calls are over, and what ended them: an error, or nothing where the run was told to stop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._told: list[Callable[[], None]] = []
        self._limits: set[asyncio.Timeout] = set()
        self.error: AssayError | None = None

    @property
    def has_come(self) -> bool:
        """Return whether no call may be sent any more."""
        return self._event.is_set()

    def come(self, error: AssayError | None = None) -> None:
        """End the calls; the first error counts."""
        self.error = self.error or error
        self._event.set()
        for tell in self._told:
            tell()
        soon = asyncio.get_running_loop().time() + GRACE_S
        for limit in self._limits:
            with suppress(RuntimeError):  # its time is over in this very moment
                limit.reschedule(min(soon, limit.when()))

    def tell(self, callback: Callable[[], None]) -> None:
        """Call back when it comes."""
        self._told.append(callback)

    @asynccontextmanager
    async def timeout(self, seconds: float) -> AsyncIterator[None]:
        """Raise TimeoutError where what is done takes longer than so many seconds, or than the ending leaves it."""
        async with asyncio.timeout(seconds) as limit:
            self._limits.add(limit)
            try:
                yield
            finally:
                self._limits.discard(limit)

    async def within(self, seconds: float) -> bool:
        """Return whether it comes within so many seconds; wait for them where it does not."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return False
        return True
