"""How far traffic has moved from what was published: labels, scores and slices, with the size of the move and its p."""

from typing import Any

import numpy as np

from tasks.monitor.resampled import rounded
from tasks.monitor.scored import Scored
from tasks.monitor.two_sample import chi_square, chi_square_p, kolmogorov_smirnov

MAJOR = 0.25  # stability index from which a move counts as major: the usual rule of thumb, no theorem
SURPRISING = 0.01
LEAST_SHARE = 1e-4  # of a category that one side lacks: its logarithm is wanted
BANDS = 10  # of scores, each with a tenth of the items before
NOWHERE = {"psi": None, "jensen_shannon_nats": None, "p": None, "is_major": False}


def drift(before: Scored, now: Scored) -> dict[str, Any]:
    """Return {labels, scores, slices}, each with before, now, psi, jensen_shannon_nats, p and is_major."""
    return {
        "labels": _categories(before.label, now.label),
        "scores": _scores(before.score, now.score),
        "slices": _categories(before.slice, now.slice),
    }


def _categories(before: np.ndarray, now: np.ndarray) -> dict[str, Any]:
    """Return the share of each category on either side, and how far they moved."""
    names, code = np.unique(np.concatenate([before, now]).astype(str), return_inverse=True)
    counts = [np.bincount(part, minlength=len(names)) for part in (code[: len(before)], code[len(before) :])]
    shares = [dict(zip(names.tolist(), rounded(side / max(side.sum(), 1)), strict=True)) for side in counts]
    moved = _moved(*counts, chi_square_p(*chi_square(*counts))) if len(before) and len(now) else NOWHERE
    return {"before": shares[0], "now": shares[1]} | moved


def _scores(before: np.ndarray, now: np.ndarray) -> dict[str, Any]:
    """Return the mean score on either side, and how far scores moved, by tenths of those before."""
    means = {
        "before": rounded(before.mean()) if len(before) else None,
        "now": rounded(now.mean()) if len(now) else None,
    }
    if not len(before) or not len(now):
        return means | NOWHERE
    edges = np.unique(np.quantile(before, np.linspace(0, 1, BANDS + 1)[1:-1]))
    bands = [np.searchsorted(edges, side, side="right") for side in (before, now)]
    counts = [np.bincount(band, minlength=len(edges) + 1) for band in bands]
    return means | _moved(*counts, kolmogorov_smirnov(before, now)[1])


def _moved(before: np.ndarray, now: np.ndarray, p: float) -> dict[str, Any]:
    """Return the population stability index and the Jensen–Shannon divergence of two rows of counts, beside the p."""
    shares = [np.maximum(side / side.sum(), LEAST_SHARE) for side in (before, now)]
    psi = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    divergence = _entropy((before / before.sum() + now / now.sum()) / 2) - (_entropy(before) + _entropy(now)) / 2
    is_major = psi >= MAJOR and p < SURPRISING
    return {
        "psi": rounded(psi),
        "jensen_shannon_nats": rounded(max(divergence, 0.0)),
        "p": rounded(p),
        "is_major": is_major,
    }


def _entropy(counts: np.ndarray) -> float:
    """Return the entropy of counts or shares, in nats."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
