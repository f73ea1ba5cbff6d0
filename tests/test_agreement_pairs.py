"""Agreement of each pair of annotators: published tables and other implementations."""

import json
import random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pytest import approx
from statsmodels.stats.inter_rater import cohens_kappa
from vote_table import connected, random_rows, votes

from tasks import agreement
from tasks.agreement.pairs import pairs
from tasks.sql import relation


def paired(rows, metric="nominal", labels=None):
    """Return the pairs of annotators."""
    connection = connected(rows)
    agreement.count(connection)
    return pairs(connection, labels or sorted({row[2] for row in rows}), metric)


def crossed(table):
    """Return rows of two annotators from their table of labels."""
    cells = [(one, other) for one, row in enumerate(table) for other, items in enumerate(row) for _ in range(items)]
    return [
        (f"{item:04}", who, str(label))
        for item, cell in enumerate(cells)
        for who, label in zip("AB", cell, strict=True)
    ]


def value(rows, name="cohen_kappa", **how):
    (pair,) = paired(rows, **how)
    return pair[name]["value"]


@pytest.mark.parametrize(
    ("table", "kappa"),
    [([[20, 5], [10, 15]], 0.4), ([[45, 15], [25, 15]], 0.13043), ([[25, 35], [5, 35]], 0.25926)],
)
def test_kappa_of_published_tables(table, kappa):
    assert value(crossed(table)) == approx(kappa, abs=5e-6)


def test_kappa_credits_near_misses_of_ratings():
    rows = crossed([[88, 14, 18], [10, 40, 10], [2, 6, 12]])
    assert value(rows) == approx(0.491525, abs=5e-7)
    assert value(rows, "cohen_kappa_linear", metric="ordinal") == approx(0.473684, abs=5e-7)
    assert value(rows, "cohen_kappa_quadratic", metric="ordinal") == approx(0.454545, abs=5e-7)


def test_skewed_labels_sink_kappa():
    rows = crossed([[118, 5], [2, 0]])
    assert value(rows, "percent") == approx(0.944)
    assert value(rows) == approx(-0.02339, abs=5e-6)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 6), min_size=3, max_size=3), min_size=3, max_size=3))
@pytest.mark.parametrize(
    ("name", "weights"),
    [("cohen_kappa", None), ("cohen_kappa_linear", "linear"), ("cohen_kappa_quadratic", "quadratic")],
)
def test_kappa_equals_statsmodels(name, weights, table):
    counts = np.array(table)
    assume(counts.sum() > 1)
    assume((counts.sum(axis=0) * counts.sum(axis=1)).max() < counts.sum() ** 2)
    expected = cohens_kappa(counts, wt=weights).kappa
    assert value(crossed(table), name, metric="ordinal", labels=["0", "1", "2"]) == approx(expected, abs=1e-9)


def test_a_pair_is_compared_on_the_items_both_have():
    rows = votes("X A yes", "X B yes", "X C no", "Y A no", "Y B yes", "Z A no")
    found = [(one["annotator_a"], one["annotator_b"], one["items"], one["percent"]["value"]) for one in paired(rows)]
    assert found == [("A", "B", 2, 0.5), ("A", "C", 1, 0.0), ("B", "C", 1, 0.0)]


def test_several_labels_on_one_item_are_each_compared():
    rows = votes("X A yes", "X A yes", "X A no", "X B yes", "Y A no", "Y B no")
    (pair,) = paired(rows)
    # X makes three pairs of labels, two equal, Y one that is equal; they are two items all the same
    assert (pair["items"], pair["percent"]["value"]) == (2, approx(3 / 4))


def test_kappa_of_one_label_is_undefined():
    (pair,) = paired(votes("X A yes", "X B yes", "Y A yes", "Y B yes"))
    assert pair["percent"]["value"] == 1
    assert pair["cohen_kappa"]["value"] is None
    assert "only one label" in pair["cohen_kappa"]["reason"]


def test_one_shared_item_gives_no_interval():
    (pair,) = paired(votes("X A yes", "X B no"))
    assert pair["percent"] == {"value": 0, "low": None, "high": None, "reason": "no interval from a single item"}


def test_annotators_who_share_nothing_are_no_pair():
    assert paired(votes("X A yes", "Y B no")) == []


def test_pairs_are_the_same_bits_in_any_order():
    rows = [row[:3] for row in random_rows()]
    shuffled = random.Random(2).sample(rows, len(rows))
    assert json.dumps(paired(rows)) == json.dumps(paired(shuffled))


def test_the_interval_of_percent_is_near_the_binomial_one():
    (pair,) = paired(crossed([[400, 50], [50, 0]]))
    # .8 ± 1.96 * sqrt(.8 * .2 / 500) = .8 ± .035
    assert (pair["percent"]["low"], pair["percent"]["high"]) == (approx(0.765, abs=0.006), approx(0.835, abs=0.006))


def test_the_interval_of_kappa_is_near_the_one_of_fleiss_cohen_and_everitt():
    table = [[200, 50], [100, 150]]
    (pair,) = paired(crossed(table))
    expected = cohens_kappa(table)
    assert pair["cohen_kappa"]["low"] == approx(expected.kappa_low, abs=0.01)
    assert pair["cohen_kappa"]["high"] == approx(expected.kappa_upp, abs=0.01)


def test_of_many_annotators_those_with_the_most_labels_are_paired():
    rows = [(f"i{item}", f"a{who:03}", "yes") for who in range(151) for item in range(1 + (who > 0))]
    connection = connected(rows)
    agreement.count(connection)
    found = {row[:2] for row in relation(connection, "pair_label").fetchall()}
    assert len(found) == 150 * 149 // 2
    assert "a000" not in {one for one, _ in found}
