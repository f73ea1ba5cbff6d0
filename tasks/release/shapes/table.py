"""The table of examples with their provenance, in Parquet: the same bytes on any machine, however the rows come."""

from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.example import Example
from schemas.row import columns

DIGITS = 9
ROWS_PER_GROUP = 16_384
SCHEMA = columns(Example)


class TableFile:
    """One Parquet file in row groups of a fixed size, the last one smaller."""

    def __init__(self, file: BinaryIO) -> None:
        self._writer = pq.ParquetWriter(file, SCHEMA, compression="zstd")
        self._waiting = SCHEMA.empty_table()

    def write(self, rows: pa.Table) -> None:
        """Write as many row groups as are full; the other rows wait."""
        self._waiting = pa.concat_tables([self._waiting, rows])
        while len(self._waiting) >= ROWS_PER_GROUP:
            self._write_group()

    def close(self) -> None:
        """Write what waits, and the file's end."""
        if len(self._waiting):
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        # In one piece: where pages end depends on where arrays do.
        self._writer.write_table(self._waiting.slice(0, ROWS_PER_GROUP).combine_chunks())
        self._waiting = self._waiting.slice(ROWS_PER_GROUP)


def rounded(rows: pa.Table) -> pa.Table:
    """Return examples in the columns of schemas.example, floats rounded to 9 digits."""
    given = rows.select(SCHEMA.names).combine_chunks()
    arrays = [_rounded(given[name].chunk(0)) if len(given) else given[name] for name in SCHEMA.names]
    return pa.table(arrays, names=SCHEMA.names).cast(SCHEMA)


def _rounded(values: pa.Array) -> pa.Array:
    if pa.types.is_floating(values.type):
        return pc.round(values, DIGITS)
    if pa.types.is_struct(values.type):
        inner = [_rounded(field) for field in values.flatten()]
        return pa.StructArray.from_arrays(inner, fields=list(values.type), mask=values.is_null())
    if pa.types.is_list(values.type):
        ends = pc.cumulative_sum(pc.fill_null(pc.list_value_length(values), 0))
        starts = pa.concat_arrays([pa.array([0], ends.type), ends])
        return pa.ListArray.from_arrays(starts, _rounded(values.flatten()), type=values.type, mask=values.is_null())
    return values
