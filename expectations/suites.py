"""All suites of a curation, in the order of the line."""

from schemas.curation import Curation


def suites(curation: Curation) -> list:
    """Return the suites the gate judges a release by; importing Great Expectations takes seconds, so only here."""
    from expectations import annotation, consensus, item, split

    return [
        item.item(curation),
        item.source(curation),
        annotation.annotation(curation),
        annotation.agreement(curation),
        consensus.consensus(curation),
        consensus.coverage(curation),
        split.split(curation),
        split.leakage(curation),
    ]
