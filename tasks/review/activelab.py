"""ActiveLab: what is believed of each item if one more label, of no worth, is counted in (Goh and Mueller 2023).

    s = [ (Σ w_person + w_model) · q + w̄ / K ] / ( Σ w_person + w_model + w̄ )

q is CROWDLAB's probability of the label the item is settled on, w are CROWDLAB's weights, w̄ the mean of people's. The less
stands behind q, the nearer s comes to 1/K; so a second label for an old item and a first one for a new are weighed on one
scale. That is the choice where one label is enough to settle an item. We keep the whole distribution that s is one number
of, since what a label is expected to tell depends on all of it; with two labels both orders are the same.
"""

from itertools import pairwise

import numpy as np

from tasks.posterior.crowdlab import crowdlab
from tasks.posterior.opinions import Opinions, mean
from tasks.posterior.votes import Votes, annotations, vote_counts, vote_shares
from tasks.review.belief import Belief
from tasks.review.gain import UNKNOWN

FEWEST = 30  # items with labels of two or more people, to weigh people and models by how they agree
LEAST_WEIGHT = 0.1  # mean of people's weights below which agreement says nothing: nearly all items have one label
SMALL = 1e-8  # least probability
TEMPERATURES = (0.1, 0.2, 0.5, 0.8, 1, 2, 3, 5, 8)
FINER = 4  # steps between two of them


def weighed(votes: Votes, opinions: Opinions, labels: list[str]) -> Belief:
    """Return ActiveLab's belief where enough is known to weigh people and models, else all weighed alike."""
    if np.count_nonzero(annotations(votes) > 1) >= FEWEST:
        found = activelab(votes, tempered(votes, opinions, len(labels)), labels)
        if found is not None:
            return found
    return alike(votes, opinions, labels)


def activelab(votes: Votes, opinions: Opinions, labels: list[str], least_weight: float = LEAST_WEIGHT) -> Belief | None:
    """Return ActiveLab's belief and score; None where people agree no better than by guessing the commonest label."""
    found = crowdlab(votes, opinions, labels)
    if found.annotator_weight.mean() < least_weight:
        return None
    return _mixed(votes, opinions, found.matrix, found.settled, found.annotator_weight, found.model_weight)


def alike(votes: Votes, opinions: Opinions, labels: list[str]) -> Belief:
    """Return the belief with a weight of one for each person and model, a person right with probability 0.7.

    ActiveLab as published takes the model's word alone where no item has labels of two people.
    """
    items, kinds = len(votes.item_ids), len(labels)
    counts, people = vote_counts(votes, kinds), annotations(votes)
    said, models = mean(opinions, items, np.ones(len(opinions.annotator_ids)))
    named = counts * UNKNOWN + (people[:, None] - counts) * (1 - UNKNOWN) / (kinds - 1)
    matrix = (said * models[:, None] + named) / np.maximum(models + people, 1)[:, None]
    weights = np.ones(len(votes.annotator_ids)), np.ones(len(opinions.annotator_ids))
    return _mixed(votes, opinions, matrix, matrix.argmax(axis=1), *weights)


def _mixed(
    votes: Votes,
    opinions: Opinions,
    matrix: np.ndarray,
    settled: np.ndarray,
    annotator_weight: np.ndarray,
    model_weight: np.ndarray,
) -> Belief:
    """Return the matrix with one label of no worth counted in."""
    items, kinds = matrix.shape
    models, of_models = mean(opinions, items, model_weight)
    behind = of_models + np.bincount(votes.item, annotator_weight[votes.annotator], items)
    another = annotator_weight.mean() if len(annotator_weight) else 1.0
    belief = (behind[:, None] * matrix + another / kinds) / (behind + another)[:, None]
    return Belief(belief, belief[np.arange(items), settled], models)


def tempered(votes: Votes, opinions: Opinions, kinds: int) -> Opinions:
    """Return the opinions, each model's at the temperature that foretells people's votes best."""
    is_voted, shares = annotations(votes) > 0, vote_shares(votes, kinds)
    found = np.log(opinions.probability.clip(min=SMALL))
    for model in range(len(opinions.annotator_ids)):
        own = opinions.annotator == model
        seen = own & is_voted[opinions.item]
        found[own] /= temperature(shares[opinions.item[seen]], opinions.probability[seen])
    found = np.exp(found - found.max(axis=1, keepdims=True, initial=-np.inf))
    return opinions._replace(probability=found / found.sum(axis=1, keepdims=True))


def temperature(shares: np.ndarray, probability: np.ndarray) -> float:
    """Return the temperature at which the probabilities foretell the vote shares best; 1 where there are none."""
    if not len(shares):
        return 1.0
    logs = np.log(np.maximum(probability, 1e-300))

    def missed(heat: float) -> float:
        scaled = logs / heat
        scaled = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
        return float(-(shares * np.maximum(scaled, np.log(SMALL))).sum(axis=1).mean())

    at = int(np.argmin([missed(heat) for heat in TEMPERATURES]))
    around = TEMPERATURES[max(at - 1, 0) : at + 2]
    finer = [np.linspace(one, other, FINER, endpoint=False) for one, other in pairwise(around)]
    heats = np.concatenate([*finer, around[-1:] if at + 1 < len(TEMPERATURES) else ()])
    return float(heats[np.argmin([missed(heat) for heat in heats])])
