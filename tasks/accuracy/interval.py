"""A share of items with its interval: exact where little was counted, else of an effective number of audits."""

import math
from dataclasses import dataclass
from functools import lru_cache

from scipy.special import stdtrit

from tasks.certificate.evidence import binomial_upper, hypergeometric_upper

DIGITS = 12  # after the point: what comes after depends on the machine

Ends = tuple[float, float]


@dataclass(frozen=True)
class Interval:
    """A share and the ends of its interval, all 0–1; null with the reason where there is nothing to say."""

    value: float | None
    """The estimate."""
    low: float | None
    """Lower end; audits without an answer count as wrong here."""
    high: float | None
    """Upper end; audits without an answer count as right here."""
    n: int
    """Audits answered."""
    population: int
    """Items it is about, audited ones included."""
    confidence: float
    """Chance with which such an interval holds the truth."""
    pending: int = 0
    """Audits drawn and not answered."""
    method: str | None = None
    """How it was made: ppi++, exact, exact by foretold label, or counted where every item was audited."""
    reason: str | None = None
    """Why there is no estimate."""


def interval(
    value: float, ends: Ends, *, n: int, population: int, confidence: float, pending: int, method: str
) -> Interval:
    """Return the Interval of an estimate and its ends, each within 0–1 and the estimate between them."""
    low, high = (round(min(max(end, 0.0), 1.0), DIGITS) for end in ends)
    between = min(max(round(value, DIGITS), low), high)
    return Interval(between, low, high, n, population, confidence, pending, method)


def undefined(reason: str, *, n: int, population: int, confidence: float, pending: int) -> Interval:
    """Return what stands for an estimate that is not defined."""
    return Interval(None, None, None, n, population, confidence, pending, None, reason)


@lru_cache(maxsize=4096)
def exact(right: float, audits: float, population: int | None, alpha: float) -> Ends:
    """Return the two-sided exact interval of a share: hypergeometric, or of a stream where there is no population.

    Clopper and Pearson 1934. An effective number of audits is no whole number, and is never taken as of a batch.
    """
    wrong = audits - right
    if population is None:
        return 1 - binomial_upper(wrong, audits, alpha / 2), binomial_upper(right, audits, alpha / 2)
    ends = (hypergeometric_upper(int(count), int(audits), population, alpha / 2) for count in (wrong, right))
    low, high = ends
    return 1 - low, high


def effective(value: float, variance: float, freedom: float, alpha: float) -> Ends:
    """Return Wilson's interval for a share that is as well known as from value (1 - value) / variance audits.

    Korn and Graubard 1998, with Student's quantile: the plain ±z√variance holds too rarely near 0 and 1.
    """
    if variance <= 0:
        return value, value
    audits, quantile = value * (1 - value) / variance, float(stdtrit(freedom, 1 - alpha / 2))
    scale = 1 + quantile**2 / audits
    centre = (value + quantile**2 / (2 * audits)) / scale
    reach = quantile / scale * math.sqrt(value * (1 - value) / audits + quantile**2 / (4 * audits**2))
    return centre - reach, centre + reach
