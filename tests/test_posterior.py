"""Posteriors: published estimates, worked small tables, and what must not matter."""

import duckdb
import numpy as np
import pytest
from pytest import approx

from schemas.errors import RequestError
from tasks.posterior import METHODS, coded, labels_in_use, posterior, votes
from tasks.posterior.method import WITH_OPINIONS

OF_VOTES = [method for method in METHODS if method not in WITH_OPINIONS]

JEFFREYS = 0.4644168  # Beta(3.5, 0.5) is below this with a probability of 2.5 %

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


@pytest.mark.parametrize("method", OF_VOTES)
def test_a_tie_of_votes_is_flagged_whatever_the_method(method):
    lines = [f"{n} {who} yes" for n in range(8) for who in "ABC"] + [f"{n} A no" for n in range(8, 12)]
    found = settled(*lines, "tied A yes", "tied D no", method=method)
    assert dict(zip(found.item_ids.tolist(), found.is_tie, strict=True))["tied"]


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


def test_dawid_skene_finds_more_of_the_truth_than_a_majority():
    ballot, truth = planted(items=2_000)
    right = {
        method: (posterior(ballot, list("abc"), method).matrix.argmax(axis=1) == truth).mean() for method in OF_VOTES
    }
    assert right["dawid-skene"] > right["majority"]


@pytest.mark.parametrize("method", ["one-coin", "dawid-skene"])
def test_two_labels_do_not_make_an_expert(method):
    # B agrees with everybody twice; C, seen forty times, is right nine times of ten
    lines = [f"{n} {who} {'yn'[n % 2]}" for n in range(40) for who in ("A", "D")]
    lines += [f"{n} C {'yn'[(n + (n % 10 == 0)) % 2]}" for n in range(40)] + ["1 B n", "2 B y"]
    found = settled(*lines, method=method)
    quality = dict(zip(found.annotator_ids.tolist(), found.confusion[:, 0, 0], strict=True))
    assert quality["B"] < quality["A"]
    assert 0.7 < quality["B"] < 0.95
    assert np.isfinite(found.matrix).all()


def test_annotators_carry_their_labels_and_accuracy():
    found = settled("X A yes", "X B yes", "Y A no", "Y B no", "Z A yes", "Z B no", "Z C no")
    assert found.annotator_ids.tolist() == ["A", "B", "C"]
    assert found.labels_given.tolist() == [3, 3, 1]
    # mean posterior of A's labels: 1 for X and Y, 1/3 for Z
    assert found.accuracy == approx([7 / 9, 8 / 9, 2 / 3])


@pytest.mark.parametrize("method", OF_VOTES)
def test_the_order_of_rows_changes_no_bit(method):
    ballot, _ = planted(items=100)
    rows = [f"i{i:03} a{a} l{n}" for i, a, n in zip(ballot.item, ballot.annotator, ballot.label, strict=True)]
    one, other = settled(*rows, method=method), settled(*reversed(rows), method=method)
    assert one.matrix.tobytes() == other.matrix.tobytes()
    assert one.confusion.tobytes() == other.confusion.tobytes()


@pytest.mark.parametrize("method", OF_VOTES)
def test_every_row_of_probabilities_sums_to_one(method):
    found = posterior(planted()[0], list("abc"), method)
    assert found.matrix.sum(axis=1) == approx(np.ones(400))
    assert found.confusion.sum(axis=2) == approx(np.ones((8, 3)))


@pytest.mark.parametrize("method", OF_VOTES)
def test_a_single_label_is_certain(method):
    found = settled("X A yes", "Y B yes", method=method)
    assert (found.matrix.tolist(), found.winner.tolist()) == ([[1.0], [1.0]], [0, 0])


@pytest.mark.parametrize("method", OF_VOTES)
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
    with pytest.raises(RequestError, match="majority, weighted-majority, one-coin"):
        settled("X A yes", method="mean")


@pytest.mark.parametrize("method", WITH_OPINIONS)
def test_a_method_that_needs_a_model_says_so(method):
    with pytest.raises(RequestError, match="needs probabilities of a model"):
        settled("X A yes", method=method)


def test_names_stay_arrow_strings():
    found = settled("Y A yes", "X B no")
    assert str(found.item_ids.type) == str(found.annotator_ids.type) == "string"
    assert (found.item_ids.to_pylist(), found.annotator_ids.to_pylist()) == (["X", "Y"], ["A", "B"])


@pytest.mark.parametrize("method", OF_VOTES)
def test_a_gold_label_is_certain(method):
    lines = ["X A yes", "X B yes", "X C no", "Y A yes", "Y C no", "Z A no", "Z C no"]
    found = settled(*lines, method=method, gold=np.array([0, -1, -1]))  # X is `no`, whatever two of three say
    assert found.matrix[0].tolist() == [1, 0]
    assert found.labels[found.winner[0]] == "no"


@pytest.mark.parametrize("method", ["one-coin", "dawid-skene", "mace", "glad"])
def test_gold_tells_who_is_to_be_believed(method):
    # A and B always say the same and C the contrary; on twenty items of gold C is right
    lines = [f"{n:02} {who} {'yn'[(n + (who != 'C')) % 2]}" for n in range(30) for who in "ABC"]
    gold = np.array([n % 2 ^ 1 if n < 20 else -1 for n in range(30)])  # labels are n, y: C says y on even items
    assert (settled(*lines, method=method).winner == [n % 2 for n in range(30)]).all()
    assert (settled(*lines, method=method, gold=gold).winner == [n % 2 ^ 1 for n in range(30)]).all()


@pytest.mark.parametrize("method", ["one-coin", "dawid-skene", "mace"])
def test_estimation_goes_on_from_earlier_probabilities(method):
    ballot, _ = planted()
    cold = posterior(ballot, list("abc"), method)
    start = cold.matrix.copy()
    start[::50] = np.nan  # items that were not there yet
    warm = posterior(ballot, list("abc"), method, start=start)
    assert warm.rounds < cold.rounds
    assert np.abs(warm.matrix - cold.matrix).max() < 1e-4


def test_ratings_have_a_mean_a_median_and_a_spread():
    lines = ["X A 1", "X B 1", "X C 5", "Y A 3", "Z A 1", "Z B 3"]
    connection = told(*lines)
    found = posterior(votes(connection), labels_in_use(connection), scores=[1, 3, 5])
    # X: 1 1 5, mean 7/3, variance (2 * 16/9 + 64/9) / 3 = 32/9; half of Z's probability is at 1
    assert found.mean == approx([7 / 3, 3, 2])
    assert found.median.tolist() == [1, 3, 1]
    assert found.sd == approx([(32 / 9) ** 0.5, 0, 1])


def test_labels_that_are_no_numbers_have_no_mean():
    found = settled("X A yes")
    assert (found.mean, found.median, found.sd) == (None, None, None)


def test_accuracy_has_an_interval():
    found = settled("X A yes", "Y A yes", "Z A no")
    # three votes, right without a doubt: Jeffreys' interval, the lower tail of Beta(3.5, 0.5); 1 is not outside it
    assert (found.accuracy[0], found.accuracy_low[0], found.accuracy_high[0]) == (1, approx(JEFFREYS), 1)


def test_votes_that_may_be_wrong_widen_the_interval():
    sure = settled(*(f"{n} {who} {'yn'[n % 2]}" for n in range(20) for who in "AB"))
    split = settled(*(f"{n} A y" for n in range(20)), *(f"{n} B {'yn'[n % 2]}" for n in range(20)))
    # A: half the votes are surely right and half right with one half: 15 of 20; a Beta of 15.5 and 5.5 ends at .53 and .90
    assert split.accuracy[0] == approx(0.75)
    assert split.accuracy_low[0] < 0.53 < 0.90 < split.accuracy_high[0]
    assert sure.accuracy_low[0] > 0.88
