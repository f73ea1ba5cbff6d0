"""The review queue: audits first, then what a label is expected to tell most of, no two alike while others are left."""

from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from prefect.logging import disable_run_logger

import tasks.review as review
from schemas.curation.model import Review
from schemas.review import QueueEntry
from tasks.review import diverse, draw_queue
from tasks.review.candidates import ranking
from tasks.store import Store
from tests.test_consensus import DAY, TEXTS, consensus, known, read, votes


@pytest.fixture(autouse=True)
def _quiet():
    with disable_run_logger():
        yield


@pytest.mark.parametrize(
    ("near", "places", "queue"),
    [
        ([], 2, "ab"),
        ([], 0, ""),
        ([], 9, "abcd"),
        ([("b", "a")], 2, "ac"),  # b is too like a, and c is left
        ([("a", "b")], 3, "acd"),  # whichever of the two came first
        ([("b", "a"), ("c", "a")], 2, "ad"),
        ([("b", "a"), ("c", "b")], 2, "ac"),  # b was never taken, so it bars nobody
        ([("b", "a"), ("c", "a"), ("d", "a")], 3, "abc"),  # no others are left: the best of those passed over
        ([("z", "a")], 2, "ab"),  # z is not there
        ([("x", "a")], 2, "bc"),  # x stands beside them, as an audit does
    ],
)
def test_no_two_near_duplicates_are_queued_while_others_are_left(near, places, queue):
    assert "".join(diverse(list("abcd"), near, places, "x")) == queue


@pytest.mark.parametrize(
    ("settings", "items"),
    [
        ({"budget": 50}, 50),
        ({"budget": 200, "minutes": 30}, 60),  # at half a minute each
        ({"budget": 200, "minutes": 30, "seconds_per_item": 45}, 40),
        ({"budget": 200, "usd": 9.6, "usd_per_item": 0.08}, 120),
        ({"budget": 200, "usd": 9.6, "usd_per_item": 0.08, "minutes": 10}, 20),  # the least of the three
        ({"budget": 200, "minutes": 0.1}, 0),
    ],
)
def test_a_budget_is_of_items_minutes_or_money(settings, items):
    assert Review(**settings).items == items


FILLER = [(f"z{n:03}", "human", None, "good", None) for n in range(20)]  # so that the start is no longer cold


def open_items(*rows, labels="good bad", audits="", asked="", turned=False):
    """Return a connection with rows (item, status, reason, votes, the model's probability of `good`)."""
    connection = Store(Path("/nowhere")).connect()
    for table, columns in {
        "consensus": "item_id text, status text, reason text, people int, is_tie bool, label text, suggestion text",
        "vote": "item_id text, annotator_id text, label text",
        "model_vote": "item_id text, annotator_id text, annotator_kind text, label text, distribution struct(label text, probability double)[]",
        "open_audit": "item_id text, turn int",
        "known_item": "item_id text, text text",
        "handout": "item_id text, policy text, available_on date",
    }.items():
        connection.execute(f"create or replace temp table {table} ({columns})")
    for item, status, reason, said, share in reversed(rows) if turned else rows:
        said = said.split()
        is_tie = len({said.count(label) for label in set(said)}) == 1 < len(set(said))
        suggestion = None if share is None else "good" if share >= 0.5 else "bad"
        label = max(said, key=said.count) if status == "human" else None
        connection.execute("insert into consensus values (?, ?, ?, ?, ?, ?, ?)", [item, status, reason, len(said), is_tie, label, suggestion])  # fmt: skip
        for number, one in enumerate(said):
            connection.execute("insert into vote values (?, ?, ?)", [item, f"w{number}", one])
        if share is not None:
            spread = [{"label": "good", "probability": share}, {"label": "bad", "probability": 1 - share}]
            connection.execute("insert into model_vote values (?, 'm', 'llm', ?, ?)", [item, suggestion, spread])
        connection.execute("insert into known_item values (?, ?)", [item, f"text of {item}"])
    for item in asked:
        connection.execute("insert into handout values (?, 'label_error', date '2026-01-01')", [item])
    for item in audits:
        connection.execute("insert into open_audit values (?, 1)", [item])
    return connection


def ranked(*rows, min_labels=2, places=10, **more):
    """Return (item, policy, gain in nats) in the order of the queue."""
    connection = open_items(*rows, **more)
    curation = SimpleNamespace(
        labels=SimpleNamespace(values={"good": "", "bad": ""}),
        consensus=SimpleNamespace(min_labels=min_labels),
        models=[],
    )
    found = ranking(connection, curation, places)
    names = dict(connection.sql("select row, item_id from review_candidate").fetchall())
    return [(names[row], policy, gain) for row, policy, gain in zip(*(part.tolist() for part in found), strict=True)]


def test_what_each_kind_of_item_is_asked_for():
    found = ranked(
        *FILLER,
        ("a", "unresolved", "tie", "good bad", 0.5),
        ("b", "unresolved", "low_posterior", "good good bad", 0.5),
        ("c", "unresolved", "too_few_labels", "good", 0.5),
        ("d", "unresolved", "no_labels", "", 0.5),
        ("e", "unresolved", "no_labels", "", None),  # no model has an opinion of it
        ("f", "accepted", None, "", 0.99),
        ("g", "unresolved", "no_labels", "", 0.5),
        audits="g",  # in the queue already
    )
    assert {item: policy for item, policy, _ in found} == {
        "a": "dispute", "b": "dispute", "c": "second_label", "d": "uncertain", "e": "typical",
    }  # fmt: skip
    gains = [gain for *_, gain in found]
    assert gains == sorted(gains, reverse=True)


def test_what_is_begun_is_finished_first():
    found = ranked(
        *FILLER,
        ("a", "unresolved", "no_labels", "", 0.5),
        ("b", "unresolved", "too_few_labels", "good", 0.5),
        ("c", "unresolved", "tie", "good bad", 0.5),
    )
    # c is wholly open, b less so, but one label closes either; a is as open as c, and takes two
    assert [(item, policy) for item, policy, _ in found] == [
        ("c", "dispute"),
        ("b", "second_label"),
        ("a", "uncertain"),
    ]


def test_where_one_label_is_enough_a_new_item_comes_before_an_old_one_that_the_model_agrees_with():
    rows = [
        ("new", "unresolved", "no_labels", "", 0.75),
        ("agreed", "unresolved", "low_posterior", "good", 0.75),
        ("contradicted", "unresolved", "low_posterior", "bad", 0.75),
    ]
    # ActiveLab's scores, all weights alike: new (.75 + .5) / 2 = .625, agreed (.75 + .7 + .5) / 3 = .65,
    # contradicted (.75 + .3 + .5) / 3 = .517 of `good`
    found = ranked(*FILLER, *rows, min_labels=1)
    assert [item for item, *_ in found] == ["contradicted", "new", "agreed"]


def test_the_least_sure_of_new_items_come_first():
    rows = [
        (item, "unresolved", "no_labels", "", share) for item, share in zip("abcd", (0.95, 0.6, 0.1, 0.5), strict=True)
    ]
    assert [item for item, *_ in ranked(*FILLER, *rows)] == ["d", "b", "c", "a"]


@pytest.mark.parametrize("turned", [False, True])
def test_of_items_as_open_as_each_other_the_first_by_id_comes_first_whatever_the_order_of_rows(turned):
    rows = [(item, "unresolved", "no_labels", "", 0.7) for item in "cab"]
    assert [item for item, *_ in ranked(*FILLER, *rows, turned=turned)] == ["a", "b", "c"]


@pytest.mark.parametrize(("labelled", "policy"), [(19, "typical"), (20, "uncertain")])
def test_with_fewer_than_ten_labels_for_each_label_no_model_is_asked_what_is_worth_a_look(labelled, policy):
    rows = [("a", "unresolved", "no_labels", "", 0.99), ("b", "unresolved", "no_labels", "", 0.5)]
    found = ranked(*FILLER[:labelled], *rows)
    assert [one for _, one, _ in found] == [policy] * 2
    assert (found[0][2] == found[1][2]) == (policy == "typical")


def test_typical_items_come_first_where_there_is_not_room_for_all(monkeypatch):
    rows = [(item, "unresolved", "no_labels", "", None) for item in "abcd"]
    monkeypatch.setattr("tasks.review.candidates.typical_first", lambda vectors, is_labelled, places: [2, 0, 3, 1])
    assert [item for item, *_ in ranked(*rows, places=3)] == list("cadb")
    assert [item for item, *_ in ranked(*rows, places=4)] == list("abcd")  # nothing to choose


def test_an_item_that_nine_people_leave_open_is_ambiguous_and_no_longer_asked_about():
    eight, nine = "good " * 4 + "bad " * 4, "good " * 5 + "bad " * 4
    rows = [("a", "unresolved", "tie", eight, None), ("b", "unresolved", "low_posterior", nine, None)]
    assert [item for item, *_ in ranked(*FILLER, *rows)] == ["a"]


# a hundred that people and model agree on, and three that it contradicts
SETTLED = [(f"s{n:03}", "human", None, ("good good", "bad bad")[n % 2], (0.95, 0.05)[n % 2]) for n in range(100)] + [
    (f"wrong{n}", "human", None, "good good", share) for n, share in enumerate((0.04, 0.02, 0.01))
]


def test_labels_that_the_models_contradict_are_looked_at_again_a_few_at_a_time():
    found = ranked(*SETTLED, places=20)
    assert {policy for _, policy, _ in found} == {"label_error"}
    assert len(found) == 2  # a tenth of the places
    assert len(ranked(*SETTLED, places=30)) == 3
    assert ranked(*SETTLED[:50], *SETTLED[100:], places=30) == []  # too few to tell what a contradiction is


def test_nobody_is_asked_twice_whether_a_label_is_wrong():
    assert [item for item, *_ in ranked(*SETTLED, places=30, asked=["wrong0", "wrong1"])] == ["wrong2"]


def drawn(run):
    """Return {document: (status, policy)}."""
    names = dict(known(run).sql("select item_id, source_id from document").fetchall())
    policy = dict(pl.read_parquet(run.drafts / "queue.parquet").select("item_id", "policy").rows())
    rows = pl.read_parquet(run.drafts / "consensus.parquet").select("item_id", "status").rows()
    return {names[item]: (status, policy.get(item)) for item, status in sorted(rows, key=lambda row: names[row[0]])}


def test_the_queue_holds_what_the_budget_allows_and_the_rest_stays_unresolved(written, tmp_path):
    labels = votes("a good good", "b good bad", "c good")
    run = read(written(tmp_path / "c", {DAY: TEXTS}, {DAY: labels}, review="{budget: 2}"), tmp_path)
    consensus(run)
    assert draw_queue.fn(run, {}) == 2
    statuses = drawn(run)
    assert statuses == {
        "a": ("human", None), "b": ("review", "dispute"), "c": ("review", "second_label"), "d": ("unresolved", None),
    }  # fmt: skip
    consensus(run)
    draw_queue.fn(run, {})
    assert drawn(run) == statuses  # the same facts, the same queue


def auditing(monkeypatch, *draws):
    """Let the store hold draws of an epoch: (document, place, whether it is answered)."""

    def known_with_draws(run, versions):
        connection = known(run, versions)
        values = ", ".join(f"('{item}', {place}, {answered})" for item, place, answered in draws)
        connection.execute(f"""
            create or replace view draw_now as
            select item_id, 'e' as epoch_id, 'audit' as policy, place, 0.25 as inclusion_probability, 's' as seed,
                date '{DAY}' as available_on, is_answered
            from (values {values}) as draw (source_id, place, is_answered)
            join document using (source_id)
        """)
        return connection

    monkeypatch.setattr(review, "known", known_with_draws)


def test_audits_come_first_in_the_order_they_were_drawn_whatever_a_label_of_them_would_tell(
    monkeypatch, written, tmp_path
):
    run = read(written(tmp_path / "c", {DAY: TEXTS}, {DAY: votes("b good bad")}, review="{budget: 3}"), tmp_path)
    consensus(run)
    auditing(monkeypatch, ("d", 1, False), ("a", 3, False), ("c", 2, True))
    draw_queue.fn(run, {})
    names = dict(known(run).sql("select item_id, source_id from document").fetchall())
    rows = [QueueEntry(**row) for row in pl.read_parquet(run.drafts / "queue.parquet").to_dicts()]
    assert [(names[row.item_id], row.place, row.policy) for row in rows] == [
        ("d", 1, "audit"), ("a", 2, "audit"), ("b", 3, "dispute"),
    ]  # fmt: skip
    assert (rows[0].gain_nats, rows[0].epoch_id, rows[0].inclusion_probability, rows[0].seed) == (None, "e", 0.25, "s")
    assert rows[2].gain_nats > 0
    assert (rows[2].epoch_id, rows[2].inclusion_probability, rows[2].seed) == (None, None, None)


ALIKE = {"a": "the soup was cold and the waiter was rude to us", "b": "the soup was cold and the waiter was rude to us!",
         "c": "loud music"}  # fmt: skip


def test_audits_stay_though_they_are_alike_and_take_the_place_of_what_is_like_them(monkeypatch, written, tmp_path):
    run = read(written(tmp_path / "c", {DAY: ALIKE | {"d": "the waiter was slow"}}, {}, review="{budget: 3}"), tmp_path)
    consensus(run)
    auditing(monkeypatch, ("a", 1, False), ("b", 2, False))
    draw_queue.fn(run, {})
    assert [policy for _, policy in drawn(run).values()].count("audit") == 2
    auditing(monkeypatch, ("a", 1, False))
    draw_queue.fn(run, {})
    assert drawn(run)["b"] == ("unresolved", None)  # c and d are left
    assert drawn(run)["d"] == ("review", "typical")


def test_there_are_never_more_audits_than_the_budget_allows(monkeypatch, written, tmp_path):
    run = read(written(tmp_path / "c", {DAY: TEXTS}, {}, review="{budget: 2}"), tmp_path)
    consensus(run)
    auditing(monkeypatch, *((item, place, False) for place, item in enumerate("dcb", start=1)))
    assert draw_queue.fn(run, {}) == 2
    assert [item for item, (status, _) in drawn(run).items() if status == "review"] == ["c", "d"]


def test_near_duplicates_in_the_store_are_kept_apart(written, tmp_path):
    run = read(written(tmp_path / "c", {DAY: ALIKE}, {}, review="{budget: 2}"), tmp_path)
    consensus(run)
    draw_queue.fn(run, {})
    statuses = drawn(run)
    assert statuses.pop("c") == ("review", "typical")
    assert sorted(status for status, _ in statuses.values()) == ["review", "unresolved"]
