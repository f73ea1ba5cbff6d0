"""CROWDLAB: people's votes and models' opinions on each item, averaged by how far each can be relied on.

Goh, Tkachenko and Mueller 2022. A weight is how much less often its owner is wrong than one who always says the commonest
label. It takes no account of models that err together, and a model's doubts are taken as they are.
"""

from typing import NamedTuple

import numpy as np

from schemas.errors import RequestError
from tasks.posterior.opinions import Opinions, mean
from tasks.posterior.votes import Votes

LEAST = 1e-6  # of every weight, and of the error of the commonest label


class Crowdlab(NamedTuple):
    """What people and models together say of every item, and what that says of each of them."""

    matrix: np.ndarray
    """Items × labels: probability of each label, rows sum to 1."""
    settled: np.ndarray
    """Place of the label each item is settled on."""
    annotator_weight: np.ndarray
    """Weight of each person's vote."""
    model_weight: np.ndarray
    """Weight of each model's opinion."""
    annotator_quality: np.ndarray
    """How often each person is right, 0 to 1; NaN for who shares no item with others."""


class _Crowd(NamedTuple):
    """Votes and opinions, with the counts everything else is made of."""

    votes: Votes
    opinions: Opinions
    counts: np.ndarray
    """Items × labels: votes."""
    annotations: np.ndarray
    """Votes on each item."""


def crowdlab(votes: Votes, opinions: Opinions, labels: list[str]) -> Crowdlab:
    """Return the posterior of people's votes and models' opinions, and the weights it rests on.

    An item nobody voted on has the models' mean; one that no model saw has the people's.
    """
    items, kinds = len(votes.item_ids), len(labels)
    cell = votes.item.astype(np.int64) * kinds + votes.label
    counts = np.bincount(cell, minlength=items * kinds).reshape(items, kinds)
    crowd = _Crowd(votes, opinions, counts, counts.sum(axis=1))
    if not (crowd.annotations > 1).any():
        raise RequestError("crowdlab needs items with labels of two or more people; log-pool does without")
    first = _majority(crowd)
    better = _averaged(crowd, first)[0]
    best = better.max(axis=1, keepdims=True)
    settled = np.where((better == best).sum(axis=1) == 1, better.argmax(axis=1), first)
    matrix, annotator_weight, model_weight = _averaged(crowd, settled)
    quality = _quality(crowd, matrix, settled, annotator_weight, model_weight)
    return Crowdlab(matrix, settled, annotator_weight, model_weight, quality)


def _majority(crowd: _Crowd) -> np.ndarray:
    """Return each item's label with most votes; of several the models' favourite, the rarest, the best people's."""
    votes, counts = crowd.votes, crowd.counts
    candidates = counts == counts.max(axis=1, keepdims=True)
    winner = np.where(candidates.sum(axis=1) == 1, candidates.argmax(axis=1), -1)
    models, _ = mean(crowd.opinions, len(counts), np.ones(len(crowd.opinions.annotator_ids)))
    right = _share(votes, winner[votes.item] == votes.label, winner[votes.item] >= 0)
    right = np.where(np.isnan(right), right[~np.isnan(right)].mean() if (~np.isnan(right)).any() else 0, right)
    cell = votes.item.astype(np.int64) * counts.shape[1] + votes.label
    people = np.bincount(cell, right[votes.annotator], counts.size).reshape(counts.shape) / np.maximum(counts, 1)
    for score in (models, np.broadcast_to(-counts.sum(axis=0), counts.shape), people):
        candidates &= score == np.where(candidates, score, -np.inf).max(axis=1, keepdims=True)
    return candidates.argmax(axis=1)  # still undecided: the first, so that chance has no part in it


def _averaged(crowd: _Crowd, settled: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return items × labels, and the weights of people and of models, if the labels settled are the truth."""
    votes, kinds, items = crowd.votes, crowd.counts.shape[1], len(crowd.counts)
    several = crowd.annotations > 1
    right = (crowd.counts[np.arange(items), settled] / np.maximum(crowd.annotations, 1))[several].mean()
    commonest = np.bincount(settled[several], minlength=kinds).argmax()
    guess = max((settled[several] != commonest).mean(), LEAST)  # error of always saying the commonest label
    annotator_weight = np.maximum(1 - (1 - _agreement(crowd)) / guess, LEAST)
    model_weight = np.maximum(1 - _model_error(crowd, settled) / guess, LEAST)
    model_weight = model_weight * np.sqrt(crowd.annotations[crowd.annotations > 0].mean())
    models, of_models = mean(crowd.opinions, items, model_weight)
    weight = annotator_weight[votes.annotator]
    of_people = np.bincount(votes.item, weight, items)
    cell = votes.item.astype(np.int64) * kinds + votes.label
    named = np.bincount(cell, weight, items * kinds).reshape(items, kinds)
    wrong = (1 - right) / max(kinds - 1, 1)
    total = np.maximum(of_models + of_people, LEAST**2)[:, None]
    matrix = (models * of_models[:, None] + named * right + (of_people[:, None] - named) * wrong) / total
    return matrix, annotator_weight, model_weight


def _agreement(crowd: _Crowd) -> np.ndarray:
    """Return how often each person's co-annotators agree; the others' mean for who has none."""
    votes, people = crowd.votes, len(crowd.votes.annotator_ids)
    others = crowd.annotations[votes.item] - 1
    same = np.bincount(votes.annotator, crowd.counts[votes.item, votes.label] - 1, people)
    met = np.bincount(votes.annotator, others, people)
    agreed = same / np.maximum(met, 1)
    return np.where(met > 0, agreed, agreed[met > 0].mean())


def _model_error(crowd: _Crowd, settled: np.ndarray) -> np.ndarray:
    """Return how often each model's likeliest label is not the one settled, on items of several people; 1 if never."""
    opinions, models = crowd.opinions, len(crowd.opinions.annotator_ids)
    seen = (crowd.annotations > 1)[opinions.item]
    wrong = opinions.probability.argmax(axis=1) != settled[opinions.item]
    total = np.bincount(opinions.annotator[seen], minlength=models)
    missed = np.bincount(opinions.annotator[seen & wrong], minlength=models)
    return np.divide(missed, total, out=np.ones(models), where=total > 0)


def _quality(
    crowd: _Crowd, matrix: np.ndarray, settled: np.ndarray, annotator_weight: np.ndarray, model_weight: np.ndarray
) -> np.ndarray:
    """Return each person's quality: the probability of their labels, and how often they agree with what is settled."""
    votes, several = crowd.votes, (crowd.annotations > 1)[crowd.votes.item]
    believed = _share(votes, matrix[votes.item, votes.label], np.ones(len(votes.item), dtype=bool))
    agreed = _share(votes, votes.label == settled[votes.item], several)
    mean_votes = crowd.annotations[crowd.annotations > 0].mean()
    people = annotator_weight.sum() * mean_votes / len(annotator_weight)
    model = model_weight.mean() if len(model_weight) else 0.0
    share = model / (model + people)
    return share * believed + (1 - share) * agreed


def _share(votes: Votes, of: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return the mean of each person's votes among some of them; NaN for who has none."""
    people = len(votes.annotator_ids)
    total = np.bincount(votes.annotator[among], minlength=people)
    mass = np.bincount(votes.annotator[among], np.asarray(of, dtype=float)[among], people)
    return np.divide(mass, total, out=np.full(people, np.nan), where=total > 0)
