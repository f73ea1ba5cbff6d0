"""GLAD: an annotator of ability α is right on an item of ease β with probability σ(αβ) (Whitehill et al. 2009)."""

import numpy as np

from tasks.posterior.confusion import dawid_skene
from tasks.posterior.em import Fitted, expected_votes, label_prior, label_sizes, pin
from tasks.posterior.votes import Votes, vote_counts

ABILITY, LOG_EASE = 1.0, 1.0  # means of the normal priors, of unit spread with the usual smoothing
FARTHEST = 1.0  # no step goes beyond this: far from the optimum Newton's step overshoots


def glad(
    votes: Votes, matrix: np.ndarray, smoothing: float, tolerance: float, most_rounds: int, gold: np.ndarray
) -> Fitted:
    """Return what the first probabilities become in rounds of fitting abilities and ease; wrong labels are alike."""
    rounds, change = 0, np.inf
    ability, log_ease = np.full(len(votes.annotator_ids), ABILITY), np.full(len(votes.item_ids), LOG_EASE)
    while change > tolerance and rounds < most_rounds:
        is_right = matrix[votes.item, votes.label]
        # One step each: the M step need only improve, the next round goes on from there.
        ability = ability + _ability_step(votes, is_right, ability, log_ease, smoothing / 2)
        log_ease = log_ease + _ease_step(votes, is_right, ability, log_ease, smoothing / 2)
        found = _posterior(votes, matrix.shape[1], ability, log_ease)
        pin(found, gold)
        rounds, change = rounds + 1, np.abs(found - matrix).max(initial=0.0)
        matrix = found
    confusion = dawid_skene(expected_votes(votes, matrix), smoothing)
    return Fitted(matrix, label_prior(label_sizes(matrix), smoothing), confusion, rounds, float(change))


def _posterior(votes: Votes, kinds: int, ability: np.ndarray, log_ease: np.ndarray) -> np.ndarray:
    """Return items × labels: probabilities that sum to 1; before the votes every label is as probable as any other."""
    # log σ(x) − log((1 − σ(x)) / (K − 1)) = x + log(K − 1): what a vote says for its label against every other
    weight = ability[votes.annotator] * np.exp(log_ease)[votes.item] + np.log(max(kinds - 1, 1))
    scores = vote_counts(votes, kinds, weight)
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def _ability_step(
    votes: Votes, is_right: np.ndarray, ability: np.ndarray, log_ease: np.ndarray, precision: float
) -> np.ndarray:
    """Return Newton's step of every ability, the ease of items given."""
    ease = np.exp(log_ease)[votes.item]
    chance = _logistic(ability[votes.annotator] * ease)
    people = len(ability)
    slope = np.bincount(votes.annotator, (is_right - chance) * ease, people) - precision * (ability - ABILITY)
    bend = np.bincount(votes.annotator, chance * (1 - chance) * ease**2, people) + precision
    return _bounded(slope, bend)


def _ease_step(
    votes: Votes, is_right: np.ndarray, ability: np.ndarray, log_ease: np.ndarray, precision: float
) -> np.ndarray:
    """Return Fisher's step of the logarithm of every item's ease, the abilities given."""
    evidence = ability[votes.annotator] * np.exp(log_ease)[votes.item]
    chance = _logistic(evidence)
    items = len(log_ease)
    slope = np.bincount(votes.item, (is_right - chance) * evidence, items) - precision * (log_ease - LOG_EASE)
    bend = np.bincount(votes.item, chance * (1 - chance) * evidence**2, items) + precision
    return _bounded(slope, bend)


def _bounded(slope: np.ndarray, bend: np.ndarray) -> np.ndarray:
    return np.clip(slope / np.maximum(bend, np.finfo(float).tiny), -FARTHEST, FARTHEST)


def _logistic(values: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(−x)), for any x."""
    return 0.5 + 0.5 * np.tanh(0.5 * values)
