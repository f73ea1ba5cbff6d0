"""Agreement between people and machines."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pytest import approx
from statsmodels.stats.inter_rater import cohens_kappa
from vote_table import patterned

from tasks.agreement.between import between
from tasks.agreement.patterns import weights_of

LABELS = ["a", "b", "c"]


def figures(*rows):
    """Return figures of rows such as ("aab", "b", 3): what people said, what machines said, of how many items."""
    patterns, votes = patterned(*rows)
    return between(patterns, votes, weights_of(patterns), LABELS)


def values(*rows):
    return {name: figure["value"] for name, figure in figures(*rows).items()}


def test_percent_is_how_often_a_person_and_a_machine_agree():
    # of 2 people and 1 machine: 1/2; of 3 and 2: a 2/3 * 1/2 + b 1/3 * 1/2 = 1/2; of 1 and 1: 0
    assert values(("ab", "a"), ("aab", "ab"), ("a", "c"))["percent"] == approx((1 / 2 + 1 / 2 + 0) / 3)


def test_kappa_takes_off_what_their_own_shares_would_give():
    # percent 3/4; people say a 3/4 + b 1/4, machines a 1/2 + b 1/2: chance 1/2. kappa = (3/4 - 1/2) / (1 - 1/2)
    assert values(("aa", "a"), ("a", "a"), ("a", "b"), ("b", "b"))["kappa"] == approx(1 / 2)


def test_items_of_one_kind_alone_do_not_count():
    both = [("ab", "a"), ("a", "a"), ("b", "c")]
    assert values(*both, ("aab", ""), ("", "b")) == values(*both)


def test_no_figure_without_an_item_of_both():
    found = figures(("ab", ""), ("", "b"))
    assert found["percent"]["reason"] == found["kappa"]["reason"] == "no item has labels of both people and machines"


def test_kappa_of_one_label_is_undefined():
    found = figures(("aa", "a"), ("a", "a"))
    assert found["percent"]["value"] == 1
    assert found["kappa"] == {
        "value": None, "low": None, "high": None,
        "reason": "only one label was used, so chance alone would always agree",
    }  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc"), st.integers(1, 5)), min_size=2, max_size=9))
def test_kappa_of_one_person_and_one_machine_is_cohens(rows):
    table = np.zeros((3, 3))
    for person, machine, items in rows:
        table[LABELS.index(person), LABELS.index(machine)] += items
    assume((table.sum(axis=0) * table.sum(axis=1)).max() < table.sum() ** 2)
    assert values(*rows)["kappa"] == approx(cohens_kappa(table).kappa, abs=1e-9)


def test_an_interval_is_as_wide_as_its_items_allow():
    figure = figures(("aa", "a", 800), ("aa", "b", 200))["percent"]
    # binomial: .8 ± 1.96 * sqrt(.8 * .2 / 1000) = .8 ± .0248
    assert (figure["low"], figure["high"]) == (approx(0.775, abs=0.004), approx(0.825, abs=0.004))
