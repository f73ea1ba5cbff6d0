"""Erasures: what was asked to be forgotten, named by ids alone, so that it stays forgotten."""

from datetime import datetime
from typing import Literal

from schemas.row import Row


class ErasureEntry(Row):
    """One row per step of an erasure and id it names: that it began, what it keeps out and removes, that it is done; no text."""

    entry_id: str
    """Erasure, step and what is named."""
    erasure_id: str
    """Keyed hash of what was asked, and of how often it was asked before."""
    step: Literal["started", "kept_out", "removed", "finished"]
    """started: what was asked; kept_out: what is never let in again; removed: an item that no document makes any more;
    finished: nothing is left to do."""
    noun: Literal["item", "document", "group"]
    """What is named."""
    subject_id: str
    """Its id; of a group, a keyed hash of its name."""
    recorded_at: datetime
    """When it was written down."""
