"""Where certificates are sought: thresholds and starts, from scores and the number of audits alone."""

import numpy as np

from tasks.certificate.claim import Claim, Grid
from tasks.certificate.evidence import WHOLE, binomial_p

STARTS = 2
ERRORS = 1  # the first start has the audits that certify with so many errors, the second twice as many
STEPS = 40  # thresholds an audit in 40 apart: neighbours share nearly all audits, so that a finer grid costs nothing


def thresholds(score: np.ndarray, claim: Claim, audits: int, slices: int = 1) -> Grid:
    """Return the thresholds to be tested once so many of the items with these scores are audited.

    Nothing but scores and the planned number of audits goes in, so that it can be fixed before there is an answer.
    The strictest threshold is the one above which the audit can be expected to certify with one error.
    """
    score = np.asarray(score, dtype=float)
    looks = (audits,) if claim.method == "stream" else ()
    # A stream's audit goes on with the items of later nights, that of a file or a batch cannot be longer than it.
    audits = audits if claim.method == "stream" else min(audits, len(score))
    distinct, counts = np.unique(-score[~np.isnan(score)], return_counts=True)
    if not len(distinct):
        return Grid((), (), looks)
    expected = audits * np.cumsum(counts) / len(score)
    begins = _begins(claim, audits, slices)
    wanted = np.append(np.arange(begins[0], audits, max(audits / STEPS, 1.0)), audits)
    chosen = np.unique(np.minimum(np.searchsorted(expected, wanted - 1e-9), len(distinct) - 1))
    chosen = np.union1d(chosen, len(distinct) - 1)  # and all
    starts = np.minimum(np.searchsorted(expected[chosen], np.array(begins) - 1e-9), len(chosen) - 1)
    return Grid(tuple((-distinct[chosen]).tolist()), tuple(np.unique(starts).tolist()), looks)


def _begins(claim: Claim, audits: int, slices: int) -> list[float]:
    """Return how many audits are expected above each start."""
    least = least_audits(claim, ERRORS, slices, STARTS)
    if STARTS * least <= audits:
        return [float(least * start) for start in range(1, STARTS + 1)]
    for errors in range(ERRORS, -1, -1):
        if (least := least_audits(claim, errors, slices)) <= audits:
            return [float(least)]
    return [float(audits)]


def least_audits(claim: Claim, errors: int = 0, slices: int = 1, starts: int = 1) -> int:
    """Return the least audits above the first threshold that certify it with so many errors among them.

    Of a batch it is the binomial's number, which a small batch may do with a few less than.
    """
    level = claim.delta / (slices * starts)
    low, high = errors, 2 * errors + 1
    while not _certifies(claim, errors, high, level):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _certifies(claim, errors, middle, level) else (middle, high)
    return high


def _certifies(claim: Claim, errors: int, audited: int, level: float) -> bool:
    level *= WHOLE if claim.method == "stream" else 1.0
    return bool(binomial_p(np.array(errors), np.array(audited), claim.max_error) <= level)
