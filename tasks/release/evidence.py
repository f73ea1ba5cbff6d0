"""The evidence: every figure a release shows, recomputed from facts as of its date; no text, no clock, no run."""

from typing import Any

import duckdb

from schemas.run import Run
from tasks.agreement import wilson
from tasks.annotator import comparison, prompt
from tasks.annotator.version import guideline_version, guidelines
from tasks.calibration import model_calibration
from tasks.draft import figures, see
from tasks.endpoint.price import table_date
from tasks.known import known
from tasks.release.certificate import certificate
from tasks.release.code import code_version
from tasks.source.files import belongs
from tasks.sql import relation


def evidence(run: Run, versions: dict[str, str]) -> dict[str, Any]:
    """Return the figures of a release, ready for JSON; what the release and its files are called is added later."""
    connection = known(run, versions)
    for draft in ("consensus", "example"):
        see(run, connection, draft)
    agreement, chosen = figures(run, "agreement"), figures(run, "chosen")
    curation, card = run.curation, run.curation.card
    return {
        "curation": curation.name,
        "description": card.description,
        "license": card.license,
        "language": list(card.language),
        "attribution": card.attribution,
        "limits": list(card.limits),
        "card_examples": card.examples,
        "sources": _sources(run, connection),
        "formats": list(curation.release.formats),
        "labels": {"kind": curation.labels.kind, "values": curation.labels.values},
        "clean": curation.clean.model_dump(mode="json"),
        "settling": curation.consensus.model_dump(mode="json") | {"method": curation.consensus_method},
        "dividing": curation.splits.model_dump(mode="json", include={"train", "validation", "test", "by"}),
        "documents": _documents(connection),
        "items": _row(connection, "item_count"),
        "annotations": _annotations(run, connection, versions, agreement),
        "functions": _functions(run, connection, versions, agreement),
        "agreement": agreement["people"]["agreement"],
        "label_agreement": agreement["people"]["by_label"],
        "machines": {"agreement": agreement["people"]["machines"]["agreement"]},
        "machines_against_people": agreement["people"]["machines_against_people"],
        "intervals": agreement["people"]["intervals"],
        "entropy": agreement["people"]["entropy"],
        "by_slice": agreement["people"]["by_slice"],
        "consensus": _consensus(connection),
        "slices": _slices(connection),
        "confusion": agreement["confusion"],
        "splits": {"train": 0, "validation": 0, "test": 0} | _counts(connection, "example", "split"),
        "split_labels": _nested(connection, "example", "split", "label"),
        "excluded": chosen["excluded"],
        "calibration": model_calibration(connection),
        "certificate": certificate(connection, curation.accept, list(curation.labels.values))
        | ({"published": _consensus(connection)["accepted"]} if curation.accept else {}),
        "cost": _row(connection, "cost") | {"price_table": str(table_date())},
        "versions": {
            "assay": code_version(),
            "guideline": guideline_version(guidelines(curation.labels, run.folder)),
            "annotators": versions,
            "models": {annotator.name: annotator.model for annotator in curation.models},
            "prompts": {model.name: prompt.version(model.prompt, curation.labels.kind) for model in curation.models},
        },
    }


def _sources(run: Run, connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return each source with what its files brought by the date; a file read again under another name counts once."""
    paths = _rows(connection, "source_count")
    found = []
    for source in run.curation.sources:
        counts = [row for row in paths if belongs(row["path"], source.path)]
        told = {"path": source.path, "format": source.format, "license": source.license}
        told |= {"attribution": source.attribution, "files": len(counts)}
        found.append(told | {name: sum(row[name] for row in counts) for name in ("documents", "quarantined")})
    return found


def _documents(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    reasons = dict(relation(connection, "quarantine_reason").fetchall())
    return _row(connection, "document_count") | {"reasons": reasons}


def _annotations(run: Run, connection: duckdb.DuckDBPyConnection, versions: dict, agreement: dict) -> dict[str, Any]:
    cards = {card["annotator_id"]: card for card in agreement["scorecards"]}
    people = [_person(row, cards[row["annotator_id"]]) for row in agreement["people"]["by_annotator"]]
    costs = {row["annotator_id"]: row for row in _rows(connection, "annotator_cost")}
    labels = _nested(connection, "model_vote", "annotator_id", "label")
    positions = _positions(run, connection)
    models = [
        {
            "annotator_id": annotator.name,
            "annotator_kind": "llm",
            "model": annotator.model,
            "prompt": prompt.version(annotator.prompt, run.curation.labels.kind),
            "version": versions[annotator.name],
            "accuracy": agreement["confusion"].get(annotator.name, {}).get("accuracy"),
            "labels": labels.get(annotator.name, {}),
        }
        | costs[annotator.name]
        | positions.get(annotator.name, {})
        for annotator in run.curation.models
        if annotator.name in versions and annotator.name in costs
    ]
    functions = [
        {
            "annotator_kind": "function",
            "annotations": asked,
            "items": asked,
            "abstained": asked - row["labelled"],
        }
        | {column: row[column] for column in ("annotator_id", "version", "accuracy", "labels")}
        for row in _functions(run, connection, versions, agreement)
        if (asked := row["labelled"] + row["abstained"] + row["failed"])
    ]
    return _row(connection, "annotation_count") | {"by_annotator": people + models + functions}


def _positions(run: Run, connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """Return {position: share} of the models that compare once: how often they prefer the answer they are shown first.

    One half where a model has no liking for a place, whichever answers are better: the order was drawn by lot.
    """
    if run.curation.labels.kind != comparison.KIND:
        return {}
    once = {model.name for model in run.curation.models if model.samples == 1}  # samples see both orders
    return {
        row["annotator_id"]: {"position": wilson(row["first"], row["preferred"])}
        for row in _rows(connection, "first_choice")
        if row["annotator_id"] in once
    }


def _person(row: dict[str, Any], card: dict[str, Any]) -> dict[str, Any]:
    accuracy = {end: card[f"accuracy{name}"] for end, name in (("value", ""), ("low", "_low"), ("high", "_high"))}
    told = {name: card[name] for name in ("is_spammer", "is_drifting", "copier_of", "median_seconds")}
    return row | {"annotator_kind": "human", "accuracy": accuracy} | told


def _functions(
    run: Run, connection: duckdb.DuckDBPyConnection, versions: dict, agreement: dict
) -> list[dict[str, Any]]:
    """Return how much each labelling function labels, in the curation's order; accuracy is against people, where both do."""
    covered = {row["annotator_id"]: row for row in _rows(connection, "function_coverage")}
    labels = _nested(connection, "model_vote", "annotator_id", "label")
    return [
        covered[annotator.name]
        | {
            "rule": annotator.function or annotator.sql,
            "version": versions[annotator.name],
            "accuracy": agreement["confusion"].get(annotator.name, {}).get("accuracy"),
            "labels": labels.get(annotator.name, {}),
        }
        for annotator in run.curation.functions
        if annotator.name in versions and annotator.name in covered
    ]


def _consensus(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    statuses = {"human": 0, "accepted": 0, "review": 0, "unresolved": 0} | _counts(connection, "consensus", "status")
    query = "select reason, count(*) from consensus where reason is not null group by reason order by reason"
    return statuses | {"reasons": dict(connection.sql(query).fetchall())}


def _slices(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    labels = _nested(
        connection, "(select slice, label from consensus join known_item using (item_id))", "slice", "label"
    )
    return {row["slice"]: row | {"labels": labels.get(row["slice"], {})} for row in _rows(connection, "slice_status")}


def _row(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, Any]:
    return _rows(connection, name)[0]


def _rows(connection: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, Any]]:
    found = relation(connection, name)
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def _counts(connection: duckdb.DuckDBPyConnection, table: str, column: str) -> dict[str, int]:
    query = f"select {column}, count(*) from {table} where {column} is not null group by {column} order by {column}"
    return dict(connection.sql(query).fetchall())


def _nested(connection: duckdb.DuckDBPyConnection, table: str, outer: str, inner: str) -> dict[str, dict[str, int]]:
    query = (
        f"select {outer}, {inner}, count(*) from {table} where {outer} is not null and {inner} is not null "
        f"group by {outer}, {inner} order by {outer}, {inner}"
    )
    nested: dict[str, dict[str, int]] = {}
    for key, value, count in connection.sql(query).fetchall():
        nested.setdefault(key, {})[value] = count
    return nested
