"""The review queue: what a person's label helps most, within the budget, no two alike while others are left."""

import pytest
from prefect.logging import disable_run_logger

from tasks.review import diverse, draw_queue
from tasks.sql import relation
from tasks.store import Store
from tests.test_consensus import DAY, consensus, known, read, votes


@pytest.fixture(autouse=True)
def _quiet():
    with disable_run_logger():
        yield


@pytest.mark.parametrize(
    ("near", "budget", "queue"),
    [
        ([], 2, "ab"),
        ([], 0, ""),
        ([], 9, "abcd"),
        ([("b", "a")], 2, "ac"),  # b is too like a, and c is left
        ([("a", "b")], 3, "acd"),  # whichever of the two came first
        ([("b", "a"), ("c", "a")], 2, "ad"),
        ([("b", "a"), ("c", "b")], 2, "ac"),  # b was never taken, so it bars nobody
        ([("b", "a"), ("c", "a"), ("d", "a")], 3, "abc"),  # no others are left: the best of those passed over
        ([("z", "a")], 2, "ab"),  # z is not unsettled
    ],
)
def test_no_two_near_duplicates_are_queued_while_others_are_left(near, budget, queue):
    assert "".join(diverse(list("abcd"), near, budget)) == queue


def test_disputes_come_first_then_items_short_of_a_label_then_the_least_sure(tmp_path):
    connection = Store(tmp_path).connect()
    rows = [
        ("1", "unresolved", "no_labels", 0.1), ("2", "unresolved", "no_labels", 0.6), ("3", "unresolved", "no_labels", None),
        ("4", "unresolved", "too_few_labels", 0.1), ("5", "unresolved", "tie", 0.1),
        ("6", "unresolved", "low_posterior", 0.3), ("7", "human", None, 0.6),
    ]  # fmt: skip
    connection.execute(
        "create table consensus (item_id text, status text, reason text, suggestion_entropy_nats double)"
    )
    connection.executemany("insert into consensus values (?, ?, ?, ?)", rows)
    # two disputes by entropy; one short of a label; then by entropy, those no model has seen first
    assert [item for (item,) in relation(connection, "review_candidate").fetchall()] == ["6", "5", "4", "3", "2", "1"]


def test_the_queue_holds_what_the_budget_allows_and_the_rest_stays_unresolved(written, tmp_path):
    texts = {"a": "cold soup", "b": "good cake", "c": "loud music", "d": "fair prices"}
    labels = votes("a good good", "b good bad", "c good")
    run = read(written(tmp_path / "c", {DAY: texts}, {DAY: labels}, review="{budget: 2}"), tmp_path)
    consensus(run)
    assert draw_queue.fn(run) == 2
    statuses = drawn(run)
    assert statuses == {"a": "human", "b": "review", "c": "review", "d": "unresolved"}
    consensus(run)
    draw_queue.fn(run)
    assert drawn(run) == statuses  # the same facts, the same queue


def drawn(run):
    connection = known(run)
    place = run.drafts / "consensus.parquet"
    return dict(
        connection.sql(f"select source_id, status from '{place}' join document using (item_id) order by 1").fetchall()
    )


def test_near_duplicates_in_the_store_are_kept_apart(written, tmp_path):
    texts = {"a": "the soup was cold and the waiter was rude to us", "b": "the soup was cold and the waiter was rude to us!",
             "c": "loud music"}  # fmt: skip
    run = read(written(tmp_path / "c", {DAY: texts}, {}, review="{budget: 2}"), tmp_path)
    consensus(run)
    draw_queue.fn(run)
    statuses = drawn(run)
    assert statuses.pop("c") == "review"
    assert sorted(statuses.values()) == ["review", "unresolved"]
