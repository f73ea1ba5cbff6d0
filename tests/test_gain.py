"""What a label is expected to tell: entropies by hand, and by going through all that people may say."""

from itertools import product
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from tasks.review.gain import EXPLICIT, accuracy, gain_nats


def entropy(*shares):
    return -sum(share * log(share) for share in shares if share)


def gain(belief, right, needed=1):
    return gain_nats(np.array([belief]), right, np.array([needed]))[0]


def test_a_label_of_somebody_who_is_right_four_times_in_five():
    # nothing known: the label is either with 1/2, so ln 2 less the entropy of the slips, H(.8, .2)
    assert gain([0.5, 0.5], 0.8) == approx(log(2) - entropy(0.8, 0.2))
    # nine tenths sure: the label is the likelier one with .9 * .8 + .1 * .2 = .74
    assert gain([0.9, 0.1], 0.8) == approx(entropy(0.74, 0.26) - entropy(0.8, 0.2))
    assert gain([1.0, 0.0], 0.8) == approx(0, abs=1e-12)


def test_it_is_what_the_entropy_of_the_belief_falls_by():
    # told the likelier label (.74), .72/.74 is believed of it; told the other (.26), .18/.26 is
    left = 0.74 * entropy(0.72 / 0.74, 0.02 / 0.74) + 0.26 * entropy(0.18 / 0.26, 0.08 / 0.26)
    assert gain([0.9, 0.1], 0.8) == approx(entropy(0.9, 0.1) - left)


def test_two_labels_tell_less_than_twice_what_one_does():
    # both say the same with .68, and then .64/.68 is believed of it; else nothing is learnt
    both = log(2) - 0.68 * entropy(0.64 / 0.68, 0.04 / 0.68) - 0.32 * log(2)
    assert gain([0.5, 0.5], 0.8, needed=2) == approx(both / 2)
    assert gain([0.5, 0.5], 0.8, needed=2) < gain([0.5, 0.5], 0.8)


@st.composite
def beliefs(draw):
    shares = np.array(draw(st.lists(st.floats(0.01, 1), min_size=2, max_size=5)))
    return shares / shares.sum(), draw(st.floats(0.4, 0.98)), draw(st.integers(1, 2))


@settings(max_examples=50, deadline=None)
@given(beliefs())
def test_equals_going_through_all_that_people_may_say(drawn):
    belief, right, needed = drawn
    kinds = len(belief)
    right = max(right, 1 / kinds)
    said = np.where(np.eye(kinds, dtype=bool), right, (1 - right) / (kinds - 1))
    told = 0.0
    for labels in product(range(kinds), repeat=needed):
        joint = belief * np.prod([said[:, label] for label in labels], axis=0)
        told += joint.sum() * (entropy(*belief) - entropy(*(joint / joint.sum())))
    assert gain(belief, right, needed) == approx(told / needed, abs=1e-9)


def test_with_many_labels_the_unlikely_ones_count_as_if_alike():
    alike = np.r_[np.linspace(0.2, 0.04, EXPLICIT), np.full(4, 0.01)]
    alike /= alike.sum()
    other = alike[np.random.default_rng(1).permutation(len(alike))]
    said = np.where(np.eye(12, dtype=bool), 0.8, 0.2 / 11)
    joint = np.einsum("k,kl,km->lm", alike, said, said)
    exact = (entropy(*joint.reshape(-1)) - 2 * entropy(*said[0])) / 2
    assert gain(alike, 0.8, 2) == approx(gain(other, 0.8, 2)) == approx(exact)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([], 0.7),  # nobody knows them
        ([[2, 0]] * 5_000, 0.99),  # nobody never errs
        # of 5,000 pairs 3,400 agree: a² + (1 - a)² = .68 has the root .8
        ([[2, 0]] * 3_400 + [[1, 1]] * 1_600, 0.8),
        ([[1, 1]] * 5_000, 0.55),  # worse than by chance: next to nothing
    ],
)
def test_how_often_people_are_right_is_told_by_how_often_they_agree(counts, expected):
    assert accuracy(np.array(counts).reshape(-1, 2)) == approx(expected, abs=5e-4)
