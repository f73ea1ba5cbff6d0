"""What a certificate promises, the audit it rests on, the thresholds it is sought at, and what was found."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

METHODS = ("binomial", "hypergeometric", "stream")


@dataclass(frozen=True)
class Claim:
    """Of the labels accepted without a person, at most a share of `max_error` is wrong."""

    max_error: float
    """Largest share that may be wrong, 0–1."""
    confidence: float
    """Probability, over the draw of the audit, that no certificate promises too much."""
    method: str = "binomial"
    """binomial: of a source, looked at once; hypergeometric: of a batch, looked at once; stream: at any time."""

    @property
    def delta(self) -> float:
        """Return the probability with which a certificate may promise too much."""
        return 1 - self.confidence


@dataclass(frozen=True)
class Sample:
    """The items of one slice, one entry each."""

    score: np.ndarray
    """How sure the model is, the higher the surer; an item without a score (NaN) is never accepted."""
    place: np.ndarray
    """Order in which items were drawn for the audit, from 1; 0 for those that were not."""
    wrong: np.ndarray
    """Whether an item was drawn and people say something else than the model, or have not answered yet."""
    answered: np.ndarray
    """Whether people have answered."""


@dataclass(frozen=True)
class Grid:
    """Where a certificate is sought; fixed before the first answer."""

    values: tuple[float, ...]
    """Scores from which labels may be accepted, strictest first."""
    starts: tuple[int, ...]
    """Places in `values` at which tests begin."""
    parts: tuple[float, ...] = ()
    """Each start's part of delta, 1 in all; empty for equal parts."""
    looks: tuple[int, ...] = ()
    """Draws after which a stream's audit is whole: three quarters of delta are for this one look; empty for none."""


@dataclass(frozen=True)
class Found:
    """What an audit proves of one slice."""

    threshold: float | None
    """Least score that is accepted; None where nothing may be."""
    items: int
    """Items of the slice."""
    accepted: int
    """Items that score so."""
    accepted_share: float
    """Those of all items, 0–1."""
    audited: int
    """Items drawn."""
    answered: int
    """Those that people have answered."""
    errors: int
    """Those that are wrong, or not answered."""
    audited_accepted: int
    """Drawn items among the accepted."""
    errors_accepted: int
    """Those of them that are wrong, or not answered."""
    upper: float | None
    """Upper bound of the share that is wrong at this threshold, taken by itself; what is promised is max_error."""
    method: str
    """Method of the test that the threshold rests on."""
    slices: int
    """Slices that the promise is made for at once."""
    reason: str | None
    """Why nothing may be accepted."""
    tests: list[dict[str, Any]] = field(default_factory=list)
    """Of each threshold: accepted, audited, errors, p, the level it must not exceed, and whether it holds."""
