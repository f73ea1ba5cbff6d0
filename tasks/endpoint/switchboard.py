"""The switchboard: what all calls of one run share, however many annotators and chunks make them."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from openai import AsyncOpenAI

from schemas.curation import LLMAnnotator
from tasks.endpoint import address, client
from tasks.endpoint.call import Model, Patience
from tasks.endpoint.ending import Ending
from tasks.endpoint.pace import Pace
from tasks.endpoint.price import price_of
from tasks.endpoint.purse import Purse


@dataclass
class Switchboard:
    """Clients by address, the pace of each model, the purse, the ending, and how far each annotator has come."""

    purse: Purse
    patience: Patience = field(default_factory=lambda: PATIENCE)
    ending: Ending = field(default_factory=Ending)
    done: Counter[str] = field(default_factory=Counter)
    users: int = 0
    _clients: dict[tuple[str, str], AsyncOpenAI] = field(default_factory=dict)
    _models: dict[tuple[str, ...], Model] = field(default_factory=dict)
    _paces: dict[tuple[str, str, str], Pace] = field(default_factory=dict)

    def model(self, annotator: LLMAnnotator) -> Model:
        """Return the model an annotator asks; those of one name, address and protocol are one."""
        url = address(annotator.model, annotator.base_url)
        own = str(annotator.price)
        key = (url, annotator.model, annotator.api, annotator.api_key_env, own)
        if key not in self._models:
            place = (url, annotator.api_key_env)
            if place not in self._clients:
                self._clients[place] = client(*place)
            price = price_of(annotator.model, annotator.price)
            self._models[key] = Model(
                self._clients[place], url, annotator.model, annotator.api, annotator.api_key_env, price
            )
        return self._models[key]

    def pace(self, annotator: LLMAnnotator) -> Pace:
        """Return the pace of an annotator's model, which all annotators share that ask it with one key."""
        key = (address(annotator.model, annotator.base_url), annotator.model, annotator.api_key_env)
        limits = (annotator.requests_per_minute, annotator.tokens_per_minute)
        if key not in self._paces:
            self._paces[key] = Pace(annotator.concurrency, *limits, self.patience.breaker)
            self.ending.tell(self._paces[key].wake)
        self._paces[key].allow(annotator.concurrency, *limits)
        return self._paces[key]

    async def close(self) -> None:
        """Close the clients."""
        for one in self._clients.values():
            await one.close()


PATIENCE = Patience()
_OPEN: dict[str, Switchboard] = {}


@asynccontextmanager
async def switchboard(run_id: str, limit_usd: Callable[[], float | None]) -> AsyncIterator[Switchboard]:
    """Yield the run's switchboard: the first to need it opens it, the last to leave it closes it.

    `limit_usd` says what the run's calls may cost in all, in US dollars; it is asked when the switchboard is opened.
    """
    board = _OPEN.get(run_id) or _OPEN.setdefault(run_id, Switchboard(Purse(limit_usd())))
    board.users += 1
    try:
        yield board
    finally:
        board.users -= 1
        if not board.users:
            del _OPEN[run_id]
            await board.close()
