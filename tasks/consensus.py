"""Annotations become a consensus: people's votes a posterior, the posterior a status."""

from typing import Any

import duckdb
import polars as pl
from prefect import get_run_logger

from schemas.consensus import Consensus
from schemas.run import Run
from tasks.agreement import confusion, item_entropy, measure
from tasks.draft import see, write_figures, write_rows
from tasks.known import known
from tasks.posterior import Posterior, posterior, votes
from tasks.sql import keep, relation
from tasks.stage import stage


@stage
def settle(run: Run, versions: dict[str, str]) -> dict[str, int]:
    """Return the number of items by status, and leave the consensus among the run's drafts."""
    rows = _consensus(run, known(run, versions))
    write_rows(run, "consensus", Consensus, rows)
    counts = dict(sorted(rows["status"].value_counts().iter_rows()))
    get_run_logger().info("%s", ", ".join(f"{count:,} {status}" for status, count in counts.items()))
    return counts


@stage
def settled_for_training(run: Run) -> dict[str, str]:
    """Return the label of each item of the training split that people have settled; no model has a say in it."""
    connection = known(run)
    connection.register("consensus", _consensus(run, connection))
    query = """
        select item_id, label
        from consensus
        join known_item using (item_id)
        where status = 'human' and split = 'train'
        order by item_id
    """
    return dict(connection.sql(query).fetchall())


@stage
def measure_agreement(run: Run, versions: dict[str, str]) -> dict[str, Any]:
    """Return people's agreement and entropy, and each model's confusion with what people settled; also a draft."""
    connection, labels = known(run, versions), list(run.curation.labels.values)
    figures = {"people": measure(connection, run.curation.labels.kind, labels)}
    see(run, connection, "consensus")
    connection.execute("create view reference as select item_id, label from consensus where status = 'human'")
    figures["confusion"] = {name: _confusion(connection, name, labels) for name in sorted(versions)}
    write_figures(run, "agreement", figures)
    return figures


def _confusion(connection: duckdb.DuckDBPyConnection, annotator: str, labels: list[str]) -> dict[str, Any]:
    """Return counts of people's settled label against the annotator's, and the share that agree."""
    connection.execute("set variable annotator = $name", {"name": annotator})
    # shadows the view of people's votes, on this connection alone
    connection.execute(
        "create or replace temp view vote as select * from model_vote where annotator_id = getvariable('annotator')"
    )
    found = confusion(connection, labels)
    return {"labels": found["labels"], "counts": found["matrix"], "accuracy": found["accuracy"]}


def _consensus(run: Run, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    settings, labels = run.curation.consensus, list(run.curation.labels.values)
    item_entropy(connection, labels).create_view("item_entropy")
    connection.register("posterior", _rows(posterior(votes(connection, labels), labels, settings.method)))
    keep(connection, "suggestion")
    limits = {"min_labels": settings.min_labels, "min_posterior": settings.min_posterior}
    return relation(connection, "consensus", **limits).pl()


def _rows(found: Posterior) -> pl.DataFrame:
    """Return one row per item: its posterior, the most probable label and that label's probability."""
    shares = found.matrix.tolist()
    return pl.DataFrame(
        {
            "item_id": found.item_ids.tolist(),
            "posterior": [_listed(found.labels, row) for row in shares],
            "label": [found.labels[place] if place >= 0 else None for place in found.winner],
            "posterior_share": [max(row) for row in shares],
        },
        schema={
            "item_id": pl.String,
            "posterior": pl.List(pl.Struct({"label": pl.String, "probability": pl.Float64})),
            "label": pl.String,
            "posterior_share": pl.Float64,
        },
    )


def _listed(labels: list[str], shares: list[float]) -> list[dict[str, Any]]:
    return [{"label": label, "probability": share} for label, share in zip(labels, shares, strict=True)]
