"""A table of a model's labels, some of them audited by people, as arrays; and which of its labels are accepted."""

from dataclasses import dataclass, fields
from pathlib import Path

import duckdb
import numpy as np

from schemas.errors import RequestError
from tasks.certificate import Sample
from tasks.label_table.cells import is_blank, number_text, text
from tasks.label_table.columns import nearest, shown
from tasks.label_table.files import Table, reading, table
from tasks.sql import relation
from tasks.table_file import column, relation_of, write

NO_SLICE = "(none)"


@dataclass(frozen=True)
class AuditColumns:
    """Names of the columns of a table with audits."""

    item: str = "item_id"
    """What was labelled, once each."""
    label: str = "label"
    """What the model says."""
    score: str = "confidence"
    """How sure it is, 0–1."""
    audited: str = "audited_label"
    """What people say; empty where nobody was asked."""
    drawn: str = "drawn"
    """Whether the item was drawn for the audit; where there is no such column, those that were answered were."""
    slice: str = ""
    """What part of the data the item lies in."""

    def found(self, path: Path, there: list[str]) -> dict[str, str]:
        """Return the roles of this table with their columns; raise RequestError where one is not there."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.drawn == USUAL.drawn and self.drawn not in there:
            del named["drawn"]
        named = {role: name for role, name in named.items() if name or role not in ("drawn", "slice")}
        if absent := {role: name for role, name in named.items() if name not in there}:
            near = [f"--{role} {one}" for role, name in absent.items() if (one := nearest(name, there))]
            said = f"{path.name} has no column {' and no column '.join(absent.values())}; it has: {shown(there)}."
            raise RequestError(said + (f" Did you mean {' '.join(near)}?" if near else ""))
        return named


USUAL = AuditColumns()


@dataclass(frozen=True)
class Audited:
    """Items in the order of their ids."""

    sample: Sample
    slice: np.ndarray
    """Place of an item's slice among the names."""
    names: list[str]
    """The slices, sorted."""
    undrawn: int
    """Items that people labelled though they were not drawn; such labels are no part of the audit."""
    is_assumed: bool
    """Whether no column says who was drawn, so that all who were answered are taken as drawn."""

    def samples(self) -> dict[str, Sample]:
        """Return the items of each slice."""
        return {
            name: Sample(*(getattr(self.sample, one.name)[self.slice == place] for one in fields(Sample)))
            for place, name in enumerate(self.names)
        }


def read(connection: duckdb.DuckDBPyConnection, path: Path, columns: AuditColumns = USUAL) -> Audited:
    """Return the items of a file; make the relation `audit_row`. Raise RequestError for what is no such table."""
    with reading(path):
        wanted = [name for field in fields(columns) if (name := getattr(columns, field.name))]
        source = table(connection, path, wanted)
        found = columns.found(path, list(source.types))
        source.rows.project(_cells(source, found)).create("audit_row")
        _refuse(connection, path, found)
        rows = relation(connection, "audit_item").fetchnumpy()
        names = connection.table("audit_row").project("slice").distinct().order("slice").fetchall()
    drawn = rows["is_drawn"].astype(bool)
    place = np.where(drawn, np.cumsum(drawn), 0)
    sample = Sample(
        np.asarray(rows["score"], dtype=float), place, rows["is_wrong"].astype(bool), rows["is_answered"].astype(bool)
    )
    undrawn = int(rows["is_undrawn"].sum())
    return Audited(sample, rows["slice"], [name for (name,) in names], undrawn, is_assumed="drawn" not in found)


def write_status(connection: duckdb.DuckDBPyConnection, thresholds: dict[str, float | None], out: Path) -> None:
    """Write one row per item with its status: accepted, or for a person; thresholds are of slices."""
    rows = [{"slice": name, "threshold": threshold} for name, threshold in thresholds.items()]
    relation_of(connection, rows, {"slice": "VARCHAR", "threshold": "DOUBLE"}).create_view("audit_threshold")
    write(connection, relation(connection, "audit_status"), out)


def _cells(source: Table, found: dict[str, str]) -> str:
    """Return the columns of `audit_row` as SQL; blank text is empty."""
    cell = {role: source.cells[name] for role, name in found.items()}
    said = {role: _filled(cell[role], source.types[found[role]]) for role in ("label", "audited")}
    drawn = f"{said['audited']} <> ''"
    if "drawn" in cell:
        drawn = f"if({is_blank(cell['drawn'])}, false, try_cast({text(cell['drawn'])} as boolean))"
    columns = {
        "item_id": f"if({is_blank(cell['item'])}, '', {text(cell['item'])})",
        "label": said["label"],
        "score": f"try_cast({text(cell['score'])} as double)",
        "audited_label": said["audited"],
        "is_drawn": drawn,
        "slice": f"if({is_blank(cell['slice'])}, '{NO_SLICE}', {text(cell['slice'])})" if "slice" in cell else "''",
    }
    return ", ".join(f"{sql} as {column(name)}" for name, sql in columns.items())


def _filled(cell: str, type: str) -> str:
    return f"if({is_blank(cell)}, '', {number_text(cell, type, 'choice')})"


def _refuse(connection: duckdb.DuckDBPyConnection, path: Path, found: dict[str, str]) -> None:
    rows, nameless, repeated, scoreless, unclear = relation(connection, "audit_fault").fetchone()
    faults = [
        (not rows, "there is no row in it"),
        (nameless, f"{nameless:,} rows have nothing in the column {found['item']}"),
        (repeated, f"{repeated:,} rows repeat an item of the column {found['item']}: one row an item is expected"),
        (scoreless, f"in {scoreless:,} rows the column {found['score']} holds no number from 0 to 1 (--score)"),
        (unclear, f"in {unclear:,} rows the column {found.get('drawn')} says neither true nor false (--drawn)"),
    ]
    for is_there, said in faults:
        if is_there:
            raise RequestError(f"{path.name}: {said}")
