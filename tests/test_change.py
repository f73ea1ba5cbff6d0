"""Change: a certificate ends once scores or errors are no longer those it was made on, and seldom without a cause."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from tasks.certificate import change
from tasks.certificate.change import FALSE_ALARM, risk_change, score_change

SURE = -math.log(FALSE_ALARM)  # 4.605 nats: capital of 100 from 1


def capital(wrong, max_error):
    """Return the log of the capital after each audit."""
    return np.array([batch[-1] for batch in change._capital(change._risks(np.array(wrong), max_error))])


@pytest.mark.parametrize("error", [0.0, 0.05, 0.1, 0.2])
def test_audits_of_a_model_as_good_as_promised_gain_nothing_on_average(error):
    # all 2⁸ outcomes of eight audits; at the promised error a fair game, below it a losing one, after every draw
    outcomes = list(product([0, 1], repeat=8))
    chances = [error ** sum(wrong) * (1 - error) ** (8 - sum(wrong)) for wrong in outcomes]
    mean = sum(chance * np.exp(capital(wrong, 0.2)) for wrong, chance in zip(outcomes, chances, strict=True))
    assert mean == approx(np.ones(8)) if error == 0.2 else (np.diff(mean, prepend=1) < 0).all()


def test_one_error_of_one_is_worth_the_mean_likelihood_ratio():
    # promised .5, odds 1: the six errors bet on have odds 1.5, 2, 3, 5, 10 and 30, errors .6, 2/3, .75, 5/6, 10/11, 30/31;
    # over .5 they are 1.2, 1.333, 1.5, 1.667, 1.818 and 1.935, in the mean 1.5756, and half of the capital is bet
    assert math.exp(risk_change(np.array([True]), 0.5).evidence) == approx(0.5 + 0.5 * 1.5756, abs=1e-4)


def test_the_right_answers_before_a_model_turned_bad_delay_its_alarm_little():
    bad = [True, False] * 20  # half of them wrong where a tenth was promised
    assert risk_change(np.array(bad), 0.1).at == 10
    assert risk_change(np.array([False] * 300 + bad), 0.1).at - 300 == 22
    assert not risk_change(np.array([False] * 300), 0.1).alarm


def test_audits_as_good_as_promised_seldom_alarm_however_often_one_looks():
    draw = np.random.default_rng(1)
    # 400 streams of 400 audits, wrong as often as is just allowed: 4 alarms are expected at most; more than 10 have p < .01
    assert sum(risk_change(draw.random(400) < 0.1, 0.1).alarm for _ in range(400)) <= 10


def test_ranks_of_scores_from_one_urn_are_uniform_with_ties_and_without():
    draw = np.random.default_rng(2)
    for values in (np.linspace(0.3, 1, 15), draw.random(100_000)):
        nights = [draw.choice(values, 500) for _ in range(40)]
        p = np.concatenate(list(change._p_values(nights, draw.choice(values, 1_000))))
        # 20,000 of them in tenths: 2,000 each, standard deviation 42; chi-square of 9 above 27.9 has p = .001
        assert (((np.histogram(p, 10, (0, 1))[0] - 2_000) ** 2) / 2_000).sum() < 27.9
        assert abs(np.corrcoef(p[1:], p[:-1])[0, 1]) < 3 / math.sqrt(len(p))


def test_no_way_to_bet_gains_on_uniform_ranks():
    p = (np.arange(1_000) + 0.5) / 1_000
    assert np.exp(change._bets(p)).mean(axis=0) == approx(np.ones(17))


@pytest.mark.parametrize("values", [np.linspace(0.3, 1, 15), np.linspace(0, 1, 9_973)], ids=["tied", "distinct"])
def test_nights_from_one_urn_seldom_alarm(values):
    draw = np.random.default_rng(3)
    streams = ([draw.choice(values, 20) for _ in range(15)] for _ in range(300))
    alarms = sum(score_change(stream, draw.choice(values, 60)).alarm for stream in streams)
    assert alarms <= 8  # 3 expected at most; more than 8 have p < .004


def sure(night):
    return night.beta(8, 2, 200)


@pytest.mark.parametrize(
    "later",
    [
        lambda night: night.beta(8, 3, 200),
        lambda night: night.beta(10, 2, 200),
        lambda night: np.where(night.random(200) < 0.25, night.beta(3, 3, 200), sure(night)),
        lambda night: np.where(night.random(200) < 0.5, night.beta(2, 2, 200), night.beta(40, 2, 200)),
        lambda night: night.normal(0.8, 0.03, 200),
    ],
    ids=["less sure", "surer", "a quarter from elsewhere", "both more and less sure", "always as sure"],
)
@pytest.mark.parametrize("before", [0, 30])
def test_a_change_of_scores_alarms_within_four_nights(later, before):
    night = np.random.default_rng(4)
    stream = [sure(night) for _ in range(before)] + [later(night) for _ in range(4)]
    found = score_change(stream, np.concatenate([sure(night) for _ in range(5)]))
    assert found.alarm and before <= found.at < before + 4


def test_a_stream_tells_the_same_each_time_and_in_whatever_order_a_night_is_written():
    night = np.random.default_rng(5)
    stream, reference = [sure(night) for _ in range(5)], sure(night)
    found = score_change(stream, reference)
    assert found == score_change(stream, reference)
    assert found == score_change([np.sort(scores) for scores in stream], reference[::-1])


def test_nights_to_come_do_not_change_what_was_said():
    night = np.random.default_rng(6)
    stream = [sure(night) for _ in range(4)] + [night.beta(2, 2, 200) for _ in range(6)]
    reference = sure(night)
    assert [score_change(stream[:end], reference).at for end in range(11)] == [None] * 5 + [4] * 6


def test_one_of_many_streams_needs_more_evidence():
    bad = np.array([True, False] * 20)
    # ln 100 is reached at the 11th draw; ln 1,000 of ten slices later
    assert [risk_change(bad, 0.1, streams=slices).at for slices in (1, 10)] == [10, 16]


def test_nothing_says_nothing():
    nothing = np.zeros(0)
    for found in (score_change([], nothing), score_change([nothing, nothing], nothing), risk_change(nothing, 0.1)):
        assert (found.evidence, found.alarm, found.at) == (0.0, False, None)
    assert not score_change([nothing, np.array([0.9])], np.array([0.1])).alarm
    assert score_change([np.ones(5_000)], np.ones(5_000)).evidence < SURE  # one value and no other


def test_a_first_night_without_a_reference_is_compared_with_itself_alone():
    night = np.random.default_rng(7)
    stream = [sure(night), sure(night), night.beta(2, 2, 200)]
    assert score_change(stream, np.zeros(0)).at == 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.floats(0, 1), max_size=6), max_size=6), st.lists(st.floats(0, 1), max_size=6))
def test_any_stream_has_a_verdict_that_agrees_with_its_evidence(nights, reference):
    found = score_change([np.array(night) for night in nights], np.array(reference))
    assert found.evidence >= 0 and found.alarm == (found.at is not None) == (found.evidence >= SURE)


def test_a_million_scores_take_about_as_long_as_a_thousand():
    night = np.random.default_rng(8)
    found = score_change([night.beta(8, 3, 100_000)], night.beta(8, 2, 900_000))
    assert found == change.Change(approx(found.evidence), True, 0)
