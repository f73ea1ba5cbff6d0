"""The content of a release: a digest of everything its bytes depend on."""

from hashlib import sha256

from schemas.promise import own_suites
from schemas.run import Run
from tasks.annotator.version import guidelines
from tasks.known import known
from tasks.release.code import code_version
from tasks.sql import relation
from tasks.text import canonical

_BATCH = 100_000
# How models are asked and what they may cost: the replies, whose tokens and cost are facts, tell what came of it.
_ASKED = {"concurrency", "requests_per_minute", "tokens_per_minute", "api_key_env", "batch", "price", "service_tier"}
_HOW = {
    "release": {"path", "targets", "keep", "approval", "approval_hours"},
    "budget": True,
    "annotators": {"__all__": _ASKED},
}


def content_id(run: Run, versions: dict[str, str]) -> str:
    """Return the sha256 of curation, guidelines, code (suites too) and the facts used; no clock, run or path is in it."""
    settings = {
        "curation": run.curation.model_dump(mode="json", exclude=_HOW),
        "guidelines": guidelines(run.curation.labels, run.folder),
        "annotators": versions,
        "code": code_version(),
    }
    if run.curation.gates.suites:
        settings["suites"] = [suite.model_dump(mode="json") for suite in own_suites(run.curation, run.folder).values()]
    digest = sha256(canonical(settings).encode())
    facts = relation(known(run, versions), "fact_used")
    while rows := facts.fetchmany(_BATCH):
        digest.update("\n".join(fact for (fact,) in rows).encode())
    return digest.hexdigest()
