"""Typical items: of each cluster, the largest uncovered first, the one that most others are near to."""

import numpy as np
import pytest
from pytest import approx

from tasks.review.typical import clustered, gram_vectors, sentence_vectors, typical_first, typicality


def directions(*degrees):
    """Return unit vectors in the plane."""
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def test_typical_is_what_the_others_of_its_cluster_are_near_to():
    vectors = directions(0, 10, 20, 180)
    found = typicality(vectors, np.array([0, 0, 0, 1]))
    # the chord of 10° is 2 sin 5° = .1743, of 20° .3473; the middle one has two at 10°, the ends one at 10° and one at 20°
    assert found == approx([1 / 0.2608, 1 / 0.1743, 1 / 0.2608, 0], rel=1e-3)


def test_clusters_are_what_lies_together():
    vectors = directions(0, 90, 2, 88, 4)
    assert clustered(vectors, 2).tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("labelled", "places", "order"),
    [
        ([], 2, [1, 3, 0, 4, 2]),  # of the three at 0–20° the middle one, then of the two at 90°; then in turn
        ([0], 1, [3, 1, 4, 2]),  # the larger cluster is covered, so the other one begins
    ],
)
def test_the_largest_uncovered_cluster_comes_first(labelled, places, order):
    vectors = directions(0, 10, 20, 90, 92)
    is_labelled = np.isin(np.arange(5), labelled)
    first = typical_first(vectors[[0, 3, 1, 2, 4]], is_labelled[[0, 3, 1, 2, 4]], places)
    assert [[0, 3, 1, 2, 4][row] for row in first] == order


def test_texts_that_share_grams_are_near():
    soup, stew, music = gram_vectors(["The soup was cold", "the soup was old", "loud music!"])
    assert soup @ stew > 0.5 > 0.1 > soup @ music
    assert np.linalg.norm(soup) == approx(1)


def test_texts_too_short_for_a_gram_are_like_nothing():
    assert not gram_vectors(["", "abc", "🙂"])[:2].any()


def test_the_order_is_that_of_the_ids_where_nothing_else_tells():
    assert typical_first(gram_vectors(["one"] * 9), np.zeros(9, bool), 3).tolist() == list(range(9))


def test_a_cluster_of_thousands_and_one_item_alone_are_ranked():
    draw = np.random.default_rng(1)
    many = draw.normal(size=(3000, 8)).astype(np.float32)
    many /= np.linalg.norm(many, axis=1, keepdims=True)
    assert sorted(typical_first(many, np.zeros(3000, bool), 1)) == list(range(3000))
    assert typical_first(many[:1], np.zeros(1, bool), 5).tolist() == [0]


def test_without_the_embedded_model_there_are_no_sentence_vectors(monkeypatch):
    monkeypatch.setattr("tasks.review.typical.importlib.util.find_spec", lambda name: None)
    assert sentence_vectors(["a text"]) is None
