"""Entropies of items' labels by several estimators, how they are spread, and what of models' lies between them."""

import math
from typing import NamedTuple

import duckdb
import numpy as np

from tasks.agreement.patterns import Patterns, rounded
from tasks.sql import keep, relation

BINS = 10  # of the histogram
MOST_JEFFREYS_LABELS = 5  # above, his prior would outweigh a few votes (shape_entropy.sql)


class Entropies(NamedTuple):
    """Entropy of every pattern in nats, as shape_entropy.sql tells the estimators apart."""

    plug_in: np.ndarray
    """Of the label shares."""
    miller_madow: np.ndarray
    """Corrected for the labels in use."""
    chao_shen: np.ndarray
    """Corrected for the labels not met."""
    dirichlet: np.ndarray
    """Posterior mean under a Dirichlet prior."""
    dirichlet_sd: np.ndarray
    """Its standard deviation."""


def entropies_of(connection: duckdb.DuckDBPyConnection, labels: list[str] | None) -> Entropies:
    """Return the entropies of every pattern, by number; keep them as `pattern_entropy`.

    The labels are those an item could have got; without them, those in use.
    """
    kinds = len(relation(connection, "label_set")) if labels is None else len(labels)
    # A number is safe as text, and binding one would import pandas.
    connection.execute(f"create or replace temp table label_count as select {kinds:d} as kinds")
    for table in ("pattern_shape", "shape_entropy", "pattern_entropy"):
        keep(connection, table)
    rows = connection.table("pattern_entropy").order("pattern").fetchnumpy()
    estimators = ("nats", "miller_madow_nats", "chao_shen_nats", "dirichlet_nats", "dirichlet_sd_nats")
    return Entropies(*(rows[f"entropy_{estimator}"] for estimator in estimators))


def spread(patterns: Patterns, entropies: Entropies, kinds: int) -> dict:
    """Return how the items' entropies are spread: their means, the unanimous share 0–1 and a histogram."""
    paired = patterns.where(patterns.ratings > 1)
    unanimous = int(paired.items[entropies.plug_in[paired.numbers] == 0].sum())
    return means(patterns, entropies, kinds) | {
        "prior": "jeffreys" if kinds <= MOST_JEFFREYS_LABELS else "perks",
        "unanimous_share": rounded(unanimous / int(paired.items.sum())) if len(paired.items) else None,
        "histogram": _histogram(patterns, entropies.plug_in, math.log(kinds) if kinds else 0.0),
    }


def means(patterns: Patterns, entropies: Entropies, kinds: int) -> dict:
    """Return the mean of each estimator over items, in nats and as a share 0–1 of ln `kinds`; null without items.

    mean_dirichlet_sd_nats is the standard deviation of mean_dirichlet_nats: of what few labels leave open about these
    items, not of which items were drawn.
    """
    plug_in, posterior = mean(patterns, entropies.plug_in), mean(patterns, entropies.dirichlet)
    items = int(patterns.items.sum())
    # Items are independent under the posterior, so variances add.
    variance = math.fsum(patterns.items * entropies.dirichlet_sd[patterns.numbers] ** 2)
    return {
        "mean_nats": plug_in,
        "mean_miller_madow_nats": mean(patterns, entropies.miller_madow),
        "mean_chao_shen_nats": mean(patterns, entropies.chao_shen),
        "mean_dirichlet_nats": posterior,
        "mean_dirichlet_sd_nats": rounded(math.sqrt(variance) / items) if items else None,
        "mean_normalised": _normalised(plug_in, kinds),
        "mean_dirichlet_normalised": _normalised(posterior, kinds),
    }


def mean(patterns: Patterns, figures: np.ndarray) -> float | None:
    """Return the mean over items; null without items."""
    items = int(patterns.items.sum())
    # fsum rounds once, so the order of the patterns cannot matter.
    return rounded(math.fsum(patterns.items * figures[patterns.numbers]) / items) if items else None


def decomposition(connection: duckdb.DuckDBPyConnection) -> dict:
    """Return means over the items of `vote` that two machines or more gave distributions for; null without such items.

    mean_nats, the entropy of the machines' mean distribution, is mean_shared_nats + mean_disagreement_nats, and
    disagreement_share (0–1) what the latter is of it.
    """
    rows = relation(connection, "item_decomposition").select("entropy_nats", "shared_nats", "disagreement_nats")
    figures = rows.fetchnumpy()
    whole, shared, between = map(_mean, figures.values())
    return {
        "items": len(figures["entropy_nats"]),
        "mean_nats": whole,
        "mean_shared_nats": shared,
        "mean_disagreement_nats": between,
        "disagreement_share": rounded(between / whole) if whole else None,
    }


def _mean(figures: np.ndarray) -> float | None:
    return rounded(math.fsum(figures) / len(figures)) if len(figures) else None


def _normalised(entropy: float | None, kinds: int) -> float | None:
    return rounded(entropy / math.log(kinds)) if entropy is not None and kinds > 1 else None


def _histogram(patterns: Patterns, entropies: np.ndarray, most: float) -> list[dict]:
    """Return items by entropy, in equal bins up to the highest there can be."""
    if not most:
        return []
    # The nudge puts an entropy that is a bin's end up to rounding into the bin it begins.
    place = np.minimum(np.floor(entropies[patterns.numbers] / most * BINS + 1e-9), BINS - 1).astype(int)
    items = np.bincount(place, patterns.items, minlength=BINS)
    ends = [rounded(most * end / BINS) for end in range(BINS + 1)]
    return [{"low": ends[n], "high": ends[n + 1], "items": int(items[n])} for n in range(BINS)]
