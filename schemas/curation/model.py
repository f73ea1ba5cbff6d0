"""The keys of a curation, with their types, ranges and defaults."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from schemas.curation.annotator import Annotator, FunctionAnnotator, HumanAnnotator, LLMAnnotator, Trust
from schemas.curation.gates import Gates
from schemas.curation.labels import PLACES, Labels
from schemas.curation.release import PAIRS, Card, Release
from schemas.curation.settings import Listed, Name, Settings, Share, file_format, local_path


class Fields(Settings):
    """Which fields of a record hold what."""

    text: Name = "text"
    """The text to label."""
    id: Name | None = None
    """The source's own id, which people's label files name."""
    a: Name | None = None
    """Of a preference: one of the two answers."""
    b: Name | None = None
    """Of a preference: the other answer."""
    context: Listed[Name] = ()
    """What an annotator is shown beside the text; part of an item's identity."""
    group: Name | None = None
    """Records of one group share a split."""
    slice: Name | None = None
    """The part of the data a record is reported under."""
    time: Name | None = None
    """When the record was written: ISO 8601 with a zone."""

    @field_validator("context")
    @classmethod
    def _is_beside_the_text(cls, context: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(context)) < len(context):
            raise ValueError("a field stands there twice")
        if "text" in context:
            raise ValueError("annotators are shown the item itself as `text`: its context cannot be called so too")
        return context

    @model_validator(mode="after")
    def _text_is_no_context(self) -> "Fields":
        if self.text in self.context:
            raise ValueError(f"`{self.text}` cannot be both text and context")
        return self

    @model_validator(mode="after")
    def _answers_are_no_context(self) -> "Fields":
        if self.a is None and self.b is None:
            return self
        if taken := [name for name in self.context if name in (*PLACES, *PLACES.values())]:
            raise ValueError(f"the answers are called so, and a context cannot be: {', '.join(taken)}")
        named = [name for name in (self.text, self.a, self.b, *self.context) if name is not None]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise ValueError(f"the prompt, its two answers and the context are fields of their own: {', '.join(twice)}")
        return self

    @property
    def beside(self) -> tuple[str, ...]:
        """Return what the parts of an item's context are called: its fields, and of a preference a and b."""
        return self.context if self.a is None else (*self.context, *PLACES)


class Source(Settings):
    """Where documents come from."""

    path: Name
    """Glob of files relative to the curation; `{as_of}` stands for the logical date, YYYY-MM-DD."""
    format: Literal["jsonl", "csv", "parquet", "text"] = None  # type: ignore[assignment]
    """Inferred from the file name where it is not given."""
    fields: Fields = Fields()
    """Which fields of a record hold what."""
    trust: Trust = Trust()
    """How much of it may be bad."""
    license: Name | None = None
    """Its licence, as an SPDX id in lower case, for the card."""
    attribution: Name | None = None
    """Who made it, for the card."""

    @model_validator(mode="before")
    @classmethod
    def _infer_format(cls, values: dict) -> dict:
        if isinstance(values, dict) and isinstance(values.get("path"), str) and values.get("format") is None:
            kind = file_format(values["path"])
            if kind is None:
                raise ValueError(f"the format of {values['path']!r} cannot be told from its name: give `format`")
            return {**values, "format": kind}
        return values

    @field_validator("path")
    @classmethod
    def _is_local(cls, path: str) -> str:
        return local_path(path)


class Clean(Settings):
    """What a text must be to become an item."""

    min_chars: Annotated[int, Field(ge=1)] = 1
    """Shorter texts are quarantined."""
    max_chars: Annotated[int, Field(ge=1)] = 20_000
    """Longer texts are quarantined."""
    near_duplicates: Annotated[float, Field(gt=0, le=1)] = 0.85
    """Jaccard similarity of character 5-grams from which two texts are near-duplicates."""
    personal_data: Literal["keep"] = "keep"
    """What happens to personal data."""

    @model_validator(mode="after")
    def _is_a_range(self) -> "Clean":
        if self.min_chars > self.max_chars:
            raise ValueError(f"min_chars ({self.min_chars}) is greater than max_chars ({self.max_chars})")
        return self


class Consensus(Settings):
    """When people's labels settle an item."""

    method: Literal["majority", "weighted-majority", "one-coin", "dawid-skene", "mace", "glad", "ordinal"] | None = None
    """How votes become a posterior; without it, ordinal for a rating and else dawid-skene."""
    min_labels: Annotated[int, Field(ge=1)] = 2
    """People's labels an item needs."""
    min_posterior: Annotated[float, Field(ge=0.5, le=1)] = 0.9
    """Posterior the label needs."""


class Accept(Settings):
    """When models' labels are accepted without a person: under a certificate, and never else."""

    max_error: Annotated[float, Field(gt=0, lt=1)]
    """Largest share of the accepted labels that may be wrong."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Probability with which the promise holds, over the draw of the audit."""
    by_slice: bool = False
    """Whether the promise is made for each slice, all of them at once, and not for all items together."""
    audit: Annotated[int, Field(ge=1)] = 300
    """People's answers per slice and epoch."""
    annotator: Name | None = None
    """The model whose labels they are; without it the last of the models that waits for no other."""
    claim: Literal["stream", "batch"] = "stream"
    """stream: of all items to come, looked at each night; batch: of the items there when the epoch opened, looked at once."""


class Review(Settings):
    """What people will look at before the next run."""

    budget: Annotated[int, Field(ge=0)] = 200
    """Items in the queue, at most."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """Minutes that people have for it, at most."""
    usd: Annotated[float, Field(gt=0)] | None = None
    """What people's answers may cost, in US dollars, at most."""
    seconds_per_item: Annotated[float, Field(gt=0)] = 30
    """Seconds that an answer takes."""
    usd_per_item: Annotated[float, Field(gt=0)] | None = None
    """What an answer costs, in US dollars."""

    @model_validator(mode="after")
    def _has_a_price(self) -> "Review":
        if self.usd is not None and self.usd_per_item is None:
            raise ValueError("usd is given and usd_per_item is not: what does an answer cost?")
        return self

    @property
    def items(self) -> int:
        """Return how many items the queue may hold: the least of what items, minutes and money allow."""
        limits = [self.budget]
        if self.minutes is not None:
            limits.append(int(self.minutes * 60 / self.seconds_per_item + 1e-9))
        if self.usd is not None:
            limits.append(int(self.usd / self.usd_per_item + 1e-9))
        return min(limits)


class Splits(Settings):
    """How examples are divided."""

    train: Share = 0.8
    """Share of groups in training."""
    validation: Share = 0.1
    """Share of groups in validation."""
    test: Share = 0.1
    """Share of groups in test."""
    by: Literal["group", "item"] = "group"
    """What is kept together."""
    key: Name = "assay"
    """Key of the hash that divides; changing it divides anew items not yet divided."""

    @model_validator(mode="after")
    def _is_whole(self) -> "Splits":
        if abs(self.train + self.validation + self.test - 1) > 1e-9:
            raise ValueError(f"train + validation + test must be 1, not {self.train + self.validation + self.test:g}")
        return self


class Budget(Settings):
    """What models may cost, in US dollars; calls in flight are counted at the most they can cost."""

    usd_per_run: Annotated[float, Field(ge=0)] | None = None
    """Of one run."""
    usd_per_month: Annotated[float, Field(ge=0)] | None = None
    """Of all runs of one calendar month, UTC."""


class Curation(Settings):
    """All that a run can be told."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
    """Names the store's folder and the release's folder."""
    labels: Labels
    """What items are labelled with."""
    sources: Listed[Source]
    """Where documents come from."""
    clean: Clean = Clean()
    """What a text must be to become an item."""
    annotators: Listed[Annotator]
    """Who labels."""
    consensus: Consensus = Consensus()
    """When people's labels settle an item."""
    accept: Accept | None = None
    """When models' labels are accepted without a person; without it never."""
    review: Review = Review()
    """What people will look at before the next run."""
    splits: Splits = Splits()
    """How examples are divided."""
    gates: Gates = Gates()
    """Thresholds of the expectation suites."""
    budget: Budget = Budget()
    """What models may cost."""
    release: Release = Release()
    """Where and how releases are published."""
    card: Card = Card()
    """What the data set card says that figures cannot."""

    @field_validator("sources", "annotators")
    @classmethod
    def _is_not_empty(cls, parts: tuple) -> tuple:
        if not parts:
            raise ValueError("at least one is needed")
        return parts

    @field_validator("sources")
    @classmethod
    def _have_distinct_paths(cls, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        paths = [source.path for source in sources]
        if twice := sorted({path for path in paths if paths.count(path) > 1}):
            raise ValueError(f"two sources read the same files: {', '.join(twice)}")
        return sources

    @field_validator("annotators")
    @classmethod
    def _have_distinct_names(cls, annotators: tuple[Annotator, ...]) -> tuple[Annotator, ...]:
        names = [annotator.name for annotator in annotators]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"annotators share a name: {', '.join(twice)}")
        return annotators

    @model_validator(mode="after")
    def _compares_answers(self) -> "Curation":
        is_preference = self.labels.kind == "preference"
        for place, source in enumerate(self.sources):
            for name in PLACES:
                is_given = getattr(source.fields, name) is not None
                if is_preference and not is_given:
                    raise ValueError(f"sources.{place}.fields: `{name}` is missing: a preference compares two answers")
                if is_given and not is_preference:
                    raise ValueError(f"sources.{place}.fields.{name}: only `kind: preference` compares two answers")
        return self

    @model_validator(mode="after")
    def _formats_fit(self) -> "Curation":
        pairs = [name for name in self.release.formats if name in PAIRS]
        if pairs and self.labels.kind != "preference":
            raise ValueError(f"release.formats: only `kind: preference` has pairs of answers for {', '.join(pairs)}")
        return self

    @model_validator(mode="after")
    def _cascades_end(self) -> "Curation":
        first = {model.name: model.only_where.annotator for model in self.models if model.only_where}
        models = {model.name for model in self.models}
        for name in first:
            seen, at = {name}, first[name]
            while at in first and at not in seen:
                seen.add(at)
                at = first[at]
            if at in seen:
                raise ValueError(f"annotators wait for each other: {', '.join(sorted(seen))}")
            if at not in models:
                raise ValueError(f"only_where of {name!r} names no model among the annotators: {at!r}")
        return self

    @model_validator(mode="after")
    def _accepts_a_model(self) -> "Curation":
        if self.accept is None:
            return self
        names = [model.name for model in self.models]
        if not names:
            raise ValueError("accept needs a model among the annotators, whose labels are accepted")
        if self.accept.annotator and self.accept.annotator not in names:
            raise ValueError(
                f"accept.annotator names no model among the annotators: {self.accept.annotator!r} (there are {', '.join(names)})"
            )
        if self.accepted_model.calibration == "batch":
            raise ValueError(
                f"accept cannot take the labels of {self.accepted_model.name!r}: with `calibration: batch` they change "
                "with every item that comes"
            )
        return self

    @property
    def accepted_model(self) -> LLMAnnotator | None:
        """Return the model whose labels may be accepted; None where none may."""
        if self.accept is None:
            return None
        if self.accept.annotator:
            return next(model for model in self.models if model.name == self.accept.annotator)
        return ([model for model in self.models if not model.only_where] or list(self.models))[-1]

    @property
    def consensus_method(self) -> str:
        """Return how votes become a posterior: the method named, else the one that fits the kind of labels."""
        return self.consensus.method or ("ordinal" if self.labels.kind == "rating" else "dawid-skene")

    @property
    def functions(self) -> tuple[FunctionAnnotator, ...]:
        """Return the annotators that are labelling functions, in the order given."""
        return tuple(annotator for annotator in self.annotators if isinstance(annotator, FunctionAnnotator))

    @property
    def models(self) -> tuple[LLMAnnotator, ...]:
        """Return the annotators that are language models, in the order given."""
        return tuple(annotator for annotator in self.annotators if isinstance(annotator, LLMAnnotator))

    @property
    def people(self) -> tuple[HumanAnnotator, ...]:
        """Return the annotators that are people's label tables, in the order given."""
        return tuple(annotator for annotator in self.annotators if isinstance(annotator, HumanAnnotator))
