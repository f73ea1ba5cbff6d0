"""Models of annotators: what each takes an annotator to be, found again in votes made so."""

import numpy as np
import pytest
from hypothesis import given as holds
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays
from pytest import approx

from tasks.posterior import coded, posterior
from tasks.posterior.confusion import coins, dawid_skene, mace, one_coin
from tasks.posterior.ordinal import ordinal

EXPECTED = arrays(float, (3, 4, 4), elements=some.floats(0, 1e6))


def ballot(*lines):
    """Return votes on items X, Y, … by annotators A, B, … as `X AaBb`: A says a, B says b."""
    rows = [
        ("XYZUVW".index(item), ord(said[0]) - ord("A"), ord(said[1]) - ord("a"))
        for item, *votes in (line.split() for line in lines)
        for said in votes
    ]
    return coded(*(np.array(column) for column in zip(*rows, strict=True)))


def told(confusion, truth, draw, share=1.0):
    """Return votes of annotators with these confusion matrices on items with these labels."""
    people = len(confusion)
    item, annotator = np.divmod(np.arange(len(truth) * people), people)
    reach = confusion[annotator, truth[item]].cumsum(axis=1)
    label = (draw.random((len(item), 1)) > reach).sum(axis=1).clip(max=confusion.shape[2] - 1)
    kept = draw.random(len(item)) < share
    return coded(item[kept], annotator[kept], label[kept])


@pytest.mark.parametrize("fit", [one_coin, dawid_skene, lambda counts, smoothing: mace(smoothing)(counts)])
@holds(counts=EXPECTED, smoothing=some.sampled_from([0.5, 2.0]))
def test_every_row_of_a_confusion_matrix_sums_to_one(fit, counts, smoothing):
    found = fit(counts, smoothing)
    assert (found >= 0).all()
    assert found.sum(axis=2) == approx(np.ones((3, 4)))


@holds(counts=EXPECTED, smoothing=some.sampled_from([0.5, 2.0]))
def test_every_row_of_an_ordinal_matrix_sums_to_one(counts, smoothing):
    found = ordinal(np.array([1.0, 2.0, 3.0, 5.0]), smoothing)(counts)
    assert (found > 0).all()
    assert found.sum(axis=2) == approx(np.ones((3, 4)))


def test_pseudo_labels_are_right_seven_times_of_ten():
    # 8 votes for the true label and none for the other two, with two pseudo-labels of .7, .15, .15
    counts = np.array([[[8.0, 0, 0], [0, 0, 0], [0, 0, 0]]])
    assert dawid_skene(counts, 2)[0].tolist() == [approx([0.94, 0.03, 0.03]), approx([0.15, 0.7, 0.15]), approx([0.15, 0.15, 0.7])]  # fmt: skip
    # one coin: (8 + 1.4) / (8 + 2)
    assert one_coin(counts, 2)[0, 0].tolist() == approx([0.94, 0.03, 0.03])


def test_mace_tells_who_knows_from_who_guesses():
    # knows four times of five and else says a, b, c in shares .5, .3, .2: π[a, a] = .8 + .2 * .5
    knows, habit = 0.8, np.array([0.5, 0.3, 0.2])
    matrix = knows * np.eye(3) + (1 - knows) * habit
    counts = 1e6 * np.full((3, 1), 1 / 3) * matrix
    fit = mace(0)
    for _ in range(50):  # a step only improves: the fit goes on from where it was
        found = fit(counts[None])
    assert found[0] == approx(matrix, abs=1e-6)


def test_mace_finds_the_spammer_who_always_says_the_same():
    draw = np.random.default_rng(5)
    truth = draw.choice(3, 600, p=[0.5, 0.3, 0.2])
    spam = np.tile([0.9, 0.1, 0.0], (3, 1))
    confusion = np.concatenate([coins(np.array([0.9, 0.8, 0.7, 0.6]), 3), spam[None]])
    found = posterior(told(confusion, truth, draw), list("abc"), "mace")
    assert (found.winner == truth).mean() > 0.9
    # whatever is true, the spammer's rows are one habit
    assert np.ptp(found.confusion[4], axis=0).max() < 0.05
    assert np.ptp(found.confusion[0], axis=0).max() > 0.8


def test_weighted_majority_weighs_by_siding_with_the_majority():
    # X: a a b, Y: b b a, Z: a b; A and B side with the majority on X and Y; on Z, a tie, each sides by half
    found = posterior(ballot("X Aa Ba Cb", "Y Ab Bb Ca", "Z Aa Cb"), list("ab"), "weighted-majority")
    # A 2.5 of 3, B 2 of 2, C 0.5 of 3: X has 5/6 + 1 for a and 1/6 for b
    assert found.matrix.tolist() == [approx([11 / 12, 1 / 12]), approx([1 / 12, 11 / 12]), approx([5 / 6, 1 / 6])]


def test_weighted_majority_equals_crowd_kit_where_nothing_is_tied():
    aggregation = pytest.importorskip("crowdkit.aggregation")
    pandas = pytest.importorskip("pandas")
    utils = pytest.importorskip("crowdkit.aggregation.utils")
    draw = np.random.default_rng(2)
    votes = told(coins(np.array([0.9, 0.8, 0.7, 0.6, 0.5]), 2), draw.integers(0, 2, 200), draw)
    frame = pandas.DataFrame({"task": votes.item, "worker": votes.annotator, "label": votes.label})
    majority = aggregation.MajorityVote()
    skill = utils.get_accuracy(frame, true_labels=majority.fit(frame).labels_, by="worker")
    theirs = aggregation.MajorityVote().fit(frame, skills=skill).probas_.fillna(0).to_numpy()
    assert np.abs(posterior(votes, list("ab"), "weighted-majority").matrix - theirs).max() < 1e-9


def test_glad_equals_crowd_kit():
    aggregation = pytest.importorskip("crowdkit.aggregation")
    pandas = pytest.importorskip("pandas")
    draw = np.random.default_rng(7)
    votes = told(coins(np.array([0.9, 0.8, 0.7, 0.6]), 3), draw.integers(0, 3, 12), draw)
    frame = pandas.DataFrame({"task": votes.item, "worker": votes.annotator, "label": votes.label})
    model = aggregation.GLAD(n_iter=12, tol=-np.inf, m_step_max_iter=5, m_step_tol=1e-9, silent=True)
    theirs = model.fit(frame).probas_.sort_index().sort_index(axis=1).to_numpy()
    found = posterior(votes, list("abc"), "glad", tolerance=1e-9, most_rounds=2_000)
    assert np.abs(found.matrix - theirs).max() < 2e-3  # it is not quite there after its rounds


def test_glad_believes_the_able_on_hard_items():
    draw = np.random.default_rng(1)
    hard, able = draw.random(400) < 0.5, np.array([0.95, 0.95, 0.55, 0.55, 0.55])
    truth = draw.integers(0, 2, 400)
    right = draw.random((400, 5)) < np.where(hard[:, None], able, 0.95)
    item, annotator = np.divmod(np.arange(2_000), 5)
    votes = coded(item, annotator, np.where(right, truth[:, None], 1 - truth[:, None]).ravel())
    share = {m: (posterior(votes, ["no", "yes"], m).winner == truth).mean() for m in ("majority", "glad")}
    assert share["glad"] > share["majority"]


def test_ordinal_finds_bias_and_spread_again():
    # reads .4 too high with a spread of .7: P(2 | 2) = Φ(.1 / .7) − Φ(−.9 / .7), 1 % of ratings slip
    from scipy.special import ndtr

    scores, edges = np.arange(1.0, 6.0), np.array([-np.inf, 1.5, 2.5, 3.5, 4.5, np.inf])
    matrix = 0.99 * np.diff(ndtr((edges - scores[:, None] - 0.4) / 0.7), axis=1) + 0.01 / 5
    fit = ordinal(scores, 0)
    for _ in range(300):
        found = fit(1e6 * matrix[None])
    assert found[0] == approx(matrix, abs=1e-4)


def ratings(levels, people, items, draw):
    """Return votes on a scale, the truth, and how far off each annotator is."""
    bias, spread = draw.normal(0, 0.06 * levels, people), draw.uniform(0.05, 0.15, people) * levels
    truth = draw.integers(0, levels, items)
    item, annotator = np.divmod(np.arange(items * people), people)
    read = truth[item] + bias[annotator] + spread[annotator] * draw.normal(size=len(item))
    kept = draw.random(len(item)) < 0.5
    return coded(item[kept], annotator[kept], np.clip(np.rint(read), 0, levels - 1).astype(int)[kept]), truth


@pytest.mark.parametrize("levels", [5, 100])
def test_ordinal_comes_nearer_to_the_truth_than_models_that_ignore_the_order(levels):
    votes, truth = ratings(levels, people=12, items=300, draw=np.random.default_rng(4))
    scores, labels, items = np.arange(levels), [f"{n:03}" for n in range(levels)], votes.item_ids.to_pylist()
    error = {
        method: np.sqrt(np.mean((posterior(votes, labels, method, scores=scores).mean - truth[items]) ** 2))
        for method in ("majority", "dawid-skene", "ordinal")
    }
    assert error["ordinal"] < 0.9 * min(error["majority"], error["dawid-skene"])


def test_the_order_of_the_labels_is_that_of_the_scores():
    votes, _ = ratings(5, people=8, items=60, draw=np.random.default_rng(4))
    turned = votes._replace(label=4 - votes.label)
    turned = coded(turned.item, turned.annotator, turned.label)
    one = posterior(votes, list("abcde"), "ordinal", scores=np.arange(5))
    other = posterior(turned, list("edcba"), "ordinal", scores=np.arange(5)[::-1])
    assert np.abs(one.matrix - other.matrix[:, ::-1]).max() < 1e-6
