"""Splits: which of train, validation and test an item belongs to, for good."""

from datetime import datetime

from schemas.row import Row


class Split(Row):
    """One row per item, written once at ingest and never rewritten."""

    item_id: str
    """The item."""
    split: str
    """train, validation or test."""
    rule: str
    """What decided it: group, near_duplicate or hash."""
    recorded_at: datetime
    """When it was decided."""
    run_id: str
    """The run that decided it."""
