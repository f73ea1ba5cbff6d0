"""Items: one for each distinct cleaned text and context, and the earlier items it is nearly the same as."""

import re
import unicodedata
from datetime import date
from itertools import combinations

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prefect.logging import disable_run_logger

from schemas.run import started
from tasks.document import read_documents
from tasks.item import find_neighbours, make_items
from tasks.split import assign_splits
from tasks.sql import relation
from tasks.store import Ids, Store
from tasks.text import canonical, clean


@pytest.fixture
def night(tmp_path, written):
    """Return a function that brings documents {date: {id: row}} in and divides them, and returns the run."""

    def run(documents, as_of, **parts):
        written(tmp_path, documents, {}, **parts)
        one = started(str(tmp_path), date.fromisoformat(as_of), home=str(tmp_path / "home"))
        with disable_run_logger():
            read_documents.fn(one, one.curation.sources[0])
            for stage in (make_items, find_neighbours, assign_splits):
                stage.fn(one)
        return one

    return run


def facts(run, query):
    return Store(run.store).connect().sql(query).fetchall()


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        (" a  b\t c ", "a b c"),
        ("a\r\nb\rc\u2028d\u2029e\x85f", "a\nb\nc\nd\ne\nf"),
        ("a \n\n\n\n b", "a\n\nb"),
        ("e\u0301", "\xe9"),
        ("e\x01\u0301", "\xe9"),  # the letter and its accent meet once the control character is gone
        ("a\u00a0b\u3000c", "a b c"),
        ("\x00\x1f\x7f", ""),
        ("'); drop table item; --</script>{{7*7}}", "'); drop table item; --</script>{{7*7}}"),
    ],
)
def test_a_text_is_cleaned(text, cleaned):
    assert clean(text) == cleaned


@given(
    st.text(alphabet=st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(" \n\r\t\x01\u0301e\u2028")))
)
def test_what_is_clean_stays_as_it_is(text):
    assert clean(clean(text)) == clean(text) == unicodedata.normalize("NFC", clean(text))


def test_a_context_reads_the_same_whatever_the_order_of_its_fields():
    assert canonical({"b": 1, "a": "ü"}) == canonical({"a": "ü", "b": 1}) == '{"a":"ü","b":1}'


def test_equal_texts_are_one_item_of_the_first_document(night):
    day = {"2": {"text": "a  text", "group": "late"}, "1": {"text": "a text", "group": "g"}, "3": "A text"}
    run = night({"2026-11-16": day, "2026-11-15": {"4": {"text": "a text ", "group": "first"}}}, "2026-11-16")
    assert facts(run, "select text, group_id, available_on from item order by text") == [
        ("A text", None, date(2026, 11, 16)),
        ("a text", "first", date(2026, 11, 15)),
    ]


def test_an_item_is_known_by_its_text_and_context_under_the_curations_key(night, monkeypatch, tmp_path):
    monkeypatch.delenv("ASSAY_KEY", raising=False)
    run = night({"2026-11-15": {"1": "a text"}}, "2026-11-15")
    (item_id,) = facts(run, "select item_id from item")[0]
    assert item_id == Ids("tiny").id("item", "a text", "{}")
    assert re.fullmatch("item_[0-9A-HJKMNP-TV-Z]{26}", item_id)


# -- near-duplicates


def shingles(text: str) -> set[str]:
    """Return the character 5-grams of a text as the query folds it, in plain Python."""
    text = text.lower()
    if any(unicodedata.category(letter)[0] in "LN" for letter in text):
        kept = "".join(letter if unicodedata.category(letter)[0] in "LNM" else "\0" for letter in text)
        text = re.sub("\0+", " ", kept)
    return {text[start : start + 5] for start in range(max(len(text) - 4, 1))}


def jaccard(one: str, other: str) -> float:
    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b)


def near(texts: list[str], threshold: float, new: set[int] | None = None, days: list[int] | None = None):
    """Return {(later, earlier): similarity} by position in the list; all are new where it is not said which."""
    days = days or [1] * len(texts)
    item = pa.table({
        "item_id": [f"{number:03}" for number in range(len(texts))], "text": pa.array(texts, pa.string()),
        "available_on": pa.array([date(2026, 11, day) for day in days], pa.date32()),
    })  # fmt: skip
    connection = duckdb.connect(config={"threads": 1})
    connection.register("item", item)
    later = pa.array(sorted(new if new is not None else range(len(texts))), pa.int64())
    connection.register("new_item", item.select(["item_id"]).take(later))
    pairs = relation(connection, "near_duplicate", threshold=threshold).fetchall()
    return {(int(later), int(earlier)): similarity for later, earlier, similarity in pairs}


def test_the_later_of_two_texts_is_near_the_earlier():
    # "abcdef" has 2 grams, "abcdefg" 3, of which 2 are the first's: 2/3
    assert near(["abcdefg", "abcdef"], 0.6, days=[2, 1]) == {(0, 1): pytest.approx(2 / 3)}
    assert near(["abcdefg", "abcdef"], 0.6, days=[1, 1]) == {(1, 0): pytest.approx(2 / 3)}
    assert near(["abcdefg", "abcdef"], 0.7) == {}


def test_a_new_item_is_later_than_all_others_whatever_its_date():
    assert near(["abcdefg", "abcdef"], 0.6, new={1}, days=[2, 1]) == {(1, 0): pytest.approx(2 / 3)}
    assert near(["abcdefg", "abcdef"], 0.6, new=set()) == {}


def test_case_and_punctuation_do_not_tell_texts_apart_and_short_texts_are_compared_whole():
    assert near(["Good soup!", "good, soup!", "bad soup"], 0.85) == {(1, 0): 1}
    assert near(["ok", "OK", "no"], 0.85) == {(1, 0): 1}


def test_texts_without_a_letter_are_compared_as_they_stand():
    assert near(["👍", "😡", "!!!", "...", "👍"], 0.5) == {(4, 0): 1}
    assert near(["नमस्ते", "नमसत"], 0.5) == {}  # vowel signs are part of the word


words = st.lists(
    st.sampled_from(["soup", "soups", "cold", "warm", "very", "the", "a", "ab", "👍", "café", "CAFÉ", "नमस्ते"]),
    max_size=12,
)
texts = st.one_of(words.map(" ".join), st.text("ab é!👍", max_size=12))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(texts, st.integers(1, 3), st.booleans()), max_size=12),
    st.sampled_from([0.05, 0.3, 0.5, 0.7, 0.85, 1.0]),
)
def test_near_duplicates_are_exactly_the_pairs_that_counting_finds(rows, threshold):
    given_texts, days = [text for text, _, _ in rows], [day for _, day, _ in rows]
    new = {number for number, (_, _, is_new) in enumerate(rows) if is_new}
    order = sorted(range(len(rows)), key=lambda number: (number in new, days[number], number))
    expected = {
        (later, earlier): pytest.approx(jaccard(given_texts[later], given_texts[earlier]))
        for earlier, later in combinations(order, 2)
        if later in new and jaccard(given_texts[later], given_texts[earlier]) >= threshold
    }
    assert near(given_texts, threshold, new, days) == expected


def test_a_long_text_costs_no_more_than_its_length():
    # 20 texts of 20,000 letters: seconds where each gram is looked for from the start of its text
    long = [
        "ä" + "".join(chr(97 + (position * position + number) % 23) for position in range(20_000))
        for number in range(20)
    ]
    assert isinstance(near(long, 0.85), dict)
