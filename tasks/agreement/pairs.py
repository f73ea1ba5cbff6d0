"""Agreement of each pair of annotators, on the items both have labelled."""

from collections.abc import Callable, Iterator
from functools import lru_cache

import duckdb
import numpy as np

from tasks.agreement.distance import RANKED, scores_of
from tasks.agreement.intervals import ONE_LABEL, estimate
from tasks.agreement.patterns import REPLICATES, SEED
from tasks.agreement.sample import product
from tasks.sql import relation

STREAM = 8_192  # draws of one mean, of which each cell reads 1,000 from a place of its own
STREAMS_KEPT = 1_024  # means whose draws are kept: 33 MB


Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From labels to labels, by their places."""


def pairs(connection: duckdb.DuckDBPyConnection, labels: list[str], metric: str = "nominal") -> list[dict]:
    """Return, per pair of annotators by name, shared items, percent and Cohen's kappas; `count` has been run."""
    rows = relation(connection, "pair_label").fetchnumpy()
    place = {label: code for code, label in enumerate(labels)}
    for column in ("label_a", "label_b"):
        rows[column] = np.fromiter((place[label] for label in rows[column]), dtype=np.int64, count=len(rows[column]))
    distances = _distances(labels, metric)
    return [_pair(pair, distances) for pair in _apart(rows)]


def _distances(labels: list[str], metric: str) -> dict[str, Distance]:
    """Return by how much labels differ under each kappa."""
    distances: dict[str, Distance] = {"cohen_kappa": np.not_equal}
    if metric in RANKED:
        scores = scores_of(labels, metric)
        distances["cohen_kappa_linear"] = lambda ones, others: np.abs(scores[ones] - scores[others])
        distances["cohen_kappa_quadratic"] = lambda ones, others: (scores[ones] - scores[others]) ** 2
    return distances


def _apart(rows: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """Yield the rows of each pair."""
    ones, others = rows["annotator_a"], rows["annotator_b"]
    starts = np.flatnonzero((ones[1:] != ones[:-1]) | (others[1:] != others[:-1])) + 1
    for first, last in zip([0, *starts], [*starts, len(ones)], strict=True):
        if first < last:
            yield {name: column[first:last] for name, column in rows.items()}


def _pair(rows: dict[str, np.ndarray], distances: dict[str, Distance]) -> dict:
    """Return the figures of one pair."""
    items = int(rows["items"].sum())
    draws = _draws(rows["label_pairs"] * (items / rows["label_pairs"].sum()), rows["cell"])
    percent, kappas = _agreement(rows["label_a"], rows["label_b"], draws, list(distances.values()))
    figures = {"percent": percent} | dict(zip(distances, kappas, strict=True))
    names = {"annotator_a": rows["annotator_a"][0], "annotator_b": rows["annotator_b"][0], "items": items}
    return names | {name: estimate(one, items, "item", undefined=ONE_LABEL) for name, one in figures.items()}


def _agreement(
    ones: np.ndarray, others: np.ndarray, draws: np.ndarray, distances: list[Distance]
) -> tuple[np.ndarray, np.ndarray]:
    """Return percent, and 1 - observed / expected difference by each distance (Cohen 1960, 1968), of every draw."""
    (one_labels, left), (other_labels, right) = _uses(ones, draws), _uses(others, draws)
    apart = np.stack([distance(ones, others) for distance in distances], axis=1)
    observed = product(apart.astype(float), draws, draws.max(axis=1))
    far = np.concatenate([distance(one_labels[:, None], other_labels) for distance in distances])
    expected = product(far.T.astype(float), right, right.max(axis=1)).reshape(len(distances), *left.shape)
    expected, items = (expected * left).sum(axis=1), draws.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return 1 - observed[0] / items, 1 - items * observed / np.where(expected > 0, expected, np.nan)


def _uses(said: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what one annotator said, and how often in every draw."""
    labels, place = np.unique(said, return_inverse=True)
    return labels, (place == np.arange(len(labels))[:, None]).astype(float) @ draws


def _draws(means: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return cells × (the sample itself, then its replicates), Poisson, the same for a cell wherever it is met."""
    draws = np.empty((len(means), 1 + REPLICATES))
    draws[:, 0] = means
    places = (cells % np.uint64(STREAM - REPLICATES)).astype(int)
    for row, mean, place in zip(draws, means.tolist(), places.tolist(), strict=True):
        row[1:] = _stream(mean)[place : place + REPLICATES]
    return draws


@lru_cache(maxsize=STREAMS_KEPT)
def _stream(mean: float) -> np.ndarray:
    """Return draws of a Poisson mean, seeded by it."""
    # A generator per cell would cost more than all its draws; cells that read other places are as good as independent.
    stream = np.random.Generator(np.random.Philox(key=[int(np.float64(mean).view(np.uint64)), SEED]))
    return stream.poisson(mean, STREAM).astype(np.int32)
