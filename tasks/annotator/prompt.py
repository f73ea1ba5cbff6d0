"""An item becomes the messages and the answer's schema that a chat model is asked with."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

_FOLDER = Path(__file__).parent / "prompts"
VERSIONS = {"zero_shot": "zero_shot.v1", "few_shot": "few_shot.v1"}


@dataclass(frozen=True)
class Example:
    """An item a model is shown: its text, its context, and its label where people have settled it."""

    item_id: str
    text: str
    context: str
    label: str | None = None


@cache
def template(prompt: str) -> str:
    """Return the text of a prompt's current version."""
    return (_FOLDER / f"{VERSIONS[prompt]}.md").read_text(encoding="utf-8")


def instructions(prompt: str, labels: dict[str, str], guidelines: str, context: tuple[str, ...]) -> str:
    """Return the system message: what to do, the labels with their meaning, the guidelines. Holds no item."""
    beside = ", given " + ", ".join(f"`{key}`" for key in context) if context else ""
    return Template(template(prompt)).substitute(
        context=beside,
        labels="\n".join(f"- {label}: {meaning}" for label, meaning in labels.items()),
        guidelines=guidelines.strip(),
    )


def messages(system: str, shots: list[Example], item: Example) -> list[dict[str, str]]:
    """Return the chat: the instructions, each shot as a turn that was answered, the item last."""
    turns = [{"role": "system", "content": system}]
    for shot in shots:
        turns += [_asked(shot), {"role": "assistant", "content": answer(shot.label)}]
    return [*turns, _asked(item)]


def _asked(item: Example) -> dict[str, str]:
    content = json.loads(item.context) | {"text": item.text}
    return {"role": "user", "content": json.dumps(content, ensure_ascii=False)}


def answer(label: str) -> str:
    """Return the answer that gives a label."""
    return json.dumps({"label": label}, ensure_ascii=False)


def answer_format(labels: list[str]) -> dict[str, Any]:
    """Return the structured-output schema: an object with one of the labels."""
    schema = {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": labels}},
        "required": ["label"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "annotation", "strict": True, "schema": schema}}
