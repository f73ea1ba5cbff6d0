"""A table of labels, in any file, becomes one label per item and the probability of each."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from flows.measure import MOST, asides, cut, more
from schemas.errors import RequestError
from tasks.agreement import METRICS as KINDS
from tasks.agreement import score
from tasks.consensus_table import ANNOTATOR, DIGITS, annotator_rows, write_consensus
from tasks.label_table import (
    USUAL,
    Columns,
    has_worded_times,
    kinds,
    known_labels,
    machine_votes,
    opened,
    read,
    reading,
)
from tasks.label_table.earlier import earlier, gold
from tasks.posterior import METHODS, Posterior, labels_in_use, posterior, votes
from tasks.table_file import apart, relation_of, write, written_format

USUAL_METHODS = {"rating": "ordinal"}
WITH_MACHINES = ("crowdlab", "log-pool")
ERROR = {"item_id": "VARCHAR", "label": "VARCHAR", "suggested_label": "VARCHAR", "score": "DOUBLE"}


def aggregate(
    path: str | Path,
    out: str | Path,
    method: str | None = None,
    columns: Columns = USUAL,
    kind: str = "choice",
    labels: Sequence[str] | None = None,
    start: str | Path | None = None,
    annotators_out: str | Path | None = None,
    errors_out: str | Path | None = None,
    memory_limit: str | None = None,
) -> dict[str, Any]:
    """Return what became of a file of labels, ready for JSON; write one row per item to `out`.

    Write one row per annotator to `annotators_out`, and people's labels that machines contradict to `errors_out`.
    """
    method = method or ("majority" if columns.count else USUAL_METHODS.get(kind, "dawid-skene"))
    _possible(
        path, columns, kind, method, start, (out, annotators_out, errors_out)
    )  # refuse before the work, not after
    with opened(memory_limit) as connection, reading(path):
        counts = read(connection, path, columns, kind, labels)
        if (method in WITH_MACHINES or errors_out is not None) and "machines" not in kinds(connection):
            what = method if method in WITH_MACHINES else "--errors"
            raise RequestError(f"{what} needs labels of machines: no row's annotator_kind is llm, function or model")
        order = _order(connection, kind, labels)
        found = _posterior(connection, method, kind, order, bool(columns.gold), start)
        write_consensus(connection, found, out)
        if annotators_out is not None:
            write(connection, relation_of(connection, annotator_rows(found), ANNOTATOR), annotators_out)
        if errors_out is not None:
            write(connection, relation_of(connection, _errors(connection, method, order), ERROR), errors_out)
        summary = _summary(found, method, kind, columns) | {"machines": machine_votes(connection)}
        summary["has_worded_times"] = has_worded_times(connection)
    return counts | summary


def _possible(
    path: str | Path,
    columns: Columns,
    kind: str,
    method: str,
    start: str | Path | None,
    outs: tuple[str | Path | None, ...],
) -> None:
    """Raise RequestError for what no table can be asked."""
    if kind not in KINDS:
        raise RequestError(f"no kind {kind!r}; kinds: {', '.join(KINDS)}")
    if method not in METHODS:
        raise RequestError(f"no method {method!r}; methods: {', '.join(METHODS)}")
    if method == "ordinal" and kind != "rating":
        raise RequestError("--method ordinal is for labels in an order: --kind rating")
    if columns.count and (method != "majority" or any(outs[1:])):
        raise RequestError(
            "a table of counts does not say who gave a label: --method majority, without --annotators and --errors"
        )
    apart(path, *outs)
    if start is not None:
        apart(start, *outs)
    for out in filter(None, outs):
        written_format(out)


def _order(connection: duckdb.DuckDBPyConnection, kind: str, labels: Sequence[str] | None) -> list[str]:
    """Return the labels there can be: as given, else those of the table, ratings by value."""
    if labels is not None and kind != "choices":
        return list(labels)
    return sorted(known_labels(connection), key=score if kind == "rating" else None)


def _posterior(
    connection: duckdb.DuckDBPyConnection,
    method: str,
    kind: str,
    labels: list[str],
    has_gold: bool,
    start: str | Path | None,
) -> Posterior:
    if method in WITH_MACHINES:
        from tasks.posterior.opinions import opinions, people

        said = people(connection, labels)
        beside = {"opinions": opinions(connection, said, labels)}
    else:
        # Labels that are named make DuckDB import pandas, so those that are in use anyway are not.
        said, beside = votes(connection, None if labels == labels_in_use(connection) else labels), {}
    if kind == "rating":
        beside["scores"] = _scores(labels)
    if has_gold:
        beside["gold"] = gold(connection)
    if start is not None:
        beside["start"] = earlier(connection, start)
    return posterior(said, labels, method, **beside)


def _scores(labels: list[str]) -> np.ndarray:
    """Return the value of each label: its number, or its place from 1 on where labels are words."""
    try:
        return np.array([score(label) for label in labels])
    except RequestError:
        return np.arange(1.0, len(labels) + 1)


def _errors(connection: duckdb.DuckDBPyConnection, method: str, labels: list[str]) -> list[dict[str, Any]]:
    """Return people's labels that machines contradict, as people alone settle them."""
    from tasks.label_error import label_errors
    from tasks.posterior.opinions import opinions, people

    said = people(connection, labels)
    settled = posterior(said, labels, "dawid-skene" if method in WITH_MACHINES else method)
    return label_errors(settled, opinions(connection, said, labels))


def _summary(found: Posterior, method: str, kind: str, columns: Columns) -> dict[str, Any]:
    won = np.bincount(found.winner[found.winner >= 0], minlength=len(found.labels)).tolist()
    items = len(found.item_ids)
    return {
        "method": method,
        "kind": kind,
        "items": items,
        "annotations": int(found.annotations.sum()),
        "annotators": None if columns.count else len(found.annotator_ids),
        "labels": dict(zip(found.labels, won, strict=True)),
        "ties": int(found.is_tie.sum()),
        "unlabelled": int((found.winner < 0).sum()),
        "entropy": {"mean_nats": round(math.fsum(found.entropy_nats) / items, DIGITS) if items else None},
        "rounds": found.rounds,
        "is_converged": found.is_converged,
        "by_annotator": [] if columns.count else annotator_rows(found, has_confusion=False),
    }


def _votes(result: dict[str, Any]) -> str:
    """Return whose labels were counted, in words."""
    annotations, annotators, machines = result["annotations"], result["annotators"], result["machines"]
    if annotators is None:
        return f"{annotations:,} labels"
    if not machines["annotators"]:
        return f"{annotations:,} labels of {annotators:,} annotators"
    if result["method"] not in WITH_MACHINES:  # which count people's alone
        annotations, annotators = annotations - machines["annotations"], annotators - machines["annotators"]
    people = f"{annotations:,} labels of {annotators:,} people"
    return f"{people} and {machines['annotations']:,} of {machines['annotators']:,} machines"


def story(result: dict[str, Any]) -> str:
    """Return what became of the labels as a person reads it on a terminal."""
    lines = [
        f"{result['items']:,} items settled by {result['method']} from {_votes(result)}",
        *asides(result),
        f"  {result['ties']:,} items have two labels with most votes; {result['unlabelled']:,} items get no label",
    ]
    if not result["is_converged"]:
        lines.append(f"  still moving after {result['rounds']} rounds: take the probabilities with care")
    names = {name: cut(name) for name in list(result["labels"])[:MOST]}
    width = max([5, *map(len, names.values())])
    lines += ["", f"{'label':<{width}}        items"]
    lines += [f"{cell:<{width}}  {result['labels'][name]:11,}" for name, cell in names.items()]
    return "\n".join(lines + more(len(result["labels"]), MOST))
