"""Votes become figures of agreement and entropy: from each item's label counts, merged as integers.

Every figure is a function of the items' vectors of label counts. DuckDB counts each item once, and then the distinct
vectors ("patterns") with how many items have them. Floating point starts after that, so the figures are the same bit
for bit in any order of rows and over any partitions by item.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from schemas.errors import RequestError
from tasks.agreement.annotators import Said, against_people, by_annotator
from tasks.agreement.between import between
from tasks.agreement.by_label import by_label
from tasks.agreement.coefficients import coefficients
from tasks.agreement.distance import RANKED, SETS, score
from tasks.agreement.entropies import decomposition, entropies_of, means, spread
from tasks.agreement.pairs import pairs
from tasks.agreement.patterns import Patterns, by_slice, cross_patterns_of, pattern_votes, patterns_of, weights_of
from tasks.agreement.share import wilson
from tasks.sql import keep, relation

__all__ = [
    "COUNTS", "METRICS", "confusion", "count", "item_entropy", "measure", "measure_kinds", "pairs", "summary", "wilson",
]  # fmt: skip

METRICS = {"choice": "nominal", "preference": "nominal", "rating": "ordinal", "choices": "masi"}
COUNTS = ("pattern_count", "pattern_label", "annotator_label", "repeated_count")
STEPS = (
    "label_mark", "item_pattern", "item_part", "pattern_count", "pattern_label",
    "annotator_pattern", "repeated_vote", "annotator_label", "repeated_count",
)  # fmt: skip


def measure(
    connection: duckdb.DuckDBPyConnection,
    kind: str = "choice",
    labels: list[str] | None = None,
    metric: str | None = None,
) -> dict:
    """Return agreement and entropy of the relation `vote`, ready for JSON."""
    count(connection)
    figures = summary(connection, kind, labels, metric)
    if figures["annotators"] == 2:
        for pair in pairs(connection, list(figures["labels"]), figures["metric"]):
            figures["agreement"] |= {name: pair[name] for name in pair if name.startswith("cohen_kappa")}
    if "distribution" in connection.table("vote").columns and (parts := decomposition(connection))["items"]:
        figures["entropy"]["decomposition"] = parts
    return figures


def measure_kinds(
    connection: duckdb.DuckDBPyConnection,
    people: str,
    machines: str,
    kind: str = "choice",
    labels: list[str] | None = None,
    metric: str | None = None,
) -> dict:
    """Return figures among people, with machines among themselves and against people beside them, ready for JSON.

    `people` and `machines` are queries of votes that do not read `vote`; the counts that are left are those of people.
    """
    connection.execute(f"create or replace temp view machine_vote as {machines}")
    if labels is None:  # what either kind uses, the other could have used
        used = connection.sql(f"select label from ({people}) union select label from machine_vote").fetchall()
        labels = _labels({label for (label,) in used}, metric or _metric(kind), None)
    with _votes(connection, "from machine_vote"):
        among_machines = measure(connection, kind, labels, metric)
        for table in ("item_pattern", "pattern_label"):
            connection.execute(f"create or replace temp table machine_{table} as from {table}")
    with _votes(connection, people):
        figures = measure(connection, kind, labels, metric)
    said = [Said(*row) for row in relation(connection, "machine_label").fetchall()]
    against = _across(connection, labels) | {"by_annotator": against_people(said)}
    return figures | {"machines": among_machines, "machines_against_people": against}


def _across(connection: duckdb.DuckDBPyConnection, labels: list[str]) -> dict:
    """Return how far machines agree with people, of what was counted of both."""
    # What a pattern holds is the same whoever gave the labels, so both kinds share one table of them.
    connection.execute(
        "create or replace temp table pattern_label as from (from pattern_label union from machine_pattern_label)"
    )
    keep(connection, "cross_count")
    patterns = cross_patterns_of(connection)
    return between(patterns, pattern_votes(connection, labels), weights_of(patterns), labels)


@contextmanager
def _votes(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[None]:
    """Let `vote` be the rows of a query, on this connection alone, for as long as the block runs."""
    connection.execute(f"create or replace temp view vote as {query}")
    yield
    connection.execute("drop view temp.vote")


def count(connection: duckdb.DuckDBPyConnection) -> None:
    """Count `vote` into the tables `COUNTS` names, which `summary` reads; those of partitions by item concatenate."""
    for table in STEPS:
        keep(connection, table)


def summary(
    connection: duckdb.DuckDBPyConnection,
    kind: str = "choice",
    labels: list[str] | None = None,
    metric: str | None = None,
) -> dict:
    """Return the figures of what was counted, as `COUNTS` names it, ready for JSON."""
    metric = metric or _metric(kind)
    found = {label for (label,) in relation(connection, "label_set").fetchall()}
    entropies = entropies_of(connection, None if metric in SETS else labels)
    labels = _labels(found, metric, labels)
    patterns, votes = patterns_of(connection), pattern_votes(connection, labels)
    weights = weights_of(patterns)
    annotators = by_annotator((Said(*row) for row in relation(connection, "annotator").fetchall()), labels)

    def figures(rows: Patterns) -> dict:
        return _size(rows) | {"agreement": coefficients(rows, votes, weights, labels, metric)}

    return figures(patterns) | {
        "kind": kind,
        "metric": metric,
        "annotators": len(annotators),
        "repeated": sum(annotator["annotations"] - annotator["items"] for annotator in annotators),
        "labels": dict(zip(labels, votes.totals(patterns, len(labels)), strict=True)),
        "by_label": by_label(patterns, votes, weights, labels, metric),
        "intervals": "groups" if patterns.is_grouped.any() else "items",
        "entropy": spread(patterns, entropies, len(labels)),
        "by_slice": {
            name: figures(rows) | {"entropy": means(rows, entropies, len(labels))} for name, rows in by_slice(patterns)
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


def _metric(kind: str) -> str:
    if kind not in METRICS:
        raise RequestError(f"agreement is not defined for {kind!r}; kinds: {', '.join(METRICS)}")
    return METRICS[kind]


def _labels(found: set[str], metric: str, labels: list[str] | None) -> list[str]:
    """Return the labels in their order: as given, else by value for ratings, else by name."""
    if labels is None or metric in SETS:
        return sorted(found, key=score) if metric in RANKED else sorted(found)
    if strangers := len(found - set(labels)):
        raise RequestError(f"{strangers} of the labels in use are not among the {len(labels)} given")
    return list(labels)


def _size(patterns: Patterns) -> dict:
    return {"items": int(patterns.items.sum()), "annotations": int((patterns.items * patterns.ratings).sum())}
