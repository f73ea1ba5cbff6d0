"""Posteriors: published estimates, worked small tables, and what must not matter."""

import duckdb
import numpy as np
import pytest
from pytest import approx

from schemas.errors import RequestError
from tasks.posterior import METHODS, coded, given, labels_in_use, one_coin, posterior, vote_shares, votes

# Dawid and Skene 1979, table 1: 45 patients, the three answers of observer 1, then those of observers 2 to 5.
PATIENTS = """
111 1 1 1 1/333 4 3 3 4/112 2 1 2 2/222 3 1 2 1/222 3 2 2 2/222 3 3 2 2/122 2 1 1 1/333 3 4 3 3/222 2 2 2 3
232 2 2 2 3/444 4 4 4 4/222 3 3 4 3/111 1 1 1 1/222 3 2 1 2/121 1 1 1 1/111 2 1 1 1/111 1 1 1 1/111 1 1 1 1
222 2 2 2 1/222 1 3 2 2/222 2 2 2 2/222 2 2 2 1/222 3 2 2 2/221 2 2 2 2/111 1 1 1 1/111 1 1 1 1/232 2 2 2 2
111 1 1 1 1/111 1 1 1 1/112 1 1 2 1/111 1 1 1 1/333 3 2 3 3/111 1 1 1 1/222 2 2 2 2/222 3 2 3 2/433 4 3 4 3
221 2 2 3 2/232 3 2 3 3/333 3 4 3 2/111 1 1 1 1/111 1 1 1 1/121 2 1 1 1/232 2 2 2 2/121 1 1 1 1/222 2 2 2 2
"""


def anaesthesia():
    """Return the votes on the 45 patients."""
    rows = [
        (patient, observer, int(answer) - 1)
        for patient, line in enumerate(PATIENTS.strip().replace("\n", "/").split("/"))
        for observer, answers in enumerate(line.split())
        for answer in answers
    ]
    return coded(*(np.array(column) for column in zip(*rows, strict=True)))


def told(*lines):
    """Return a connection whose `vote` holds lines such as `X A yes`."""
    connection = duckdb.connect()
    connection.execute("create temp table vote (item_id varchar, annotator_id varchar, label varchar)")
    connection.executemany("insert into vote values (?, ?, ?)", [line.split() for line in lines])
    return connection


def settled(*lines, **how):
    connection = told(*lines)
    return posterior(votes(connection), labels_in_use(connection), **how)


def planted(items=400, people=8, kinds=3, seed=3):
    """Return votes by annotators with planted confusion matrices, and the truth."""
    draw = np.random.default_rng(seed)
    truth = draw.choice(kinds, items, p=[0.5, 0.3, 0.2])
    confusion = np.stack([0.5 * np.eye(kinds) + 0.5 * draw.dirichlet(np.ones(kinds), kinds) for _ in range(people)])
    item, annotator = np.divmod(np.arange(items * people), people)
    label = np.array([draw.choice(kinds, p=confusion[a, truth[i]]) for i, a in zip(item, annotator, strict=True)])
    kept = draw.random(len(item)) < 0.6
    kept[::people] = True
    return coded(item[kept], annotator[kept], label[kept]), truth


def test_majority_is_the_share_of_votes():
    found = settled("X A yes", "X B yes", "X C no", "Y A no")
    assert found.item_ids.tolist() == ["X", "Y"]
    assert found.matrix.tolist() == [[approx(1 / 3), approx(2 / 3)], [1, 0]]
    assert [found.labels[place] for place in found.winner] == ["yes", "no"]
    assert found.annotations.tolist() == [3, 1]


def test_a_tie_has_no_label():
    found = settled("X A yes", "X B no", "Y A yes")
    assert (found.winner.tolist(), found.is_tie.tolist()) == ([-1, 1], [True, False])
    assert found.entropy_nats.tolist() == [approx(np.log(2)), 0]


@pytest.mark.parametrize("method", METHODS)
def test_a_tie_of_votes_is_flagged_whatever_the_method(method):
    lines = [f"{n} {who} yes" for n in range(8) for who in "ABC"] + [f"{n} A no" for n in range(8, 12)]
    found = settled(*lines, "tied A yes", "tied D no", method=method)
    assert dict(zip(found.item_ids, found.is_tie, strict=True))["tied"]


def test_one_coin_weighs_votes_by_accuracy():
    # votes (0, 0, 1) by annotators right .9, .6 and .8 of the time, three labels, uniform prior:
    # .9 * .6 * .1 : .05 * .2 * .8 : .05 * .2 * .1 = .054 : .008 : .001
    ballot = coded(np.zeros(3, int), np.arange(3), np.array([0, 0, 1]))
    found = given(ballot, np.full(3, 1 / 3), one_coin(np.array([0.9, 0.6, 0.8]), 3))
    assert found[0] == approx([0.857143, 0.126984, 0.015873], abs=5e-7)
    # a model's calibrated (.2, .7, .1) beside them is one more factor
    beside = found[0] * [0.2, 0.7, 0.1]
    assert beside / beside.sum() == approx([0.654545, 0.339394, 0.006061], abs=5e-7)


def test_dawid_skene_gives_the_published_estimates():
    found = posterior(anaesthesia(), list("1234"), "dawid-skene", smoothing=0, tolerance=1e-12)
    assert found.prior == approx([0.3996, 0.4220, 0.1118, 0.0667], abs=5e-5)
    assert found.confusion[0].tolist() == [
        approx([0.889, 0.111, 0, 0], abs=5e-4),
        approx([0.071, 0.876, 0.053, 0], abs=5e-4),
        approx([0, 0.339, 0.661, 0], abs=5e-4),
        approx([0, 0, 0.556, 0.444], abs=5e-4),
    ]
    doubtful = {patient + 1: round(share, 3) for patient, share in enumerate(found.matrix.max(axis=1)) if share < 0.99}
    assert doubtful == {7: 0.981, 35: 0.948, 38: 0.979}
    assert found.is_converged


def test_dawid_skene_raises_the_likelihood_to_the_published_one():
    ballot = anaesthesia()
    found = posterior(ballot, list("1234"), "dawid-skene", smoothing=0, tolerance=1e-12)
    likelihood = np.tile(found.prior, (45, 1))
    for item, annotator, label in zip(ballot.item, ballot.annotator, ballot.label, strict=True):
        likelihood[item] *= found.confusion[annotator, :, label]
    assert np.log(likelihood.sum(axis=1)).sum() == approx(-192.8909, abs=5e-5)


def slow_dawid_skene(ballot, kinds, rounds):
    """Return posteriors by plain loops, for comparison."""
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


def test_dawid_skene_equals_plain_loops():
    ballot, _ = planted()
    found = posterior(ballot, list("abc"), "dawid-skene", smoothing=0, tolerance=0, most_rounds=15)
    assert np.abs(found.matrix - slow_dawid_skene(ballot, 3, 15)).max() < 1e-10
    assert (found.rounds, found.is_converged) == (15, False)


def test_dawid_skene_finds_more_of_the_truth_than_a_majority():
    ballot, truth = planted(items=2_000)
    right = {
        method: (posterior(ballot, list("abc"), method).matrix.argmax(axis=1) == truth).mean() for method in METHODS
    }
    assert right["dawid-skene"] > right["majority"]


@pytest.mark.parametrize("method", ["one-coin", "dawid-skene"])
def test_two_labels_do_not_make_an_expert(method):
    # B agrees with everybody twice; C, seen forty times, is right nine times of ten
    lines = [f"{n} {who} {'yn'[n % 2]}" for n in range(40) for who in ("A", "D")]
    lines += [f"{n} C {'yn'[(n + (n % 10 == 0)) % 2]}" for n in range(40)] + ["1 B n", "2 B y"]
    found = settled(*lines, method=method)
    quality = dict(zip(found.annotator_ids, found.confusion[:, 0, 0], strict=True))
    assert quality["B"] < quality["A"]
    assert 0.7 < quality["B"] < 0.95
    assert np.isfinite(found.matrix).all()


def test_annotators_carry_their_labels_and_accuracy():
    found = settled("X A yes", "X B yes", "Y A no", "Y B no", "Z A yes", "Z B no", "Z C no")
    assert found.annotator_ids.tolist() == ["A", "B", "C"]
    assert found.labels_given.tolist() == [3, 3, 1]
    # mean posterior of A's labels: 1 for X and Y, 1/3 for Z
    assert found.accuracy == approx([7 / 9, 8 / 9, 2 / 3])


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_rows_changes_no_bit(method):
    ballot, _ = planted(items=100)
    rows = [f"i{i:03} a{a} l{n}" for i, a, n in zip(ballot.item, ballot.annotator, ballot.label, strict=True)]
    one, other = settled(*rows, method=method), settled(*reversed(rows), method=method)
    assert one.matrix.tobytes() == other.matrix.tobytes()
    assert one.confusion.tobytes() == other.confusion.tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_every_row_of_probabilities_sums_to_one(method):
    found = posterior(planted()[0], list("abc"), method)
    assert found.matrix.sum(axis=1) == approx(np.ones(400))
    assert found.confusion.sum(axis=2) == approx(np.ones((8, 3)))


@pytest.mark.parametrize("method", METHODS)
def test_a_single_label_is_certain(method):
    found = settled("X A yes", "Y B yes", method=method)
    assert (found.matrix.tolist(), found.winner.tolist()) == ([[1.0], [1.0]], [0, 0])


@pytest.mark.parametrize("method", METHODS)
def test_no_votes_give_no_items(method):
    found = posterior(coded(*(np.zeros(0, int),) * 3), ["yes", "no"], method)
    assert found.matrix.shape == (0, 2)


def test_a_label_nobody_gave_keeps_its_column():
    found = posterior(votes(told("X A yes", "X B yes"), ["yes", "no", "perhaps"]), ["yes", "no", "perhaps"])
    assert found.matrix.tolist() == [[1, 0, 0]]


def test_labels_beyond_those_given_are_refused():
    with pytest.raises(RequestError, match="not among those given"):
        votes(told("X A yes", "X B perhaps"), ["yes", "no"])


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(RequestError, match="majority, one-coin, dawid-skene"):
        settled("X A yes", method="glad")
