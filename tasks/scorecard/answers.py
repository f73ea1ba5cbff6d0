"""Each annotator's answer on each item, and what the other annotators' answers say of the same item."""

from collections.abc import Iterator
from typing import NamedTuple

import duckdb
import numpy as np

from tasks.posterior import Posterior
from tasks.sql import keep, relation

CELLS = 500_000  # answers × labels looked at together: 4 MB an array, which caches hold


class Answers(NamedTuple):
    """The latest label of each annotator on each item: one entry per item and annotator, sorted by both."""

    item: np.ndarray
    """Place of the item among the items."""
    annotator: np.ndarray
    """Place of the annotator among the annotators."""
    label: np.ndarray
    """Place of the label among the labels."""
    labelled_at: np.ndarray
    """Epoch seconds; NaN where not known."""
    starts: np.ndarray
    """First answer of every item, and the number of answers at the end."""

    def where(self, first: int, last: int) -> "Answers":
        """Return the answers on the items from `first` up to `last`."""
        rows = slice(self.starts[first], self.starts[last])
        columns = (column[rows] for column in self[:4])
        return Answers(*columns, self.starts[first : last + 1] - self.starts[first])


class Model(NamedTuple):
    """What is taken as known of the crowd when one answer is judged by the others."""

    prior: np.ndarray
    """Logarithm of each label's share."""
    confusion: np.ndarray
    """Annotators × true label × label given: probability of the label given."""
    evidence: np.ndarray
    """Annotators × label given × true label: logarithm of the same probability."""
    ordinary: np.ndarray
    """True label × label given: probabilities of the crowd's labels together."""


class Others(NamedTuple):
    """What the other annotators say, for each answer."""

    truth: np.ndarray
    """Answers × labels: probability of each label by the others' answers alone."""
    expected: np.ndarray
    """Answers × labels: probability that an ordinary annotator would have given each label."""


def answers(connection: duckdb.DuckDBPyConnection, labels: list[str]) -> Answers:
    """Return the latest answers in the relation `vote`, labels by their place in `labels`."""
    place = {label: code for code, label in enumerate(labels)}
    codes = np.array(
        [place[label] for label, _ in keep(connection, "label_code").order("code").fetchall()], dtype=np.int64
    )
    rows = relation(connection, "scorecard_answer").fetchnumpy()
    item, annotator = rows["item"], rows["annotator"]
    is_latest = np.append((np.diff(item) != 0) | (np.diff(annotator) != 0), True)[: len(item)]
    item = item[is_latest]
    starts = np.append(np.flatnonzero(np.diff(item, prepend=-1)), len(item))
    return Answers(item, annotator[is_latest], codes[rows["label"][is_latest]], rows["labelled_at"][is_latest], starts)


def model(found: Posterior) -> Model:
    """Return the crowd's parameters from a posterior."""
    ordinary = np.average(found.confusion, axis=0, weights=found.labels_given)
    return Model(log(found.prior), found.confusion, log(found.confusion).transpose(0, 2, 1).copy(), ordinary)


def blocks(said: Answers, kinds: int) -> Iterator[Answers]:
    """Return the answers in runs of whole items that fit into memory."""
    most, last = CELLS // kinds, len(said.starts) - 1
    first = 0
    while first < last:
        until = int(np.searchsorted(said.starts, said.starts[first] + most, side="right")) - 1
        until = min(max(until, first + 1), last)
        yield said.where(first, until)
        first = until


def others(said: Answers, crowd: Model) -> Others:
    """Return what the others say, for each of the answers on whole items."""
    own = crowd.evidence[said.annotator, said.label]
    everyone = np.add.reduceat(own, said.starts[:-1], axis=0) + crowd.prior
    truth = shares(np.repeat(everyone, np.diff(said.starts), axis=0) - own)
    return Others(truth, truth @ crowd.ordinary)


def shares(scores: np.ndarray) -> np.ndarray:
    """Return probabilities from logarithms known up to a constant, along the last axis."""
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def log(probability: np.ndarray) -> np.ndarray:
    """Return the logarithm; -700 for the impossible, since minus infinity could not be taken out of a sum again."""
    return np.log(np.maximum(probability, np.exp(-700.0)))
