"""The log-pool: worked products, models that are copies, what it never does, and real people and models."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pytest import approx

from tasks.posterior import coded, posterior
from tasks.posterior.opinions import Opinions
from tasks.posterior.pool import DEFAULT, FEWEST, SLIP, leaning, log_pool, log_shares

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
LABELS = list("abc")


def opined(*models):
    """Return the opinions of models, items × labels each; a row of NaN is none."""
    held = np.stack(models, axis=1)
    item, annotator = np.nonzero(~np.isnan(held[:, :, 0]))
    return Opinions(item, annotator, held[item, annotator], pa.array([f"model {n}" for n in range(len(models))]))


def crowd(items=600, people=6, right=0.8, votes=3, kinds=3, seed=1):
    """Return votes of people who are right so often, and the truth."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(kinds, size=items)
    voter = np.argsort(draw.random((items, people)), axis=1)[:, :votes]
    wrong = (truth[:, None] + draw.integers(1, kinds, (items, votes))) % kinds
    label = np.where(draw.random((items, votes)) < right, truth[:, None], wrong)
    return coded(np.repeat(np.arange(items), votes), voter.ravel(), label.ravel()), truth


def model(truth, right, seed, kinds=3, sure=0.9):
    """Return the opinions of a model that is right so often, and as sure whether right or wrong."""
    draw = np.random.default_rng(seed)
    wrong = (truth + draw.integers(1, kinds, len(truth))) % kinds
    said = np.where(draw.random(len(truth)) < right, truth, wrong)
    return np.where(said[:, None] == np.arange(kinds), sure, (1 - sure) / (kinds - 1))


def log_loss(matrix, truth):
    return -np.log(matrix[np.arange(len(truth)), truth]).mean()


def test_a_calibrated_model_is_one_more_factor():
    # Votes (0, 0, 1) by people right .9, .6 and .8 of the time, uniform prior: .857143, .126984, .015873;
    # times (.2, .7, .1): .171429 : .088889 : .001587
    people = np.array([[0.9 * 0.6 * 0.1, 0.05 * 0.2 * 0.8, 0.05 * 0.2 * 0.1]])
    people /= people.sum()
    said = opined(np.array([[0.2, 0.7, 0.1]]))
    ratio = np.log(said.probability) - np.log(1 / 3)
    both = np.exp(log_shares(np.log(people) + leaning(said, ratio, np.ones(1), 1)))
    assert both[0] == approx([0.654545, 0.339394, 0.006061], abs=5e-7)
    # a weight of 0 leaves people's posterior as it is
    assert np.exp(log_shares(np.log(people) + leaning(said, ratio, np.zeros(1), 1))) == approx(people)


def test_with_too_few_items_the_models_together_count_half():
    ballot, truth = crowd(items=FEWEST - 1)
    one, other = model(truth, 0.8, 5), model(truth, 0.6, 6)
    found = log_pool(ballot, opined(one, other), LABELS)
    assert (found.rests_on, found.weight.tolist(), found.foretold) == ("default", [DEFAULT / 2] * 2, {})

    people = posterior(ballot, LABELS, "dawid-skene").matrix
    slipped = [(1 - SLIP) * said + SLIP / 3 for said in (one, other)]
    expected = people * np.prod(slipped, axis=0) ** (DEFAULT / 2)
    assert found.matrix == approx(expected / expected.sum(axis=1, keepdims=True), abs=1e-4)


def test_a_good_model_is_weighed_by_what_it_foretells():
    ballot, truth = crowd(items=1_500, votes=1)
    found = log_pool(ballot, opined(model(truth, 0.95, 5)), LABELS)
    assert found.rests_on == "fitted"
    assert max(found.foretold, key=found.foretold.get) == "fitted"
    assert found.weight[0] > DEFAULT
    alone = posterior(ballot, LABELS, "dawid-skene").matrix
    assert log_loss(found.matrix, truth) < 0.8 * log_loss(alone, truth)


def test_a_model_that_guesses_has_no_say():
    ballot, truth = crowd(items=1_500)
    found = log_pool(ballot, opined(model(truth, 1 / 3, 5)), LABELS)
    alone = posterior(ballot, LABELS, "dawid-skene").matrix
    assert np.abs(found.matrix - alone).mean() < 0.01


def test_a_model_that_mixes_labels_up_does_no_harm():
    # It says "a" where it means "b", and the other way round: no scale undoes that, so it must not count.
    ballot, truth = crowd(items=1_500)
    found = log_pool(ballot, opined(model(truth, 0.9, 5)[:, [1, 0, 2]]), LABELS)
    alone = posterior(ballot, LABELS, "dawid-skene").matrix
    assert log_loss(found.matrix, truth) < log_loss(alone, truth) + 0.01


@pytest.mark.parametrize("copies", [2, 5])
def test_a_copy_of_a_model_changes_nothing(copies):
    ballot, truth = crowd(items=800, votes=2)
    one, other = model(truth, 0.85, 5), model(truth, 0.7, 6)
    once = log_pool(ballot, opined(one, other), LABELS)
    often = log_pool(ballot, opined(one, other, *[one] * (copies - 1), *[other] * (copies - 1)), LABELS)
    assert once.rests_on == often.rests_on
    assert np.abs(once.matrix - often.matrix).max() < 1e-6
    assert often.weight.sum() == approx(once.weight.sum(), abs=1e-6)


def test_noisy_copies_do_not_sharpen():
    # Three prompts of one model: the same mistakes, but for one answer in twenty.
    ballot, truth = crowd(items=2_000, votes=2, right=0.9)
    draw, one = np.random.default_rng(9), model(truth, 0.75, 5)
    prompts = [np.where(draw.random((2_000, 1)) < 0.05, model(truth, 1 / 3, seed), one) for seed in (6, 7, 8)]
    once, often = log_pool(ballot, opined(one), LABELS), log_pool(ballot, opined(*prompts), LABELS)
    # what three would do, were each believed as if it stood alone
    thrice = np.exp(log_shares(3 * np.log(once.matrix)))
    sure = [matrix.max(axis=1).mean() for matrix in (once.matrix, often.matrix, thrice)]
    assert sure[1] - sure[0] < 0.2 * (sure[2] - sure[0])
    assert log_loss(often.matrix, truth) < log_loss(once.matrix, truth) + 0.01


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("right", "accuracy", "votes"), [(0.9, 0.6, 1), (0.7, 0.8, 2), (0.8, 0.35, 3), (0.7, 0.6, 3)])
def test_it_is_never_worse_than_people_alone_or_the_default(right, accuracy, votes, seed):
    ballot, truth = crowd(items=400, right=right, votes=votes, seed=seed)
    said = opined(*[model(truth, accuracy, seed + 10 * n) for n in (1, 2, 3)])
    found = log_pool(ballot, said, LABELS)
    alone = posterior(ballot, LABELS, "dawid-skene").matrix
    mean = np.log((1 - SLIP) * said.probability + SLIP / 3).reshape(400, 3, 3).mean(axis=1)
    default = np.exp(log_shares(np.log(alone) + DEFAULT * mean))
    bests = -np.log(np.stack([one[np.arange(400), truth] for one in (alone, default)]))
    best = bests[bests.mean(axis=1).argmin()]
    worse = -np.log(found.matrix[np.arange(400), truth]) - best
    assert worse.mean() < 3 * worse.std() / 20 + 1e-3  # three standard errors over 400 items


def test_an_item_nobody_voted_on_has_what_the_models_say():
    ballot, truth = crowd(items=600, votes=2, right=0.9)
    seen = ballot.item < 500
    part = ballot._replace(item=ballot.item[seen], annotator=ballot.annotator[seen], label=ballot.label[seen])
    said = model(truth, 0.9, 5)
    found = log_pool(part, opined(said), LABELS)
    assert (found.matrix[500:].argmax(axis=1) == said[500:].argmax(axis=1)).all()


def test_an_item_no_model_saw_has_what_people_say():
    ballot, truth = crowd(items=600)
    said = model(truth, 0.9, 5)
    said[:50] = np.nan
    found = log_pool(ballot, opined(said), LABELS)
    assert found.matrix[:50] == approx(posterior(ballot, LABELS, "dawid-skene").matrix[:50], abs=1e-4)


def test_a_model_that_is_certain_and_wrong_makes_nothing_impossible():
    ballot, truth = crowd(items=300)
    found = log_pool(ballot, opined(np.eye(3)[(truth + 1) % 3]), LABELS)
    assert np.isfinite(np.log(found.matrix)).all()


def test_no_opinions_leave_people_alone():
    ballot, _ = crowd(items=200)
    nothing = Opinions(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 3)), pa.array([], pa.string()))
    found = log_pool(ballot, nothing, LABELS)
    assert found.matrix == approx(posterior(ballot, LABELS, "dawid-skene").matrix, abs=1e-4)
    assert found.weight.tolist() == []


def test_twice_the_same_bits():
    ballot, truth = crowd(items=300)
    said = opined(model(truth, 0.8, 5), model(truth, 0.7, 6))
    one, other = log_pool(ballot, said, LABELS), log_pool(ballot, said, LABELS)
    assert one.matrix.tobytes() == other.matrix.tobytes()


def test_the_one_interface_gives_the_same_posterior():
    ballot, truth = crowd(items=150)
    said = opined(model(truth, 0.8, 5))
    assert posterior(ballot, LABELS, "log-pool", opinions=said).matrix == approx(log_pool(ballot, said, LABELS).matrix)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared data sets")
def test_two_people_and_six_models_against_the_other_people():
    lines = (SHARED / "alttest_cebab_aspects" / "annotations.jsonl").read_text(encoding="utf-8").splitlines()
    rows = sorted(
        (row["item_id"], row["annotator_id"], row["label"], row["annotator_kind"]) for row in map(json.loads, lines)
    )
    labels = sorted({row[2] for row in rows})
    item, annotator, label = (np.unique([row[n] for row in rows], return_inverse=True)[1] for n in range(3))
    is_person = np.array([row[3] == "human" for row in rows])
    # Of each item's people two vote, the first by name on even items, the last on odd ones; the others are the reference.
    turn = np.zeros(len(rows), dtype=int)
    for one in range(item.max() + 1):
        place = np.flatnonzero((item == one) & is_person)
        turn[place if one % 2 else place[::-1]] = np.arange(len(place))
    votes, others = is_person & (turn < 2), is_person & (turn >= 2)
    counts = np.bincount(item[others] * 3 + label[others], minlength=3 * (item.max() + 1)).reshape(-1, 3)
    top = np.sort(counts, axis=1)
    told = top[:, 2] > top[:, 1]
    truth = counts.argmax(axis=1)

    ballot = coded(item[votes], annotator[votes], label[votes])
    names, machine = np.unique(annotator[~is_person], return_inverse=True)
    share = np.where(np.arange(3) == label[~is_person][:, None], 0.7, 0.15)
    found = log_pool(ballot, Opinions(item[~is_person], machine, share, pa.array(names)), labels)
    alone = posterior(ballot, labels, "dawid-skene").matrix
    assert log_loss(found.matrix[told], truth[told]) < log_loss(alone[told], truth[told])
    assert found.rests_on == "fitted"
    # six models, hardly more than one
    assert found.weight.sum() < 1.5
