"""Drafts: what a run derives and leaves for its later stages, as files, so that only names cross between them."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.row import Row, columns
from schemas.run import Run
from tasks.store.tables import Store, arrow

ABANDONED_AFTER_S = 86_400
LATEST = ("consensus", "queue", "failing", "kept_out")
"""What `assay sql` shows of the last run that judged."""
_ROWS = 65_536


def write_rows(run: Run, name: str, model: type[Row], rows: pl.DataFrame) -> None:
    """Write rows of a noun as the run's draft of that name."""
    write_table(run, name, arrow(model, rows))


def write_table(run: Run, name: str, rows: pa.Table) -> None:
    """Write an Arrow table as the run's draft of that name."""
    run.drafts.mkdir(parents=True, exist_ok=True, mode=0o700)
    pq.write_table(rows, _place(run, name))


def write_batches(run: Run, name: str, model: type[Row], rows: duckdb.DuckDBPyRelation) -> int:
    """Write a relation as the run's draft of that name, without holding all of it; return how many rows it has."""
    run.drafts.mkdir(parents=True, exist_ok=True, mode=0o700)
    schema, count = columns(model), 0
    with pq.ParquetWriter(_place(run, name), schema) as file:
        for batch in rows.to_arrow_reader(_ROWS):
            file.write_table(pa.Table.from_batches([batch]).select(schema.names).cast(schema))
            count += batch.num_rows
    return count


def leave_out(run: Run, name: str, column: str, values: pa.Array) -> None:
    """Take the rows with one of some values in a column out of the run's draft of that name; the others stay in order."""
    draft = _place(run, name)
    with pq.ParquetFile(draft) as file, pq.ParquetWriter(_place(run, f".{name}"), file.schema_arrow) as kept:
        for batch in file.iter_batches(_ROWS):
            kept.write_batch(batch.filter(pc.invert(pc.is_in(batch[column], value_set=values))))
    os.replace(_place(run, f".{name}"), draft)


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


def batches(run: Run, name: str, rows: int) -> Iterator[pa.Table]:
    """Yield the rows of the run's draft of that name in their order, so many at a time."""
    with pq.ParquetFile(_place(run, name)) as file:
        for batch in file.iter_batches(rows):
            yield pa.Table.from_batches([batch])


def keep_latest(run: Run) -> None:
    """Keep the run's consensus, queue and what the gate found for `assay sql` to read, unless a later date has been judged: a backfill is no news."""
    judged = Store(run.store).connect().sql("select max(as_of) from ledger where kind = 'verdict'").fetchone()[0]
    if judged and judged > run.as_of:
        return
    latest = run.store / "derived" / "latest"
    latest.mkdir(exist_ok=True, mode=0o700)
    for name in LATEST:
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
