"""Distinct vectors of label counts, how many items have each, and the bootstrap's draws of them."""

from typing import NamedTuple

import duckdb
import numpy as np

from tasks.sql import relation

REPLICATES = 1_000  # each end of a 95 % interval then rests on 25 replicates
BUNDLES = 4_096  # with this many independent weights, the variance of a bootstrap is known to 2 %
SEED = 1  # any constant: the streams differ by unit
DIGITS = 12  # of every figure returned


class Patterns(NamedTuple):
    """Distinct vectors of label counts: one row per slice, unit and pattern."""

    slices: np.ndarray
    """Slice, or None."""
    units: np.ndarray
    """What the bootstrap draws together: a group, or the items of one pattern."""
    is_grouped: np.ndarray
    """Whether the unit is a group."""
    numbers: np.ndarray
    """Number of the pattern."""
    ratings: np.ndarray
    """Labels per item."""
    items: np.ndarray
    """Items that have this pattern."""
    drawn: np.ndarray
    """Items in one draw of the unit."""
    expected: np.ndarray
    """Draws of the unit in the sample itself, and on average in a replicate."""
    machine_numbers: np.ndarray
    """Number of the pattern of machines' labels; -1 where only one kind of annotator is looked at."""
    machine_ratings: np.ndarray
    """Machines' labels per item; 0 where only one kind of annotator is looked at."""

    def where(self, rows: np.ndarray) -> "Patterns":
        """Return the chosen rows."""
        return Patterns(*(column[rows] for column in self))


class PatternVotes(NamedTuple):
    """The label counts of the patterns: one row per pattern and label it has."""

    numbers: np.ndarray
    """Number of the pattern."""
    codes: np.ndarray
    """Place of the label among the labels."""
    votes: np.ndarray
    """How often the label occurs."""

    def totals(self, patterns: Patterns, labels: int) -> list[int]:
        """Return how often each label occurs in the items of the patterns."""
        items = np.bincount(patterns.numbers, patterns.items, minlength=self.numbers.max(initial=-1) + 1)
        return np.bincount(self.codes, self.votes * items[self.numbers], minlength=labels).astype(int).tolist()


class Weights(NamedTuple):
    """How often each unit was drawn."""

    units: np.ndarray
    """Units, sorted."""
    draws: np.ndarray
    """Units × (the sample itself, then its replicates)."""


def patterns_of(connection: duckdb.DuckDBPyConnection) -> Patterns:
    """Return the merged patterns, and what the bootstrap draws of them."""
    rows = relation(connection, "pattern").fetchnumpy()
    return _patterns(rows, np.full(len(rows["items"]), -1), np.zeros(len(rows["items"]), dtype=int))


def cross_patterns_of(connection: duckdb.DuckDBPyConnection) -> Patterns:
    """Return the merged patterns of items that people and machines have labelled."""
    rows = relation(connection, "cross_pattern").fetchnumpy()
    return _patterns(rows, rows["machine_number"], rows["machine_labels"])


def _patterns(rows: dict[str, np.ndarray], machine_numbers: np.ndarray, machine_ratings: np.ndarray) -> Patterns:
    items, is_grouped = rows["items"].astype(np.int64), rows["is_grouped"].astype(bool)
    slices = np.where(np.ma.getmaskarray(rows["slice"]), None, np.ma.getdata(rows["slice"]))
    units, is_single = rows["unit"].astype(np.uint64), is_grouped | (items == 1)
    # One weight for a bundle of unrelated units leaves the variance as it is, and bounds the draws.
    if len(np.unique(units[is_single])) > BUNDLES:
        units = np.where(is_single, units % np.uint64(BUNDLES), units)
    # Items of one pattern are interchangeable: their n weights of mean 1 are one weight of mean n.
    drawn, expected = np.where(is_grouped, items, 1), np.where(is_grouped, 1, items)
    return Patterns(
        slices, units, is_grouped, rows["number"], rows["labels"], items, drawn, expected, machine_numbers, machine_ratings
    )  # fmt: skip


def by_slice(patterns: Patterns) -> list[tuple[str, Patterns]]:
    """Return the patterns of each slice, by name."""
    return [(name, patterns.where(patterns.slices == name)) for name in sorted(set(patterns.slices) - {None})]


def pattern_votes(connection: duckdb.DuckDBPyConnection, labels: list[str]) -> PatternVotes:
    """Return the label counts of the patterns, the labels as their places among `labels`."""
    rows = relation(connection, "pattern_vote").fetchnumpy()
    place = {label: code for code, label in enumerate(labels)}
    codes = np.fromiter((place[label] for label in rows["label"]), dtype=np.int64, count=len(rows["label"]))
    return PatternVotes(rows["number"], codes, rows["votes"].astype(float))


def weights_of(patterns: Patterns) -> Weights:
    """Return Poisson bootstrap weights: seeded by the unit, so the same in any order and partition."""
    units, first = np.unique(patterns.units, return_index=True)
    draws = np.empty((len(units), 1 + REPLICATES), dtype=np.int32)
    draws[:, 0] = patterns.expected[first]
    for unit, row in zip(units, draws, strict=True):
        stream = np.random.Generator(np.random.Philox(key=[int(unit), SEED]))
        row[1:] = stream.poisson(row[0], REPLICATES)
    return Weights(units, draws)


def rounded(figure: float) -> float:
    """Return a figure as it is shown: 12 digits after the point."""
    return round(float(figure), DIGITS) + 0.0  # no negative zero
