"""The review queue: what a person should look at before the next run."""

import duckdb
import polars as pl
from prefect import get_run_logger

from schemas.consensus import Consensus
from schemas.review import QueueEntry
from schemas.run import Run
from tasks.draft import see, write_rows
from tasks.known import known
from tasks.review.candidates import ranking
from tasks.review.diversity import diverse
from tasks.sql import keep, relation
from tasks.stage import stage


@stage
def draw_queue(run: Run, versions: dict[str, str]) -> int:
    """Return how many items are in the queue: first what awaits audit, then what a label is expected to tell most of.

    The queue is left among the run's drafts, and its unsettled items are `review` in the consensus.
    """
    connection = known(run, versions)
    see(run, connection, "consensus")
    places = run.curation.review.items
    audits = keep(connection, "open_audit").order("turn").limit(places).pl()
    chosen = _chosen(run, connection, audits, places - len(audits))
    queue = pl.concat([audits.drop("turn").with_columns(policy=pl.lit("audit")), chosen], how="diagonal_relaxed")
    queue = queue.with_columns(place=pl.int_range(1, len(queue) + 1, dtype=pl.Int64))
    connection.register("queue", queue)
    write_rows(run, "queue", QueueEntry, queue.select(*QueueEntry.model_fields))
    write_rows(run, "consensus", Consensus, relation(connection, "reviewed").pl())
    counts = ", ".join(f"{count} {policy}" for policy, count in queue["policy"].value_counts().sort("policy").rows())
    get_run_logger().info("%d items in the queue, of at most %d: %s", len(queue), places, counts or "nothing is open")
    return len(queue)


def _chosen(run: Run, connection: duckdb.DuckDBPyConnection, audits: pl.DataFrame, places: int) -> pl.DataFrame:
    """Return item, policy and gain of what fills the places that audits leave."""
    columns = {"item_id": pl.String, "policy": pl.String, "gain_nats": pl.Float64}
    if places <= 0:
        return pl.DataFrame(schema=columns)
    found = ranking(connection, run.curation, places)
    beside = connection.sql("select row from review_candidate where policy = 'audit' order by row").fetchall()
    near = relation(connection, "review_neighbour").fetchall()
    taken = diverse(found.row.tolist(), near, places, [row for (row,) in beside])
    items = connection.sql("select row, item_id from review_candidate").pl()
    rows = pl.DataFrame(found._asdict()).with_columns(pl.col("row").cast(pl.Int64), pl.col("policy").cast(pl.String))
    picked = pl.DataFrame({"row": taken}, schema={"row": pl.Int64})
    return picked.join(rows, "row", maintain_order="left").join(items, "row", maintain_order="left").select(*columns)
