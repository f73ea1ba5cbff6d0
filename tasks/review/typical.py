"""Typical items first: with few labels those that stand for many others teach most (TypiClust, Hacohen et al. 2022).

Items and what people have labelled are clustered, into as many clusters as there are labels and places in the queue; from the
largest cluster with the fewest labels the most typical item is taken, and so on. An item is typical as its twenty nearest of
the cluster are near.
"""

import importlib.util

import numpy as np

GRAM = 4  # bytes of text in a row
DIMENSIONS = 512  # of a vector of grams
READ = 2_000  # bytes of a text that are looked at
MOST_CLUSTERS = 500  # as published
ROUNDS = 5  # of k-means: clusters only have to be about even
NEAREST = 20  # as published
MOST_NEAR = 1_000  # of a cluster, among which the nearest are looked for
DIGITS = 4  # of a distance; the next ones differ between machines
ODD = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ / golden ratio: multiplying by it mixes the bits


def typical_first(vectors: np.ndarray, is_labelled: np.ndarray, places: int) -> np.ndarray:
    """Return the rows without a label, the most typical of the largest uncovered cluster first; rows come by item id."""
    clusters = int(min(is_labelled.sum() + places, MOST_CLUSTERS, len(vectors)))
    cluster = clustered(vectors, clusters)
    size, labels = (np.bincount(cluster[rows], minlength=clusters) for rows in (~is_labelled, is_labelled))
    rows = np.flatnonzero(~is_labelled)
    order = rows[np.lexsort((rows, -typicality(vectors, cluster)[rows], cluster[rows]))]
    start = np.cumsum(size) - size
    turn = np.arange(len(order)) - start[cluster[order]] + labels[cluster[order]]
    return order[np.lexsort((order, cluster[order], -size[cluster[order]], turn))]


def clustered(vectors: np.ndarray, clusters: int) -> np.ndarray:
    """Return the cluster of each vector by k-means; it begins with the first rows, which are random as item ids are."""
    centres = vectors[:clusters].copy()
    for _ in range(ROUNDS):
        cluster = _nearest(vectors, centres)
        order = np.argsort(cluster, kind="stable")
        held, first = np.unique(cluster[order], return_index=True)
        centres[held] = np.add.reduceat(vectors[order], first) / np.bincount(cluster)[held][:, None]
    return _nearest(vectors, centres)


def typicality(vectors: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Return how near each vector's nearest of its cluster are: one over their mean distance."""
    found = np.zeros(len(vectors))
    order = np.argsort(cluster, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(cluster[order])) + 1):
        some = rows[:MOST_NEAR]  # the others of a cluster that large are no less typical: they come after these
        square = 2 - 2 * (vectors[some] @ vectors[some].T) if len(some) > 1 else np.ones((1, 1))
        np.fill_diagonal(square, np.inf)
        nearest = min(NEAREST, max(len(some) - 1, 1))
        distance = np.sqrt(np.maximum(np.partition(square, nearest - 1, axis=1)[:, :nearest], 0)).mean(axis=1)
        found[some] = 1 / np.maximum(distance, 10.0**-DIGITS).round(DIGITS)
    return found


def gram_vectors(texts: list[str]) -> np.ndarray:
    """Return a unit vector for each text: its character grams, hashed, the rarer the heavier."""
    raw = [text.lower().encode(errors="replace")[:READ] for text in texts]
    owner = np.repeat(np.arange(len(raw)), [len(text) for text in raw])
    letters = np.frombuffer(b"".join(raw), np.uint8).astype(np.uint64)
    code = np.zeros(max(len(letters) - GRAM + 1, 0), np.uint64)
    for place in range(GRAM):
        code = (code << np.uint64(8)) | letters[place : place + len(code)]
    is_whole = owner[: len(code)] == owner[GRAM - 1 :]
    slot = ((code[is_whole] * ODD) >> np.uint64(55)).astype(np.int64)
    cell = np.unique(owner[: len(code)][is_whole] * DIMENSIONS + slot)
    found = np.zeros((len(raw), DIMENSIONS), np.float32)
    found.reshape(-1)[cell] = 1
    found *= np.log(1 + len(raw) / np.maximum(found.sum(axis=0), 1), dtype=np.float32)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


def sentence_vectors(texts: list[str]) -> np.ndarray | None:
    """Return the embedded model's unit vector of each text; None where it is not installed."""
    from tasks.annotator.embedded import minilm

    if any(importlib.util.find_spec(name) is None for name in (*minilm.ENGINE, minilm.WEIGHTS)):
        return None
    return np.stack([promise.result() for promise in minilm.encoder.promises(texts)])


def _nearest(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the place of the nearest centre; of two as near, up to rounding, the first."""
    return ((centres**2).sum(axis=1) / 2 - vectors @ centres.T).round(DIGITS).argmin(axis=1)
