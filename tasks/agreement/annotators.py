"""What each annotator says, and how often the others agree."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

from tasks.agreement.patterns import rounded
from tasks.agreement.share import wilson


class Said(NamedTuple):
    """How an annotator used a label; one row of the relation `annotator`."""

    annotator_id: str
    label: str
    annotations: int
    answered: int
    """Of these, on items that others labelled too."""
    pairs: int
    """Labels of others beside them."""
    agreeing: int
    """Of these, the same label."""
    pairs_squared: int
    pairs_agreeing: int
    agreeing_squared: int
    """Sums of squares and products over the annotator's labels."""
    repeats: int
    """The annotator's labels beyond the first on an item, whatever the label."""


def by_annotator(said: Iterable[Said], labels: list[str]) -> list[dict[str, Any]]:
    """Return one entry per annotator, in the order of their names."""
    by_name = groupby(said, key=lambda row: row.annotator_id)
    return [_annotator(name, list(rows), labels) for name, rows in by_name]


def _annotator(name: str, rows: list[Said], labels: list[str]) -> dict[str, Any]:
    total = _total(rows)
    agreement = _agreement(total)
    return {
        "annotator_id": name,
        "annotations": total.annotations,
        "items": total.annotations - rows[0].repeats,
        "agreement_with_others": agreement["value"],
        "low": agreement["low"],
        "high": agreement["high"],
        "labels": dict.fromkeys(labels, 0) | {row.label: row.annotations for row in rows},
    }


def against_people(said: Iterable[Said]) -> list[dict[str, Any]]:
    """Return one entry per machine: its labels on items that people labelled, and the share of theirs that agree."""
    totals = [_total(list(rows)) for _, rows in groupby(said, key=lambda row: row.annotator_id)]
    return [
        {"annotator_id": total.annotator_id, "annotations": total.annotations}
        | {name: _agreement(total)[name] for name in ("value", "low", "high")}
        for total in totals
    ]


def _total(rows: list[Said]) -> Said:
    """Return an annotator's rows added up over the labels."""
    return Said(rows[0].annotator_id, "", *(sum(column) for column in zip(*(row[2:] for row in rows), strict=True)))


def _agreement(said: Said) -> dict[str, Any]:
    """Return the share of others' labels that agree, with its 95 % interval; items vary, not the pairs on them."""
    if not said.pairs:
        return wilson(0, 0)
    share, n = said.agreeing / said.pairs, said.answered
    # Variance of a ratio of sums (Cochran 1977, 6.3); where all or none agree it is 0 and says nothing.
    spread = said.agreeing_squared - 2 * share * said.pairs_agreeing + share**2 * said.pairs_squared
    variance = spread / said.pairs**2 * n / max(n - 1, 1)
    effective = n if n < 2 or variance <= 0 else min(share * (1 - share) / variance, said.pairs)
    return wilson(share * effective, effective) | {"value": rounded(share)}
