"""Krippendorff's alpha where some labels are nearer to each other than others, in the sample and every replicate."""

import numpy as np

from tasks.agreement.distance import Distance, distance_of, quadratic_spread, scores_of
from tasks.agreement.sample import Sample, label_blocks, product, stretched

MOST_RANKED_LABELS = 2_000  # ranks and sets cost labels² a replicate: above, no interval is given
MOST_COMPARED_LABELS = 10_000  # ratios and sets are compared each with each: above, there is no alpha
ROW_BLOCK = 1_024  # rows whose replicates are held at a time: 8 MB
PAIR_BLOCK = 1 << 21  # pairs of entries looked at at a time: 50 MB
NEXT_TO_NOTHING = 1e-15  # share of the most that two labels can differ: what rounding leaves of a 0


def ranked_alpha(paired: Sample, labels: list[str], metric: str) -> np.ndarray:
    """Return alpha under a metric other than nominal, of rows with two labels or more; NaN where undefined."""
    if metric == "interval":
        return _interval(paired, scores_of(labels, metric))
    if len(labels) > MOST_RANKED_LABELS:
        paired = paired._replace(draws=paired.draws[:, :1])
    if metric == "ordinal":
        return _ordinal(paired, len(labels))
    if len(labels) > MOST_COMPARED_LABELS:
        return np.array([np.nan])
    return _fixed(paired, len(labels), distance_of(metric, labels))


def _interval(paired: Sample, scores: np.ndarray) -> np.ndarray:
    """Return alpha of scores: pairs differ by moments, so no pair is looked at."""
    m, entries = paired.ratings, (paired.rows, paired.codes, paired.votes)
    sums = [paired.per_row(paired.votes * scores[paired.codes] ** power) for power in (1, 2)]
    observed = quadratic_spread(*entries, scores) / (m - 1)
    ratings, first, second, observed = paired.total(np.stack([m, *sums, observed]))
    expected = 2 * (ratings * second - first**2)
    return _alpha(ratings, observed, np.where(expected > NEXT_TO_NOTHING * ratings**2, expected, 0))


def _ordinal(paired: Sample, kinds: int) -> np.ndarray:
    """Return alpha of ranks, which every replicate has its own of."""
    totals = _label_totals(paired, paired.votes, kinds)
    ratings = totals.sum(axis=0)
    # Middle ranks, counted from the mean of all: halves of integers, so 0 exactly where one label stands alone.
    ranks = np.cumsum(totals, axis=0) - totals / 2 - ratings / 2
    beside = _label_totals(paired, (paired.votes * (paired.ratings / (paired.ratings - 1))[paired.rows]), kinds)
    observed = 2 * ((beside * ranks**2).sum(axis=0) - _squared_ranks(paired, ranks))
    return _alpha(ratings, observed, 2 * ratings * (totals * ranks**2).sum(axis=0))


def _squared_ranks(paired: Sample, ranks: np.ndarray) -> np.ndarray:
    """Return, in every replicate, the total of each item's sum of ranks, squared, over its labels less one."""
    total = np.zeros(ranks.shape[1])
    shares = paired.items / (paired.ratings - 1)
    for first in range(0, len(shares), ROW_BLOCK):
        block = slice(first, first + ROW_BLOCK)
        sums = _rank_sums(paired, block, ranks)  # exact, as counts are integers and ranks halves of them
        sums *= sums
        sums *= shares[block, None]
        sums *= paired.draws[paired.places[block]]
        total += sums.sum(axis=0)
    return total


def _rank_sums(paired: Sample, block: slice, ranks: np.ndarray) -> np.ndarray:
    """Return rows × draws: the sum of the ranks of a row's labels."""
    first, last = np.searchsorted(paired.rows, (block.start, block.stop))
    rows, codes, votes = (column[first:last] for column in (paired.rows - block.start, paired.codes, paired.votes))
    shape = (min(ROW_BLOCK, len(paired.ratings) - block.start), len(ranks))
    if len(votes) * 32 > shape[0] * shape[1]:
        return np.bincount(rows * shape[1] + codes, votes, minlength=shape[0] * shape[1]).reshape(shape) @ ranks
    from scipy.sparse import csr_array  # only tables of many labels need it: 0.15 s to import

    return csr_array((votes, (rows, codes)), shape=shape) @ ranks


def _fixed(paired: Sample, kinds: int, distance: Distance) -> np.ndarray:
    """Return alpha under distances that are the same in every replicate."""
    totals = _label_totals(paired, paired.votes, kinds)
    ratings, most = totals.sum(axis=0), totals.max(axis=1)
    expected, observed = 0.0, np.zeros(len(paired.ratings))
    for first, last in label_blocks(kinds):
        away = distance(first, last)
        expected = expected + (totals[first:last] * product(away.T, totals, most)).sum(axis=0)
        observed += _apart(paired, away, first)
    return _alpha(ratings, paired.total([observed / (paired.ratings - 1)])[0], expected)


def _apart(paired: Sample, away: np.ndarray, first: int) -> np.ndarray:
    """Return, per row, the distances between its labels from `first` on, `away` has rows of, and all its labels."""
    apart, sizes = np.zeros(len(paired.ratings)), np.bincount(paired.rows, minlength=len(paired.ratings))
    ends = np.cumsum(sizes)
    chosen = np.flatnonzero((paired.codes >= first) & (paired.codes < first + len(away)))
    pairs = int(sizes[paired.rows[chosen]].sum())
    for part in np.array_split(chosen, pairs // PAIR_BLOCK + 1):
        rows = paired.rows[part]
        entry, others = stretched((ends - sizes)[rows], sizes[rows])
        far = paired.votes[others] * away[paired.codes[part][entry] - first, paired.codes[others]]
        far = np.bincount(entry, far, minlength=len(part))
        apart += np.bincount(rows, paired.votes[part] * far, minlength=len(apart))
    return apart


def _label_totals(paired: Sample, figures: np.ndarray, kinds: int) -> np.ndarray:
    return np.concatenate([paired.label_total(figures, *block) for block in label_blocks(kinds)])


def _alpha(ratings: np.ndarray, observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return 1 - observed / expected disagreement (Krippendorff 2011), NaN where none can be expected."""
    return 1 - (ratings - 1) * observed / np.where(expected > 0, expected, np.nan)
