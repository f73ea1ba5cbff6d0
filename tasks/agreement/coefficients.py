"""Coefficients of agreement, each in the sample and in every replicate of the bootstrap."""

import numpy as np

from schemas.errors import RequestError
from tasks.agreement.alpha import MOST_COMPARED_LABELS, MOST_RANKED_LABELS, ranked_alpha
from tasks.agreement.distance import METRICS, RANKED, linear_spread, quadratic_spread, scores_of
from tasks.agreement.intervals import NO_PAIRS, ONE_LABEL, estimate, no_figure, units_of
from tasks.agreement.patterns import Patterns, PatternVotes, Weights
from tasks.agreement.sample import Sample, label_blocks, sample_of

COEFFICIENTS = ("percent", "krippendorff_alpha", "fleiss_kappa", "gwet_ac1", "brennan_prediger")
WEIGHTED = ("percent_linear", "percent_quadratic", "gwet_ac2_linear", "gwet_ac2_quadratic")
TOO_DIFFERENT = f"not computed for more than {MOST_COMPARED_LABELS:,} labels"
TOO_MANY = f"no interval for more than {MOST_RANKED_LABELS:,} labels"


def coefficients(patterns: Patterns, votes: PatternVotes, weights: Weights, labels: list[str], metric: str) -> dict:
    """Return every coefficient as {value, low, high, reason}."""
    if metric not in METRICS:
        raise RequestError(f"no metric {metric!r}; metrics: {', '.join(METRICS)}")
    names = COEFFICIENTS + (WEIGHTED if metric in RANKED else ())
    paired = patterns.where(patterns.ratings > 1)
    if not len(paired.items):
        return {name: no_figure(NO_PAIRS) for name in names}
    sample = sample_of(patterns, votes, weights)
    figures = _figures(sample, labels, metric)
    units, reason = units_of(paired), TOO_DIFFERENT if len(labels) > MOST_COMPARED_LABELS else ONE_LABEL
    return {name: estimate(figures[name], *units, undefined=reason, limit=TOO_MANY) for name in names}


def _figures(sample: Sample, labels: list[str], metric: str) -> dict[str, np.ndarray]:
    """Return each coefficient in the sample and its replicates, NaN where undefined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        label_squares, share_squares = _squares(sample, len(labels))
        figures = _nominal(sample, len(labels), label_squares, share_squares)
        if metric in RANKED:
            figures |= _weighted(sample, scores_of(labels, metric), share_squares)
        if metric != "nominal":
            figures["krippendorff_alpha"] = ranked_alpha(sample.paired(), labels, metric)
    return figures


def _nominal(sample: Sample, kinds: int, label_squares: np.ndarray, share_squares: np.ndarray) -> dict[str, np.ndarray]:
    """Return the coefficients that know labels only as equal or not."""
    m, is_paired = sample.ratings, sample.ratings > 1
    alike = sample.per_row(sample.votes**2) - m  # ordered pairs of equal labels on one item
    others = np.maximum(m - 1, 1)
    paired, ratings, agreeing, shared = sample.total(
        np.stack([is_paired, is_paired * m, alike / others, alike / (m * others)])
    )
    percent = shared / paired
    return {
        "percent": percent,
        # Krippendorff 2011: 1 - observed / expected disagreement, over items with two labels or more.
        "krippendorff_alpha": 1 - (ratings - 1) * (ratings - agreeing) / (ratings**2 - label_squares),
        # Fleiss 1971 for any number of labels per item; Gwet 2008. Chance from mean shares over all items.
        "fleiss_kappa": _beyond(percent, np.where(share_squares < 1 - 1e-12, share_squares, np.nan)),
        "gwet_ac1": _beyond(percent, (1 - share_squares) / _several(kinds - 1)),
        # Brennan and Prediger 1981: chance picks each label alike.
        "brennan_prediger": _beyond(percent, 1 / _several(kinds if kinds > 1 else 0)),
    }


def _weighted(sample: Sample, scores: np.ndarray, share_squares: np.ndarray) -> dict[str, np.ndarray]:
    """Return agreement in part, 1 less the difference of scores or its square, and Gwet's AC2 (Gwet 2014)."""
    m, is_paired, kinds = sample.ratings, sample.ratings > 1, len(scores)
    pairs = np.maximum(m * (m - 1), 1)
    entries, every = (sample.rows, sample.codes, sample.votes), (np.zeros(kinds, int), np.arange(kinds), np.ones(kinds))
    figures = {}
    for name, spread in (("linear", linear_spread), ("quadratic", quadratic_spread)):
        paired, apart = sample.total(np.stack([is_paired, spread(*entries, scores) / pairs]))
        weight = kinds**2 - spread(*every, scores)[0]
        percent = 1 - apart / paired
        chance = weight * (1 - share_squares) / _several(kinds * (kinds - 1))
        figures |= {f"percent_{name}": percent, f"gwet_ac2_{name}": _beyond(percent, chance)}
    return figures


def _squares(sample: Sample, kinds: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sums over labels: squared counts in items of two labels or more, and squared mean shares of all items."""
    label_squares = share_squares = 0.0
    items = sample.total([np.ones(len(sample.ratings))])[0]
    is_paired, share = (sample.ratings > 1)[sample.rows], 1 / sample.ratings[sample.rows]
    for block in label_blocks(kinds):
        label_squares = label_squares + (sample.label_total(sample.votes * is_paired, *block) ** 2).sum(axis=0)
        shares = sample.label_total(sample.votes * share, *block) / items
        share_squares = share_squares + (shares**2).sum(axis=0)
    return label_squares, share_squares


def _beyond(percent: np.ndarray, chance: np.ndarray | float) -> np.ndarray:
    """Return the share of the agreement beyond chance that was reached."""
    return (percent - chance) / (1 - chance)


def _several(number: int) -> float:
    return number or np.nan
