"""Ratings: a posterior over labels that are numbers has a mean, a median and a spread."""

import numpy as np


def mean(matrix: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the posterior mean of every item, in units of the scores."""
    return matrix @ scores


def spread(matrix: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the posterior standard deviation of every item, in units of the scores."""
    centre = scores.mean() if len(scores) else 0.0  # far from 0, squares would lose digits
    centred = scores - centre
    return np.sqrt(np.maximum(matrix @ centred**2 - (matrix @ centred) ** 2, 0))


def median(matrix: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the posterior median of every item, in units of the scores: the least with half the probability."""
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(matrix[:, order], axis=1) >= 0.5 - 1e-9  # a half up to rounding is a half
    return scores[order][reached.argmax(axis=1)] if matrix.size else np.zeros(len(matrix))
