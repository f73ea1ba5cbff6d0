"""sharegpt: a conversation between a human and a model, its system prompt beside it."""

from typing import Any

from tasks.release.shapes.asked import Asked
from tasks.release.shapes.format import TEXT, Format, turns


def shaped(asked: Asked) -> list[dict[str, Any]]:
    """Return one conversation: the item from the human, the answer from the model."""
    turns = [{"from": "human", "value": asked.user}, {"from": "gpt", "value": asked.answer}]
    return [{"conversations": turns, "system": asked.system}]


FORMAT = Format(
    shaped,
    {"conversations": turns("from", "value"), "system": TEXT},
    llama_factory={
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system"},
        "tags": {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"},
    },
)
