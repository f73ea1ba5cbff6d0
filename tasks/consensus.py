"""Annotations become a consensus: people's votes a posterior, the posterior a status."""

from typing import Any

import duckdb
import numpy as np
import polars as pl
from prefect import get_run_logger

from schemas.consensus import Consensus
from schemas.run import Run
from tasks import epoch
from tasks.agreement import confusion, item_entropy, measure_kinds
from tasks.draft import see, write_figures, write_rows
from tasks.known import known
from tasks.posterior import Posterior, posterior, votes
from tasks.scorecard import scorecards
from tasks.sql import keep, query, relation
from tasks.stage import stage

DIGITS = 12  # of an entropy; what comes after depends on the machine


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
    """Return agreement and entropy of people and of models, scorecards of people, confusion of models with people."""
    connection, labels, kind = known(run, versions), list(run.curation.labels.values), run.curation.labels.kind
    figures = {"scorecards": scorecards(connection, labels, kind)}
    connection.execute("alter view vote rename to person_vote")
    figures["people"] = measure_kinds(connection, "from person_vote", query("machine_vote"), kind, labels)
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
    method = run.curation.consensus_method
    found = posterior(votes(connection, labels), labels, method, scores=run.curation.labels.scores)
    connection.register("posterior", _rows(found))
    connection.register("certified", epoch.accepted(connection, run.curation.accept))
    keep(connection, "suggestion")
    limits = {"min_labels": settings.min_labels, "min_posterior": settings.min_posterior}
    return relation(connection, "consensus", **limits).pl()


def _rows(found: Posterior) -> pl.DataFrame:
    """Return one row per item: its posterior, the most probable label, that label's probability and the spread."""
    items, kinds = found.matrix.shape
    shares = pl.DataFrame(
        {"label": found.labels * items, "probability": found.matrix.reshape(-1)}, schema_overrides={"label": pl.String}
    )
    winner = pl.Series(found.winner, dtype=pl.Int64)
    return pl.DataFrame(
        {
            "item_id": pl.from_arrow(found.item_ids),
            "posterior": shares.to_struct().reshape((items, kinds)).arr.to_list(),
            "label": pl.Series(found.labels, dtype=pl.String).gather(winner.set(winner < 0, None)),
            "posterior_share": found.matrix.max(axis=1, initial=0.0),
            "posterior_entropy_nats": found.entropy_nats.round(DIGITS),
            "posterior_mean": _scored(found.mean, items),
            "posterior_median": _scored(found.median, items),
            "posterior_sd": _scored(found.sd, items),
        }
    )


def _scored(values: np.ndarray | None, items: int) -> pl.Series:
    """Return a column of a rating's figures; nulls where the labels are no ratings."""
    return pl.Series([None] * items if values is None else values.round(DIGITS), dtype=pl.Float64)
