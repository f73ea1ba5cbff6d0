"""Documents: every record of a source becomes one, is a counted duplicate, or stands in quarantine with its reason."""

import gzip
import json
import os
import sys
import time
from datetime import date
from itertools import count

import pytest
from prefect.logging import disable_run_logger

from schemas.errors import SourceRefused
from schemas.run import started
from tasks.document import read_documents
from tasks.item import find_neighbours, make_items
from tasks.run import totals
from tasks.source import File, find
from tasks.split import assign_splits
from tasks.store import Store

SECRET = "zanzibar"  # stands in texts only, so it may stand in no log, message or commit


@pytest.fixture(autouse=True)
def _quiet():
    with disable_run_logger():
        yield


@pytest.fixture
def source(tmp_path):
    """Return a function that writes a curation with one source and returns a run of it."""

    def run(path="data/*.jsonl", fields="{id: id, text: text}", trust=1.0, as_of=None, **settings):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "curation.yaml").write_text(
            "name: tiny\nlabels: {kind: choice, values: {good: It is good., bad: It is bad.}}\n"
            f"sources: [{{path: '{path}', fields: {fields}, trust: {{max_quarantined_share: {trust}}}}}]\n"
            "annotators: [{name: crowd, kind: human, path: 'labels/*.csv'}]\n"
            + "".join(f"{key}: {value}\n" for key, value in settings.items())
        )
        return started(str(tmp_path), as_of and date.fromisoformat(as_of), home=str(tmp_path / "home"))

    return run


@pytest.fixture
def put(tmp_path):
    """Return a function that writes a file of records: mappings, or bytes as they are."""
    tick = count(1)

    def write(name, *rows):
        lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
        place = tmp_path / "data" / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"".join(line + b"\n" for line in lines))
        moment = time.time_ns() + next(tick) * 1_000_000  # no two versions of a file were written at one time
        os.utime(place, ns=(moment, moment))

    return write


def ingest(run):
    """Return {read, accepted, duplicate, quarantined} of what is new, once they add up file by file."""
    (one,) = run.curation.sources
    counts = read_documents.fn(run, one)
    uneven = "select path from file where read <> accepted + duplicate + quarantined"
    uneven += " or least(accepted, duplicate, quarantined) < 0"
    assert facts(run, uneven) == []
    assert counts.read == counts.accepted + counts.duplicate + counts.quarantined
    return counts.read, counts.accepted, counts.duplicate, counts.quarantined


def facts(run, query):
    return Store(run.store).connect().sql(query).fetchall()


def reasons(run):
    return dict(facts(run, "select position, reason from quarantine order by position"))


def a(id, text="a text", **more):
    """Return a record."""
    return {"id": id, "text": text} | more


def test_each_bad_record_is_set_aside_with_its_reason_and_the_others_are_read(source, put):
    bad = [
        ({"text": "a text"}, "missing_field"),
        ({"id": "1"}, "missing_field"),
        (a("1", None), "missing_field"),
        (a("1", " \t\u2028 "), "empty_text"),
        (a("1", ["a"]), "bad_type"),
        (a("1", "a\x00b"), "nul_char"),
        (a("1", "\ud800"), "lone_surrogate"),
        (a(None), "bad_id"),
        (a(" "), "bad_id"),
        (a(1.5), "bad_id"),
        (a("1", "x" * 20_001), "too_long"),
        (a("1", time="2026-11-19T10:00:00"), "naive_timestamp"),
        (a("1", time="2999-01-01T00:00:00Z"), "bad_timestamp"),
        (a("1", group=["a"]), "bad_type"),
        (a("1", aspect={"a": 1}), "bad_type"),
        (a("1", other="\ud800"), "lone_surrogate"),
        (a("1", other="x" * 65_537), "too_large"),
        (b"{", "bad_json"),
    ]
    good = [a("1", aspect="food"), a("2", aspect="food", group=7, time="2026-11-19T10:00:00Z", other={"any": [1]})]
    put("a.jsonl", *({"aspect": "food"} | row if isinstance(row, dict) else row for row, _ in bad), *good)
    run = source(fields="{id: id, text: text, context: [aspect], group: group, time: time}")
    assert ingest(run) == (20, 2, 0, 18)
    assert reasons(run) == {position: reason for position, (_, reason) in enumerate(bad, 1)}


def test_a_repeated_record_is_a_duplicate_and_an_id_with_another_text_is_refused(source, put):
    put("a.jsonl", a("1"), a("1"), a("1", "another"), a("2"), a("2", "a  text "))
    run = source()
    # 1 and 2 are two documents of one item; the last line differs from its document in white space only
    assert ingest(run) == (5, 2, 2, 1)
    assert reasons(run) == {3: "id_conflict"}
    assert make_items.fn(run) == 1


def test_without_ids_the_text_and_its_context_are_the_document(source, put):
    put("a.jsonl", {"text": "a", "aspect": "food"}, {"text": " a ", "aspect": "food"}, {"text": "a", "aspect": "noise"})
    assert ingest(source(fields="{text: text, context: [aspect]}")) == (3, 2, 1, 0)


def test_a_file_is_read_once_and_its_copy_brings_duplicates(source, put, tmp_path):
    put("a.jsonl", a("1"), a("2", "b text"), b"{")
    assert ingest(source()) == (3, 2, 0, 1)
    assert ingest(source()) == (0, 0, 0, 0)
    put("a.jsonl", a("1"), a("2", "b text"), b"{")  # written again, the same bytes
    assert ingest(source()) == (0, 0, 0, 0)
    put("b.jsonl", a("1"), a("2", "b text"), b"{")
    assert ingest(source()) == (3, 0, 2, 1)


def test_a_file_that_grew_or_was_replaced_brings_what_is_new_in_it(source, put):
    put("a.jsonl", a("1"), a("2", "b text"))
    assert ingest(source()) == (2, 2, 0, 0)
    put("a.jsonl", a("1"), a("2", "b text"), a("3", "c text"))
    assert ingest(source()) == (3, 1, 2, 0)
    # replaced: 1 now names another text where it stood, 2 moved up, 4 is new
    put("a.jsonl", a("1", "changed"), a("4", "d text"), a("2", "b text"))
    assert ingest(source()) == (3, 1, 1, 1)


def test_a_file_set_aside_for_a_wrong_setting_is_read_again_when_it_is_mended(source, put):
    put("a.jsonl", {"id": "1", "body": "a text"})
    with pytest.raises(SourceRefused, match="1 of 1 records are in quarantine"):
        ingest(source(trust=0.05))
    assert ingest(source(fields="{id: id, text: body}", trust=0.05)) == (1, 1, 0, 0)


def test_too_much_quarantine_refuses_the_source_until_the_file_is_mended(source, put):
    put("a.jsonl", a("1"), b"{")
    for _ in range(2):  # half of it is bad; asking again does not let it pass
        with pytest.raises(SourceRefused, match="1 of 2 records"):
            ingest(source(trust=0.4))
    put("a.jsonl", a("1"), a("2", "b text"))
    assert ingest(source(trust=0.4)) == (2, 1, 1, 0)


def test_a_damaged_file_is_told_of_and_counted(source, put):
    put("a.jsonl.gz", gzip.compress(b'{"id": "1", "text": "a text"}\n')[:-4])
    run = source("data/*.jsonl.gz")
    assert ingest(run) == (2, 1, 0, 1)
    assert reasons(run) == {0: "truncated_source"}


def test_an_unreadable_file_stops_no_other(source, put, monkeypatch):
    put("a.jsonl", a("1"))
    put("b.jsonl", a("2", "b text"))
    digest = File.digest

    def denied(file):
        if file.path.endswith("a.jsonl"):
            raise SourceRefused("data/a.jsonl: cannot be read: Permission denied")
        return digest(file)

    monkeypatch.setattr(File, "digest", denied)
    with pytest.raises(SourceRefused, match="Permission denied"):
        ingest(source())
    assert facts(source(), "select source_id from document") == [("2",)]


def test_a_file_that_changes_while_it_is_read_is_refused_and_read_when_whole(source, put, monkeypatch):
    put("a.jsonl", a("1"))
    monkeypatch.setattr("tasks.source.files.File.has_changed", lambda file: True)
    with pytest.raises(SourceRefused, match="changed while it was read"):
        ingest(source())
    monkeypatch.undo()
    assert ingest(source()) == (1, 1, 0, 0)


def test_a_source_without_a_file_is_refused(source):
    with pytest.raises(SourceRefused, match="no file has such a name"):
        ingest(source("data/no-*.jsonl"))


def test_a_run_sees_no_file_of_a_later_date(source, put):
    put("2026-11-19.jsonl", a("1"))
    put("2026-11-20.jsonl", a("2", "b text"))
    assert ingest(source("data/{as_of}.jsonl", as_of="2026-11-19")) == (1, 1, 0, 0)
    assert ingest(source("data/{as_of}.jsonl", as_of="2026-11-20")) == (1, 1, 0, 0)


@pytest.mark.parametrize("odd", ["a b", "it's", 'a"b', "a\nb", "a;drop table item", "caf\udce9"])
def test_files_with_odd_names_are_facts_like_others(source, put, odd):
    put(f"{odd}.jsonl", a("1"), b"{")
    run = source()
    assert ingest(run) == (2, 1, 0, 1)
    assert ingest(run) == (0, 0, 0, 0)


class Killed(Exception):
    """The machine went away."""


# 11 records by 4 and 4 by 4 are four chunks of two writes; then two files, items, neighbours and splits: 13
@pytest.mark.parametrize("points", [(2, 11), pytest.param(range(1, 14), marks=pytest.mark.slow)], ids=["two", "all"])
def test_a_run_killed_at_any_write_and_run_again_leaves_what_an_undisturbed_one_leaves(
    source, put, monkeypatch, points
):
    rows = [a(str(number % 7), f"the same long text {number % 7}") for number in range(9)]
    put("a.jsonl", *rows, b"{", a("0", "another"))
    put("b.jsonl", *rows[:3], a("x", "b text"))
    monkeypatch.setattr(sys.modules["tasks.source.intake"], "CHUNK", 4)
    merge = Store.merge

    def line(run):
        read_documents.fn(run, run.curation.sources[0])
        for stage in (make_items, find_neighbours, assign_splits):
            stage.fn(run)

    def told(run):
        counts = facts(run, "select path, read, accepted, duplicate, quarantined from file order by all")
        places = [
            facts(run, f"select {t}_id, path, position from {t} order by all") for t in ("document", "quarantine")
        ]
        items = facts(run, "select item_id, text, split, rule from item left join split using (item_id) order by all")
        return counts, places, items, facts(run, "select item_id, near_item_id, similarity from neighbour order by all")

    def until(number):
        writes = count(1)

        def merging(store, table, rows):
            if next(writes) == number:
                raise Killed
            return merge(store, table, rows)

        return merging

    undisturbed = source()
    line(undisturbed)
    expected = told(undisturbed)
    for number in points:
        run = source().model_copy(update={"home": undisturbed.home.with_name(f"home{number}")})
        monkeypatch.setattr(Store, "merge", until(number))
        with pytest.raises(Killed):
            line(run)
        monkeypatch.setattr(Store, "merge", merge)
        line(source().model_copy(update={"home": run.home}))
        assert told(run) == expected, number
    assert len(expected[-1]) > 0


def test_no_text_stands_in_a_log_a_message_or_a_commit(source, put, caplog):
    put("a.jsonl", a("1", SECRET), a("1", f"other {SECRET}"), a("2", [SECRET]), f'{{"text": "{SECRET}'.encode(),
        a("3", "b", time=SECRET), a("4", "c", group=[SECRET]))  # fmt: skip
    put("b.csv", b"id,text", f'5,"{SECRET}"{SECRET}'.encode(), f"6,{SECRET},{SECRET}".encode())
    run = source(fields="{id: id, text: text, time: time, group: group}", trust=0.1)
    with pytest.raises(SourceRefused) as refusal:
        ingest(run)
    make_items.fn(run)
    with pytest.raises(SourceRefused) as of_csv:
        ingest(source("data/*.csv", fields="{id: id, text: text}", trust=0.1))
    commits = [log.read_text() for log in run.home.rglob("_delta_log/*.json")]
    details = facts(run, "select concat(reason, detail, path) from quarantine")
    assert len(commits) > 8 and len(details) == 7
    assert SECRET not in f"{commits}{details}{refusal.value}{of_csv.value}{caplog.text}"


def test_files_of_one_second_are_found_in_one_order(source, put):
    for name in ("b", "a", "c"):
        put(f"{name}.jsonl", a(name))
    assert [file.path for file in find(source().folder, "data/*.jsonl")] == [f"data/{name}.jsonl" for name in "abc"]


def test_records_are_accounted_for_before_their_items_are_made(written, tmp_path):
    folder = written(tmp_path / "tiny", {"2026-11-15": {"a": "one text", "b": "another", "c": "one  text"}}, {})
    run = started(str(folder), date(2026, 11, 15), home=str(tmp_path / "home"))
    with disable_run_logger():
        read_documents.fn(run, run.curation.sources[0])
    held = totals.fn(run, {})
    # a and c are one text, so three records bring two items; a run stopped here has made neither
    assert held["documents"] == {"read": 3, "accepted": 2, "duplicate": 1, "quarantined": 0}
    assert held["items"]["total"] == 0
