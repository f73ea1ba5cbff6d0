"""ActiveLab: a published table, another implementation as the oracle, and what it says of old items and new ones."""

import contextlib
import io
import warnings

import numpy as np
import pyarrow as pa
import pytest
from cleanlab.internal import multiannotator_utils
from cleanlab.internal.multiannotator_utils import find_best_temp_scaler
from cleanlab.multiannotator import get_active_learning_scores
from hypothesis import assume, given, settings
from pytest import approx
from test_crowdlab import ballot, crowd, crowds, opined

from tasks.posterior.opinions import Opinions
from tasks.review.activelab import activelab, alike, temperature, weighed

LABELS = list("abc")


def cleanlab(labels, probability, unlabelled=None):
    """Return cleanlab's scores of labelled and of new items, without what it prints."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return get_active_learning_scores(labels, probability.copy(), unlabelled)


def heated(probability, temperature):
    """Return the probabilities at a temperature: above 1 they are less sure."""
    powered = probability ** (1 / temperature)
    return powered / powered.sum(axis=1, keepdims=True)


def test_the_published_table():
    labels, model = crowd()
    expected = [0.47036, 0.56017, 0.54380, 0.58391, 0.50771, 0.50026, 0.53517, 0.56017, 0.49267, 0.54107]
    # At the temperature of its makers: cleanlab 2.9.0 counts labels that are floats by their order of appearance, so
    # that the votes of an item whose people all say 1 are votes for 0, and finds 7.25 where .425 foretells the votes.
    found = activelab(ballot(labels), opined(heated(model, 7.25)), LABELS)
    assert found.score == approx(expected, abs=5e-6)


def test_one_item_by_hand():
    labels, model = crowd()
    found = activelab(ballot(labels), opined(model), LABELS)
    # Item 1 has label 0 of annotators 0 and 2: weights .583333 and .444444 beside the model's 1.549193, so 2.576971
    # stand behind its quality of .83988; one more of the mean weight .444444 knows nothing of three labels.
    assert found.score[1] == approx((2.576971 * 0.83988 + 0.444444 / 3) / (2.576971 + 0.444444), abs=1e-5)
    assert found.matrix.sum(axis=1) == approx(np.ones(10))


@settings(max_examples=40, deadline=None)
@given(crowds())
def test_equals_cleanlab(drawn):
    labels, probability = drawn
    model = probability[0] / probability[0].sum(axis=1, keepdims=True)
    assume((~np.isnan(labels)).any(axis=0).all() and ((~np.isnan(labels)).sum(axis=1) > 1).any())
    items, kinds = model.shape
    fresh = np.roll(model, 1, axis=0)[:3]  # items nobody labelled
    old, new = cleanlab(labels, model, fresh)
    everything = np.vstack([labels, np.full((3, labels.shape[1]), np.nan)])
    said = opined(heated(np.vstack([model, fresh]), find_best_temp_scaler(labels, model)))
    found = activelab(ballot(everything), said, [str(n) for n in range(kinds)], least_weight=0)
    assert found.score[:items] == approx(old, abs=1e-6)  # theirs clips probabilities
    assert found.score[items:] == approx(new, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(crowds())
def test_the_temperature_equals_cleanlabs_with_its_counts_put_right(drawn):
    labels, probability = drawn
    model = probability[0] / probability[0].sum(axis=1, keepdims=True)
    counts = np.stack([(labels == label).sum(axis=1) for label in range(model.shape[1])], axis=1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            multiannotator_utils,
            "value_counts",
            lambda x, num_classes: np.bincount(x.astype(int), minlength=num_classes),
        )
        assert temperature(shares, model) == approx(find_best_temp_scaler(labels, model))


def test_a_model_that_is_too_sure_is_believed_less():
    # said with .9 and right with .8: odds of 9 become odds of 4 at the temperature ln 9 / ln 4 = 1.58; of the steps
    # 1, 1.25, 1.5, 1.75, 2 it is the nearest
    shares = np.eye(2)[[0, 0, 0, 0, 1]]
    assert temperature(shares, np.tile([0.9, 0.1], (5, 1))) == 1.5


def one_item(*votes, model=None):
    """Return the belief in the first of two labels, of one item with the votes and a model's probability of it."""
    labels = np.array([[0.0 if vote == "a" else 1.0 for vote in votes] or [np.nan]])
    said = opined(np.array([[model, 1 - model]])) if model else Opinions(*(np.zeros(0, int),) * 2, np.zeros((0, 2)), pa.array([], pa.string()))  # fmt: skip
    return weighed(ballot(labels), said, ["a", "b"]).matrix[0, 0]


def test_before_people_can_be_weighed_each_counts_like_a_model():
    # (.9 + .5) / 2: the model, and one more label that knows nothing
    assert one_item(model=0.9) == approx(0.7)
    # a person is right with .7: (.9 + .7 + .5) / 3
    assert one_item("a", model=0.9) == approx(0.7)
    assert one_item("b", model=0.9) == approx(1 - (0.1 + 0.7 + 0.5) / 3)
    assert one_item("a") == approx(0.6)
    assert one_item("a", "b") == approx(0.5)


def test_a_second_label_is_worth_more_where_the_first_contradicts_the_model():
    agreed, contradicted, new = one_item("a", model=0.9), one_item("b", model=0.9), one_item(model=0.9)
    assert abs(contradicted - 0.5) < abs(new - 0.5)  # a relabel before a new item
    assert abs(one_item(model=0.6) - 0.5) < abs(agreed - 0.5)  # a new item the model doubts before a relabel


@pytest.mark.parametrize("items", [29, 30])
def test_people_are_weighed_once_thirty_items_have_labels_of_several(items):
    draw = np.random.default_rng(1)
    truth = draw.integers(2, size=items)
    labels = np.stack([truth, truth, np.where(draw.random(items) < 0.7, truth, 1 - truth)], axis=1).astype(float)
    votes, said = ballot(labels), opined(np.where(truth[:, None] == np.arange(2), 0.8, 0.2))
    plain = alike(votes, said, ["a", "b"]).score
    assert (weighed(votes, said, ["a", "b"]).score == approx(plain)) == (items < 30)


def test_people_who_agree_no_better_than_by_guessing_are_weighed_alike():
    # 39 of 40 items are `a`, and the two people disagree on three: less than by always saying `a`
    labels = np.zeros((40, 2))
    labels[:3, 1], labels[39] = 1, 1
    votes, said = ballot(labels), opined(np.tile([0.9, 0.1], (40, 1)))
    assert activelab(votes, said, ["a", "b"]) is None
    assert weighed(votes, said, ["a", "b"]).score == approx(alike(votes, said, ["a", "b"]).score)
