"""A comparison: an item's two answers, one shown first and the other second, in an order that the item decides.

Whoever compares, model or person, says first, second or tie; which of a and b that is, is known here alone. Labels of
any other kind have no places, and stay as they are.
"""

import json
from dataclasses import replace
from hashlib import sha256

from schemas.curation import PLACES, Labels
from tasks.annotator.prompt import Example
from tasks.text import canonical

KIND = "preference"
TIE = "tie"


def places(labels: Labels, item_id: str, sample: int = 0) -> dict[str, str]:
    """Return which of a and b stands first and which second; for each item the other way round in every other sample.

    An item's id is a keyed hash, so half of the items show b first and nobody chose which. A liking for a place is a
    vote for a as often as for b. tasks/sql/first_choice.sql reckons the same.
    """
    if labels.kind != KIND:
        return {}
    is_turned = (int(sha256(f"order {item_id}".encode()).hexdigest()[0], 16) + sample) % 2
    return dict(zip(PLACES.values(), reversed(PLACES) if is_turned else PLACES, strict=True))


def posed(labels: Labels, item: Example, sample: int = 0) -> Example:
    """Return an item as it is shown: its answers in their places, out of its context, and its label said of them."""
    found = places(labels, item.item_id, sample)
    if not found:
        return item
    context = json.loads(item.context)
    answers = {place: context.get(answer, "") for place, answer in found.items()}
    beside = {key: value for key, value in context.items() if key not in PLACES}
    place_of = {answer: place for place, answer in found.items()}
    return replace(item, context=canonical(beside), label=place_of.get(item.label, item.label), answers=answers)


def offered(labels: Labels, item_id: str) -> list[str]:
    """Return the labels in the order the item's first sample shows what they stand for."""
    found = places(labels, item_id)
    return [found.get(label, label) for label in labels.shown]
