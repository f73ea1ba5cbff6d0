"""Whether new items are still like those people settled: where they are not, no estimate of accuracy can be trusted."""

from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from tasks.monitor.scored import Scored
from tasks.monitor.texts import features, told_apart
from tasks.monitor.two_sample import (
    Ranks,
    chi_square,
    chi_square_p,
    kolmogorov_smirnov,
    rank_p,
    ranks,
    stratified,
)

FALSE_ALARM = 0.01  # chance that any test says so where nothing has shifted: half for the slices, half for all together
FEWEST = 30  # units of a slice on either side; fewer would hide all but the greatest shift
TOLERATED = 0.05  # share of items that may be new without a word: it can move accuracy by no more than that
MOST_TEXTS = 5_000  # a side that are compared
NO_DIFFERENCE = {"scores": 0.0, "texts": 0.5, "labels": 0.0}
REASONS = {"scores": "scores_shifted", "texts": "texts_shifted", "labels": "labels_shifted"}


class Both(NamedTuple):
    """Settled and new items, one a unit and slice: what belongs together is alike for other reasons."""

    score: np.ndarray
    label: np.ndarray
    text: np.ndarray
    part: np.ndarray
    is_new: np.ndarray
    chance: np.ndarray
    """Hash of the unit, as a number in [0, 1)."""
    looks_new: np.ndarray
    """How new a classifier finds the text that did not learn on it; NaN where it was not asked."""

    def where(self, rows: np.ndarray) -> "Both":
        """Return the chosen items."""
        return Both(*(column[rows] for column in self))


class Shift(NamedTuple):
    """What the tests say."""

    reasons: list[str | None]
    """Of each slice: unseen_slice, too_few, scores_shifted, texts_shifted, labels_shifted; None where nothing speaks against it."""
    tests: list[dict[str, Any]]
    """Of each slice: the tests, each with the size of the difference and its p; empty where it was not tested."""
    rest: dict[str, Any]
    """The tests of all slices together that none of their own tests gave away."""


def shift(known: Scored, known_part: np.ndarray, new: Scored, new_part: np.ndarray, parts: int) -> Shift:
    """Return whether new items of each slice are like the settled ones: by scores, by texts, by the model's labels."""
    both = _both(known, known_part, new, new_part)
    counts = np.array([np.bincount(both.part[both.is_new == side], minlength=parts) for side in (False, True)])
    is_seen, is_tested = counts[0] > 0, counts.min(axis=0) >= FEWEST
    level = FALSE_ALARM / 2 / len(REASONS)
    tests = [_tests([both.where(both.part == n)]) if is_tested[n] else {} for n in range(parts)]
    own = [_reason(one, level / max(is_tested.sum(), 1)) for one in tests]
    remaining = [n for n in range(parts) if is_seen[n] and own[n] is None]
    first = _first(both)
    strata = [first.where(first.part == n) for n in remaining]
    rest = _tests([one for one in strata if one.is_new.any() and not one.is_new.all()])
    together = _reason(rest, level)
    few = [None if one else "too_few" for one in is_tested]
    reasons = [own[n] or together or few[n] if is_seen[n] else "unseen_slice" for n in range(parts)]
    return Shift(reasons, tests, rest)


def _both(known: Scored, known_part: np.ndarray, new: Scored, new_part: np.ndarray) -> Both:
    sides = []
    for items, part, is_new in ((known, known_part, False), (new, new_part, True)):
        chance = np.array([_chance(unit) for unit in items.unit], dtype=float)
        order = np.argsort(chance, kind="stable")
        _, first = np.unique(np.column_stack([part[order], chance[order]]), axis=0, return_index=True)
        rows = order[np.sort(first)]
        rows = rows[part[rows] >= 0]
        side = (
            items.score,
            items.label,
            items.text,
            part,
            np.full(len(part), is_new),
            chance,
            np.full(len(part), np.nan),
        )
        sides.append(Both(*(column[rows] for column in side)))
    both = Both(*(np.concatenate(pair) for pair in zip(*sides, strict=True)))
    return both._replace(looks_new=_looks_new(both))


def _chance(unit: Any) -> float:
    digest = blake2b(str(unit).encode(errors="replace"), digest_size=6).digest()
    return int.from_bytes(digest) / 2**48


def _first(both: Both) -> Both:
    """Return one item a unit of either side: across slices, too, those of a unit are alike."""
    _, rows = np.unique(np.column_stack([both.is_new, both.chance]), axis=0, return_index=True)
    return both.where(rows)


def _looks_new(both: Both) -> np.ndarray:
    """Return how new each text looks; NaN for those without text, and beyond the most that are compared."""
    found, chosen = np.full(len(both.score), np.nan), []
    for is_new in (False, True):
        rows = np.flatnonzero((both.text != "") & (both.is_new == is_new))
        chosen.append(rows[np.argsort(both.chance[rows], kind="stable")][:MOST_TEXTS])
    if min(map(len, chosen)) < FEWEST:
        return found
    rows = np.concatenate(chosen)
    found[rows] = told_apart(features(both.text[rows]), both.is_new[rows], both.part[rows], _half(both.where(rows)))
    return found


def _half(both: Both) -> np.ndarray:
    """Return the half each item is in, 0 or 1: not by the bits of its hash that order them."""
    return (both.chance * 2**24).astype(int) & 1


def _tests(strata: list[Both]) -> dict[str, Any]:
    """Return the tests of settled against new items, stratum by stratum: {scores, texts, labels}, each {difference, p}."""
    if not strata:
        return {}
    return {"scores": _scores(strata), "texts": _texts(strata), "labels": _labels(strata)}


def _scores(strata: list[Both]) -> dict[str, Any]:
    """Return the greatest distance of the distributions of scores; p of it or of the ranks, whichever is smaller, doubled."""
    sides = [_sides(one, one.score) for one in strata]
    p = rank_p(*_ranked(sides))
    distances = [kolmogorov_smirnov(*pair) for pair in sides]
    if len(strata) == 1:
        p = min(1.0, 2 * min(p, distances[0][1]))
    return {"difference": _weighed([distance for distance, _ in distances], strata), "p": p}


def _texts(strata: list[Both]) -> dict[str, Any]:
    """Return how often a new text looks newer than a settled one, 0.5 if they cannot be told apart, and its p.

    Either half is judged by the classifier of the other; the smaller p is doubled, so that both hold.
    """
    halves = []
    for number in (0, 1):
        chosen = [one.where(np.isfinite(one.looks_new) & (_half(one) == number)) for one in strata]
        chosen = [one for one in chosen if one.is_new.any() and not one.is_new.all()]
        if chosen:
            sides = [_sides(one, one.looks_new) for one in chosen]
            auc = _weighed([ranks(*pair).auc for pair in sides], chosen)
            halves.append((auc, rank_p(*_ranked(sides), is_above=True)))
    if not halves:
        return {"difference": None, "p": None}
    return {"difference": float(np.mean([auc for auc, _ in halves])), "p": min(1.0, 2 * min(p for _, p in halves))}


def _labels(strata: list[Both]) -> dict[str, Any]:
    """Return half the sum of differences of the labels' shares, 0–1, and the p of chi-square."""
    differences, statistic, freedom = [], 0.0, 0
    for one in strata:
        _, code = np.unique(one.label.astype(str), return_inverse=True)
        counts = [np.bincount(code[one.is_new == side], minlength=code.max() + 1) for side in (False, True)]
        differences.append(0.5 * float(np.abs(counts[0] / counts[0].sum() - counts[1] / counts[1].sum()).sum()))
        more = chi_square(*counts)
        statistic, freedom = statistic + more[0], freedom + more[1]
    return {"difference": _weighed(differences, strata), "p": chi_square_p(statistic, freedom)}


def _sides(one: Both, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values[~one.is_new], values[one.is_new]


def _ranked(sides: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float]:
    found: list[Ranks] = [ranks(*pair) for pair in sides]
    return stratified(found, [len(first) + len(second) for first, second in sides])


def _weighed(values: list[float], strata: list[Both]) -> float:
    """Return the mean over strata, each counted with its new items."""
    return float(np.average(values, weights=[one.is_new.sum() for one in strata]))


def _reason(tests: dict[str, Any], level: float) -> str | None:
    """Return what has shifted, the most surprising first; None where nothing has, or by too little to matter."""
    surprising = [
        (test["p"], name)
        for name, test in tests.items()
        if test["p"] is not None and test["p"] < level and test["difference"] - NO_DIFFERENCE[name] > TOLERATED
    ]
    return REASONS[min(surprising)[1]] if surprising else None
