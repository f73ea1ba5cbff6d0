"""openai-dpo: a preference as OpenAI fine-tunes on it."""

from typing import Any

from tasks.release.shapes.asked import Asked
from tasks.release.shapes.dpo import pair
from tasks.release.shapes.format import Format


def shaped(asked: Asked) -> list[dict[str, Any]]:
    """Return the prompt as a chat, and one message of the assistant for each answer."""
    preferred, other = ([{"role": "assistant", "content": answer}] for answer in pair(asked))
    asks = {"messages": [{"role": "user", "content": asked.row["text"]}], "tools": [], "parallel_tool_calls": True}
    return [{"input": asks, "preferred_output": preferred, "non_preferred_output": other}]


FORMAT = Format(shaped)
