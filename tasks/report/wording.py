"""Figures and names in the words of a page."""

import re
from collections.abc import Mapping
from typing import Any

from tasks.report.whole import Evidence

# Words for the reasons and names that the line gives; anything else is shown as it is.
WORDS = {
    "bad_json": "not valid JSON",
    "bad_encoding": "not valid UTF-8",
    "empty_text": "empty text",
    "too_short": "too short",
    "too_long": "too long",
    "same_answers": "both answers the same",
    "wrong_language": "another language",
    "missing_field": "a field is missing",
    "tie": "a tie",
    "too_few_labels": "too few labels",
    "no_labels": "no labels",
    "low_posterior": "people disagree",
    "bridges_splits": "near two splits",
    "train": "Train",
    "validation": "Validation",
    "test": "Test",
    "human": "Settled by people",
    "accepted": "Accepted from a model",
    "review": "In review",
    "unresolved": "Unresolved",
}


def count(number: float | None) -> str:
    """Return a count with thousands separators; a dash where there is none."""
    return "–" if number is None else f"{number:,.0f}"


def share(number: float | None) -> str:
    """Return a share as a percentage in tenths, never rounded up to all or down to none."""
    if number is None:
        return "–"
    text = f"{100 * number:.1f}"
    rounded_away = {"100.0": "> 99.9" if number < 1 else "100", "0.0": "< 0.1" if number > 0 else "0"}
    return f"{rounded_away.get(text, text)} %"


def coefficient(number: float | None) -> str:
    """Return a coefficient in three digits, with a minus sign that is one."""
    return "undefined" if number is None else f"{number:.3f}".replace("-", "−")


def span(estimate: Evidence) -> str:
    """Return the interval of an estimate; nothing where it has none."""
    low, high = estimate["low"], estimate["high"]
    if low is None or high is None:
        return ""
    return f"{coefficient(low)} to {coefficient(high)}" if low < 0 else f"{low:.3f}–{high:.3f}"


def nats(number: float | None) -> str:
    """Return an entropy in nats."""
    return "–" if number is None else f"{number:.3f} nats"


def usd(number: float | None) -> str:
    """Return US dollars: cents, or three digits of less than a cent."""
    if number is None:
        return "not known"
    return f"${number:,.2f}" if number == 0 or number >= 0.01 else f"${number:.3g}"


def size(number: float | None) -> str:
    """Return a number of bytes in the unit that keeps it short."""
    if number is None:
        return "–"
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= least:
            return f"{number / least:.1f} {unit}"
    return f"{number:.0f} bytes"


def words(name: str) -> str:
    """Return the words for a reason or a status that the line gives; another name as it is."""
    return WORDS.get(name, name)


def brief(text: str, longest: int = 64) -> str:
    """Return a name that is no longer than its place."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def plural(number: float | None, one: str, many: str | None = None) -> str:
    """Return a count with its noun."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def certified(certificate: Mapping[str, Any]) -> list[str]:
    """Return what is certified, or why nothing is, and what waits for people; nothing where nothing may be accepted."""
    if "claim" not in certificate:
        return []
    said = [certificate["statement"] or certificate["reason"]]
    if certificate["statement"] and "published" in certificate:
        said.append(
            f"{count(certificate['published'])} of them are settled by the model's label; of the others people have spoken"
        )
    if left := certificate.get("drawn", 0) - certificate.get("audited", 0):
        said.append(
            f"{plural(left, 'audit')} without an answer: `assay queue` hands them out, `assay import` takes answers"
        )
    return said


def observed(value: Any) -> str:
    """Return what a check saw, short enough to stand in a table."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    text = f"{value:.4g}".replace("-", "−") if isinstance(value, float) else _listed(value)
    return brief(text, 160)


def _listed(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {observed(inner)}" for name, inner in value.items())
    return ", ".join(map(observed, value)) if isinstance(value, list) else str(value)


def md(value: Any) -> str:
    """Return text that Markdown prints as it is: every character it could read as markup becomes a reference."""
    text = re.sub(r":(?=\S)|[!\"#$&*<>@\[\\\]^`{|}~]|(?<![^\W_])_|_(?![^\W_])", _reference, str(value))
    text = re.sub(r"(?i)\bwww\.", "www&#46;", text)  # the one link that needs no colon
    return re.sub(r"^([-+=]|\d+[.)](?=\s|$))", lambda start: start[0][:-1] + f"&#{ord(start[0][-1])};", text)


def _reference(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"
