"""The review queue: what a person should look at before the next run."""

import polars as pl
from prefect import get_run_logger

from schemas.consensus import Consensus
from schemas.run import Run
from tasks.draft import see, write_rows
from tasks.known import known
from tasks.sql import relation
from tasks.stage import stage


@stage
def draw_queue(run: Run) -> int:
    """Return how many items are put into review: the most disputed and uncertain, no two of them near-duplicates."""
    connection = known(run)
    see(run, connection, "consensus")
    candidates = relation(connection, "review_candidate").fetchall()
    near = connection.sql("select item_id, near_item_id from neighbour").fetchall()
    queue = diverse([item_id for (item_id,) in candidates], near, run.curation.review.items)
    rows = connection.sql("select * from consensus").pl()
    in_queue = pl.col("item_id").is_in(queue)
    status = pl.when(in_queue).then(pl.lit("review")).otherwise(pl.col("status")).alias("status")
    write_rows(run, "consensus", Consensus, rows.with_columns(status))
    get_run_logger().info("%d items in the queue, of %d unsettled", len(queue), len(candidates))
    return len(queue)


def diverse(ranked: list[str], near: list[tuple[str, str]], budget: int) -> list[str]:
    """Return the first items of a ranking, without near-duplicates of one already taken while others are left."""
    neighbours: dict[str, set[str]] = {}
    for one, other in near:
        neighbours.setdefault(one, set()).add(other)
        neighbours.setdefault(other, set()).add(one)
    taken: list[str] = []
    barred: set[str] = set()
    passed_over: list[str] = []
    for item_id in ranked:
        if item_id in barred:
            passed_over.append(item_id)
        else:
            taken.append(item_id)
            barred |= neighbours.get(item_id, set())
        if len(taken) == budget:
            break
    return (taken + passed_over)[:budget]
