"""Tests of two samples for one distribution, with the p of a difference so large where there is none."""

from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc, kolmogorov, ndtr

LEAST_EXPECTED = (
    5  # items of a label on either side, on average: chi-square's usual rule; rarer labels are taken together
)


class Ranks(NamedTuple):
    """Two samples by their ranks."""

    auc: float
    """Chance that one of the second is above one of the first, a tie counted half."""
    excess: float
    """Sum of ranks of the second beyond what equal samples have, Mann and Whitney's U less its mean."""
    variance: float
    """Variance of that where the samples are equal, ties allowed for."""


def ranks(first: np.ndarray, second: np.ndarray) -> Ranks:
    """Return how far the second sample lies above the first."""
    n, m = len(first), len(second)
    _, place, counts = np.unique(np.concatenate([first, second]), return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    above = middle[place[n:]].sum() - m * (m + 1) / 2
    total = n + m
    tied = (counts.astype(float) ** 3 - counts).sum() / (total * (total - 1))
    return Ranks(above / (n * m), above - n * m / 2, n * m / 12 * (total + 1 - tied))


def rank_p(excess: float, variance: float, is_above: bool = False) -> float:
    """Return p of so large an excess either way, or only upwards; by the normal distribution."""
    if variance <= 0:
        return 1.0
    z = excess / np.sqrt(variance)
    return float(ndtr(-z) if is_above else 2 * ndtr(-abs(z)))


def stratified(strata: list[Ranks], sizes: list[int]) -> tuple[float, float]:
    """Return excess and variance over strata, each weighed by one over its items and one (van Elteren 1960)."""
    weights = 1 / (np.array(sizes, dtype=float) + 1)
    excess = weights @ np.array([one.excess for one in strata])
    return float(excess), float(weights**2 @ np.array([one.variance for one in strata]))


def kolmogorov_smirnov(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return the greatest distance of the two distributions, 0–1, and its p, asymptotic; with ties it is too great."""
    values = np.unique(np.concatenate([first, second]))
    shares = [np.searchsorted(np.sort(side), values, side="right") / len(side) for side in (first, second)]
    distance = float(np.abs(shares[0] - shares[1]).max())
    return distance, float(kolmogorov(np.sqrt(len(first) * len(second) / (len(first) + len(second))) * distance))


def chi_square(first: np.ndarray, second: np.ndarray) -> tuple[float, int]:
    """Return Pearson's statistic of two rows of counts and its degrees of freedom; rare columns are taken together."""
    table = np.array([first, second], dtype=float)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(table.sum(), 1)
    is_rare = expected.min(axis=0) < LEAST_EXPECTED
    table = np.column_stack([table[:, ~is_rare], table[:, is_rare].sum(axis=1)])
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(table.sum(), 1)
    there = expected.min(axis=0) > 0
    if there.sum() < 2:
        return 0.0, 0
    return float(((table - expected)[:, there] ** 2 / expected[:, there]).sum()), int(there.sum()) - 1


def chi_square_p(statistic: float, freedom: int) -> float:
    """Return p of so large a statistic."""
    return float(chdtrc(freedom, statistic)) if freedom else 1.0
