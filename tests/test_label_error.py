"""Label errors: a worked table, another implementation as the oracle, and mistakes that were planted."""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from cleanlab.count import compute_confident_joint, estimate_joint, get_confident_thresholds
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pytest import approx

from schemas.errors import RequestError
from tasks.label_error import confident_joint, joint, label_errors, quality, ranked, thresholds
from tasks.posterior import coded, posterior
from tasks.posterior.opinions import Opinions

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
GIVEN = np.array([0, 0, 0, 0, 1, 1, 1, 1])
SECOND = np.array([0.1, 0.2, 0.7, 0.4, 0.8, 0.9, 0.15, 0.6])
PROBABILITY = np.column_stack([1 - SECOND, SECOND])
THEIRS = {"noise-rate": "prune_by_noise_rate", "class": "prune_by_class", "both": "both", "off-diagonal": "confident_learning"}  # fmt: skip


def test_the_worked_table():
    # Given 0: mean of .9, .8, .3, .6; given 1: mean of .8, .9, .15, .6.
    assert thresholds(GIVEN, PROBABILITY) == approx([0.65, 0.6125])
    # Of those given 0, .9 and .8 reach .65 for label 0, and .7 reaches .6125 for label 1; the fourth reaches nothing.
    assert confident_joint(GIVEN, PROBABILITY, is_calibrated=False).tolist() == [[2, 1], [1, 2]]
    assert confident_joint(GIVEN, PROBABILITY).tolist() == [[3, 1], [1, 3]]
    assert joint(GIVEN, PROBABILITY).tolist() == [[0.375, 0.125], [0.125, 0.375]]
    # Row 6 has .15 of its own label, row 2 has .3.
    assert ranked(GIVEN, PROBABILITY).tolist() == [6, 2]


def test_quality_is_the_own_probability_or_its_margin():
    probability = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]])
    assert quality(np.array([0, 2]), probability).tolist() == [0.7, 0.3]
    # (.7 − .2 + 1) / 2 and (.3 − .6 + 1) / 2
    assert quality(np.array([0, 2]), probability, "normalised-margin").tolist() == approx([0.75, 0.35])


@st.composite
def labelled(draw):
    """Draw labels with mistakes, and a model's probabilities."""
    kinds, items = draw(st.integers(2, 5)), draw(st.integers(20, 200))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    truth = chance.integers(kinds, size=items)
    truth[:kinds] = np.arange(kinds)
    label = np.where(
        chance.random(items) < draw(st.sampled_from([0.05, 0.2, 0.5])), chance.integers(kinds, size=items), truth
    )
    label[:kinds] = np.arange(kinds)  # the oracle refuses labels that nobody gave
    weight = chance.dirichlet(np.ones(kinds), items) + draw(st.sampled_from([0.2, 1.0])) * (
        truth[:, None] == np.arange(kinds)
    )
    return label, weight / weight.sum(axis=1, keepdims=True)


def is_plain(label, probability):
    """Return whether rounding the joint meets no two numbers with the same fraction: which goes up is nobody's to say."""
    counts = confident_joint(label, probability, is_calibrated=False)
    given_label = np.bincount(label, minlength=len(counts))
    fractions = np.sort((counts / counts.sum(axis=1, keepdims=True) * given_label[:, None]) % 1, axis=1)
    return bool((np.diff(fractions, axis=1) > 1e-6).all())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(labelled())
def test_equals_cleanlab(drawn):
    label, probability = drawn
    assume(is_plain(label, probability))
    assert thresholds(label, probability) == approx(get_confident_thresholds(label, probability), abs=1e-9)
    for is_calibrated in (True, False):
        theirs = compute_confident_joint(label, probability, calibrate=is_calibrated)
        assert confident_joint(label, probability, is_calibrated).tolist() == theirs.tolist()
    assert joint(label, probability) == approx(estimate_joint(label, probability), abs=1e-9)
    for name, theirs in (("self-confidence", "self_confidence"), ("normalised-margin", "normalized_margin")):
        expected = get_label_quality_scores(label, probability, method=theirs)
        assert quality(label, probability, name) == approx(expected, abs=1e-9)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(labelled(), st.sampled_from(sorted(THEIRS)))
def test_finds_the_issues_cleanlab_finds_in_the_same_order(drawn, filter_by):
    label, probability = drawn
    assume(is_plain(label, probability))
    order = find_label_issues(
        label, probability, filter_by=THEIRS[filter_by], return_indices_ranked_by="self_confidence", n_jobs=1
    )
    assert ranked(label, probability, filter_by).tolist() == order.tolist()


def test_planted_mistakes_come_first():
    chance = np.random.default_rng(7)
    truth = chance.integers(3, size=600)
    label = truth.copy()
    label[:30] = (truth[:30] + 1) % 3
    weight = chance.dirichlet(np.ones(3), 600) + 2 * (truth[:, None] == np.arange(3))
    found = ranked(label, weight / weight.sum(axis=1, keepdims=True))
    # Of the 30 mistakes 27 are found, and nothing comes before them.
    assert len(set(found[:27]) & set(range(30))) == 27


def test_no_labels_have_no_mistakes():
    assert ranked(np.zeros(0, dtype=int), np.zeros((0, 3))).tolist() == []


def test_what_people_settled_is_held_against_the_models():
    # Everybody says "a" of the first ten items and "b" of the others; the models are sure that item 3 is a "b".
    item, annotator = np.divmod(np.arange(40), 2)
    found = posterior(coded(item, annotator, (item >= 10).astype(int)), ["a", "b"])
    second = np.where(np.arange(20) >= 10, 0.9, 0.1)
    second[3] = 0.95
    both = np.concatenate([second, second - 0.04])
    opinions = Opinions(
        np.tile(np.arange(20), 2), np.repeat([0, 1], 20), np.column_stack([1 - both, both]), pa.array(["one", "two"])
    )
    # mean of .05 and .09
    assert label_errors(found, opinions) == [{"item_id": 3, "label": "a", "suggested_label": "b", "score": 0.07}]


def test_an_item_without_a_settled_label_or_an_opinion_is_left_out():
    found = posterior(coded(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([0, 1, 0])), ["a", "b"])
    opinions = Opinions(np.array([0]), np.array([0]), np.array([[0.1, 0.9]]), pa.array(["one"]))
    assert label_errors(found, opinions) == []


@pytest.mark.parametrize("how", [{"filter_by": "guess"}, {"score": "guess"}])
def test_an_unknown_filter_or_score_is_refused_with_the_known_ones(how):
    with pytest.raises(RequestError, match=r"no (filter|score) 'guess'"):
        ranked(GIVEN, PROBABILITY, **how)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared data sets")
def test_real_label_errors_are_found_as_cleanlab_finds_them():
    path = SHARED / "label_errors_text" / "20news_pred_probs.parquet"
    columns = duckdb.sql(f"select given_label, pred_probs from '{path}' order by idx").fetchnumpy()
    label, probability = columns["given_label"], np.stack(columns["pred_probs"])
    theirs = find_label_issues(label, probability, return_indices_ranked_by="self_confidence", n_jobs=1)
    ours = ranked(label, probability)
    # Probabilities rounded to six digits tie, so which of two goes first may differ, but not where the score stands.
    own = quality(label, probability)
    assert own[ours].tolist() == own[theirs].tolist()
    assert len(set(ours) & set(theirs)) > 0.99 * len(theirs)
