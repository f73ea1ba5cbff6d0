"""Votes become figures of agreement and entropy: from each item's label counts, merged as integers.

Every figure is a function of the items' vectors of label counts. DuckDB counts each item once, and then the distinct
vectors ("patterns") with how many items have them. Floating point starts after that, so the figures are the same bit
for bit in any order of rows and over any partitions by item.
"""

import math

import duckdb

from schemas.errors import RequestError
from tasks.agreement.coefficients import coefficients, score
from tasks.agreement.entropies import entropies_of, mean, spread
from tasks.agreement.patterns import Patterns, by_slice, pattern_votes, patterns_of, rounded, weights_of
from tasks.sql import keep, relation

METRICS = {"choice": "nominal", "preference": "nominal", "rating": "ordinal", "choices": "masi"}
COUNTS = ("pattern_count", "pattern_label", "annotator_label", "repeated_count")
Z_95 = 1.959963984540054


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
    entropies = entropies_of(connection, labels if metric != "masi" else None)
    labels = _labels({row[1] for row in said}, metric, labels)
    annotators = _by_annotator(said, labels)
    patterns, votes = patterns_of(connection), pattern_votes(connection, labels)
    weights = weights_of(patterns)

    def figures(rows: Patterns) -> dict:
        return _size(rows) | {"agreement": coefficients(rows, votes, weights, labels, metric)}

    return figures(patterns) | {
        "kind": kind,
        "metric": metric,
        "annotators": len(annotators),
        "repeated": sum(annotator["annotations"] - annotator["items"] for annotator in annotators),
        "labels": {label: sum(annotator["labels"][label] for annotator in annotators) for label in labels},
        "intervals": "groups" if patterns.is_grouped.any() else "items",
        "entropy": spread(patterns, entropies, len(labels)),
        "by_slice": {
            name: figures(rows) | {"entropy": {"mean_nats": mean(rows, entropies[0])}}
            for name, rows in by_slice(patterns)
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
    entropies_of(connection, labels)
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
    return {"value": rounded(share), "low": rounded(low), "high": rounded(high), "n": n}


def _metric(kind: str) -> str:
    if kind not in METRICS:
        raise RequestError(f"agreement is not defined for {kind!r}; kinds: {', '.join(METRICS)}")
    return METRICS[kind]


def _labels(found: set[str], metric: str, labels: list[str] | None) -> list[str]:
    """Return the labels in their order: as given, else by value for ratings, else by name."""
    if labels is None or metric == "masi":
        return sorted(found, key=score) if metric in ("ordinal", "interval", "ratio") else sorted(found)
    if strangers := len(found - set(labels)):
        raise RequestError(f"{strangers} of the labels in use are not among the {len(labels)} given")
    return list(labels)


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
        "agreement_with_others": rounded(agreeing / pairs) if pairs else None,
        "labels": dict.fromkeys(labels, 0) | {row[1]: row[2] for row in rows},
    }
