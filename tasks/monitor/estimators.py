"""Estimators of accuracy where no label is known: what each makes of items people settled and of items they did not.

None has a guarantee: that labels are right as often as before where the model is as sure as before is assumed by all of
them, and nothing in unlabelled items can tell (Garg et al. 2022, arXiv 2201.04234).
"""

from typing import NamedTuple

import numpy as np

from tasks.calibration import KINDS, Calibrator, calibrator
from tasks.monitor.scored import GREATEST, Scored
from tasks.monitor.sentinel import sentinel

FEWEST = 30  # settled items of a slice from which its own labels count, and items it takes to test it for a shift
NAMES = (
    "average_confidence",
    "calibrated_average_confidence",
    "difference_of_confidences",
    "atc_max_probability",
    "atc_negative_entropy",
    "atc_max_token_entropy",
    "entropy_profile_model",
    "reference_mean",
)


class Signals(NamedTuple):
    """What estimators look at; one entry per item."""

    score: np.ndarray
    entropy: np.ndarray
    profile: np.ndarray
    correct: np.ndarray
    part: np.ndarray
    """Place of the item's slice among those to estimate; −1 where it is none of them."""

    def where(self, rows: np.ndarray) -> "Signals":
        """Return the chosen items."""
        return Signals(*(column[rows] for column in self))


def signals(items: Scored, part: np.ndarray) -> Signals:
    """Return what estimators look at of items."""
    return Signals(items.score, items.entropy, items.profile, items.correct, part)


def estimates(known: Signals, new: Signals, parts: int, kind: str | None = None) -> np.ndarray:
    """Return estimators × parts: the share of the new items' labels that are right, 0–1; NaN where nothing can be said.

    `kind` is that of the calibration's curve, where it is chosen already.
    """
    calibrated = KINDS[kind](known.score, known.correct) if kind else calibration(known)
    model = sentinel(known.profile, known.correct)
    greatest = [-side.profile[:, GREATEST] for side in (known, new)]
    found = {
        "average_confidence": _means(new.score, new.part, parts),
        "calibrated_average_confidence": _differences(
            known, new, parts, calibrated and (lambda side: calibrated.of(side.score))
        ),
        "difference_of_confidences": _differences(known, new, parts, lambda side: side.score),
        "atc_max_probability": _thresholded(known, new, parts, known.score, new.score),
        "atc_negative_entropy": _thresholded(known, new, parts, -known.entropy, -new.entropy),
        "atc_max_token_entropy": _thresholded(known, new, parts, *greatest),
        "entropy_profile_model": _differences(known, new, parts, model and (lambda side: model.of(side.profile))),
        "reference_mean": _differences(known, new, parts, lambda side: np.zeros(len(side.score))),
    }
    return np.clip(np.array([found[name] for name in NAMES]), 0.0, 1.0)


def calibration(known: Signals) -> Calibrator | None:
    """Return the curve from scores to how often labels of that score are right; None where labels are too few for one."""
    return calibrator(known.score, known.correct)


def _differences(known: Signals, new: Signals, parts: int, foretold) -> np.ndarray:
    """Return the mean of what is foretold, less what it was off by on settled items: a part's own, where they are enough.

    With the score itself this is the difference of confidences (Guillory et al. 2021).
    """
    if foretold is None:
        return np.full(parts, np.nan)
    before = foretold(known)
    return _means(foretold(new), new.part, parts) + _own(known.correct - before, known.part, parts)


def _own(off: np.ndarray, part: np.ndarray, parts: int) -> np.ndarray:
    """Return the mean of each part, or of all where a part has too few."""
    there = np.isfinite(off)
    if there.sum() < FEWEST:
        return np.full(parts, np.nan)
    inside = there & (part >= 0)
    counts = np.bincount(part[inside], minlength=parts)
    sums = np.bincount(part[inside], off[inside], minlength=parts)
    return np.where(counts >= FEWEST, sums / np.maximum(counts, 1), off[there].mean())


def _thresholded(known: Signals, new: Signals, parts: int, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the share of new items above the threshold that as many settled items are below as are wrong.

    Average thresholded confidence (Garg et al. 2022).
    """
    there = np.isfinite(before)
    if there.sum() < FEWEST:
        return np.full(parts, np.nan)
    is_above = np.full(len(after), np.nan)
    for number in range(parts):
        own = there & (known.part == number)
        chosen = own if own.sum() >= FEWEST else there
        threshold = atc_threshold(before[chosen], known.correct[chosen])
        rows = (new.part == number) & np.isfinite(after)
        is_above[rows] = after[rows] >= threshold
    return _means(is_above, new.part, parts)


def atc_threshold(score: np.ndarray, correct: np.ndarray) -> float:
    """Return the score below which lies the share of items that are wrong."""
    return float(np.quantile(score, 1 - correct.mean()))


def _means(values: np.ndarray, part: np.ndarray, parts: int) -> np.ndarray:
    """Return the mean of each part; NaN where half of its items or more have no value: they may be others than the rest."""
    there = np.isfinite(values)
    counts = np.bincount(part[there], minlength=parts)
    sums = np.bincount(part[there], values[there], minlength=parts)
    return np.where(2 * counts > np.bincount(part, minlength=parts), sums / np.maximum(counts, 1), np.nan)
