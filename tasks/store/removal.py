"""Rows taken out of a table for good: the one thing that facts that only grow must still allow."""

import time
import uuid
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from tasks.store.tables import MAX_ATTEMPTS, Store

Change = Callable[[pa.RecordBatch], pa.RecordBatch]
Wanted = Mapping[str, Collection[str]]
ROWS = 10_000  # in memory at once


def found(store: Store, table: str, wanted: Wanted) -> int:
    """Return how many rows hold, in one of the columns, one of the values wanted there."""
    delta = _opened(store, table)
    return sum(_hits(store.folder / table / name, wanted) for name in _names(delta)) if delta else 0


def rewrite(store: Store, table: str, wanted: Wanted, change: Change | None = None) -> int:
    """Return how many rows held one of the values; they are gone, or are what `change` made of them.

    Only the files that hold such a row are written anew; the old ones go with `purge`.
    """
    if not any(wanted.values()):
        return 0
    for _ in range(MAX_ATTEMPTS):
        try:
            return _rewritten(store, table, wanted, change)
        except CommitFailedError:  # another writer came first: look again at what is there
            time.sleep(0.05)
    return _rewritten(store, table, wanted, change)


def _rewritten(store: Store, table: str, wanted: Wanted, change: Change | None) -> int:
    delta, folder = _opened(store, table), store.folder / table
    counts = {name: hits for name in (_names(delta) if delta else []) if (hits := _hits(folder / name, wanted))}
    if not counts:
        return 0
    now, written, actions = time.time_ns() // 1_000_000, [], []
    try:
        for name in counts:
            new, rows = _copied(folder, name, wanted, change)
            written.append(new)
            stats = f'{{"numRecords":{rows}}}'
            actions += [RemoveAction(name, True, now), AddAction(new.name, new.stat().st_size, {}, now, True, stats)]
        only_next = CommitProperties(max_commit_retries=0)
        delta.create_write_transaction(actions, "append", delta.schema(), commit_properties=only_next)
    except BaseException:  # whatever stops it, no file stays that no table knows of
        for file in written:
            file.unlink(missing_ok=True)
        raise
    return sum(counts.values())


def _copied(folder: Path, name: str, wanted: Wanted, change: Change | None) -> tuple[Path, int]:
    """Return a new file with the rows of one that may stay, and their number; a few rows are in memory at once."""
    old, new, rows = pq.ParquetFile(folder / name), folder / f"{uuid.uuid4()}.parquet", 0
    try:
        new.touch(mode=0o600)
        with pq.ParquetWriter(new, old.schema_arrow, compression="zstd", write_statistics=False) as writer:
            for batch in old.iter_batches(batch_size=ROWS):
                mask = _mask(batch, wanted)
                kept = batch.filter(pc.invert(mask))
                changed = [change(batch.filter(mask))] if change and mask.true_count else []
                writer.write_table(pa.Table.from_batches([kept, *changed], schema=old.schema_arrow))
                rows += kept.num_rows + sum(part.num_rows for part in changed)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    return new, rows


def purge(store: Store, table: str) -> None:
    """Remove every file of a table that its present version does not name: of earlier versions, and of killed writers.

    To be called only while nobody writes to the table: a file is written before the table names it.
    """
    if delta := _opened(store, table):
        delta.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False, full=True)


def _opened(store: Store, table: str) -> DeltaTable | None:
    try:
        return DeltaTable(str(store.folder / table))
    except TableNotFoundError:
        return None


def _names(delta: DeltaTable) -> list[str]:
    return sorted(delta.get_add_actions().column("path").to_pylist())


def _hits(file: Path, wanted: Wanted) -> int:
    """Return how many rows of a file hold a value wanted; only those columns are read."""
    parquet = pq.ParquetFile(file)
    columns = [column for column in wanted if column in parquet.schema_arrow.names]
    return sum(_mask(batch, wanted).true_count for batch in parquet.iter_batches(columns=columns)) if columns else 0


def _mask(batch: pa.RecordBatch, wanted: Wanted) -> pa.BooleanArray:
    """Return, for each row, whether one of the columns holds one of the values wanted there."""
    mask = pa.array([False]).take(pa.array([0] * batch.num_rows, pa.int32()))
    for column, values in wanted.items():
        if column in batch.schema.names and values:
            values = pa.array(sorted(values), batch.schema.field(column).type)
            mask = pc.or_(mask, pc.is_in(batch[column], value_set=values))
    return mask
