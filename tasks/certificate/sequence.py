"""Which thresholds hold: tests in an order fixed before the audit, so that there are many and yet one promise."""

from collections.abc import Sequence

import numpy as np


def passed(
    p: np.ndarray, starts: Sequence[int], delta: float, parts: Sequence[float] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Return which thresholds hold, of p-values strictest first (last axis), and the level each was tested at.

    That a threshold holds which should not has a probability of at most delta, whatever the tests have to do with each
    other. Each start has its part of delta and hands it on as long as thresholds hold; where it comes upon another start,
    they have both parts. Wiens 2003, the fallback procedure; with one start it is fixed-sequence testing.
    """
    own = np.zeros(p.shape[-1])
    own[list(starts)] = delta * np.array(parts) if len(parts) else delta / max(len(starts), 1)
    holds, levels = np.zeros(p.shape, dtype=bool), np.zeros(p.shape)
    kept = np.zeros(p.shape[:-1])
    for place in range(p.shape[-1]):
        levels[..., place] = level = kept + own[place]
        holds[..., place] = (level > 0) & (p[..., place] <= level)
        kept = np.where(holds[..., place], level, 0.0)
    return holds, levels
