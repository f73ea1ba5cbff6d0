"""What a release promises: the gate's verdict, and a certificate whose arithmetic is done again from its counts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.verify.arithmetic import differing
from tasks.verify.fault import Fault, looked_at, parsed
from tasks.verify.rows import Table

CHECKS, CERTIFICATE = "checks.json", "certificate.json"


def promised(folder: Path, manifest: dict[str, Any], table: Table) -> Iterator[Fault]:
    """Yield what is wrong with the gate's verdict and with the certificate."""
    yield from looked_at(CHECKS, lambda: _judged(parsed(folder / CHECKS)) if (folder / CHECKS).is_file() else iter(()))
    if (folder / CERTIFICATE).is_file():
        yield from looked_at(CERTIFICATE, lambda: _certified(parsed(folder / CERTIFICATE), manifest, table))


def _judged(verdict: dict[str, Any]) -> Iterator[Fault]:
    """Yield where the verdict is none that publishes, or not the one its checks come to."""
    checks = [(suite["suite"], check) for suite in verdict["suites"] for check in suite["checks"]]
    if verdict["passed"] is not True or verdict["failed"]:
        yield Fault(CHECKS, "the gate did not pass this release")
    if not checks:
        yield Fault(CHECKS, "the gate judged nothing")
    for suite, check in checks:
        named = f"{suite}: {check['what']}"[:120]
        if check["success"] is not True and check["severity"] == "critical":
            yield Fault(CHECKS, f"{named}: does not hold, and is critical")
        if check["success"] and _otherwise(check["observed"]):
            yield Fault(CHECKS, f"{named}: said to hold, though {check['observed']}")
        if check["success"] and _outside(check["observed"], check["expected"]):
            yield Fault(CHECKS, f"{named}: said to hold, though {check['observed']} is not {check['expected']}"[:200])


def _otherwise(observed: str) -> bool:
    """Return whether a check tells of rows that broke it, as in `2 of 12 otherwise`."""
    return observed.endswith(" otherwise") and not observed.startswith("0 of ")


def _outside(observed: str, expected: str) -> bool:
    """Return whether a number that was observed is not as a bound such as `at least 0.4 and at most 1` has it."""
    try:
        value = float(observed.replace(",", ""))
        bounds = [part.split() for part in expected.replace(",", "").split(" and ")] if expected else []
        if len(bounds) == 1 and len(bounds[0]) == 1:
            return abs(value - float(bounds[0][0])) > _near(value)
        return any(
            value < float(bound) - _near(value) if word == "least" else value > float(bound) + _near(value)
            for _, word, bound in bounds
        )
    except ValueError:  # words, not numbers
        return False


def _near(value: float) -> float:
    return 1e-5 * max(1.0, abs(value))  # six digits are told


def _certified(certificate: dict[str, Any], manifest: dict[str, Any], table: Table) -> Iterator[Fault]:
    """Yield where the certificate is another release's, or states what its counts do not prove."""
    if certificate["release"] != manifest["release"]:
        yield Fault(CERTIFICATE, "is of another release")
    if certificate["statement"] is None:
        if not certificate["reason"]:
            yield Fault(CERTIFICATE, "states nothing, and gives no reason")
        if table.accepted:
            yield Fault(CERTIFICATE, f"states nothing, and {table.accepted:,} rows have a model's label")
    elif not table.accepted <= certificate["published"] <= certificate["accepted"]:
        yield Fault(CERTIFICATE, f"does not cover the {table.accepted:,} rows that have a model's label")
    if "epochs" in certificate:
        for what in differing(certificate):
            yield Fault(CERTIFICATE, what)
