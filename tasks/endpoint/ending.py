"""The ending of a run's calls: none is sent any more, and those in flight are waited for."""

import asyncio
from collections.abc import Callable

from schemas.errors import AssayError


class Ending:
    """Whether a run's calls are over, and what ended them: an error, or nothing where the run was told to stop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._told: list[Callable[[], None]] = []
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

    def tell(self, callback: Callable[[], None]) -> None:
        """Call back when it comes."""
        self._told.append(callback)

    async def within(self, seconds: float) -> bool:
        """Return whether it comes within so many seconds; wait for them where it does not."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return False
        return True
