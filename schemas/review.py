"""Review: what a person should look at before the next run, and what was handed out to people."""

from datetime import date, datetime

from schemas.row import Row


class QueueEntry(Row):
    """One row per item in the review queue of a run."""

    item_id: str
    """The item."""
    place: int
    """Its place, counted from 1: audits first, then what a label is expected to gain most for."""
    policy: str
    """Why it is there: audit, dispute, label_error, second_label, uncertain or typical."""
    gain_nats: float | None
    """Entropy that one more label is expected to remove, in nats; null for audits."""
    epoch_id: str | None
    """The epoch an audit belongs to."""
    inclusion_probability: float | None
    """Chance with which an audit was drawn; null where the item was chosen and not drawn."""
    seed: str | None
    """Seed of that draw."""


class Handout(Row):
    """One row per item of the queue that was handed out to people."""

    handout_id: str
    """Keyed hash of date, item and whether the suggestion was shown; it stands in the queue's file as queue_id."""
    item_id: str
    """The item."""
    document_id: str
    """The document of it that answers are stored for."""
    policy: str
    """Why it was in the queue."""
    epoch_id: str | None
    """The epoch an audit belongs to."""
    inclusion_probability: float | None
    """Chance with which an audit was drawn; null where the item was chosen and not drawn."""
    seed: str | None
    """Seed of that draw."""
    is_suggestion_shown: bool
    """Whether people were shown the model's label."""
    available_on: date
    """The logical date of the queue."""
    recorded_at: datetime
    """When it was handed out."""
