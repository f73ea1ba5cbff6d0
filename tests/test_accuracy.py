"""Accuracy and prevalence: published figures, intervals that hold where little was counted, and honest open ends."""

import json
from dataclasses import asdict
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from tasks.accuracy import Stratum, estimate, one_hot, prevalence, stratified, tuned

CORRECT = np.array([1, 0, 1, 1, 0, 1, 1, 0, 1, 1], dtype=float)
FORETOLD = np.array([0.9, 0.7, 0.4, 0.8, 0.5, 0.95, 0.6, 0.65, 0.85, 0.7])
POOL = np.array([0.9, 0.2, 0.8, 0.7, 0.95, 0.5, 0.6, 0.85, 0.3, 0.75,
                 0.9, 0.65, 0.55, 0.8, 0.4, 0.99, 0.7, 0.6, 0.85, 0.9])  # fmt: skip
Z_90 = 1.6448536269514722


def labels_of(items, right, seed=0, sharp=2.0):
    """Return of each item whether its label is right, and a score that ranks errors somewhat."""
    rng = np.random.default_rng(seed)
    correct = (rng.random(items) < right).astype(float)
    return correct, 1 / (1 + np.exp(-(1 + sharp * (correct - right) + rng.normal(size=items))))


def coverage(truth, intervals):
    """Return the share of intervals that hold the truth."""
    return np.mean([one.low - 1e-9 <= truth <= one.high + 1e-9 for one in intervals])


def test_the_published_figures_of_ppi_plus_plus():
    # ppi-python 0.2.3 on the same numbers
    found = tuned(CORRECT, FORETOLD, POOL)
    reach = Z_90 * found.variance**0.5
    assert found.power == approx(0.4282005, abs=1e-7)
    assert found.value == approx(0.69550389, abs=1e-8)
    assert (found.value - reach, found.value + reach) == approx((0.46487266, 0.92613513), abs=1e-8)


@pytest.mark.parametrize("kept", [1.0, 0.0])
def test_the_power_is_clipped_so_that_foretelling_never_hurts(kept):
    # correct = 2 x foretold would ask for lambda = 2 N / (N + n): clipped to 1; the opposite for less than 0: to 0
    foretold = CORRECT / 2 if kept else 1 - CORRECT
    found = tuned(CORRECT, foretold, np.tile(foretold, 50))
    assert found.power == kept
    assert found.value == approx(CORRECT.mean())


def test_scores_that_are_all_alike_leave_the_audits_alone():
    found = tuned(CORRECT, np.full(10, 0.8), np.full(20, 0.8))
    assert (found.power, found.value) == (0.0, approx(0.7))
    assert found.variance == approx(0.7 * 0.3 / 10)
    assert found.variance_here == approx(0.7 * 0.3 / 10 * 20 / 30)  # a third of the items is known


def test_the_variance_for_these_items_is_that_of_every_way_to_draw_them():
    # all 56 ways to audit 3 of 8 items, with lambda fixed at 5/8 (slope 1): errors have mean 0 and the variance
    # S^2 (1/3 - 1/8), where S^2 is of y - f, with ddof 1
    y, f = np.array([1, 1, 0, 1, 0, 1, 1, 0.0]), np.array([0.9, 0.7, 0.2, 0.6, 0.5, 0.8, 0.9, 0.3])
    errors = []
    for drawn in combinations(range(8), 3):
        rest = [place for place in range(8) if place not in drawn]
        value = 5 / 8 * f[rest].mean() + (y - 5 / 8 * f)[list(drawn)].mean()
        errors.append(value - y.mean())
    assert np.mean(errors) == approx(0)
    assert np.var(errors) == approx((y - f).var(ddof=1) * (1 / 3 - 1 / 8))


def test_no_error_seen_is_not_no_error():
    # of a stream: (1 - p)^59 = .05 just where the upper bound of the error stands; a normal interval has width 0
    found = estimate(np.ones(59), np.full(59, 0.9), np.full(5000, 0.9), confidence=0.9, claim="stream")
    assert (found.value, found.high, found.method) == (1.0, 1.0, "exact")
    assert found.low == approx(0.05 ** (1 / 59))


def test_of_a_small_batch_the_exact_interval_counts_the_items():
    # 20 items, 10 audited and all right: with k of the other 10 wrong, C(20-k, 10)/C(20, 10) ways show none
    # k = 3: .105, k = 4: .043 > .025, k = 5: .016, so at most 4 of 20 are wrong
    found = estimate(np.ones(10), np.full(10, 0.5), np.full(10, 0.5))
    assert (found.low, found.high) == (approx(1 - 4 / 20), 1.0)


def test_where_everything_was_audited_nothing_is_estimated():
    found = estimate(CORRECT, FORETOLD, [])
    assert (found.value, found.low, found.high, found.method) == (0.7, 0.7, 0.7, "counted")


def test_enough_errors_make_it_prediction_powered_and_narrower():
    correct, score = labels_of(4000, 0.8)
    found = estimate(correct[:300], score[:300], score[300:])
    alone = estimate(correct[:300], np.full(300, 0.5), np.full(3700, 0.5))
    assert (found.method, found.n, found.population) == ("ppi++", 300, 4000)
    assert found.high - found.low < 0.85 * (alone.high - alone.low)


def test_a_score_that_is_missing_for_some_item_is_not_used():
    correct, score = labels_of(400, 0.8)
    holed = np.where(np.arange(400) == 399, np.nan, score)
    assert estimate(correct[:100], holed[:100], holed[100:]) == estimate(correct[:100], np.zeros(100), np.zeros(300))


def test_nothing_answered_is_undefined_with_the_reason():
    found = estimate([], [0.9, 0.8], POOL, pending=2)
    assert (found.value, found.low, found.high) == (None, None, None)
    assert found.reason == "no audit is answered"
    json.dumps(asdict(found), allow_nan=False)


def test_an_audit_without_an_answer_is_wrong_at_the_lower_end_and_right_at_the_upper():
    correct, score = labels_of(2000, 0.8)
    open_ends = estimate(correct[:190], score[:200], score[200:], pending=10)
    all_wrong = estimate(np.append(correct[:190], np.zeros(10)), score[:200], score[200:])
    all_right = estimate(np.append(correct[:190], np.ones(10)), score[:200], score[200:])
    assert (open_ends.low, open_ends.high) == (all_wrong.low, all_right.high)
    assert (open_ends.n, open_ends.pending, open_ends.population) == (190, 10, 2000)
    assert all_wrong.value < open_ends.value < all_right.value


def test_a_foretelling_of_other_items_is_refused():
    with pytest.raises(ValueError, match="every audit"):
        estimate([1, 0], [0.5, 0.5, 0.5], POOL)


def test_audits_of_equal_chance_need_no_weights():
    correct, score = labels_of(3000, 0.8)
    plain = estimate(correct[:300], score[:300], score[300:])
    weighed = estimate(correct[:300], score[:300], score[300:], weights=np.full(300, 10.0))
    ends = [(one.value, one.low, one.high) for one in (plain, weighed)]
    assert ends[0] == approx(ends[1], abs=0.003)  # the slope is of the sample alone where weights are given


def test_audits_likelier_where_the_model_is_unsure_are_weighed_back():
    correct, score = labels_of(3000, 0.8)
    chance = np.clip(300 * (1 - score) / (1 - score).sum(), 0.03, 1)
    rng, found, naive = np.random.default_rng(1), [], []
    for _ in range(200):
        is_drawn = rng.random(3000) < chance
        found.append(estimate(correct[is_drawn], score[is_drawn], score[~is_drawn], weights=1 / chance[is_drawn]))
        naive.append(correct[is_drawn].mean())
    assert coverage(correct.mean(), found) >= 0.91  # of 200 draws at 95 %, 182 is four errors below 190
    assert np.mean([one.value for one in found]) == approx(correct.mean(), abs=0.005)
    assert np.mean(naive) < correct.mean() - 0.1


def test_slices_count_for_as_much_as_they_have_items():
    # 900 items with 30 of 40 right and 100 with 20 of 40, and scores that say nothing: .9 x .75 + .1 x .5 = .725
    few, many = np.repeat([1.0, 0.0], [30, 10]), np.repeat([1.0, 0.0], 20)
    strata = [Stratum(few, np.full(40, 0.5), np.full(860, 0.5)), Stratum(many, np.full(40, 0.5), np.full(60, 0.5))]
    found = stratified(strata)
    assert (found.value, found.n, found.population, found.method) == (approx(0.725), 80, 1000, "ppi++")
    assert found.low < 0.725 < found.high
    assert estimate(np.append(few, many), np.full(80, 0.5), np.full(920, 0.5)).value == 0.625


def test_one_slice_is_no_slices():
    correct, score = labels_of(2000, 0.8)
    assert stratified([Stratum(correct[:200], score[:200], score[200:])]) == estimate(
        correct[:200], score[:200], score[200:]
    )


def test_a_slice_without_an_answer_leaves_the_whole_undefined():
    found = stratified([Stratum(CORRECT, FORETOLD, POOL), Stratum(np.ones(0), np.ones(0), POOL)])
    assert (found.value, found.reason, found.population) == (None, "a slice has no audit that is answered", 50)


def test_slices_audited_unevenly_and_nearly_perfect_keep_their_promise():
    # a plain normal interval has width 0 in some 40 % of these draws
    sizes, right, rng, found = (5000, 3000, 2000), (0.995, 0.99, 0.98), np.random.default_rng(3), []
    whole = [(rng.random(size) < share).astype(float) for size, share in zip(sizes, right, strict=True)]
    truth = np.concatenate(whole).mean()
    for _ in range(200):
        mixed = [rng.permutation(part) for part in whole]
        strata = [Stratum(part[:60], np.full(60, 0.9), np.full(len(part) - 60, 0.9)) for part in mixed]
        found.append(stratified(strata))
    assert coverage(truth, found) >= 0.95


@pytest.mark.parametrize(("right", "audits"), [(0.8, 50), (0.8, 300), (0.98, 100), (0.995, 300)])
def test_intervals_hold_as_often_as_they_say(right, audits):
    correct, score = labels_of(2000, right, seed=5)
    rng, found = np.random.default_rng(6), []
    for _ in range(300):
        order = rng.permutation(2000)
        drawn, rest = order[:audits], order[audits:]
        found.append(estimate(correct[drawn], score[drawn], score[rest], confidence=0.9))
    assert coverage(correct.mean(), found) >= 0.9 - 3 * (0.9 * 0.1 / 300) ** 0.5


def test_the_prevalence_of_every_label():
    # the model says a of 8 of 10 items, and people found no miss in 4: the audits alone would say 3/4, tuned nearly 8/10
    truth, model = ["a", "a", "b", "a"], one_hot(["a", "a", "b", "a", "a", "a", "a", "a", "a", "b"], ["a", "b"])
    found = prevalence(truth, model[:4], model[4:], ["a", "b"])
    assert found["a"].value == approx(0.8, abs=0.01)
    assert found["a"].value + found["b"].value == approx(1)
    # 3 of 4 are a: at least 3 of 10 surely, at most 9, for one b was seen
    assert (found["a"].low, found["a"].high) == (0.3, 0.9)


def test_a_model_that_was_never_seen_to_err_may_still_err():
    # 40 of 100 audits are a, all as foretold. Errors of either kind are bounded apart: among 400 items foretold a by
    # 40 audits, among 600 by 60; the labels alone would leave twice the width, a normal interval none.
    truth = np.repeat(["a", "b"], [40, 60])
    pool = one_hot(np.repeat(["a", "b"], [360, 540]), ["a"])
    found = prevalence(truth, one_hot(truth, ["a"]), pool, ["a"])["a"]
    assert (found.value, found.method) == (approx(0.4), "exact by foretold label")
    assert found.low < 0.38 and found.high > 0.42
    assert found.high - found.low < 0.1


def test_the_prevalence_of_a_rare_label_holds():
    rng = np.random.default_rng(8)
    is_rare = rng.random(4000) < 0.01
    model = one_hot(np.where(rng.random(4000) < 0.02, ~is_rare, is_rare), [True])
    found = []
    for _ in range(200):
        order = rng.permutation(4000)
        drawn, rest = order[:150], order[150:]
        found.append(prevalence(is_rare[drawn], model[drawn], model[rest], [True])[True])
    assert coverage(is_rare.mean(), found) >= 0.93
    assert all(one.high > 0 for one in found)


@settings(max_examples=60, deadline=None)
@given(
    items=st.integers(2, 120),
    audits=st.integers(1, 120),
    pending=st.integers(0, 5),
    right=st.floats(0, 1),
    seed=st.integers(0, 10**6),
    is_weighed=st.booleans(),
)
def test_an_interval_is_within_0_and_1_around_its_value_whatever_the_order(
    items, audits, pending, right, seed, is_weighed
):
    rng, audits = np.random.default_rng(seed), min(audits, items)
    correct, foretold, pool = (rng.random(audits) < right) * 1.0, rng.random(audits + pending), rng.random(items)
    weights = 1 + 9 * rng.random(audits + pending) if is_weighed else None
    found = estimate(correct, foretold, pool, weights=weights, pending=pending)
    assert 0 <= found.low <= found.value <= found.high <= 1
    order = np.append(rng.permutation(audits), np.arange(audits, audits + pending))
    shuffled = estimate(correct[order[:audits]], foretold[order], rng.permutation(pool),
                        weights=None if weights is None else weights[order], pending=pending)  # fmt: skip
    assert (shuffled.value, shuffled.low, shuffled.high) == approx((found.value, found.low, found.high), abs=1e-9)
