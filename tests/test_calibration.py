"""Batch calibration: a bias for a label cancels, in the view alone, and where it was not asked for nothing changes."""

import math

import duckdb
import pytest

from schemas.run import started
from tasks.known import known
from tasks.sql import query

SKEWED = {"i1": (0.9, 0.1), "i2": (0.6, 0.4), "i3": (0.8, 0.2), "i4": (0.7, 0.3)}  # of good and bad


def votes(rows, calibrated=(), kinds=None, cascades=()):
    """Return {(item, annotator): (label, {label: probability}, entropy)} of the view over annotations' rows."""
    connection = duckdb.connect()
    connection.execute("set variable calibrated = $names::varchar[]", {"names": list(calibrated)})
    connection.execute("set variable versions = ['a v1', 'b v1', 'c v1']")
    listed = ", ".join(f"{{annotator: '{late}', first: '{first}', least: {least}}}" for late, first, least in cascades)
    connection.execute(f"set variable cascades = [{listed}]")
    connection.execute(
        "create table known_item as select unnest(['i1', 'i2', 'i3', 'i4', 'i5']) as item_id, 's' as slice"
    )
    connection.execute(
        "create table annotation (annotation_id varchar, item_id varchar, annotator_id varchar, annotator_kind varchar,"
        " annotator_version varchar, label varchar, distribution struct(label varchar, probability double)[],"
        " entropy_nats double, reply_id varchar)"
    )
    for item, annotator, version, label, shares in rows:
        listed = shares and [{"label": one, "probability": share} for one, share in shares.items()]
        entropy = shares and -sum(share * math.log(share) for share in shares.values() if share)
        kind = (kinds or {}).get(annotator, "llm")
        row = [f"{item}/{annotator}/{version}", item, annotator, kind, version, label, listed, entropy, None]
        connection.execute(f"insert into annotation values ({', '.join('?' * 9)})", row)
    connection.execute(f"create view model_vote as {query('model_vote')}")
    found = connection.sql("select item_id, annotator_id, label, distribution, entropy_nats from model_vote").fetchall()
    return {
        (item, annotator): (label, shares and {one["label"]: one["probability"] for one in shares}, entropy)
        for item, annotator, label, shares, entropy in found
    }


def skewed(annotator="a", version="v1"):
    return [(item, annotator, version, "good", dict(zip(("good", "bad"), shares, strict=True)))
            for item, shares in SKEWED.items()]  # fmt: skip


def test_each_probability_is_divided_by_its_mean_over_the_items():
    # the means are 3.0/4 = .75 and 1.0/4 = .25
    # i1  .9/.75 = 1.2     .1/.25 = .4   ->  1.2 / 1.6    = .75
    # i2  .6/.75 =  .8     .4/.25 = 1.6  ->   .8 / 2.4    = 1/3, and bad it is
    # i3  .8/.75 = 1.0667  .2/.25 = .8   ->  1.0667/1.8667 = 4/7
    # i4  .7/.75 =  .9333  .3/.25 = 1.2  ->   .9333/2.1333 = 7/16, and bad it is
    found = votes(skewed(), calibrated=["a"])
    assert {item: (label, shares["good"]) for (item, _), (label, shares, _) in found.items()} == {
        "i1": ("good", 0.75),
        "i2": ("bad", round(1 / 3, 12)),
        "i3": ("good", round(4 / 7, 12)),
        "i4": ("bad", 0.4375),
    }
    for _, shares, entropy in found.values():
        assert sum(shares.values()) == pytest.approx(1, abs=1e-11)
        assert entropy == round(entropy, 12) == pytest.approx(-sum(p * math.log(p) for p in shares.values()), abs=1e-11)


def test_without_calibration_not_a_bit_changes():
    rows = [("i1", "a", "v1", "bad", {"good": 0.1 + 0.2, "bad": 1 - (0.1 + 0.2)}), *skewed("b")]
    found = votes(rows, calibrated=["b"])
    shares = {"good": 0.30000000000000004, "bad": 0.7}
    assert found["i1", "a"] == ("bad", shares, -sum(p * math.log(p) for p in shares.values()))
    assert found["i1", "b"][1] == {"good": 0.75, "bad": 0.25}


def test_only_the_present_version_and_known_items_are_in_the_mean():
    others = [
        ("i1", "a", "v0", "bad", {"good": 0.0, "bad": 1.0}),
        ("unknown", "a", "v1", "bad", {"good": 0.0, "bad": 1.0}),
    ]
    assert votes([*skewed(), *others], calibrated=["a"]) == votes(skewed(), calibrated=["a"])


def test_what_has_no_distribution_stays_as_it_is():
    rows = [*skewed(), ("i5", "a", "v1", None, None)]
    assert votes(rows, calibrated=["a"])["i5", "a"] == (None, None, None)


def test_a_label_that_no_item_was_given_has_no_probability():
    rows = [("i1", "a", "v1", "good", {"good": 0.5, "bad": 0.5, "odd": 0.0}),
            ("i2", "a", "v1", "good", {"good": 0.5, "bad": 0.5, "odd": 0.0})]  # fmt: skip
    assert votes(rows, calibrated=["a"])["i1", "a"] == ("good", {"good": 0.5, "bad": 0.5, "odd": 0.0}, 0.69314718056)


def test_a_labelling_function_votes_and_a_person_does_not():
    rows = [("i1", "a", "v1", "good", None), ("i1", "b", "v1", "good", None)]
    assert set(votes(rows, kinds={"a": "function", "b": "human"})) == {("i1", "a")}


def test_the_order_of_the_facts_does_not_matter():
    rows = [(f"i{n % 5 + 1}", "a", "v1", "good", {"good": 1 / (n + 3), "bad": 1 - 1 / (n + 3)}) for n in range(5)]
    assert votes(rows, calibrated=["a"]) == votes(rows[::-1], calibrated=["a"])


def test_a_curation_says_which_annotators_are_calibrated(written, tmp_path):
    models = ("  - {name: plain, kind: llm, model: embedded}\n"
              "  - {name: fair, kind: llm, model: embedded, calibration: batch}\n")  # fmt: skip
    folder = written(tmp_path / "c", {}, {}, models)
    connection = known(started(str(folder), home=str(tmp_path / "home")))
    assert connection.sql("select getvariable('calibrated')").fetchone() == (["fair"],)


def test_of_a_cascade_the_later_models_count_only_where_those_before_them_are_unsure_as_of_the_date():
    # entropies of a: i1 .325, i2 .673, i3 .500, i4 .611 nats; b and c have labelled all, under earlier settings
    rows = [*skewed("a"), *skewed("b"), *skewed("c")]
    said = votes(rows, cascades=[("b", "a", 0.6)])
    assert sorted(item for item, who in said if who == "b") == ["i2", "i4"]
    assert {who: sum(name == who for _, name in said) for who in "abc"} == {"a": 4, "b": 2, "c": 4}
    # c comes after b, which comes after a; an item that a has not labelled is nobody's
    chain = [("b", "a", 0.6), ("c", "b", 0.65), ("c", "a", 0.6)]
    assert sorted(item for item, who in votes(rows, cascades=chain) if who == "c") == ["i2"]
    assert [who for item, who in votes(rows[1:], cascades=chain) if item == "i1"] == []
