"""What is believed of an item: people's votes and models' opinions as one posterior, the less behind it the less sure."""

import numpy as np
import pyarrow as pa
import pytest
from pytest import approx
from test_crowdlab import ballot, opined

from tasks.posterior.opinions import Opinions
from tasks.review.belief import pooled

SILENT = Opinions(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 2)), pa.array([], pa.string()))


def belief(*votes, models=(), right=0.8):
    """Return the belief in label a of one item, from votes for a or b and each model's probability of a."""
    labels = np.array([[0.0 if vote == "a" else 1.0 for vote in votes] or [np.nan]])
    said = opined(*(np.array([[share, 1 - share]]) for share in models)) if models else SILENT
    return pooled(ballot(labels), said, 2, right).matrix[0, 0]


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ("", 0.5),
        ("a", (0.8 + 0.5) / 2),  # one vote of somebody right with .8, and one label of no worth
        ("aa", (2 * 16 / 17 + 0.5) / 3),  # odds 4 · 4
        ("ab", 0.5),
        ("aab", (3 * 0.8 + 0.5) / 4),  # odds 4 · 4 / 4
    ],
)
def test_votes_multiply_and_one_label_of_no_worth_is_counted_in(votes, expected):
    assert belief(*votes) == approx(expected)


def test_a_model_has_half_the_weight_of_its_word():
    # .9 less a hundredth for slips is .896; odds √(.896/.104) = 2.935 are .7459
    odds = (0.896 / 0.104) ** 0.5
    assert belief(models=[0.9]) == approx((odds / (1 + odds) + 0.5) / 2)
    assert belief(models=[0.9] * 5) == approx(belief(models=[0.9]))  # copies add nothing
    # a vote for it multiplies: odds 4 · 2.935, and two stand behind it
    assert belief("a", models=[0.9]) == approx((2 * 4 * odds / (1 + 4 * odds) + 0.5) / 3)


def test_where_people_and_model_contradict_each_other_the_item_is_open():
    assert belief("b", models=[0.94]) == approx(0.5, abs=0.02)  # odds 1/4 · 3.6
