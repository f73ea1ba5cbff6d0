"""Settled items become examples."""

from typing import Any

from prefect import get_run_logger

from schemas.example import Example
from schemas.run import Run
from tasks.draft import see, write_figures, write_rows
from tasks.known import known
from tasks.sql import keep, relation
from tasks.stage import stage


@stage
def choose_examples(run: Run) -> dict[str, Any]:
    """Return the number of examples and of settled items kept out by reason, and leave both among the drafts."""
    connection = known(run)
    see(run, connection, "consensus")
    keep(connection, "bridge", by_group=run.curation.splits.by == "group")
    rows = relation(connection, "example").pl()
    settled = connection.sql("select count(*) from consensus where status in ('human', 'accepted')").fetchone()[0]
    write_rows(run, "example", Example, rows)
    chosen = {"examples": len(rows), "excluded": {"bridges_splits": settled - len(rows)}}
    write_figures(run, "chosen", chosen)
    get_run_logger().info("%d examples; %d items bridge two splits", len(rows), settled - len(rows))
    return chosen
