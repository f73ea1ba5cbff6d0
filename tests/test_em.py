"""Rounds of estimation: the same as plain loops and other implementations, whatever the blocks and threads."""

import numpy as np
import pytest
from pytest import approx

from tasks.posterior import coded, em, posterior, vote_shares
from tasks.posterior.confusion import coins
from tasks.posterior.em import given

LABELS = list("abc")
EM = ("one-coin", "dawid-skene", "mace", "ordinal")


def crowd(items=300, people=8, seed=3):
    """Return votes of annotators with confusion matrices of their own, from one to all of them on an item."""
    draw = np.random.default_rng(seed)
    truth = draw.choice(3, items, p=[0.5, 0.3, 0.2])
    confusion = np.stack([0.5 * np.eye(3) + 0.5 * draw.dirichlet(np.ones(3), 3) for _ in range(people)])
    item, annotator = np.divmod(np.arange(items * people), people)
    label = np.array([draw.choice(3, p=confusion[a, truth[i]]) for i, a in zip(item, annotator, strict=True)])
    kept = draw.random(len(item)) < 0.6
    kept[::people] = True
    return coded(item[kept], annotator[kept], label[kept])


def likelihood(ballot, found):
    """Return the logarithm of the votes' probability under a result's own estimates."""
    joint = np.tile(found.prior, (len(ballot.item_ids), 1))
    np.multiply.at(joint, ballot.item, found.confusion[ballot.annotator, :, ballot.label])
    return np.log(joint.sum(axis=1)).sum()


def slow_dawid_skene(ballot, kinds, rounds):
    """Return posteriors by plain loops."""
    items, people = len(ballot.item_ids), len(ballot.annotator_ids)
    cast = list(zip(ballot.item, ballot.annotator, ballot.label, strict=True))
    share = vote_shares(ballot, kinds)
    for _ in range(rounds):
        confusion = np.zeros((people, kinds, kinds))
        for item, annotator, label in cast:
            confusion[annotator, :, label] += share[item]
        confusion /= confusion.sum(axis=2, keepdims=True)
        share = np.tile(share.mean(axis=0), (items, 1))
        for item, annotator, label in cast:
            share[item] *= confusion[annotator, :, label]
        share /= share.sum(axis=1, keepdims=True)
    return share


def test_one_coin_weighs_votes_by_accuracy():
    # votes (0, 0, 1) by annotators right .9, .6 and .8 of the time, three labels, uniform prior:
    # .9 * .6 * .1 : .05 * .2 * .8 : .05 * .2 * .1 = .054 : .008 : .001
    ballot = coded(np.zeros(3, int), np.arange(3), np.array([0, 0, 1]))
    found = given(ballot, np.full(3, 1 / 3), coins(np.array([0.9, 0.6, 0.8]), 3))
    assert found[0] == approx([0.857143, 0.126984, 0.015873], abs=5e-7)
    # a model's calibrated (.2, .7, .1) beside them is one more factor
    beside = found[0] * [0.2, 0.7, 0.1]
    assert beside / beside.sum() == approx([0.654545, 0.339394, 0.006061], abs=5e-7)


def test_dawid_skene_equals_plain_loops():
    ballot = crowd()
    found = posterior(ballot, LABELS, "dawid-skene", smoothing=0, tolerance=0, most_rounds=15)
    assert np.abs(found.matrix - slow_dawid_skene(ballot, 3, 15)).max() < 1e-10
    assert (found.rounds, found.is_converged) == (15, False)


@pytest.mark.parametrize("seed", range(5))
def test_dawid_skene_equals_crowd_kit(seed):
    aggregation = pytest.importorskip("crowdkit.aggregation")
    pandas = pytest.importorskip("pandas")
    ballot = crowd(seed=seed)
    frame = pandas.DataFrame({"task": ballot.item, "worker": ballot.annotator, "label": ballot.label})
    theirs = aggregation.DawidSkene(n_iter=20, tol=-np.inf).fit(frame).probas_.sort_index()[[0, 1, 2]].to_numpy()
    found = posterior(ballot, LABELS, "dawid-skene", smoothing=0, tolerance=0, most_rounds=20)
    assert np.abs(found.matrix - theirs).max() < 1e-8  # it lets no probability fall below 1e-10


@pytest.mark.parametrize("method", ["dawid-skene", "mace"])
def test_a_round_never_makes_the_votes_less_probable(method):
    ballot = crowd()
    found = [posterior(ballot, LABELS, method, smoothing=0, tolerance=0, most_rounds=n) for n in range(12)]
    reached = [likelihood(ballot, one) for one in found]
    assert (np.diff(reached) > 0).all()


@pytest.mark.parametrize("method", EM)
def test_threads_change_no_bit(method, monkeypatch):
    monkeypatch.setattr(em, "BLOCK", 64)  # many blocks
    ballot, found = crowd(), []
    for threads in (1, 7):
        monkeypatch.setattr(em.os, "cpu_count", lambda threads=threads: threads)
        found.append(posterior(ballot, LABELS, method))
    assert found[0].matrix.tobytes() == found[1].matrix.tobytes()
    assert found[0].confusion.tobytes() == found[1].confusion.tobytes()


@pytest.mark.parametrize("block", [3, 64, 10_000])
def test_blocks_change_nothing_but_rounding(block, monkeypatch):
    whole = posterior(crowd(), LABELS, "dawid-skene")
    monkeypatch.setattr(em, "BLOCK", block)
    assert np.abs(posterior(crowd(), LABELS, "dawid-skene").matrix - whole.matrix).max() < 1e-9


def test_a_thousand_votes_on_an_item_do_not_vanish():
    # 1,001 annotators right nine times of ten: .9^501 .1^500 : .1^501 .9^500 = 9 : 1, though either is below 1e-500
    votes = 1_001
    ballot = coded(np.zeros(votes, int), np.arange(votes), (np.arange(votes) % 2))
    found = given(ballot, np.full(2, 0.5), coins(np.full(votes, 0.9), 2))
    assert found[0] == approx([0.9, 0.1])


def test_an_item_without_votes_has_the_prior():
    ballot = coded(np.array([0, 2]), np.array([0, 1]), np.array([1, 0]))
    ballot = ballot._replace(item=np.array([0, 2], dtype=np.int32), item_ids=coded(*[np.arange(3)] * 3).item_ids)
    found = given(ballot, np.array([0.3, 0.7]), coins(np.array([0.9, 0.9]), 2))
    # .3 * .1 : .7 * .9 and .3 * .9 : .7 * .1
    assert found.tolist() == [approx([3 / 66, 63 / 66]), approx([0.3, 0.7]), approx([27 / 34, 7 / 34])]
    settled = posterior(ballot, ["no", "yes"], "dawid-skene")
    assert settled.annotations.tolist() == [1, 0, 1]
    assert not settled.is_tie[1]
