"""All suites of a curation, in the order of the line: those that ship, then its own, with the policies it sets."""

import difflib
from pathlib import Path
from typing import Any

from expectations import annotation, consensus, item, release, split
from expectations.own import try_out
from schemas.curation import Curation
from schemas.errors import RequestError
from schemas.promise import Promise, Suite, own_suites


def suites(curation: Curation, folder: Path) -> list[Suite]:
    """Return the suites the gate judges a release by; raise RequestError where one of the curation's own is wrong."""
    shipped = [
        item.item(curation),
        item.source(curation),
        annotation.annotation(curation),
        annotation.agreement(curation),
        consensus.consensus(curation),
        consensus.coverage(curation),
        release.certificate(curation),
        split.split(curation),
        split.leakage(curation),
        split.balance(curation),
        split.slices(curation),
        release.parent(curation),
        release.cost(curation),
        release.file(curation),
    ]
    own = own_suites(curation, folder)
    promised = _with_policies([*shipped, *own.values()], curation)
    try_out(dict(zip(own, promised[len(shipped) :], strict=True)), taken={suite.suite for suite in shipped})
    return [suite for suite in promised if suite.promises]


def expected(promised: list[Suite]) -> list[Any]:
    """Return suites as Great Expectations has them; importing it takes seconds, so only here."""
    from expectations.expected import as_expectations

    return [as_expectations(suite) for suite in promised]


def _with_policies(promised: list[Suite], curation: Curation) -> list[Suite]:
    """Return the suites, each promise with the policy that the curation sets for its name."""
    named = {f"{suite.suite}.{promise.name}": (suite, promise) for suite in promised for promise in suite.promises}
    policy = curation.gates.policy
    for name, does in policy.items():
        if name not in named:
            raise RequestError(f"gates.policy: there is no promise {name!r}{_nearest(name, sorted(named))}")
        if does == "drop" and not named[name][0].can_drop(named[name][1]):
            raise RequestError(f"gates.policy: {name} cannot drop: it is not about single rows of examples")

    def told(suite: Suite, promise: Promise) -> Promise:
        return promise.model_copy(update={"policy": policy.get(f"{suite.suite}.{promise.name}", promise.policy)})

    return [
        suite.model_copy(update={"promises": tuple(told(suite, promise) for promise in suite.promises)})
        for suite in promised
    ]


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {near[0]}?" if near else f"; its suites are {_suites(known)}"


def _suites(known: list[str]) -> str:
    return ", ".join(sorted({name.partition(".")[0] for name in known}))
