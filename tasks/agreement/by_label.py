"""Agreement on each label by itself: do those who do not see a label agree with those who do?"""

import numpy as np

from tasks.agreement.distance import SETS, membership
from tasks.agreement.intervals import NO_PAIRS, estimate, no_figure, units_of
from tasks.agreement.patterns import Patterns, PatternVotes, Weights
from tasks.agreement.sample import label_blocks, sample_of

UNUSED = "no item with two labels has this one"
ALONE = "every label of the items with two labels is this one"


def by_label(
    patterns: Patterns, votes: PatternVotes, weights: Weights, labels: list[str], metric: str = "nominal"
) -> dict[str, dict]:
    """Return, by label (of sets: by member), specific agreement and alpha of the label against all others."""
    if metric in SETS:
        votes, labels = _members(votes, labels)
    paired = patterns.where(patterns.ratings > 1)
    if not len(paired.items):
        return {label: dict.fromkeys(FIGURES, no_figure(NO_PAIRS)) for label in labels}
    sample, units = sample_of(paired, votes, weights), units_of(paired)
    ratings = sample.total([sample.ratings])[0]
    # Of the others who labelled an item, how many say the same, for every label given.
    same = sample.votes * (sample.votes - 1) / (sample.ratings - 1)[sample.rows]
    found = {}
    for first, last in label_blocks(len(labels)):
        agreeing, used = sample.label_total(same, first, last), sample.label_total(sample.votes, first, last)
        for label, *figures in zip(labels[first:last], agreeing, used, strict=True):
            found[label] = _estimates(*figures, ratings, units)
    return found


FIGURES = ("specific_agreement", "krippendorff_alpha")


def _estimates(agreeing: np.ndarray, used: np.ndarray, ratings: np.ndarray, units: tuple[int, str]) -> dict:
    reason = ALONE if used[0] else UNUSED
    with np.errstate(divide="ignore", invalid="ignore"):
        # With one label against the rest, alpha's coincidences are those of two labels (Krippendorff 2011).
        alpha = 1 - (ratings - 1) * (used - agreeing) / (used * (ratings - used))
        figures = (agreeing / used, alpha)
    return {name: estimate(one, *units, undefined=reason) for name, one in zip(FIGURES, figures, strict=True)}


def _members(votes: PatternVotes, labels: list[str]) -> tuple[PatternVotes, list[str]]:
    """Return how many of each pattern's sets hold each member, and the members."""
    held, members = membership(labels)
    entry, member = np.nonzero(held[votes.codes])
    cells, place = np.unique(votes.numbers[entry].astype(np.int64) * len(members) + member, return_inverse=True)
    counts = np.bincount(place, votes.votes[entry], minlength=len(cells))
    return PatternVotes(*np.divmod(cells, max(len(members), 1)), counts), members
