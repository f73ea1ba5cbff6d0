"""Scorecards: annotators with planted habits are found, honest ones are left alone, and little data says little."""

import json
from importlib import import_module
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx
from statsmodels.stats.multitest import multipletests

from schemas.errors import RequestError
from tasks.posterior import posterior, votes
from tasks.scorecard import scorecards
from tasks.scorecard.answers import Answers, Model, answers, log, model, others
from tasks.scorecard.significance import holm
from tasks.scorecard.skill import informativeness
from tasks.sql import keep

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def connected(rows, columns="item_id, annotator_id, label"):
    """Return a connection whose `vote` holds the rows."""
    names = columns.split(", ")
    table = pa.table({name: pa.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)})
    connection = duckdb.connect()
    connection.register("given", table)
    connection.execute("create temp table vote as select * from given")
    return connection


def cards(rows, columns="item_id, annotator_id, label", **how):
    """Return the scorecards by annotator."""
    return {card["annotator_id"]: card for card in scorecards(connected(rows, columns), **how)}


class Crowd:
    """A crowd that labels items at random, every one honest, until somebody is given another habit."""

    def __init__(self, seed, items=1_500, each=5, people=40, kinds=4, right=(0.7, 0.9)):
        self.draw, self.kinds = np.random.default_rng(seed), kinds
        self.truth = self.draw.integers(0, kinds, items)
        self.item = np.repeat(np.arange(items), each)
        self.who = np.concatenate([self.draw.permutation(people)[:each] for _ in range(items)])
        self.at = self.draw.permutation(len(self.item)) * 10.0
        self.label = np.zeros(len(self.item), dtype=int)
        self.answer(np.arange(len(self.item)), self.draw.uniform(*right, people)[self.who])

    def of(self, who):
        """Return the answers of one annotator, by time."""
        own = np.flatnonzero(self.who == who)
        return own[np.argsort(self.at[own])]

    def answer(self, rows, right):
        """Answer rightly with a probability, else with any other label."""
        truth, off = self.truth[self.item[rows]], self.draw.integers(1, self.kinds, len(rows))
        self.label[rows] = np.where(self.draw.random(len(rows)) < right, truth, (truth + off) % self.kinds)

    def guess(self, rows):
        """Answer without a look at the item."""
        self.label[rows] = self.draw.integers(0, self.kinds, len(rows))

    def copy(self, copier, source, share):
        """Let one annotator label what another has, and give the same label to a share of it."""
        kept, own = self.who != copier, self.of(source)
        item, label, at = self.item[own], self.label[own], self.at[own] + 1
        self.item, self.label = np.append(self.item[kept], item), np.append(self.label[kept], label)
        self.who, self.at = np.append(self.who[kept], np.full(len(own), copier)), np.append(self.at[kept], at)
        rows = self.of(copier)
        self.answer(rows[self.draw.random(len(rows)) >= share], 0.8)

    def cards(self, **how):
        """Return the scorecards, by number of the annotator."""
        rows = zip(
            [f"i{item:05}" for item in self.item.tolist()],
            [f"a{who:02}" for who in self.who.tolist()],
            [str(label) for label in self.label.tolist()],
            self.at.tolist(),
            strict=True,
        )
        return list(cards(rows, "item_id, annotator_id, label, labelled_at", **how).values())


def flagged(found, name):
    return [place for place, card in enumerate(found) if card[name]]


def flags(found):
    return {name: flagged(found, name) for name in ("is_spammer", "is_drifting", "copier_of")}


NOBODY = {"is_spammer": [], "is_drifting": [], "copier_of": []}


# --- what figures mean


def test_informativeness_is_how_far_the_rows_of_a_confusion_differ():
    perfect, guesser = np.eye(3), np.tile([0.5, 0.3, 0.2], (3, 1))
    # who knows the answer of 60 % and guesses the rest: the rows differ by .6 of what a perfect one's do; .36
    assert informativeness(np.stack([perfect, guesser, 0.6 * perfect + 0.4 * guesser])) == approx([1, 0, 0.36])


def test_informativeness_of_two_labels_is_the_published_one():
    # Raykar and Yu 2012: (sensitivity + specificity - 1)²; one who is always wrong informs as well as one who is right
    assert informativeness(np.array([[[0.7, 0.3], [0.1, 0.9]], [[0, 1], [1, 0]]])) == approx([(0.7 + 0.9 - 1) ** 2, 1])


def test_an_answer_is_judged_by_the_others_alone():
    # votes (0, 0, 1) by annotators right .9, .6 and .8 of the time, three labels, uniform prior. Without the first:
    # .6 * .1 : .2 * .8 : .2 * .1 = .06 : .16 : .02; without the last: .9 * .6 : .05 * .2 : .05 * .2 = .54 : .01 : .01
    right = np.array([0.9, 0.6, 0.8])
    confusion = np.where(np.eye(3, dtype=bool), right[:, None, None], (1 - right[:, None, None]) / 2)
    crowd = Model(log(np.full(3, 1 / 3)), confusion, log(confusion).transpose(0, 2, 1), confusion.mean(axis=0))
    said = Answers(np.zeros(3, int), np.arange(3), np.array([0, 0, 1]), np.full(3, np.nan), np.array([0, 3]))
    truth = others(said, crowd).truth
    assert truth[0] == approx([0.06 / 0.24, 0.16 / 0.24, 0.02 / 0.24])
    assert truth[2] == approx([0.54 / 0.56, 0.01 / 0.56, 0.01 / 0.56])


def test_many_tests_are_adjusted_as_published():
    # p.adjust(c(.01, .04, .03, .005), "holm") in R: .005 * 4, .01 * 3, .03 * 2, and .04 no less than the one before
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_many_tests_are_adjusted_as_others_do(p):
    assert holm(np.array(p)) == approx(multipletests(p, method="holm")[1])


def test_what_was_not_tested_takes_no_part_in_the_adjustment():
    assert holm(np.array([0.01, np.nan, 0.04])).tolist() == [0.02, approx(np.nan, nan_ok=True), 0.04]


def test_skill_is_one_for_an_ordinary_annotator_and_none_for_one_who_guesses():
    crowd = Crowd(3, items=6_000, people=20, right=(0.8, 0.8))
    crowd.guess(crowd.of(0))
    found = crowd.cards()
    assert found[0]["skill"] == approx(0, abs=0.08)
    assert np.mean([card["skill"] for card in found[1:]]) == approx(1, abs=0.1)
    assert all(card["skill_low"] < card["skill"] < card["skill_high"] for card in found)


def test_accuracy_is_that_of_the_labels():
    crowd = Crowd(4, items=3_000, people=20, right=(0.6, 0.95))
    found = crowd.cards()
    right = np.array([(crowd.label == crowd.truth[crowd.item])[crowd.who == who].mean() for who in range(20)])
    inside = [c["accuracy_low"] <= share <= c["accuracy_high"] for c, share in zip(found, right, strict=True)]
    assert sum(inside) >= 18
    assert np.abs(right - [card["accuracy"] for card in found]).max() < 0.03


def test_accuracy_is_uncertain_where_the_others_are():
    # S answers beside six who agree, T beside N, who is right half of the time
    rows = [(f"{n}", who, "ab"[n % 2]) for n in range(40) for who in "ABCDEF"]
    rows += [(f"{n}", "N", "ab"[n // 2 % 2]) for n in range(40)] + [(f"{n}", "S", "ab"[n % 2]) for n in range(20)]
    rows += [(f"x{n}", who, "ab"[n // (1 + (who == "N")) % 2]) for n in range(20) for who in "NT"]
    found = cards(rows)
    reach = {who: found[who]["accuracy_high"] - found[who]["accuracy_low"] for who in "ST"}
    assert reach["S"] < reach["T"] / 2


# --- planted habits


def test_who_guesses_and_who_always_says_the_same_are_found():
    crowd = Crowd(5)
    crowd.guess(crowd.of(0))
    crowd.label[crowd.of(1)] = 2
    found = crowd.cards()
    assert flags(found) == NOBODY | {"is_spammer": [0, 1]}
    assert max(found[0]["informativeness"], found[1]["informativeness"]) < 0.05 < found[2]["informativeness"]


def test_who_says_the_opposite_informs_and_does_not_guess():
    crowd = Crowd(6, kinds=2)
    crowd.label[crowd.of(0)] ^= 1
    card = crowd.cards()[0]
    assert card["is_spammer"] is False
    assert card["skill"] < -0.5
    assert card["accuracy"] < 0.4
    assert card["informativeness"] > 0.1


def test_ten_guesses_accuse_nobody():
    crowd = Crowd(7)
    own = crowd.of(0)
    crowd.guess(own[:10])
    kept = np.setdiff1d(np.arange(len(crowd.who)), own[10:])
    crowd.item, crowd.who, crowd.label, crowd.at = (
        column[kept] for column in (crowd.item, crowd.who, crowd.label, crowd.at)
    )
    card = crowd.cards()[0]
    assert (card["annotations"], card["is_spammer"]) == (10, False)
    assert card["skill_high"] - card["skill_low"] > 0.5


def test_who_changes_criterion_and_who_tires_are_found():
    crowd = Crowd(8, items=2_000)
    changed, tired = crowd.of(0), crowd.of(1)
    later = changed[len(changed) // 2 :]
    crowd.label[later] = np.where(crowd.label[later] == 1, 2, 0)
    crowd.answer(tired, np.linspace(0.98, 0.3, len(tired)))
    found = crowd.cards()
    assert flags(found)["is_drifting"] == [0, 1]
    for card in found[:2]:
        assert card["accuracy_later"] < card["accuracy_earlier"]
        assert card["drift_low"] < card["drift"] < card["drift_high"] < 0


def test_harder_items_are_nobodys_drift():
    crowd = Crowd(9, items=2_000, right=(0.9, 0.95))
    hard = crowd.item >= 1_000
    crowd.at = crowd.item * 100.0 + crowd.draw.permutation(len(crowd.item)) % 100
    crowd.answer(np.flatnonzero(hard), 0.6)
    found = crowd.cards()
    assert np.mean([card["accuracy_later"] - card["accuracy_earlier"] for card in found]) < -0.15
    assert flags(found)["is_drifting"] == []


def test_one_who_gets_worse_makes_nobody_better():
    crowd = Crowd(15, items=600, people=5, kinds=3, right=(0.85, 0.9))
    own = crowd.of(0)
    crowd.answer(own[300:], 0.3)
    assert flags(crowd.cards()) == NOBODY | {"is_drifting": [0]}


@pytest.mark.parametrize("each", [3, 5])
def test_who_copies_and_who_is_copied_are_named(each):
    crowd = Crowd(10, items=2_500, each=each)
    crowd.copy(0, 1, 0.9)
    found = crowd.cards()
    assert [found[0]["copier_of"], found[1]["copier_of"]] == ["a01", "a00"]
    assert flags(found) == NOBODY | {"copier_of": [0, 1]}
    assert found[0]["copied_mistakes"] > 2 * found[0]["copied_expected"]


def test_two_experts_agree_and_do_not_copy():
    crowd = Crowd(11, items=2_500, each=3, right=(0.65, 0.75))
    crowd.copy(0, 1, 0.0)
    for expert in (0, 1):
        crowd.answer(crowd.of(expert), 0.98)
    found = crowd.cards()
    assert min(found[0]["accuracy"], found[1]["accuracy"]) > 0.9
    assert flags(found) == NOBODY


def lured(seed):
    """Return a crowd whose mistakes coincide: some items are hard, and most who err on one err the same way."""
    crowd = Crowd(seed, items=400, each=10, people=10, kinds=3)
    lure = (crowd.truth + crowd.draw.integers(1, 3, 400)) % 3
    hard = crowd.draw.random(400) < 0.3
    crowd.answer(np.flatnonzero(hard[crowd.item]), 0.5)
    wrong = (crowd.label != crowd.truth[crowd.item]) & (crowd.draw.random(len(crowd.item)) < 0.8)
    crowd.label[wrong] = lure[crowd.item[wrong]]
    return crowd


def test_items_that_mislead_everybody_are_nobodys_copies():
    assert [flags(lured(seed).cards()) for seed in range(5)] == [NOBODY] * 5


# --- honest crowds


HONEST = [
    {},
    {"kinds": 2, "each": 3},
    {"kinds": 2, "right": (0.6, 0.7)},
    {"right": (0.93, 0.99)},
    {"items": 100},
    {"people": 8, "each": 8, "kinds": 2, "items": 600},
]


@pytest.mark.parametrize("how", HONEST, ids=str)
def test_an_honest_crowd_has_no_flags(how):
    assert [flags(Crowd(seed, **{"people": 50} | how).cards()) for seed in range(3)] == [NOBODY] * 3


@pytest.mark.slow
def test_of_two_hundred_honest_crowds_hardly_any_has_a_flag():
    found = [flags(Crowd(seed, people=50, items=1_000, kinds=2).cards()) for seed in range(200)]
    # at 1 in 100, more than 6 of 200 would be a chance of 1 in 230
    assert all(sum(bool(crowd[name]) for crowd in found) <= 6 for name in NOBODY)


# --- little to go by


def test_who_labels_alone_cannot_be_judged():
    card = cards([("X", "A", "yes"), ("Y", "B", "yes"), ("Y", "C", "no")])["A"]
    assert card["reason"] == "nobody else labelled these items"
    unknown = ("accuracy", "accuracy_low", "skill", "is_spammer", "spammer_p", "is_drifting", "drift", "copier_of")
    assert [card[name] for name in unknown] == [None] * len(unknown)
    assert (card["annotations"], card["items"]) == (1, 1)
    assert cards([("X", "A", "yes"), ("Y", "B", "no")])["A"]["reason"] == card["reason"]


def test_items_that_are_all_alike_tell_nobody_apart():
    found = cards([(item, who, "yes") for item in "XYZ" for who in "AB"])
    assert {card["reason"] for card in found.values()} == {"the labels of the others do not tell these items apart"}
    assert {card["is_spammer"] for card in found.values()} == {None}


def test_no_votes_are_no_scorecards():
    connection = duckdb.connect()
    connection.execute("create temp table vote (item_id varchar, annotator_id varchar, label varchar)")
    assert scorecards(connection) == []


def test_without_times_there_is_no_drift_and_no_pace():
    rows = [(f"{n}", who, "ab"[n % 2]) for n in range(20) for who in "ABC"]
    card = cards(rows)["A"]
    assert [card[name] for name in ("median_seconds", "drift", "is_drifting", "drift_p")] == [None] * 4
    assert card["is_spammer"] is False


# --- time


def test_seconds_are_those_of_the_labels_where_they_are_told():
    rows = [("X", "A", "yes", 3.0), ("Y", "A", "no", 5.0), ("Z", "A", "no", 70.0), ("X", "B", "yes", None)]
    found = cards(rows, "item_id, annotator_id, label, seconds")
    assert [card["median_seconds"] for card in found.values()] == [5.0, None]


def test_seconds_are_else_the_gaps_within_a_sitting():
    # A: gaps of 10, 12 and, over lunch, 3600; B submits three at once, 60 seconds after one: 20 each
    rows = [(f"{at}", "A", "yes", float(at)) for at in (0, 10, 22, 3622)]
    rows += [("0", "B", "yes", 0.0), *((f"{n}", "B", "yes", 60.0) for n in (10, 22, 3622))]
    found = cards(rows, "item_id, annotator_id, label, labelled_at")
    assert [card["median_seconds"] for card in found.values()] == [11.0, 20.0]


# --- tables


def test_of_an_annotators_labels_on_one_item_the_latest_counts():
    rows = [("X", "A", "no", 2.0), ("X", "A", "yes", 1.0), ("X", "B", "yes", 1.0)]
    connection = connected(rows, "item_id, annotator_id, label, labelled_at")
    keep(connection, "label_code")
    assert answers(connection, ["no", "yes"]).label.tolist() == [0, 1]
    assert [card["annotations"] for card in scorecards(connection)] == [2, 1]


def test_labels_keep_the_order_they_are_given_in():
    rows = [(f"{n}", who, ["low", "high"][n % 3 == 0]) for n in range(30) for who in "ABC"]
    rows += [(f"{n}", "D", "low") for n in range(30)]
    given, sorted_ = (cards(rows, labels=labels)["D"] for labels in (["low", "high"], ["high", "low"]))
    assert np.array(given["confusion"])[::-1, ::-1] == approx(np.array(sorted_["confusion"]))
    assert given["skill"] == approx(sorted_["skill"])


def test_scorecards_are_json():
    found = Crowd(12, items=60).cards()
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_kinds_of_annotators_are_told():
    rows = [
        (f"{n}", who, "ab"[n % 2], kind) for n in range(9) for who, kind in [("A", None), ("B", "human"), ("M", "llm")]
    ]
    found = cards(rows, "item_id, annotator_id, label, annotator_kind")
    assert [card["annotator_kind"] for card in found.values()] == ["human", "human", "llm"]


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_bit(random):
    rows = [(f"{n}", who, "abc"[(n * n + ord(who)) % 5 % 3], float(n)) for n in range(30) for who in "ABCDE"]
    shuffled = random.sample(rows, len(rows))
    columns = "item_id, annotator_id, label, labelled_at"
    assert json.dumps(cards(shuffled, columns)) == json.dumps(cards(rows, columns))


def test_blocks_change_nothing(monkeypatch):
    crowd = Crowd(13, items=200)
    whole = crowd.cards()
    for room in ("answers", "copies"):
        monkeypatch.setattr(import_module(f"tasks.scorecard.{room}"), "CELLS", 50)
    for card, other in zip(crowd.cards(), whole, strict=True):
        for name, value in card.items():
            assert value == (approx(other[name]) if isinstance(value, float) else other[name])


def test_a_harsh_rater_is_no_spammer():
    draw = np.random.default_rng(14)
    truth = draw.integers(1, 6, 400)
    rows = [
        (f"{n}", f"a{who}", str(int(np.clip(np.rint(truth[n] + draw.normal(-1.0 if who == 0 else 0.0, 0.6)), 1, 5))))
        for n in range(400)
        for who in range(6)
    ]
    rows += [(f"{n}", "guesser", str(draw.integers(1, 6))) for n in range(400)]
    found = cards(rows, kind="rating")
    assert [name for name, card in found.items() if card["is_spammer"]] == ["guesser"]
    assert len(found["a0"]["confusion"]) == 5


def test_other_kinds_are_refused():
    with pytest.raises(RequestError, match="spans"):
        scorecards(connected([("X", "A", "yes")]), kind="spans")


@pytest.mark.skipif(not SHARED.exists(), reason="the data are not here")
def test_of_the_recognisers_of_entailment_those_three_who_guess_are_found():
    # Snow et al. 2008. Against the experts, which are not shown here, these three are right .507, .506 and .496 of
    # 540, 800 and 760 times where half of the pairs are entailed.
    connection = duckdb.connect()
    connection.execute(
        f"create temp table vote as select item_id, annotator_id, label from '{SHARED}/snow_rte/annotations.jsonl'"
    )
    found = scorecards(connection)
    assert [card["annotator_id"] for card in found if card["is_spammer"]] == ["w0008", "w0009", "w0010"]
    assert [card for card in found if card["copier_of"]] == []


def test_the_others_opinion_is_the_posterior_of_a_table_without_the_answer():
    rows = [(f"{n}", who, "abc"[(n * n + ord(who)) % 5 % 3]) for n in range(12) for who in "ABCD"]
    connection = connected(rows)
    found = posterior(votes(connection), ["a", "b", "c"], "dawid-skene")
    said, crowd = answers(connection, ["a", "b", "c"]), model(found)
    truth = others(said, crowd).truth
    for place in (0, 17, 47):
        rest = np.flatnonzero((said.item == said.item[place]) & (np.arange(48) != place))
        product = found.prior * np.prod([found.confusion[said.annotator[n], :, said.label[n]] for n in rest], axis=0)
        assert truth[place] == approx(product / product.sum())
