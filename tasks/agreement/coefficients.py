"""Coefficients of agreement, each in the sample and in every replicate of the bootstrap."""

import json
from collections.abc import Callable

import numpy as np

from schemas.errors import RequestError
from tasks.agreement.patterns import REPLICATES, Draw, Patterns, PatternVotes, Weights, draws_of, rounded

COEFFICIENTS = ("percent", "krippendorff_alpha", "fleiss_kappa", "gwet_ac1")
LABEL_BLOCK = 64  # labels counted at a time: bounds memory where there are thousands
MOST_RANKED_LABELS = 64  # distances other than nominal cost labels²: above, no interval is given
NO_PAIRS = "no item has two labels"
ONE_LABEL = "only one label was used, so chance alone would always agree"

Distance = Callable[[int, np.ndarray], np.ndarray]


def coefficients(patterns: Patterns, votes: PatternVotes, weights: Weights, labels: list[str], metric: str) -> dict:
    """Return every coefficient as {value, low, high, reason}."""
    paired = patterns.ratings > 1
    if not paired.any():
        return {name: _undefined(NO_PAIRS) for name in COEFFICIENTS}
    figures = _nominal(draws_of(patterns, weights), votes, len(labels))
    if metric != "nominal":
        replicates = REPLICATES if len(labels) <= MOST_RANKED_LABELS else 0
        draws = draws_of(patterns.where(paired), weights, replicates)
        figures["krippendorff_alpha"] = _alpha(draws, votes.table(0, len(labels)), _distance(metric, labels))
    # A pattern counts for as many units as it has items, a group for one.
    units = len(np.unique(patterns.units[paired])) + int((patterns.expected[paired] - 1).sum())
    unit = "group" if patterns.is_grouped.any() else "item"
    return {name: _estimate(figures[name], units, unit) for name in COEFFICIENTS}


def _nominal(draws: list[Draw], votes: PatternVotes, kinds: int) -> dict[str, np.ndarray]:
    """Return each coefficient in the sample and its replicates, NaN where undefined."""
    squared = np.bincount(votes.numbers, votes.votes**2)
    everyone = paired = ratings = agreeing = shared = 0.0
    for draw in draws:
        items, squares = draw.total(np.stack([np.ones(len(draw.items)), squared[draw.numbers]], axis=1))
        everyone = everyone + items
        if (m := draw.ratings) > 1:
            pairs = squares - m * items  # ordered pairs of equal labels on one item
            paired, ratings = paired + items, ratings + m * items
            agreeing, shared = agreeing + pairs / (m - 1), shared + pairs / (m * (m - 1))
    label_squares, share_squares = _squares(draws, votes, kinds, everyone)
    with np.errstate(divide="ignore", invalid="ignore"):
        percent = shared / paired
        # Krippendorff 2011: 1 - observed / expected disagreement, over items with two labels or more.
        alpha = 1 - (ratings - 1) * (ratings - agreeing) / (ratings**2 - label_squares)
        # Fleiss 1971 for any number of labels per item; Gwet 2008. Chance from mean shares over all items.
        chance = (1 - share_squares) / (kinds - 1) if kinds > 1 else np.full_like(percent, np.nan)
        fleiss = np.where(share_squares < 1 - 1e-12, (percent - share_squares) / (1 - share_squares), np.nan)
        ac1 = (percent - chance) / (1 - chance)
    return dict(zip(COEFFICIENTS, (percent, alpha, fleiss, ac1), strict=True))


def _squares(draws: list[Draw], votes: PatternVotes, kinds: int, everyone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sums over labels: squared counts in items of two labels or more, and squared mean shares of all items."""
    label_squares = share_squares = 0.0
    for first in range(0, kinds, LABEL_BLOCK):
        table = votes.table(first, min(first + LABEL_BLOCK, kinds))
        counts = shares = np.zeros((table.shape[1], 1))
        for draw in draws:
            total = draw.total(table[draw.numbers])
            counts = counts + total * (draw.ratings > 1)
            shares = shares + total / draw.ratings
        label_squares = label_squares + (counts**2).sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            share_squares = share_squares + ((shares / everyone) ** 2).sum(axis=0)
    return label_squares, share_squares


def _alpha(draws: list[Draw], table: np.ndarray, distance: Distance) -> np.ndarray:
    """Return Krippendorff's alpha under a distance, in the sample and its replicates, NaN where undefined."""
    totals = sum(draw.total(table[draw.numbers]) for draw in draws)
    observed = expected = 0.0
    for code in range(table.shape[1]):
        away = distance(code, totals)
        expected = expected + (totals[code] * totals * away).sum(axis=0)
        for draw in draws:
            votes = table[draw.numbers]
            pairs = draw.total(votes * votes[:, [code]])
            observed = observed + (pairs * away).sum(axis=0) / (draw.ratings - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 - (totals.sum(axis=0) - 1) * observed / np.where(expected > 0, expected, np.nan)


def _distance(metric: str, labels: list[str]) -> Distance:
    """Return the squared difference of every label from one of them, given how often each is used."""
    if metric == "ordinal":
        return lambda code, totals: (_ranks(totals) - _ranks(totals)[code]) ** 2
    if metric == "masi":
        sets = [_members(label) for label in labels]
        return lambda code, _: np.array([[_masi(sets[code], other)] for other in sets])
    if metric not in ("interval", "ratio"):
        raise RequestError(f"no metric {metric!r}; metrics: nominal, ordinal, interval, ratio, masi")
    scores = np.array([[score(label)] for label in labels])
    if metric == "interval":
        return lambda code, _: (scores - scores[code]) ** 2
    return lambda code, _: ((scores - scores[code]) / np.where(scores + scores[code], scores + scores[code], 1)) ** 2


def score(label: str) -> float:
    """Return the number a rating stands for; raise RequestError where it is none."""
    try:
        return float(label)
    except ValueError:
        raise RequestError("a rating needs labels that are numbers, or all its labels in their order") from None


def _ranks(totals: np.ndarray) -> np.ndarray:
    """Return the middle rank of every label among all that were given."""
    return np.cumsum(totals, axis=0) - totals / 2


def _members(label: str) -> frozenset[str]:
    """Return the set a label stands for: a JSON list, or the label alone."""
    return frozenset(map(str, json.loads(label))) if label.startswith("[") else frozenset([label])


def _masi(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the MASI distance of two sets, 0–1 (Passonneau 2006)."""
    if one == other:
        return 0.0
    common = one & other
    monotonic = 2 / 3 if common in (one, other) else 1 / 3
    return 1 - len(common) / len(one | other) * monotonic


def _estimate(figures: np.ndarray, units: int, unit: str) -> dict:
    """Return the sample's figure and the middle 95 % of its replicates."""
    if not np.isfinite(figures[0]):
        return _undefined(ONE_LABEL)
    value, replicates = figures[0], figures[1:][np.isfinite(figures[1:])]
    if units < 2:
        return {"value": rounded(value), "low": None, "high": None, "reason": f"no interval from a single {unit}"}
    if len(figures) == 1:
        reason = f"no interval for more than {MOST_RANKED_LABELS} labels"
        return {"value": rounded(value), "low": None, "high": None, "reason": reason}
    # A coefficient undefined in many replicates is known too poorly for an interval of the rest to mean anything.
    if len(replicates) < 0.9 * REPLICATES:
        reason = "no interval: undefined in too many replicates"
        return {"value": rounded(value), "low": None, "high": None, "reason": reason}
    low, high = np.quantile(replicates, [0.025, 0.975])
    return {"value": rounded(value), "low": rounded(low), "high": rounded(high), "reason": None}


def _undefined(reason: str) -> dict:
    return {"value": None, "low": None, "high": None, "reason": reason}
