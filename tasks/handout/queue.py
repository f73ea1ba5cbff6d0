"""The review queue of the latest run, and what of it was handed out to people."""

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb

from schemas.errors import RequestError
from schemas.run import Run
from tasks.annotator import comparison
from tasks.annotator.prompt import Example
from tasks.sql import query, relation
from tasks.store import Ids, Store
from tasks.table_file import literal

# What fields of the tools' files are called: a field of the context of such a name is told apart from them.
TAKEN = {
    "queue_id", "item_id", "text", "suggestion", "labels", "label", "annotator_id", "annotator", "comment", "id", "time",
    "submitted_at", "annotation_id", "lead_time", "answer", "data",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One item as people get it: nothing in it tells why the item is in the queue."""

    queue_id: str
    item_id: str
    text: str
    context: dict[str, Any]
    suggestion: str | None = None

    @property
    def beside(self) -> dict[str, Any]:
        """Return the context with names that stand for nothing else in a file."""
        return {f"context_{field}" if field in TAKEN else field: value for field, value in self.context.items()}


@dataclass(frozen=True)
class Queue:
    """The queue of one logical date."""

    as_of: date
    rows: list[dict[str, Any]]

    @property
    def has_audits(self) -> bool:
        """Return whether it holds items that were drawn for an audit."""
        return any(row["epoch_id"] is not None or row["policy"] == "audit" for row in self.rows)


def latest(run: Run) -> Queue:
    """Return the queue of the latest date that was judged; raise RequestError where there is none yet."""
    folder = run.store / "derived" / "latest"
    (as_of,) = Store(run.store).connect().sql("select max(as_of) from ledger where kind = 'verdict'").fetchone()
    if as_of is None or not (folder / "queue.parquet").exists():
        raise RequestError(f"{run.curation.name} has no review queue yet: `assay run` draws one")
    connection = Store(run.store).connect(as_of)
    for name, kept in (("queue", "queue"), ("judged", "consensus")):
        file = literal(str(folder / f"{kept}.parquet"))
        connection.execute(f"create view {name} as select * from read_parquet({file})")
    connection.execute(f"create view answered_document as {query('answered_document')}")
    return Queue(as_of, _dicts(relation(connection, "queued_item")))


def _dicts(rows: duckdb.DuckDBPyRelation) -> list[dict[str, Any]]:
    return [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()]


def hand_out(run: Run, queue: Queue, is_suggestion_shown: bool) -> list[Entry]:
    """Return the queue's entries in an order that tells nothing; that they were handed out is in the store now.

    Raise RequestError where suggestions are to be shown beside audits, whose answers count only if given without them.
    """
    if is_suggestion_shown and queue.has_audits:
        raise RequestError(
            "the queue holds audits, and an audit's answer counts only if given without sight of the model's label: "
            "leave out --show-suggestions (nobody is told which items they are, so none can be shown)"
        )
    ids, told = Ids(run.curation.name), ("policy", "epoch_id", "inclusion_probability", "seed")
    facts, entries = [], []
    for row in queue.rows:
        handout_id = ids.id("handout", queue.as_of, row["item_id"], is_suggestion_shown)
        facts.append({"handout_id": handout_id, "item_id": row["item_id"], "document_id": row["document_id"]}
                     | {key: row[key] for key in told}
                     | {"is_suggestion_shown": is_suggestion_shown, "available_on": queue.as_of,
                        "recorded_at": run.started_at})  # fmt: skip
        suggestion = row["suggestion"] if is_suggestion_shown else None
        item = comparison.posed(run.curation.labels, Example(row["item_id"], row["text"], row["context"], suggestion))
        entries.append(Entry(handout_id, item.item_id, item.text, json.loads(item.context) | item.answers, item.label))
    Store(run.store).merge("handout", facts)
    return sorted(entries, key=lambda entry: entry.queue_id)  # a keyed hash, so the order is as good as random
