"""What the store knows: the items people settled, beside what the model said of them, and those of the current release."""

from pathlib import Path
from typing import Any

import duckdb

from schemas.curation import Curation
from schemas.errors import RequestError
from tasks.monitor.scored import Scored, scored
from tasks.sql import relation
from tasks.table_file import literal


def monitored(curation: Curation) -> str:
    """Return the name of the model whose labels are watched: the accepted one, else the last that waits for no other."""
    if not curation.models:
        raise RequestError("the curation has no model: there is nothing to hold new traffic against")
    model = curation.accepted_model or ([one for one in curation.models if not one.only_where] or curation.models)[-1]
    return model.name


def labelled(connection: duckdb.DuckDBPyConnection, model: str, consensus: Path) -> list[dict[str, Any]]:
    """Return one row per item the model labelled: its label and score, what people settled, slice, group and text."""
    if not consensus.exists():
        raise RequestError("nothing has been settled yet: run the line once, then monitor")
    rows = f"select item_id, label from read_parquet({literal(str(consensus))}) where status = 'human'"
    connection.execute(f"create view settled as {rows}")
    connection.execute("set variable monitored = $name", {"name": model})
    return relation(connection, "monitored_item").pl().to_dicts()


def reference(rows: list[dict[str, Any]]) -> Scored:
    """Return the items people settled that were not chosen for what the model said of them; those without a score are left out."""
    chosen = [row for row in rows if row["settled"] is not None and row["score"] is not None and not row["is_chosen"]]
    return scored([_row(row) for row in chosen])


def released(rows: list[dict[str, Any]], connection: duckdb.DuckDBPyConnection, files: list[Path]) -> Scored:
    """Return what the model said of the items of a release; those it has no score for are left out."""
    names = ", ".join(literal(str(file)) for file in files)
    there = {item for (item,) in connection.sql(f"select item_id from read_parquet([{names}])").fetchall()}
    return scored([_row(row) for row in rows if row["item_id"] in there and row["score"] is not None])


def _row(row: dict[str, Any]) -> dict[str, Any]:
    is_correct = None if row["settled"] is None else float(row["settled"] == row["label"])
    return row | {"correct": is_correct, "unit": row["group_id"] or row["text"] or row["item_id"]}
