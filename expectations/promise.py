"""How promises are written: of every row, of a key, of a figure."""

from collections.abc import Iterable

from schemas.promise import Promise, Severity, Suite


def every(name: str, what: str, condition: str, severity: Severity = "critical") -> Promise:
    """Return the promise that every row fulfils a condition."""
    return Promise(name=name, what=what, every=condition, severity=severity)


def unique(name: str, what: str, column: str) -> Promise:
    """Return the promise that a column is there in every row and in no two the same."""
    return Promise(name=name, what=what, unique=column)


def between(
    name: str, what: str, measure: str, low: float | None, high: float | None, severity: Severity = "critical"
) -> Promise:
    """Return the promise that a figure lies between two bounds, and that there is one."""
    return Promise(name=name, what=what, measure=measure, min=low, max=high, severity=severity)


def figure(column: str) -> str:
    """Return the aggregate that is the column of a frame of one row; undefined where there is any other number."""
    return f"case when count(*) = 1 then max({column}) end"


def suite(name: str, frame: str, promises: Iterable[Promise]) -> Suite:
    """Return the suite of a frame."""
    return Suite(suite=name, frame=frame, promises=tuple(promises))


def one_of(column: str, values: Iterable[str]) -> str:
    """Return the condition that a column is one of some values."""
    listed = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"{column} in ({listed})"


def percent(share: float) -> str:
    """Return a share 0–1 in words."""
    return f"{100 * share:g}%"
