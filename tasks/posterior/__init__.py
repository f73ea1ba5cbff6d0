"""Votes become a posterior over the labels of each item, and a quality of each annotator."""

from tasks.posterior.method import METHODS, Posterior, entropy_nats, posterior
from tasks.posterior.votes import Votes, coded, labels_in_use, vote_shares, votes

__all__ = [
    "METHODS",
    "Posterior",
    "Votes",
    "coded",
    "entropy_nats",
    "labels_in_use",
    "posterior",
    "vote_shares",
    "votes",
]
