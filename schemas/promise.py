"""Promises: what must hold of a frame, in words and in SQL; those that ship and those of a user are of one kind."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from schemas.curation import Curation
from schemas.curation.reading import read_as
from schemas.curation.settings import Listed, Name, Settings
from schemas.errors import RequestError
from schemas.frame import FRAMES
from schemas.row import Row

Severity = Literal["critical", "warning", "info"]
Policy = Literal["drop", "refuse"]
Sql = Annotated[str, Field(min_length=1, max_length=10_000)]
ROW_COUNT = "row count"
"""What the number of a frame's rows is called among its measures: no promise can be called so."""
Snake = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


class Promise(Settings):
    """What must hold of a frame: of each of its rows, or of one figure of it."""

    name: Snake
    """What it is called: `suite.name` stands in the verdict and in `gates.policy`."""
    what: Name
    """The sentence that a person reads."""
    every: Sql | None = None
    """SQL condition that every row fulfils; null is not fulfilled."""
    unique: Sql | None = None
    """SQL expression, as a column, that is there in every row and in no two the same."""
    measure: Sql | None = None
    """SQL aggregate, a number, that lies between `min` and `max`; null does not."""
    min: float | None = None
    """Least value of the measure."""
    max: float | None = None
    """Greatest value of the measure."""
    severity: Severity = "critical"
    """critical: nothing is published where it is broken. warning: it is told, and published. info: it is recorded."""
    policy: Policy = "refuse"
    """drop: the examples that break it are kept out, and the rest is judged again. refuse: as the severity says."""

    @model_validator(mode="after")
    def _is_one_promise(self) -> "Promise":
        if sum(kind is not None for kind in (self.every, self.unique, self.measure)) != 1:
            raise ValueError(f"{self.name}: one of `every`, `unique` and `measure` expected")
        bounds = (self.min, self.max)
        if (self.measure is None) != (bounds == (None, None)):
            raise ValueError(f"{self.name}: `min`, `max` or both expected with `measure`, and with nothing else")
        if None not in bounds and self.min > self.max:
            raise ValueError(f"{self.name}: min ({self.min:g}) is greater than max ({self.max:g})")
        return self

    @property
    def low(self) -> float | None:
        """Return the least value that holds; of rows there may be none."""
        return self.min if self.measure is not None else 0

    @property
    def high(self) -> float | None:
        """Return the greatest value that holds."""
        return self.max if self.measure is not None else 0

    @property
    def reduced(self) -> str:
        """Return the SQL aggregate that is judged: the measure, else how many rows break the promise."""
        if self.every is not None:
            return f"count(*) filter (where {self.broken})"
        if self.unique is not None:
            return f"count(*) - count(distinct (\n{self.unique}\n))"
        return f"(\n{self.measure}\n)::double"

    @property
    def broken(self) -> str:
        """Return the SQL condition of the rows that break the promise; a line end closes what may be a comment."""
        return f"not coalesce((\n{self.every}\n), false)"

    def failing(self, table: str) -> str | None:
        """Return the query of the items that break it; None where no row does, but the whole."""
        if self.every is not None:
            return f"select item_id from {table} where {self.broken}"
        if self.unique is not None:
            once = f"select (\n{self.unique}\n) from {table} group by all having count(*) = 1"
            return f"select item_id from {table} where not coalesce((\n{self.unique}\n) in ({once}), false)"
        return None


class Suite(Settings):
    """The promises of one frame."""

    suite: Snake
    """What it is called."""
    frame: Literal["item", "source", "annotation", "agreement", "consensus", "coverage", "example", "balance", "slice",
                   "parent", "certificate", "cost", "file"]  # fmt: skip
    """The frame it is about."""
    promises: Listed[Promise]
    """What must hold of it."""

    @field_validator("promises")
    @classmethod
    def _have_distinct_names(cls, promises: tuple[Promise, ...]) -> tuple[Promise, ...]:
        names = [promise.name for promise in promises]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"promises share a name: {', '.join(twice)}")
        return promises

    @property
    def has_items(self) -> bool:
        """Return whether each row of its frame is about an item."""
        return "item_id" in FRAMES[self.frame].model_fields

    def can_drop(self, promise: Promise) -> bool:
        """Return whether the rows that break a promise can be kept out: those of examples, each judged by itself."""
        return self.frame == "example" and promise.every is not None


class Failing(Row):
    """One row per item and promise of the gate that it breaks, as the last run that judged found it."""

    promise: str
    """Suite and promise, as `split.known_labels`."""
    severity: str
    """critical, warning or info."""
    policy: str
    """drop: it was kept out; refuse: it was not."""
    frame: str
    """The frame the row is of: item, annotation, consensus or example."""
    item_id: str | None
    """The item."""


def own_suites(curation: Curation, folder: Path) -> dict[str, Suite]:
    """Return the suites of a curation's own, by the file each stands in; raise RequestError where one cannot be read."""
    return {file.relative_to(folder).as_posix(): read_as(file, Suite) for file in _files(curation, folder)}


def _files(curation: Curation, folder: Path) -> list[Path]:
    files = set()
    for pattern in curation.gates.suites:
        if pattern.startswith("/") or ".." in Path(pattern).parts:
            raise RequestError(f"gates.suites: a path below the curation's folder expected, found {pattern!r}")
        found = {file for file in folder.glob(pattern) if file.is_file()}
        if not found:
            raise RequestError(f"gates.suites: no file is named by {pattern!r} in {folder}")
        files |= found
    return sorted(files)
