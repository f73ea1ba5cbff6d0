"""Certificates: the epochs they are made in, the items they would cover, and those drawn for people to audit."""

from datetime import date, datetime

from schemas.row import Row


class Epoch(Row):
    """One row per epoch: what was fixed before its first audit."""

    epoch_id: str
    """Keyed hash of the terms and the number of epochs of the same terms that ended before it."""
    generation: int
    """How many epochs of the same terms expired before it."""
    ordinal: int
    """Its number among all epochs of the curation, of any terms, counted from 1: each promises for itself alone."""
    terms: str
    """What a change of ends it, as JSON: claim, annotator, versions, guideline, score, slices, audit."""
    thresholds: str
    """Of each slice the scores a label may be accepted from, strictest first, and where the tests start, as JSON."""
    previous: str | None
    """The epoch in force before it; null for a curation's first."""
    reason: str
    """Why it was opened: first, expired, or the terms that changed, as `versions, guideline`."""
    seed: str
    """Keys the hash that draws its audit."""
    available_on: date
    """The logical date it was opened on."""
    recorded_at: datetime
    """When it was opened."""
    run_id: str
    """The run that opened it."""


class Candidate(Row):
    """One row per epoch and item that a certificate of it would cover: a model has labelled it, and no person had."""

    candidate_id: str
    """Keyed hash of epoch and item."""
    epoch_id: str
    """The epoch."""
    item_id: str
    """The item."""
    label: str
    """The model's label, as it was when the item joined."""
    score: float
    """The greatest probability of the model's distribution then, 0–1."""
    slice: str | None
    """The item's slice, where the curation certifies by slice."""
    draw_position: float
    """Keyed hash of seed and item as a number in [0, 1): of those present the lowest are drawn."""
    available_on: date
    """The logical date it joined on."""
    recorded_at: datetime
    """When it joined."""
    run_id: str
    """The run it joined in."""


class Draw(Row):
    """One row per candidate drawn at random for people to audit."""

    draw_id: str
    """Keyed hash of epoch and item."""
    epoch_id: str
    """The epoch."""
    item_id: str
    """The item."""
    policy: str
    """audit: until the epoch has its audit; watch: a few of each night's new items after that."""
    place: int
    """Order in which the epoch drew it, counted from 1."""
    inclusion_probability: float
    """Items drawn that night over items that could have been, in its slice; those had the same chance."""
    seed: str
    """The epoch's seed."""
    available_on: date
    """The logical date it was drawn on."""
    recorded_at: datetime
    """When it was drawn."""
    run_id: str
    """The run that drew it."""
