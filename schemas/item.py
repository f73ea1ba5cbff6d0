"""Items: one distinct cleaned text, with the context it is judged in."""

from datetime import date, datetime

from schemas.row import Row


class Item(Row):
    """One row per distinct cleaned text and context."""

    item_id: str
    """Keyed hash of cleaned text and context."""
    text: str
    """The cleaned text: Unicode NFC, white space normalised."""
    context: str
    """What an annotator is shown beside the text: a JSON object with sorted keys."""
    group_id: str | None
    """Group of the first document; items of one group share a split."""
    slice: str | None
    """Slice of the first document."""
    recorded_at: datetime
    """When it was first made."""
    available_on: date
    """Logical date of its first document."""
    run_id: str
    """The run that made it."""


class Neighbour(Row):
    """One row per pair of near-duplicate items, the later one first."""

    neighbour_id: str
    """Keyed hash of both items."""
    item_id: str
    """The later item."""
    near_item_id: str
    """The earlier item it is near to."""
    similarity: float
    """Jaccard similarity of their sets of character 5-grams, 0–1."""
    recorded_at: datetime
    """When it was found."""
    run_id: str
    """The run that found it."""
