"""What one more label of a person is expected to tell of an item: the entropy it removes, in nats.

    gain = H(label given) − H(label given | true label)

the mutual information of the label a person gives and the item's true label: by how much the entropy of what is believed
of the item falls, expected over what the person may say (Lindley 1956; MacKay 1992; BALD, Houlsby et al. 2011). A person is
right with one probability, and else says any other label alike (one-coin Dawid–Skene).

A label that does not settle its item yet is part of the step that does: of an item that still needs two labels the gain is
that of both together, for each. Two labels tell less than twice what one does, so that of two items as open as each other
the one that is begun comes first, and what is begun is finished.
"""

import numpy as np

UNKNOWN = 0.7  # probability that a label is right of a person nobody knows
PAIRS = 20  # pairs of such people's labels, beside those counted
LEAST_SKILL = 0.1  # of the way from guessing to knowing: with none no label would tell anything
MOST = 0.99  # accuracy: nobody never errs
AHEAD = 2  # labels looked ahead, at most
EXPLICIT = 8  # likeliest labels counted one by one; the others share alike what is left
BLOCK = 2**16  # items at a time


def accuracy(counts: np.ndarray) -> float:
    """Return the probability that a person's label is right, 0 to 1, from how often two people agree on an item.

    `counts` are items × labels: people's votes. Two people who are each right with probability a, and else say any of the
    other labels, agree with probability a² + (1 − a)² / (labels − 1); that is solved for a.
    """
    kinds = counts.shape[1]
    people = counts.sum(axis=1)
    same, pairs = (counts * (counts - 1)).sum() / 2, (people * (people - 1)).sum() / 2
    unknown = UNKNOWN**2 + (1 - UNKNOWN) ** 2 / (kinds - 1)
    agreement = (same + PAIRS * unknown) / (pairs + PAIRS)
    found = (1 + np.sqrt(max((kinds - 1) * (kinds * agreement - 1), 0))) / kinds
    return float(np.clip(found, 1 / kinds + LEAST_SKILL * (1 - 1 / kinds), MOST))


def gain_nats(belief: np.ndarray, accuracy: float, needed: np.ndarray) -> np.ndarray:
    """Return what each label of the next `needed` (1 or 2) is expected to tell of each item, in nats.

    `belief` is items × labels: probability of each label, rows sum to 1.
    """
    blocks = [slice(start, start + BLOCK) for start in range(0, len(belief), BLOCK)]
    return np.concatenate([np.zeros(0), *(_gain(belief[block], accuracy, needed[block]) for block in blocks)])


def _gain(belief: np.ndarray, accuracy: float, needed: np.ndarray) -> np.ndarray:
    kinds = belief.shape[1]
    shown = min(kinds, EXPLICIT)
    top = -np.partition(-belief, shown - 1, axis=1)[:, :shown] if shown < kinds else belief
    others = kinds - shown
    rest = np.maximum(1 - top.sum(axis=1), 0) / max(others, 1)
    slip = (1 - accuracy) / (kinds - 1)  # probability of each wrong label
    gap = accuracy - slip
    noise = _term(accuracy) + (kinds - 1) * _term(slip)  # entropy of a label, in nats, if the truth is known
    one = _term(slip + gap * top).sum(axis=1) + others * _term(slip + gap * rest) - noise
    both = needed > 1
    one[both] = _two(top[both], rest[both], others, slip, gap) / 2 - noise
    return np.maximum(one, 0)


def _two(top: np.ndarray, rest: np.ndarray, others: int, slip: float, gap: float) -> np.ndarray:
    """Return the entropy of two people's labels of each item, in nats: P(l, m) = Σ_k p(k) P(l | k) P(m | k)."""
    low, middle = slip**2, slip * gap
    same = _term(low + (2 * middle + gap**2) * top).sum(axis=1) + others * _term(low + (2 * middle + gap**2) * rest)
    first, second = np.triu_indices(top.shape[1], 1)
    apart = _term(low + middle * (top[:, first] + top[:, second])).sum(axis=1)
    apart += others * _term(low + middle * (top + rest[:, None])).sum(axis=1)
    apart += others * (others - 1) / 2 * _term(low + 2 * middle * rest)
    return same + 2 * apart


def _term(share: np.ndarray | float) -> np.ndarray | float:
    """Return −p ln p."""
    return -share * np.log(np.maximum(share, 1e-300))
