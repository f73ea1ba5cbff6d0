"""Drafts: what a run derives and leaves for its later stages, as files, so that only names cross between them."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq

from schemas.row import Row
from schemas.run import Run
from tasks.store.tables import Store, arrow

ABANDONED_AFTER_S = 86_400


def write_rows(run: Run, name: str, model: type[Row], rows: pl.DataFrame) -> None:
    """Write rows of a noun as the run's draft of that name."""
    run.drafts.mkdir(parents=True, exist_ok=True, mode=0o700)
    pq.write_table(arrow(model, rows), _place(run, name))


def write_figures(run: Run, name: str, figures: Any) -> None:
    """Write figures as the run's draft of that name."""
    run.drafts.mkdir(parents=True, exist_ok=True, mode=0o700)
    (run.drafts / f"{name}.json").write_text(json.dumps(figures), encoding="utf-8")


def figures(run: Run, name: str) -> Any:
    """Return the figures of the run's draft of that name."""
    return json.loads((run.drafts / f"{name}.json").read_text(encoding="utf-8"))


def see(run: Run, connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Let a connection see the rows of the run's draft of that name, as a view."""
    place = str(_place(run, name)).replace("'", "''")
    connection.execute(f"create or replace view {name} as select * from read_parquet('{place}')")


def keep_latest(run: Run) -> None:
    """Keep the run's consensus and queue for `assay sql` to read, unless a later date has been judged: a backfill is no news."""
    judged = Store(run.store).connect().sql("select max(as_of) from ledger where kind = 'verdict'").fetchone()[0]
    if judged and judged > run.as_of:
        return
    latest = run.store / "derived" / "latest"
    latest.mkdir(exist_ok=True, mode=0o700)
    for name in ("consensus", "queue"):
        os.replace(_place(run, name), latest / f"{name}.parquet")


def discard(run: Run) -> None:
    """Remove the run's drafts: they hold texts."""
    shutil.rmtree(run.drafts, ignore_errors=True)


def sweep(store: Path) -> None:
    """Remove the drafts of runs that were killed: those no run has written to for a day."""
    for folder in (store / "derived").glob("*/"):
        if folder.name != "latest" and folder.stat().st_mtime < time.time() - ABANDONED_AFTER_S:
            shutil.rmtree(folder, ignore_errors=True)


def _place(run: Run, name: str) -> Path:
    return run.drafts / f"{name}.parquet"
