"""Expectation and maximisation, in blocks of items small enough to stay in a core's own memory.

A block's posterior is made and counted at once. The blocks do not depend on the number of threads, and their counts
are added in their order, so neither threads nor the order of rows changes a bit of the result.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from tasks.posterior.confusion import Fit
from tasks.posterior.votes import Votes, annotations

BLOCK = 2**16  # probabilities in a block: half a megabyte
TINY = 1e-290  # a sum of products below this has lost digits


class Fitted(NamedTuple):
    """What rounds of estimation end with."""

    matrix: np.ndarray
    """Items × labels: probability of each label."""
    prior: np.ndarray
    """Share of each label among the items."""
    confusion: np.ndarray
    """Annotators × true label × label given: probability of the label given."""
    rounds: int
    """Rounds it took."""
    change: float
    """How far the probability that moved most moved in the last round."""


class Evidence(NamedTuple):
    """Logarithms of a round's estimates, as a block needs them."""

    prior: np.ndarray
    """Share of each label, again and again: as many times as a block of the usual size has items."""
    table: np.ndarray
    """(Annotator, label given) × true label: probability of the label given."""


class Step(NamedTuple):
    """What a round makes of a block."""

    table: np.ndarray
    """(Annotator, label given) × true label: expected votes."""
    sizes: np.ndarray
    """Expected number of items of each label."""
    change: float
    """How far the probability that moved most moved."""


class Block(NamedTuple):
    """Votes on items next to each other."""

    items: slice
    """Which items."""
    cells: csr_array
    """Items × (annotator, label given): votes."""


def fitted(
    votes: Votes,
    matrix: np.ndarray,
    fit: Fit,
    smoothing: float,
    tolerance: float,
    most_rounds: int,
    gold: np.ndarray,
    is_even: bool = False,
) -> Fitted:
    """Return what the first probabilities, written over, become in rounds of fitting annotators and labels.

    With `is_even` every label is as probable as any other before the votes. A model whose annotators err alike on all
    labels needs that: it would take the errors of a label often said by mistake for the label's frequency.
    """
    blocks, known = list(_blocks(votes, matrix.shape[1])), gold if (gold >= 0).any() else None
    rounds, change = 0, np.inf if len(votes.item) else 0.0  # without a vote there is nothing to settle
    counts, sizes = expected_votes(votes, matrix), label_sizes(matrix)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        while True:
            prior, confusion = label_prior(sizes, smoothing), fit(counts)
            if change <= tolerance or rounds >= most_rounds:
                return Fitted(matrix, prior, confusion, rounds, float(change))
            evidence = _evidence(even(prior) if is_even else prior, confusion)
            table, sizes, change, rounds = np.zeros_like(evidence.table), np.zeros_like(prior), 0.0, rounds + 1
            for step in threads.map(partial(_step, matrix, known, evidence), blocks):
                table += step.table
                sizes += step.sizes
                change = max(change, step.change)
            counts = _by_annotator(table)


def label_sizes(matrix: np.ndarray) -> np.ndarray:
    """Return the expected number of items of each label."""
    return np.ones(len(matrix)) @ matrix  # a product: sums along short rows are slow


def label_prior(sizes: np.ndarray, smoothing: float) -> np.ndarray:
    """Return the share of each label among the items, with `smoothing` pseudo-items of each label."""
    return (sizes + smoothing) / max(sizes.sum() + smoothing * len(sizes), TINY)


def even(prior: np.ndarray) -> np.ndarray:
    """Return the prior under which no label is more probable than another."""
    return np.full_like(prior, 1 / max(len(prior), 1))


def expected_votes(votes: Votes, matrix: np.ndarray) -> np.ndarray:
    """Return annotators × true label × label given: expected votes."""
    kinds = matrix.shape[1]
    table = np.zeros((len(votes.annotator_ids) * kinds, kinds))
    for block in _blocks(votes, kinds):
        table += block.cells.T @ matrix[block.items]
    return _by_annotator(table)


def given(votes: Votes, prior: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    """Return each item's probabilities under a prior and confusion matrices (the E step)."""
    evidence = _evidence(prior, confusion)
    return np.concatenate([_posterior(block.cells, evidence) for block in _blocks(votes, len(prior))])


def _blocks(votes: Votes, kinds: int) -> Iterator[Block]:
    """Yield the votes in blocks, each no smaller than the table its votes are counted in."""
    items, cells = len(votes.item_ids), len(votes.annotator_ids) * kinds
    cell, ones = votes.annotator * np.int32(kinds) + votes.label, np.ones(len(votes.item))
    starts = np.concatenate([[0], np.cumsum(annotations(votes))])
    size = max(BLOCK // max(kinds, 1), cells * items // max(len(cell), 1), 1)
    for first in range(0, items, size):
        last = min(first + size, items)
        begin, end = starts[first], starts[last]
        table = (ones[: end - begin], cell[begin:end], (starts[first : last + 1] - begin).astype(np.int32))
        yield Block(slice(first, last), csr_array(table, shape=(last - first, cells)))


def _evidence(prior: np.ndarray, confusion: np.ndarray) -> Evidence:
    with np.errstate(divide="ignore"):  # without smoothing, what never happened is impossible
        table = np.log(confusion).transpose(0, 2, 1).reshape(-1, len(prior))
        return Evidence(np.tile(np.log(prior), BLOCK // len(prior) + 1), np.ascontiguousarray(table))


def _step(matrix: np.ndarray, gold: np.ndarray | None, evidence: Evidence, block: Block) -> Step:
    """Return what the block adds to the next estimates, its new probabilities written into the matrix."""
    found, kept = _posterior(block.cells, evidence), matrix[block.items]
    if gold is not None:
        pin(found, gold[block.items])
    kept -= found
    change = max(kept.max(initial=0.0), -kept.min(initial=0.0))
    kept[:] = found
    return Step(block.cells.T @ found, label_sizes(found), change)


def pin(matrix: np.ndarray, gold: np.ndarray) -> None:
    """Make the label of gold certain, where there is one: the rows of `gold` ≥ 0."""
    known = np.flatnonzero(gold >= 0)
    matrix[known] = 0
    matrix[known, gold[known]] = 1


def _posterior(cells: csr_array, evidence: Evidence) -> np.ndarray:
    """Return items × labels: probabilities that sum to 1."""
    found = cells @ evidence.table
    kinds, flat = found.shape[1], found.reshape(-1)
    # Rows are as short as there are labels: what treats them all as one long row is faster than row by row.
    flat += np.resize(evidence.prior, len(flat))
    np.exp(flat, out=flat)
    total = found @ np.ones(kinds)
    is_lost = total < TINY
    flat *= np.repeat(1 / np.maximum(total, TINY), kinds)
    if is_lost.any():
        scores = cells[np.flatnonzero(is_lost)] @ evidence.table + evidence.prior[:kinds]
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))  # the largest becomes 1
        found[is_lost] = scores / scores.sum(axis=1, keepdims=True)
    return found


def _by_annotator(table: np.ndarray) -> np.ndarray:
    """Return annotators × true label × label given, from (annotator, label given) × true label."""
    kinds = table.shape[1]
    return table.reshape(len(table) // max(kinds, 1), kinds, kinds).transpose(0, 2, 1)
