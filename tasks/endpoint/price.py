"""What a model costs: a dated table of prices, and what a call cost or can cost at most by it."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from schemas.curation import LLMAnnotator, Price
from tasks.endpoint import EMBEDDED
from tasks.text import canonical

MILLION = 1_000_000
MESSAGE_TOKENS = 64  # of a message's frame, at most; they stand in no body
LEAST_WRITTEN = 1024  # tokens: shorter prompts are not put into an endpoint's memory
LONG_INPUT, LONG_OUTPUT = 2.0, 1.5  # times the price, of the whole of a long request
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_PRIORITY = ("priority", "fast")  # two names of one tier
_CAPS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


class Rates(Price):
    """What a model costs at one tier."""

    written: float | None = None
    """Tokens it is asked with and remembers for a later call; the price of input where it is not given."""


class Tariff(Rates):
    """What a model costs at each tier."""

    priority: Rates | None = None
    """At the priority tier, where that is known."""
    long: int | None = None
    """Tokens asked with above which a request costs more."""
    cached_in_batch: bool = True
    """Whether remembered tokens are cheaper in a batch too."""


def price_of(model: str, override: Price | None) -> Tariff | None:
    """Return what a model costs: the price given, else the table's; None where it is not known.

    A snapshot, named by a date behind its model's name, costs what the table says of it, else of the model.
    """
    if override is not None:
        rates = override.model_dump()
        return Tariff(**rates, priority=Rates(**rates))  # it is given for whatever is asked for
    if model == EMBEDDED:
        return Tariff(input=0.0, output=0.0, priority=Rates(input=0.0, output=0.0))
    models = _table()["models"]
    return models.get(model) or models.get(_SNAPSHOT.sub("", model))


def table_date() -> date:
    """Return the date on which the table's prices were looked up."""
    return _table()["date"]


@cache
def _table() -> dict[str, Any]:
    read = yaml.safe_load((Path(__file__).parent / "prices.yaml").read_text(encoding="utf-8"))
    return read | {"models": TypeAdapter(dict[str, Tariff]).validate_python(read["models"])}


def unpriced(models: Iterable[LLMAnnotator]) -> list[str]:
    """Return the names of the annotators whose price, at the tier they ask for, is not known."""
    prices = {one.name: (price_of(one.model, one.price), one.service_tier) for one in models}
    return [name for name, (price, tier) in prices.items() if price is None or not _rates(price, tier)]


def usd(price: Tariff | None, usage: Mapping[str, Any]) -> float | None:
    """Return what a call cost, in US dollars, from its reply's tokens and the tier that answered; None if unknown.

    An endpoint does not tell how much of a prompt it has put into its memory: where that costs more, all it did not
    remember counts as put there.
    """
    tier, prompt = usage.get("service_tier"), usage["prompt_tokens"]
    rates = price and _rates(price, tier)
    if price is None or rates is None:
        return None
    remembers = rates.cached is not None and (price.cached_in_batch or tier != "batch")
    fresh = rates.written if rates.written is not None and prompt >= LEAST_WRITTEN else rates.input
    cached = min(usage["cached_tokens"] or 0, prompt)
    asked = (prompt - cached) * fresh + cached * (rates.cached if remembers else rates.input)
    return _sum(price, prompt, asked, usage["completion_tokens"] * rates.output, tier)


def usd_at_most(price: Tariff | None, body: dict[str, Any], batch: bool = False) -> float | None:
    """Return the most a request can cost, in US dollars; None where no price is known or its answer has no end.

    Every byte of the body is a token (none is shorter), no token is remembered, each answer is as long as its cap, and
    the tier is the dearest that may answer: where none or `auto` is asked for, that may be priority.
    """
    caps = [body[cap] for cap in _CAPS if body.get(cap) is not None]
    if price is None or not caps:
        return None
    prompt = len(canonical(body).encode(errors="replace")) + MESSAGE_TOKENS * len(body["messages"])
    answer = max(caps) * (body.get("n") or 1)
    rates = [price] if batch else _may_answer(price, body.get("service_tier"))
    if not rates:
        return None
    dearest = max(max(one.input, one.cached or 0.0, one.written or 0.0) for one in rates)
    return _sum(price, prompt, prompt * dearest, answer * max(one.output for one in rates), "batch" if batch else None)


def _may_answer(price: Tariff, tier: str | None) -> list[Rates]:
    """Return the rates that may be charged where a tier is asked for; flex may be answered at the plain one."""
    if tier in _PRIORITY:
        return [price.priority] if price.priority else []
    return [price, price.priority] if tier in (None, "auto") and price.priority else [price]


def _rates(price: Tariff, tier: str | None) -> Rates | None:
    return price.priority if tier in _PRIORITY else price


def _sum(price: Tariff, prompt_tokens: int, asked: float, answered: float, tier: str | None) -> float:
    """Return US dollars, from what tokens cost by the million at the plain tier."""
    if price.long is not None and prompt_tokens > price.long:
        asked, answered = asked * LONG_INPUT, answered * LONG_OUTPUT
    return (asked + answered) * _table()["tiers"].get(tier, 1.0) / MILLION
