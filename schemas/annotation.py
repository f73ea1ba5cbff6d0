"""Annotations: what an annotator, a person or a model, said of an item."""

from datetime import date, datetime

from schemas.row import LabelProbability, Row


class EntropyProfile(Row):
    """The eleven statistics of a reply's output-entropy profile (arXiv 2601.09001), over its tokens, in nats.

    A token's entropy is of its top-k alternatives and one bucket that holds the rest.
    """

    mean: float
    """Mean."""
    std: float
    """Standard deviation, over tokens − 1."""
    max: float
    """Greatest."""
    q10: float
    """10 % quantile, linear between tokens."""
    q25: float
    """25 % quantile."""
    q50: float
    """Median."""
    q75: float
    """75 % quantile."""
    q90: float
    """90 % quantile."""
    skewness: float
    """mean((H − mean)³) / (std³ + 1e-8)."""
    kurtosis: float
    """mean((H − mean)⁴) / (std⁴ + 1e-8); not the excess."""
    sum: float
    """Sum."""


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
    profile: EntropyProfile | None
    """Statistics of the entropies of the reply's tokens, where it is long enough to have them."""
    reason: str | None
    """Why there is no label: refusal, length, content_filter, context_length, not_json, not_a_label, withdrawn, …"""
    reply_id: str | None
    """The model's reply its label was read from."""
    reply_ids: list[str] | None
    """Every reply that went into it: one a sample, and those that had to be asked for again."""
    guideline_version: str
    """Digest of the guidelines in force."""
    handout_id: str | None
    """The entry of the review queue it answers; null for labels that were not asked for, and for models."""
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
    service_tier: str | None
    """The tier that answered, where it says; `batch` for the Batch API."""
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
    cached_tokens: int
    """Those of them that the endpoint remembered from a call before."""
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


class LostCall(Row):
    """One row per call that brought no answer and may have been billed all the same: cut off, timed out, or killed."""

    call_id: str
    """Names the call."""
    annotator_id: str
    """The annotator that asked."""
    item_id: str
    """The item it asked about."""
    model: str
    """The model that was asked for."""
    kind: str
    """What became of it: timeout, connection, broken_body, no_content (tokens were told, and billed), cancelled,
    killed; no_usage (answered, but not what it cost), repeated (another run had stored the reply), batch_lost,
    erased (the reply went with its item; what it cost is known)."""
    usd_at_most: float | None
    """The most it can have cost, in US dollars; null where the price is not known."""
    event_at: datetime
    """When it was sent."""
    run_id: str
    """The run that asked."""


class Unanswered(Row):
    """One row per item a run set aside because its model gave no answer; the next run asks again."""

    unanswered_id: str
    """Keyed hash of item, annotator version and run."""
    item_id: str
    """The item."""
    annotator_id: str
    """The annotator that asked."""
    annotator_version: str
    """Its version."""
    reason: str
    """llm_unavailable, rate_limited, bad_request or stopped."""
    detail: str | None
    """The last failure, as `status 500` or `timeout`; never a message of the endpoint's."""
    recorded_at: datetime
    """When it was set aside."""
    run_id: str
    """The run that set it aside."""


class Capability(Row):
    """One row per finding of what a model's endpoint supports; the latest one counts."""

    capability_id: str
    """Keyed hash of endpoint, protocol, model and finding."""
    base_url: str
    """The endpoint."""
    api: str
    """chat or responses."""
    model: str
    """The model."""
    finding: str
    """What it supports, as JSON."""
    recorded_at: datetime
    """When it was found."""
    run_id: str
    """The run that found it."""


class BatchEvent(Row):
    """One row per step of a batch job: planned, submitted, ended or abandoned, cleared."""

    event_id: str
    """The batch's key and the step."""
    batch_key: str
    """Keyed hash of the requests in it."""
    step: str
    """planned (before it is sent), submitted, ended, abandoned (never to be sent), cleared (its files are gone there)."""
    base_url: str
    """The endpoint."""
    annotator_id: str
    """The annotator that asks."""
    remote_id: str | None
    """The endpoint's name for it, once submitted."""
    requests: str | None
    """With `planned`: reply id and item id of each request, as JSON."""
    status: str | None
    """With `ended`: completed, failed, expired, cancelled, not_found; with `abandoned`: unsent, not_taken, queue_full, too_large."""
    answered: int | None
    """With `ended`: requests answered."""
    failed: int | None
    """With `ended`: requests that ended in an error or are missing."""
    usd_at_most: float | None
    """The most it can cost, in US dollars; null where the price is not known."""
    recorded_at: datetime
    """When it was written down."""
    run_id: str
    """The run that wrote it."""


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
