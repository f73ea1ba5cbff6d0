"""prompt-completion: two strings, for trainers that know no chat."""

from typing import Any

from tasks.release.shapes.asked import Asked
from tasks.release.shapes.format import TEXT, Format


def shaped(asked: Asked) -> list[dict[str, Any]]:
    """Return what is asked and what is answered; the completion starts on a line of its own."""
    return [{"prompt": f"{asked.system}\n\n{asked.user}\n\n", "completion": asked.answer}]


FORMAT = Format(
    shaped,
    {"prompt": TEXT, "completion": TEXT},
    llama_factory={"columns": {"prompt": "prompt", "response": "completion"}},
)
