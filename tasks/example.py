"""Settled items become examples."""

from collections import Counter
from typing import Any

import duckdb
import pyarrow as pa
from prefect import get_run_logger

from schemas.example import Example
from schemas.promise import Failing
from schemas.row import columns
from schemas.run import Run
from tasks.annotator import comparison
from tasks.draft import figures, leave_out, see, write_batches, write_figures, write_table
from tasks.known import known
from tasks.sql import keep, relation
from tasks.stage import stage


@stage
def choose_examples(run: Run) -> dict[str, Any]:
    """Return the number of examples and of settled items kept out by reason, and leave both among the drafts."""
    connection = known(run)
    see(run, connection, "consensus")
    keep(connection, "bridge", by_group=run.curation.splits.by == "group")
    tie = comparison.TIE if run.curation.labels.kind == comparison.KIND else None
    examples = write_batches(run, "example", Example, relation(connection, "example", tie=tie))
    write_table(run, "kept_out", columns(Failing).empty_table())
    chosen = {"examples": examples, "excluded": _excluded(connection, examples, tie)}
    write_figures(run, "chosen", chosen)
    said = ", ".join(f"{reason} {count}" for reason, count in chosen["excluded"].items())
    get_run_logger().info("%d examples; kept out: %s", examples, said)
    return chosen


@stage
def keep_out(run: Run) -> int:
    """Return how many examples were taken out of the drafts: those that break a promise whose policy is to drop them."""
    connection = known(run)
    for draft in ("failing", "kept_out"):
        see(run, connection, draft)
    rows = connection.sql("from failing where policy = 'drop' order by all").to_arrow_table()
    if not rows.num_rows:
        return 0
    reasons = relation(connection, "dropped_count").fetchall()
    earlier = connection.sql("from kept_out").to_arrow_table()
    leave_out(run, "example", "item_id", rows["item_id"].combine_chunks())
    write_table(run, "kept_out", pa.concat_tables([earlier, rows.cast(earlier.schema)]))
    dropped, chosen = sum(count for _, count in reasons), figures(run, "chosen")
    excluded = Counter(chosen["excluded"]) + Counter(dict(reasons))
    write_figures(run, "chosen", {"examples": chosen["examples"] - dropped, "excluded": chosen["excluded"] | excluded})
    get_run_logger().info("kept out by the gate: %s", ", ".join(f"{reason} {count}" for reason, count in reasons))
    return dropped


def _excluded(connection: duckdb.DuckDBPyConnection, examples: int, tie: str | None) -> dict[str, int]:
    """Return how many settled items are no examples, by reason; a tie that bridges two splits counts as a tie."""
    settled = Counter(dict(connection.sql(
        "select label, count(*) from consensus where status in ('human', 'accepted') group by label"
    ).fetchall()))  # fmt: skip
    ties = {} if tie is None else {"tie": settled[tie]}
    return {"bridges_splits": settled.total() - examples - sum(ties.values())} | ties
