"""How far two labels are apart, 0–1: by their numbers, or as sets."""

import json
import math
from collections.abc import Callable

import numpy as np

from schemas.errors import RequestError

METRICS = ("nominal", "ordinal", "interval", "ratio", "masi", "jaccard")
GREATEST = 1e100  # a rating; the square of a greater one may be no number
RANKED = ("ordinal", "interval", "ratio")
SETS = ("masi", "jaccard")

Distance = Callable[[int, int], np.ndarray]
"""From labels `first` up to `last` (rows) to every label (columns)."""


def distance_of(metric: str, labels: list[str]) -> Distance:
    """Return the difference, squared where numbers differ, of labels from each other: ratio, masi or jaccard."""
    if metric == "ratio":
        return _ratio(np.array([score(label) for label in labels]))
    held = membership(labels)[0].astype(float)
    return lambda first, last: _set_distance(held[first:last], held, metric)


def scores_of(labels: list[str], metric: str) -> np.ndarray:
    """Return the value of each label, 0 for the lowest and 1 for the highest; places where labels are no numbers."""
    try:
        scores = np.array([score(label) for label in labels])
    except RequestError:
        if metric != "ordinal":
            raise
        scores = np.arange(len(labels), dtype=float)
    span = np.ptp(scores) if len(scores) else 0.0
    return (scores - scores.min(initial=np.inf)) / (span or 1.0)


def score(label: str) -> float:
    """Return the number a rating stands for; raise RequestError where it is none."""
    try:
        number = float(label)
    except ValueError:
        number = math.nan
    if not abs(number) <= GREATEST:  # nor NaN
        raise RequestError("a rating needs labels that are numbers, or all its labels in their order")
    return number


def membership(labels: list[str]) -> tuple[np.ndarray, list[str]]:
    """Return which set (rows) holds which member (columns), and the members by name."""
    sets = [members(label) for label in labels]
    names = sorted(frozenset().union(*sets))
    place = {name: code for code, name in enumerate(names)}
    held = np.zeros((len(sets), len(names)), dtype=bool)
    for row, one in zip(held, sets, strict=True):
        row[[place[name] for name in one]] = True
    return held, names


def members(label: str) -> frozenset[str]:
    """Return the set a label stands for: a JSON list, or the label alone."""
    if not label.startswith("["):
        return frozenset([label])
    try:
        return frozenset(map(str, json.loads(label)))
    except (json.JSONDecodeError, TypeError):
        raise RequestError('a label that starts with [ must be a JSON list, such as ["a", "b"]') from None


def _ratio(scores: np.ndarray) -> Distance:
    def away(first: int, last: int) -> np.ndarray:
        sums = scores[first:last, None] + scores
        return ((scores[first:last, None] - scores) / np.where(sums, sums, 1)) ** 2

    return away


def _set_distance(some: np.ndarray, every: np.ndarray, metric: str) -> np.ndarray:
    """Return Jaccard distances of sets, or MASI's, which weighs them by how one is in the other (Passonneau 2006)."""
    common = some @ every.T
    sizes, others = some.sum(axis=1)[:, None], every.sum(axis=1)
    union = sizes + others - common
    likeness = np.where(union > 0, common / np.maximum(union, 1), 1)
    if metric == "jaccard":
        return 1 - likeness
    nested = (common == sizes) | (common == others)
    return 1 - likeness * np.where(common == union, 1, np.where(nested, 2 / 3, 1 / 3))


def linear_spread(rows: np.ndarray, codes: np.ndarray, votes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return, per row, the sum of differences of scores over ordered pairs of its labels."""
    order = np.lexsort((scores[codes], rows))
    rows, values, votes = rows[order], scores[codes[order]], votes[order]
    sizes = np.bincount(rows, votes)
    before = np.cumsum(votes) - votes - (np.cumsum(sizes) - sizes)[rows]
    after = sizes[rows] - before - votes
    return 2 * np.bincount(rows, votes * values * (before - after))


def quadratic_spread(rows: np.ndarray, codes: np.ndarray, votes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return, per row, the sum of squared differences of scores over ordered pairs of its labels."""
    values, sizes = scores[codes], np.bincount(rows, votes)
    centre = np.bincount(rows, votes * values) / np.maximum(sizes, 1)
    return 2 * sizes * np.bincount(rows, votes * (values - centre[rows]) ** 2)
