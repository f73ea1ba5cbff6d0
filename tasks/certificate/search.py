"""Audits become a certificate: the least score above which it is refuted that too many labels are wrong."""

from typing import NamedTuple

import numpy as np

from tasks.certificate.claim import Claim, Found, Grid, Sample
from tasks.certificate.evidence import (
    binomial_p,
    binomial_upper,
    hypergeometric_p,
    hypergeometric_upper,
    stream_p,
    stream_upper,
)
from tasks.certificate.grid import least_at
from tasks.certificate.sequence import passed
from tasks.certificate.wording import NO_AUDIT, NO_ITEM, NO_SCORE, errors_said, lacking_said, no_answer_said


class Tried(NamedTuple):
    """One threshold with its audits."""

    threshold: float
    accepted: int
    wrong: np.ndarray
    """Of the audited items above it, in the order of their draw."""
    whole: int | None
    """How many of those belong to a stream's planned audit; None while that is not drawn."""
    method: str

    @property
    def errors(self) -> int:
        return int(self.wrong.sum())

    def p(self, max_error: float) -> float:
        """Return the chance of so few errors if more than a share `max_error` of the accepted is wrong."""
        counts = np.array(self.errors), np.array(len(self.wrong))
        if self.method == "stream":
            return stream_p(self.wrong, max_error, self.whole)
        if self.method == "hypergeometric":
            return float(hypergeometric_p(*counts, np.array(self.accepted), max_error))
        return float(binomial_p(*counts, max_error))

    def upper(self, delta: float) -> float:
        """Return the upper bound of the share that is wrong, 0–1."""
        if self.method == "stream":
            return stream_upper(self.wrong, delta, self.whole)
        if self.method == "hypergeometric":
            return hypergeometric_upper(self.errors, len(self.wrong), self.accepted, delta)
        return binomial_upper(self.errors, len(self.wrong), delta)


def certify(sample: Sample, grid: Grid, claim: Claim, *, slices: int = 1, total: int | None = None) -> Found:
    """Return the least score from which labels may be accepted with the counts it rests on, or why there is none.

    The promise holds for so many slices at once. `total` is the size of the batch where the sample is a part of it: only
    of all its labels together is the number known then, so those above a threshold are tested as of a source.
    """
    items = max(len(sample.score), total or 0)
    tried = [_tried(sample, value, grid, claim, items) for value in grid.values]
    p = np.array([one.p(claim.max_error) for one in tried])
    holds, levels = passed(p, grid.starts, claim.delta / slices, grid.parts)
    drawn = sample.place > 0
    known = {
        "items": items,
        "audited": int(drawn.sum()),
        "answered": int((drawn & sample.answered).sum()),
        "errors": int((drawn & (sample.wrong | ~sample.answered)).sum()),
        "slices": slices,
        "tests": [
            {"threshold": one.threshold, "accepted": one.accepted, "audited": len(one.wrong), "errors": one.errors,
             "method": one.method, "p": value, "level": level, "passed": held}
            for one, value, level, held in zip(tried, p.tolist(), levels.tolist(), holds.tolist(), strict=True)
        ],
    }  # fmt: skip
    if not holds.any():
        return Found(
            threshold=None, accepted=0, accepted_share=0.0, audited_accepted=0, errors_accepted=0, upper=None,
            method=claim.method, reason=_reason(known, claim), **known,
        )  # fmt: skip
    last = int(np.flatnonzero(holds)[-1])
    best = tried[last]
    return Found(
        threshold=best.threshold,
        accepted=best.accepted,
        accepted_share=best.accepted / (items if best.method == "hypergeometric" else len(sample.score)),
        audited_accepted=len(best.wrong),
        errors_accepted=best.errors,
        upper=best.upper(float(levels[last])),
        method=best.method,
        reason=None,
        **known,
    )


def _tried(sample: Sample, value: float, grid: Grid, claim: Claim, items: int) -> Tried:
    above = sample.score >= value  # never of an item without a score
    drawn = sample.place[sample.place > 0]
    audited = np.flatnonzero(above & (sample.place > 0))
    audited = audited[np.argsort(sample.place[audited], kind="stable")]
    wrong = sample.wrong[audited] | ~sample.answered[audited]
    whole = None
    if grid.looks and len(drawn) >= grid.looks[0]:
        last = np.sort(drawn)[grid.looks[0] - 1]
        whole = int((sample.place[audited] <= last).sum())
    accepted, method = int(above.sum()), claim.method
    if method == "hypergeometric" and items > len(above):  # the sample is a part of the batch
        accepted, method = (items, method) if above.all() else (accepted, "binomial")
    return Tried(value, accepted, wrong, whole, method)


def _reason(known: dict, claim: Claim) -> str:
    """Return why nothing may be accepted, of the test that came nearest."""
    tests = [test for test in known["tests"] if test["level"] > 0]
    if not known["items"]:
        return NO_ITEM
    if not tests:
        return NO_SCORE
    if not known["audited"]:
        return NO_AUDIT
    if not known["answered"]:
        return no_answer_said(known["audited"])
    nearest = min(tests, key=lambda test: test["p"] / test["level"])
    least = least_at(claim, 0, nearest["level"])
    if nearest["audited"] < least and not nearest["errors"]:
        return lacking_said(nearest["audited"], least, nearest["threshold"])
    return errors_said(nearest)
