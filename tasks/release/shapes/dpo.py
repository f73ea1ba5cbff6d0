"""dpo: a prompt, the answer people prefer and the one they do not, as TRL and LLaMA-Factory read them."""

from typing import Any

from tasks.release.shapes.asked import Asked
from tasks.release.shapes.format import TEXT, Format


def shaped(asked: Asked) -> list[dict[str, Any]]:
    """Return the pair, its prompt given once and beside it."""
    chosen, rejected = pair(asked)
    return [{"prompt": asked.row["text"], "chosen": chosen, "rejected": rejected}]


def pair(asked: Asked) -> tuple[str, str]:
    """Return the answer preferred and the other one."""
    label = asked.row["label"]
    return asked.given.get(label, ""), asked.given.get({"a": "b", "b": "a"}[label], "")


FORMAT = Format(
    shaped,
    {"prompt": TEXT, "chosen": TEXT, "rejected": TEXT},
    llama_factory={"ranking": True, "columns": {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"}},
)
