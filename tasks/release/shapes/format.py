"""A format: how examples are shaped, and what those who read its files must know."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from tasks.release.shapes.asked import Asked

SPLITS = ("train", "validation", "test")
TEXT = pa.string()


@dataclass(frozen=True)
class Format:
    """One format of JSON lines."""

    shaped: Callable[[Asked], list[dict[str, Any]]]
    """Returns the rows that an example becomes."""
    fields: dict[str, pa.DataType] = field(default_factory=dict)
    """What a row holds; nothing where that is more than texts, flags and lists of turns."""
    rows: int = 1
    """Rows of one example."""
    splits: tuple[str, ...] = SPLITS
    """Splits written in it."""
    llama_factory: dict[str, Any] | None = None
    """What LLaMA-Factory must be told to read it; None where it cannot."""


def turns(*parts: str) -> pa.DataType:
    """Return the type of a list of turns, each of these parts."""
    return pa.list_(pa.struct([(part, TEXT) for part in parts]))
