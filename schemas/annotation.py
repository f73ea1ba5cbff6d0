"""Annotations: what an annotator, a person or a model, said of an item."""

from datetime import date, datetime

from schemas.row import LabelProbability, Row


class Annotation(Row):
    """One row per item (or document), annotator version, label and source time."""

    annotation_id: str
    """Keyed hash of item or document, annotator version, label, source time and guideline version."""
    item_id: str | None
    """The item a model labelled; null where a person labelled a document."""
    document_id: str | None
    """The document a person labelled, which may not have arrived yet; null for models."""
    annotator_id: str
    """The annotator's name in the curation, or a person's id in the label file."""
    annotator_kind: str
    """human, llm, function or model."""
    annotator_version: str
    """Digest of everything that decides a model's label; a person's id."""
    label: str | None
    """The label; null where the annotator abstained or the label was withdrawn."""
    distribution: list[LabelProbability] | None
    """Probability of every label, where the annotator gives one."""
    distribution_source: str
    """Where the distribution comes from: logprobs, samples, verbalised, votes or none."""
    off_label_share: float | None
    """Probability the model gave to anything that is no label, 0–1."""
    entropy_nats: float | None
    """Entropy of the distribution, in nats."""
    reason: str | None
    """Why there is no label: refusal, length, content_filter, not_a_label, withdrawn."""
    reply_id: str | None
    """The model's reply this was read from."""
    guideline_version: str
    """Digest of the guidelines in force."""
    path: str | None
    """The label file it came from, relative to the curation; null for models."""
    position: int | None
    """Line or row in that file, counted from 1."""
    event_at: datetime | None
    """When it was given."""
    recorded_at: datetime
    """When we learnt of it."""
    available_on: date
    """The logical date it belongs to."""
    run_id: str
    """The run that recorded it."""


class Reply(Row):
    """One row per answer of a model, kept so that nothing is asked twice."""

    reply_id: str
    """Keyed hash of endpoint, model, parameters and exact prompt."""
    annotator_id: str
    """The annotator that asked first."""
    item_id: str
    """The item it was asked about."""
    model: str
    """The model that was asked for."""
    model_served: str
    """The model that answered, with its fingerprint where it gives one."""
    finish_reason: str
    """stop, length, content_filter, …"""
    content: str | None
    """The answer."""
    refusal: str | None
    """The refusal, where there is one."""
    logprobs: str | None
    """Log-probabilities of the answer's tokens, as JSON."""
    prompt_tokens: int
    """Tokens asked with."""
    completion_tokens: int
    """Tokens answered with."""
    usd: float | None
    """What it cost, in US dollars; null where the price is not known."""
    latency_ms: float
    """How long it took, in milliseconds."""
    event_at: datetime
    """When it came."""
    recorded_at: datetime
    """When it was written down."""
    run_id: str
    """The run that asked."""


class Shot(Row):
    """One row per example of a frozen few-shot pool."""

    shot_id: str
    """Keyed hash of pool and item."""
    pool: str
    """The annotator and the number of its pool, as `few-shot/1`."""
    item_id: str
    """An item of the training split that people have settled."""
    label: str
    """The label they settled on."""
    recorded_at: datetime
    """When the pool was frozen."""
    run_id: str
    """The run that froze it."""
