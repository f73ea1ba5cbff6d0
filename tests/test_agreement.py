"""Agreement: what is counted, in any order and over partitions, and the ways a table can be asked for."""

import json
import random

import duckdb
import numpy as np
import pytest
from pytest import approx
from vote_table import WITH_GROUPS, WITH_SLICES, connected, random_rows, votes

from schemas.errors import RequestError
from tasks import agreement
from tasks.sql import keep, query, relation


def test_an_empty_table_has_no_figures_and_says_why():
    result = agreement.measure(connected([]))
    assert (result["items"], result["annotations"], result["annotators"]) == (0, 0, 0)
    assert result["agreement"]["percent"]["reason"] == "no item has two labels"
    assert result["entropy"]["mean_nats"] is None


def test_labels_beyond_those_given_are_refused():
    with pytest.raises(RequestError, match="1 of the labels"):
        agreement.measure(connected(votes("X A yes", "X B perhaps")), labels=["yes", "no"])


def one_slice_per_item(rows):
    slices = {}
    return [(item, person, label, slices.setdefault(item, part), group) for item, person, label, part, group in rows]


@pytest.mark.parametrize("columns", ["item_id, annotator_id, label", WITH_SLICES, WITH_GROUPS])
def test_figures_are_the_same_bits_in_any_order(columns):
    rows = [row[: len(columns.split(", "))] for row in one_slice_per_item(random_rows())]
    one = agreement.measure(connected(rows, columns))
    other = agreement.measure(connected(random.Random(2).sample(rows, len(rows)), columns))
    assert json.dumps(one) == json.dumps(other)


@pytest.mark.parametrize("columns", [WITH_SLICES, WITH_GROUPS])
@pytest.mark.parametrize("partitions", [1, 7, pytest.param(1_000, marks=pytest.mark.slow)])
def test_figures_are_the_same_bits_over_partitions_by_item(columns, partitions):
    rows = [row[: len(columns.split(", "))] for row in one_slice_per_item(random_rows())]
    whole, parts = agreement.measure(connected(rows, columns)), connected(rows, columns)
    parts.execute("alter table vote rename to every_vote")
    for part in range(partitions):
        parts.execute(
            f"create or replace temp view vote as from every_vote where hash(item_id) % {partitions} = {part}"
        )
        agreement.count(parts)
        for table in agreement.COUNTS:
            verb = f"create temp table merged_{table} as" if part == 0 else f"insert into merged_{table}"
            parts.execute(f"{verb} from {table}")
    for table in agreement.COUNTS:
        parts.execute(f"create or replace temp table {table} as from merged_{table}")
    assert json.dumps(agreement.summary(parts)) == json.dumps(whole)


def test_each_annotator_is_compared_with_the_others():
    rows = votes("X A yes", "X B yes", "X C no", "Y A no", "Y B yes")
    found = agreement.measure(connected(rows))["by_annotator"]
    # A agrees with B but not C on X, not with B on Y: 1 of 3 pairs; B the same; C with nobody
    assert [(one["annotator_id"], one["agreement_with_others"]) for one in found] == [
        ("A", approx(1 / 3)), ("B", approx(1 / 3)), ("C", 0.0),
    ]  # fmt: skip
    # A's two items vary by (1 - 2/3)² + (0 - 1/3)² = 2/9 about 1/3 of their pairs: as good as 1/3 * 2/3 / (2/9 / 3² * 2/1)
    # = 4.5 pairs, but there are three: Wilson's interval of 1 of 3
    assert found[0] == {
        "annotator_id": "A", "annotations": 2, "items": 2, "agreement_with_others": approx(1 / 3),
        "low": approx(0.0615, abs=5e-5), "high": approx(0.7923, abs=5e-5), "labels": {"no": 1, "yes": 1},
    }  # fmt: skip


@pytest.mark.slow
def test_the_interval_of_an_annotator_holds_the_truth_about_as_often_as_it_says():
    # A is right 7 times of 10, three others 9 of 10, two labels: .7 * .9 + .3 * .1 = .66. The others of one item agree or
    # differ together, so their pairs are worth less than their number.
    draw, hits = random.Random(3), 0
    for _ in range(100):
        rows = [
            (f"{n}", who, "ab"[(n % 2) ^ (draw.random() > right)])
            for n in range(60)
            for who, right in [("A", 0.7), ("B", 0.9), ("C", 0.9), ("D", 0.9)]
        ]
        figure = agreement.measure(connected(rows))["by_annotator"][0]
        hits += figure["low"] <= 0.66 <= figure["high"]
    assert 89 <= hits <= 99  # 95 expected, standard deviation 2.2


def test_people_and_machines_are_measured_apart_and_against_each_other():
    connection = connected(
        [("X", "A", "human", "yes"), ("X", "B", "human", "yes"), ("X", "m", "llm", "yes"), ("X", "n", "llm", "no"),
         ("Y", "A", "human", "no"), ("Y", "B", "human", "yes"), ("Y", "m", "llm", "no"), ("Z", "m", "llm", "yes")],
        "item_id, annotator_id, annotator_kind, label",
    )  # fmt: skip
    connection.execute("alter table vote rename to every_vote")
    people, machines = (f"from every_vote where annotator_kind {sign} 'human'" for sign in ("=", "<>"))
    found = agreement.measure_kinds(connection, people, machines)
    assert (found["items"], found["annotations"], found["annotators"]) == (2, 4, 2)
    assert found["agreement"]["percent"]["value"] == 0.5  # X yes, Y not
    assert found["machines"]["agreement"]["percent"]["value"] == 0  # they differ on X, the one item both labelled
    against = found["machines_against_people"]
    # X: half of the pairs of a person and a machine agree; Y: half
    assert against["percent"]["value"] == 0.5
    # people say yes 1 and 1/2 of the time, machines 1/2 and 0: 3/4 * 1/4 + 1/4 * 3/4 = 3/8 by chance
    assert against["kappa"]["value"] == approx((1 / 2 - 3 / 8) / (1 - 3 / 8))
    # m agrees with both people on X and with one of two on Y; n with nobody
    assert [(one["annotator_id"], one["annotations"], one["value"]) for one in against["by_annotator"]] == [
        ("m", 2, 0.75), ("n", 1, 0.0)]  # fmt: skip


def test_two_annotators_have_a_kappa_of_their_own_and_three_have_none():
    rows = votes("X A yes", "X B yes", "Y A no", "Y B yes", "Z A no", "Z B no")
    # 2 of 3 agree; A says yes once, B twice: by chance 1/3 * 2/3 + 2/3 * 1/3 = 4/9
    assert agreement.measure(connected(rows))["agreement"]["cohen_kappa"]["value"] == approx((2 / 3 - 4 / 9) / (5 / 9))
    assert "cohen_kappa" not in agreement.measure(connected([*rows, ("X", "C", "yes")]))["agreement"]


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
