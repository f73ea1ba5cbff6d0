"""A certificate's arithmetic, done again from its counts: levels, p-values, thresholds, bounds, and the words for them."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from tasks.certificate import METHODS, Claim, Found, Grid, statement, statement_of_slices
from tasks.certificate.evidence import (
    WHOLE,
    binomial_p,
    binomial_upper,
    hypergeometric_p,
    hypergeometric_upper,
    stream_p,
    stream_upper,
)
from tasks.certificate.sequence import passed

NEAR, ROUNDED = 1e-6, 1e-9  # by how much a figure may be off, of itself and in all: nine digits are kept
_SUMS = ("items", "drawn", "audited", "errors")
_SUMS_OF_KEPT = ("accepted", "audited_accepted", "errors_accepted")


class Part(NamedTuple):
    """What is certified by itself: a slice of a batch, with where its certificate was sought."""

    name: str | None
    counts: dict[str, Any]
    grid: Grid
    slices: int
    due: int | None
    """Answers that must be there before a batch may be looked at; None for a stream."""


def differing(certificate: dict[str, Any]) -> Iterator[str]:
    """Yield what of a certificate is not what its own counts come to."""
    claim = Claim(certificate["max_error"], certificate["confidence"], certificate["method"])
    if claim.method not in METHODS or not (0 < claim.max_error < 1 and 0 < claim.confidence < 1):
        yield "asks for what no certificate can promise"
        return
    parts = list(_parts(certificate))
    for part in parts:
        yield from _of_part(part, claim)
    yield from _of_all(certificate, parts)
    yield from _worded(certificate, parts, claim)


def _parts(certificate: dict[str, Any]) -> Iterator[Part]:
    """Yield every slice of every epoch in force, in the order they were certified in."""
    epochs = certificate["epochs"]
    told = certificate["slices"] if certificate["by_slice"] else dict(enumerate(certificate["batches"]))
    every = [(epoch, name) for epoch in epochs for name in epoch["thresholds"]]
    for (epoch, name), counts in zip(every, told.values(), strict=True):
        grid = Grid(**{key: tuple(value) for key, value in epoch["thresholds"][name].items()})
        planned = epoch["terms"].get("audit")  # only of a batch is it a term
        due = min(planned, counts["items"]) if planned else None
        yield Part(name if certificate["by_slice"] else None, counts, grid, len(epoch["thresholds"]), due)


def _of_part(part: Part, claim: Claim) -> Iterator[str]:
    """Yield where a slice's tests are not what their counts come to, or its threshold is not the last that holds."""
    counts, tests = part.counts, part.counts["tests"]
    holds, levels = passed(np.array([test["p"] for test in tests]), part.grid.starts, claim.delta / part.slices, part.grid.parts)  # fmt: skip
    if [test["threshold"] for test in tests] != list(part.grid.values):
        yield "tests other thresholds than its epoch fixed"
        return
    for place, test in enumerate(tests):
        low, high = _p_between(test, claim, counts["drawn"], part.grid.looks)
        if not low * (1 - NEAR) - ROUNDED <= test["p"] <= high * (1 + NEAR) + ROUNDED:
            yield f"of {test['errors']:,} errors in {test['audited']:,} audits, p is not {test['p']:.6g}"
        if not _alike(test["level"], float(levels[place])) or test["passed"] != bool(holds[place]):
            yield f"the test at {test['threshold']:.6g} was made at another level, or came out otherwise"
    yield from _possible(counts)
    yield from _best(part, tests, holds)


def _p_between(test: dict[str, Any], claim: Claim, drawn: int, looks: tuple[int, ...]) -> tuple[float, float]:
    """Return the least and the greatest p-value that counts allow; of a stream the order of errors matters, too."""
    errors, audited = test["errors"], test["audited"]
    if test["method"] != "stream":
        p = (
            hypergeometric_p(np.array(errors), np.array(audited), np.array(test["accepted"]), claim.max_error)
            if test["method"] == "hypergeometric"
            else binomial_p(np.array(errors), np.array(audited), claim.max_error)
        )
        return float(p), float(p)
    first, last = _orders(errors, audited)
    # of the planned audit, once it is drawn, so many were above this threshold: at most all of these
    looked = bool(looks) and drawn >= looks[0]
    whole = audited if looked else None
    least = stream_p(last, claim.max_error, whole)
    if looked and drawn > looks[0]:  # later draws are of no look, and the errors may all be among them
        sizes = np.arange(max(1, audited - (drawn - looks[0])), audited + 1)
        spared = binomial_p(np.maximum(errors - (audited - sizes), 0), sizes, claim.max_error).min() if audited else 1.0
        return min(least, float(spared) / WHOLE), stream_p(first, claim.max_error)
    return least, stream_p(first, claim.max_error, whole)


def _orders(errors: int, audited: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the audits with the errors first, and with the errors last."""
    first = np.arange(audited) < errors
    return first, first[::-1]


def _possible(counts: dict[str, Any]) -> Iterator[str]:
    """Yield where counts exclude each other."""
    of_all = [counts[name] for name in ("errors", "drawn", "items")]
    if of_all != sorted(of_all) or not 0 <= counts["answered"] <= counts["drawn"]:
        yield "counts more errors or answers than draws, or more draws than items"
    for one, other in pairwise(counts["tests"]):  # a lower threshold has all that a higher one has
        if any(one[name] > other[name] for name in ("accepted", "audited", "errors")):
            yield "counts less at a lower threshold than at a higher one"
    for test in counts["tests"]:
        if not test["errors"] <= test["audited"] <= min(test["accepted"], counts["drawn"]):
            yield "counts more errors than audits, or more audits than labels"
    if counts["tests"] and counts["tests"][-1]["errors"] > counts["errors"]:
        yield "counts more errors at a threshold than in all"


def _best(part: Part, tests: list[dict[str, Any]], holds: np.ndarray) -> Iterator[str]:
    """Yield where the threshold and what it accepts are not those of the last test that holds."""
    counts = part.counts
    is_due = part.due is None or (counts["drawn"] >= part.due and counts["answered"] == counts["drawn"])
    if not holds.any():
        if counts["threshold"] is not None or counts["accepted"]:
            yield "accepts labels, and no test holds"
        return
    best = tests[int(np.flatnonzero(holds)[-1])]
    if counts["threshold"] != (best["threshold"] if is_due else None):
        yield "its threshold is not that of the last test that holds"
    told = (counts["accepted"], counts["audited_accepted"], counts["errors_accepted"], counts["method"])
    if told != (best["accepted"], best["audited"], best["errors"], best["method"]):
        yield "its counts are not those of the last test that holds"
    if not _alike(counts["accepted_share"], best["accepted"] / counts["items"]):
        yield "the accepted share is not accepted / items"
    low, high = _upper_between(best)
    if not low - NEAR <= counts["upper"] <= high + NEAR:
        yield f"the upper bound of the error is not {counts['upper']:.6g}"


def _upper_between(best: dict[str, Any]) -> tuple[float, float]:
    errors, audited, level = best["errors"], best["audited"], best["level"]
    if best["method"] == "stream":
        first, last = _orders(errors, audited)
        whole = binomial_upper(0, audited, level * WHOLE) if audited else 1.0
        return min(stream_upper(last, level, None), whole), stream_upper(first, level, None)
    if best["method"] == "hypergeometric":
        bound = hypergeometric_upper(errors, audited, best["accepted"], level)
    else:
        bound = binomial_upper(errors, audited, level)
    return bound, bound


def _of_all(certificate: dict[str, Any], parts: list[Part]) -> Iterator[str]:
    """Yield which totals are not the sums of the parts."""
    kept = [part for part in parts if part.counts["threshold"] is not None]
    sums = {
        name: sum(_wrong(part.counts) if name == "errors" else part.counts[name] for part in parts) for name in _SUMS
    }
    sums |= {name: sum(part.counts[name] for part in kept) for name in _SUMS_OF_KEPT}
    for name, total in sums.items():
        if certificate[name] != total:
            yield f"`{name}` is {certificate[name]:,}, and of its parts {total:,}"
    if not _alike(certificate["accepted_share"], sums["accepted"] / sums["items"] if sums["items"] else 0.0):
        yield "the accepted share is not accepted / items"
    if certificate["tests"] != ([] if certificate["by_slice"] else parts[-1].counts["tests"]):
        yield "its tests are not those of its last batch"
    if certificate["seed"] != certificate["epochs"][-1]["seed"]:
        yield "its seed is not that of its last epoch"
    alone = kept[0].counts if len(parts) == 1 and kept else {"threshold": None, "upper": None}
    if any(certificate[name] != alone[name] for name in ("threshold", "upper")):
        yield "threshold and upper bound are not those of its one part"


def _wrong(counts: dict[str, Any]) -> int:
    """Return how many answers were found wrong: those that are missing count as errors in a test, and are not known to be."""
    return counts["errors"] - (counts["drawn"] - counts["answered"])


def _worded(certificate: dict[str, Any], parts: list[Part], claim: Claim) -> Iterator[str]:
    """Yield where the statement is not the one that the counts make."""
    kept = [part for part in parts if part.counts["threshold"] is not None]
    if not kept:
        if certificate["statement"] is not None:
            yield "states a promise, and accepts nothing"
        return
    words = (
        statement_of_slices(claim, len(kept), len(parts))
        if certificate["by_slice"]
        else " ".join(statement(claim, _found(part), part.name) for part in kept)
    )
    if certificate["statement"] != words:
        yield "the statement is not the one that its counts make"


def _found(part: Part) -> Found:
    counts = part.counts
    named = {name: counts[name] for name in Found.__dataclass_fields__ if name in counts}
    return Found(**named | {"audited": counts["drawn"], "slices": part.slices})


def _alike(one: float, other: float) -> bool:
    return abs(one - other) <= NEAR * max(abs(one), abs(other)) + ROUNDED
