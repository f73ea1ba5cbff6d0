"""How common each label is among items of which a model labelled all and people a few."""

from collections.abc import Sequence

import numpy as np

from tasks.accuracy.interval import Interval
from tasks.accuracy.share import Claim, estimate


def one_hot(given: Sequence[str | None], labels: Sequence[str]) -> np.ndarray:
    """Return items × labels: 1 where the item has the label, else 0."""
    return (np.asarray(given, dtype=object)[:, None] == np.asarray(labels, dtype=object)).astype(float)


def prevalence(
    truth: Sequence[str],
    foretold: np.ndarray,
    pool: np.ndarray,
    labels: Sequence[str],
    *,
    weights: Sequence[float] | None = None,
    confidence: float = 0.95,
    pending: int = 0,
    claim: Claim = "batch",
) -> dict[str, Interval]:
    """Return, by label, the share of items it is the true label of; each interval holds by itself.

    `truth` are people's labels of the answered audits; `foretold` and `pool` are items × labels: the model's probability, or
    `one_hot` of its labels. Everything else as in `estimate`.
    """
    is_label = one_hot(truth, labels)
    how = {"weights": weights, "confidence": confidence, "pending": pending, "claim": claim}
    return {
        label: estimate(is_label[:, column], foretold[:, column], pool[:, column], **how)
        for column, label in enumerate(labels)
    }
