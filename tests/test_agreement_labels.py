"""Agreement on each label by itself."""

import json

import krippendorff
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pytest import approx
from vote_table import EXAMPLE_C, connected, matrix, patterned, votes

from tasks import agreement
from tasks.agreement.by_label import by_label
from tasks.agreement.patterns import pattern_votes, patterns_of, weights_of


def labels_of(rows, metric="nominal"):
    """Return figures by label."""
    connection = connected(rows)
    agreement.count(connection)
    labels = sorted({row[2] for row in rows})
    patterns = patterns_of(connection)
    return by_label(patterns, pattern_votes(connection, labels), weights_of(patterns), labels, metric)


def values(rows, name, metric="nominal"):
    return {label: figures[name]["value"] for label, figures in labels_of(rows, metric).items()}


def test_specific_agreement_is_how_often_another_says_the_same():
    # a = 20 both yes, 5 + 10 one yes, 15 both no: of yes 2 * 20 / (40 + 15), of no 2 * 15 / (30 + 15)
    rows = matrix("y" * 20 + "y" * 5 + "n" * 10 + "n" * 15, "y" * 20 + "n" * 5 + "y" * 10 + "n" * 15)
    assert values(rows, "specific_agreement") == {"n": approx(30 / 45), "y": approx(40 / 55)}


def test_specific_agreement_counts_every_label_given_alike():
    rows = votes("X A yes", "X B yes", "X C no", "Y A yes", "Y B no")
    # yes: each of X's two is met by 1 of 2 others, Y's by 0 of 1, of 3 given; no: nobody else says no
    assert values(rows, "specific_agreement") == {"no": 0, "yes": approx((1 / 2 + 1 / 2 + 0) / 3)}


def test_alpha_of_a_label_is_that_of_yes_or_no():
    observers = ["1 2 3 3 2 1 4 1", "1 2 3 3 2 2 4 1", ". 3 3 3 2 3 4 2"]
    found = values(matrix(*observers), "krippendorff_alpha")
    for label in "1234":
        table = [[np.nan if said == "." else said == label for said in one.split()] for one in observers]
        assert found[label] == approx(krippendorff.alpha(np.array(table, float), level_of_measurement="nominal"))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=2, max_size=12))
def test_alpha_of_a_label_equals_the_krippendorff_package(table):
    counts = np.array(table)
    used = counts[counts.sum(axis=1) > 1].sum(axis=0)
    assume((used > 0).sum() > 1)
    patterns, said = patterned(*(("a" * row[0] + "b" * row[1] + "c" * row[2], "") for row in table))
    found = by_label(patterns, said, weights_of(patterns), ["a", "b", "c"])
    for label, own in enumerate(counts.T):
        if used[label]:
            rest = np.stack([own, counts.sum(axis=1) - own], axis=1)
            expected = krippendorff.alpha(value_counts=rest, level_of_measurement="nominal")
            assert found["abc"[label]]["krippendorff_alpha"]["value"] == approx(expected, abs=1e-9)


def test_a_label_that_says_nothing_has_a_reason():
    rows = votes("X A yes", "X B yes", "Y A no")
    found = labels_of(rows)
    # `no` stands only where nobody else labelled, so every label that is met by another is yes
    assert found["no"]["specific_agreement"]["reason"] == "no item with two labels has this one"
    assert found["yes"]["specific_agreement"]["value"] == 1
    assert found["yes"]["krippendorff_alpha"]["value"] is None
    assert "every label" in found["yes"]["krippendorff_alpha"]["reason"]
    assert labels_of(votes("X A yes"))["yes"]["krippendorff_alpha"]["reason"] == "no item has two labels"


def test_sets_are_taken_apart_into_their_members():
    rows = [("X", "A", '["a"]'), ("X", "B", '["a", "b"]'), ("Y", "A", '["b", "c"]'), ("Y", "B", '["b"]')]
    # a: both of X; b: one of X's two, both of Y's: 2 of 3 are met; c: one of Y's two
    assert values(rows, "specific_agreement", "masi") == {"a": 1, "b": approx(2 / 3), "c": 0}


def test_figures_of_labels_have_intervals_that_are_reproducible():
    one, other = labels_of(EXAMPLE_C), labels_of(EXAMPLE_C[::-1])
    assert json.dumps(one) == json.dumps(other)
    figure = one["2"]["krippendorff_alpha"]
    assert figure["low"] < figure["value"] < figure["high"]


@pytest.mark.parametrize("labels", [200])
def test_hundreds_of_labels_have_a_figure_each(labels):
    rows = [(f"i{n}", who, str((n + (who == "B" and n % 4 == 0)) % labels)) for n in range(2 * labels) for who in "AB"]
    found = values(rows, "specific_agreement")
    # a label not divisible by 4 is said by both of its two items, and once by B alone if it follows one that is
    assert (len(found), found["2"], found["1"]) == (labels, 1, approx(4 / 6))


def test_thousands_of_labels_are_counted_one_by_one():
    # 3,000 labels, each said by both of one item but the last, of which two annotators say two
    rows = [(f"i{n}", who, f"{n + (n == 2999 and who == 'B')}") for n in range(3000) for who in "AB"]
    found = values(rows, "specific_agreement")
    assert (found["0"], found["1500"], found["2999"], found["3000"]) == (1, 1, 0, 0)
