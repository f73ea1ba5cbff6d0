"""A posterior as a table that can be written to a file: one row per item, made column by column."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.posterior import Posterior
from tasks.table_file import replaced, spill_folder, write, written_format

DIGITS = 12  # of every figure written
CHUNK = 100_000  # items
RATING = ("mean", "median", "sd")
ANNOTATOR = {
    "annotator_id": "VARCHAR",
    "annotations": "BIGINT",
    "accuracy": "DOUBLE",
    "accuracy_low": "DOUBLE",
    "accuracy_high": "DOUBLE",
    "confusion": "DOUBLE[][]",
}


def write_consensus(connection: duckdb.DuckDBPyConnection, found: Posterior, out: str | Path) -> None:
    """Write one row per item as csv, jsonl or parquet, whole or not at all; no label where two are equally probable."""
    if written_format(out) == "parquet":
        with replaced(Path(out)) as temporary:
            _write(found, temporary, "zstd")
        return
    # DuckDB writes text fast, and reads Parquet without importing pandas, as it would for Arrow's arrays.
    whole = spill_folder(connection) / "consensus.parquet"
    _write(found, whole, "none")
    write(connection, connection.read_parquet(str(whole)), out)


def annotator_rows(found: Posterior, has_confusion: bool = True) -> list[dict[str, Any]]:
    """Return one row per annotator, as `ANNOTATOR` names it."""
    figures = [found.accuracy, found.accuracy_low, found.accuracy_high] + (
        [found.confusion] if has_confusion and found.confusion is not None else []
    )
    columns = [found.annotator_ids.to_pylist(), found.labels_given.tolist()]
    columns += [np.round(figure, DIGITS).tolist() for figure in figures]
    return [dict(zip(ANNOTATOR, row, strict=False)) for row in zip(*columns, strict=True)]


def _write(found: Posterior, path: Path, compression: str) -> None:
    batches = _batches(found)
    first = next(batches)
    with pq.ParquetWriter(path, first.schema, compression=compression) as writer:
        writer.write_batch(first)
        for batch in batches:
            writer.write_batch(batch)


def _batches(found: Posterior) -> Iterator[pa.RecordBatch]:
    """Yield the rows, so many at once; at least one batch, which may be empty."""
    labels = _texts(found.labels)
    for first in range(0, max(len(found.item_ids), 1), CHUNK):
        part = slice(first, first + CHUNK)
        columns = {
            "item_id": found.item_ids[part],
            "label": _chosen(found.winner[part], labels),
            "posterior": _maps(np.round(found.matrix[part], DIGITS), labels),
            "entropy_nats": _numbers(np.round(found.entropy_nats[part], DIGITS), pa.float64()),
            "annotations": _numbers(found.annotations[part], pa.int32()),
            "is_tie": _flags(found.is_tie[part]),
        }
        for name in RATING:
            if (figures := getattr(found, name)) is not None:
                columns[f"posterior_{name}"] = _numbers(np.round(figures[part], DIGITS), pa.float64())
        schema = pa.schema([(name, column.type) for name, column in columns.items()])
        yield pa.RecordBatch.from_arrays(list(columns.values()), schema=schema)


# Arrow imports pandas where it is handed NumPy's arrays or Python's lists, which takes longer than all of this; a
# buffer it takes as it is.


def _numbers(values: np.ndarray, type: pa.DataType, valid: np.ndarray | None = None) -> pa.Array:
    values = np.ascontiguousarray(values, dtype=np.dtype(str(type).replace("double", "float64")))
    present = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(type, len(values), [present, pa.py_buffer(values)])


def _flags(values: np.ndarray) -> pa.Array:
    bits = np.packbits(values, bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(bits)])


def _texts(values: list[str]) -> pa.Array:
    encoded = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(values), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))])


def _chosen(places: np.ndarray, labels: pa.Array) -> pa.Array:
    """Return the labels at these places; none at -1."""
    return pa.DictionaryArray.from_arrays(_numbers(np.maximum(places, 0), pa.int32(), places >= 0), labels)


def _maps(matrix: np.ndarray, labels: pa.Array) -> pa.Array:
    """Return each row as a map of labels to probabilities."""
    items, kinds = matrix.shape
    ends = _numbers(np.arange(items + 1) * kinds, pa.int32())
    keys = _chosen(np.tile(np.arange(kinds), items), labels)
    return pa.MapArray.from_arrays(ends, keys, _numbers(matrix.reshape(-1), pa.float64()))
