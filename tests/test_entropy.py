"""Entropy of items' labels: five estimators, what they are worth on few labels, and what models leave open."""

import json
import math
import random
from itertools import product

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx
from scipy.special import digamma, polygamma
from vote_table import WITH_SLICES, connected, counted, random_rows, votes

from tasks import agreement
from tasks.agreement.entropies import decomposition, entropies_of, means
from tasks.agreement.patterns import by_slice, patterns_of
from tasks.sql import keep, relation

ESTIMATORS = ("plug_in", "miller_madow", "chao_shen", "dirichlet", "dirichlet_sd")
COLUMNS = ("entropy_nats", *(f"entropy_{name}_nats" for name in ESTIMATORS[1:]))


def item_entropies(table):
    """Return the estimators of every row of counts, whose length is the number of labels."""
    labels = [str(label) for label in range(len(table[0]))]
    rows = agreement.item_entropy(connected(counted(table)), labels).order("item_id").fetchnumpy()
    return dict(zip(ESTIMATORS, (rows[name] for name in COLUMNS), strict=True))


def every_count(labels, n):
    """Return every way to share n among the labels."""
    return [row for row in product(range(n + 1), repeat=labels) if sum(row) == n]


def random_counts(labels, rows, most, seed=7):
    """Return rows of counts, from even to lopsided, of 1 to `most` in all."""
    draw = np.random.default_rng(seed)
    shares = draw.dirichlet(np.full(labels, 0.3), rows)
    return [draw.multinomial(draw.integers(1, most + 1), share).tolist() for share in shares]


def wolpert_and_wolf(counts, prior):
    """Return the posterior mean and standard deviation by the sums over pairs of labels, as they were published."""
    alpha = np.array(counts) + prior
    total = alpha.sum()
    mean = digamma(total + 1) - (alpha / total * digamma(alpha + 1)).sum()
    square = 0.0
    for i, one in enumerate(alpha):
        for j, other in enumerate(alpha):
            if i == j:
                own = (digamma(one + 2) - digamma(total + 2)) ** 2 + polygamma(1, one + 2) - polygamma(1, total + 2)
                square += one * (one + 1) * own
            else:
                far = [digamma(x + 1) - digamma(total + 2) for x in (one, other)]
                square += one * other * (far[0] * far[1] - polygamma(1, total + 2))
    return mean, math.sqrt(max(square / (total * (total + 1)) - mean**2, 0))


def chao_and_shen(counts):
    n, singles = sum(counts), sum(count == 1 for count in counts)
    coverage = 1 - (n - 1 if singles == n else singles) / n  # of n labels, all different, one counts as met before
    entropy = 0.0
    for count in counts:
        if count:
            share = coverage * count / n
            entropy -= share * math.log(share) / (1 - (1 - share) ** n)
    return entropy


def miller_and_madow(counts):
    n, entropy = sum(counts), 0.0
    for count in counts:
        if count:
            entropy -= count / n * math.log(count / n)
    return entropy + (sum(count > 0 for count in counts) - 1) / (2 * n)


@pytest.mark.parametrize(
    ("counts", "plug_in", "miller_madow", "chao_shen", "dirichlet"),
    [
        ([3, 1, 0], 0.562335, 0.687335, 0.892267, 0.713997),
        ([2, 1, 0], 0.636514, 0.803181, 1.066247, 0.759788),
        ([3, 0, 0], 0.0, 0.0, 0.0, 0.522751),  # three of three are not certain
    ],
)
def test_entropy_of_few_labels_is_more_than_it_looks(counts, plug_in, miller_madow, chao_shen, dirichlet):
    found = item_entropies([counts])
    for name, expected in zip(ESTIMATORS, (plug_in, miller_madow, chao_shen, dirichlet), strict=False):
        assert found[name][0] == approx(expected, abs=5e-7), name


@pytest.mark.parametrize("labels", [1, 2, 3, 5, 6, 20])
def test_every_estimator_is_the_one_published(labels):
    table = random_counts(labels, 60, 300)
    found, prior = item_entropies(table), 0.5 if labels <= 5 else 1 / labels
    for row, counts in enumerate(table):
        mean, sd = wolpert_and_wolf(counts, prior)
        assert found["dirichlet"][row] == approx(mean, abs=1e-12)
        assert found["dirichlet_sd"][row] ** 2 == approx(sd**2, abs=1e-12)
        assert found["miller_madow"][row] == approx(miller_and_madow(counts), abs=1e-12)
        assert found["chao_shen"][row] == approx(chao_and_shen(counts), abs=1e-12)


def test_the_posterior_is_right_among_a_thousand_labels_and_of_one_seen_ten_thousand_times():
    counts = [300, 20, 3, 1, 1] + [0] * 995
    alpha = np.array(counts) + 1 / 1000
    total = alpha.sum()
    expected = digamma(total + 1) - (alpha / total * digamma(alpha + 1)).sum()
    assert item_entropies([counts])["dirichlet"][0] == approx(expected, abs=1e-12)
    mean, sd = wolpert_and_wolf([10_000, 0], 0.5)
    found = item_entropies([[10_000, 0]])
    assert (found["dirichlet"][0], found["dirichlet_sd"][0]) == (approx(mean, rel=1e-9), approx(sd, rel=1e-5))


@pytest.mark.parametrize("counts", [[3, 0, 0], [2, 1, 0], [5, 4, 3, 2, 1], [2, 1, 0, 0, 0, 0, 0, 0]])
def test_posterior_mean_and_sd_are_those_of_entropies_drawn_from_it(counts):
    prior = 0.5 if len(counts) <= 5 else 1 / len(counts)
    shares = np.random.default_rng(3).dirichlet(np.array(counts) + prior, 400_000)
    drawn = -(shares * np.log(np.maximum(shares, 1e-300))).sum(axis=1)
    found = item_entropies([counts])
    # four standard errors: sd / sqrt(n) of a mean, about sd / sqrt(n) of a standard deviation too
    error = 4 * drawn.std() / math.sqrt(len(drawn))
    assert found["dirichlet"][0] == approx(drawn.mean(), abs=error)
    assert found["dirichlet_sd"][0] == approx(drawn.std(), abs=error)


@pytest.mark.parametrize(
    ("labels", "n", "expected"),
    [
        (2, 3, {"plug_in": 0.325, "miller_madow": 0.334, "chao_shen": 0.334, "dirichlet": 0.183}),
        (3, 3, {"plug_in": 0.452, "miller_madow": 0.438, "chao_shen": 0.484, "dirichlet": 0.214}),
        (5, 5, {"plug_in": 0.488, "miller_madow": 0.435, "chao_shen": 0.433, "dirichlet": 0.214}),
    ],
)
def test_the_posterior_mean_errs_least_where_labels_are_few(labels, n, expected):
    # one label is likelier than the others: shares from Dirichlet(4, 1, …), n labels drawn from them
    draw, table = np.random.default_rng(1), every_count(labels, n)
    shares = draw.dirichlet([4] + [1] * (labels - 1), 100_000)
    truth = -(shares * np.log(shares)).sum(axis=1)
    place = {counts: row for row, counts in enumerate(table)}
    rows = [place[tuple(counts)] for counts in draw.multinomial(n, shares).tolist()]
    found = item_entropies(table)
    for name, error in expected.items():
        estimate = np.minimum(found[name][rows], math.log(labels))  # none is taken at more than there can be
        assert math.sqrt(((estimate - truth) ** 2).mean()) == approx(error, abs=0.006), name
    bias = {name: (found[name][rows] - truth).mean() for name in ("plug_in", "dirichlet")}
    assert abs(bias["dirichlet"]) < abs(bias["plug_in"]) / 4


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=8).filter(any), st.randoms())
def test_entropy_lies_between_nothing_and_all_there_can_be_whichever_labels_are_chosen(counts, shuffle):
    other = shuffle.sample(counts, len(counts))
    found = item_entropies([counts, other])
    for name in ESTIMATORS:
        assert found[name][0] == found[name][1]  # to the bit
        assert found[name][0] >= 0
    for name in ("plug_in", "dirichlet"):
        assert found[name][0] <= math.log(len(counts)) + 1e-12
    assert found["plug_in"][0] <= found["miller_madow"][0]


def test_more_labels_leave_less_open():
    found = item_entropies([[2, 1, 0], [20, 10, 0], [200, 100, 0]])
    assert list(found["dirichlet_sd"]) == sorted(found["dirichlet_sd"], reverse=True)
    distance = [
        abs(posterior - plug_in) for posterior, plug_in in zip(found["dirichlet"], found["plug_in"], strict=True)
    ]
    assert distance == sorted(distance, reverse=True)
    assert distance[2] < 0.01


def test_beyond_five_labels_the_prior_weighs_one_label_in_all():
    of = {n: agreement.measure(connected(counted([[3, 1] + [0] * n])), labels=list("0123456")[: n + 2]) for n in (3, 4)}
    assert [of[n]["entropy"]["prior"] for n in (3, 4)] == ["jeffreys", "perks"]


def test_each_item_has_its_labels_and_every_estimator_beside_it():
    rows = agreement.item_entropy(connected(votes("X A yes", "X B no", "Y A no", "Y B no", "Y C yes")))
    assert rows.columns == [
        "item_id", "annotations", "label", "top_labels", "is_tie", "entropy_nats", "entropy_miller_madow_nats",
        "entropy_chao_shen_nats", "entropy_dirichlet_nats", "entropy_dirichlet_sd_nats", "entropy_dirichlet_normalised",
    ]  # fmt: skip
    # a tie has no label, and says which it is between
    assert [row[:5] for row in rows.fetchall()] == [
        ("X", 2, None, ["no", "yes"], True),
        ("Y", 3, "no", ["no"], False),
    ]


def test_normalised_is_of_all_that_the_labels_allow():
    (row,) = agreement.item_entropy(connected(votes("X A yes", "X B no")), ["yes", "no", "perhaps"]).fetchall()
    assert row[-1] == approx(row[8] / math.log(3))
    (row,) = agreement.item_entropy(connected(votes("X A yes", "X B yes"))).fetchall()
    # of one label there is nothing to be unsure about, and no share of nothing
    assert (row[8], row[9], row[-1]) == (approx(0, abs=1e-14), 0, None)


def test_entropy_is_summed_up_over_items():
    entropy = agreement.measure(connected(votes("X A yes", "X B no", "Y A no", "Y B no", "Z A no")))["entropy"]
    # X: ln 2, Y and Z: 0; of the two with several labels one is unanimous
    assert entropy["mean_nats"] == approx(np.log(2) / 3)
    assert entropy["mean_normalised"] == approx(1 / 3)
    # X: ln 2 + 1/4
    assert entropy["mean_miller_madow_nats"] == approx((np.log(2) + 1 / 4) / 3)
    # X: two labels met once, one of them taken as met before: coverage 1/2, so shares of 1/4, each met by two labels
    # with probability 1 - (3/4)² = 7/16
    assert entropy["mean_chao_shen_nats"] == approx(2 * (1 / 4 * np.log(4) / (7 / 16)) / 3)
    assert entropy["unanimous_share"] == 0.5
    assert [bin["items"] for bin in entropy["histogram"]] == [2, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert entropy["histogram"][-1]["high"] == approx(np.log(2))


def test_the_posteriors_of_items_add_to_that_of_their_mean():
    table = [[2, 1, 0]] * 3 + [[1, 0, 0]]
    entropy = agreement.measure(connected(counted(table)), labels=["0", "1", "2"])["entropy"]
    (one, sd_one), (other, sd_other) = wolpert_and_wolf([2, 1, 0], 0.5), wolpert_and_wolf([1, 0, 0], 0.5)
    assert entropy["mean_dirichlet_nats"] == approx((3 * one + other) / 4)
    assert entropy["mean_dirichlet_normalised"] == approx((3 * one + other) / 4 / math.log(3))
    assert entropy["mean_dirichlet_sd_nats"] == approx(math.sqrt(3 * sd_one**2 + sd_other**2) / 4)


def test_slices_have_the_means_of_their_own_items():
    connection = connected(votes("X A yes s", "X B yes s", "Y A no t", "Y B yes t"), WITH_SLICES)
    agreement.count(connection)
    entropies = entropies_of(connection, None)
    found = {name: means(rows, entropies, 2) for name, rows in by_slice(patterns_of(connection))}
    for name, counts in (("s", [2, 0]), ("t", [1, 1])):
        mean, sd = wolpert_and_wolf(counts, 0.5)
        assert (found[name]["mean_dirichlet_nats"], found[name]["mean_dirichlet_sd_nats"]) == (approx(mean), approx(sd))
    assert (found["s"]["mean_nats"], found["t"]["mean_nats"]) == (0, approx(math.log(2)))


def test_no_items_have_no_entropy():
    entropy = agreement.measure(connected([]))["entropy"]
    assert {name: value for name, value in entropy.items() if name.startswith("mean")} == dict.fromkeys(
        ("mean_nats", "mean_miller_madow_nats", "mean_chao_shen_nats", "mean_dirichlet_nats", "mean_dirichlet_sd_nats",
         "mean_normalised", "mean_dirichlet_normalised")
    )  # fmt: skip


def test_entropies_are_the_same_bits_in_any_order_and_with_any_threads():
    rows, found = [row[:3] for row in random_rows(2_000)], []
    for threads, seed in ((1, 1), (2, 2), (2, 3)):
        connection = connected(random.Random(seed).sample(rows, len(rows)))
        connection.execute(f"set threads = {threads}")
        found.append(agreement.item_entropy(connection).fetchall())
    assert found[0] == found[1] == found[2]


MACHINES = (
    "item_id varchar, annotator_id varchar, annotator_kind varchar, label varchar, distribution map(varchar, double)"
)


def machine_votes(*rows):
    """Return a connection whose `vote` holds (item, annotator, kind, distribution)."""
    connection = duckdb.connect()
    connection.execute(f"create temp table vote ({MACHINES})")
    for row in rows:
        connection.execute("insert into vote values (?, ?, ?, 'a', ?)", row)
    return connection


def test_what_models_leave_open_is_what_each_does_and_where_they_differ():
    connection = machine_votes(
        ("X", "m1", "llm", {"a": 0.5, "b": 0.5}), ("X", "m2", "llm", {"b": 0.5, "a": 0.5}),  # unsure, as one
        ("Y", "m1", "llm", {"a": 1.0, "b": 0.0}), ("Y", "m2", "llm", {"b": 1.0}),  # sure, and opposed
        ("Z", "m1", "llm", {"a": 1.0}), ("Z", "m2", "llm", {"a": 1.0}),  # sure, as one
    )  # fmt: skip
    assert relation(connection, "item_decomposition").fetchall() == [
        ("X", 2, approx(math.log(2)), approx(math.log(2)), approx(0, abs=1e-15)),
        ("Y", 2, approx(math.log(2)), 0, approx(math.log(2))),
        ("Z", 2, 0, 0, 0),
    ]
    assert decomposition(connection) == {
        "items": 3,
        "mean_nats": approx(2 * math.log(2) / 3),
        "mean_shared_nats": approx(math.log(2) / 3),
        "mean_disagreement_nats": approx(math.log(2) / 3),
        "disagreement_share": approx(0.5),
    }


def test_disagreement_is_the_divergence_of_jensen_and_shannon():
    shares = np.random.default_rng(5).dirichlet([1, 1, 1, 1], (20, 3))
    connection = machine_votes(
        *((f"i{item:02}", f"m{model}", "llm", dict(zip("abcd", share.tolist(), strict=True)))
          for item, models in enumerate(shares) for model, share in enumerate(models))
    )  # fmt: skip
    mean = shares.mean(axis=1, keepdims=True)
    divergence = (
        (shares * np.log(shares / mean)).sum(axis=2).mean(axis=1)
    )  # mean distance of the models from their mean
    rows = relation(connection, "item_decomposition").fetchnumpy()
    assert rows["disagreement_nats"] == approx(divergence, abs=1e-12)
    assert rows["entropy_nats"] == approx(-(mean * np.log(mean)).sum(axis=(1, 2)), abs=1e-12)
    assert rows["shared_nats"] == approx(-(shares * np.log(shares)).sum(axis=2).mean(axis=1), abs=1e-12)


def test_only_distributions_of_several_machines_say_where_they_differ():
    connection = machine_votes(
        ("alone", "m1", "llm", {"a": 0.5, "b": 0.5}),
        ("twice", "m1", "llm", {"a": 1.0}), ("twice", "m1", "llm", {"b": 1.0}),
        ("bare", "m1", "llm", {"a": 1.0}), ("bare", "m2", "llm", None), ("bare", "p", "human", {"b": 1.0}),
        ("empty", "m1", "llm", {"a": 1.0}), ("empty", "m2", "model", {"a": 0.0}),
    )  # fmt: skip
    assert decomposition(connection) == {
        "items": 0, "mean_nats": None, "mean_shared_nats": None, "mean_disagreement_nats": None, "disagreement_share": None,
    }  # fmt: skip
    assert decomposition(connected(votes("X A yes", "X B no")))["items"] == 0


def test_a_machine_that_answers_twice_weighs_as_one_and_a_distribution_by_its_shares():
    connection = machine_votes(
        ("X", "m1", "llm", {"a": 0.8}), ("X", "m1", "llm", {"a": 0.6, "b": 0.6}), ("X", "m2", "model", {"b": 2.0})
    )  # fmt: skip
    # mean: a ½ (1 + ½) / 2 = 3/8; own entropies: 0, ln 2 and 0, which weigh ¼, ¼ and ½
    whole = -(3 / 8) * math.log(3 / 8) - (5 / 8) * math.log(5 / 8)
    assert relation(connection, "item_decomposition").fetchall() == [
        ("X", 2, approx(whole), approx(math.log(2) / 4), approx(whole - math.log(2) / 4))
    ]


@pytest.mark.parametrize("tiny", [1e-20, 1e-44, 5e-324])
def test_a_probability_next_to_nothing_leaves_nothing_open(tiny):
    connection = machine_votes(*(("X", model, "llm", {"a": 1.0, "b": tiny}) for model in ("m1", "m2")))
    assert relation(connection, "item_decomposition").fetchall() == [
        ("X", 2, *(approx(expected, abs=1e-15) for expected in (-tiny * math.log(tiny), -tiny * math.log(tiny), 0)))
    ]


def test_the_decomposition_is_the_same_bits_in_any_order():
    draw = random.Random(4)
    rows = [
        (f"i{item}", f"m{model}", "llm", {label: draw.random() for label in "abc"})
        for item in range(60)
        for model in range(4)
    ]
    one, other = (decomposition(machine_votes(*draw.sample(rows, len(rows)))) for _ in range(2))
    assert json.dumps(one) == json.dumps(other)


def test_patterns_of_equal_counts_share_their_entropies():
    connection = connected(votes("X A yes", "X B no", "X C no", "Y A no", "Y B yes", "Y C yes", "Z A no"))
    agreement.item_entropy(connection)
    shapes = keep(connection, "pattern_shape").order("shape").fetchall()
    assert [row[2] for row in shapes] == [[1], [1, 2], [1, 2]]
    assert len(connection.table("shape_entropy")) == 2
