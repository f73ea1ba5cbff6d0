"""Agreement between two kinds of annotators, people and machines, on the items both labelled."""

import numpy as np

from tasks.agreement.intervals import ONE_LABEL, estimate, no_figure, units_of
from tasks.agreement.patterns import Patterns, PatternVotes, Weights
from tasks.agreement.sample import Sample, entries_of, label_blocks, sample_of

NO_ITEM = "no item has labels of both people and machines"
FIGURES = ("percent", "kappa")


def between(patterns: Patterns, votes: PatternVotes, weights: Weights, labels: list[str]) -> dict:
    """Return how often a person and a machine, drawn for each item, agree; and beyond what their own shares give."""
    both = patterns.where((patterns.ratings > 0) & (patterns.machine_ratings > 0))
    if not len(both.items):
        return {name: no_figure(NO_ITEM) for name in FIGURES}
    people = _shares(sample_of(both, votes, weights))
    rows, codes, counts = entries_of(both.machine_numbers, votes)
    machines = _shares(people._replace(rows=rows, codes=codes, votes=counts, ratings=both.machine_ratings))
    items, agreeing = people.total(np.stack([np.ones(len(both.items)), _product(people, machines, len(labels))]))
    with np.errstate(divide="ignore", invalid="ignore"):
        percent, chance = agreeing / items, _chance(people, machines, len(labels)) / items**2
        # Schouten 1982: Cohen's kappa of two groups instead of two annotators.
        kappa = (percent - chance) / np.where(chance < 1 - 1e-12, 1 - chance, np.nan)
    return {
        name: estimate(figures, *units_of(both), undefined=ONE_LABEL)
        for name, figures in zip(FIGURES, (percent, kappa), strict=True)
    }


def _shares(sample: Sample) -> Sample:
    """Return the sample with shares of the row's labels instead of counts."""
    return sample._replace(votes=sample.votes / sample.ratings[sample.rows])


def _product(people: Sample, machines: Sample, kinds: int) -> np.ndarray:
    """Return, per row, the sum over labels of people's share times machines'."""
    cells = [one.rows * kinds + one.codes for one in (people, machines)]
    _, ours, theirs = np.intersect1d(*cells, assume_unique=True, return_indices=True)
    shares = people.votes[ours] * machines.votes[theirs]
    return np.bincount(people.rows[ours], shares, minlength=len(people.ratings))


def _chance(people: Sample, machines: Sample, kinds: int) -> np.ndarray:
    """Return the sum over labels of people's total share times machines'."""
    chance = 0.0
    for block in label_blocks(kinds):
        chance = chance + np.multiply(*(one.label_total(one.votes, *block) for one in (people, machines))).sum(axis=0)
    return chance
