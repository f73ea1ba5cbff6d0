"""Entropies of patterns, and how those of the items are spread."""

import math

import duckdb
import numpy as np

from tasks.agreement.patterns import Patterns, rounded
from tasks.sql import keep

BINS = 10  # of the histogram


def entropies_of(connection: duckdb.DuckDBPyConnection, labels: list[str] | None) -> tuple[np.ndarray, np.ndarray]:
    """Return plug-in entropy and posterior mean of every pattern, in nats."""
    if labels is None:
        keep(connection, "label_set")
    else:
        keep(connection, "label_set", "given_label_set", labels=labels)
    rows = keep(connection, "pattern_entropy").order("pattern").fetchnumpy()
    return rows["entropy_nats"], rows["entropy_jeffreys_nats"]


def spread(patterns: Patterns, entropies: tuple[np.ndarray, np.ndarray], kinds: int) -> dict:
    """Return how the items' entropies are spread."""
    centre, most = mean(patterns, entropies[0]), math.log(kinds) if kinds else 0.0
    paired = patterns.where(patterns.ratings > 1)
    unanimous = int(paired.items[entropies[0][paired.numbers] == 0].sum())
    return {
        "mean_nats": centre,
        "mean_jeffreys_nats": mean(patterns, entropies[1]),
        "mean_normalised": rounded(centre / most) if centre is not None and most else None,
        "prior": "jeffreys" if kinds <= 5 else "perks",
        "unanimous_share": rounded(unanimous / int(paired.items.sum())) if len(paired.items) else None,
        "histogram": _histogram(patterns, entropies[0], most),
    }


def mean(patterns: Patterns, figures: np.ndarray) -> float | None:
    """Return the mean over items; null without items."""
    items = int(patterns.items.sum())
    # fsum rounds once, so the order of the patterns cannot matter.
    return rounded(math.fsum(patterns.items * figures[patterns.numbers]) / items) if items else None


def _histogram(patterns: Patterns, entropies: np.ndarray, most: float) -> list[dict]:
    """Return items by entropy, in equal bins up to the highest there can be."""
    if not most:
        return []
    # The nudge puts an entropy that is a bin's end up to rounding into the bin it begins.
    place = np.minimum(np.floor(entropies[patterns.numbers] / most * BINS + 1e-9), BINS - 1).astype(int)
    items = np.bincount(place, patterns.items, minlength=BINS)
    ends = [rounded(most * end / BINS) for end in range(BINS + 1)]
    return [{"low": ends[n], "high": ends[n + 1], "items": int(items[n])} for n in range(BINS)]
