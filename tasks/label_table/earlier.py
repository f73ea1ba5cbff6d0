"""An earlier consensus, and labels that are known, as arrays beside the votes of now."""

from pathlib import Path

import duckdb
import numpy as np

from schemas.errors import RequestError
from tasks.label_table.cells import shares, text
from tasks.label_table.columns import shown
from tasks.label_table.files import reading, table
from tasks.sql import relation

COLUMNS = ("item_id", "posterior")


def earlier(connection: duckdb.DuckDBPyConnection, path: str | Path) -> np.ndarray:
    """Return items × labels: the posterior a file has of each item of `item_code`; NaN for items it does not have."""
    path = Path(path)
    with reading(path):
        source = table(connection, path, list(COLUMNS), name="earlier_line")
        if absent := [name for name in COLUMNS if name not in source.types]:
            raise RequestError(
                f"{path.name} has no column {' and no column '.join(absent)}; it has: {shown(list(source.types))}. "
                "--start is a file that `assay aggregate` wrote"
            )
        item, posterior = (source.cells[name] for name in COLUMNS)
        probabilities, fault = shares(posterior, source.types["posterior"])
        if bad := source.rows.aggregate(f"count(*) filter ({fault})").fetchone()[0]:
            raise RequestError(f"{path.name}: {bad:,} rows of the column posterior hold no probabilities")
        name = text(item)
        if source.form == "csv":  # where a name that a spreadsheet would take for a formula has an apostrophe before it
            name = rf"regexp_replace({name}, '^''([-=+@\t\r])', '\1')"
        source.rows.project(f"{name} as item_id, {probabilities} as posterior").create_view("earlier", replace=True)
        found = relation(connection, "earlier_code").fetchnumpy()
    if not len(found["item"]):
        raise RequestError(
            f"{path.name} knows none of the items, or none of the labels: --start is an earlier result of the same table"
        )
    matrix = np.zeros((len(connection.table("item_code")), len(connection.table("label_code"))))
    matrix[found["item"], found["label"]] = found["probability"]
    totals = matrix.sum(axis=1, keepdims=True)
    return np.divide(matrix, totals, out=np.full_like(matrix, np.nan), where=totals > 0)


def gold(connection: duckdb.DuckDBPyConnection) -> np.ndarray:
    """Return the place of each item's known label among the labels, or -1."""
    return relation(connection, "gold_code").fetchnumpy()["code"]
