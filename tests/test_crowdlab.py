"""CROWDLAB: a published table, another implementation as the oracle, and what machines say as arrays."""

import contextlib
import io
import warnings

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from cleanlab.multiannotator import get_label_quality_multiannotator, get_label_quality_multiannotator_ensemble
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pytest import approx

from schemas.errors import RequestError
from tasks.posterior import coded, posterior
from tasks.posterior.crowdlab import crowdlab
from tasks.posterior.opinions import Opinions, mean, opinions, people

# One line per item: what three annotators said (a dot is no label), and what a model holds of three labels.
TABLE = """
001 .7 .2 .1/0.0 .8 .1 .1/11. .1 .8 .1/111 .1 .7 .2/.11 .2 .6 .2
010 .6 .3 .1/22. .1 .2 .7/2.2 .1 .1 .8/212 .2 .3 .5/.00 .9 .05 .05
"""


def crowd():
    """Return the labels of the table, items × annotators with NaN, and the model's probabilities."""
    lines = [line.split() for line in TABLE.strip().replace("\n", "/").split("/")]
    labels = np.array([[np.nan if one == "." else float(one) for one in said] for said, *_ in lines])
    return labels, np.array([[float(share) for share in shares] for _, *shares in lines])


def ballot(labels):
    """Return items × annotators with NaN as votes; an item without a label stays."""
    item, annotator = np.nonzero(~np.isnan(labels))
    found = coded(item, annotator, labels[item, annotator].astype(int))
    return found._replace(item=item.astype(np.int32), item_ids=pa.array(range(len(labels))))


def opined(*models):
    """Return the opinions of models, items × labels each; a row of NaN is none."""
    given_by = np.stack(models, axis=1)
    item, annotator = np.nonzero(~np.isnan(given_by[:, :, 0]))
    names = pa.array([f"model {n}" for n in range(len(models))])
    return Opinions(item, annotator, given_by[item, annotator], names)


def told(*rows):
    """Return a connection whose `vote` holds (item, annotator, kind, label, distribution)."""
    connection = duckdb.connect()
    connection.execute(
        "create temp table vote (item_id varchar, annotator_id varchar, annotator_kind varchar, label varchar,"
        " distribution map(varchar, double))"
    )
    connection.executemany("insert into vote values (?, ?, ?, ?, ?::json::map(varchar, double))", rows)
    return connection


def test_the_published_table():
    labels, model = crowd()
    found = crowdlab(ballot(labels), opined(model), list("abc"))
    assert found.model_weight == approx([1.5491933], abs=5e-8)
    assert found.annotator_weight == approx([0.583333, 0.305556, 0.444444], abs=5e-7)
    expected = [0.66145, 0.83988, 0.83646, 0.79251, 0.69786, 0.64866, 0.77292, 0.83988, 0.59492, 0.90000]
    assert found.matrix.max(axis=1) == approx(expected, abs=5e-6)


def test_one_item_by_hand():
    # Two people, right .8 of the time by each other's account, and a model: see the weights of the published table.
    labels, model = crowd()
    found = crowdlab(ballot(labels), opined(model), list("abc"))
    # Item 2 has label 1 from annotators 0 and 1; agreement with what is settled is 2/3, 1, 1, 1, 1, 2/3, 1, 1, 2/3, 1.
    right = (7 + 3 * 2 / 3) / 10
    of_people = 0.583333 + 0.305556
    by_hand = (1.5491933 * 0.8 + of_people * right) / (1.5491933 + of_people)
    assert found.matrix[2, 1] == approx(by_hand, abs=1e-6)


@st.composite
def crowds(draw):
    """Draw labels of some annotators and the probabilities of one to three models."""
    kinds, items, models = draw(st.integers(2, 4)), draw(st.integers(6, 25)), draw(st.integers(1, 3))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    truth = chance.integers(kinds, size=items)
    said = np.where(chance.random((items, 4)) < 0.7, truth[:, None], chance.integers(kinds, size=(items, 4)))
    labels = np.where(chance.random((items, 4)) < 0.6, said, np.nan)
    labels[np.isnan(labels).all(axis=1), 0] = 0
    leaning = 0.3 + 2 * (truth[:, None] == np.arange(kinds))
    return labels, np.stack([chance.dirichlet(np.ones(kinds), items) * leaning for _ in range(models)])


def cleanlab(labels, probability):
    """Return what cleanlab makes of the same, without what it prints."""
    several = len(probability) > 1
    judged = get_label_quality_multiannotator_ensemble if several else get_label_quality_multiannotator
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return judged(labels, probability if several else probability[0], return_weights=True)


@settings(max_examples=60, deadline=None)
@given(crowds())
def test_equals_cleanlab(drawn):
    labels, probability = drawn
    probability = probability / probability.sum(axis=2, keepdims=True)
    assume((~np.isnan(labels)).any(axis=0).all() and ((~np.isnan(labels)).sum(axis=1) > 1).any())
    theirs = cleanlab(labels, probability)
    ours = crowdlab(ballot(labels), opined(*probability), [str(n) for n in range(probability.shape[2])])

    assert ours.annotator_weight == approx(theirs["annotator_weight"], abs=1e-9)
    assert ours.model_weight == approx(np.atleast_1d(theirs["model_weight"]), abs=1e-9)
    settled = theirs["label_quality"]["consensus_label"].to_numpy()
    quality = theirs["label_quality"]["consensus_quality_score"].to_numpy()
    assert ours.matrix[np.arange(len(labels)), settled] == approx(quality, abs=1e-9)
    stats = theirs["annotator_stats"].sort_index()["annotator_quality"].to_numpy()
    assert ours.annotator_quality == approx(stats, abs=1e-9, nan_ok=True)


def test_an_item_of_machines_alone_has_their_mean_and_one_of_people_alone_has_theirs():
    labels, model = crowd()
    labels[0], model[1] = np.nan, np.nan
    found = crowdlab(ballot(labels), opined(model), list("abc"))
    assert found.matrix[0] == approx([0.7, 0.2, 0.1])
    # Annotators 0 and 2 say label 0, each right as often as labels are what is settled: the weights cancel.
    assert found.matrix[1, 1] == approx((1 - found.matrix[1, 0]) / 2)
    assert found.matrix.sum(axis=1) == approx(np.ones(10))


def test_without_an_item_of_two_people_nothing_can_be_weighed():
    labels = np.array([[0, np.nan], [np.nan, 1]])
    with pytest.raises(RequestError, match="two or more people"):
        crowdlab(ballot(labels), opined(np.full((2, 2), 0.5)), ["a", "b"])


def test_the_one_interface_gives_the_same_posterior():
    labels, model = crowd()
    found = posterior(ballot(labels), list("abc"), "crowdlab", opinions=opined(model))
    assert found.matrix == approx(crowdlab(ballot(labels), opined(model), list("abc")).matrix)


def test_votes_of_people_and_opinions_of_machines_come_from_one_table():
    connection = told(
        ("X", "ann", "human", "yes", None),
        ("X", "gpt", "llm", "yes", '{"yes": 0.9, "no": 0.1}'),
        ("Y", "bob", None, "no", None),
        ("Z", "gpt", "llm", "no", '{"no": 0.6}'),
        ("Z", "rule", "function", "yes", None),
    )
    labels = ["no", "perhaps", "yes"]
    said = people(connection, labels)
    assert (said.item_ids.to_pylist(), said.annotator_ids.to_pylist()) == (["X", "Y", "Z"], ["ann", "bob"])
    assert (said.item.tolist(), said.annotator.tolist(), said.label.tolist()) == ([0, 1], [0, 1], [2, 0])

    held = opinions(connection, said, labels)
    assert held.annotator_ids.to_pylist() == ["gpt", "rule"]
    assert (held.item.tolist(), held.annotator.tolist()) == ([0, 2, 2], [0, 0, 1])
    assert held.probability.tolist() == [
        approx([0.1, 0, 0.9]),
        approx([0.6, 0.2, 0.2]),  # what .6 leaves is shared by the labels not named
        approx([0.15, 0.15, 0.7]),  # a bare label: as a person nobody knows
    ]


def test_a_machine_asked_several_times_has_one_opinion():
    connection = told(("X", "gpt", "llm", "yes", '{"yes": 1}'), ("X", "gpt", "llm", "no", '{"yes": 0.4, "no": 0.6}'))
    said = people(connection)
    assert opinions(connection, said, ["no", "yes"]).probability.tolist() == [approx([0.3, 0.7])]


def test_a_table_without_kinds_has_people_only():
    connection = duckdb.connect()
    connection.execute("create temp table vote as select 'X' as item_id, 'ann' as annotator_id, 'yes' as label")
    said = people(connection)
    assert len(said.item) == 1
    assert opinions(connection, said, ["yes"]).probability.shape == (0, 1)


def test_opinions_are_averaged_by_weight():
    both = opined(np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([[0.3, 0.7], [np.nan, np.nan]]))
    found, weight = mean(both, 3, np.array([2.0, 1.0]))
    # item 0: (2 · .9 + .3) / 3; item 1: the first model alone; item 2: nobody
    assert found.tolist() == [approx([0.7, 0.3]), [0.5, 0.5], [0, 0]]
    assert weight.tolist() == [3, 2, 0]
