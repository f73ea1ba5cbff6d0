"""Where certificates are sought: thresholds and starts, from scores and the number of audits alone."""

import numpy as np

from tasks.certificate.claim import Claim, Grid
from tasks.certificate.evidence import ROUND_OFF, WHOLE, binomial_p

# Where tests start, and with which part of delta. The first start is where the audit can be expected to certify with one
# error, for models that are far better than promised; the second has twice as many audits or a quarter of all, for those
# that err here and there among the surest; the last accepts all, for those that are surest where they are wrong.
# On the public sets (bench/certificate.py) two equal parts accept 1 % more, and nothing where the surest are wrong.
PARTS = (0.45, 0.45, 0.1)
ERRORS, SECOND = 1, 0.25
COARSE = 1.25  # times as many items above the next threshold: then the first start needs no error to be allowed for
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
        return Grid((), (), (), looks)
    expected = audits * np.cumsum(counts) / len(score)
    starts, parts = _starts(expected, claim, audits, slices)
    steps = np.arange(expected[starts[0]], audits, max(audits / STEPS, 1.0))
    places = np.concatenate([starts, _place(expected, steps), [len(distinct) - 1]])  # the last of them accepts all
    chosen = np.unique(places.astype(int))
    begins, which = np.unique(np.searchsorted(chosen, starts), return_inverse=True)
    parts = np.bincount(which, parts)  # starts may fall together
    return Grid(tuple((-distinct[chosen]).tolist()), tuple(begins.tolist()), tuple(parts.tolist()), looks)


def _starts(expected: np.ndarray, claim: Claim, audits: int, slices: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where tests start, of thresholds above which so many audits are expected, and their parts of delta."""
    begins, parts = _begins(claim, audits, slices)
    starts = _place(expected, begins)
    first, level = starts[0], PARTS[0] * claim.delta / slices
    # Scores may be so coarse that too few audits are followed by far more than enough.
    is_coarse = first > 0 and expected[first] > COARSE * expected[first - 1]
    if is_coarse and expected[first - 1] >= least_at(claim, 0, level):
        rest = starts[1:] if len(starts) > 1 else starts
        return np.append(first - 1, rest), parts if len(starts) > 1 else np.array([0.5, 0.5])
    return starts, parts


def _begins(claim: Claim, audits: int, slices: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how many audits are expected above each start, and the starts' parts of delta."""
    delta = claim.delta / slices
    least = least_at(claim, ERRORS, PARTS[0] * delta)
    if 2 * least <= audits:
        return np.array([least, max(2 * least, SECOND * audits), audits], dtype=float), np.array(PARTS)
    affordable = [one for errors in (ERRORS, 0) if (one := least_at(claim, errors, delta)) <= audits]
    return np.array([affordable[0] if affordable else audits], dtype=float), np.ones(1)


def _place(expected: np.ndarray, audits: np.ndarray) -> np.ndarray:
    """Return the strictest threshold above which so many audits are expected."""
    return np.minimum(np.searchsorted(expected, audits - ROUND_OFF), len(expected) - 1)


def least_audits(claim: Claim, errors: int = 0, slices: int = 1, starts: int = 1) -> int:
    """Return the least audits above the first threshold that certify it with so many errors among them.

    Of a batch it is the binomial's number, which a small batch may do with a few less than.
    """
    return least_at(claim, errors, claim.delta / (slices * starts))


def least_at(claim: Claim, errors: int, level: float) -> int:
    """Return the same of a test at a level."""
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
