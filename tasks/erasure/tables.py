"""Erasure in the store: rows that hold a text go, and so do the files they stood in."""

from collections.abc import Iterator
from datetime import UTC, datetime

import polars as pl
import pyarrow as pa

from schemas.run import Run
from tasks.erasure.facts import ERASED
from tasks.erasure.plan import Plan
from tasks.erasure.raw import values
from tasks.erasure.sought import forms, marks
from tasks.store import Ids, Store
from tasks.store.removal import found, purge, rewrite

TEXTS = ("document", "item", "annotation", "reply", "quarantine")  # tables of texts: none of their old files may stay


def wanted(plan: Plan) -> dict[str, dict[str, list[str]]]:
    """Return, for each table that loses rows, which: those of an item, or of a document.

    What only names an item (what was drawn, handed out, asked by batch, shown as an example) stays: facts rest on it.
    """
    items, documents = plan.gone.items, plan.gone.documents
    return {
        "annotation": {"item_id": items, "document_id": documents},
        "reply": {"item_id": items},
        "unanswered": {"item_id": items},
        "neighbour": {"item_id": items, "near_item_id": items},
        "split": {"item_id": items},
        "document": {"document_id": documents},
        "item": {"item_id": items},
    }


def counted(run: Run, plan: Plan) -> dict[str, int]:
    """Return how many rows of each table are to go; of `quarantine`, to be blanked."""
    store = Store(run.store)
    counts = {table: found(store, table, rows) for table, rows in wanted(plan).items()}
    return counts | {"quarantine": len(_quarantined(run, plan))}


def remove(run: Run, plan: Plan) -> None:
    """Take the rows out of every table; those of documents and items last, as the others are found by them."""
    store = Store(run.store)
    _account(run, plan)
    rewrite(store, "quarantine", {"quarantine_id": _quarantined(run, plan)}, _blank)
    for table, rows in wanted(plan).items():
        rewrite(store, table, rows)
    rewrite(store, "item", {"item_id": plan.gone.ungrouped}, _ungrouped)
    for table in TEXTS:
        purge(store, table)


def _account(run: Run, plan: Plan) -> None:
    """Keep the books: each document that goes is counted as set aside, and what its replies cost stays spent."""
    store, ids = Store(run.store), Ids(run.curation.name)
    connection = store.connect()
    connection.execute("create temp table gone as select unnest($ids)::varchar as id", {"ids": plan.gone.documents})
    rows = connection.sql("select path, position, available_on from document semi join gone on id = document_id")
    stamp = {"reason": ERASED, "detail": None, "raw": "", "sha256": "", "noun": "document",
             "recorded_at": datetime.now(UTC), "run_id": plan.erasure_id}  # fmt: skip
    store.merge("quarantine", [
        {"quarantine_id": ids.id("quarantine", "document", path, position, "", ERASED), "path": path,
         "position": position, "available_on": day} | stamp
        for path, position, day in rows.fetchall()
    ])  # fmt: skip
    connection.execute("create temp table silent as select unnest($ids)::varchar as id", {"ids": plan.gone.items})
    columns = ("call_id", "annotator_id", "item_id", "model", "usd_at_most", "event_at", "run_id")
    paid = connection.sql("""
        select reply_id, annotator_id, item_id, model, usd, event_at, run_id
        from reply semi join silent on id = item_id where usd > 0
    """)
    store.merge("lost_call", [dict(zip(columns, row, strict=True)) | {"kind": ERASED} for row in paid.fetchall()])


def _ungrouped(rows: pa.RecordBatch) -> pa.RecordBatch:
    return _set(rows, "group_id", None)


def _blank(rows: pa.RecordBatch) -> pa.RecordBatch:
    return _set(_set(rows, "raw", ""), "sha256", "")


def _set(rows: pa.RecordBatch, column: str, value: str | None) -> pa.RecordBatch:
    field = rows.schema.field(column)
    values = pa.array([value] * rows.num_rows, field.type)
    return rows.set_column(rows.schema.get_field_index(column), field, values)


def _quarantined(run: Run, plan: Plan) -> list[str]:
    """Return the quarantined records that hold one of the texts, or name one of the documents or the group."""
    names = {*plan.gone.source_ids, plan.gone.group} - {None}
    texts = [form for text in plan.sought.anywhere for form in forms(text)] + marks(plan.sought.whole)
    if not texts and not names:
        return []
    rows = Store(run.store).connect().sql("select quarantine_id, raw from quarantine where raw <> ''")
    return [one for batch in rows.fetch_record_batch(2_000) for one in _held(batch, texts, names)]


def _held(batch: pa.RecordBatch, texts: list[str], names: set[str]) -> Iterator[str]:
    frame = pl.from_arrow(batch)
    written = [form for name in names for form in forms(name)]
    for quarantine_id, raw in frame.filter(frame["raw"].str.contains_any([*texts, *written])).iter_rows():
        if any(text in raw for text in texts) or names & set(values(raw)):
            yield quarantine_id
