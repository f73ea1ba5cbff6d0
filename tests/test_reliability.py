"""Calibration: curves against scikit-learn's, the choice among them, reliability diagrams and what a page says of them."""

import copy
import json
from dataclasses import asdict
from xml.etree import ElementTree

import duckdb
import numpy as np
import pytest
from pytest import approx
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from test_page import EVIDENCE, text_of

from tasks.accuracy import estimate, prevalence
from tasks.calibration import (
    Calibrator,
    calibrator,
    cross_fitted,
    expected_calibration_error,
    isotonic,
    model_calibration,
    platt,
    reliability,
)
from tasks.report import card, report
from tasks.report.reliability import diagram

GRID = np.linspace(0.001, 0.999, 333)


def scored(items, digits=None, seed=0):
    """Return scores that are too high, and whether the label was right."""
    rng = np.random.default_rng(seed)
    score = rng.random(items) if digits is None else rng.random(items).round(digits)
    return score, (rng.random(items) < score**2).astype(float)


def logit(share):
    """Return the log odds."""
    return np.log(share / (1 - share))


def test_platts_curve_is_scikit_learns():
    score, correct = scored(300)
    model = LogisticRegression().fit(logit(score)[:, None], correct)
    model.coef_, model.intercept_ = np.ones((1, 1)), np.zeros(1)  # what it decides by is the logit itself
    theirs = CalibratedClassifierCV(FrozenEstimator(model), method="sigmoid", cv=2, ensemble=False)
    theirs.fit(logit(score)[:, None], correct)
    assert platt(score, correct).of(GRID) == approx(theirs.predict_proba(logit(GRID)[:, None])[:, 1], abs=1e-6)


def test_platts_curve_is_the_regression_on_smoothed_targets():
    # 4 right and 2 wrong: targets 5/6 and 1/4; as a regression, each label once as right and once as wrong by weight
    score, correct = np.array([0.9, 0.8, 0.7, 0.6, 0.75, 0.4]), np.array([1, 1, 1, 1, 0, 0.0])
    target = np.where(correct == 1, 5 / 6, 1 / 4)
    theirs = LogisticRegression(C=1e12, tol=1e-12, max_iter=1000).fit(
        np.tile(logit(score), 2)[:, None], np.repeat([1, 0], 6), np.append(target, 1 - target)
    )
    ours = platt(score, correct).parameters
    assert (ours["slope"], ours["intercept"]) == approx((theirs.coef_[0, 0], theirs.intercept_[0]), abs=1e-4)


@pytest.mark.parametrize("digits", [None, 1])
def test_the_isotonic_curve_is_scikit_learns(digits):
    score, correct = scored(500, digits)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(score, correct).predict(GRID)
    assert isotonic(score, correct).of(GRID) == approx(np.clip(theirs, 1 / 502, 501 / 502), abs=1e-8)


def test_neighbours_that_fall_are_pooled():
    # of .5, .6 and .7 the shares are 1/2, 1/1 and 0/1: the last two are pooled to 1/2, and so is the first
    curve = isotonic(np.array([0.5, 0.5, 0.6, 0.7, 0.9]), np.array([1, 0, 1, 0, 1.0]))
    assert curve.parameters == {"scores": [0.5, 0.7, 0.9], "shares": [0.5, 0.5, 1.0]}
    assert curve.of([0.5, 0.65, 0.8, 0.9]) == approx([0.5, 0.5, 0.75, 6 / 7])  # no label is certain: 1 - 1/(5 + 2)


@pytest.mark.parametrize(
    ("items", "digits", "kind"), [(99, None, None), (100, None, "platt"), (100, 1, "isotonic"), (400, 1, "isotonic")]
)
def test_the_curve_suits_the_labels_and_the_scores(items, digits, kind):
    found = calibrator(*scored(items, digits))
    assert (found and found.kind) == kind


def test_of_many_labels_the_better_curve_is_taken():
    # right at the middle and wrong at both ends is nothing that a logistic curve can say
    rng = np.random.default_rng(2)
    score = rng.random(2000)
    steps = (rng.random(2000) < np.where(score < 0.5, 0.3, 0.9)).astype(float)
    logistic = (rng.random(2000) < 1 / (1 + np.exp(-0.5 * logit(score) - 1))).astype(float)
    assert calibrator(score, steps).kind == "isotonic"
    assert calibrator(score, logistic).kind == "platt"


def test_labels_that_are_all_right_carry_no_curve():
    assert calibrator(np.linspace(0.5, 1, 200), np.ones(200)) is None


def test_scores_of_0_and_1_have_a_place_on_the_curve():
    score, correct = np.repeat([0.0, 1.0], 100), np.tile([0.0, 1, 1, 1], 50)
    for curve in (platt(score, correct), isotonic(score, correct)):
        assert np.isfinite(curve.of([0, 0.5, 1])).all()
        assert curve.of(np.ones(1))[0] == approx(0.75, abs=0.01)


def test_a_curve_outlives_its_file():
    for curve in (platt(*scored(150)), isotonic(*scored(250, 1))):
        again = Calibrator(**json.loads(json.dumps(asdict(curve), allow_nan=False)))
        assert again == curve
        assert (again.of(GRID) == curve.of(GRID)).all()


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_calibrated_scores_are_nearer_on_labels_left_out(kind):
    score, correct = scored(1000)
    assert expected_calibration_error(score, correct) == approx(1 / 6, abs=0.03)  # the mean of x - x^2
    assert expected_calibration_error(cross_fitted(score, correct, kind), correct) < 0.05


def test_a_label_has_no_say_in_its_own_calibrated_score():
    score, correct = scored(500)
    turned = np.where(np.arange(500) == 7, 1 - correct, correct)
    assert cross_fitted(score, correct, "platt")[7] == cross_fitted(score, turned, "platt")[7]


def test_the_error_is_the_mean_distance_over_bins_of_equally_many():
    # two bins of two: mean score .25 against 1/2 right, .85 against 1 right: (.25 + .15) / 2
    assert expected_calibration_error(np.array([0.2, 0.3, 0.8, 0.9]), np.array([1.0, 0.0, 1.0, 1.0]), bins=2) == approx(
        0.2
    )
    assert expected_calibration_error(np.zeros(0), np.zeros(0)) is None


def test_equal_scores_stay_in_one_bin():
    # 8 of 10 labels say .9: asked for ten bins there are two, whatever the order
    score, correct = np.array([0.5, 0.5, *[0.9] * 8]), np.array([1, 0, 1, 1, 1, 1, 1, 1, 0, 0.0])
    rows = reliability(score, correct)
    assert [(row["low"], row["high"], row["items"], row["accuracy"]) for row in rows] == [
        (0.5, 0.5, 2, 0.5),
        (0.9, 0.9, 8, 0.75),
    ]
    assert rows == reliability(score[::-1], correct[::-1])
    assert rows[0]["accuracy_low"] == approx(0.0945, abs=1e-4)  # Wilson's interval of 1 in 2


def planted(items, reverse=False):
    """Return a connection with a model's scores, what people settled, and an audit of every tenth item."""
    score, correct = scored(items, seed=4)
    rows = [(f"i{place:04}", one, bool(right), place % 10 == 0) for place, (one, right) in enumerate(zip(score, correct, strict=True))]  # fmt: skip
    connection = duckdb.connect()
    connection.execute("create table given (item_id varchar, score double, is_right boolean, is_audit boolean)")
    connection.executemany("insert into given values (?, ?, ?, ?)", rows[::-1] if reverse else rows)
    connection.execute("""
        create view model_vote as
            select item_id, kind as annotator_id, kind as annotator_kind, 'a' as label,
                [{'label': 'b', 'probability': 0.0}, {'label': 'a', 'probability': score}] as distribution
            from given, (values ('llm'), ('function')) as kinds(kind)
            union all
            select item_id, 'silent', 'llm', null, null from given;
        create view consensus as
            select item_id, if(is_right, 'a', 'b') as label, if(score > 0.1, 'human', 'review') as status from given;
        create view draw_now as select item_id from given where is_audit;
    """)
    return connection


def test_a_model_is_calibrated_on_what_people_settled_and_the_audit_does_not_tell():
    score, correct = scored(1000, seed=4)
    is_used = (score > 0.1) & (np.arange(1000) % 10 != 0)
    found = model_calibration(planted(1000))
    assert list(found) == ["llm"]  # a function gives no score, and who says nothing is not judged
    one = found["llm"]
    assert one["n"] == is_used.sum()
    assert one["ece_before"] == approx(expected_calibration_error(score[is_used], correct[is_used]), abs=1e-9)
    assert one["ece_after"] < one["ece_before"] / 2
    assert Calibrator(one["kind"], one["n"], one["parameters"]) == calibrator(score[is_used], correct[is_used])
    assert sum(row["items"] for row in one["reliability"]) == one["n"]


def test_the_order_of_the_rows_has_no_say():
    evidence = [json.dumps(model_calibration(planted(400, reverse)), allow_nan=False) for reverse in (False, True)]
    assert evidence[0] == evidence[1]


def test_too_few_labels_are_told_and_still_drawn():
    found = model_calibration(planted(60))["llm"]
    assert (found["kind"], found["ece_after"]) == ("none", None)
    assert found["reason"] == f"{found['n']} labels of people to learn from; 100 are needed"
    assert found["reliability"]


ROW = {"low": 0.7, "high": 0.9, "items": 40, "mean_score": 0.8, "accuracy": 0.5, "accuracy_low": 0.35, "accuracy_high": 0.65}  # fmt: skip


def test_a_dot_stands_at_its_score_and_share():
    picture = ElementTree.fromstring(diagram([ROW, ROW | {"items": 10, "mean_score": 0.2, "accuracy": 1.0}], "Model"))
    dots = [(dot.get("cx"), float(dot.get("cy")), float(dot.get("r"))) for dot in picture.iter("circle")]
    # from 226 pixels at 0 up to 8 at 1: a half is at 117; a quarter of the items is half the radius
    assert dots == [("80.00%", 117.0, 7.0), ("20.00%", 8.0, 3.5)]
    assert picture.find("circle/title").text == "score 0.700–0.900: 50.0 % of 40 right"


def test_a_diagram_of_nothing_is_the_line_a_model_should_keep_to():
    assert [*ElementTree.fromstring(diagram([], "Model")).iter("circle")] == []


@pytest.fixture(scope="module")
def audited():
    """Return evidence with an audit, a rare label, and a calibrated model beside one of few labels."""
    correct, score = scored(2000)[1], scored(2000)[0]
    interval = asdict(estimate(correct[:290], score[:300], score[300:], pending=10))
    truth = np.where(correct[:290] == 1, "<b>yes</b>", "no")
    shares = np.column_stack([score, 1 - score])
    found = prevalence(truth, shares[:300], shares[300:], ["<b>yes</b>", "no"], pending=10)
    return {
        **copy.deepcopy(EVIDENCE),
        "calibration": model_calibration(planted(1000)) | {"few <i>shots</i>": model_calibration(planted(60))["llm"]},
        "certificate": {
            "statement": None,
            "reason": "Too few audits.",
            "accuracy": None,
            "accuracy_all": interval,
            "prevalence": {label: asdict(one) for label, one in found.items()},
        },
    }


def test_the_report_says_how_right_and_how_sure_models_are(audited):
    page = text_of(report(audited))
    interval = audited["certificate"]["accuracy_all"]
    assert f"{interval['low']:.3f}–{interval['high']:.3f}" in page
    assert "290 audited of 2,000" in page and "10 audits have no answer yet" in page
    assert "Labels accepted" not in page
    assert f"Calibration error {audited['calibration']['llm']['ece_before']:.3f}" in page
    assert "<b>yes</b>" not in report(audited) and "<i>shots" not in report(audited)


def test_the_card_says_the_same(audited):
    text = card(audited)
    interval = audited["certificate"]["accuracy_all"]
    assert (
        f"label accuracy {interval['low']:.3f}–{interval['high']:.3f} (95 %), from 290 audited of 2,000, "
        "10 more without an answer yet"
    ) in text
    assert "100 are needed" in text and "<b>yes" not in text


def test_evidence_without_an_audit_has_no_such_sections():
    for text in (report(EVIDENCE), card(EVIDENCE)):
        assert "audited of" not in text and "alibration" not in text
