"""Agreement and entropy: published tables, worked small ones, and the ways a figure can be undefined."""

import json
import random
from pathlib import Path

import duckdb
import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx
from statsmodels.stats.inter_rater import fleiss_kappa

from schemas.errors import RequestError
from tasks import agreement
from tasks.sql import keep, query, relation

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def connected(rows, columns="item_id, annotator_id, label"):
    """Return a connection whose `vote` holds the rows."""
    connection = duckdb.connect()
    names = columns.split(", ")
    connection.execute(f"create temp table vote ({', '.join(f'{name} varchar' for name in names)})")
    if rows:
        connection.executemany(f"insert into vote values ({', '.join('?' * len(names))})", rows)
    return connection


def votes(*lines):
    """Return rows from lines such as `X A yes`."""
    return [tuple(line.split()) for line in lines]


def matrix(*observers):
    """Return rows from one string of labels per observer; a dot is no label."""
    return [
        (f"{item:03}", f"observer {n}", label)
        for n, labels in enumerate(observers)
        for item, label in enumerate(labels.split() if " " in labels else labels)
        if label != "."
    ]


def counted(table):
    """Return rows from items × labels counts; who gave which label does not matter."""
    return [
        (f"{item:03}", f"{item}-{label}-{n}", str(label))
        for item, row in enumerate(table)
        for label, count in enumerate(row)
        for n in range(count)
    ]


def coefficients(rows, **how):
    figures = agreement.measure(connected(rows), **how)["agreement"]
    return {name: figure["value"] for name, figure in figures.items()}


EXAMPLE_C = matrix(
    "1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 ."
)
FLEISS_TABLE = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip


def test_alpha_credits_only_agreement_beyond_chance():
    rows = votes("X A yes", "X B yes", "Y A no", "Y B no", "Z A yes", "Z B no")
    # six values, three each: observed disagreement 2/6, expected 18/30, alpha = 1 - 5/9
    assert coefficients(rows)["krippendorff_alpha"] == approx(4 / 9)


def test_percent_is_the_mean_share_of_agreeing_pairs():
    rows = votes("X A yes", "X B yes", "X C no", "Y A no", "Y B no", "Z A yes")
    # X: 1 of 3 pairs, Y: 1 of 1, Z has no pair
    assert coefficients(rows)["percent"] == approx((1 / 3 + 1) / 2)


def test_alpha_of_krippendorffs_published_examples():
    a = matrix("0100000010", "1110010000")
    b = matrix("aabbdcccedda", "babbbccceddd")
    assert coefficients(a)["krippendorff_alpha"] == approx(0.0952, abs=5e-5)
    assert coefficients(b)["krippendorff_alpha"] == approx(0.6920, abs=5e-5)


@pytest.mark.parametrize(
    ("metric", "alpha"), [("nominal", 0.7434), ("ordinal", 0.8154), ("interval", 0.8491), ("ratio", 0.7974)]
)
def test_alpha_of_krippendorffs_example_with_gaps(metric, alpha):
    assert coefficients(EXAMPLE_C, metric=metric)["krippendorff_alpha"] == approx(alpha, abs=5e-5)


def test_a_rating_is_measured_as_ordinal():
    result = agreement.measure(connected(EXAMPLE_C), kind="rating")
    assert result["metric"] == "ordinal"
    assert result["agreement"]["krippendorff_alpha"]["value"] == approx(0.8154, abs=5e-5)


def test_every_coefficient_of_the_example_with_gaps():
    assert coefficients(EXAMPLE_C) == {
        "percent": approx(0.81818, abs=5e-6),
        "krippendorff_alpha": approx(0.74342, abs=5e-6),
        "fleiss_kappa": approx(0.76117, abs=5e-6),
        "gwet_ac1": approx(0.77544, abs=5e-6),
    }


def test_kappa_of_fleiss_table():
    assert coefficients(counted(FLEISS_TABLE))["fleiss_kappa"] == approx(0.2099307, abs=5e-8)


def test_skewed_labels_sink_kappa_and_alpha_but_not_ac1():
    # two observers of 125 items: 118 times both yes, 5 and 2 times one of them no
    rows = matrix("y" * 118 + "y" * 5 + "n" * 2, "y" * 118 + "n" * 5 + "y" * 2)
    found = coefficients(rows)
    assert found["percent"] == approx(0.944)
    assert found["krippendorff_alpha"] == approx(-0.02469, abs=5e-6)
    assert found["gwet_ac1"] == approx(0.94078, abs=5e-6)


def test_set_labels_agree_in_part():
    rows = [("X", "A", '["a"]'), ("X", "B", '["a", "b"]'), ("Y", "A", '["c"]'), ("Y", "B", '["c"]')]
    # MASI of {a} and {a,b}: 1 - 1/2 * 2/3 = 2/3. Pairs that differ: observed 2 * 2/3 of n = 4;
    # expected: {a}-{a,b} 2 * 2/3, each of them with the two {c} 8 * 1, of 12. alpha = 1 - 3 * (4/3) / (28/3)
    assert coefficients(rows, kind="choices")["krippendorff_alpha"] == approx(1 - 3 * (4 / 3) / (28 / 3))


def test_alpha_of_people_on_restaurant_aspects():
    path = SHARED / "alttest_cebab_aspects" / "annotations.jsonl"
    if not path.exists():
        pytest.skip("the public data sets are not beside the repository")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    people = [(r["item_id"], r["annotator_id"], r["label"]) for r in rows if r["annotator_kind"] == "human"]
    assert coefficients(people)["krippendorff_alpha"] == approx(0.7419, abs=5e-5)


TABLES = st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=2, max_size=12)


@settings(max_examples=25, deadline=None)
@given(TABLES)
@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_alpha_equals_the_krippendorff_package(level, table):
    counts = np.array(table)
    paired = counts[counts.sum(axis=1) > 1]
    if (paired.sum(axis=0) > 0).sum() < 2:
        return  # undefined: tested below
    expected = krippendorff.alpha(value_counts=counts, value_domain=[0, 1, 2], level_of_measurement=level)
    assert coefficients(counted(table), metric=level)["krippendorff_alpha"] == approx(expected, abs=1e-10)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abc"), min_size=4, max_size=4), min_size=2, max_size=10))
def test_kappa_equals_statsmodels(table):
    counts = np.array([[row.count(label) for label in "abc"] for row in table])
    if (counts.sum(axis=0) > 0).sum() < 2:
        return
    assert coefficients(counted(counts))["fleiss_kappa"] == approx(fleiss_kappa(counts), abs=1e-10)


def test_no_figure_without_a_pair_of_labels():
    found = agreement.measure(connected(votes("X A yes", "Y B no")))["agreement"]
    assert set(found) == {"percent", "krippendorff_alpha", "fleiss_kappa", "gwet_ac1"}
    for figure in found.values():
        assert figure == {"value": None, "low": None, "high": None, "reason": "no item has two labels"}


def test_chance_corrected_figures_are_undefined_where_one_label_is_used():
    found = agreement.measure(connected(votes("X A yes", "X B yes", "Y A yes", "Y B yes")))["agreement"]
    assert found["percent"]["value"] == 1
    for name in ("krippendorff_alpha", "fleiss_kappa", "gwet_ac1"):
        assert found[name]["value"] is None
        assert "only one label" in found[name]["reason"]


def test_an_empty_table_has_no_figures_and_says_why():
    result = agreement.measure(connected([]))
    assert (result["items"], result["annotations"], result["annotators"]) == (0, 0, 0)
    assert result["agreement"]["percent"]["reason"] == "no item has two labels"
    assert result["entropy"]["mean_nats"] is None


def test_a_figure_of_one_item_has_no_interval():
    figure = agreement.measure(connected(votes("X A yes", "X B yes", "X C no")))["agreement"]["percent"]
    assert figure == {"value": approx(1 / 3), "low": None, "high": None, "reason": "no interval from a single item"}


def test_labels_beyond_those_given_are_refused():
    with pytest.raises(RequestError, match="1 of the labels"):
        agreement.measure(connected(votes("X A yes", "X B perhaps")), labels=["yes", "no"])


def test_ratings_that_are_no_numbers_need_their_order():
    rows = votes("X A low", "X B high", "Y A low", "Y B mid")
    with pytest.raises(RequestError, match="numbers"):
        agreement.measure(connected(rows), kind="rating")
    assert agreement.measure(connected(rows), kind="rating", labels=["low", "mid", "high"])["metric"] == "ordinal"


def random_rows(items=300, seed=1):
    draw = random.Random(seed)
    return [
        (f"i{item}", f"a{person}", draw.choice("aabc"), draw.choice("st") if item % 9 else None, f"g{item % 40}")
        for item in range(items)
        for person in draw.sample(range(12), draw.randint(1, 5))
    ]


def one_slice_per_item(rows):
    slices = {}
    return [(item, person, label, slices.setdefault(item, part), group) for item, person, label, part, group in rows]


WITH_SLICES = "item_id, annotator_id, label, slice"
WITH_GROUPS = "item_id, annotator_id, label, slice, group_id"


@pytest.mark.parametrize("columns", ["item_id, annotator_id, label", WITH_SLICES, WITH_GROUPS])
def test_figures_are_the_same_bits_in_any_order(columns):
    rows = [row[: len(columns.split(", "))] for row in one_slice_per_item(random_rows())]
    one = agreement.measure(connected(rows, columns))
    other = agreement.measure(connected(random.Random(2).sample(rows, len(rows)), columns))
    assert json.dumps(one) == json.dumps(other)


@pytest.mark.parametrize("columns", [WITH_SLICES, WITH_GROUPS])
@pytest.mark.parametrize("partitions", [2, 7])
def test_figures_are_the_same_bits_over_partitions_by_item(columns, partitions):
    rows = [row[: len(columns.split(", "))] for row in one_slice_per_item(random_rows())]
    whole = agreement.measure(connected(rows, columns))
    merged = duckdb.connect()
    for part in range(partitions):
        connection = connected([row for row in rows if int(row[0][1:]) % partitions == part], columns)
        agreement.count(connection)
        for table in agreement.COUNTS:
            frame = connection.table(table).arrow().read_all()  # noqa: F841  (DuckDB reads it by name)
            verb = f"create table {table} as" if part == 0 else f"insert into {table}"
            merged.execute(f"{verb} select * from frame")
    assert json.dumps(agreement.summary(merged)) == json.dumps(whole)


def test_an_interval_covers_its_figure_and_is_reproducible():
    rows = [row[:3] for row in random_rows()]
    one, other = (agreement.measure(connected(rows))["agreement"] for _ in range(2))
    assert one == other
    for figure in one.values():
        assert figure["low"] < figure["value"] < figure["high"]


def test_intervals_of_the_example_with_gaps_are_near_the_published_ones():
    figure = agreement.measure(connected(EXAMPLE_C))["agreement"]["krippendorff_alpha"]
    # resampling twelve items outright, 4,000 times: about .41 to 1.00
    assert (figure["low"], figure["high"]) == (approx(0.41, abs=0.03), 1.0)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    # two annotators, right 8 times of 10 on either label: percent is .8² + .2² = .68
    draw, hits = random.Random(5), 0
    for _ in range(60):
        rows = [(f"{i}", who, "ab"[(i % 2) ^ (draw.random() < 0.2)]) for i in range(80) for who in "AB"]
        figure = agreement.measure(connected(rows))["agreement"]["percent"]
        hits += figure["low"] <= 0.68 <= figure["high"]
    assert hits >= 52  # 57 expected of 60; fewer than 52 has a probability below 1 %


def test_groups_are_resampled_whole():
    # forty items, one verdict per group of ten: as good as four items, so the interval is wider
    rows = [
        (f"i{n}", who, "ab"[(n // 10 + (who == "B" and n >= 20)) % 2], f"g{n // 10}") for n in range(40) for who in "AB"
    ]
    by_item = agreement.measure(connected([row[:3] for row in rows]))
    by_group = agreement.measure(connected(rows, "item_id, annotator_id, label, group_id"))
    assert (by_item["intervals"], by_group["intervals"]) == ("items", "groups")
    percent = [result["agreement"]["percent"] for result in (by_item, by_group)]
    assert percent[0]["value"] == percent[1]["value"] == 0.5
    assert percent[1]["high"] - percent[1]["low"] > 2 * (percent[0]["high"] - percent[0]["low"])


def test_many_single_groups_share_weights_without_changing_the_interval():
    rows = [(f"i{n}", who, "ab"[(n % 2) ^ (who == "B" and n % 5 == 0)], f"g{n}") for n in range(6_000) for who in "AB"]
    by_group = agreement.measure(connected(rows, "item_id, annotator_id, label, group_id"))["agreement"]["percent"]
    by_item = agreement.measure(connected([row[:3] for row in rows]))["agreement"]["percent"]
    # binomial: .8 ± 1.96 * sqrt(.8 * .2 / 6000) = .8 ± .0101
    for figure in (by_group, by_item):
        assert (figure["low"], figure["high"]) == (approx(0.7899, abs=0.001), approx(0.8101, abs=0.001))


@pytest.mark.parametrize(
    ("counts", "plain", "jeffreys"),
    [([3, 1, 0], 0.562335, 0.713997), ([2, 1, 0], 0.636514, 0.759788), ([3, 0, 0], 0.0, 0.522751)],
)
def test_entropy_of_few_labels_is_more_than_it_looks(counts, plain, jeffreys):
    connection = connected(counted([counts]))
    (row,) = agreement.item_entropy(connection, labels=["0", "1", "2"]).fetchall()
    assert row[5:] == (approx(plain, abs=5e-7), approx(jeffreys, abs=5e-7))


def test_beyond_five_labels_the_prior_weighs_one_label_in_all():
    from scipy.special import digamma

    counts = np.array([3, 1, 0, 0, 0, 0])
    alpha = counts + 1 / 6
    expected = digamma(alpha.sum() + 1) - (alpha / alpha.sum() * digamma(alpha + 1)).sum()
    connection = connected(counted([counts]))
    (row,) = agreement.item_entropy(connection, labels=list("012345")).fetchall()
    assert row[6] == approx(expected, abs=1e-12)
    assert agreement.measure(connection, labels=list("012345"))["entropy"]["prior"] == "perks"


def test_a_tied_item_has_no_label_and_says_which_tie():
    rows = votes("X A yes", "X B no", "Y A no", "Y B no", "Y C yes")
    assert [row[:5] for row in agreement.item_entropy(connected(rows)).fetchall()] == [
        ("X", 2, None, ["no", "yes"], True),
        ("Y", 3, "no", ["no"], False),
    ]


def test_entropy_is_summed_up_over_items():
    entropy = agreement.measure(connected(votes("X A yes", "X B no", "Y A no", "Y B no", "Z A no")))["entropy"]
    # X: ln 2, Y and Z: 0; of the two with several labels one is unanimous
    assert entropy["mean_nats"] == approx(np.log(2) / 3)
    assert entropy["mean_normalised"] == approx(1 / 3)
    assert entropy["unanimous_share"] == 0.5
    assert [bin["items"] for bin in entropy["histogram"]] == [2, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert entropy["histogram"][-1]["high"] == approx(np.log(2))


def test_each_annotator_is_compared_with_the_others():
    rows = votes("X A yes", "X B yes", "X C no", "Y A no", "Y B yes")
    found = agreement.measure(connected(rows))["by_annotator"]
    # A agrees with B but not C on X, not with B on Y: 1 of 3 pairs; B the same; C with nobody
    assert [(one["annotator_id"], one["agreement_with_others"]) for one in found] == [
        ("A", approx(1 / 3)), ("B", approx(1 / 3)), ("C", 0.0),
    ]  # fmt: skip
    assert found[0] == {
        "annotator_id": "A", "annotations": 2, "items": 2, "agreement_with_others": approx(1 / 3),
        "labels": {"no": 1, "yes": 1},
    }  # fmt: skip


def test_an_annotator_does_not_agree_with_themselves():
    rows = votes("X A yes", "X A yes", "X B no", "Y A no", "Y B no")
    result = agreement.measure(connected(rows))
    # A's two labels on X meet only B's: agreeing 1 of 3 pairs (X: 0 of 2, Y: 1 of 1)
    assert result["by_annotator"][0]["agreement_with_others"] == approx(1 / 3)
    assert (result["by_annotator"][0]["annotations"], result["by_annotator"][0]["items"]) == (3, 2)
    assert result["repeated"] == 1


def test_slices_are_measured_apart():
    rows = votes("X A yes s", "X B yes s", "Y A no t", "Y B yes t")
    result = agreement.measure(connected(rows, WITH_SLICES))
    percent = {name: figures["agreement"]["percent"]["value"] for name, figures in result["by_slice"].items()}
    assert percent == {"s": 1.0, "t": 0.0}
    assert result["agreement"]["percent"]["value"] == 0.5
    assert result["by_slice"]["t"]["entropy"]["mean_nats"] == approx(np.log(2))


def test_items_without_a_slice_count_only_overall():
    rows = [("X", "A", "yes", "s"), ("X", "B", "yes", "s"), ("Y", "A", "no", None), ("Y", "B", "yes", None)]
    result = agreement.measure(connected(rows, WITH_SLICES))
    assert (result["items"], list(result["by_slice"])) == (2, ["s"])


def test_hundreds_of_labels_are_counted_in_blocks():
    rows = [(f"i{n}", who, f"{(n + (who == 'B' and n % 4 == 0)) % 130}") for n in range(260) for who in "AB"]
    table = [[int(row[2]) for row in rows if row[1] == who] for who in "AB"]
    expected = krippendorff.alpha(reliability_data=table, level_of_measurement="nominal")
    assert coefficients(rows)["krippendorff_alpha"] == approx(expected, abs=1e-10)


def test_confusion_counts_what_was_said_against_what_holds():
    connection = connected(votes("W A yes", "X A yes", "Y A no", "Z A yes"))
    connection.execute(
        "create temp table reference as from (values ('W', 'yes'), ('X', 'no'), ('Y', 'no')) t(item_id, label)"
    )
    found = agreement.confusion(connection)
    assert (found["labels"], found["matrix"]) == (["no", "yes"], [[1, 1], [0, 1]])
    # Wilson, 2 of 3, z = 1.96: (2 + 1.92) / 6.84 = .573, reach sqrt(3 * 2/9 + .96) * 1.96 / 6.84 = .365
    assert found["accuracy"] == {
        "value": approx(2 / 3), "low": approx(0.2077, abs=1e-4), "high": approx(0.9385, abs=1e-4), "n": 3,
    }  # fmt: skip


def test_wilson_stays_within_the_ends():
    assert agreement.wilson(0, 0) == {"value": None, "low": None, "high": None, "n": 0}
    assert agreement.wilson(0, 10)["low"] == 0
    assert agreement.wilson(10, 10)["high"] == 1
    # at n of n the lower end is n / (n + z²)
    assert agreement.wilson(10, 10)["low"] == approx(10 / (10 + 1.959964**2), abs=1e-6)


def test_label_marks_are_their_own():
    connection = connected(votes("X A yes", "X B no", "Y A yes"))
    marks = dict(keep(connection, "label_mark").fetchall())
    assert len(set(marks.values())) == len(marks) == 2


def test_a_query_says_its_grain_and_what_it_reads():
    assert "-- grain:  one row per item\n" in query("item_pattern")
    assert relation(duckdb.connect(), "given_label_code", labels=["b", "a"]).fetchall() == [("b", 0), ("a", 1)]
