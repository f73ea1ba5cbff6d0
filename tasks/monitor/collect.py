"""Where people's labels would tell most: how many a slice needs, and what they should buy."""

from typing import Any

from tasks.agreement.share import wilson
from tasks.monitor.resampled import rounded

TARGET = 0.05  # half-width of a 95 % interval that is aimed at
NOTHING_KNOWN = 0.5  # half-width of [0, 1]; and the accuracy that takes most labels to tell


def half_width(accuracy: float, labels: int) -> float:
    """Return half the 95 % interval of a share seen on so many labels."""
    if not labels:
        return NOTHING_KNOWN
    seen = wilson(accuracy * labels, labels)
    return (seen["high"] - seen["low"]) / 2


def labels_needed(accuracy: float, target: float = TARGET) -> int:
    """Return the fewest labels whose interval is no wider than the target to either side."""
    low, high = 0, 1
    while half_width(accuracy, high) > target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if half_width(accuracy, middle) > target else (low, middle)
    return high


def collect(slices: dict[str | None, dict[str, Any]], to_certify: int | None) -> list[dict[str, Any]]:
    """Return one row per slice, those first that gain most per label: items × the half-width taken off, over labels.

    Where new items are no longer like the settled ones, labels of the latter count for nothing. Then nothing is known of
    the slice's accuracy, and the number is for the worst case.
    """
    rows = [_row(name, one, to_certify) for name, one in slices.items()]
    return sorted(rows, key=lambda row: (-row["gain_per_label"], row["slice"] or ""))


def _row(name: str | None, one: dict[str, Any], to_certify: int | None) -> dict[str, Any]:
    counts = one["reason"] in (None, "too_few")
    held = one["reference"]["items"] if counts else 0
    accuracy = (one["reference"]["accuracy"] * held + 1) / (held + 2) if held else NOTHING_KNOWN
    now = half_width(accuracy, held)
    labels = min(max(labels_needed(accuracy) - held, 0), one["items"])
    after = half_width(accuracy, held + labels)
    return {
        "slice": name,
        "items": one["items"],
        "labelled": held,
        "half_width": rounded(now) if held else None,
        "labels": labels,
        "expected_half_width": rounded(after),
        "gain_per_label": rounded(one["items"] * (now - after) / labels) if labels else 0.0,
        "labels_to_certify": to_certify,
    }
