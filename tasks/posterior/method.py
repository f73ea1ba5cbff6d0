"""One interface to every method: votes in, a posterior and the quality of annotators out."""

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from schemas.errors import RequestError
from tasks.posterior import rating
from tasks.posterior.em import Fitted, expected_votes, fitted, label_prior, label_sizes, pin
from tasks.posterior.votes import Votes, annotations, leaders, vote_counts, vote_shares

if TYPE_CHECKING:
    from tasks.posterior.opinions import Opinions

METHODS = (
    "majority",
    "weighted-majority",
    "one-coin",
    "dawid-skene",
    "mace",
    "glad",
    "ordinal",
    "crowdlab",
    "log-pool",
)
WITHOUT_CONFUSION = ("majority", "weighted-majority")
WITH_OPINIONS = ("crowdlab", "log-pool")  # methods that need what models say beside the votes
SMOOTHING = 2.0  # pseudo-labels in each row of a confusion matrix: an annotator's first two labels say little
TOLERANCE = 1e-6  # no probability moves more in the last round; labels have long stopped moving by then
MOST_ROUNDS = 200
MOST_PROBABILITIES = 2**31  # items × labels: sixteen gigabytes
MOST_CONFUSED = 2**26  # annotators × labels²: half a gigabyte, of which the fits need several
REACH = 0.95  # probability that an annotator's accuracy lies within its interval


class Posterior(NamedTuple):
    """What the votes say of every item, and what that says of every annotator."""

    item_ids: pa.Array
    """Items, sorted."""
    labels: list[str]
    """Labels, in the order of the columns."""
    matrix: np.ndarray
    """Items × labels: probability of each label, rows sum to 1."""
    winner: np.ndarray
    """Place of each item's most probable label; -1 where two are equally probable."""
    is_tie: np.ndarray
    """Whether two labels have most votes, whatever the method makes of it."""
    annotations: np.ndarray
    """Votes on each item."""
    entropy_nats: np.ndarray
    """Entropy of each item's probabilities, in nats."""
    mean: np.ndarray | None
    """Mean of each item's probabilities, in units of the scores; none without scores."""
    median: np.ndarray | None
    """Median of each item's probabilities, in units of the scores; none without scores."""
    sd: np.ndarray | None
    """Standard deviation of each item's probabilities, in units of the scores; none without scores."""
    annotator_ids: pa.Array
    """Annotators, sorted."""
    confusion: np.ndarray | None
    """Annotators × true label × label given: probability of the label given, rows sum to 1; none for too many labels."""
    accuracy: np.ndarray
    """Probability that a vote of the annotator is right, mean over the annotator's votes."""
    accuracy_low: np.ndarray
    """Lower end of the interval that holds the annotator's accuracy with probability 0.95."""
    accuracy_high: np.ndarray
    """Upper end of that interval."""
    labels_given: np.ndarray
    """Votes of each annotator."""
    prior: np.ndarray
    """Share of each label among the items."""
    rounds: int
    """Rounds of estimation until nothing moved; 0 where a method needs none."""
    is_converged: bool
    """Whether estimation settled within the rounds allowed."""


def posterior(
    votes: Votes,
    labels: list[str],
    method: str = "majority",
    *,
    gold: np.ndarray | None = None,
    start: np.ndarray | None = None,
    opinions: "Opinions | None" = None,
    scores: np.ndarray | None = None,
    smoothing: float = SMOOTHING,
    tolerance: float = TOLERANCE,
    most_rounds: int = MOST_ROUNDS,
) -> Posterior:
    """Return each item's probabilities, and each annotator's quality, as the method sees them.

    `gold` is the place of each item's known label, or -1; `start` holds earlier probabilities to go on from, rows of
    NaN where there are none; `scores` are the values of labels that are numbers. `smoothing` 0 is maximum likelihood.
    """
    if method not in METHODS:
        raise RequestError(f"no method {method!r}; methods: {', '.join(METHODS)}")
    if method in WITH_OPINIONS and opinions is None:
        raise RequestError(f"{method} needs probabilities of a model beside people's labels; the table has none")
    _refuse_too_many(votes, labels, method)
    method = method if len(votes.item) else "majority"  # without a vote there is nothing to weigh
    known = np.full(len(votes.item_ids), -1) if gold is None else gold
    values = np.arange(len(labels), dtype=float) if scores is None else np.asarray(scores, dtype=float)
    first = _first(votes, labels, method, opinions, start)
    pin(first, known)
    bounds = {"smoothing": smoothing, "tolerance": tolerance, "most_rounds": most_rounds, "gold": known}
    found = _fitted(votes, first, method, values, bounds)
    is_converged = found.change <= tolerance
    return _described(votes, labels, found, None if scores is None else values, is_converged)


def _refuse_too_many(votes: Votes, labels: list[str], method: str) -> None:
    """Raise RequestError where what the method makes would not fit in memory."""
    items, people, kinds = len(votes.item_ids), len(votes.annotator_ids), len(labels)
    if items * kinds > MOST_PROBABILITIES:
        raise RequestError(f"{kinds:,} labels on {items:,} items: that many are no labels to choose from, but text")
    if not _is_confused(votes, kinds) and method not in WITHOUT_CONFUSION:
        raise RequestError(
            f"{people:,} annotators with {kinds:,} labels are too many for {method}, which weighs every confusion of two"
            f" labels; {' and '.join(WITHOUT_CONFUSION)} do not"
        )


def _is_confused(votes: Votes, kinds: int) -> bool:
    """Return whether the confusion matrices of all annotators fit in memory."""
    return len(votes.annotator_ids) * kinds**2 <= MOST_CONFUSED


def entropy_nats(matrix: np.ndarray) -> np.ndarray:
    """Return the entropy of each row of probabilities, in nats."""
    return -np.einsum("ik,ik->i", matrix, np.log(np.where(matrix > 0, matrix, 1))) + 0.0


def _first(
    votes: Votes, labels: list[str], method: str, opinions: "Opinions | None", start: np.ndarray | None
) -> np.ndarray:
    """Return the probabilities that need no estimation, or those it begins with."""
    if method == "weighted-majority":
        from tasks.posterior.majority import weighted_majority

        return weighted_majority(votes, len(labels))
    if method == "crowdlab":
        from tasks.posterior.crowdlab import crowdlab

        return crowdlab(votes, opinions, labels)[0]
    if method == "log-pool":
        from tasks.posterior.pool import log_pool

        return log_pool(votes, opinions, labels)[0]
    shares = vote_shares(votes, len(labels))
    return shares if start is None or method == "majority" else np.where(np.isnan(start), shares, start)


def _fitted(votes: Votes, first: np.ndarray, method: str, values: np.ndarray, bounds: dict[str, Any]) -> Fitted:
    """Return what the method's rounds make of the first probabilities."""
    from tasks.posterior import confusion

    smoothing = bounds["smoothing"]
    if method == "glad":
        from tasks.posterior.glad import glad

        return glad(votes, first, **bounds)
    if method == "ordinal":
        from tasks.posterior.ordinal import ordinal

        return fitted(votes, first, ordinal(values, smoothing), **bounds)
    if method == "mace":
        return fitted(votes, first, confusion.mace(smoothing), **bounds)
    if method == "dawid-skene":
        return fitted(votes, first, partial(confusion.dawid_skene, smoothing=smoothing), **bounds)
    if method == "one-coin":
        return fitted(votes, first, partial(confusion.one_coin, smoothing=smoothing), **bounds, is_even=True)
    matrices = (
        confusion.dawid_skene(expected_votes(votes, first), smoothing) if _is_confused(votes, first.shape[1]) else None
    )
    return Fitted(first, label_prior(label_sizes(first), smoothing), matrices, 0, 0.0)


def _described(
    votes: Votes, labels: list[str], found: Fitted, scores: np.ndarray | None, is_converged: bool
) -> Posterior:
    matrix, labels_given = found.matrix, np.bincount(votes.annotator, minlength=len(votes.annotator_ids))
    accuracy, low, high = _accuracy(votes, matrix, labels_given)
    counts, is_best = vote_counts(votes, len(labels)), leaders(matrix)
    return Posterior(
        item_ids=votes.item_ids,
        labels=labels,
        matrix=matrix,
        winner=_winners(is_best),
        is_tie=(np.count_nonzero(leaders(counts), axis=1) > 1) & counts.any(axis=1),
        annotations=annotations(votes),
        entropy_nats=entropy_nats(matrix),
        **{
            name: None if scores is None else measure(matrix, scores)
            for name, measure in {"mean": rating.mean, "median": rating.median, "sd": rating.spread}.items()
        },
        annotator_ids=votes.annotator_ids,
        confusion=found.confusion,
        accuracy=accuracy,
        accuracy_low=low,
        accuracy_high=high,
        labels_given=labels_given,
        prior=found.prior,
        rounds=found.rounds,
        is_converged=bool(is_converged),
    )


def _winners(is_best: np.ndarray) -> np.ndarray:
    """Return the place of the one label of each item that no other equals; -1 where there are several, or none."""
    is_alone = np.count_nonzero(is_best, axis=1) == 1
    return np.where(is_alone, is_best.argmax(axis=1), -1) if is_best.size else np.full(len(is_best), -1)


def _accuracy(votes: Votes, matrix: np.ndarray, cast: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the accuracy of every annotator and the ends of its interval, 0 to 1.

    Were it known which votes are right, accuracy would be a Beta with Jeffreys' prior; that each is right only with a
    probability widens it to the Beta of the same mean and the summed variance.
    """
    from scipy.special import betaincinv

    people = len(cast)
    is_right = matrix.reshape(-1)[votes.item * np.int64(matrix.shape[1]) + votes.label]
    right = np.bincount(votes.annotator, is_right, people)
    unsure = np.bincount(votes.annotator, is_right * (1 - is_right), people)
    centre = (right + 0.5) / (cast + 1)
    variance = centre * (1 - centre) / (cast + 2) + unsure / (cast + 1) ** 2
    weight = centre * (1 - centre) / variance - 1
    low, high = (
        betaincinv(weight * centre, weight * (1 - centre), tail) for tail in ((1 - REACH) / 2, (1 + REACH) / 2)
    )
    accuracy = right / cast
    return accuracy, np.minimum(low, accuracy), np.maximum(high, accuracy)
