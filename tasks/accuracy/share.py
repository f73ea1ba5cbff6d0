"""The share of labels that are right: prediction-powered where enough was counted, exact where not."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from tasks.accuracy.interval import Ends, Interval, effective, exact, interval, undefined
from tasks.accuracy.tuned import Tuned, tuned, weighed

ENOUGH_AUDITS = 50
ENOUGH = 10  # right, wrong, and far from what was foretold: with one or two, intervals made for 90 % held in 4 to 60 %
ENOUGH_IN_STRATUM = 5
NO_ANSWER = "no audit is answered"

Claim = Literal["batch", "stream"]


class Stratum(NamedTuple):
    """Items of one slice: audits drawn at random among them, and the rest."""

    correct: np.ndarray
    """Of each answered audit whether the label is right, 0 or 1."""
    foretold: np.ndarray
    """What a model foretold of each audit, 0–1: first of those answered, then of those pending."""
    pool: np.ndarray
    """What it foretold of each item that was not drawn."""
    weights: np.ndarray | None = None
    """One over the chance with which each audit was drawn; None where all had the same."""

    @property
    def items(self) -> int:
        """Return how many items there are."""
        return len(self.foretold) + len(self.pool)


def estimate(
    correct: Sequence[float],
    foretold: Sequence[float],
    pool: Sequence[float],
    *,
    weights: Sequence[float] | None = None,
    confidence: float = 0.95,
    pending: int = 0,
    claim: Claim = "batch",
) -> Interval:
    """Return the share of labels that are right, 0–1: of these items, or of the stream they come from.

    The last `pending` of `foretold` are of audits without an answer: they count as wrong in the lower end and as right in
    the upper one. A foretelling that is missing for some item is not used at all.
    """
    given = _stratum(correct, foretold, pool, weights)
    facts = {"n": len(given.correct), "population": given.items, "confidence": confidence, "pending": pending}
    if len(given.correct) + pending != len(given.foretold):
        raise ValueError("what was foretold must be of every audit, answered or pending")
    if not facts["n"]:
        return undefined(NO_ANSWER, **facts)
    low, method = _ends(_supposed(given, 0.0), 1 - confidence, claim)
    high = low if not pending else _ends(_supposed(given, 1.0), 1 - confidence, claim)[0]
    return interval(_tuned(_answered(given)).value, (low[0], high[1]), **facts, method=method)


def stratified(strata: Sequence[Stratum], *, confidence: float = 0.95, claim: Claim = "batch") -> Interval:
    """Return the share of labels that are right over slices that were audited apart, each by chance alone.

    Every slice has a λ of its own (Fisch et al. 2024) and counts for as much as it has items.
    """
    parts = [part for part in (_stratum(*stratum) for stratum in strata) if part.items]
    facts = {
        "n": sum(len(part.correct) for part in parts),
        "population": sum(part.items for part in parts),
        "confidence": confidence,
        "pending": sum(len(part.foretold) - len(part.correct) for part in parts),
    }
    if any(not len(part.correct) for part in parts) or not parts:
        return undefined(NO_ANSWER if not facts["n"] else "a slice has no audit that is answered", **facts)
    low, method = _ends_over([_supposed(part, 0.0) for part in parts], 1 - confidence, claim)
    high = low
    if facts["pending"]:
        high, _ = _ends_over([_supposed(part, 1.0) for part in parts], 1 - confidence, claim)
    value = _over([_answered(part) for part in parts]).value
    return interval(value, (low[0], high[1]), **facts, method=method)


def _stratum(
    correct: Sequence[float], foretold: Sequence[float], pool: Sequence[float], weights: Sequence[float] | None = None
) -> Stratum:
    given = [np.asarray(column, dtype=float) for column in (correct, foretold, pool)]
    if not all(np.isfinite(column).all() for column in given[1:]):
        given[1:] = [np.zeros(len(column)) for column in given[1:]]
    return Stratum(*given, None if weights is None else np.asarray(weights, dtype=float))


def _answered(given: Stratum) -> Stratum:
    """Return the audits that are answered; what is pending is of the pool."""
    n = len(given.correct)
    weights = None if given.weights is None else given.weights[:n]
    return Stratum(given.correct, given.foretold[:n], np.concatenate([given.foretold[n:], given.pool]), weights)


def _supposed(given: Stratum, answer: float) -> Stratum:
    """Return the audits with one answer supposed for all that are pending."""
    pending = len(given.foretold) - len(given.correct)
    return given._replace(correct=np.concatenate([given.correct, np.full(pending, answer)]))


def _tuned(given: Stratum) -> Tuned:
    if given.weights is None:
        return tuned(given.correct, given.foretold, given.pool)
    return weighed(given.correct, given.foretold, given.pool, given.weights)


def _ends(given: Stratum, alpha: float, claim: Claim) -> tuple[Ends, str]:
    found, n, size = _tuned(given), len(given.correct), _size(given)
    if not len(given.pool) and claim == "batch":
        return (found.value, found.value), "counted"
    is_known = n >= ENOUGH_AUDITS and size >= ENOUGH_AUDITS and _is_enough([given]) and 0 < found.value < 1
    if is_known:
        variance = found.variance_here if claim == "batch" else found.variance
        return effective(found.value, variance * n / (n - 2), size - 2, alpha), "ppi++"  # a mean and λ were fitted
    if given.weights is not None:
        return _thinnest([given], alpha), "exact"
    if claim == "batch" and min(_right_and_wrong([given])) >= ENOUGH and _is_hard(given):
        return _by_kind(given, alpha), "exact by foretold label"
    return exact(float(given.correct.sum()), n, given.items if claim == "batch" else None, alpha), "exact"


def _ends_over(parts: list[Stratum], alpha: float, claim: Claim) -> tuple[Ends, str]:
    if len(parts) == 1:
        return _ends(parts[0], alpha, claim)
    found = _over(parts)
    if not any(len(part.pool) for part in parts) and claim == "batch":
        return (found.value, found.value), "counted"
    is_split = all(len(part.correct) >= ENOUGH_IN_STRATUM for part in parts)
    freedom = sum(map(_size, parts)) - 2 * len(parts)
    if is_split and freedom >= ENOUGH_AUDITS and _is_enough(parts) and 0 < found.value < 1:
        variance = found.variance_here if claim == "batch" else found.variance
        return effective(found.value, variance, freedom, alpha), "ppi++"
    return _thinnest(parts, alpha), "exact"


def _over(parts: list[Stratum]) -> Tuned:
    """Return the mean over slices; a variance is raised for the two figures fitted in each slice."""
    items, whole = sum(part.items for part in parts), np.zeros(4)
    for part in parts:
        share, n, found = part.items / items, len(part.correct), np.array(_tuned(part))
        whole += found * [share, share, *[share**2 * n / max(n - 2, 1)] * 2]
    return Tuned(*map(float, whole))


def _is_enough(parts: list[Stratum]) -> bool:
    far = sum((np.abs(part.correct - part.foretold) >= 0.5).sum() for part in parts)
    return min(*_right_and_wrong(parts), far) >= ENOUGH


def _right_and_wrong(parts: list[Stratum]) -> tuple[float, float]:
    right = sum(part.correct.sum() for part in parts)
    return right, sum(len(part.correct) for part in parts) - right


def _is_hard(given: Stratum) -> bool:
    """Return whether some items were foretold as 0, some as 1, and none otherwise."""
    ones = sum((column == 1).sum() for column in (given.foretold, given.pool))
    zeros = sum((column == 0).sum() for column in (given.foretold, given.pool))
    return ones > 0 and zeros > 0 and ones + zeros == given.items


def _size(given: Stratum) -> float:
    """Return how many audits of equal weight these are worth (Kish 1965)."""
    return len(given.correct) if given.weights is None else given.weights.sum() ** 2 / (given.weights**2).sum()


def _thinnest(parts: list[Stratum], alpha: float) -> Ends:
    """Return the exact interval as if every item had been as unlikely to be audited as the most unlikely."""
    weights = [_weights(part) for part in parts]
    total = sum(weight.sum() for weight in weights)
    audits = total / max(weight.max() for weight in weights)
    right = sum(weight @ part.correct for weight, part in zip(weights, parts, strict=True)) / total * audits
    return exact(min(right, audits), audits, None, alpha)


def _weights(part: Stratum) -> np.ndarray:
    return np.full(len(part.correct), part.items / len(part.correct)) if part.weights is None else part.weights


def _by_kind(given: Stratum, alpha: float) -> Ends:
    """Return the interval where the model is rarely wrong: items foretold as 0 and as 1 are counted exactly, each apart.

    The distances of their ends add like standard errors (Zou and Donner 2008): the model may be wrong of neither by chance.
    """
    below = above = centre = 0.0
    for kind in (0.0, 1.0):
        audited = given.correct[given.foretold == kind]
        items = len(audited) + int((given.pool == kind).sum())
        share = items / given.items
        low, high = exact(float(audited.sum()), len(audited), items, alpha) if len(audited) else (0.0, 1.0)
        mean = float(audited.mean()) if len(audited) else kind
        centre += share * mean
        below, above = below + (share * (mean - low)) ** 2, above + (share * (high - mean)) ** 2
    return centre - below**0.5, centre + above**0.5
