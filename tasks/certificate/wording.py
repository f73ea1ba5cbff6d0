"""What a certificate says, in words."""

from tasks.certificate.claim import Claim, Found

NO_ITEM = "there is no label to accept"
NO_SCORE = "no label has a score"
NO_AUDIT = "none was drawn for people to audit"
TESTS = {
    "binomial": "exact binomial test",
    "hypergeometric": "exact hypergeometric test",
    "stream": "test that may be looked at on any night",
}
ABOUT = {
    "binomial": "This is about the source that the audited ones were drawn from, these labels being a part of it.",
    "hypergeometric": "This is about these labels and no others.",
    "stream": "This is about the stream that they come from, on every night at once.",
}
MEANT = "Audited ones are among them, as they were before any correction; wrong is what differs from the audit's label."


def no_answer_said(drawn: int) -> str:
    return f"none of the {drawn:,} drawn has an answer that people agree on, and those count as wrong until they have"


def lacking_said(audited: int, least: int, threshold: float | None = None) -> str:
    """Return how many audits are missing, in all or above a threshold."""
    above = "" if threshold is None else f" with a score of {score(threshold)} or more"
    return f"{_labels(audited)} audited{above}, {least:,} needed even without an error: {least - audited:,} lacking"


def errors_said(test: dict) -> str:
    """Return how many were wrong above a threshold."""
    were = "was" if test["errors"] == 1 else "were"
    return (
        f"of {_labels(test['audited'])} audited with a score of {score(test['threshold'])} or more {test['errors']:,} {were}"
        f" wrong, too many to promise it (p = {test['p']:.2g}, where {test['level']:.2g} would do)"
    )


def statement(claim: Claim, found: Found, slice: str | None = None) -> str:
    """Return what is promised with the counts it rests on, or why nothing is."""
    where = "" if slice is None else f"In slice {slice}: "
    promise = f"at most {percent(claim.max_error)} are wrong, with {percent(claim.confidence)} confidence"
    if found.threshold is None:
        return f"{where}No label may be accepted without a person: {found.reason}."
    if found.slices > 1:
        promise += f" for all {found.slices} slices at once"
    of = f"Of the {_labels(found.accepted)} accepted without a person ({_from(found, claim)})"
    return " ".join([f"{where}{of}, {promise}: {_counts(found)} ({TESTS[found.method]}).", ABOUT[found.method], MEANT])


def _from(found: Found, claim: Claim) -> str:
    """Return which labels are accepted."""
    if found.accepted == found.items:
        return "all of them, whatever their score"
    # a binomial test is made of a batch where the table is a part of it
    whole = "the table" if found.method != claim.method else f"{found.items:,}"
    return f"score {score(found.threshold)} or more, {100 * found.accepted_share:.1f} % of {whole}"


def statement_of_slices(claim: Claim, kept: int, slices: int) -> str:
    """Return what is promised of the slices of which any label is accepted, all at once."""
    return (
        f"In each of {kept:,} of {slices:,} slices at most {percent(claim.max_error)} of the labels accepted without a person"
        f" are wrong, with {percent(claim.confidence)} confidence for all of them at once ({TESTS[claim.method]})."
        f" {ABOUT[claim.method]} {MEANT}"
    )


def _counts(found: Found) -> str:
    were = "was" if found.audited_accepted == 1 else "were"
    wrong = f"{found.errors_accepted:,} wrong" if found.errors_accepted else "none wrong"
    pending = found.audited - found.answered
    unanswered = f" ({pending:,} of all drawn not answered yet, which count as wrong)" if pending else ""
    return f"{found.audited_accepted:,} of them {were} drawn at random and audited, {wrong}{unanswered}"


def percent(share: float) -> str:
    """Return a share as a percentage, as exact as it was given."""
    return f"{100 * share:.10g} %"


def score(value: float) -> str:
    """Return a score in words."""
    return f"{value:.6g}"


def _labels(count: int) -> str:
    return f"{count:,} label" + ("" if count == 1 else "s")
