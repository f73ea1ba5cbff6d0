"""Totals of what the bootstrap draws: exact, and the same bits in any order."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from tasks.agreement.sample import product

SIZES = st.integers(2, 300)


@given(SIZES, st.integers(0, 2**32))
def test_totals_are_the_same_bits_in_any_order(size, seed):
    draw = np.random.default_rng(seed)
    figures, counts = draw.random((size, 3)) * [1e-9, 1, 1e9], draw.poisson(1000, (size, 4))
    order = draw.permutation(size)
    one = product(figures, counts, counts.max(axis=1))
    other = product(figures[order], counts[order], counts[order].max(axis=1))
    assert one.tobytes() == other.tobytes()


@given(SIZES, st.integers(0, 2**32))
def test_totals_are_right_to_the_last_digits(size, seed):
    draw = np.random.default_rng(seed)
    figures, counts = 1 / draw.integers(1, 300, (size, 1)), draw.poisson(10 ** draw.integers(0, 8), (size, 1))
    exact = math.fsum((figures * counts)[:, 0])
    assert product(figures, counts, counts.max(axis=1))[0, 0] == approx(exact, rel=1e-13)
