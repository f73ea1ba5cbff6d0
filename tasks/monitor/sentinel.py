"""A model of whether a label is right, from the entropy profile of the reply it stands in (Entropy Sentinel).

Arxiv 2601.09001: the eleven statistics, standardised; a logistic regression, classes balanced; its probabilities
calibrated; a slice's accuracy is their mean. Thresholding the greatest entropy alone did better in its authors' tables.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit

PENALTY = 1.0  # L2, on standardised statistics: liblinear's C = 1
FOLDS = 3
STEPS, STILL = 25, 1e-8
FEWEST = 100  # items with a profile; below, eleven slopes and a calibration are not to be had
FEWEST_OF_A_KIND = 10  # of them right, and wrong


class Sentinel(NamedTuple):
    """A fitted model."""

    mean: np.ndarray
    """Of each statistic."""
    spread: np.ndarray
    """Standard deviation of each; 1 where it does not vary."""
    slopes: np.ndarray
    """The constant, then one a statistic."""
    platt: np.ndarray
    """Constant and slope that make log-odds of balanced classes those of the items."""

    def of(self, profile: np.ndarray) -> np.ndarray:
        """Return the probability of each label being right; NaN where there is no profile."""
        return expit(self.platt[0] + self.platt[1] * (self._design(profile) @ self.slopes))

    def _design(self, profile: np.ndarray) -> np.ndarray:
        return _with_one((profile - self.mean) / self.spread)


def sentinel(profile: np.ndarray, correct: np.ndarray) -> Sentinel | None:
    """Return the model of items people settled, in an order that tells nothing; None where they are too few."""
    known = np.isfinite(profile).all(axis=1)
    profile, correct = profile[known], correct[known]
    right = int(correct.sum())
    if len(correct) < FEWEST or min(right, len(correct) - right) < FEWEST_OF_A_KIND:
        return None
    mean, spread = profile.mean(axis=0), profile.std(axis=0)
    spread = np.where(spread > STILL, spread, 1.0)
    design = _with_one((profile - mean) / spread)
    whole = _balanced(design, correct)
    fold, unseen = np.arange(len(correct)) % FOLDS, np.zeros(len(correct))
    for number in range(FOLDS):
        unseen[fold == number] = design[fold == number] @ _balanced(
            design[fold != number], correct[fold != number], whole
        )
    return Sentinel(mean, spread, whole, logistic(_with_one(unseen[:, None]), correct, np.ones(len(correct)), 1e-6))


def _with_one(columns: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(columns)), columns])


def _balanced(design: np.ndarray, correct: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """Return a regression in which right and wrong labels weigh the same."""
    right = max(correct.mean(), 1 / len(correct))
    weight = np.where(correct > 0, 0.5 / right, 0.5 / max(1 - right, 1 / len(correct)))
    return logistic(design, correct, weight, PENALTY, start)


def logistic(
    design: np.ndarray, correct: np.ndarray, weight: np.ndarray, penalty: float, start: np.ndarray | None = None
) -> np.ndarray:
    """Return the slopes of a logistic regression with an L2 penalty on all but the first, by Newton's method."""
    ridge = np.diag(np.append(1e-9, np.full(design.shape[1] - 1, penalty)))
    slopes = np.zeros(design.shape[1]) if start is None else start.copy()
    for _ in range(STEPS):
        chance = expit(design @ slopes)
        slope = design.T @ (weight * (correct - chance)) - ridge @ slopes
        curve = (design * (weight * chance * (1 - chance))[:, None]).T @ design + ridge
        step = np.linalg.solve(curve, slope)
        slopes = slopes + step * min(1.0, 5 / max(np.abs(step).max(), 1e-12))  # a long step may overshoot
        if np.abs(step).max() < STILL:
            break
    return slopes
