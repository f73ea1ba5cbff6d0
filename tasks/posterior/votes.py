"""Votes as numbers: what a table of labels says, ready for arrays."""

from functools import reduce
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from schemas.errors import RequestError
from tasks.sql import keep, relation

TIE = 1e-9  # two probabilities closer than this are the same up to rounding
MOST_CELLS = 2**31  # annotators × labels: places in the tables are 32-bit numbers


class Votes(NamedTuple):
    """Votes as numbers: one entry per vote, sorted by item, annotator and label."""

    item: np.ndarray
    """Place of the item among the items."""
    annotator: np.ndarray
    """Place of the annotator among the annotators."""
    label: np.ndarray
    """Place of the label among the labels."""
    item_ids: pa.Array
    """Names of the items, sorted: millions of them, so they never become Python's own strings."""
    annotator_ids: pa.Array
    """Names of the annotators, sorted."""


def labels_in_use(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the labels of the relation `vote`, sorted."""
    return [label for label, _ in relation(connection, "label_code").fetchall()]


def votes(connection: duckdb.DuckDBPyConnection, labels: list[str] | None = None) -> Votes:
    """Return the relation `vote` as numbers, labels by their place in `labels` or in `labels_in_use`."""
    if labels is None:
        keep(connection, "label_code")
    else:
        keep(connection, "label_code", "given_label_code", labels=labels)
    item_ids, annotator_ids = _names(connection, "item_code"), _names(connection, "annotator_code")
    kinds = len(connection.table("label_code"))
    if kinds * len(annotator_ids) >= MOST_CELLS:
        raise RequestError(f"{len(annotator_ids):,} annotators with {kinds:,} labels are more than fit in memory")
    code = relation(connection, "vote_code").fetchnumpy()["code"]
    if strangers := len(connection.table("vote")) - len(code):
        raise RequestError(f"{strangers} labels are not among those given")
    code.sort()
    item, cell = (code >> 32).astype(np.int32), code.astype(np.uint32).astype(np.int32)
    return Votes(item, *np.divmod(cell, np.int32(max(kinds, 1))), item_ids, annotator_ids)


def coded(item: np.ndarray, annotator: np.ndarray, label: np.ndarray) -> Votes:
    """Return votes given as numbers, sorted; items and annotators are named by their number."""
    order = np.lexsort((label, annotator, item))
    item_ids, items = np.unique(item[order], return_inverse=True)
    annotator_ids, annotators = np.unique(annotator[order], return_inverse=True)
    places = (column.astype(np.int32) for column in (items, annotators, np.asarray(label)[order]))
    return Votes(*places, pa.array(item_ids), pa.array(annotator_ids))


def annotations(votes: Votes) -> np.ndarray:
    """Return the number of votes on each item."""
    return np.bincount(votes.item, minlength=len(votes.item_ids))


def vote_counts(votes: Votes, kinds: int, weights: np.ndarray | None = None) -> np.ndarray:
    """Return items × labels: votes for each label, or the sum of their weights."""
    items = len(votes.item_ids)
    place = votes.item.astype(np.int64) * kinds + votes.label
    return np.bincount(place, weights, minlength=items * kinds).reshape(items, kinds)


def shares(counts: np.ndarray) -> np.ndarray:
    """Return rows that sum to 1, in proportion to the counts; even where nothing was counted."""
    kinds = counts.shape[1]
    totals = counts @ np.ones(kinds)
    found = counts * np.repeat(1 / np.where(totals > 0, totals, 1), kinds).reshape(counts.shape)
    found[totals <= 0] = 1 / max(kinds, 1)
    return found


def vote_shares(votes: Votes, kinds: int) -> np.ndarray:
    """Return items × labels: the share of an item's votes each label has."""
    return shares(vote_counts(votes, kinds))


def leaders(matrix: np.ndarray) -> np.ndarray:
    """Return items × labels: whether no label has more, up to rounding."""
    return matrix >= reduce(np.maximum, matrix.T, np.zeros(len(matrix)))[:, None] - TIE


def _names(connection: duckdb.DuckDBPyConnection, codes: str) -> pa.Array:
    """Return the names of what a relation numbers, in that order, and keep the relation as a table."""
    table = keep(connection, codes)
    return table.order("code").select(table.columns[0]).to_arrow_table().column(0).combine_chunks()
