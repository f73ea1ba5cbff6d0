"""alpaca: an instruction, its input and the output."""

from typing import Any

from tasks.release.shapes.asked import Asked
from tasks.release.shapes.format import TEXT, Format


def shaped(asked: Asked) -> list[dict[str, Any]]:
    """Return the instructions, the item and the answer."""
    return [{"instruction": asked.system, "input": asked.user, "output": asked.answer}]


FORMAT = Format(
    shaped,
    {"instruction": TEXT, "input": TEXT, "output": TEXT},
    llama_factory={"columns": {"prompt": "instruction", "query": "input", "response": "output"}},
)
