"""Bills: what each request asked for, got and cost, as the endpoint sees it."""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Record:
    """One request, by its key: the SHA-256 of its canonical body."""

    asked: int = 0
    """Times it arrived."""
    served: int = 0
    """Times it got past limits and refusals: the n that decides its faults."""
    faults: int = 0
    """Faults it met."""
    delivered: int = 0
    """Whole answers it was sent."""
    billed: int = 0
    """Times it was billed, delivered or not."""
    billed_undelivered: int = 0
    """Times it was billed and no whole answer was sent."""
    billed_prompt_tokens: int = 0
    """Prompt tokens billed."""
    billed_cached_tokens: int = 0
    """Those of them at the price of cached ones."""
    billed_completion_tokens: int = 0
    """Completion tokens billed."""
    usd: float = 0.0
    """What was billed, in US dollars."""
    usd_undelivered: float = 0.0
    """The part of it that was not delivered."""


@dataclass(slots=True)
class Usage:
    """What an answer takes, in tokens, and the tier it is billed by."""

    prompt: int
    cached: int
    completion: int
    tier: str = "default"


@dataclass
class Bills:
    """Every request's record, and counts of what befell them."""

    prices: tuple[float, float, float]
    """Dollars a million: prompt, cached prompt, completion tokens."""
    tier_factors: dict[str, float]
    records: dict[str, Record] = field(default_factory=dict)
    faults: Counter = field(default_factory=Counter)
    refused: Counter = field(default_factory=Counter)
    limited: int = 0
    at_once: int = 0
    most_at_once: int = 0
    admissions: int = 0
    admitted_tokens: int = 0
    first_at: float | None = None
    last_at: float | None = None

    def arrived(self, key: str) -> Record:
        """Return the record of a request that has come."""
        record = self.records.get(key)
        if record is None:
            record = self.records[key] = Record()
        record.asked += 1
        return record

    def admitted(self, at: float, tokens: int) -> None:
        """Count a request that passed the limits at a time in seconds."""
        self.first_at = at if self.first_at is None else self.first_at
        self.last_at = at
        self.admissions += 1
        self.admitted_tokens += tokens

    def begun(self) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)

    def ended(self) -> None:
        self.at_once -= 1

    def usd(self, usage: Usage) -> float:
        """Return the price of an answer, in US dollars."""
        prompt, cached, completion = self.prices
        price = (usage.prompt - usage.cached) * prompt + usage.cached * cached + usage.completion * completion
        return price * self.tier_factors.get(usage.tier, 1.0) / 1e6

    def bill(self, record: Record, usage: Usage, is_delivered: bool) -> None:
        """Bill an answer that was generated, delivered or not."""
        usd = self.usd(usage)
        record.billed += 1
        record.billed_prompt_tokens += usage.prompt
        record.billed_cached_tokens += usage.cached
        record.billed_completion_tokens += usage.completion
        record.usd += usd
        if is_delivered:
            record.delivered += 1
        else:
            record.billed_undelivered += 1
            record.usd_undelivered += usd

    def stats(self, keys: bool = False) -> dict[str, Any]:
        """Return the sums; with `keys` each record too."""
        records = self.records.values()
        names = [name for name in Record.__slots__ if name not in ("usd", "usd_undelivered", "faults")]
        sums = {name: sum(getattr(record, name) for record in records) for name in names}
        found = sums | {
            "keys": len(records),
            "usd": math.fsum(record.usd for record in records),
            "usd_undelivered": math.fsum(record.usd_undelivered for record in records),
            "billed_again": sum(max(0, record.billed - 1) for record in records),
            "calls_per_key": dict(sorted(Counter(record.asked for record in records).items())),
            "faults": dict(sorted(self.faults.items())),
            "refused": dict(sorted(self.refused.items())),
            "limited": self.limited,
            "most_at_once": self.most_at_once,
            "admitted_tokens": self.admitted_tokens,
            "span_s": (self.last_at or 0.0) - (self.first_at or 0.0),
        }
        if keys:
            found["per_key"] = {
                key: {name: getattr(record, name) for name in Record.__slots__} for key, record in self.records.items()
            }
        return found
