"""Splits are frozen: over nights of growing data and late labels nothing moves, and nothing leaks."""

import re
from collections import defaultdict
from datetime import date
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prefect.logging import disable_run_logger

from bench.nightly import DATA, alike, in_nights, published, reviews, write_nights
from schemas.run import started
from tasks import draft
from tasks.annotation import import_labels
from tasks.consensus import settle
from tasks.document import read_documents
from tasks.example import choose_examples
from tasks.item import find_neighbours, make_items
from tasks.known import known
from tasks.split import assign_splits
from tasks.store import Store
from tests import conftest

KEY = "g"  # of the groups' hashes: g1 falls into train, g2 into validation, g3 and g4 into test
# night: id, group, text; each is labelled on its night or the one after. b and d are near a, each of a
# group of its own; e is of the group of c, and so is f, which is near a.
NIGHTS = {
    "2026-11-15": [("a", "g1", "the soup was cold and so was the waiter all evening"),
                   ("c", "g2", "a lovely evening with friends under the old trees there")],
    "2026-11-16": [("b", "g3", "the soup was cold and so was the waiter all evening!!"),
                   ("e", "g2", "prices have doubled since the spring, and the menu never changes")],
    "2026-11-17": [("d", "g4", "The soup was cold, and so was the waiter, all evening"),
                   ("f", "g2", "THE SOUP was cold and so was the waiter all evening ...")],
}  # fmt: skip


@pytest.fixture
def night(written, tmp_path):
    """Return a function that runs a night up to its examples: {source's id: split, or why it is kept out}."""

    def examples(day, rows, labels):
        documents = {day: {id: {"text": text, "group": group} for id, group, text in rows}}
        splits = "{train: 0.4, validation: 0.3, test: 0.3, key: KEY}"
        folder = written(tmp_path / "a", documents, {day: labels}, splits=splits.replace("KEY", KEY))
        run = started(str(folder), date.fromisoformat(day), home=str(tmp_path / "home"))
        with disable_run_logger():
            read_documents.fn(run, run.curation.sources[0])
            for stage in (make_items, find_neighbours, assign_splits):
                stage.fn(run)
            import_labels.fn(run, run.curation.people[0])
            settle.fn(run, {})
            choose_examples.fn(run)
        connection = known(run)
        draft.see(run, connection, "example")
        query = "select source_id, split from document left join example using (item_id) order by source_id"
        return dict(connection.sql(query).fetchall())

    return examples


def test_over_nights_no_item_moves_and_no_near_duplicate_or_group_stands_in_two_splits(night):
    seen, late = [], []
    for day, rows in NIGHTS.items():
        labels = [f"{id} {who} good" for id, _, _ in rows for who in ("ann", "bob")]
        on_time = len(labels) if day == max(NIGHTS) else 2
        seen.append(night(day, rows, [*labels[:on_time], *late]))
        late = labels[on_time:]  # the second text of a night is labelled a night later
    # b and d fall into test by their groups' hashes, and into train with a; f is near a and of the group of c, so in none
    assert seen == [
        {"a": "train", "c": None},
        {"a": "train", "b": "train", "c": "validation", "e": None},
        {"a": "train", "b": "train", "c": "validation", "d": "train", "e": "validation", "f": None},
    ]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("ab c", min_size=1, max_size=12), min_size=2, max_size=8), st.sampled_from([0.3, 0.5, 0.85]))
def test_the_search_for_likenesses_finds_what_comparing_each_pair_finds(texts, least):
    def grams(text):
        letters = re.sub(" +", " ", text) if text.strip() else text
        return {letters[at : at + 5] for at in range(len(letters) - 4)} or {letters}

    named = list(zip("12345678", texts, strict=False))
    expected = {
        (one, other)
        for (one, text), (other, another) in combinations(named, 2)
        if len(grams(text) & grams(another)) / len(grams(text) | grams(another)) >= least
    }
    assert {(one, other) for one, other, _ in alike(named, least)} == expected


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the public sets are not here")
def test_over_twelve_nights_of_real_texts_and_late_labels_nothing_moves_and_nothing_leaks(tmp_path):
    stream, nights = reviews(), 12
    folder, home = write_nights(stream, tmp_path / "a", nights), tmp_path / "home"
    for night in in_nights(nights):
        assert conftest.run_line(folder, str(night), home)["status"] == "published"
    releases = published(folder / "releases" / stream.name, home / stream.name)
    splits = defaultdict(set)
    for release in releases:
        for item, split in release.split.items():
            splits[item].add(split)
    assert (len(releases), {len(each) for each in splits.values()}) == (nights, {1})
    known = Store(home / stream.name).connect().sql("select item_id, text from item").fetchall()
    pairs = [(one, other) for one, other, _ in alike(known)]
    assert pairs
    for release in releases:
        assert not [pair for pair in pairs if len({release.split[item] for item in pair if item in release.split}) > 1]
