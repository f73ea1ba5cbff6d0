"""A version: the digest of everything that decides what a model says of an item."""

from hashlib import sha256
from pathlib import Path

from schemas.curation import Labels, LLMAnnotator
from schemas.errors import RequestError
from tasks.annotator import chat, planted, prompt
from tasks.text import canonical


def guidelines(labels: Labels, folder: Path) -> str:
    """Return the text of the guidelines, empty where the curation names none; raise RequestError if unreadable."""
    if not labels.guidelines:
        return ""
    try:
        return (folder / labels.guidelines).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise RequestError(f"labels.guidelines: {labels.guidelines} cannot be read as UTF-8 text") from None


def guideline_version(text: str) -> str:
    """Return the first 16 hex digits of the guidelines' sha256, or `none` where there are none."""
    return sha256(text.encode()).hexdigest()[:16] if text else "none"


def version(annotator: LLMAnnotator, labels: Labels, guideline_text: str, pool: str | None) -> str:
    """Return 16 hex digits: model, parameters, prompt template, label texts, guidelines and shots, and nothing else.

    Where and at what price it is asked is no part of it, nor what is made of its answers later.
    """
    request = chat.request(annotator, [], prompt.answer_format(annotator, list(labels.shown)))
    request.pop("service_tier", None)
    parts = {
        "request": request,
        "samples": annotator.samples,
        "api": annotator.api,
        "prompt": prompt.version(annotator.prompt, labels.kind),
        "template": prompt.template(prompt.version(annotator.prompt, labels.kind)),
        "labels": list(labels.values.items()),
        "guidelines": guideline_text,
        "shots": [annotator.select, annotator.shots, planted.VERSION] if pool else None,
        "pool": pool,
    }
    if labels.kind != "choice":
        parts["kind"] = labels.kind
    return sha256(canonical(parts).encode()).hexdigest()[:16]
