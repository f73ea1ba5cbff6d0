"""Which slices are worth a test, by the size of their audits alone: those too small for any certificate cost the others nothing."""

from dataclasses import replace

import numpy as np

from tasks.certificate.claim import Claim, Found, Grid, Sample
from tasks.certificate.evidence import binomial_p, hypergeometric_p
from tasks.certificate.grid import least_audits, thresholds
from tasks.certificate.search import certify
from tasks.certificate.wording import lacking_said


def certify_slices(samples: dict[str, Sample], claim: Claim) -> dict[str, Found]:
    """Return what the audit proves of each slice, of all of them at once; for a claim that is looked at once.

    Audits are drawn without regard to answers, so which slices are tested may depend on how many each has.
    """
    tested = testable(samples, claim)
    return {
        name: _certified(sample, claim, len(tested)) if name in tested else _lacking(sample, claim, len(tested) + 1)
        for name, sample in samples.items()
    }


def testable(samples: dict[str, Sample], claim: Claim) -> set[str]:
    """Return the most slices that can all be certified if no audit finds an error, those with most audits."""
    names = list(samples)
    items = np.array([len(sample.score) for sample in samples.values()])
    audited = np.array([int((sample.place > 0).sum()) for sample in samples.values()])
    none = np.zeros_like(audited)
    if claim.method == "hypergeometric":
        p = hypergeometric_p(none, audited, items, claim.max_error)
    else:
        p = binomial_p(none, audited, claim.max_error)
    order = np.argsort(p, kind="stable")
    most = [count for count in range(1, len(names) + 1) if p[order[count - 1]] <= claim.delta / count]
    return {names[place] for place in order[: most[-1] if most else 0]}


def _certified(sample: Sample, claim: Claim, slices: int) -> Found:
    grid = thresholds(sample.score, claim, int((sample.place > 0).sum()), slices)
    return certify(sample, grid, claim, slices=slices)


def _lacking(sample: Sample, claim: Claim, slices: int) -> Found:
    found = certify(sample, Grid((), ()), claim, slices=slices)
    return replace(found, reason=lacking_said(found.audited, least_audits(claim, 0, slices)))
