"""What machines say of items: a probability of each label, beside the votes of people."""

from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from schemas.errors import RequestError
from tasks.posterior.votes import Votes, votes
from tasks.sql import keep, relation


class Opinions(NamedTuple):
    """Opinions as numbers: one row per item and machine, sorted by both."""

    item: np.ndarray
    """Place of the item among the items of the votes."""
    annotator: np.ndarray
    """Place of the machine among the machines."""
    probability: np.ndarray
    """Opinions × labels: probability of each label, rows sum to 1."""
    annotator_ids: pa.Array
    """Names of the machines, sorted."""


def people(connection: duckdb.DuckDBPyConnection, labels: list[str] | None = None) -> Votes:
    """Return the votes of people in the relation `vote`; an item that only machines labelled is there without a vote."""
    everybody = votes(connection, labels)
    persons = keep(connection, "opinion_annotator").filter("not is_machine").order("code").to_arrow_table()
    codes, names = (persons.column(name).combine_chunks() for name in ("code", "annotator_id"))
    is_person = np.isin(np.arange(len(everybody.annotator_ids)), np.from_dlpack(codes))
    kept, place = is_person[everybody.annotator], np.cumsum(is_person, dtype=np.int32) - 1
    annotator = place[everybody.annotator[kept]]
    return Votes(everybody.item[kept], annotator, everybody.label[kept], everybody.item_ids, names)


def opinions(connection: duckdb.DuckDBPyConnection, votes: Votes, labels: list[str]) -> Opinions:
    """Return the opinions of machines in the relation `vote`, on the items of `votes`, read before from the same.

    What a distribution leaves to 1 is shared evenly by the labels it does not name. A label without a distribution has
    0.7 of it, as much as a label of a person nobody knows.
    """
    machines = keep(connection, "opinion_annotator").filter("is_machine").order("code").select("annotator_id")
    names = machines.to_arrow_table().column(0).combine_chunks()
    rows = relation(connection, "opinion_code").to_arrow_table().combine_chunks()
    item, annotator, shares = (rows.column(name).combine_chunks() for name in ("item", "annotator", "shares"))
    # By this way, since to_numpy makes pyarrow import pandas.
    item, annotator, shares = (np.from_dlpack(column) for column in (item, annotator, shares.flatten()))
    if item.max(initial=-1) >= len(votes.item_ids):
        raise RequestError("machines labelled items that the votes do not have: take the votes of `people`")
    return _one_each(item, annotator, _whole(shares.reshape(len(rows), len(labels))), names)


def mean(opinions: Opinions, items: int, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return items × labels: the mean opinion on each item, by the machines' weights; and the weight on each item.

    Items without an opinion have zeros.
    """
    given = weight[opinions.annotator]
    total = np.bincount(opinions.item, given, items)
    mass = [np.bincount(opinions.item, given * share, items) for share in opinions.probability.T]
    return np.stack(mass, axis=1) / np.where(total > 0, total, 1)[:, None], total


def _one_each(item: np.ndarray, annotator: np.ndarray, probability: np.ndarray, names: pa.Array) -> Opinions:
    """Return one opinion per item and machine, sorted: the mean of a machine's answers."""
    cell = item * np.int64(max(len(names), 1)) + annotator
    # Sorted by what they say too, so that the same answers are added in the same order.
    order = np.lexsort((*probability.T, cell)) if len(np.unique(cell)) < len(cell) else np.argsort(cell)
    first = np.flatnonzero(np.diff(cell[order], prepend=-1))
    answers = np.diff(first, append=len(order))
    total = np.add.reduceat(probability[order], first) if len(first) else probability
    return Opinions(item[order][first], annotator[order][first], total / answers[:, None], names)


def _whole(probability: np.ndarray) -> np.ndarray:
    """Return rows that sum to 1: labels not named share what the named ones leave."""
    named = np.maximum(probability, 0)
    unnamed = named == 0
    rest = np.maximum(1 - named.sum(axis=1), 0) / np.maximum(unnamed.sum(axis=1), 1)
    filled = np.where(unnamed, rest[:, None], named)
    return filled / filled.sum(axis=1, keepdims=True)
