"""Coefficients of agreement: published tables, worked small ones, and the ways a figure can be undefined."""

import json
from pathlib import Path

import krippendorff
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pytest import approx
from statsmodels.stats.inter_rater import fleiss_kappa
from vote_table import EXAMPLE_C, connected, counted, matrix, patterned, votes

from schemas.errors import RequestError
from tasks import agreement
from tasks.agreement.coefficients import coefficients as of_patterns
from tasks.agreement.patterns import weights_of

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def coefficients(rows, **how):
    figures = agreement.measure(connected(rows), **how)["agreement"]
    return {name: figure["value"] for name, figure in figures.items()}


# 30 patients, one a word; how many of 6 psychiatrists chose each of 5 diagnoses
FLEISS_1971 = """
00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031
00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006
"""
FLEISS_TABLE = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip


def test_alpha_credits_only_agreement_beyond_chance():
    rows = votes("X A yes", "X B yes", "Y A no", "Y B no", "Z A yes", "Z B no")
    # six values, three each: observed disagreement 2/6, expected 18/30, alpha = 1 - 5/9
    assert coefficients(rows)["krippendorff_alpha"] == approx(4 / 9)


def test_percent_is_the_mean_share_of_agreeing_pairs():
    rows = votes("X A yes", "X B yes", "X C no", "Y A no", "Y B no", "Z A yes")
    # X: 1 of 3 pairs, Y: 1 of 1, Z has no pair
    assert coefficients(rows)["percent"] == approx((1 / 3 + 1) / 2)


def test_alpha_of_krippendorffs_published_examples():
    a = matrix("0100000010", "1110010000")
    b = matrix("aabbdcccedda", "babbbccceddd")
    assert coefficients(a)["krippendorff_alpha"] == approx(0.0952, abs=5e-5)
    assert coefficients(b)["krippendorff_alpha"] == approx(0.6920, abs=5e-5)


@pytest.mark.parametrize(
    ("metric", "alpha"), [("nominal", 0.7434), ("ordinal", 0.8154), ("interval", 0.8491), ("ratio", 0.7974)]
)
def test_alpha_of_krippendorffs_example_with_gaps(metric, alpha):
    assert coefficients(EXAMPLE_C, metric=metric)["krippendorff_alpha"] == approx(alpha, abs=5e-5)


def test_a_rating_is_measured_as_ordinal():
    result = agreement.measure(connected(EXAMPLE_C), kind="rating")
    assert result["metric"] == "ordinal"
    assert result["agreement"]["krippendorff_alpha"]["value"] == approx(0.8154, abs=5e-5)


def test_every_coefficient_of_fleiss_psychiatrists():
    # Fleiss 1971 publishes kappa as .430
    found = coefficients(counted([[int(votes) for votes in row] for row in FLEISS_1971.split()]))
    assert found["fleiss_kappa"] == approx(0.4302445, abs=5e-8)
    assert found["krippendorff_alpha"] == approx(0.4334098, abs=5e-8)
    assert found["gwet_ac1"] == approx(0.4478845, abs=5e-8)


def test_every_coefficient_of_the_example_with_gaps():
    # Gwet's published AC1 is .775; the others as irrCAC has them
    assert coefficients(EXAMPLE_C) == {
        "percent": approx(0.81818, abs=5e-6),
        "krippendorff_alpha": approx(0.74342, abs=5e-6),
        "fleiss_kappa": approx(0.76117, abs=5e-6),
        "gwet_ac1": approx(0.77544, abs=5e-6),
        "brennan_prediger": approx(0.77273, abs=5e-6),
    }


def test_ratings_agree_in_part():
    found = coefficients(EXAMPLE_C, kind="rating")
    assert found["gwet_ac2_linear"] == approx(0.85874, abs=5e-6)
    assert found["gwet_ac2_quadratic"] == approx(0.91400, abs=5e-6)


def test_a_rating_next_to_another_agrees_more_than_one_far_off():
    found = coefficients(votes("X A 1", "X B 2", "Y A 1", "Y B 5"), kind="rating")
    # of the span of 4, X differs by 1 and Y by 4: linear (3/4 + 0) / 2, quadratic (15/16 + 0) / 2
    assert (found["percent"], found["percent_linear"], found["percent_quadratic"]) == (0, 3 / 8, 15 / 32)


def test_ratings_that_are_no_numbers_are_as_far_apart_as_their_places():
    rows = votes("X A low", "X B mid", "Y A low", "Y B high")
    numbers = votes("X A 1", "X B 2", "Y A 1", "Y B 3")
    assert coefficients(rows, kind="rating", labels=["low", "mid", "high"]) == coefficients(numbers, kind="rating")


def test_kappa_of_fleiss_table():
    assert coefficients(counted(FLEISS_TABLE))["fleiss_kappa"] == approx(0.2099307, abs=5e-8)


@pytest.mark.parametrize(("metric", "alpha"), [("nominal", 0.6914), ("ordinal", 0.8067), ("interval", 0.8108)])
def test_alpha_of_three_coders(metric, alpha):
    rows = matrix(". . . . . 3 4 1 2 1 1 3 3 . 3", "1 . 2 1 3 3 4 3 . . . . . . .", ". . 2 1 3 4 4 . 2 1 1 3 3 . 4")
    assert coefficients(rows, metric=metric)["krippendorff_alpha"] == approx(alpha, abs=5e-5)


def test_skewed_labels_sink_kappa_and_alpha_but_not_ac1():
    # two observers of 125 items: 118 times both yes, 5 and 2 times one of them no
    rows = matrix("y" * 118 + "y" * 5 + "n" * 2, "y" * 118 + "n" * 5 + "y" * 2)
    found = coefficients(rows)
    assert found["percent"] == approx(0.944)
    assert found["krippendorff_alpha"] == approx(-0.02469, abs=5e-6)
    assert found["gwet_ac1"] == approx(0.94078, abs=5e-6)


def test_set_labels_agree_in_part():
    rows = [("X", "A", '["a"]'), ("X", "B", '["a", "b"]'), ("Y", "A", '["c"]'), ("Y", "B", '["c"]')]
    # MASI of {a} and {a,b}: 1 - 1/2 * 2/3 = 2/3. Pairs that differ: observed 2 * 2/3 of n = 4;
    # expected: {a}-{a,b} 2 * 2/3, each of them with the two {c} 8 * 1, of 12. alpha = 1 - 3 * (4/3) / (28/3)
    assert coefficients(rows, kind="choices")["krippendorff_alpha"] == approx(1 - 3 * (4 / 3) / (28 / 3))


def test_sets_agree_by_what_they_have_in_common():
    rows = [("X", "A", '["a"]'), ("X", "B", '["b", "a"]'), ("Y", "A", '["c"]'), ("Y", "B", "c")]
    # Jaccard of {a} and {a,b}: 1/2. Observed 2 * 1/2 of n = 4; {c} is one set, however it is written;
    # expected 2 * 1/2 + 8 * 1 of 12. alpha = 1 - 3 * 1 / 9
    assert coefficients(rows, metric="jaccard")["krippendorff_alpha"] == approx(1 - 3 * 1 / 9)


def test_a_set_that_is_no_list_is_refused():
    with pytest.raises(RequestError, match="JSON list"):
        coefficients(votes("X A [sic", "X B a"), kind="choices")


def test_a_metric_nobody_knows_is_refused():
    with pytest.raises(RequestError, match="metrics: nominal, ordinal, interval, ratio, masi, jaccard"):
        coefficients(votes("X A 1", "X B 2"), metric="euclidean")


@pytest.mark.parametrize("label", ["nan", "inf", "high"])
def test_a_rating_must_be_a_number_that_can_be_compared(label):
    with pytest.raises(RequestError, match="numbers"):
        coefficients(votes(f"X A {label}", "X B 2"), metric="interval")


def test_alpha_of_people_on_restaurant_aspects():
    path = SHARED / "alttest_cebab_aspects" / "annotations.jsonl"
    if not path.exists():
        pytest.skip("the public data sets are not beside the repository")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    people = [(r["item_id"], r["annotator_id"], r["label"]) for r in rows if r["annotator_kind"] == "human"]
    assert coefficients(people)["krippendorff_alpha"] == approx(0.7419, abs=5e-5)


TABLES = st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=2, max_size=12)
SETS = ['["a"]', '["a", "b"]', '["b", "c", "d"]']
SET_DISTANCES = {
    "masi": [[0, 2 / 3, 1], [2 / 3, 0, 11 / 12], [1, 11 / 12, 0]],
    "jaccard": [[0, 0.5, 1], [0.5, 0, 0.75], [1, 0.75, 0]],
}


def computed(table, metric="nominal", labels=("0", "1", "2")):
    """Return coefficients of items × labels counts, without a connection to count them."""
    rows = [("".join(label * n for label, n in zip("abc", row, strict=True)), "") for row in table]
    patterns, counts = patterned(*rows)
    found = of_patterns(patterns, counts, weights_of(patterns), list(labels), metric)
    return {name: figure["value"] for name, figure in found.items()}


def used_labels(table):
    """Return how many labels are used by items with two labels or more."""
    counts = np.array(table)
    return int((counts[counts.sum(axis=1) > 1].sum(axis=0) > 0).sum())


@settings(max_examples=25, deadline=None)
@given(TABLES)
@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval", "ratio"])
def test_alpha_equals_the_krippendorff_package(level, table):
    assume(used_labels(table) > 1)
    expected = krippendorff.alpha(value_counts=np.array(table), value_domain=[0, 1, 2], level_of_measurement=level)
    assert computed(table, level)["krippendorff_alpha"] == approx(expected, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(TABLES)
@pytest.mark.parametrize("metric", ["masi", "jaccard"])
def test_alpha_of_sets_equals_the_krippendorff_package(metric, table):
    assume(used_labels(table) > 1)
    far = np.array(SET_DISTANCES[metric])
    expected = krippendorff.alpha(
        value_counts=np.array(table),
        value_domain=[0, 1, 2],
        level_of_measurement=lambda one, other, **_: far[np.asarray(one, int), np.asarray(other, int)],
    )
    assert computed(table, metric, SETS)["krippendorff_alpha"] == approx(expected, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(TABLES)
@pytest.mark.parametrize(("name", "power"), [("linear", 1), ("quadratic", 2)])
def test_ac2_equals_gwets_formulas_written_out(name, power, table):
    counts = np.array([row for row in table if sum(row)])
    assume(used_labels(table) > 1)
    labels = np.array([0, 1, 3])
    weights = 1 - (np.abs(labels[:, None] - labels) / 3) ** power
    m = counts.sum(axis=1)
    pairs = (counts * (counts @ weights - 1)).sum(axis=1)[m > 1] / (m * (m - 1))[m > 1]
    shares = (counts / m[:, None]).mean(axis=0)
    chance = weights.sum() / (3 * 2) * (shares * (1 - shares)).sum()
    found = computed(table, "interval", labels.astype(str))
    assert found[f"percent_{name}"] == approx(pairs.mean(), abs=1e-9)
    assert found[f"gwet_ac2_{name}"] == approx((pairs.mean() - chance) / (1 - chance), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abc"), min_size=4, max_size=4), min_size=2, max_size=10))
def test_kappa_equals_statsmodels(table):
    counts = np.array([[row.count(label) for label in "abc"] for row in table])
    assume(used_labels(counts) > 1)
    assert computed(counts)["fleiss_kappa"] == approx(fleiss_kappa(counts), abs=1e-9)


def test_no_figure_without_a_pair_of_labels():
    found = agreement.measure(connected(votes("X A yes", "Y B no")))["agreement"]
    assert set(found) == {"percent", "krippendorff_alpha", "fleiss_kappa", "gwet_ac1", "brennan_prediger"}
    for figure in found.values():
        assert figure == {"value": None, "low": None, "high": None, "reason": "no item has two labels"}


def test_chance_corrected_figures_are_undefined_where_one_label_is_used():
    found = agreement.measure(connected(votes("X A yes", "X B yes", "Y A yes", "Y B yes")))["agreement"]
    assert found["percent"]["value"] == 1
    for name in ("krippendorff_alpha", "fleiss_kappa", "gwet_ac1", "brennan_prediger"):
        assert found[name]["value"] is None
        assert "only one label" in found[name]["reason"]


def test_a_figure_of_one_item_has_no_interval():
    figure = agreement.measure(connected(votes("X A yes", "X B yes", "X C no")))["agreement"]["percent"]
    assert figure == {"value": approx(1 / 3), "low": None, "high": None, "reason": "no interval from a single item"}


def test_ratings_that_are_no_numbers_need_their_order():
    rows = votes("X A low", "X B high", "Y A low", "Y B mid")
    with pytest.raises(RequestError, match="numbers"):
        agreement.measure(connected(rows), kind="rating")
    assert agreement.measure(connected(rows), kind="rating", labels=["low", "mid", "high"])["metric"] == "ordinal"


def test_hundreds_of_labels_are_counted_in_blocks():
    rows = [(f"i{n}", who, f"{(n + (who == 'B' and n % 4 == 0)) % 130}") for n in range(260) for who in "AB"]
    table = [[int(row[2]) for row in rows if row[1] == who] for who in "AB"]
    expected = krippendorff.alpha(reliability_data=table, level_of_measurement="nominal")
    assert coefficients(rows)["krippendorff_alpha"] == approx(expected, abs=1e-10)


@pytest.mark.parametrize("metric", ["ordinal", "interval", "ratio", "masi", "jaccard"])
def test_alpha_of_one_label_is_undefined_under_every_metric(metric):
    found = agreement.measure(connected(votes("X A 5", "X B 5", "Y A 5", "Y B 5")), metric=metric)["agreement"]
    assert found["krippendorff_alpha"]["value"] is None
    assert "only one label" in found["krippendorff_alpha"]["reason"]


@pytest.mark.parametrize("metric", ["ordinal", "interval", "ratio"])
def test_ratings_on_a_hundred_levels_are_ranked_in_blocks(metric):
    rows = [(f"i{n}", who, f"{(n * 7 + (who == 'B') * (n % 5)) % 130}") for n in range(260) for who in "AB"]
    table = [[int(row[2]) for row in rows if row[1] == who] for who in "AB"]
    expected = krippendorff.alpha(reliability_data=table, level_of_measurement=metric)
    assert coefficients(rows, metric=metric)["krippendorff_alpha"] == approx(expected, abs=1e-9)


def test_items_of_any_number_of_labels_are_taken_together():
    rows = [(f"i{n}", f"a{who}", "abc"[(n * who) % 3]) for n in range(40) for who in range(1 + n * 7)]
    table = [[sum(row[0] == f"i{n}" and row[2] == label for row in rows) for label in "abc"] for n in range(40)]
    expected = krippendorff.alpha(
        value_counts=np.array(table), value_domain=list("abc"), level_of_measurement="nominal"
    )
    assert coefficients(rows)["krippendorff_alpha"] == approx(expected, abs=1e-9)
