"""Few-shot examples: the people's labels a model is shown before it labels an item."""

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import polars as pl

from tasks.annotator.planted import is_planted

CHUNK = 2048  # items compared with the pool at once: with a pool of 5,000, some 40 MB of cosines
OTHER_CONTEXT = 4.0  # taken off the cosine of another context's example, so that it comes after all of its own
DIGITS = 6  # of a cosine; the next ones differ between machines, and ties are to be settled by id
LIKENESS = 0.5  # what nearness to the item counts beside unlikeness to the examples already taken
CANDIDATES = 4  # times as many nearest examples as are shown, among which the diverse ones are found

Shown = list[tuple[int, int]]


def chosen(
    select: str,
    items: pl.DataFrame,
    pool: pl.DataFrame,
    vectors: dict[str, np.ndarray],
    near: set[frozenset[str]],
    shots: int,
) -> dict[str, list[str]]:
    """Return, for each item, the ids of the pool's examples to show with it, the nearest last: before the question.

    `select` is how: nearest, diverse, balanced or fixed (schemas.curation.LLMAnnotator). Those of the item's own
    context come nearer than any other. Never among them are the item itself, its group and its near-duplicates
    (`near`, pairs of ids), nor an example that speaks to its annotator, so there may be fewer than `shots`. What is
    equal goes by id. `vectors` are of the texts of items and pool; `fixed` needs none.
    """
    pool = pool.filter([not (is_planted(text) or is_planted(context)) for text, context in
                        zip(pool["text"], pool["context"], strict=True)]).sort("item_id")  # fmt: skip
    shown: dict[str, list[str]] = {item_id: [] for item_id in items["item_id"]}
    if pool.is_empty() or shots < 1:
        return shown
    ids, labels, twins = pool["item_id"].to_list(), pool["label"].to_list(), near_ids(near)
    if select == "fixed":
        return _fixed(items, pool, twins, in_turn(labels)[:shots])
    pool_vectors = stacked(pool, vectors)
    ways: dict[str, Callable[[np.ndarray], Shown]] = {
        "nearest": lambda score: farthest_first(score, shots),
        "diverse": lambda score: diverse(score, pool_vectors, shots),
        "balanced": lambda score: balanced(score, labels, shots),
    }
    for some in items.iter_slices(CHUNK):
        score = (stacked(some, vectors) @ pool_vectors.T).round(DIGITS)
        score -= OTHER_CONTEXT * ~same(some["context"], pool["context"])
        score[forbidden(some, pool, twins)] = -np.inf
        for row, column in ways[select](score):
            shown[some["item_id"][row]].append(ids[column])
    return shown


def diverse(score: np.ndarray, vectors: np.ndarray, shots: int) -> Shown:
    """Return row and column of the examples found by maximal marginal relevance (Carbonell & Goldstein, 1998).

    One at a time among the nearest: the greatest λ · cosine to the item − (1 − λ) · greatest cosine to one taken.
    """
    found, near = [], defaultdict(list)
    for row, column in reversed(farthest_first(score, CANDIDATES * shots)):
        near[row].append(column)
    for row, columns in near.items():
        alike = (vectors[columns] @ vectors[columns].T).round(DIGITS)
        taken = [0]
        while len(taken) < min(shots, len(columns)):
            gain = LIKENESS * score[row, columns] - (1 - LIKENESS) * alike[:, taken].max(axis=1)
            gain[taken] = -np.inf
            taken.append(int(np.argmax(gain)))
        found += [(row, columns[place]) for place in sorted(taken, reverse=True)]
    return found


def balanced(score: np.ndarray, labels: list[str], shots: int) -> Shown:
    """Return row and column of each label's nearest examples, taken in turn; the label with the nearest begins."""
    found = []
    for row, scores in enumerate(score):
        order = [int(column) for column in np.argsort(-scores, kind="stable") if np.isfinite(scores[column])]
        taken = {order[place] for place in in_turn([labels[column] for column in order])[:shots]}
        found += [(row, column) for column in reversed(order) if column in taken]
    return found


def in_turn(labels: list[str]) -> list[int]:
    """Return places in a list of labels: the first of each label, as they come, then the second of each, and so on."""
    seen: dict[str, int] = defaultdict(int)

    def turns() -> Iterator[tuple[int, int]]:
        for place, label in enumerate(labels):
            yield seen[label], place
            seen[label] += 1

    return [place for _, place in sorted(turns())]


def _fixed(items: pl.DataFrame, pool: pl.DataFrame, twins: dict[str, set[str]], places: list[int]) -> dict:
    """Return the same examples for every item, less those forbidden to it; ids are keyed hashes, so a fair draw."""
    few = pool[places]
    allowed = ~forbidden(items, few, twins)
    ids = few["item_id"].to_numpy()
    return {item_id: ids[row].tolist() for item_id, row in zip(items["item_id"], allowed, strict=True)}


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
