"""Confusion matrices: how an annotator's label follows from the true one, fitted to expected votes.

Every fit takes annotators × true label × label given (expected votes) and returns probabilities of the same shape,
whose rows sum to 1: it is the M step of the method it is named for.
"""

from collections.abc import Callable

import numpy as np

Fit = Callable[[np.ndarray], np.ndarray]

DIAGONAL = 0.7  # share of pseudo-labels on the diagonal: an annotator nobody knows is more often right than not
KNOWING_STEPS = 5  # towards the best estimate of who knew, a round: the M step need only improve


def coins(accuracy: np.ndarray, kinds: int) -> np.ndarray:
    """Return confusion matrices of annotators who are right equally often on every label, and else say any other."""
    wrong = (1 - accuracy) / max(kinds - 1, 1)
    found = np.repeat(wrong, kinds * kinds).reshape(len(accuracy), kinds, kinds)
    found[:, np.arange(kinds), np.arange(kinds)] = accuracy[:, None] if kinds > 1 else 1.0
    return found


def dawid_skene(counts: np.ndarray, smoothing: float) -> np.ndarray:
    """Return one free matrix per annotator, each row shrunk towards an annotator of whom nothing is known."""
    counts = counts + smoothing * coins(np.array([DIAGONAL]), counts.shape[1])
    totals = counts.sum(axis=2, keepdims=True)
    return np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)


def one_coin(counts: np.ndarray, smoothing: float) -> np.ndarray:
    """Return the matrices of one accuracy per annotator."""
    right, total = np.einsum("akk->a", counts) + smoothing * DIAGONAL, counts.sum(axis=(1, 2)) + smoothing
    return coins(np.divide(right, total, out=np.ones_like(right), where=total > 0), counts.shape[1])


def mace(smoothing: float) -> Fit:
    """Return a fit of annotators who either know the label or draw one from a habit of their own.

    Hovy et al. 2013: π[k, l] = θ·1[k = l] + (1 − θ)·ξ[l]. Who knew is not known, so θ and ξ have an EM of their own; it
    goes on from where the last round ended.
    """
    knows = habit = None

    def fit(counts: np.ndarray) -> np.ndarray:
        nonlocal knows, habit
        kinds = counts.shape[1]
        counts = counts + smoothing / kinds * coins(np.array([DIAGONAL]), kinds)
        right, given = np.einsum("akk->ak", counts), counts.sum(axis=1)
        total = np.maximum(given.sum(axis=1), np.finfo(float).tiny)
        if knows is None:
            knows, habit = right.sum(axis=1) / total, given / total[:, None]
        for _ in range(KNOWING_STEPS):
            guessed = given - right * _known(knows, habit)
            guesses = guessed.sum(axis=1)
            habit = np.divide(guessed, guesses[:, None], out=habit.copy(), where=guesses[:, None] > 0)
            knows = 1 - guesses / total
        return knows[:, None, None] * np.eye(kinds) + (1 - knows)[:, None, None] * habit[:, None, :]

    return fit


def _known(knows: np.ndarray, habit: np.ndarray) -> np.ndarray:
    """Return annotators × labels: the share of right labels that were known, not guessed."""
    either = knows[:, None] + (1 - knows[:, None]) * habit
    return np.divide(knows[:, None], either, out=np.zeros_like(habit), where=either > 0)
