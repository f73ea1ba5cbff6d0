"""Promises as Great Expectations has them: it judges the one row of measures that DuckDB reduced a frame to."""

import great_expectations.expectations as gxe
from great_expectations import ExpectationSuite

from schemas.promise import Promise, Suite


class ExpectEveryRowToHold(gxe.ExpectColumnMaxToBeBetween):
    """Expect that no row breaks the promise: the measure is the number of those that do."""


class ExpectKeyToBeUnique(gxe.ExpectColumnMaxToBeBetween):
    """Expect that no key is missing or there twice: the measure is the number of rows without one of their own."""


class ExpectMeasureToBeBetween(gxe.ExpectColumnMaxToBeBetween):
    """Expect that a figure of the frame lies between two bounds, and that there is one."""


def as_expectations(suite: Suite) -> ExpectationSuite:
    """Return a suite as expectations on the row of its measures; their words and policies are in `meta`."""
    return ExpectationSuite(name=suite.suite, expectations=[_expectation(suite, promise) for promise in suite.promises])


def _expectation(suite: Suite, promise: Promise) -> gxe.Expectation:
    kinds = ((promise.every, ExpectEveryRowToHold), (promise.unique, ExpectKeyToBeUnique))
    kind = next((kind for said, kind in kinds if said is not None), ExpectMeasureToBeBetween)
    told = {
        "name": f"{suite.suite}.{promise.name}",
        "what": promise.what,
        "policy": promise.policy,
        "sql": promise.reduced,
    }
    return kind(
        column=promise.name, min_value=promise.low, max_value=promise.high, severity=promise.severity, meta=told
    )
