"""Where and how releases are published, and what their card says that figures cannot."""

import re
from posixpath import normpath
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.curation.settings import Listed, Name, Settings, local_path

Format = Literal[
    "messages", "prompt-completion", "alpaca", "sharegpt", "dpo", "openai-dpo", "kto", "evals", "soft-labels",
]  # fmt: skip

PAIRS = ("dpo", "openai-dpo", "kto")  # formats of an answer preferred and another one


class Target(Settings):
    """A further place that releases are copied to."""

    kind: Literal["folder", "s3", "hub"]
    """folder: releases side by side, as in `path`. s3: the same in a bucket. hub: a repository folder in the layout of the
    Hugging Face hub, which holds the current release."""
    path: Name
    """A folder relative to the curation, or s3://bucket/prefix; credentials come from the environment."""
    endpoint: str | None = None
    """Address of an S3-compatible server; AWS_ENDPOINT_URL where it is not given."""

    @model_validator(mode="after")
    def _path_fits_the_kind(self) -> Self:
        if self.kind == "s3" and not re.fullmatch(r"s3://[^/]+(/.*)?", self.path):
            raise ValueError(f"path {self.path!r}: an s3 target's path is s3://bucket/prefix")
        if self.kind != "s3" and "://" in self.path:
            raise ValueError(f"path {self.path!r}: a {self.kind} target's path is local")
        return self


class Release(Settings):
    """Where and how releases are published."""

    path: Name = "releases"
    """Folder, relative to the curation."""
    formats: Listed[Format] = ("messages",)
    """Shapes the examples are written in: the first one beside the manifest, each other in a folder of its name."""
    targets: Listed[Target] = ()
    """Further places that releases are copied to."""
    keep: Annotated[int, Field(ge=1)] | None = None
    """How many releases stay on disk, the current one among them; without it all of them."""
    approval: bool = False
    """Whether a person approves a release, in the Prefect UI, before it becomes the current one."""
    approval_hours: Annotated[float, Field(gt=0)] = 24
    """How long a run waits for that; the next run asks again."""

    @field_validator("path")
    @classmethod
    def _is_local(cls, path: str) -> str:
        return local_path(path)

    @model_validator(mode="after")
    def _targets_are_elsewhere(self) -> Self:
        if normpath(self.path) in {normpath(target.path) for target in self.targets}:
            raise ValueError(f"targets: {self.path!r} is where the releases are; a target is another place")
        return self

    @field_validator("formats")
    @classmethod
    def _are_distinct(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        if not formats or len(set(formats)) < len(formats):
            raise ValueError("at least one format is needed, and none twice")
        if formats[0] == "evals":
            raise ValueError("evals holds the test split alone: another format comes first")
        return formats


class Card(Settings):
    """What the data set card says that figures cannot."""

    description: str | None = None
    """One paragraph."""
    license: str | None = None
    """Licence of the texts and labels, as an SPDX id in lower case."""
    language: Listed[Name] = ()
    """Languages of the texts, as ISO 639-1."""
    attribution: str | None = None
    """Who made the texts and labels."""
    limits: Listed[Name] = ()
    """Known limits of the data, a sentence each."""
    examples: Annotated[int, Field(ge=0, le=10)] = 0
    """How many of the training examples the card shows, text and all."""
