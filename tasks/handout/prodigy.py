"""Prodigy: tasks for its `choice` interface, and what it saves of them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from schemas.curation import Labels
from tasks.handout.queue import Entry
from tasks.source import Rejected

Row = dict[str, Any]
SUFFIX = ".jsonl"


def written(entries: list[Entry], labels: Labels) -> Iterator[Row]:
    """Yield one task per item; the context is its `meta`, and the model's label is chosen beforehand.

    Of a comparison the options are the answers themselves.
    """
    for entry in entries:
        answers = entry.context if labels.kind == "preference" else {}
        options = [{"id": label, "text": answers.get(label) or label} for label in labels.shown]
        shown = {"accept": [entry.suggestion]} if entry.suggestion is not None else {}
        yield {
            "text": entry.text, "meta": entry.context, "options": options, "queue_id": entry.queue_id,
            "item_id": entry.item_id,
        } | shown  # fmt: skip


def is_ours(fields: Row) -> bool:
    """Return whether a record is a saved task."""
    return fields.get("answer") in ("accept", "reject", "ignore")


def answers(fields: Row) -> list[Row]:
    """Return the answer of a task; one ignored has no label, nor has one rejected, which is a vote for no other."""
    who = fields.get("_annotator_id") or fields.get("_session_id")
    return [{
        "queue_id": fields.get("queue_id"), "item_id": fields.get("item_id"), "annotator_id": who,
        "label": _label(fields) if fields.get("answer") == "accept" else None, "time": _time(fields.get("_timestamp")),
    }]  # fmt: skip


def _label(fields: Row) -> Any:
    if "accept" not in fields:
        return fields.get("label", [])  # of the binary interface; of another one it is no label
    chosen = fields["accept"]
    return chosen[0] if isinstance(chosen, list) and len(chosen) == 1 else chosen or None


def _time(seconds: Any) -> str | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (TypeError, ValueError, OverflowError, OSError):
        raise Rejected("bad_timestamp", "`_timestamp`: seconds since 1970 expected") from None
