"""A backfill: the line over a range of dates, each made once, whatever becomes of the others."""

import asyncio
from datetime import date
from pathlib import Path

import pytest

from flows.backfill import backfill, checked, days, spent
from schemas.errors import RequestError

START, END = date(2026, 11, 15), date(2026, 11, 17)


@pytest.fixture
def backfilled(harness, tmp_path):
    """Return a function that backfills the days of a curation and returns the flow's data."""

    def run(folder, labels="now", end=END):
        state = asyncio.run(backfill(str(folder), START, end, labels, None, str(tmp_path / "home"), return_state=True))
        return state.name, state.result(raise_on_failure=False)

    return run


def told(result):
    return [(one["status"], Path(one["release"]).name if one["release"] else None) for one in result["dates"]]


def test_a_range_holds_both_its_ends():
    assert days(START, END) == [date(2026, 11, 15), date(2026, 11, 16), date(2026, 11, 17)]


def test_a_range_without_a_date_is_a_wrong_request(twelve, tmp_path):
    with pytest.raises(RequestError, match="the range is empty"):
        checked(str(twelve(tmp_path / "a")), END, START, None)


def test_a_limit_on_what_has_no_known_price_is_a_wrong_request(twelve, tmp_path):
    folder = twelve(tmp_path / "a", "  - {name: m, kind: llm, model: llama3.2}\n")
    checked(str(folder), START, END, None)
    with pytest.raises(RequestError, match="--max-usd cannot be kept: no price is known for m"):
        checked(str(folder), START, END, 1.0)


def test_dates_have_spent_what_is_known_and_may_have_spent_what_was_lost():
    summaries = [
        {"llm": {"usd": 1.0, "usd_at_risk": 0.5}},
        {"llm": {"usd": None, "usd_at_risk": None}},
        {"status": "source_refused"},
        {"llm": {"usd": 2.0, "usd_at_risk": 0.0}},
    ]
    assert (spent(summaries), spent(summaries, also_lost=True)) == (3.0, 3.5)


@pytest.mark.slow
def test_every_date_is_made_once_and_the_second_time_there_is_nothing_to_do(backfilled, twelve, tmp_path):
    folder = twelve(tmp_path / "a")
    made = [("published", "2026-11-15.1"), ("published", "2026-11-16.1"), ("published", "2026-11-17.1")]
    name, first = backfilled(folder, "then")
    assert (name, told(first)) == ("Published", made)
    name, second = backfilled(folder, "then")
    assert (name, told(second)) == ("Unchanged", [("unchanged", release) for _, release in made])
    assert (folder / "releases" / "tiny" / "LATEST").read_text() == "2026-11-17.1\n"


@pytest.mark.slow
def test_a_date_that_is_refused_does_not_keep_the_others_from_being_made(backfilled, twelve, tmp_path):
    # four items a day: on the 15th there are 4 examples, on the 16th 8
    folder = twelve(tmp_path / "a", gates="{min_examples: 5}")
    name, result = backfilled(folder, end=date(2026, 11, 16))
    assert told(result) == [("refused", None), ("published", "2026-11-16.1")]
    assert (name, result["status"]) == ("Refused", "refused")


@pytest.mark.slow
def test_labels_now_reach_back_and_labels_then_do_not(backfilled, written, tmp_path):
    # the 15th's item is settled by labels of the 17th
    folder = written(tmp_path / "a", {"2026-11-15": {"a": "cold soup"}}, {"2026-11-17": ["a ann bad", "a bob bad"]})
    _, then = backfilled(folder, "then")
    assert told(then) == [("refused", None), ("refused", None), ("published", "2026-11-17.1")]
    _, now = backfilled(folder, "now")
    # with the labels, the 15th and the 16th are made of the same facts as the 17th
    assert told(now) == [("unchanged", "2026-11-17.1")] * 3
