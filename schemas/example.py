"""Examples: items chosen to train on, in the shape a trainer reads."""

from schemas.row import LabelProbability, Row


class Example(Row):
    """One row per published item, with where its label came from."""

    item_id: str
    """The item."""
    split: str
    """train, validation or test."""
    text: str
    """The cleaned text."""
    context: str
    """What an annotator is shown beside the text: a JSON object with sorted keys."""
    label: str
    """The consensus label."""
    status: str
    """How it was settled: human or accepted."""
    posterior: list[LabelProbability] | None
    """People's posterior over the labels; null where no person has labelled it."""
    posterior_share: float | None
    """Probability of the most likely label in that posterior, 0–1."""
    entropy_nats: float | None
    """Entropy of people's votes, in nats; null without votes."""
    people: int
    """People who labelled it."""
    models: int
    """Models' labels counted."""
    group_id: str | None
    """Group of the item."""
    slice: str | None
    """Slice of the item."""
    document_ids: str
    """The documents the item came from, as a JSON list."""
