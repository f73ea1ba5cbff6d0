"""What every shape starts from: an example as a model annotator would be asked for it, and what it should answer."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from schemas.curation import Curation, LLMAnnotator
from tasks.annotator import comparison, prompt

ZERO_SHOT = LLMAnnotator(name="trained", kind="llm", model="trained", prompt="zero_shot")


@dataclass(frozen=True)
class Asked:
    """An example as it is asked and answered."""

    row: dict[str, Any]
    """The example, in the columns of schemas.example."""
    labels: tuple[str, ...]
    """Every label of the curation, in its order."""
    system: str
    """The instructions, with the labels in the order of the item."""
    user: str
    """The item between its marks."""
    answer: str
    """The answer that gives the example's label."""

    @cached_property
    def given(self) -> dict[str, Any]:
        """Return the example's context by name."""
        return json.loads(self.row["context"])


def asking(curation: Curation, guidelines: str) -> Callable[[dict[str, Any]], Asked]:
    """Return what turns an example into what is asked: what a model annotator with the prompt `zero_shot` would be sent.

    So a model trained on it can stand in the curation as an annotator, as it is.
    """
    every, kind = tuple(curation.labels.values), curation.labels.kind
    instructions: dict[tuple[str | None, ...], str] = {}  # one text for many items
    answer = cache(prompt.answer)

    def asked(row: dict[str, Any]) -> Asked:
        labels = prompt.ordered(curation.labels, row["item_id"])
        example = prompt.Example(row["item_id"], row["text"], row["context"], row["label"])
        item = comparison.posed(curation.labels, example)
        context = tuple(json.loads(item.context))
        key = (*labels, None, *context)
        if key not in instructions:
            instructions[key] = prompt.instructions(ZERO_SHOT, labels, guidelines, context, kind)
        system, user = prompt.messages(instructions[key], [], item)
        return Asked(row, every, system["content"], user["content"], answer(item.label))

    return asked
