"""Votes become figures of agreement and entropy: from each item's label counts, merged as integers.

Every figure is a function of the items' vectors of label counts. DuckDB counts each item once, and then the distinct
vectors ("patterns") with how many items have them. Floating point starts after that, so the figures are the same bit
for bit in any order of rows and over any partitions by item.
"""

import json
import math
from collections.abc import Callable
from typing import NamedTuple

import duckdb
import numpy as np

from schemas.errors import RequestError
from tasks.sql import keep, relation

REPLICATES = 1_000  # each end of a 95 % interval then rests on 25 replicates
BUNDLES = 4_096  # with this many independent weights, the variance of a bootstrap is known to 2 %
LABEL_BLOCK = 64  # labels counted at a time: bounds memory where there are thousands
MOST_RANKED_LABELS = 64  # distances other than nominal cost labels²: above, no interval is given
SEED = 1  # any constant: the streams differ by unit
BINS = 10  # of the histogram of entropies
DIGITS = 12  # of every figure returned
METRICS = {"choice": "nominal", "preference": "nominal", "rating": "ordinal", "choices": "masi"}
COUNTS = ("pattern_count", "pattern_label", "annotator_label", "repeated_count")
COEFFICIENTS = ("percent", "krippendorff_alpha", "fleiss_kappa", "gwet_ac1")
NO_PAIRS = "no item has two labels"
ONE_LABEL = "only one label was used, so chance alone would always agree"
Z_95 = 1.959963984540054


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

    def table(self, first: int, last: int) -> np.ndarray:
        """Return patterns × labels from `first` up to `last`, as counts."""
        counts = np.zeros((self.numbers.max(initial=-1) + 1, last - first))
        chosen = (self.codes >= first) & (self.codes < last)
        counts[self.numbers[chosen], self.codes[chosen] - first] = self.votes[chosen]
        return counts


class Weights(NamedTuple):
    """How often each unit was drawn."""

    units: np.ndarray
    """Units, sorted."""
    draws: np.ndarray
    """Units × (the sample itself, then its replicates)."""


class Draw(NamedTuple):
    """The items that have one number of labels, with the weights they are drawn with."""

    ratings: int
    """Labels per item."""
    numbers: np.ndarray
    """Pattern of every row; the rows of a unit stand together."""
    items: np.ndarray
    """Items of the row in one draw of its unit."""
    starts: np.ndarray
    """First row of every unit."""
    weights: np.ndarray
    """Units × (the sample itself, then its replicates)."""

    def total(self, figures: np.ndarray) -> np.ndarray:
        """Return the totals of `figures` (rows × figures, integers) in the sample and each replicate."""
        # Integers below 2^53 add exactly, so neither threads nor order can change a bit.
        per_unit = np.add.reduceat(figures * self.items[:, None], self.starts, axis=0)
        return per_unit.T @ self.weights.astype(float)


def measure(
    connection: duckdb.DuckDBPyConnection,
    kind: str = "choice",
    labels: list[str] | None = None,
    metric: str | None = None,
) -> dict:
    """Return agreement and entropy of the relation `vote`, ready for JSON."""
    count(connection)
    return summary(connection, kind, labels, metric)


def count(connection: duckdb.DuckDBPyConnection) -> None:
    """Count `vote` into the four tables `summary` reads; those of partitions by item merge by concatenation."""
    for table in ("label_mark", "item_pattern", *COUNTS[:2], "repeated_vote", *COUNTS[2:]):
        keep(connection, table)


def summary(
    connection: duckdb.DuckDBPyConnection,
    kind: str = "choice",
    labels: list[str] | None = None,
    metric: str | None = None,
) -> dict:
    """Return the figures of what was counted, as `COUNTS` names it, ready for JSON."""
    metric = metric or _metric(kind)
    said = relation(connection, "annotator").fetchall()
    entropies = _entropies(connection, labels if metric != "masi" else None)
    labels = _labels({row[1] for row in said}, metric, labels)
    annotators = _by_annotator(said, labels)
    patterns, votes = _patterns(connection), _pattern_votes(connection, labels)
    weights = _weights(patterns)

    def figures(rows: Patterns) -> dict:
        return _size(rows) | {"agreement": _agreement(rows, votes, weights, labels, metric)}

    return figures(patterns) | {
        "kind": kind,
        "metric": metric,
        "annotators": len(annotators),
        "repeated": sum(annotator["annotations"] - annotator["items"] for annotator in annotators),
        "labels": {label: sum(annotator["labels"][label] for annotator in annotators) for label in labels},
        "intervals": "groups" if patterns.is_grouped.any() else "items",
        "entropy": _entropy(patterns, entropies, len(labels)),
        "by_slice": {
            name: figures(rows) | {"entropy": {"mean_nats": _mean(rows, entropies[0])}}
            for name, rows in _by_slice(patterns)
        },
        "by_annotator": annotators,
    }


def item_entropy(
    connection: duckdb.DuckDBPyConnection, labels: list[str] | None = None, is_counted: bool = False
) -> duckdb.DuckDBPyRelation:
    """Return one row per item of `vote`: its annotators, most frequent labels and entropies in nats."""
    if not is_counted:
        for table in ("label_mark", "item_pattern", "pattern_label"):
            keep(connection, table)
    _entropies(connection, labels)
    return relation(connection, "item_entropy")


def confusion(connection: duckdb.DuckDBPyConnection, labels: list[str] | None = None) -> dict:
    """Return counts of `vote` (columns) against `reference` (rows), and the share that agrees, with its interval."""
    counts = {(row[0], row[1]): row[2] for row in relation(connection, "confusion").fetchall()}
    labels = labels or sorted({label for pair in counts for label in pair})
    return {
        "labels": labels,
        "matrix": [[counts.get((truth, label), 0) for label in labels] for truth in labels],
        "accuracy": wilson(sum(n for (truth, label), n in counts.items() if truth == label), sum(counts.values())),
    }


def wilson(right: int, n: int) -> dict:
    """Return a share and its 95 % Wilson interval (Wilson 1927); all null where there is nothing to share."""
    if n == 0:
        return {"value": None, "low": None, "high": None, "n": 0}
    share, scale = right / n, 1 + Z_95**2 / n
    centre = (share + Z_95**2 / (2 * n)) / scale
    reach = Z_95 / scale * math.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n * n))
    # At 0 and at 1 the formula touches the end exactly; rounding must not step over it.
    low, high = (0.0 if right == 0 else centre - reach), (1.0 if right == n else centre + reach)
    return {"value": _rounded(share), "low": _rounded(low), "high": _rounded(high), "n": n}


def _metric(kind: str) -> str:
    if kind not in METRICS:
        raise RequestError(f"agreement is not defined for {kind!r}; kinds: {', '.join(METRICS)}")
    return METRICS[kind]


def _labels(found: set[str], metric: str, labels: list[str] | None) -> list[str]:
    """Return the labels in their order: as given, else by value for ratings, else by name."""
    if labels is None or metric == "masi":
        return sorted(found, key=_score) if metric in ("ordinal", "interval", "ratio") else sorted(found)
    if strangers := len(found - set(labels)):
        raise RequestError(f"{strangers} of the labels in use are not among the {len(labels)} given")
    return list(labels)


def _score(label: str) -> float:
    try:
        return float(label)
    except ValueError:
        raise RequestError("a rating needs labels that are numbers, or all its labels in their order") from None


def _patterns(connection: duckdb.DuckDBPyConnection) -> Patterns:
    """Return the merged patterns, and what the bootstrap draws of them."""
    rows = relation(connection, "pattern").fetchnumpy()
    items, is_grouped = rows["items"].astype(np.int64), rows["is_grouped"].astype(bool)
    slices = np.where(np.ma.getmaskarray(rows["slice"]), None, np.ma.getdata(rows["slice"]))
    units, is_single = rows["unit"].astype(np.uint64), is_grouped | (items == 1)
    # One weight for a bundle of unrelated units leaves the variance as it is, and bounds the draws.
    if len(np.unique(units[is_single])) > BUNDLES:
        units = np.where(is_single, units % np.uint64(BUNDLES), units)
    # Items of one pattern are interchangeable: their n weights of mean 1 are one weight of mean n.
    drawn, expected = np.where(is_grouped, items, 1), np.where(is_grouped, 1, items)
    return Patterns(slices, units, is_grouped, rows["number"], rows["labels"], items, drawn, expected)


def _by_slice(patterns: Patterns) -> list[tuple[str, Patterns]]:
    return [(name, patterns.where(patterns.slices == name)) for name in sorted(set(patterns.slices) - {None})]


def _pattern_votes(connection: duckdb.DuckDBPyConnection, labels: list[str]) -> PatternVotes:
    rows = relation(connection, "pattern_vote").fetchnumpy()
    place = {label: code for code, label in enumerate(labels)}
    codes = np.fromiter((place[label] for label in rows["label"]), dtype=np.int64, count=len(rows["label"]))
    return PatternVotes(rows["number"], codes, rows["votes"].astype(float))


def _weights(patterns: Patterns) -> Weights:
    """Return Poisson bootstrap weights: seeded by the unit, so the same in any order and partition."""
    units, first = np.unique(patterns.units, return_index=True)
    draws = np.empty((len(units), 1 + REPLICATES), dtype=np.int32)
    draws[:, 0] = patterns.expected[first]
    for unit, row in zip(units, draws, strict=True):
        stream = np.random.Generator(np.random.Philox(key=[int(unit), SEED]))
        row[1:] = stream.poisson(row[0], REPLICATES)
    return Weights(units, draws)


def _draws(patterns: Patterns, weights: Weights, replicates: int = REPLICATES) -> list[Draw]:
    """Return the patterns by number of labels, in increasing order."""
    draws = []
    for ratings in np.unique(patterns.ratings):
        rows = patterns.where(patterns.ratings == ratings)
        rows = rows.where(np.argsort(rows.units, kind="stable"))
        units, starts = np.unique(rows.units, return_index=True)
        drawn = weights.draws[np.searchsorted(weights.units, units), : 1 + replicates]
        draws.append(Draw(int(ratings), rows.numbers, rows.drawn, starts, drawn))
    return draws


def _agreement(patterns: Patterns, votes: PatternVotes, weights: Weights, labels: list[str], metric: str) -> dict:
    """Return every coefficient as {value, low, high, reason}."""
    paired = patterns.ratings > 1
    if not paired.any():
        return {name: _undefined(NO_PAIRS) for name in COEFFICIENTS}
    figures = _nominal(_draws(patterns, weights), votes, len(labels))
    if metric != "nominal":
        replicates = REPLICATES if len(labels) <= MOST_RANKED_LABELS else 0
        draws = _draws(patterns.where(paired), weights, replicates)
        figures["krippendorff_alpha"] = _alpha(draws, votes.table(0, len(labels)), _distance(metric, labels))
    # A pattern counts for as many units as it has items, a group for one.
    units = len(np.unique(patterns.units[paired])) + int((patterns.expected[paired] - 1).sum())
    unit = "group" if patterns.is_grouped.any() else "item"
    return {name: _estimate(figures[name], units, unit) for name in COEFFICIENTS}


def _nominal(draws: list[Draw], votes: PatternVotes, kinds: int) -> dict[str, np.ndarray]:
    """Return each coefficient in the sample and its replicates, NaN where undefined."""
    squared = np.bincount(votes.numbers, votes.votes**2)
    everyone = paired = ratings = agreeing = shared = 0.0
    for draw in draws:
        items, squares = draw.total(np.stack([np.ones(len(draw.items)), squared[draw.numbers]], axis=1))
        everyone = everyone + items
        if (m := draw.ratings) > 1:
            pairs = squares - m * items  # ordered pairs of equal labels on one item
            paired, ratings = paired + items, ratings + m * items
            agreeing, shared = agreeing + pairs / (m - 1), shared + pairs / (m * (m - 1))
    label_squares, share_squares = _squares(draws, votes, kinds, everyone)
    with np.errstate(divide="ignore", invalid="ignore"):
        percent = shared / paired
        # Krippendorff 2011: 1 - observed / expected disagreement, over items with two labels or more.
        alpha = 1 - (ratings - 1) * (ratings - agreeing) / (ratings**2 - label_squares)
        # Fleiss 1971 for any number of labels per item; Gwet 2008. Chance from mean shares over all items.
        chance = (1 - share_squares) / (kinds - 1) if kinds > 1 else np.full_like(percent, np.nan)
        fleiss = np.where(share_squares < 1 - 1e-12, (percent - share_squares) / (1 - share_squares), np.nan)
        ac1 = (percent - chance) / (1 - chance)
    return dict(zip(COEFFICIENTS, (percent, alpha, fleiss, ac1), strict=True))


def _squares(draws: list[Draw], votes: PatternVotes, kinds: int, everyone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sums over labels: squared counts in items of two labels or more, and squared mean shares of all items."""
    label_squares = share_squares = 0.0
    for first in range(0, kinds, LABEL_BLOCK):
        table = votes.table(first, min(first + LABEL_BLOCK, kinds))
        counts = shares = np.zeros((table.shape[1], 1))
        for draw in draws:
            total = draw.total(table[draw.numbers])
            counts = counts + total * (draw.ratings > 1)
            shares = shares + total / draw.ratings
        label_squares = label_squares + (counts**2).sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            share_squares = share_squares + ((shares / everyone) ** 2).sum(axis=0)
    return label_squares, share_squares


Distance = Callable[[int, np.ndarray], np.ndarray]


def _alpha(draws: list[Draw], table: np.ndarray, distance: Distance) -> np.ndarray:
    """Return Krippendorff's alpha under a distance, in the sample and its replicates, NaN where undefined."""
    totals = sum(draw.total(table[draw.numbers]) for draw in draws)
    observed = expected = 0.0
    for code in range(table.shape[1]):
        away = distance(code, totals)
        expected = expected + (totals[code] * totals * away).sum(axis=0)
        for draw in draws:
            votes = table[draw.numbers]
            pairs = draw.total(votes * votes[:, [code]])
            observed = observed + (pairs * away).sum(axis=0) / (draw.ratings - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 - (totals.sum(axis=0) - 1) * observed / np.where(expected > 0, expected, np.nan)


def _distance(metric: str, labels: list[str]) -> Distance:
    """Return the squared difference of every label from one of them, given how often each is used."""
    if metric == "ordinal":
        return lambda code, totals: (_ranks(totals) - _ranks(totals)[code]) ** 2
    if metric == "masi":
        sets = [_members(label) for label in labels]
        return lambda code, _: np.array([[_masi(sets[code], other)] for other in sets])
    if metric not in ("interval", "ratio"):
        raise RequestError(f"no metric {metric!r}; metrics: nominal, ordinal, interval, ratio, masi")
    scores = np.array([[_score(label)] for label in labels])
    if metric == "interval":
        return lambda code, _: (scores - scores[code]) ** 2
    return lambda code, _: ((scores - scores[code]) / np.where(scores + scores[code], scores + scores[code], 1)) ** 2


def _ranks(totals: np.ndarray) -> np.ndarray:
    """Return the middle rank of every label among all that were given."""
    return np.cumsum(totals, axis=0) - totals / 2


def _members(label: str) -> frozenset[str]:
    """Return the set a label stands for: a JSON list, or the label alone."""
    return frozenset(map(str, json.loads(label))) if label.startswith("[") else frozenset([label])


def _masi(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the MASI distance of two sets, 0–1 (Passonneau 2006)."""
    if one == other:
        return 0.0
    common = one & other
    monotonic = 2 / 3 if common in (one, other) else 1 / 3
    return 1 - len(common) / len(one | other) * monotonic


def _estimate(figures: np.ndarray, units: int, unit: str) -> dict:
    """Return the sample's figure and the middle 95 % of its replicates."""
    if not np.isfinite(figures[0]):
        return _undefined(ONE_LABEL)
    value, replicates = figures[0], figures[1:][np.isfinite(figures[1:])]
    if units < 2:
        return {"value": _rounded(value), "low": None, "high": None, "reason": f"no interval from a single {unit}"}
    if len(figures) == 1:
        reason = f"no interval for more than {MOST_RANKED_LABELS} labels"
        return {"value": _rounded(value), "low": None, "high": None, "reason": reason}
    # A coefficient undefined in many replicates is known too poorly for an interval of the rest to mean anything.
    if len(replicates) < 0.9 * REPLICATES:
        reason = "no interval: undefined in too many replicates"
        return {"value": _rounded(value), "low": None, "high": None, "reason": reason}
    low, high = np.quantile(replicates, [0.025, 0.975])
    return {"value": _rounded(value), "low": _rounded(low), "high": _rounded(high), "reason": None}


def _undefined(reason: str) -> dict:
    return {"value": None, "low": None, "high": None, "reason": reason}


def _rounded(figure: float) -> float:
    return round(float(figure), DIGITS) + 0.0  # no negative zero


def _entropies(connection: duckdb.DuckDBPyConnection, labels: list[str] | None) -> tuple[np.ndarray, np.ndarray]:
    """Return plug-in entropy and posterior mean of every pattern, in nats."""
    if labels is None:
        keep(connection, "label_set")
    else:
        keep(connection, "label_set", "given_label_set", labels=labels)
    rows = keep(connection, "pattern_entropy").order("pattern").fetchnumpy()
    return rows["entropy_nats"], rows["entropy_jeffreys_nats"]


def _entropy(patterns: Patterns, entropies: tuple[np.ndarray, np.ndarray], kinds: int) -> dict:
    """Return how the items' entropies are spread."""
    mean, most = _mean(patterns, entropies[0]), math.log(kinds) if kinds else 0.0
    paired = patterns.where(patterns.ratings > 1)
    unanimous = int(paired.items[entropies[0][paired.numbers] == 0].sum())
    return {
        "mean_nats": mean,
        "mean_jeffreys_nats": _mean(patterns, entropies[1]),
        "mean_normalised": _rounded(mean / most) if mean is not None and most else None,
        "prior": "jeffreys" if kinds <= 5 else "perks",
        "unanimous_share": _rounded(unanimous / int(paired.items.sum())) if len(paired.items) else None,
        "histogram": _histogram(patterns, entropies[0], most),
    }


def _mean(patterns: Patterns, figures: np.ndarray) -> float | None:
    """Return the mean over items; null without items."""
    items = int(patterns.items.sum())
    # fsum rounds once, so the order of the patterns cannot matter.
    return _rounded(math.fsum(patterns.items * figures[patterns.numbers]) / items) if items else None


def _histogram(patterns: Patterns, entropies: np.ndarray, most: float) -> list[dict]:
    """Return items by entropy, in equal bins up to the highest there can be."""
    if not most:
        return []
    # The nudge puts an entropy that is a bin's end up to rounding into the bin it begins.
    place = np.minimum(np.floor(entropies[patterns.numbers] / most * BINS + 1e-9), BINS - 1).astype(int)
    items = np.bincount(place, patterns.items, minlength=BINS)
    ends = [_rounded(most * end / BINS) for end in range(BINS + 1)]
    return [{"low": ends[n], "high": ends[n + 1], "items": int(items[n])} for n in range(BINS)]


def _size(patterns: Patterns) -> dict:
    return {"items": int(patterns.items.sum()), "annotations": int((patterns.items * patterns.ratings).sum())}


def _by_annotator(said: list[tuple], labels: list[str]) -> list[dict]:
    """Return one entry per annotator, in the order of their names."""
    rows: dict[str, list[tuple]] = {}
    for row in said:
        rows.setdefault(row[0], []).append(row)
    return [_annotator(name, own, labels) for name, own in rows.items()]


def _annotator(name: str, rows: list[tuple], labels: list[str]) -> dict:
    annotations, pairs, agreeing = (sum(row[column] for row in rows) for column in (2, 3, 4))
    return {
        "annotator_id": name,
        "annotations": annotations,
        "items": annotations - rows[0][5],
        "agreement_with_others": _rounded(agreeing / pairs) if pairs else None,
        "labels": dict.fromkeys(labels, 0) | {row[1]: row[2] for row in rows},
    }
