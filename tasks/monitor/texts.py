"""Whether two samples of texts can be told apart: a classifier learns to, and is asked about texts it has not seen."""

import zlib

import numpy as np

WIDTH = 512  # columns of either kind of feature: three characters in a row, and words
LONGEST = 1_000  # characters of a text that are read
PENALTY = 3.0  # of the ridge, in mean variances of all columns together: texts are few, columns many
MIX = np.uint64(0x9E3779B97F4A7C15)  # spreads codes over the columns (Knuth's multiplicative hash)


def features(texts: np.ndarray) -> np.ndarray:
    """Return texts × hashed counts of three characters in a row and of words, as logarithms, each row of length 1."""
    cut = [f" {text[:LONGEST].lower()} " for text in texts]
    found = np.hstack([_counted(*kind, len(cut)) for kind in (_triples(cut), _words(cut))])
    length = np.sqrt((found**2).sum(axis=1, keepdims=True))
    return found / np.maximum(length, 1e-12)


def _triples(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return a code of each three characters in a row, and the text they stand in."""
    letters = np.frombuffer("".join(texts).encode("utf-32-le", "replace"), dtype=np.uint32).astype(np.uint64)
    row = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    code = (letters[:-2] << np.uint64(42)) ^ (letters[1:-1] << np.uint64(21)) ^ letters[2:]
    inside = row[:-2] == row[2:]
    return code[inside], row[:-2][inside]


def _words(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return a code of each word, and the text it stands in."""
    words = [text.split() for text in texts]
    code = [zlib.crc32(word.encode(errors="replace")) for one in words for word in one]
    return np.array(code, dtype=np.uint64), np.repeat(np.arange(len(texts)), [len(one) for one in words])


def _counted(code: np.ndarray, row: np.ndarray, rows: int) -> np.ndarray:
    column = ((code * MIX) >> np.uint64(32)) % np.uint64(WIDTH)
    counts = np.bincount(row * WIDTH + column.astype(np.int64), minlength=rows * WIDTH)
    return np.log1p(counts.reshape(rows, WIDTH)).astype(np.float32)


def told_apart(found: np.ndarray, is_new: np.ndarray, part: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Return how much each text looks like the new ones, by a classifier that learnt on the other half.

    A ridge regression on the side. Within a part both sides weigh the same, so that which part a text is of tells nothing.
    """
    scores = np.zeros(len(found))
    for number in (0, 1):
        learnt = half != number
        if learnt.any() and not learnt.all():
            slopes = _ridge(found[learnt], is_new[learnt], part[learnt])
            scores[~learnt] = found[~learnt] @ slopes
    return scores


def _ridge(found: np.ndarray, is_new: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return the slopes of a regression of the side, +1 new and −1 old, on the features."""
    cell = 2 * part + is_new
    sizes = np.bincount(cell, minlength=2 * part.max() + 2)
    both = np.minimum(sizes[0::2], sizes[1::2])[part]  # a part that one side lacks teaches nothing
    weight = (both / sizes[cell]).astype(np.float32)
    if not weight.any():
        return np.zeros(found.shape[1], dtype=np.float32)
    centred = found - np.average(found, axis=0, weights=weight)
    root = np.sqrt(weight)
    design, side = centred * root[:, None], root * (2 * is_new - 1)
    is_wide = len(design) < design.shape[1]
    gram = design @ design.T if is_wide else design.T @ design  # the smaller of the two: the slopes are the same
    gram[np.diag_indices_from(gram)] += PENALTY * np.trace(gram) / design.shape[1] + 1e-9
    return design.T @ np.linalg.solve(gram, side) if is_wide else np.linalg.solve(gram, design.T @ side)
