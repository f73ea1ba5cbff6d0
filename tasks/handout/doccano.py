"""doccano: JSON lines for its text classification, and those it exports, which name no annotator."""

from collections.abc import Iterator
from typing import Any

from schemas.curation import Labels
from tasks.handout.queue import Entry

Row = dict[str, Any]
SUFFIX = ".jsonl"


def written(entries: list[Entry], labels: Labels) -> Iterator[Row]:
    """Yield one document per item; the model's label, where it is shown, is set beforehand."""
    for entry in entries:
        shown = [entry.suggestion] if entry.suggestion is not None else []
        ours = {"queue_id": entry.queue_id, "item_id": entry.item_id, "text": entry.text, "label": shown}
        yield entry.beside | ours


def is_ours(fields: Row) -> bool:
    """Return whether a record is an exported document: its label is a list."""
    return isinstance(fields.get("label", fields.get("labels")), list)


def answers(fields: Row) -> list[Row]:
    """Return the answer of a document."""
    chosen = fields.get("label", fields.get("labels"))
    label = chosen[0] if isinstance(chosen, list) and len(chosen) == 1 else chosen or None
    return [{
        "queue_id": fields.get("queue_id"), "item_id": fields.get("item_id"), "annotator_id": None, "label": label,
        "time": None,
    }]  # fmt: skip
