"""Whether an annotator's later labels are worse, or better, than the earlier ones."""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtr

from tasks.scorecard.significance import holm
from tasks.scorecard.skill import Z_95, Judged

FEWEST = 4  # answers: two a half
STILL = 1e-12  # an error of less is rounding: all answers are alike


class Drift(NamedTuple):
    """One entry per annotator; NaN where there are no times, or fewer than four answers with one."""

    earlier: np.ndarray
    """Mean probability, by the others' answers, that an answer of the earlier half is right."""
    later: np.ndarray
    """The same of the later half."""
    change: np.ndarray
    """Later less earlier, beyond the change of the others' answers on the same items."""
    low: np.ndarray
    """Lower end of the 95 % interval of the change."""
    high: np.ndarray
    """Upper end of the 95 % interval of the change."""
    p: np.ndarray
    """Of so large a change in one who does not change, adjusted for the number of annotators."""


def drift(judged: Judged, people: int) -> Drift:
    """Return how each of `people` annotators changed between the earlier and the later half of their answers.

    Harder items make everybody worse, and one who gets worse makes the others look better beside them. So a change
    is taken for the annotator's own as far as it shows both alone and beside the others.
    """
    timed = judged.where(~np.isnan(judged.labelled_at))
    timed = timed.where(np.lexsort((timed.labelled_at, timed.annotator)))
    answers = np.bincount(timed.annotator, minlength=people)
    first = np.cumsum(answers) - answers
    is_later = 2 * (np.arange(len(timed.annotator)) - first[timed.annotator]) >= answers[timed.annotator]
    earlier, later, _, p_alone = _changed(timed.annotator, timed.right, is_later, answers)
    before, after, error, p = _changed(timed.annotator, timed.beyond, is_later, answers)
    change = after - before
    p = np.where(change * (later - earlier) > 0, np.maximum(p, p_alone), 1.0)
    columns = (earlier, later, change, change - Z_95 * error, change + Z_95 * error, p)
    columns = [np.where(answers >= FEWEST, column, np.nan) for column in columns]
    return Drift(*columns[:-1], holm(columns[-1]))


def _changed(annotator: np.ndarray, figure: np.ndarray, is_later: np.ndarray, answers: np.ndarray) -> tuple:
    """Return each annotator's mean figure of the earlier and of the later half, the error of the change, and its p.

    The error comes from the spread of all of the annotator's answers, as over all ways to call half of them the later
    ones; it is never 0 because one half has no mistake.
    """
    later = np.bincount(annotator[is_later], minlength=len(answers))
    counts = (answers - later, later)
    with np.errstate(divide="ignore", invalid="ignore"):
        halves = [
            np.bincount(annotator[half], figure[half], len(answers)) / count
            for half, count in zip((~is_later, is_later), counts, strict=True)
        ]
        mean = np.bincount(annotator, figure, len(answers)) / answers
        variance = np.bincount(annotator, (figure - mean[annotator]) ** 2, len(answers)) / (answers - 1)
        error = np.sqrt(variance * (1 / counts[0] + 1 / counts[1]))
        t = np.where(error > STILL, (halves[1] - halves[0]) / error, 0.0)
    return *halves, error, 2 * stdtr(np.maximum(answers - 2, 1), -np.abs(t))
