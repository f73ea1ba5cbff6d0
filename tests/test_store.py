"""The store: facts that only grow, whoever writes them at once and wherever they stand."""

import json
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import pytest
from deltalake.exceptions import CommitFailedError

from schemas.errors import RequestError
from schemas.row import Row
from tasks.store import KEYS, Ids, Store, tables
from tasks.store.ids import share

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def splits(*names: str, split: str = "train") -> list[dict]:
    return [{"item_id": name, "split": split, "rule": "hash", "recorded_at": NOW, "run_id": "r"} for name in names]


def held(store: Store) -> list[tuple]:
    return store.connect().sql("select item_id, split from split order by all").fetchall()


def test_a_row_is_written_once_and_its_first_writer_wins(tmp_path):
    store = Store(tmp_path / "s")
    assert store.merge("split", splits("a", "b")) == 2
    assert store.merge("split", splits("b", "c", split="test")) == 1
    assert store.merge("split", splits("d") + splits("d", split="test")) == 1
    assert held(store) == [("a", "train"), ("b", "train"), ("c", "test"), ("d", "train")]
    assert store.merge("split", []) == 0


def test_a_store_that_was_never_written_has_every_table_empty(tmp_path):
    connection = Store(tmp_path / "none").connect()
    assert {connection.sql(f"select count(*) from {table}").fetchone() for table in KEYS} == {(0,)}
    assert not (tmp_path / "none").exists()


def merged(folder: Path) -> int:
    return sum(Store(folder).merge("split", splits(*(str(n) for n in range(first, 500)))) for first in (250, 0))


def test_four_processes_that_merge_the_same_500_keys_leave_500_rows(tmp_path):
    with ProcessPoolExecutor(4, mp_context=get_context("forkserver")) as pool:
        counts = list(pool.map(merged, [tmp_path / "s"] * 4))
    # none fails, and each row is somebody's
    assert sum(counts) == 500 == len(held(Store(tmp_path / "s")))


def test_a_merge_that_others_overtake_is_tried_again(tmp_path, monkeypatch):
    store, once, overtaken = Store(tmp_path / "s"), Store._merged, iter([True, True, False])

    def merge(self, table, frame):
        if next(overtaken):
            raise CommitFailedError("a concurrent transaction added new data")
        return once(self, table, frame)

    monkeypatch.setattr(Store, "_merged", merge)
    assert store.merge("split", splits("a")) == 1


@pytest.mark.parametrize("folder", ["a b", "it's", 'a"b', "[x]*", "ünï", "a#b?", "-", "a;drop table item"])
def test_a_store_may_stand_in_a_folder_of_any_name(tmp_path, folder):
    store = Store(tmp_path / folder / "s")
    store.merge("split", splits("a"))
    assert held(store) == [("a", "train")]
    assert [place.name for place in tmp_path.iterdir()] == [folder]


@pytest.mark.parametrize("folder", ["a\nb", "a%20b", "a\\b"])
def test_a_folder_the_format_cannot_name_is_refused(tmp_path, folder):
    with pytest.raises(RequestError, match="may hold no %, backslash or control character"):
        Store(tmp_path / folder)


def test_only_keys_have_statistics_in_the_log(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MAX_FILES", 1)
    store = Store(tmp_path)
    store.merge("split", splits("a"))
    store.merge("split", splits("b"))
    store.tidy()  # the library writes these files
    commits = [json.loads(line) for log in tmp_path.rglob("_delta_log/*.json") for line in log.read_text().splitlines()]
    written = [json.loads(commit["add"]["stats"]) for commit in commits if "add" in commit]
    assert [set(stats.get("minValues", {})) for stats in written] == [set(), set(), {"item_id"}]


def test_a_store_of_an_earlier_version_gets_the_columns_added_since(tmp_path, monkeypatch):
    class Before(Row):
        call_id: str
        model: str

    with monkeypatch.context() as before:
        before.setitem(tables.TABLES, "lost_call", Before)
        Store(tmp_path).merge("lost_call", [{"call_id": "a", "model": "m"}])
    query = "select call_id, model, kind from lost_call order by call_id"
    assert Store(tmp_path).connect().sql(query).fetchall() == [("a", "m", None)]
    names = {"annotator_id": "x", "item_id": "i", "model": "m", "kind": "timeout", "usd_at_most": None, "run_id": "r"}
    assert Store(tmp_path).merge("lost_call", [names | {"call_id": "b", "event_at": NOW}]) == 1
    assert Store(tmp_path).connect().sql(query).fetchall() == [("a", "m", None), ("b", "m", "timeout")]


def test_an_id_is_fixed_by_its_parts_and_its_key(monkeypatch):
    monkeypatch.delenv("ASSAY_KEY", raising=False)
    by_name = Ids("reviews").id("item", "a text", None)
    assert by_name == Ids("reviews").id("item", "a text", None)
    assert len({by_name, Ids("other").id("item", "a text", None), Ids("reviews").id("item", "a text", "")}) == 3
    assert Ids("reviews").id("item", "ab", "c") != Ids("reviews").id("item", "a", "bc")
    monkeypatch.setenv("ASSAY_KEY", "secret")
    keyed = Ids("reviews").id("item", "a text", None)
    # with a key the curation's name has no part in it
    assert keyed != by_name and keyed == Ids("other").id("item", "a text", None)


def test_shares_are_spread_evenly():
    shares = [share("key", str(number)) for number in range(10_000)]
    # 10,000 × 0.8 ± 4 standard deviations of √(10,000 × 0.8 × 0.2) = 40
    assert sum(one < 0.8 for one in shares) == pytest.approx(8_000, abs=160)
    assert all(0 <= one < 1 for one in shares)


def test_many_small_files_become_few_and_no_row_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MAX_FILES", 8)
    store = Store(tmp_path)
    for number in range(10):
        store.merge("split", splits(f"item-{number}"))
    reader = store.connect()  # opened before, it goes on reading the files it knew
    store.tidy()
    assert len(store._files("split")) == 1
    assert store.merge("split", splits("item-3", "item-10")) == 1
    for connection, rows in ((reader, 10), (store.connect(), 11)):
        assert connection.sql("select count(*), count(distinct item_id) from split").fetchall() == [(rows, rows)]
