"""Counting votes: each alike, or each by how often its annotator sides with the majority."""

import numpy as np

from tasks.posterior.votes import Votes, leaders, shares, vote_counts, vote_shares


def weighted_majority(votes: Votes, kinds: int) -> np.ndarray:
    """Return items × labels: shares of votes that weigh as much as their annotator agrees with the majority (Wawa).

    Where several labels have most votes, siding with one of them counts in part: one in as many.
    """
    is_leader = leaders(vote_shares(votes, kinds))
    sided = (is_leader / is_leader.sum(axis=1, keepdims=True))[votes.item, votes.label]
    people = len(votes.annotator_ids)
    skill = np.bincount(votes.annotator, sided, people) / np.bincount(votes.annotator, minlength=people).clip(1)
    weighted = vote_counts(votes, kinds, skill[votes.annotator])
    # annotators who never side with anybody weigh nothing; where all are like that, every vote counts alike
    return np.where(weighted.sum(axis=1, keepdims=True) > 0, shares(weighted), vote_shares(votes, kinds))
