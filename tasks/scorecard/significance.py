"""Many tests at once: how surprising the most surprising of them is."""

import numpy as np


def holm(p: np.ndarray) -> np.ndarray:
    """Return p-values adjusted so that one of all is wrongly below a level as rarely as the level says; NaN stays.

    Holm 1979: no assumption on how the tests depend on each other.
    """
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1.0)
    return adjusted
