"""Splits: decided once, kept for good, shared by what belongs together."""

from collections import Counter
from datetime import date
from shutil import rmtree

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prefect.logging import disable_run_logger

from schemas.curation import Splits
from schemas.run import started
from tasks.document import read_documents
from tasks.item import find_neighbours, make_items
from tasks.split import assign_splits, decide, drawn
from tasks.sql import relation
from tasks.store import Store

HALVES = Splits(train=0.5, validation=0.0, test=0.5, key="k")


@pytest.fixture
def night(tmp_path, written):
    """Return a function that brings documents {date: {id: row}} in and returns {text: (split, rule)}."""

    def run(documents, as_of, home="home", **parts):
        rmtree(tmp_path / "data", ignore_errors=True)
        written(tmp_path, documents, {}, **({"splits": "{train: 0.5, validation: 0.25, test: 0.25, key: k}"} | parts))
        one = started(str(tmp_path), date.fromisoformat(as_of), home=str(tmp_path / home))
        with disable_run_logger():
            read_documents.fn(one, one.curation.sources[0])
            for stage in (make_items, find_neighbours, assign_splits):
                stage.fn(one)
        rows = (
            Store(one.store).connect().sql("select text, split, rule from item join split using (item_id)").fetchall()
        )
        return {text: tuple(rest) for text, *rest in rows}

    return run


@pytest.mark.parametrize(
    ("group", "of_group", "of_near", "decided"),
    [
        ("g", "test", "train", ("test", "group")),
        ("g", None, "train", ("train", "near_duplicate")),
        (None, None, "train", ("train", "near_duplicate")),
        ("g", None, None, (drawn(HALVES, "g"), "hash")),
        (None, None, None, (drawn(HALVES, "i"), "hash")),
        (None, "test", None, (drawn(HALVES, "i"), "hash")),  # items without a group are not one group
    ],
)
def test_the_group_decides_else_the_nearest_near_duplicate_else_the_hash(group, of_group, of_near, decided):
    assert decide(HALVES, "i", group, of_group, of_near) == decided


def test_splits_have_the_shares_they_were_given():
    counts = Counter(drawn(Splits(), f"item {number}") for number in range(10_000))
    # 0.8, 0.1 and 0.1 of 10,000, each ± 4 standard deviations: 160 and 120
    assert counts["train"] == pytest.approx(8_000, abs=160)
    assert counts["validation"] == pytest.approx(1_000, abs=120)


def test_a_share_of_nothing_gets_nothing():
    only = Splits(train=0.0, validation=0.0, test=1.0)
    assert {drawn(only, str(number)) for number in range(1_000)} == {"test"}


def texts(prefix, count, **fields):
    """Return {id: row} of texts that are not alike."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return {
        f"{prefix}{n}": {"text": " ".join([prefix * 3, letters[n] * 6, letters[n:] + letters[:n]]), **fields}
        for n in range(count)
    }


def test_a_split_stays_whatever_arrives_later_and_in_whatever_order(night):
    first, second = {"2026-11-15": texts("p", 12)}, {"2026-11-16": texts("q", 12)}
    before = night(first, "2026-11-15")
    after = night(first | second, "2026-11-16")
    assert before.items() <= after.items() and len(after) == 24
    assert set(after.values()) == {(split, "hash") for split in ("train", "validation", "test")}
    # another machine that sees both nights at once, and a third that does the second night first
    assert night(first | second, "2026-11-16", home="at_once") == after
    night(second, "2026-11-16", home="backwards")
    assert night(first | second, "2026-11-16", home="backwards") == after


def test_a_group_is_in_one_split_across_nights(night):
    first, second = {"2026-11-15": texts("p", 6, group="g")}, {"2026-11-16": texts("q", 6, group="g")}
    night(first, "2026-11-15")
    assert len({split for split, _ in night(first | second, "2026-11-16").values()}) == 1


def test_by_item_a_group_decides_nothing(night):
    divided = night(
        {"2026-11-15": texts("p", 12, group="g")},
        "2026-11-15",
        splits="{train: 0.5, validation: 0, test: 0.5, by: item}",
    )
    assert {split for split, _ in divided.values()} == {"train", "test"}


def test_a_near_duplicate_follows_the_earlier_text(night):
    day = texts("p", 12)
    night({"2026-11-15": day}, "2026-11-15")
    alike = {f"{id}!": {"text": row["text"].upper() + "!"} for id, row in day.items()}
    divided = night({"2026-11-15": day, "2026-11-16": alike}, "2026-11-16")
    for row in day.values():
        assert divided[row["text"].upper() + "!"] == (divided[row["text"]][0], "near_duplicate")


def test_a_second_run_divides_nothing_anew(night):
    documents = {"2026-11-15": texts("p", 12)}
    assert night(documents, "2026-11-15") == night(documents, "2026-11-15", splits="{key: another}")


# -- bridges


def bridges(items: str, near: str = "", documents: str = "", by_group: bool = True) -> list[str]:
    """Return the bridges among `id:split[:group]` where `later>earlier` are near; `id:group` are further documents."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("set variable as_of = date '2026-11-20'")
    rows = [(*one.split(":"), None)[:3] for one in items.split()]
    for table, columns, values in (
        ("known_item", "item_id varchar, split varchar, group_id varchar", rows),
        ("neighbour", "item_id varchar, near_item_id varchar", [pair.split(">") for pair in near.split()]),
        (
            "document",
            "item_id varchar, group_id varchar, available_on date",
            [(item, group, "2026-11-15") for item, _, group in rows]
            + [(*one.split(":"), "2026-11-16") for one in documents.split()],
        ),
    ):
        connection.execute(f"create table {table} ({columns})")
        if values:
            connection.executemany(f"insert into {table} values ({', '.join('?' * len(values[0]))})", values)
    return [item for (item,) in relation(connection, "bridge", by_group=by_group).fetchall()]


def test_of_two_near_duplicates_in_different_splits_the_later_is_the_bridge():
    assert bridges("a:train b:test c:train", near="b>a c>a") == ["b"]
    assert bridges("a:train b:test c:train", near="c>a c>b") == ["c"]


def test_a_text_that_two_groups_share_is_the_bridge_not_the_second_group():
    # a is g's; h had it too, first of all its texts, and h's own are in test
    assert bridges("a:train:g b:train:g c:test:h d:test:h", documents="a:h") == ["a"]
    assert bridges("a:train:g b:train:g c:test:h d:test:h", documents="a:h", by_group=False) == []
    assert bridges("a:train:g c:train:h", documents="a:h") == []


def test_texts_that_two_groups_have_between_them_leave_one_split_for_a_group_with_none_of_its_own():
    assert bridges("a:train:g b:test:h", documents="a:i b:i") == ["b"]


split_names = st.sampled_from(["train", "validation", "test"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(split_names, st.sampled_from(["g", "h", "i"])), min_size=1, max_size=8),
    st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=10),
    st.sets(st.tuples(st.integers(0, 7), st.sampled_from(["g", "h", "i"])), max_size=6),
)
def test_without_the_bridges_no_pair_and_no_group_is_in_two_splits(rows, pairs, shared):
    count = len(rows)
    split = {str(number): name for number, (name, _) in enumerate(rows)}
    near = {(str(later), str(earlier)) for later, earlier in pairs if count > later > earlier}
    groups = {(str(n), group) for n, (_, group) in enumerate(rows)} | {(str(n), g) for n, g in shared if n < count}
    left_out = set(bridges(
        " ".join(f"{n}:{name}:{group}" for n, (name, group) in enumerate(rows)),
        " ".join(f"{later}>{earlier}" for later, earlier in near),
        " ".join(f"{n}:{group}" for n, group in shared if n < count),
    ))  # fmt: skip
    kept = set(split) - left_out
    assert all(split[later] == split[earlier] for later, earlier in near if {later, earlier} <= kept)
    for name in "ghi":
        assert len({split[item] for item, group in groups if group == name and item in kept}) <= 1
    # and nothing is left out that crosses no line
    crossing = {later for later, earlier in near if split[later] != split[earlier]}
    divided = {g for g in "ghi" if len({split[item] for item, group in groups if group == g}) > 1}
    assert left_out <= crossing | {item for item, group in groups if group in divided}
