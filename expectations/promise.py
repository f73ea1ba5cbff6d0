"""A promise: an expectation in words, with how much depends on it."""

from typing import Any, Literal

import great_expectations.expectations as gxe
from great_expectations import ExpectationSuite

Severity = Literal["critical", "warning", "info"]


def promise(expectation: str, what: str, severity: Severity = "critical", **settings: Any) -> gxe.Expectation:
    """Return the expectation of that name; `what` is the sentence a person reads."""
    return getattr(gxe, expectation)(severity=severity, meta={"what": what}, **settings)


def between(
    column: str, what: str, low: float | None, high: float | None, severity: Severity = "critical"
) -> gxe.Expectation:
    """Return the promise that a measure of the one-row frame lies between two bounds, and that there is one."""
    return promise("ExpectColumnMinToBeBetween", what, severity, column=column, min_value=low, max_value=high)


def suite(name: str, promises: list[gxe.Expectation]) -> ExpectationSuite:
    """Return the suite of a noun."""
    return ExpectationSuite(name=name, expectations=promises)
