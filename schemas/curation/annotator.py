"""Who labels: models, labelling functions and people, with all a curation can say of them."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from schemas.curation.settings import Name, Settings, Share, file_format, local_path


class Trust(Settings):
    """How much of a source may be bad before the run refuses it."""

    max_quarantined_share: Share = 0.05
    """Largest share of a night's records that may be quarantined."""


class Price(Settings):
    """What a model costs, in US dollars for a million tokens."""

    input: Annotated[float, Field(ge=0)]
    """Tokens it is asked with."""
    output: Annotated[float, Field(ge=0)]
    """Tokens it answers with."""
    cached: Annotated[float, Field(ge=0)] | None = None
    """Tokens it is asked with and remembers from a call before; the price of input where it is not given."""


class OnlyWhere(Settings):
    """Which items an annotator is asked about: those another one is unsure of."""

    annotator: Name
    """The annotator that labels first."""
    min_entropy_nats: Annotated[float, Field(ge=0)] = 0.5
    """Least entropy of its distribution; where it gave no label or no distribution it counts as unsure."""


class Batch(Settings):
    """Asking by the Batch API: half the price, an answer within a day."""

    wait_minutes: Annotated[float, Field(ge=0)] = 0
    """How long a run waits for pending batches; then it goes on without them, and the next run takes them up."""
    direct_after_minutes: Annotated[float, Field(gt=0)] = 1440
    """Age of a batch from which what it has not answered is asked for directly."""


class LLMAnnotator(Settings):
    """A language model that labels items."""

    name: Name
    """The annotator's id."""
    kind: Literal["llm"]
    """A language model behind the OpenAI protocol."""
    model: Name
    """The model's name at its endpoint; `embedded` is the one inside the process."""
    prompt: Literal["zero_shot", "few_shot"] = "zero_shot"
    """Whether settled examples are shown."""
    shots: Annotated[int, Field(ge=1, le=100)] = 8
    """Examples shown with a few_shot prompt."""
    select: Literal["nearest", "diverse", "balanced", "fixed"] = "nearest"
    """How they are chosen from the pool: nearest to the item, nearest but unlike each other, nearest of each label in
    turn, or the same for every item."""
    pool: Annotated[int, Field(ge=1)] = 1
    """Number of the frozen pool the examples come from; a greater number freezes a new one."""
    reason: bool = False
    """Whether it writes down its reason before the label."""
    samples: Annotated[int, Field(ge=1, le=64)] = 1
    """How often it is asked about each item; its label is the most frequent one."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """Of its sampling; where not given, 0 for one sample and 1 for more."""
    stated_confidence: bool = False
    """Whether it states how sure it is; used where neither log-probabilities nor samples give a distribution."""
    calibration: Literal["none", "batch"] = "none"
    """batch: each label's probability is divided by its mean over all items, so that a bias for a label cancels."""
    only_where: OnlyWhere | None = None
    """Limits it to the items another annotator is unsure of (a cascade)."""
    max_answer_tokens: Annotated[int, Field(ge=16, le=32_768)] = 256
    """Longest answer; where one is cut, it is asked once more with twice as many."""
    api: Literal["chat", "responses"] = "chat"
    """The Chat Completions or the Responses protocol."""
    base_url: str | None = None
    """The endpoint; OPENAI_BASE_URL where it is not given."""
    api_key_env: Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")] = "OPENAI_API_KEY"
    """The environment variable that holds its key."""
    service_tier: Literal["auto", "default", "flex", "priority"] | None = None
    """The tier asked for; the one that answered is what is paid."""
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 64
    """Calls in flight at once, at most."""
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    """The endpoint's limit, where its answers do not tell it."""
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = None
    """The endpoint's limit, where its answers do not tell it."""
    batch: Batch | None = None
    """Asks by the Batch API where it is given."""
    price: Price | None = None
    """What it costs, where the project's price table does not know or is wrong."""

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an address begins with http:// or https:// and the name of a host")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("a secret may not stand in the address: keys come from the environment")
        return url


class LabelFields(Settings):
    """Which columns of a label table hold what."""

    item: Name = "item_id"
    """The document's own id."""
    annotator: Name = "annotator_id"
    """Who gave the label."""
    label: Name = "label"
    """The label; empty withdraws the annotator's earlier one."""
    time: Name | None = None
    """When it was given: ISO 8601 with a zone."""

    @model_validator(mode="after")
    def _are_distinct(self) -> "LabelFields":
        named = [column for column in (self.item, self.annotator, self.label, self.time) if column]
        if len(set(named)) < len(named):
            raise ValueError("two of item, annotator, label and time name one column")
        return self


class HumanAnnotator(Settings):
    """People, whose labels arrive as tables."""

    name: Name
    """The source's name; each person is an annotator of their own."""
    kind: Literal["human"]
    """People."""
    path: Name
    """Glob of files relative to the curation; `{as_of}` stands for the logical date, YYYY-MM-DD."""
    format: Literal["table"] = "table"
    """A csv, jsonl or parquet table, one label a row."""
    fields: LabelFields = LabelFields()
    """Which columns hold what."""
    trust: Trust = Trust()
    """How much of it may be bad."""

    @field_validator("path")
    @classmethod
    def _is_a_table(cls, path: str) -> str:
        if file_format(path) not in ("jsonl", "csv", "parquet"):
            raise ValueError("a label table is csv, jsonl or parquet, plain, .gz or .zst")
        return local_path(path)


class FunctionAnnotator(Settings):
    """A labelling function: a rule that labels or abstains."""

    name: Name
    """The annotator's id."""
    kind: Literal["function"]
    """A Python callable or an SQL expression."""
    function: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = None
    """A callable, as `module:name`, given the text and the context as keywords; it returns a label or None."""
    sql: Name | None = None
    """An SQL expression over `text` and the fields of the context; null abstains."""

    @model_validator(mode="after")
    def _is_one_rule(self) -> "FunctionAnnotator":
        if (self.function is None) == (self.sql is None):
            raise ValueError("a labelling function is either a `function` or `sql`")
        return self


Annotator = Annotated[LLMAnnotator | FunctionAnnotator | HumanAnnotator, Field(discriminator="kind")]
