"""Frames: small tables in, what the gate sees of them out; by hand, with the arithmetic."""

import json
from pathlib import Path

import duckdb
import pytest

from expectations.suites import suites
from schemas.curation import Curation
from schemas.frame import FRAMES, sql_columns
from tasks.release.frames import lay_out, lock, see_staged, widen
from tasks.release.measure import measures
from tasks.sql import query
from tests.test_gate import GIVEN, curation

# Four examples in two splits, all settled by two people.
RELATIONS = {
    "published": "select item_id, split, file, text, label, label as said, 'human' as status, 2::bigint as people, "
                 "0::bigint as models, 0.9::double as posterior_share, 0.0::double as entropy_nats, slice from (values "
                 "('i1', 'train', 'train', 'cold soup', 'good', 's'), ('i2', 'train', 'train', 'good cake', 'bad', 's'), "
                 "('i3', 'train', 'train', 'loud', 'good', 't'), ('i4', 'test', 'test', 'quiet', 'bad', 't')) "
                 "as given(item_id, split, file, text, label, slice)",
    "split": "select item_id, split from published",
    "document": "select 'd' || item_id as document_id, item_id, 'g' || item_id as group_id, date '2026-11-17' as available_on from published",
    "neighbour": "select null::varchar as item_id, null::varchar as near_item_id where false",
    "known_item": "select item_id, split, slice, null::varchar as group_id, length(text) as chars from published",
    "consensus": "select item_id, status, label, people, models, posterior_share, false as is_tie, entropy_nats from published",
    "vote": "select 'a' || item_id as annotation_id, item_id, 'ann' as annotator_id, label, slice from published",
    "model_vote": "select 'm' || item_id as annotation_id, item_id, 'gpt' as annotator_id, 'llm' as annotator_kind, label, "
                  "[{'label': label, 'probability': 1.0::double}] as distribution, slice from published",
    "file": "select 'document' as noun, 'p' as path, 4 as read, 4 as accepted, 0 as duplicate, 0 as quarantined, "
            "null::varchar as damage, timestamp '2026-11-17' as recorded_at, 'f' as file_id, date '2026-11-17' as available_on",
    "certified": "select null::varchar as item_id, null::varchar as label where false",
    "proof": "select 0 as certified_slices",
    "agreement_figure": "select 0.5::double as krippendorff_alpha_low, 0.5::double as gwet_ac1_low, 0.5::double as "
                        "largest_vote_share, 0.1::double as mean_entropy_nats, 0.5::double as unanimous_share",
    "parent_example": "select null::varchar as label where false",
    "taken": "select 0.0::double as usd",
    "chat": "select file, hash(said, text) as pair from published",
    "shape_row": "select null::varchar as file, 0 as lines, 0 as each where false",
}  # fmt: skip


def framed(*changes, **relations):
    """Return a connection with the frames of those tables, some of them given otherwise or changed."""
    connection = duckdb.connect()
    connection.execute("set variable as_of = date '2026-11-17'; set variable label_values = ['good', 'bad']")
    connection.execute("set variable has_chats = true")
    for name, rows in (RELATIONS | relations).items():
        connection.execute(f"create table {name} as {rows}")
    for change in changes:
        connection.execute(change)
    widen(connection, 1)
    lay_out(connection, by_group=True)
    return connection


def frame(name, *changes, **relations):
    """Return the rows of a frame."""
    return framed(*changes, **relations).sql(f"select * from frame.{name}").pl().to_dicts()


def items(column, *changes, **relations):
    """Return the items of which a column of the frame `example` is true."""
    rows = framed(*changes, **relations).sql(f"select item_id from frame.example where {column} order by all")
    return [item for (item,) in rows.fetchall()]


def test_every_frame_has_the_columns_it_is_documented_with():
    connection = framed()
    for name in FRAMES:
        found = connection.sql(f"describe frame.{name}").fetchall()
        documented = duckdb.sql(f"select * from (select {_nulls(name)})").columns
        assert [row[0] for row in found] == documented, name


def _nulls(name):
    return ", ".join(
        f"null::{kind} as {column}" for column, kind in (one.split(" ") for one in sql_columns(name).split(", "))
    )


def test_no_frame_holds_a_text_or_what_a_source_calls_its_rows():
    assert {"text", "context", "group_id", "document_ids", "raw"} & {name for frame in FRAMES.values() for name in frame.model_fields} == set()  # fmt: skip


def test_where_nothing_is_wrong_every_promise_holds():
    given = curation(
        min_examples=4,
        max_label_drift=1,
        max_slice_label_gap=None,
        max_slice_disagreement_gap=None,
        max_unresolved_share=1,
    )
    promised = [
        one for one in suites(given, None) if one.suite in ("split", "leakage", "file", "source", "coverage", "parent")
    ]
    found = measures(framed(), promised)
    for suite in promised:
        for promise in suite.promises:
            assert promise.low is None or found[suite.suite][promise.name] >= promise.low, promise.name
            assert promise.high is None or found[suite.suite][promise.name] <= promise.high, promise.name


TWICE = "update published set text = 'loud' where item_id in ('i1', 'i4')"


def test_a_text_in_two_splits_is_found_wherever_it_stands():
    # 'loud' is i1 and i3 of train, i4 of test; 'good cake' twice in train is no fault
    assert items("is_text_in_two_splits", TWICE) == ["i1", "i3", "i4"]
    assert items("is_text_in_two_splits", "update published set text = 'good cake' where item_id = 'i1'") == []


def test_a_group_in_two_splits_is_found_by_any_document_of_its_items():
    assert items("is_group_in_two_splits", "update document set group_id = 'g' where item_id in ('i2', 'i4')") == [
        "i2",
        "i4",
    ]
    later = "insert into document values ('late', 'i4', 'gi1', date '2026-11-18')"
    assert items("is_group_in_two_splits", later) == []  # not known by the date
    assert items("is_group_in_two_splits", later.replace("18", "17")) == ["i1", "i4"]


def test_near_duplicates_in_two_splits_are_found_on_both_sides():
    assert items("is_near_other_split", "insert into neighbour values ('i4', 'i2'), ('i3', 'i1')") == ["i2", "i4"]


@pytest.mark.parametrize("change", [
    "update published set file = 'validation' where item_id = 'i1'",
    "update published set split = 'validation' where item_id = 'i1'",
    "update split set split = 'validation' where item_id = 'i1'",
    "delete from split where item_id = 'i1'",
])  # fmt: skip
def test_row_file_and_fact_name_one_split(change):
    assert items("not is_in_its_split", change) == ["i1"]


def test_a_label_from_a_model_is_the_one_that_is_certified():
    accepted = "update published set status = 'accepted' where item_id in ('i1', 'i2', 'i3')"
    covered = "insert into certified values ('i1', 'good'), ('i2', 'good')"  # i2 was published as bad
    assert items("is_certified", accepted, covered) == ["i1"]
    assert items("not is_certified", accepted, covered) == ["i2", "i3"]


def test_balance_counts_a_label_that_a_split_lacks_as_none_of_it():
    # good is 2 of 4; test has one example, which is bad: |0 - 0.5|
    assert frame("balance") == [{"largest_label_share": 0.5, "largest_label_drift": 0.5, "empty_splits": 1}]


PARENTS = [
    # before: good bad → shares 0.5, 0.5; now 2 of 4 good
    ("select unnest(['good', 'bad']) as label", (2, 0.0, 0.0)),
    # before: 5 good; now 4, of which 2 are good: shrunk by 1/5, and good went from 1 to 0.5
    ("select 'good' as label from range(5)", (5, 0.2, 0.5)),
    # a label that is no longer there: 1 of 1 then, 0 of 4 now
    ("select 'ugly' as label", (1, 0.0, 1.0)),
    ("select null::varchar as label where false", (None, 0.0, 0.0)),
]


@pytest.mark.parametrize(("before", "figures"), PARENTS, ids=["alike", "smaller", "label gone", "no parent"])
def test_a_parent_is_compared_by_size_and_by_label(before, figures):
    (row,) = frame("parent", parent_example=before)
    assert tuple(round(value, 9) if value is not None else None for value in row.values()) == figures


def test_slices_differ_beyond_chance_by_what_lies_between_their_intervals():
    # 90 of 100 good in one slice, 60 of 100 in the other; Wilson at 95 %: 0.9 is at least 0.8256, 0.6 at most 0.6906
    rows = "select 'i' as item_id, 'train' as split, 'train' as file, '' as text, 'human' as status, 2 as people, 0 as models, 0.9 as posterior_share, 0.0 as entropy_nats, '' as said, slice, label from (" + " union all ".join(
        f"select '{slice}' as slice, '{label}' as label from range({n})"
        for slice, label, n in (("s", "good", 90), ("s", "bad", 10), ("t", "good", 60), ("t", "bad", 40))
    ) + ")"  # fmt: skip
    (row,) = frame("slice", published=rows, model_vote=RELATIONS["model_vote"] + " where false")
    assert round(row["label_gap"], 4) == 0.1350
    assert row["disagreement_gap"] == 0
    # 9 of 10 and 6 of 10: the intervals overlap
    few = rows.replace("range(90)", "range(9)").replace("range(10)", "range(1)").replace("range(60)", "range(6)").replace("range(40)", "range(4)")  # fmt: skip
    assert frame("slice", published=few, model_vote=RELATIONS["model_vote"] + " where false") == [{"label_gap": 0, "disagreement_gap": 0}]  # fmt: skip


def test_models_that_contradict_people_in_one_slice_alone_are_found():
    # of each slice 50 items that people settled; the model contradicts 25 of s and none of t
    rows = "select 'i' || slice || n as item_id, slice, n, 'good' as label from (values ('s'), ('t')) as a(slice), range(50) as b(n)"
    settled = f"select item_id, 'human' as status, label, 2 as people, 0 as models, 0.9 as posterior_share, false as is_tie, 0.0 as entropy_nats from ({rows})"
    said = f"select '' as annotation_id, item_id, 'gpt' as annotator_id, 'llm' as annotator_kind, case when slice = 's' and n < 25 then 'bad' else 'good' end as label, null::struct(label varchar, probability double)[] as distribution, slice from ({rows})"
    (row,) = frame("slice", consensus=settled, model_vote=said)
    # Wilson at 95 %: 25 of 50 is at least 0.3664, 0 of 50 at most 0.0713
    assert round(row["disagreement_gap"], 4) == 0.2951


def test_the_more_slices_the_wider_their_intervals():
    narrow, wide = framed(), framed()
    widen(wide, 100)
    widths = [connection.sql("select getvariable('slice_z')").fetchone()[0] for connection in (narrow, wide)]
    assert [round(width, 4) for width in widths] == [1.96, 3.4808]  # 0.975 and 0.99975 of the normal


@pytest.mark.parametrize(("change", "differing"), [
    ("select 1", 0),
    ("delete from chat where rowid = 0", 1),
    ("insert into chat from chat limit 1", 1),
    ("update chat set pair = 7 where rowid = 0", 1),
    ("update chat set file = 'test' where rowid = 0", 1),
])  # fmt: skip
def test_chats_and_examples_are_the_same_number_of_times_the_same(change, differing):
    assert frame("file", change)[0]["differing_chats"] == differing


def test_files_of_other_formats_have_their_rows():
    # train has 3 examples, test 1; kto has two lines an example
    lines = "select * from (values ('train', 3, 1), ('train', 6, 2), ('test', 0, 1), ('validation', 1, 1)) as given(file, lines, each)"
    assert (
        frame("file", shape_row=lines)[0]["differing_rows"] == 2
    )  # one is missing in test, one too many in validation


def test_staged_files_are_read_as_they_stand(tmp_path):
    (tmp_path / "data").mkdir()
    for split in ("train", "validation", "test"):
        rows = f"select 'i1' as item_id, '{split}' as split, 'cold \"soup\"' as text, 'good' as label, '{{}}' as context where '{split}' = 'train'"
        duckdb.sql(f"copy ({rows}) to '{tmp_path}/data/{split}.parquet'")
        (tmp_path / f"{split}.jsonl").write_text("")
    content = {"text": 'cold "soup"'}
    chat = [{"role": "system", "content": "?"}, {"role": "user", "content": f"<item X>\n{json.dumps(content)}\n</item X>"},
            {"role": "assistant", "content": '{"label": "good"}'}]  # fmt: skip
    for answer, differing in (('{"label": "good"}', 0), ('{"label": "bad"}', 1), ("good", 1)):
        chat[-1]["content"] = answer
        (tmp_path / "train.jsonl").write_text(json.dumps({"messages": chat}) + "\n")
        connection = duckdb.connect()
        see_staged(connection, tmp_path, Curation.model_validate(GIVEN))
        found = connection.sql(query("frame/file")).fetchone()[1]
        assert found == differing, answer


def test_a_locked_connection_reads_its_own_files_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.csv").write_text("a\n1\n")
    (tmp_path / "other.csv").write_text("a\n1\n")
    connection = duckdb.connect()
    lock(connection, [tmp_path / "mine"])
    assert connection.sql(f"from read_csv('{tmp_path}/mine/a.csv')").fetchall() == [(1,)]
    for forbidden in (
        f"from read_csv('{tmp_path}/other.csv')",
        "set memory_limit = '9GB'",
        "from read_csv('http://127.0.0.1/x.csv')",
    ):
        with pytest.raises(duckdb.Error):
            connection.sql(forbidden)


def test_the_docs_name_every_promise_and_every_column():
    told = (Path(__file__).parent.parent / "docs" / "gate.md").read_text(encoding="utf-8")
    for suite in suites(curation(min_ac1=0.1), None):
        for promise in suite.promises:
            assert f"{suite.suite}.{promise.name}" in told or f", .{promise.name}" in told, promise.name
    for frame in FRAMES.values():
        assert ", ".join(frame.model_fields) in told
