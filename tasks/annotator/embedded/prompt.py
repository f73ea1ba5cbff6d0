"""What a chat request asks of the embedded model: which label a text has in its context, going by which examples."""

import json
import re
from typing import NamedTuple

LABELS_ONLY = (
    "the embedded model only labels: it needs a response_format of type json_schema whose schema has one property "
    "that is an enum of the labels to choose from"
)
decoder = json.JSONDecoder()


class Malformed(ValueError):
    """Raised where a request is not one the embedded model can answer; the message says what it can."""


class Turn(NamedTuple):
    """One text to label, with the context it is judged in."""

    text: str
    context: tuple[tuple[str, str], ...] = ()


class Question(NamedTuple):
    """One label to choose, and everything the request says about it."""

    property: str
    before: tuple[str, ...]  # the texts that are asked for ahead of the label, and
    after: tuple[str, ...]  # the numbers that are asked for behind it
    labels: tuple[str | int | float, ...]
    meanings: tuple[str, ...]
    examples: tuple[tuple[Turn, int], ...]  # a text, and which of the labels it has
    turn: Turn


def question(request: dict) -> Question:
    """Return what the request asks."""
    name, before, after, labels = choices(request.get("response_format"))
    system, talk = conversation(request.get("messages"))
    *shown, last = talk
    if len(shown) % 2 or last[0] != "user":
        raise Malformed("messages must be: system, then pairs of user and assistant as examples, then one user turn")
    pairs = zip(shown[::2], shown[1::2], strict=True)
    examples = tuple((turn(user), answer(reply, name, labels)) for user, reply in map(sides, pairs))
    return Question(name, before, after, labels, meanings(system, labels), examples, turn(last[1]))


def choices(response_format: object) -> tuple[str, tuple[str, ...], tuple[str, ...], tuple]:
    """Return the label's name, the names of the texts before it and of the numbers after it, and the labels."""
    try:
        asked = response_format["json_schema"]["schema"]["properties"]
        ((place, name),) = ((at, key) for at, (key, kind) in enumerate(asked.items()) if "enum" in kind)
        labels, kinds = tuple(asked[name]["enum"]), [(key, kind.get("type")) for key, kind in asked.items()]
    except (TypeError, KeyError, ValueError, AttributeError):
        raise Malformed(LABELS_ONLY) from None
    if len(set(labels)) < 2 or not all(isinstance(label, str | int | float) for label in labels):
        raise Malformed(f"{LABELS_ONLY}: two or more strings or numbers")
    before = tuple(key for key, kind in kinds[:place] if kind == "string")
    return name, before, tuple(key for key, kind in kinds[place + 1 :] if kind in ("integer", "number")), labels


def conversation(messages: object) -> tuple[str, list[tuple[str, str]]]:
    try:
        said = [(message["role"], content(message["content"])) for message in messages]
    except (TypeError, KeyError):
        raise Malformed("messages must be a list of objects with a role and a text as content") from None
    instructions = ("system", "developer")
    talk = [(role, text) for role, text in said if role not in instructions]
    if not talk:
        raise Malformed("messages must end with a user turn")
    return "\n".join(text for role, text in said if role in instructions), talk


def content(given: object) -> str:
    if isinstance(given, str):
        return given
    if any(part["type"] != "text" for part in given):
        raise Malformed("the embedded model reads text only")
    return "".join(part["text"] for part in given)


def sides(pair: tuple[tuple[str, str], tuple[str, str]]) -> tuple[str, str]:
    (asks, user), (replies, reply) = pair
    if (asks, replies) != ("user", "assistant"):
        raise Malformed("an example must be a user turn followed by an assistant turn")
    return user, reply


def turn(said: str) -> Turn:
    """Return the text and context of a user turn: the JSON object in it, else all of it is the text."""
    found = json_object(said)
    if not isinstance(found.get("text"), str):
        return Turn(said)
    return Turn(
        found["text"],
        tuple((key, phrase(value)) for key, value in found.items() if key != "text" and value is not None),
    )


def phrase(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def answer(reply: str, name: str, labels: tuple) -> int:
    given = json_object(reply).get(name, reply.strip())
    if given not in labels:
        raise Malformed(f"an example's answer must be one of {', '.join(map(str, labels))}")
    return labels.index(given)


def json_object(said: str) -> dict:
    """Return the first JSON object in what was said, whatever stands around it; an empty one where there is none."""
    for brace in re.finditer("{", said):
        try:
            return decoder.raw_decode(said, brace.start())[0]
        except (json.JSONDecodeError, RecursionError):
            continue
    return {}


def meanings(system: str, labels: tuple) -> tuple[str, ...]:
    """Return what each label means: its line `- label: meaning` of the system message, else its own name."""
    lines = re.findall(r"^\s*[-*]\s*([^:\n]+):(.*)$", system, re.M)
    # the last line of a label counts: guidelines, which come before, may have a line that begins like it
    said = {name.strip(): meaning.strip() for name, meaning in lines}
    return tuple(said.get(str(label)) or str(label).replace("_", " ") for label in labels)
