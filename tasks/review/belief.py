"""What is believed of each item before one more label: people's votes and models' opinions as one posterior, distrusted a little.

    log p(k) = n_k · log( a (K − 1) / (1 − a) ) + ½ · log q(k)        p' = [ (n + m) · p + 1/K ] / ( n + m + 1 )

n_k are people's votes for a label, a their accuracy, q the mean of the models' opinions with half the weight of its word, as
the log-pool has it where nothing is known of models; m is 1 where there is one. Counting in one more label of no worth is
ActiveLab's: what little stands behind an item is believed less.
"""

from typing import NamedTuple

import numpy as np

from tasks.posterior.opinions import Opinions, mean
from tasks.posterior.pool import DEFAULT, SLIP, log_shares
from tasks.posterior.votes import Votes, annotations, vote_counts


class Belief(NamedTuple):
    """What is believed of every item."""

    matrix: np.ndarray
    """Items × labels: probability of each label, rows sum to 1."""
    score: np.ndarray
    """Probability of the label the item would be settled on, 0 to 1."""
    models: np.ndarray
    """Items × labels: the models' mean opinion; zeros where there is none."""


def pooled(votes: Votes, opinions: Opinions, kinds: int, accuracy: float) -> Belief:
    """Return the belief, if people are right with that probability."""
    counts, people = vote_counts(votes, kinds), annotations(votes)
    models, heard = mean(opinions, len(people), np.ones(len(opinions.annotator_ids)))
    said = np.where(heard[:, None] > 0, (1 - SLIP) * models + SLIP / kinds, 1.0)
    told = np.exp(log_shares(counts * np.log(accuracy * (kinds - 1) / (1 - accuracy)) + DEFAULT * np.log(said)))
    behind = (people + (heard > 0))[:, None]
    matrix = (behind * told + 1 / kinds) / (behind + 1)
    return Belief(matrix, matrix.max(axis=1), models)
