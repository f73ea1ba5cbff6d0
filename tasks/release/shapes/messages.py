"""messages: a chat of instructions, item and answer, which TRL trains on and OpenAI fine-tunes with."""

from typing import Any

from tasks.release.shapes.asked import Asked
from tasks.release.shapes.format import Format, turns

TURNS = turns("role", "content")


def shaped(asked: Asked) -> list[dict[str, Any]]:
    """Return one chat, the answer last."""
    return [{"messages": [*question(asked), {"role": "assistant", "content": asked.answer}]}]


def question(asked: Asked) -> list[dict[str, str]]:
    """Return the chat that asks for the label."""
    return [{"role": "system", "content": asked.system}, {"role": "user", "content": asked.user}]


FORMAT = Format(
    shaped,
    {"messages": TURNS},
    llama_factory={
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    },
)
