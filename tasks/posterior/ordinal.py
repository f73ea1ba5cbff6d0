"""Annotators of ratings: each reads the true rating with a bias and a spread of their own."""

import numpy as np
from scipy.special import ndtr

from tasks.posterior.confusion import Fit

LAPSE = 0.01  # share of ratings that slipped: one slip must not outweigh everything else
UNKNOWN = 0.5  # spread of an annotator nobody knows, in steps of the scale: right two times of three
SHARPEST = 0.1  # least spread, in steps of the scale: a smaller one changes no probability


def ordinal(scores: np.ndarray, smoothing: float) -> Fit:
    """Return a fit of normal errors on the scale of the scores, cut halfway between one label and the next.

    Two numbers an annotator, however many labels there are; `smoothing` pseudo-ratings shrink the bias towards 0 and
    the spread towards that of all. A call makes one step, from where the last one ended: an M step need only improve.
    """
    step = float(np.median(np.diff(np.unique(scores)))) if len(np.unique(scores)) > 1 else 1.0
    bias, spread = np.zeros(1), np.full(1, UNKNOWN * step)
    shares = _shares(scores, bias, spread)

    def fit(counts: np.ndarray) -> np.ndarray:
        nonlocal bias, spread, shares
        bias, spread = _nearer(counts, bias, spread, shares, smoothing)
        spread = np.maximum(spread, SHARPEST * step)
        shares = _shares(scores, bias, spread)
        return (1 - LAPSE) * shares[0] + LAPSE / len(scores)

    return fit


def _nearer(
    counts: np.ndarray, bias: np.ndarray, spread: np.ndarray, shares: tuple[np.ndarray, ...], smoothing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return bias and spread of every annotator after one step of EM, in which what was read is what is not known."""
    share, first, second = shares
    meant = counts * (share / (share + LAPSE / (1 - LAPSE) / counts.shape[1]))  # the rest slipped
    rated = meant.sum(axis=(1, 2))
    off = spread * np.einsum("akl,akl->a", meant, first)
    squared = spread**2 * np.einsum("akl,akl->a", meant, second)
    weight = np.maximum(rated + smoothing, np.finfo(float).tiny)
    moved = (off + rated * bias) / weight - bias
    squared = squared - 2 * moved * off + rated * moved**2
    pooled = squared.sum() / max(rated.sum(), np.finfo(float).tiny)
    return bias + moved, np.sqrt((squared + smoothing * pooled) / weight)


def _shares(scores: np.ndarray, bias: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return annotators × true × given: probability, and the mean error and mean squared error in units of spread."""
    order = np.argsort(scores, kind="stable")
    edges = (scores[order][1:] + scores[order][:-1]) / 2
    edge = (edges - scores[:, None] - bias[:, None, None]) / spread[:, None, None]
    density = np.exp(-0.5 * edge**2) / np.sqrt(2 * np.pi)
    share = np.diff(ndtr(edge), prepend=0, append=1, axis=2)
    first, second = (-np.diff(part, prepend=0, append=0, axis=2) for part in (density, edge * density))
    possible = np.maximum(share, np.finfo(float).tiny)
    back = np.argsort(order, kind="stable")
    return share[:, :, back], (first / possible)[:, :, back], (1 + second / possible)[:, :, back]
