"""Prediction-powered means: what was foretold of every item, put right by the items people audited.

Angelopoulos, Duchi and Zrnic 2023 (PPI++). As good as the audits alone where the foretelling is worthless, better where not.
"""

from typing import NamedTuple

import numpy as np


class Tuned(NamedTuple):
    """A mean, and how well it is known."""

    power: float
    """λ: how much of the foretelling is used; 0 none of it, 1 all of it."""
    value: float
    """The mean."""
    variance: float
    """Of the value as the mean of the stream that the items come from."""
    variance_here: float
    """Of the value as the mean of these items alone: what was audited is known."""


def tuned(correct: np.ndarray, foretold: np.ndarray, pool: np.ndarray) -> Tuned:
    """Return the mean of audits drawn at random, tuned by what was foretold of them and of the pool: items not audited.

    λ* = Cov(Y, F) / ((1 + n/N) Var(F)), clipped to 0–1, is also the λ that is best for these items alone.
    """
    audits, rest = len(correct), len(pool)
    if not rest:
        return Tuned(0.0, float(correct.mean()), float(correct.var()) / audits, 0.0)
    everything = np.concatenate([foretold, pool])
    spread = everything.var(ddof=1)
    together = (correct * foretold).mean() - correct.mean() * foretold.mean()
    power = float(np.clip(together / ((1 + audits / rest) * spread), 0, 1)) if spread > 0 else 0.0
    value = power * pool.mean() + (correct - power * foretold).mean()
    variance = power**2 * pool.var() / rest + (correct - power * foretold).var() / audits
    # The error for these items is (1 - n/M) of the difference of residual means, audited less the rest.
    share_left = rest / (audits + rest)
    residual = correct - power / share_left * foretold
    return Tuned(power, float(value), float(variance), float(residual.var() * share_left / audits))


def weighed(correct: np.ndarray, foretold: np.ndarray, pool: np.ndarray, weights: np.ndarray) -> Tuned:
    """Return the same for audits that were likelier for some items; `weights` are one over the chance of each.

    Hájek's mean of what the foretelling missed (Särndal, Swensson and Wretman 1992, section 7.4).
    """
    total, items = weights.sum(), len(correct) + len(pool)
    doubt = weights * (weights - 1)  # an item that was sure to be drawn says nothing of the others
    share = weights / total
    y, f = correct - share @ correct, foretold - share @ foretold
    spread = doubt @ f**2
    slope = float(np.clip(doubt @ (y * f) / spread, 0, items / len(pool))) if spread > 0 and len(pool) else 0.0
    value = slope * (foretold.sum() + pool.sum()) / items + share @ (correct - slope * foretold)
    variance_here = doubt @ (y - slope * f) ** 2 / total**2
    of_stream = variance_here + share @ y**2 / items
    return Tuned(slope * len(pool) / items, float(value), float(of_stream), float(variance_here))
