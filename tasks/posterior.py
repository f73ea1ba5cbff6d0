"""Votes become a posterior over the labels of each item, and a quality of each annotator."""

from typing import NamedTuple

import duckdb
import numpy as np

from schemas.errors import RequestError
from tasks.sql import keep, relation

METHODS = ("majority", "one-coin", "dawid-skene")
SMOOTHING = 2.0  # pseudo-labels in each row of a confusion matrix: an annotator's first two labels say little
DIAGONAL = 0.7  # share of them on the diagonal: an annotator nobody knows is more often right than not
TOLERANCE = 1e-6  # no probability moves more in the last round; labels have long stopped moving by then
MOST_ROUNDS = 200
TIE = 1e-9  # two probabilities closer than this are the same up to rounding


class Votes(NamedTuple):
    """Votes as numbers: one entry per vote, sorted by item, annotator and label."""

    item: np.ndarray
    """Place of the item among the items; every item has a vote."""
    annotator: np.ndarray
    """Place of the annotator among the annotators."""
    label: np.ndarray
    """Place of the label among the labels."""
    item_ids: np.ndarray
    """Names of the items."""
    annotator_ids: np.ndarray
    """Names of the annotators."""


class Posterior(NamedTuple):
    """What the votes say of every item, and what that says of every annotator."""

    item_ids: np.ndarray
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
    annotator_ids: np.ndarray
    """Annotators, sorted."""
    confusion: np.ndarray
    """Annotators × true label × label given: probability of the label given, rows sum to 1."""
    accuracy: np.ndarray
    """Probability that a vote of the annotator is right, mean over the annotator's votes."""
    labels_given: np.ndarray
    """Votes of each annotator."""
    prior: np.ndarray
    """Share of each label among the items."""
    rounds: int
    """Rounds of estimation until nothing moved; 0 for majority."""
    is_converged: bool
    """Whether estimation settled within the rounds allowed."""


def labels_in_use(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the labels of the relation `vote`, sorted."""
    return [label for label, _ in relation(connection, "label_code").fetchall()]


def votes(connection: duckdb.DuckDBPyConnection, labels: list[str] | None = None) -> Votes:
    """Return the relation `vote` as numbers, labels by their place in `labels` or in `labels_in_use`."""
    if labels is None:
        keep(connection, "label_code")
    else:
        keep(connection, "label_code", "given_label_code", labels=labels)
    codes = relation(connection, "vote_code").fetchnumpy()
    if strangers := len(connection.table("vote")) - len(codes["item"]):
        raise RequestError(f"{strangers} labels are not among those given")
    items = relation(connection, "item_name").fetchnumpy()["item_id"]
    annotators = relation(connection, "annotator_name").fetchnumpy()["annotator_id"]
    return Votes(codes["item"], codes["annotator"], codes["label"], items, annotators)


def coded(item: np.ndarray, annotator: np.ndarray, label: np.ndarray) -> Votes:
    """Return votes given as numbers, sorted; items and annotators are named by their number."""
    order = np.lexsort((label, annotator, item))
    item_ids, items = np.unique(item[order], return_inverse=True)
    annotator_ids, annotators = np.unique(annotator[order], return_inverse=True)
    return Votes(items, annotators, np.asarray(label)[order], item_ids, annotator_ids)


def posterior(
    votes: Votes,
    labels: list[str],
    method: str = "majority",
    smoothing: float = SMOOTHING,
    tolerance: float = TOLERANCE,
    most_rounds: int = MOST_ROUNDS,
) -> Posterior:
    """Return each item's probabilities: vote shares, one accuracy per annotator, or a confusion matrix per annotator.

    `smoothing` 0 is maximum likelihood (Dawid and Skene 1979).
    """
    if method not in METHODS:
        raise RequestError(f"no method {method!r}; methods: {', '.join(METHODS)}")
    matrix, rounds, change = vote_shares(votes, len(labels)), 0, 0.0 if method == "majority" else np.inf
    while change > tolerance and rounds < most_rounds:
        before, rounds = matrix, rounds + 1
        matrix = given(votes, *estimated(votes, before, method, smoothing))
        change = np.abs(matrix - before).max(initial=0.0)
    return _described(votes, labels, matrix, method, smoothing, rounds, bool(change <= tolerance))


def vote_shares(votes: Votes, kinds: int) -> np.ndarray:
    """Return items × labels: the share of an item's votes each label has."""
    items = len(votes.item_ids)
    counts = np.bincount(votes.item.astype(np.int64) * kinds + votes.label, minlength=items * kinds)
    counts = counts.reshape(items, kinds)
    return counts / counts.sum(axis=1, keepdims=True)


def estimated(votes: Votes, matrix: np.ndarray, method: str, smoothing: float) -> tuple[np.ndarray, np.ndarray]:
    """Return prior and confusion matrices that fit the probabilities best (the M step)."""
    prior = matrix.sum(axis=0) + smoothing
    counts = _confused(votes, matrix)
    confusion = _one_coin(counts, smoothing) if method == "one-coin" else _confusion(counts, smoothing)
    return prior / prior.sum(), confusion


def given(votes: Votes, prior: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    """Return each item's probabilities under a prior and confusion matrices (the E step)."""
    kinds = len(prior)
    cell, starts = votes.annotator * kinds + votes.label, _starts(votes.item)
    with np.errstate(divide="ignore"):  # without smoothing, what never happened is impossible
        evidence = np.log(confusion).transpose(1, 0, 2).reshape(kinds, -1)
        scores = np.stack([np.add.reduceat(row[cell], starts) for row in evidence]) + np.log(prior)[:, None]
    scores = np.exp(scores - scores.max(axis=0))  # the largest becomes 1: products of many votes would underflow
    return (scores / scores.sum(axis=0)).T


def entropy_nats(matrix: np.ndarray) -> np.ndarray:
    """Return the entropy of each row of probabilities, in nats."""
    return -(matrix * np.log(np.where(matrix > 0, matrix, 1))).sum(axis=1) + 0.0


def one_coin(accuracy: np.ndarray, kinds: int) -> np.ndarray:
    """Return confusion matrices of annotators who are right equally often on every label, and else say any other."""
    wrong = (1 - accuracy) / max(kinds - 1, 1)
    return np.where(np.eye(kinds, dtype=bool), accuracy[:, None, None], wrong[:, None, None])


def _confused(votes: Votes, matrix: np.ndarray) -> np.ndarray:
    """Return annotators × true label × label given: expected votes."""
    kinds, people = matrix.shape[1], len(votes.annotator_ids)
    cell = votes.annotator * kinds + votes.label
    # bincount adds one after the other in the order of the votes, which is sorted: always the same bits.
    counts = [np.bincount(cell, weights[votes.item], people * kinds) for weights in np.ascontiguousarray(matrix.T)]
    return np.stack(counts).reshape(kinds, people, kinds).transpose(1, 0, 2)


def _confusion(counts: np.ndarray, smoothing: float) -> np.ndarray:
    """Return confusion matrices, each row shrunk towards an annotator of whom nothing is known."""
    counts = counts + smoothing * one_coin(np.array([DIAGONAL]), counts.shape[1])
    totals = counts.sum(axis=2, keepdims=True)
    return np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)


def _one_coin(counts: np.ndarray, smoothing: float) -> np.ndarray:
    """Return the confusion matrices of one accuracy per annotator."""
    right = np.einsum("akk->a", counts) + smoothing * DIAGONAL
    return one_coin(right / (counts.sum(axis=(1, 2)) + smoothing), counts.shape[1])


def _described(
    votes: Votes, labels: list[str], matrix: np.ndarray, method: str, smoothing: float, rounds: int, is_converged: bool
) -> Posterior:
    shares = vote_shares(votes, len(labels))
    prior, confusion = estimated(votes, matrix, method, smoothing)
    people = len(votes.annotator_ids)
    labels_given = np.bincount(votes.annotator, minlength=people)
    right = np.bincount(votes.annotator, matrix[votes.item, votes.label], people)
    best = matrix.max(axis=1, initial=0.0)
    is_even = (matrix >= best[:, None] - TIE).sum(axis=1) > 1
    return Posterior(
        item_ids=votes.item_ids,
        labels=labels,
        matrix=matrix,
        winner=np.where(is_even, -1, matrix.argmax(axis=1)) if len(matrix) else np.zeros(0, dtype=int),
        is_tie=(shares >= shares.max(axis=1, initial=0.0)[:, None] - TIE).sum(axis=1) > 1,
        annotations=np.bincount(votes.item, minlength=len(votes.item_ids)),
        entropy_nats=entropy_nats(matrix),
        annotator_ids=votes.annotator_ids,
        confusion=confusion,
        accuracy=right / labels_given,
        labels_given=labels_given,
        prior=prior,
        rounds=rounds,
        is_converged=is_converged,
    )


def _starts(item: np.ndarray) -> np.ndarray:
    """Return the first vote of every item."""
    return np.flatnonzero(np.diff(item, prepend=-1))
