"""Labels that a model's probabilities contradict: which are probably wrong, what they should be, the worst first.

Confident learning (Northcutt, Jiang and Chuang 2021). The probabilities must come from a model that was not fitted on
the labels they judge: whoever has learnt a mistake does not see it.
"""

from typing import Any

import numpy as np

from schemas.errors import RequestError
from tasks.posterior import Posterior
from tasks.posterior.opinions import Opinions, mean

FILTERS = ("noise-rate", "class", "both", "off-diagonal")
SCORES = ("self-confidence", "normalised-margin")
LEAST = 1  # labels kept of each class, however noisy it is
SAME = 1e-6  # a probability closer than this to a threshold, or to the greatest, has reached it
DIGITS = 12  # of every score given


def thresholds(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return, for each label, the mean probability it has where it was given; 2, out of reach, where it never was."""
    kinds = probability.shape[1]
    given = np.bincount(label, minlength=kinds)
    mass = np.bincount(label, probability[np.arange(len(label)), label], kinds)
    return np.where(given > 0, np.maximum(mass / np.maximum(given, 1), 2 * SAME), 2.0)


def confident(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return the label each row is confidently of: the likeliest that reaches its threshold; -1 where none does."""
    reached = probability >= thresholds(label, probability) - SAME
    several = reached.sum(axis=1) > 1
    return np.where(reached.any(axis=1), np.where(several, probability.argmax(axis=1), reached.argmax(axis=1)), -1)


def confident_joint(label: np.ndarray, probability: np.ndarray, is_calibrated: bool = True) -> np.ndarray:
    """Return label given × label confidently so: rows; calibrated, each row sums to the times its label was given."""
    kinds, likely = probability.shape[1], confident(label, probability)
    sure = likely >= 0
    counts = np.bincount(label[sure] * kinds + likely[sure], minlength=kinds * kinds).reshape(kinds, kinds)
    np.fill_diagonal(counts, counts.diagonal().clip(min=1))
    return _calibrated(counts, np.bincount(label, minlength=kinds)) if is_calibrated else counts


def joint(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return label given × true label: share of all rows, sums to 1."""
    kinds = probability.shape[1]
    # Calibrated twice, the second time for what rounding moved.
    counts = _calibrated(confident_joint(label, probability), np.bincount(label, minlength=kinds))
    return counts / counts.sum()


def quality(label: np.ndarray, probability: np.ndarray, score: str = "self-confidence") -> np.ndarray:
    """Return how credible each label is, 0 to 1: its own probability, or its margin over the best of the others."""
    if score not in SCORES:
        raise RequestError(f"no score {score!r}; scores: {', '.join(SCORES)}")
    own = probability[np.arange(len(label)), label]
    return own if score == "self-confidence" else (own - _best_other(label, probability) + 1) / 2


def is_issue(label: np.ndarray, probability: np.ndarray, filter_by: str = "noise-rate") -> np.ndarray:
    """Return whether each label is probably wrong.

    `noise-rate` takes as many of each pair (label given, true label) as the joint says there are, by margin; `class` as
    many of each label given, by self-confidence; `both` what both take; `off-diagonal` what is confidently another label.
    """
    if filter_by not in FILTERS:
        raise RequestError(f"no filter {filter_by!r}; filters: {', '.join(FILTERS)}")
    by = {"noise-rate": (_by_pair,), "class": (_by_class,), "both": (_by_pair, _by_class), "off-diagonal": (_by_joint,)}
    found = np.logical_and.reduce([one(label, probability) for one in by[filter_by]])
    return found & (_best_other(label, probability) > probability[np.arange(len(label)), label] + SAME)


def ranked(
    label: np.ndarray, probability: np.ndarray, filter_by: str = "noise-rate", score: str = "self-confidence"
) -> np.ndarray:
    """Return the rows whose label is probably wrong, the least credible first."""
    rows = np.flatnonzero(is_issue(label, probability, filter_by))
    return rows[np.argsort(quality(label, probability, score)[rows], kind="stable")]


def label_errors(
    found: Posterior, opinions: Opinions, filter_by: str = "noise-rate", score: str = "self-confidence"
) -> list[dict[str, Any]]:
    """Return a row for each item whose label people probably got wrong, the likeliest mistake first.

    The label is the most probable one, the judge the mean of the models' opinions; an item without both is left out.
    """
    probability, weight = mean(opinions, len(found.item_ids), np.ones(len(opinions.annotator_ids)))
    items = np.flatnonzero((found.winner >= 0) & (found.annotations > 0) & (weight > 0))
    label, probability = found.winner[items], probability[items]
    rows = ranked(label, probability, filter_by, score)
    scores = quality(label, probability, score)
    return [
        {
            "item_id": found.item_ids[int(items[row])].as_py(),
            "label": found.labels[label[row]],
            "suggested_label": found.labels[probability[row].argmax()],
            "score": round(float(scores[row]), DIGITS),
        }
        for row in rows
    ]


def _best_other(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    others = probability.copy()
    others[np.arange(len(label)), label] = -np.inf
    return others.max(axis=1, initial=-np.inf)


def _calibrated(counts: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return counts whose rows sum to the times each label was given."""
    scaled = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * given[:, None]
    return np.array([_whole(row) for row in scaled / max(scaled.sum(), 1) * given.sum()])


def _whole(numbers: np.ndarray) -> np.ndarray:
    """Return whole numbers whose sum is that of the numbers, rounded, each as near its own as that allows."""
    whole = numbers.round()
    while difference := int(numbers.sum().round() - whole.sum()):
        order = np.argsort(numbers - whole, kind="stable")
        moved = order[::-1][:difference] if difference > 0 else order[:-difference]
        whole[moved] += np.sign(difference)
    return whole.astype(int)


def _by_joint(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    likely = confident(label, probability)
    return (likely >= 0) & (likely != label)


def _by_pair(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return whether a row is among the most telling of its pair (label given, true label)."""
    counts, found = _pruned(label, probability), np.zeros(len(label), dtype=bool)
    for given, rows in enumerate(_rows_of(label, len(counts))):
        for true in np.flatnonzero(counts[given]) if len(rows) > LEAST else ():
            if true != given:
                margin = probability[rows, true] - probability[rows, given]
                found[rows[np.argsort(-margin, kind="stable")[: counts[given, true]]]] = True
    return found


def _by_class(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return whether a row is among the least probable of those given its label."""
    kept, found = _pruned(label, probability).diagonal(), np.zeros(len(label), dtype=bool)
    for given, rows in enumerate(_rows_of(label, len(kept))):
        if len(rows) > LEAST:
            order = np.argsort(probability[rows, given], kind="stable")
            found[rows[order[: max(len(rows) - kept[given], 0)]]] = True
    return found


def _pruned(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return label given × true label: rows, with `LEAST` or more of each label given left as they are."""
    counts = confident_joint(label, probability)
    own = counts.diagonal()
    kept = np.maximum(own, LEAST)
    wrong = np.maximum(np.count_nonzero(counts, axis=1) - 1, 1)  # kinds of mistake the kept ones are taken from
    fewer = np.maximum(counts - ((kept - own) / wrong)[:, None], 0)
    np.fill_diagonal(fewer, kept)
    return fewer.astype(int)


def _rows_of(label: np.ndarray, kinds: int) -> list[np.ndarray]:
    """Return, for each label, the rows it was given to."""
    order = np.argsort(label, kind="stable")
    return np.split(order, np.cumsum(np.bincount(label, minlength=kinds))[:-1])
