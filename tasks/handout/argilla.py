"""Argilla 2: records to log with one label question called `label`, and its exported records."""

from collections.abc import Iterator
from typing import Any

from schemas.curation import Labels
from tasks.handout.queue import Entry
from tasks.source import Rejected

Row = dict[str, Any]
SUFFIX = ".json"
QUESTION = "label"


def written(entries: list[Entry], labels: Labels) -> Iterator[Row]:
    """Yield what `dataset.records.log` takes: the record's id is the entry's; the model's label is a suggestion."""
    for entry in entries:
        shown = {QUESTION: entry.suggestion} if entry.suggestion is not None else {}
        yield entry.beside | {"id": entry.queue_id, "item_id": entry.item_id, "text": entry.text} | shown


def is_ours(fields: Row) -> bool:
    """Return whether a record was exported, flattened or not."""
    return f"{QUESTION}.responses" in fields or (isinstance(fields.get("fields"), dict) and "responses" in fields)


def answers(fields: Row) -> list[Row]:
    """Return one answer per response to the question; one that was not submitted has no label."""
    metadata = fields.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise Rejected("bad_type", "`metadata`: an object expected")
    found = _flat(fields) if f"{QUESTION}.responses" in fields else _nested(fields)
    entry = {
        "queue_id": fields.get("id"), "item_id": fields.get("item_id", metadata.get("item_id")), "time": None,
        "has_seen_suggestion": _suggestion(fields) is not None,
    }  # fmt: skip
    return [entry | {"annotator_id": who, "label": label} for who, label in found]


def _flat(fields: Row) -> list[tuple[Any, Any]]:
    """Return who said what: three lists of one length."""
    values, users, statuses = (
        fields.get(f"{QUESTION}.{part}") or [] for part in ("responses", "responses.users", "responses.status")
    )
    if not all(isinstance(part, list) for part in (values, users, statuses)) or not (
        len(values) == len(users) == len(statuses)
    ):
        raise Rejected("bad_type", "responses, users and status as lists of one length expected")
    is_submitted = [status == "submitted" for status in statuses]
    return [(who, value if is_in else None) for who, value, is_in in zip(users, values, is_submitted, strict=True)]


def _nested(fields: Row) -> list[tuple[Any, Any]]:
    """Return who said what; only a completed record's responses are known to be submitted."""
    responses = fields.get("responses") or {}
    given = (responses.get(QUESTION) or []) if isinstance(responses, dict) else None
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise Rejected("bad_type", f"`responses`: a list under `{QUESTION}` expected")
    is_submitted = fields.get("status") == "completed"
    return [(one.get("user_id"), one.get("value") if is_submitted else None) for one in given]


def _suggestion(fields: Row) -> Any:
    if f"{QUESTION}.suggestion" in fields:
        return fields[f"{QUESTION}.suggestion"]
    suggestions = fields.get("suggestions")
    found = suggestions.get(QUESTION) if isinstance(suggestions, dict) else None
    return found.get("value") if isinstance(found, dict) else None
