"""Shapes: examples as the files a trainer reads."""

import json
from collections.abc import Iterator

import pyarrow as pa

from schemas.curation import Curation, LLMAnnotator
from schemas.example import Example
from schemas.row import columns
from tasks.annotator import prompt

SPLITS = ("train", "validation", "test")
DIGITS = 9
ZERO_SHOT = LLMAnnotator(name="trained", kind="llm", model="trained", prompt="zero_shot")


def messages(curation: Curation, guidelines: str, rows: list[dict]) -> Iterator[str]:
    """Yield one chat per example as a JSON line: the instructions a model annotator gets, the item, its label.

    A model trained on them can stand in the curation as an annotator with the prompt `zero_shot`, as it is.
    """
    context = tuple(sorted({key for source in curation.sources for key in source.fields.context}))
    for row in rows:
        labels = prompt.ordered(curation.labels, row["item_id"])
        system = prompt.instructions(ZERO_SHOT, labels, guidelines, context)
        shown = prompt.Example(row["item_id"], row["text"], row["context"], row["label"])
        chat = [*prompt.messages(system, [], shown), {"role": "assistant", "content": prompt.answer(row["label"])}]
        yield json.dumps({"messages": chat}, ensure_ascii=False) + "\n"


def table(rows: list[dict]) -> pa.Table:
    """Return examples as an Arrow table in the columns of schemas.example, floats rounded to 9 digits."""
    return pa.Table.from_pylist([_rounded(row) for row in rows], schema=columns(Example))


def _rounded(value):
    match value:
        case float():
            return round(value, DIGITS)
        case dict():
            return {key: _rounded(inner) for key, inner in value.items()}
        case list():
            return [_rounded(inner) for inner in value]
    return value
