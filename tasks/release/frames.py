"""Frames: what is to be published, reduced to typed columns without text, for the gate to judge."""

from pathlib import Path

import duckdb

from schemas.run import Run
from tasks import epoch
from tasks.draft import figures, see
from tasks.known import known
from tasks.release.shapes import SPLITS
from tasks.sql import query

FRAMES = ("item", "source", "annotation", "agreement", "consensus", "coverage", "split", "leakage")
_MESSAGES = "struct(role varchar, content varchar)[]"


def reduce(run: Run, versions: dict[str, str], staged: Path) -> Path:
    """Return a DuckDB file with one table per suite, read back from the staged files and from what is known."""
    connection = known(run, versions)
    see(run, connection, "consensus")
    connection.register("certified", epoch.accepted(connection, run.curation.accept))
    _see_staged(connection, staged)
    alpha = figures(run, "agreement")["people"]["agreement"]["krippendorff_alpha"]
    entropy = figures(run, "agreement")["people"]["entropy"]["mean_nats"]
    connection.execute(
        "create temp table agreement_figure as select $low::double as alpha_low, $entropy::double as entropy",
        {"low": alpha["low"], "entropy": entropy},
    )
    connection.execute("set variable labels = $labels", {"labels": len(run.curation.labels.values)})
    connection.execute("set variable by_group = $by_group", {"by_group": run.curation.splits.by == "group"})
    place = run.drafts / "frames.duckdb"
    place.unlink(missing_ok=True)
    connection.execute("attach '" + str(place).replace("'", "''") + "' as frames")
    for name in FRAMES:
        connection.execute(f"create table frames.{name} as {query(f'frame/{name}')}")
    connection.execute("detach frames")
    return place


def _see_staged(connection: duckdb.DuckDBPyConnection, staged: Path) -> None:
    """Let the connection see the staged files as the relations published and message, each row with its file."""
    for name in SPLITS:
        parquet, jsonl = (str(staged / file).replace("'", "''") for file in (f"data/{name}.parquet", f"{name}.jsonl"))
        connection.execute(f"create view published_{name} as select *, '{name}' as file from read_parquet('{parquet}')")
        connection.execute(
            f"create view message_{name} as select *, '{name}' as file, row_number() over () as position from "
            f"read_json('{jsonl}', format = 'newline_delimited', columns = {{messages: '{_MESSAGES}'}})"
        )
    for view in ("published", "message"):
        parts = " union all ".join(f"select * from {view}_{name}" for name in SPLITS)
        connection.execute(f"create view {view} as {parts}")
