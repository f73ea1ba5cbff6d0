"""A table, one row an item: what a spreadsheet or any tool of one's own reads and writes."""

import json
from typing import Any

from schemas.curation import LabelFields, Labels
from tasks.handout.queue import Entry
from tasks.source import Rejected

Row = dict[str, Any]


def written(entries: list[Entry], labels: Labels) -> tuple[list[str], list[Row]]:
    """Return the columns and the rows; an item's context stands in columns of its own, its answer is empty."""
    context = dict.fromkeys(field for entry in entries for field in entry.beside)
    shown = ["suggestion"] if any(entry.suggestion is not None for entry in entries) else []
    columns = ["queue_id", "item_id", *context, "text", *shown, "labels", "label", "annotator_id", "comment"]
    offered = " | ".join(labels.shown)
    return columns, [
        dict.fromkeys(columns)
        | {field: _text(value) for field, value in entry.beside.items()}
        | {"queue_id": entry.queue_id, "item_id": entry.item_id, "text": entry.text, "labels": offered}
        | dict.fromkeys(shown, entry.suggestion)
        for entry in entries
    ]


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def answers(fields: Row, people: tuple[LabelFields, ...]) -> list[Row]:
    """Return the one answer of a row; its columns are called as in the queue's file, or as in `people`'s label tables.

    The tables that Label Studio exports name the annotator and the time in their own way.
    """
    is_exported = "annotation_id" in fields and "lead_time" in fields
    time = ["time", "submitted_at", *(["updated_at"] if is_exported else [])]
    label = _first(fields, ["label", *(names.label for names in people)])
    if label is None:
        raise Rejected("missing_field", "`label`")
    who = _first(fields, ["annotator_id", *(names.annotator for names in people), *(["annotator"] * is_exported)])
    item = _first(fields, ["item_id", *(names.item for names in people)])
    when = _first(fields, [*(names.time for names in people if names.time), *time])
    return [{
        "queue_id": fields.get("queue_id"), "item_id": fields.get(item), "annotator_id": fields.get(who),
        "label": fields[label], "time": fields.get(when),
    }]  # fmt: skip


def _first(fields: Row, names: list[str]) -> str | None:
    return next((name for name in names if name in fields), None)
