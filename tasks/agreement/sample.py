"""The items of a table as the bootstrap draws them: totals of any figure in the sample and in each replicate."""

from typing import NamedTuple

import numpy as np

from tasks.agreement.patterns import Patterns, PatternVotes, Weights

UNIT_BLOCK = 4_096  # units whose draws are floats at a time: 33 MB
FEW_ENTRIES = 8_192  # entries whose draws are multiplied one by one: 66 MB
LABEL_BLOCK = 256  # labels totalled at a time: bounds memory where there are thousands


class Sample(NamedTuple):
    """One row per unit and pattern, and one entry per row and label it has."""

    ratings: np.ndarray
    """Labels per item of the row, as a float."""
    items: np.ndarray
    """Items of the row in one draw of its unit."""
    places: np.ndarray
    """Place of the row's unit among the units."""
    draws: np.ndarray
    """Units × (the sample itself, then its replicates)."""
    most: np.ndarray
    """The most often each unit is drawn."""
    rows: np.ndarray
    """Row of the entry; entries stand in the order of their rows."""
    codes: np.ndarray
    """Label of the entry."""
    votes: np.ndarray
    """How often the row's pattern has the label."""

    def total(self, figures: np.ndarray) -> np.ndarray:
        """Return totals over items of figures of the rows (figures × rows): figures × draws."""
        units = len(self.draws)
        per_unit = [np.bincount(self.places, row * self.items, minlength=units) for row in figures]
        return product(np.stack(per_unit, axis=1), self.draws, self.most)

    def label_total(self, figures: np.ndarray, first: int, last: int) -> np.ndarray:
        """Return totals over items of figures of the entries, for the labels from `first` up to `last`."""
        chosen = (self.codes >= first) & (self.codes < last)
        rows, codes, width = self.rows[chosen], self.codes[chosen] - first, last - first
        figures, places = figures[chosen] * self.items[rows], self.places[rows]
        if len(rows) <= FEW_ENTRIES and 16 * len(rows) < len(self.draws) * width:
            return self._sparse_total(figures, places, codes, width)
        units = len(self.draws)
        per_unit = np.bincount(places * width + codes, figures, minlength=units * width)
        return product(per_unit.reshape(units, width), self.draws, self.most)

    def _sparse_total(self, figures: np.ndarray, places: np.ndarray, codes: np.ndarray, width: int) -> np.ndarray:
        """Return totals by label where hardly any unit has any: a product would mostly add zeros."""
        total = np.zeros((width, self.draws.shape[1]))
        order = np.argsort(codes, kind="stable")
        used, starts = np.unique(codes[order], return_index=True)
        if len(used):
            total[used] = np.add.reduceat(figures[order, None] * self.draws[places[order]], starts, axis=0)
        return total

    def per_row(self, figures: np.ndarray) -> np.ndarray:
        """Return the sum of figures of the entries over each row."""
        return np.bincount(self.rows, figures, minlength=len(self.ratings))

    def paired(self) -> "Sample":
        """Return the rows that have two labels or more."""
        chosen = self.ratings > 1
        rows, entries = np.cumsum(chosen) - 1, chosen[self.rows]
        kept = (self.ratings[chosen], self.items[chosen], self.places[chosen], self.draws, self.most)
        return Sample(*kept, rows[self.rows[entries]], self.codes[entries], self.votes[entries])


def sample_of(patterns: Patterns, votes: PatternVotes, weights: Weights) -> Sample:
    """Return the items that have labels, as the bootstrap draws them."""
    patterns = patterns.where(patterns.ratings > 0)
    units, places = np.unique(patterns.units, return_inverse=True)
    chosen = np.searchsorted(weights.units, units)
    draws = weights.draws if len(chosen) == len(weights.units) else weights.draws[chosen]
    if len(draws) <= UNIT_BLOCK:
        draws = draws.astype(float)  # once, not for every total
    rows, codes, counts = entries_of(patterns.numbers, votes)
    most = draws.max(axis=1, initial=0).astype(float)
    return Sample(patterns.ratings.astype(float), patterns.drawn, places, draws, most, rows, codes, counts)


def entries_of(numbers: np.ndarray, votes: PatternVotes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return row, label and votes of every label of the numbered patterns; a number below 0 has none."""
    starts = np.searchsorted(votes.numbers, numbers)
    lengths = np.where(numbers < 0, 0, np.searchsorted(votes.numbers, numbers, side="right") - starts)
    rows, found = stretched(starts, lengths)
    return rows, votes.codes[found], votes.votes[found]


def stretched(starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of each range and the places in it, range after range."""
    numbers = np.repeat(np.arange(len(lengths)), lengths)
    before = np.cumsum(lengths) - lengths
    return numbers, np.arange(len(numbers)) + (starts - before)[numbers]


def label_blocks(labels: int) -> list[tuple[int, int]]:
    """Return first and last of each block of labels."""
    return [(first, min(first + LABEL_BLOCK, labels)) for first in range(0, labels, LABEL_BLOCK)]


def product(figures: np.ndarray, counts: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Return figures (n × a) transposed, times counts (n × b, integers up to `most`): the same bits in any order.

    Each figure is split into two numbers so coarse that sums of their multiples are exact (Demmel and Nguyen 2015),
    hence neither threads nor the kernel of a matrix product can change a bit; of billions of items 1e-13 is lost.
    """
    coarse = _coarse(figures, most)
    fine = _coarse(figures - coarse, most)
    if not fine.any():
        return _exact_product(coarse, counts)
    return np.add(*np.split(_exact_product(np.hstack([coarse, fine]), counts), 2))


def _coarse(figures: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Return figures rounded to a step of which a float holds every multiple that sums of them can reach."""
    reach = (np.abs(figures) * most[:, None]).sum(axis=0)
    step = np.ldexp(1.0, np.frexp(reach)[1] - 52)
    return np.round(figures / step) * step


def _exact_product(figures: np.ndarray, counts: np.ndarray) -> np.ndarray:
    total = np.zeros((figures.shape[1], counts.shape[1]))
    for first in range(0, len(figures), UNIT_BLOCK):
        block = slice(first, first + UNIT_BLOCK)
        total += figures[block].T @ counts[block].astype(float, copy=False)
    return total
