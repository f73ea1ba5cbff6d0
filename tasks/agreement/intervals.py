"""A figure with its 95 % interval, or the reason why there is none."""

import numpy as np

from tasks.agreement.patterns import REPLICATES, Patterns, rounded

NO_PAIRS = "no item has two labels"
ONE_LABEL = "only one label was used, so chance alone would always agree"
ENDS = (0.025, 0.975)


def estimate(figures: np.ndarray, units: int, unit: str, undefined: str = ONE_LABEL, limit: str | None = None) -> dict:
    """Return the first of `figures`, and the middle 95 % of the replicates that follow it."""
    if not np.isfinite(figures[0]):
        return no_figure(undefined)
    if units < 2:
        return _value(figures[0], reason=f"no interval from a single {unit}")
    if len(figures) == 1:
        return _value(figures[0], reason=limit)
    replicates = np.sort(figures[1:][np.isfinite(figures[1:])])
    # A coefficient undefined in many replicates is known too poorly for an interval of the rest to mean anything.
    if len(replicates) < 0.9 * REPLICATES:
        return _value(figures[0], reason="no interval: undefined in too many replicates")
    return _value(figures[0], *(_quantile(replicates, share) for share in ENDS))


def no_figure(reason: str) -> dict:
    """Return what stands for a figure that is not defined."""
    return {"value": None, "low": None, "high": None, "reason": reason}


def units_of(patterns: Patterns) -> tuple[int, str]:
    """Return how many units are drawn independently, and what a unit is."""
    # A pattern counts for as many units as it has items, a group for one.
    units = len(np.unique(patterns.units)) + int((patterns.expected - 1).sum())
    return units, "group" if patterns.is_grouped.any() else "item"


def _value(value: float, low: float | None = None, high: float | None = None, reason: str | None = None) -> dict:
    ends = {"low": None, "high": None} if low is None else {"low": rounded(low), "high": rounded(high)}
    return {"value": rounded(value), **ends, "reason": reason}


def _quantile(ordered: np.ndarray, share: float) -> float:
    """Return a quantile of ordered figures, on the line between the two it falls between."""
    place = share * (len(ordered) - 1)
    below = int(place)
    return ordered[below] + (place - below) * (ordered[below + 1] - ordered[below])
