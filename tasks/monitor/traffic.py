"""New traffic: the rows of a file that a model labelled, and why some of them count for nothing."""

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tasks.monitor.scored import STATISTICS, Scored, scored
from tasks.text import clean

PROFILE = "profile_"  # goes before the name of each statistic that has a column of its own
ROUNDING = 1e-6  # by which a share may lie outside 0–1, or shares miss 1


@dataclass(frozen=True)
class Columns:
    """What the columns of a file are called."""

    slice: str = "slice"
    group: str = ""
    text: str = "text"


def traffic(rows: Iterable[dict[str, Any]], columns: Columns, labels: set[str]) -> tuple[Scored, Counter[str]]:
    """Return the rows that a model labelled and was sure of by so much, and how many count for nothing, by reason.

    `labels` are those there are; where there are none, any label counts.
    """
    used, reasons = [], Counter[str]()
    for number, row in enumerate(rows):
        found = _row(row, columns, labels, number)
        if isinstance(found, str):
            reasons[found] += 1
        else:
            used.append(found)
    return scored(used), reasons


def _row(row: dict[str, Any], columns: Columns, labels: set[str], number: int) -> dict[str, Any] | str:
    """Return an item, or why the row is none."""
    if (status := row.get("status")) in ("abstained", "failed"):
        return status
    try:
        shares = _distribution(row.get("distribution"))
        score = max(shares.values()) if shares else _share(row.get("confidence"))
        profile = _profile(row)
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        return "bad_score"
    label = _text(row.get("label")) or (max(shares, key=lambda one: (shares[one], one)) if shares else "")
    if not label:
        return "no_label"
    if labels and label not in labels:
        return "unknown_label"
    if score is None:
        return "no_score"
    text = clean(_text(row.get(columns.text)))  # as the settled items are: white space must not tell them apart
    return {
        "label": label,
        "score": score,
        "entropy": -math.fsum(p * math.log(p) for p in shares.values() if p > 0) if shares else None,
        "profile": profile,
        "slice": _text(row.get(columns.slice)),
        "unit": _text(row.get(columns.group)) or text or f"row {number}",
        "text": text,
    }


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _share(value: Any) -> float | None:
    """Return a number from 0 to 1; None for an empty cell."""
    if value is None or value == "":
        return None
    share = float(value)
    if not -ROUNDING <= share <= 1 + ROUNDING:
        raise ValueError(value)
    return min(max(share, 0.0), 1.0)


def _distribution(value: Any) -> dict[str, float]:
    """Return the share of each label: of JSON text, of an object or of pairs; empty for an empty cell."""
    if value is None or value == "":
        return {}
    given = json.loads(value) if isinstance(value, str) else value
    shares = {str(label): _share(share) for label, share in (given.items() if isinstance(given, dict) else given)}
    if None in shares.values() or abs(math.fsum(shares.values()) - 1) > 1e-3:
        raise ValueError(value)
    return shares


def _profile(row: dict[str, Any]) -> dict[str, float] | None:
    """Return the eleven statistics of a row: of JSON text, an object, or columns of their own; None where one is missing."""
    value = row.get("profile") or {name: row.get(PROFILE + name) for name in STATISTICS}
    given = json.loads(value) if isinstance(value, str) else dict(value)
    if any(given.get(name) in (None, "") for name in STATISTICS):
        return None
    return {name: float(given[name]) for name in STATISTICS}
