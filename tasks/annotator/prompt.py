"""An item becomes the messages and the answer's schema that a chat model is asked with."""

import json
from base64 import b32encode
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import Any

from schemas.curation import Labels, LLMAnnotator

_FOLDER = Path(__file__).parent / "prompts"
VERSIONS = {"zero_shot": "zero_shot.v2", "few_shot": "few_shot.v2"}
COMPARING = {"zero_shot": "compare_zero_shot.v1", "few_shot": "compare_few_shot.v1"}
_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")
_encoded = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True)
class Example:
    """An item a model is shown: its text, its context, and its label where people have settled it.

    Of a comparison, the answers to the text by the places they are shown in.
    """

    item_id: str
    text: str
    context: str
    label: str | None = None
    answers: dict[str, str] = field(default_factory=dict)


def version(prompt: str, kind: str = "choice") -> str:
    """Return the current version of a prompt for labels of a kind."""
    return (COMPARING if kind == "preference" else VERSIONS)[prompt]


@cache
def template(version: str) -> str:
    """Return the text of a version of a prompt."""
    return (_FOLDER / f"{version}.md").read_text(encoding="utf-8")


def ordered(labels: Labels, item_id: str, sample: int = 0) -> dict[str, str]:
    """Return the labels annotators choose from, turned round by a number that the item and the sample decide.

    Over the items each label stands equally often in each place, so a model's liking for a place cancels; turning
    keeps the instructions to as many texts as there are labels, which an endpoint can remember. A scale is shown
    upwards or downwards, never cut.
    """
    names, turn = list(labels.shown), int.from_bytes(sha256(item_id.encode()).digest()) + sample
    first = turn % len(names)
    names = names[:: -1 if turn % 2 else 1] if labels.kind == "rating" else names[first:] + names[:first]
    return {name: labels.shown[name] for name in names}


def instructions(
    annotator: LLMAnnotator, labels: dict[str, str], guidelines: str, context: tuple[str, ...], kind: str = "choice"
) -> str:
    """Return the system message: what to do, the guidelines, the labels with their meaning. Holds no item.

    What is the same for every item comes first, the labels in their order of the item last.
    """
    wanted = {"[reason] ": annotator.reason, "[confidence] ": annotator.stated_confidence}
    lines = template(version(annotator.prompt, kind)).splitlines()
    for mark, is_wanted in wanted.items():
        lines = [line.removeprefix(mark) for line in lines if is_wanted or not line.startswith(mark)]
    # One pass: what a value holds is not looked at again, be it `$labels`.
    return Template("\n".join(lines)).substitute(
        context=", given " + ", ".join(f"`{key}`" for key in context) if context else "",
        labels="\n".join(f"- {label}: {meaning}" for label, meaning in labels.items()),
        guidelines=guidelines.strip(),
    )


def messages(system: str, shots: list[Example], item: Example) -> list[dict[str, str]]:
    """Return the chat: the instructions, each shot as a turn that was answered, the item last."""
    turns = [{"role": "system", "content": system}]
    for shot in shots:
        turns += [_asked(shot), {"role": "assistant", "content": answer(shot.label)}]
    return [*turns, _asked(item)]


def mark(item_id: str) -> str:
    """Return the 12 letters that mark where an item begins and ends, 60 bits of a digest of its id.

    The id is itself a keyed hash of the text, so whoever writes a text cannot write its mark into it: any change to
    the text is another mark. And it depends on the item alone, so the same item is the same prompt in every run.
    """
    return b32encode(sha256(f"mark {item_id}".encode()).digest()[:8])[:12].translate(_CROCKFORD).decode()


def _asked(item: Example) -> dict[str, str]:
    content = _encoded(json.loads(item.context) | {"text": item.text} | item.answers)
    sign = mark(item.item_id)
    return {"role": "user", "content": f"<item {sign}>\n{content}\n</item {sign}>"}


def answer(label: str) -> str:
    """Return the answer that gives a label."""
    return json.dumps({"label": label}, ensure_ascii=False)


def answer_format(annotator: LLMAnnotator, labels: list[str]) -> dict[str, Any]:
    """Return the structured-output schema: an object with one of the labels, and what else the annotator is to say."""
    properties: dict[str, Any] = {"reason": {"type": "string"}} if annotator.reason else {}
    properties["label"] = {"type": "string", "enum": labels}
    if annotator.stated_confidence:
        properties["confidence"] = {"type": "integer"}  # not every endpoint takes bounds
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "annotation", "strict": True, "schema": schema}}
