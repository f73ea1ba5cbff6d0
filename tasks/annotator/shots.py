"""Few-shot examples: the people's labels a model is shown before it labels an item."""

from collections import defaultdict

import numpy as np
import polars as pl

CHUNK = 2048  # items compared with the pool at once: with a pool of 5,000, some 40 MB of cosines
OTHER_CONTEXT = 4.0  # taken off the cosine of another context's example, so that it comes after all of its own
DIGITS = 6  # of a cosine; the next ones differ between machines, and ties are to be settled by id


def nearest(
    items: pl.DataFrame, pool: pl.DataFrame, vectors: dict[str, np.ndarray], near: set[frozenset[str]], shots: int
) -> dict[str, list[str]]:
    """Return, for each item, the ids of the pool's nearest items by text, the nearest last: right before the question.

    Those of the item's own context come nearer than any other. Never among them are the item itself, its group and its
    near-duplicates (`near`, pairs of ids), so there may be fewer than `shots`. Equal cosines go by id.
    Labels are not looked at: balancing them was tried, and made answers worse.
    """
    pool = pool.sort("item_id")
    chosen = {item_id: [] for item_id in items["item_id"]}
    if pool.is_empty() or shots < 1:
        return chosen
    twins = near_ids(near)
    ids, pool_vectors = pool["item_id"].to_list(), stacked(pool, vectors)
    for some in items.iter_slices(CHUNK):
        score = (stacked(some, vectors) @ pool_vectors.T).round(DIGITS)
        score -= OTHER_CONTEXT * ~same(some["context"], pool["context"])
        score[forbidden(some, pool, twins)] = -np.inf
        for row, column in farthest_first(score, shots):
            chosen[some["item_id"][row]].append(ids[column])
    return chosen


def stacked(items: pl.DataFrame, vectors: dict[str, np.ndarray]) -> np.ndarray:
    return np.array([vectors[text] for text in items["text"]], np.float32)


def same(left: pl.Series, right: pl.Series) -> np.ndarray:
    """Return where a value of the left equals one of the right, left by right; a null equals nothing."""
    codes = pl.concat([left, right]).cast(pl.String).rank("dense").cast(pl.Int64)
    return codes[: len(left)].fill_null(0).to_numpy()[:, None] == codes[len(left) :].fill_null(-1).to_numpy()[None, :]


def forbidden(items: pl.DataFrame, pool: pl.DataFrame, twins: dict[str, set[str]]) -> np.ndarray:
    """Return which examples would give an item's own label away, items by pool."""
    own = same(items["item_id"], pool["item_id"]) | same(items["group_id"], pool["group_id"])
    column = {item_id: place for place, item_id in enumerate(pool["item_id"])}
    for row, item_id in enumerate(items["item_id"]):
        own[row, [column[twin] for twin in twins.get(item_id, ()) if twin in column]] = True
    return own


def near_ids(near: set[frozenset[str]]) -> dict[str, set[str]]:
    twins = defaultdict(set)
    for pair in near:
        for item_id in pair:
            twins[item_id] |= pair
    return twins


def farthest_first(score: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Return row and column of each row's highest finite scores, rising within the row; of equals the first column."""
    most = min(most, score.shape[1])
    least = np.partition(score, -most, axis=1)[:, -most]
    row, column = np.nonzero((score >= least[:, None]) & np.isfinite(score))  # ties at the edge may make them too many
    order = np.lexsort((column, -score[row, column], row))
    row, column = row[order], column[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    kept = rank < most
    return list(zip(row[kept].tolist(), column[kept].tolist(), strict=True))[::-1]
