"""Certificates: exact tests of an audit, the order they are made in, and what is said of them."""

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx
from scipy.stats import binom, hypergeom

from tasks.certificate import (
    Claim,
    Grid,
    Sample,
    certify,
    certify_slices,
    least_audits,
    statement,
    thresholds,
)
from tasks.certificate.evidence import (
    binomial_p,
    binomial_upper,
    hypergeometric_p,
    hypergeometric_upper,
    stream_evidence,
    stream_p,
    stream_upper,
)
from tasks.certificate.sequence import passed

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"


def audit(answers: str, score: float | np.ndarray = 0.9, unaudited: int = 0) -> Sample:
    """Return a sample of audits, one letter each in the order of their draw: right, wrong or ? for no answer yet."""
    said = np.array(list(answers + "-" * unaudited))
    place = np.where(said == "-", 0, np.arange(1, len(said) + 1))
    scores = np.broadcast_to(np.asarray(score, dtype=float), said.shape)
    return Sample(scores, place, np.isin(said, ["w", "?"]), np.isin(said, ["r", "w"]))


@pytest.mark.parametrize(
    ("max_error", "delta", "least"),
    [
        (0.01, 0.05, [299, 473, 628, 773, 913, 1049]),
        (0.01, 0.10, [230, 388, 531, 667, 798, 926]),
        (0.02, 0.05, [149, 236, 313, 386, 456, 523]),
        (0.05, 0.05, [59, 93, 124, 153, 181, 208]),
        (0.05, 0.10, [45, 77, 105, 132, 158, 184]),
        (0.10, 0.05, [29, 46, 61, 76, 89, 103]),
        (0.10, 0.10, [22, 38, 52, 65, 78, 91]),
    ],
)
def test_the_least_audits_are_those_of_the_exact_binomial_test(max_error, delta, least):
    claim = Claim(max_error, 1 - delta)
    assert [least_audits(claim, errors) for errors in range(6)] == least


def test_slices_and_starts_share_what_may_go_wrong():
    # ln(delta / parts) / ln(1 - 0.05): 104 of ten slices, 135 of fifty
    claim = Claim(0.05, 0.95)
    assert (least_audits(claim, slices=10), least_audits(claim, slices=50)) == (104, 135)
    assert least_audits(claim, slices=5, starts=2) == least_audits(claim, slices=10)
    assert least_audits(Claim(1e-6, 0.95)) == 2_995_731  # ln 0.05 / ln (1 - 1e-6)


@pytest.mark.parametrize("max_error", [0.01, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("delta", [0.05, 0.1])
def test_a_stream_needs_hardly_more_audits_than_a_test_that_is_made_once(max_error, delta):
    for errors in range(11):
        once, stream = (least_audits(Claim(max_error, 1 - delta, method), errors) for method in ("binomial", "stream"))
        assert once < stream <= 1.16 * once + 1


@pytest.mark.parametrize(
    ("errors", "audited", "delta", "upper"),
    [(0, 59, 0.05, 0.049508), (2, 100, 0.1, 0.052345), (5, 200, 0.05, 0.051843), (25, 500, 0.1, 0.064915)],
)
def test_the_upper_bound_is_clopper_and_pearsons(errors, audited, delta, upper):
    assert binomial_upper(errors, audited, delta) == approx(upper, abs=1e-6)
    assert binomial_p(np.array(errors), np.array(audited), upper) == approx(delta, abs=1e-4)


def test_the_p_value_is_that_of_the_binary_hoeffding_bentkus_bound():
    assert float(binomial_p(np.array(4), np.array(200), 0.05)) == approx(0.0264468, abs=1e-7)


@pytest.mark.parametrize(
    ("errors", "audited", "population", "delta", "most"),
    [(0, 59, 1000, 0.05, 48), (1, 93, 1000, 0.05, 48), (0, 59, 200, 0.05, 8), (2, 124, 500, 0.05, 22), (0, 45, 300, 0.1, 13)],
)  # fmt: skip
def test_of_a_batch_the_most_errors_there_may_be_are_counted(errors, audited, population, delta, most):
    assert hypergeometric_upper(errors, audited, population, delta) == approx(most / population)


def test_a_batch_that_is_audited_whole_is_known():
    # 5 of 50 are 10 %, so 5 errors hold and 6 do not, whatever the confidence
    p = hypergeometric_p(np.array([5, 6]), np.array([50, 50]), np.array([50, 50]), 0.1)
    assert p.tolist() == [0, 1]
    assert hypergeometric_upper(5, 50, 50, 0.001) == 0.1


def test_what_may_be_wrong_is_counted_without_rounding_errors():
    # 0.29 * 100 is 28.999999999999996 in floating point, and yet 29 of 100 may be wrong
    assert hypergeometric_p(np.array(29), np.array(100), np.array(100), 0.29) == 0
    assert hypergeometric_p(np.array(30), np.array(100), np.array(100), 0.29) == 1


@settings(deadline=None)
@given(st.integers(1, 400), st.data())
def test_the_exact_tests_are_those_of_scipy(population, data):
    audited = data.draw(st.integers(0, population))
    errors = data.draw(st.integers(0, audited))
    share = data.draw(st.floats(0.01, 0.99))
    wrong = min(math.floor(share * population + 1e-9) + 1, population)
    given_counts = np.array(errors), np.array(audited)
    assert float(binomial_p(*given_counts, share)) == approx(binom.cdf(errors, audited, share), abs=1e-12)
    expected = hypergeom.cdf(errors, population, wrong, audited)
    assert float(hypergeometric_p(*given_counts, np.array(population), share)) == approx(expected, abs=1e-9)


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(0, 20), st.sampled_from([0.02, 0.05, 0.1, 0.3]))
def test_more_audits_and_fewer_errors_prove_more(audited, errors, max_error):
    errors, population = min(errors, audited), 500
    for p in (
        lambda k, n: float(binomial_p(np.array(k), np.array(n), max_error)),
        lambda k, n: float(hypergeometric_p(np.array(k), np.array(n), np.array(population), max_error)),
        lambda k, n: -float(stream_evidence(np.array(k), np.array(n), max_error)),
    ):
        assert p(errors, audited + 1) <= p(errors, audited) + 1e-12 <= p(errors + 1, audited + 1) + 2e-12


def test_of_a_batch_no_more_audits_are_needed_than_of_a_source():
    errors, audited = np.meshgrid(np.arange(6), np.arange(6, 150))
    for max_error in (0.05, 0.1):  # of multiples of 20, so that no share of an item is rounded away
        batch = hypergeometric_p(errors, audited, np.full_like(audited, 200), max_error)
        source = binomial_p(errors, audited, max_error)
        assert (batch <= source)[source <= 0.5].all()  # fewer errors than expected: the only ones that certify


@pytest.mark.parametrize("wrong_share", [0.2, 0.35, 0.7])
def test_evidence_is_expected_to_grow_by_nothing_where_too_many_are_wrong(wrong_share):
    # exactly, over all 2^8 ways in which eight audits can go, and after each of them
    errors, audited = np.arange(9), np.full(9, 8)
    mean = (binom.pmf(errors, 8, wrong_share) * np.exp(stream_evidence(errors, audited, 0.2))).sum()
    assert mean <= 1 + 1e-12
    assert (mean == approx(1)) == (wrong_share == 0.2)


def test_the_chance_that_a_stream_is_ever_certified_wrongly_is_below_delta():
    # all 2^14 ways in which 14 audits can go where 30 % are wrong and 30 % were not to be
    ways = np.array(list(product((False, True), repeat=14)))
    chance = np.where(ways, 0.3, 0.7).prod(axis=1)
    for whole in (None, 10):
        p = np.array([stream_p(way, 0.3, whole) for way in ways])
        for delta in (0.01, 0.05, 0.1, 0.3):
            assert chance[p <= delta].sum() <= delta


def test_a_stream_may_be_looked_at_each_night():
    # 2,000 streams with exactly as many errors as must not be; a look after each audit from the 20th on
    rng = np.random.default_rng(11)
    ways = rng.random((2000, 400)) < 0.1
    errors, audited = ways.cumsum(axis=1), np.arange(1, 401)
    once = binomial_p(errors, np.broadcast_to(audited, errors.shape), 0.1)[:, 19:]
    assert (once.min(axis=1) <= 0.1).mean() > 0.25  # what is meant to be looked at once breaks its promise
    assert np.mean([stream_p(way, 0.1, 300) <= 0.1 for way in ways]) <= 0.1


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from("rw?"), min_size=1, max_size=80), st.integers(0, 80))
def test_an_answer_that_comes_in_never_takes_evidence_away(answers, whole):
    asked = min(whole, len(answers)) or None
    pending = np.array([one != "r" for one in answers])
    for answered in ("r", "w"):
        come = np.array([(answered if one == "?" else one) != "r" for one in answers])
        assert stream_p(come, 0.1, asked) <= stream_p(pending, 0.1, asked)


@pytest.mark.parametrize(("wrong", "whole"), [([0] * 60, None), ([0] * 60 + [1] + [0] * 40, 80), ([1] * 5, None)])
def test_a_streams_bound_is_where_its_evidence_ends(wrong, whole):
    wrong = np.array(wrong, dtype=bool)
    upper = stream_upper(wrong, 0.1, whole)
    assert upper == 1 or stream_p(wrong, upper + 1e-6, whole) <= 0.1
    assert stream_p(wrong, upper - 1e-6, whole) > 0.1


def test_a_start_hands_its_part_on_as_long_as_thresholds_hold():
    # parts of 0.05 each: the first start fails with 0.06, the second holds with 0.04, and goes on until 0.2
    holds, levels = passed(np.array([0.06, 0.01, 0.04, 0.05, 0.2, 0.0]), (0, 2), 0.1)
    assert levels.tolist() == [0.05, 0, 0.05, 0.05, 0.05, 0]
    assert holds.tolist() == [False, False, True, True, False, False]
    # where the first reaches the second, they have both parts
    holds, levels = passed(np.array([0.01, 0.02, 0.09, 0.1]), (0, 2), 0.1)
    assert (levels.tolist(), holds.all()) == ([0.05, 0.05, 0.1, 0.1], True)


def test_if_the_strictest_threshold_fails_nothing_is_accepted():
    score = np.repeat([0.9, 0.5], 100)
    answers = "w" * 50 + "r" * 150  # half of the surest are wrong, and none of the others
    found = certify(audit(answers, score), Grid((0.9, 0.5), (0,)), Claim(0.3, 0.9))
    assert found.threshold is None
    assert [test["passed"] for test in found.tests] == [False, False]
    assert found.reason.startswith("of 100 labels audited with a score of 0.9 or more 50 were wrong")


@pytest.mark.parametrize("method", ["binomial", "hypergeometric", "stream"])
def test_a_certificate_counts_all_that_it_covers(method):
    # of 200 sure ones 60 are audited and right; of 100 unsure ones 30, and half of them wrong
    score = np.append(np.tile([0.9, 0.9, 0.5], 30), np.repeat([0.9, 0.5], [140, 70]))
    sample, claim = audit("rrrrrw" * 15, score, unaudited=210), Claim(0.1, 0.95, method)
    found = certify(sample, thresholds(score, claim, 90), claim)
    assert (found.threshold, found.accepted, found.accepted_share) == (0.9, 200, approx(2 / 3))
    assert (found.audited, found.answered, found.errors) == (90, 90, 15)
    assert (found.audited_accepted, found.errors_accepted) == (60, 0)
    assert 0 < found.upper <= 0.1
    told = statement(claim, found)
    assert told.startswith(
        "Of the 200 labels accepted without a person (score 0.9 or more, 66.7 % of 300), at most 10 % are wrong, with 95 %"
        " confidence: 60 of them were drawn at random and audited, none wrong"
    )
    assert "before any correction" in told


def test_who_has_not_answered_counts_as_wrong():
    claim = Claim(0.1, 0.9)
    grid = Grid((0.9,), (0,))
    assert certify(audit("r" * 38), grid, claim).threshold == 0.9
    pending = certify(audit("r" * 37 + "?"), grid, claim)
    assert (pending.threshold, pending.errors, pending.answered) == (0.9, 1, 37)  # 38 with one error are enough
    assert "1 of all drawn not answered yet" in statement(claim, pending)
    assert certify(audit("r" * 36 + "??"), grid, claim).threshold is None


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        (audit(""), "there is no label to accept"),
        (audit("", np.nan, unaudited=3), "no label has a score"),
        (audit("", unaudited=3), "none was drawn for people to audit"),
        (audit("??"), "none of the 2 drawn has an answer that people agree on, and those count as wrong until they have"),
        (audit("r" * 20), "20 labels audited with a score of 0.9 or more, 22 needed even without an error: 2 lacking"),
        (audit("r" * 30 + "w"), "of 31 labels audited with a score of 0.9 or more 1 was wrong, too many to promise it (p = 0.17, where 0.1 would do)"),
    ],
)  # fmt: skip
def test_why_nothing_is_accepted_is_said(sample, reason):
    claim = Claim(0.1, 0.9)
    found = certify(sample, thresholds(sample.score, claim, int((sample.place > 0).sum())), claim)
    assert (found.threshold, found.accepted, found.upper, found.reason) == (None, 0, None, reason)
    assert statement(claim, found, "news") == f"In slice news: No label may be accepted without a person: {reason}."


def test_what_has_no_score_is_never_accepted():
    score = np.array([0.9] * 60 + [np.nan] * 40)
    claim = Claim(0.1, 0.95, "hypergeometric")
    found = certify(audit("r" * 60, score, unaudited=40), thresholds(score, claim, 60), claim)
    assert (found.accepted, found.accepted_share) == (60, 0.6)


def test_a_part_of_a_batch_stands_for_it_only_where_all_of_it_is_accepted():
    # 58 audits without an error are one too few for a source, but not for a batch of 300
    claim, grid = Claim(0.05, 0.95, "hypergeometric"), Grid((0.9,), (0,))
    assert certify(audit("r" * 58), grid, Claim(0.05, 0.95)).threshold is None
    whole = certify(audit("r" * 58), grid, claim, total=300)
    assert (whole.threshold, whole.accepted, whole.method) == (0.9, 300, "hypergeometric")
    assert "all of them, whatever their score" in statement(claim, whole)
    part = certify(audit("r" * 58 + "w", np.array([0.9] * 58 + [0.1])), grid, claim, total=300)
    assert (part.threshold, part.tests[0]["method"]) == (None, "binomial")


def test_a_streams_whole_audit_is_looked_at_once_it_is_drawn():
    # 60 audits, 2 errors: enough for the look at all 60 of them, not for what may be looked at each night
    claim, answers = Claim(0.1, 0.9, "stream"), "ww" + "r" * 58
    assert certify(audit(answers), Grid((0.9,), (0,), looks=(60,)), claim).threshold == 0.9
    assert certify(audit(answers), Grid((0.9,), (0,), looks=(61,)), claim).threshold is None
    # what was drawn after it changes nothing of that look
    assert certify(audit(answers + "w" * 50), Grid((0.9,), (0,), looks=(60,)), claim).threshold == 0.9


def test_thresholds_are_chosen_before_there_is_an_answer():
    score = np.linspace(0, 1, 1001)
    claim = Claim(0.1, 0.9)
    grid = thresholds(score, claim, 500)
    # with one error 47 audits certify at the first start's level of 0.045; a quarter of all audits are more than twice that
    first, second, last = (500 * (score >= grid.values[start]).mean() for start in grid.starts)
    assert (first, second, last) == (approx(47, abs=1), approx(125, abs=1), 500)
    assert grid.parts == (0.45, 0.45, 0.1)
    assert list(grid.values) == sorted(grid.values, reverse=True)
    assert grid.values[-1] == 0  # the last accepts all
    assert grid == thresholds(score[::-1], claim, 500)


def test_equal_scores_are_one_threshold():
    grid = thresholds(np.repeat([0.95, 0.9, 0.8], [400, 300, 300]), Claim(0.1, 0.9), 200)
    assert grid == Grid((0.95, 0.9, 0.8), (0, 1, 2), (0.45, 0.45, 0.1))
    assert thresholds(np.full(100, 0.9), Claim(0.1, 0.9), 300) == Grid((0.9,), (0,), (1.0,))
    # 10 audits cannot certify, 30 can but only of all items
    assert thresholds(np.linspace(0, 1, 100), Claim(0.1, 0.9), 10) == Grid((0.0,), (0,), (1.0,))
    assert thresholds(np.array([np.nan]), Claim(0.1, 0.9, "stream"), 30) == Grid((), (), looks=(30,))


def test_slices_too_small_for_a_certificate_cost_the_others_nothing():
    # one slice has 22 audits without an error, which is just enough if it is the only one that is tested
    samples = {"large": audit("r" * 22, unaudited=100), "small": audit("r" * 9), "none": audit("", unaudited=5)}
    found = certify_slices(samples, Claim(0.1, 0.9))
    assert {name: one.threshold for name, one in found.items()} == {"large": 0.9, "small": None, "none": None}
    # 29 = ln(0.1 / 2) / ln 0.9, for two slices at once
    assert found["small"].reason == "9 labels audited, 29 needed even without an error: 20 lacking"
    assert found["none"].reason == "0 labels audited, 29 needed even without an error: 29 lacking"


@pytest.mark.parametrize("method", ["binomial", "hypergeometric", "stream"])
def test_certificates_promise_too_much_no_more_often_than_they_may(method):
    # 300 audits of 60 out of 400 items, whose errors get more as scores get less, to 24 % in all
    rng = np.random.default_rng(5)
    score = np.sort(rng.random(400))[::-1].round(2)
    wrong = rng.random(400) > 0.55 + 0.42 * score
    claim = Claim(0.2, 0.8, method)
    grid = thresholds(score, claim, 60)
    broken = certified = 0
    for _ in range(300):
        place = np.zeros(400, dtype=int)
        place[rng.permutation(400)[:60]] = np.arange(1, 61)
        found = certify(Sample(score, place, wrong & (place > 0), place > 0), grid, claim)
        if found.threshold is not None:
            certified += 1
            broken += wrong[score >= found.threshold].mean() > 0.2
    assert broken / 300 <= 0.2
    assert certified > 90
