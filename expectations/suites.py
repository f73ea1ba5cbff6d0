"""All suites of a curation, in the order of the line."""

from hashlib import sha256
from pathlib import Path

from schemas.curation import Curation


def sources_digest() -> str:
    """Return the sha256 of the suites' source files: a promise that changes makes another content."""
    digest = sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


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
