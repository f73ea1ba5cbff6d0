"""Label Studio: its JSON import, the labelling interface for it, and its JSON export."""

from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import quoteattr

from schemas.curation import PLACES, Labels
from tasks.handout.queue import Entry
from tasks.source import Rejected

Row = dict[str, Any]
SUFFIX = ".json"
CONTROL, OBJECT = "label", "text"


def written(entries: list[Entry], labels: Labels) -> Iterator[Row]:
    """Yield one task per item; the model's label, where it is shown, is a prediction."""
    for entry in entries:
        task: Row = {"data": entry.beside | {"queue_id": entry.queue_id, "item_id": entry.item_id, "text": entry.text}}
        if entry.suggestion is not None:
            task["predictions"] = [{"model_version": "suggestion", "result": [_choice(entry.suggestion)]}]
        yield task


def _choice(label: str) -> Row:
    return {
        "id": "suggestion", "from_name": CONTROL, "to_name": OBJECT, "type": "choices", "value": {"choices": [label]},
    }  # fmt: skip


def interface(entries: list[Entry], labels: Labels) -> str:
    """Return the XML of the labelling interface: context, text, the answers to compare, and one choice of the labels."""
    answers = [place for place in PLACES.values() if labels.kind == "preference"]
    fields = dict.fromkeys(field for entry in entries for field in entry.beside if field not in answers)
    compared = "".join(f'  <Header value="{one}"/>\n  <Text name="{one}" value="${one}"/>\n' for one in answers)
    shown = "".join(f"  <Header value={quoteattr(f'{field}: ${field}')}/>\n" for field in fields)
    choices = "".join(
        f"    <Choice value={quoteattr(label)} hint={quoteattr(meaning)}/>\n" for label, meaning in labels.shown.items()
    )
    return (
        f'<View>\n{shown}  <Text name="{OBJECT}" value="$text"/>\n'
        f'{compared}  <Choices name="{CONTROL}" toName="{OBJECT}" choice="single" required="true">\n{choices}  </Choices>\n</View>\n'
    )


def is_ours(fields: Row) -> bool:
    """Return whether a record is a task of an export."""
    return isinstance(fields.get("data"), dict) and any(key in fields for key in ("annotations", "total_annotations"))


def answers(fields: Row) -> list[Row]:
    """Return one answer per annotation of a task; a cancelled one, and one without a choice, has no label."""
    data, given = fields.get("data"), fields.get("annotations") or []
    if not isinstance(data, dict) or not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise Rejected("bad_type", "a task with `data` and a list of `annotations` expected")
    return [
        {
            "queue_id": data.get("queue_id"), "item_id": data.get("item_id"), "annotator_id": _person(one),
            "label": None if one.get("was_cancelled") else _label(_results(one)),
            "time": one.get("updated_at") or one.get("created_at"), "has_seen_suggestion": _has_seen(one),
        }
        for one in given
    ]  # fmt: skip


def _results(annotation: Row) -> list[Row]:
    found = annotation.get("result") or []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _label(results: list[Row]) -> Any:
    """Return the choice, or the stars of a rating, None for an empty result; what is not one of them is no label."""
    chosen = []
    for result in [one for one in results if one.get("from_name") == CONTROL] or results:
        value = result.get("value")
        if result.get("type") == "choices" and isinstance(value, dict):
            choices = value.get("choices")
            chosen += choices if isinstance(choices, list) else [choices]
        if result.get("type") == "rating" and isinstance(value, dict):
            chosen.append(value.get("rating"))
    return chosen[0] if len(chosen) == 1 else chosen if results else None


def _person(annotation: Row) -> Any:
    """Return who gave it: exports name a number, or an object that holds it."""
    who = annotation.get("completed_by")
    return who.get("id") if isinstance(who, dict) else who


def _has_seen(annotation: Row) -> bool:
    """Return whether it was made out of a prediction."""
    if annotation.get("parent_prediction") is not None:
        return True
    return any(str(result.get("origin")).startswith("prediction") for result in _results(annotation))
