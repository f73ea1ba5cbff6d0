"""People's answers come back: each one stored, known already, or set aside with a reason; twice adds nothing."""

import gzip
import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from queued import AUDITED, DAY, NEXT, PLAIN, TEXTS, Desk

from flows.__main__ import main
from flows.sql import sql
from schemas.run import started
from tasks.handout import Answers, recognised
from tasks.known import known
from tasks.source import File
from tasks.source.files import Damaged
from tasks.source.json_object import elements
from tasks.store import Ids

EXPORTS = Path(__file__).resolve().parents[2] / "shared" / "data" / "tool_exports"
NOON = "2026-11-18T12:00:00Z"


@pytest.fixture(scope="module")
def first_desk(tmp_path_factory):
    """A desk with a queue of two audits handed out, and each entry's queue id by its document."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    desk.ids = {one: row["queue_id"] for one, row in desk.draw(AUDITED).queue()[1].items()}
    return desk


@pytest.fixture
def handed(first_desk, tmp_path):
    return first_desk.copied(tmp_path)


def counts(found):
    assert found["read"] == found["accepted"] + found["duplicate"] + found["quarantined"]
    return found["accepted"], found["duplicate"], found["quarantined"], found["skipped"]


def votes(desk, as_of=NEXT):
    """Return who says what of which document, as a run of that date would count it."""
    run = started(str(desk.folder), date.fromisoformat(as_of), home=str(desk.home))
    names = {document: one for one, document in desk.documents.items()}
    rows = known(run).sql("select document_id, annotator_id, label from vote").fetchall()
    return sorted((names[document], who, label) for document, who, label in rows)


def test_an_answer_is_an_annotation_of_the_document_it_was_handed_out_for(handed):
    file = handed.answer("done.csv", [handed.ids["a"], handed.items["a"], "good", "ann", NOON])
    status, found = handed.take(file)
    assert status == 0
    assert found == {
        "curation": "tiny", "file": "done.csv", "format": "table", "as_of": NEXT, "read": 1, "accepted": 1,
        "duplicate": 0, "quarantined": 0, "skipped": 0, "reasons": {}, "damaged": None, "audits_answered": 1,
        "is_known_file": False,
    }  # fmt: skip
    [row] = handed.sql(
        "select document_id, item_id, annotator_id, annotator_kind, annotator_version, label, handout_id, path, "
        "position, event_at::varchar, available_on::varchar from annotation"
    )
    assert row == (
        handed.documents["a"], None, "ann", "human", "ann", "good", handed.ids["a"], "done.csv", 2,
        "2026-11-18 12:00:00+00", NEXT,
    )  # fmt: skip


def test_the_file_of_the_queue_comes_back_filled_in_and_what_was_left_empty_is_skipped(handed):
    out, rows = handed.queue("mine.csv")
    filled = out.read_text()
    for one, label in {"a": "good", "d": "bad"}.items():
        blank = "good | bad,,,\n"
        at = filled.index(rows[one]["queue_id"])
        filled = filled[:at] + filled[at:].replace(blank, f"good | bad,{label},,sure\n", 1)
    out.write_text(filled)
    status, found = handed.take(out, "--annotator", "ann")
    assert (status, counts(found), found["audits_answered"]) == (0, (2, 0, 0, 2), 1)


def test_importing_twice_adds_nothing_and_says_so(handed):
    file = handed.answer("done.csv", *([handed.ids[one], "", "good", "ann", ""] for one in "abc"))
    assert counts(handed.take(file)[1]) == (3, 0, 0, 0)
    again = handed.take(file)[1]
    assert (counts(again), again["is_known_file"], again["audits_answered"]) == ((0, 3, 0, 0), True, 0)
    # nor does the same under another name, in another order
    other = handed.answer("other.csv", *([handed.ids[one], "", "good", "ann", ""] for one in "cba"))
    assert counts(handed.take(other, as_of="2026-11-20")[1]) == (0, 3, 0, 0)
    assert handed.sql("select count(*), max(available_on)::varchar from annotation") == [(3, NEXT)]


def test_a_changed_answer_is_a_revision_and_the_last_one_counts(handed):
    first = handed.answer("1.csv", [handed.ids["a"], "", "good", "ann", ""], [handed.ids["a"], "", "bad", "bob", ""])
    second = handed.answer("2.csv", [handed.ids["a"], "", "bad", "ann", ""])
    for file in (first, second):
        handed.take(file)
    assert votes(handed) == [("a", "ann", "bad"), ("a", "bob", "bad")]
    assert handed.sql("select label from annotation where annotator_id = 'ann' order by recorded_at") == [("good",), ("bad",)]  # fmt: skip
    # with times the later one counts, whichever came in last
    handed.take(handed.answer("4.csv", [handed.ids["b"], "", "good", "ann", "2026-11-18T11:00:00Z"]))
    handed.take(handed.answer("3.csv", [handed.ids["b"], "", "bad", "ann", "2026-11-18T10:00:00Z"]))
    assert ("b", "ann", "good") in votes(handed)


def test_an_answer_without_a_time_counts_after_what_the_same_person_said_on_an_earlier_day(handed):
    asked = handed.answer("a.csv", ["a", "good", "ann", f"{DAY}T09:00:00Z"], columns=("item", "label", "who", "time"))
    assert counts(handed.take(asked, as_of=DAY)[1]) == (1, 0, 0, 0)
    handed.take(handed.answer("b.csv", [handed.ids["a"], "", "bad", "ann", ""]))
    assert votes(handed) == [("a", "ann", "bad")]


def test_what_somebody_had_said_before_does_not_answer_an_audit(handed):
    """The same label, by the same person, of the same document, without a time: asked and unasked are two annotations."""
    handed.take(handed.answer("a.csv", ["a", "good", "ann"], columns=("item", "label", "who")))
    found = handed.take(handed.answer("b.csv", [handed.ids["a"], "", "good", "ann", ""]))[1]
    assert (counts(found), found["audits_answered"]) == ((1, 0, 0, 0), 1)


def test_answers_to_a_queue_that_showed_labels_answer_no_audit(tmp_path):
    desk = Desk(tmp_path)
    rows = desk.draw(PLAIN).queue("shown.csv", "--show-suggestions")[1]
    desk.draw(AUDITED)  # that night they are audits
    found = desk.take(desk.answer("done.csv", [rows["a"]["queue_id"], "", "good", "ann", ""]))[1]
    assert (found["accepted"], found["audits_answered"]) == (1, 0)


FAULTS = [
    ({"label": "fair"}, "unknown_label"),
    ({"queue_id": "handout_0000"}, "unknown_queue_id"),
    ({"item_id": "item_of_another_row"}, "other_item"),
    ({"annotator_id": ""}, "no_annotator"),
    ({"annotator_id": "a" * 600}, "bad_id"),
    ({"time": "yesterday"}, "bad_timestamp"),
    ({"time": "2026-11-18T12:00:00"}, "naive_timestamp"),
    ({"queue_id": "", "item_id": ""}, "no_item"),
    ({"queue_id": "", "item_id": "i" * 600}, "bad_id"),
]


@pytest.mark.parametrize("wrong, reason", FAULTS)
def test_an_answer_that_cannot_be_used_is_set_aside_with_its_reason(handed, wrong, reason):
    good = {"queue_id": handed.ids["b"], "item_id": "", "label": "good", "annotator_id": "ann", "time": ""}
    found = handed.take(handed.answer("done.csv", list(good.values()), list((good | wrong).values())))[1]
    assert (counts(found), found["reasons"]) == ((1, 0, 1, 0), {reason: 1})
    quarantined = "select noun, path, position, reason, available_on::varchar from quarantine"
    assert handed.sql(quarantined) == [("annotation", "done.csv", 3, reason, NEXT)]


def test_answers_of_which_none_can_be_used_end_with_5_and_the_reasons(handed):
    file = handed.answer(
        "done.csv", ["handout_1", "", "my secret diary", "ann", ""], [handed.ids["a"], "", "fair", "ann", ""]
    )
    status, answer = handed.take(file)
    assert (status, "1 unknown_queue_id, 1 unknown_label" in answer["error"]) == (5, True)
    assert "diary" not in json.dumps(answer)
    assert handed.sql("select count(*) from quarantine") == [(2,)]


def test_without_a_queue_id_an_item_or_the_source_s_own_id_names_what_is_labelled(handed):
    lines = [handed.items["a"], "good", "ann"], ["b", "bad", "ann"], ["later", "bad", "ann"]
    found = handed.take(handed.answer("done.csv", *lines, columns=("item_id", "label", "annotator_id")))[1]
    assert (counts(found), found["audits_answered"]) == ((3, 0, 0, 0), 0)
    asked = handed.sql("select document_id, handout_id from annotation")
    waits = Ids("tiny").id("document", "later")  # for its document
    assert set(asked) == {(handed.documents["a"], None), (handed.documents["b"], None), (waits, None)}


def test_answers_cannot_be_older_than_the_question(handed):
    status, answer = handed.take(handed.answer("d.csv", [handed.ids["a"], "", "good", "ann", ""]), as_of="2026-11-16")
    assert (status, "--as-of 2026-11-17 or later" in answer["error"]) == (2, True)
    assert handed.sql("select * from annotation") == []


@pytest.mark.parametrize("form", ["csv", "csv;", "csv\t", "jsonl", "json", "parquet", "csv.gz", "jsonl.gz"])
def test_a_table_is_read_in_any_form(handed, form):
    rows = [{"queue_id": handed.ids[one], "label": "good", "annotator_id": "ann"} for one in "ab"]
    form, mark = form.rstrip(";\t"), form[-1] if form[-1] in ";\t" else ","
    file = handed.folder / f"done.{form}"
    match form.removesuffix(".gz"):
        case "csv":
            lines = [mark.join(rows[0]), *(mark.join(row.values()) for row in rows)]
            raw = b"\xef\xbb\xbf" + "\r\n".join(lines).encode()
        case "jsonl":
            raw = "\n".join(map(json.dumps, rows)).encode()
        case "json":
            raw = json.dumps(rows, indent=1).encode()
        case "parquet":
            pq.write_table(pa.Table.from_pylist(rows), file)
            raw = file.read_bytes()
    file.write_bytes(gzip.compress(raw) if form.endswith(".gz") else raw)
    assert counts(handed.take(file)[1]) == (2, 0, 0, 0)


def saved(desk, name, records):
    file = desk.folder / name
    lines = "\n".join(json.dumps(record) for record in records)
    file.write_text(json.dumps(records) if name.endswith(".json") else lines)
    return file


def test_label_studio_s_export_brings_one_answer_per_annotation(handed):
    out, _ = handed.queue("tasks.json", "--format", "label-studio")
    tasks = {task["data"]["item_id"]: {"id": n, **task} for n, task in enumerate(json.loads(out.read_text()), 1)}
    a, b, c, d = (tasks[handed.items[one]] for one in "abcd")
    who = {"id": 7, "email": "ann@example.org", "first_name": "", "last_name": ""}
    a["annotations"] = [
        given_in_label_studio("good", 7), given_in_label_studio("bad", who | {"id": 8}),
        given_in_label_studio("bad", 9, was_cancelled=True),
    ]  # fmt: skip
    b["annotations"], b["predictions"] = [given_in_label_studio("fair", who), given_in_label_studio("bad", who)], [4, 5]
    c["annotations"] = [given_in_label_studio("good", who, origin="prediction")]
    d["total_annotations"] = 0  # a task without annotations has no such key
    status, found = handed.take(saved(handed, "export.json", list(tasks.values())))
    assert (status, found["format"], counts(found)) == (0, "label-studio", (3, 0, 2, 1))
    # what was made out of a prediction is not blind, whoever put the prediction there
    assert found["reasons"] == {"unknown_label": 1, "not_blind": 1}
    rows = handed.sql("select annotator_id, label, event_at::varchar from annotation order by all")
    time = "2026-11-18 12:00:00.5+00"
    assert rows == [("7", "bad", time), ("7", "good", time), ("8", "bad", time)]


def given_in_label_studio(label, who, origin="manual", was_cancelled=False):
    return {
        "id": 1, "completed_by": who, "was_cancelled": was_cancelled, "ground_truth": False,
        "created_at": "2026-11-18T11:59:00.000000Z", "updated_at": "2026-11-18T12:00:00.500000Z", "lead_time": 3.1,
        "result": [{"id": "x", "type": "choices", "origin": origin, "from_name": "label", "to_name": "text",
                    "value": {"choices": [label]}}],
    }  # fmt: skip


def test_label_studio_s_tables_are_read_too(handed):
    row = {"queue_id": handed.ids["a"], "text": "…", "label": "good", "id": 1, "annotator": 7, "annotation_id": 5,
           "created_at": "2026-11-18T11:59:00Z", "updated_at": NOON, "lead_time": 3.1}  # fmt: skip
    assert counts(handed.take(saved(handed, "min.json", [row]))[1]) == (1, 0, 0, 0)
    assert handed.sql("select annotator_id, event_at::varchar from annotation") == [("7", "2026-11-18 12:00:00+00")]


def test_one_task_alone_is_an_export_and_a_broken_one_costs_itself(handed):
    task = {"data": {"queue_id": handed.ids["a"]}, "annotations": [given_in_label_studio("good", 7)]}
    file = handed.folder / "one.json"
    file.write_text(json.dumps(task, indent=2))
    assert counts(handed.take(file)[1]) == (1, 0, 0, 0)
    other = json.dumps(task).replace("good", "bad")
    file.write_text(f'[{json.dumps(task)}, {{"data": 1, "data": 2}}, {{"data": {{}}, "annotations": 3}}, 5, {other}]')
    found = handed.take(file)[1]
    assert counts(found) == (1, 1, 3, 0)
    assert found["reasons"] == {"duplicate_key": 1, "bad_type": 1, "not_object": 1}


def test_argilla_s_records_bring_what_was_submitted(handed):
    records = read(handed.queue("records.json", "--format", "argilla")[0])
    flat = [
        record | {
            "label.responses": ["good", "bad", "bad"], "label.responses.users": ["u1", "u2", "u3"],
            "label.responses.status": ["submitted", "draft", "discarded"], "label.suggestion": None,
        }
        for record in records
    ]  # fmt: skip
    found = handed.take(saved(handed, "flat.json", flat))[1]
    assert (found["format"], counts(found), found["audits_answered"]) == ("argilla", (4, 0, 0, 8), 2)
    nested = [
        {"id": record["id"], "fields": {"text": "…"}, "metadata": {}, "suggestions": {}, "status": status,
         "responses": {"label": [{"value": "bad", "user_id": "u4"}]}}
        for record, status in zip(records, ["completed", "completed", "pending", "pending"], strict=True)
    ]  # fmt: skip
    assert counts(handed.take(saved(handed, "nested.json", nested))[1]) == (2, 0, 0, 2)
    seen = flat[0] | {"label.suggestion": "good", "label.responses.users": ["u5", "u6", "u7"]}
    assert handed.take(saved(handed, "seen.json", [seen, flat[1]]))[1]["reasons"] == {"not_blind": 1}


def test_prodigy_s_saved_tasks_bring_what_was_accepted(handed):
    tasks = read(handed.queue("tasks.jsonl", "--format", "prodigy")[0])
    meta = {"_view_id": "choice", "_annotator_id": "reviews-ann", "_timestamp": 1795003200, "_task_hash": 1}
    said = [("accept", ["good"]), ("accept", ["good", "bad"]), ("ignore", []), ("reject", ["good"])]
    done = [task | meta | {"answer": word, "accept": chosen} for task, (word, chosen) in zip(tasks, said, strict=True)]
    found = handed.take(saved(handed, "done.jsonl", done), as_of="2026-11-18")[1]
    # two labels at once are none; neither an ignored task nor a rejected one is a vote
    assert (found["format"], counts(found), found["reasons"]) == ("prodigy", (1, 0, 1, 2), {"unknown_label": 1})
    assert handed.sql("select annotator_id, epoch(event_at)::bigint from annotation") == [("reviews-ann", 1795003200)]


def test_doccano_s_export_names_nobody_so_the_command_must(handed):
    records = read(handed.queue("docs.jsonl", "--format", "doccano")[0])
    done = [
        {"id": n, "Comments": []} | record | {"label": label}
        for n, (record, label) in enumerate(zip(records, [["good"], ["bad"], [], ["good", "bad"]], strict=True))
    ]
    file = saved(handed, "all.jsonl", done)
    assert handed.take(file)[0] == 5
    found = handed.take(file, "--annotator", "ann")[1]
    assert (found["format"], counts(found), found["reasons"]) == ("doccano", (2, 0, 1, 1), {"unknown_label": 1})


def read(file):
    raw = file.read_text()
    return json.loads(raw) if raw.startswith("[") else [json.loads(line) for line in raw.splitlines()]


@pytest.mark.slow  # the README's commands do it too
def test_what_people_answer_to_a_night_s_queue_settles_the_item_the_next_night(written, line, tmp_path):
    labels = [f"{one} {who} good" for one in "ab" for who in ("ann", "bob")]
    texts = {one: told["text"] for one, told in TEXTS.items() if one != "d"}
    folder, home = written(tmp_path / "c", {DAY: texts}, {DAY: labels}), tmp_path / "home"
    assert line(folder, DAY, home)["release"].endswith(f"{DAY}.1")
    assert statuses(folder, home) == {"a": "human", "b": "human", "c": "review"}
    words = [str(folder), "--home", str(home)]
    assert main(["queue", *words, "-o", str(tmp_path / "queue.csv")]) == 0
    text = (tmp_path / "queue.csv").read_text()
    for who in ("ann", "bob"):
        (tmp_path / f"{who}.csv").write_text(text.replace("good | bad,,", f"good | bad,bad,{who}"))
        assert main(["import", *words, str(tmp_path / f"{who}.csv"), "--as-of", NEXT]) == 0
    assert line(folder, NEXT, home)["release"].endswith(f"{NEXT}.1")
    assert statuses(folder, home) == {"a": "human", "b": "human", "c": "human"}
    # and the night before is what it was
    assert line(folder, DAY, home)["status"] == "unchanged"


def statuses(folder, home):
    query = "select source_id, status from consensus join documents using (item_id)"
    return dict(sql(query, str(folder), str(home))["rows"])


BAD = [
    ("none.csv", None, 2, "there is no file"),
    (".", None, 2, "is a folder"),
    ("a.txt", b"queue_id,label\n", 2, "cannot tell the format"),
    ("a.zip", b"PK\x03\x04rest", 2, "an archive or a workbook"),
    ("a.csv", b"PK\x03\x04rest", 2, "an archive or a workbook"),
    ("a.csv", "queue_id,label\r\n1,gut\r\n".encode("utf-16"), 5, "1 bad_encoding"),
    ("a.csv", b"queue_id\n1\n", 5, "1 missing_field"),
    ("a.csv", b"queue_id,label\n1,\xff\xfe\n", 5, "1 bad_encoding"),
    ("a.csv", b'queue_id,label\n1,"open\n', 5, "1 bad_csv"),
    ("a.json", b"this is no json at all, it is a secret", 5, "bad_json"),
    ("a.json", b'{"data": {"secret": 1', 5, "1 truncated_source"),
    ("a.json", b"[" * 200_000, 5, "1 truncated_source"),
    ("a.json", b'[{"a": ' + b"[" * 90_000 + b"]" * 90_000 + b"}]", 5, "1 too_deep"),
    ("a.json", b'[{"data": {"secret": "' + b"x" * 1_100_000 + b'"}}]', 5, "1 too_large"),
    ("a.jsonl", b'{"queue_id": NaN, "label": "secret"}\n', 5, "1 bad_json"),
    ("a.parquet", b"PAR1 no more than that", 5, "1 truncated_source"),
    ("a.csv.gz", gzip.compress(b"queue_id,label\n1,good\n" * 999)[:60], 5, "truncated_source"),
    ("a.csv.gz", b"no gzip", 5, "1 truncated_source"),
]


@pytest.mark.parametrize("name, raw, code, said", BAD, ids=[f"{n}-{i}" for i, (n, *_) in enumerate(BAD)])
def test_a_file_that_cannot_be_read_is_refused_in_words_and_not_in_its_own(first_desk, tmp_path, name, raw, code, said):
    file = tmp_path / name
    if raw is not None:
        file.write_bytes(raw)
    status, answer = first_desk.take(file)
    assert (status, said in answer["error"]) == (code, True), answer
    assert "secret" not in answer["error"]


@pytest.mark.skipif(not EXPORTS.exists(), reason="needs the shared data")
@pytest.mark.parametrize(
    "name, form, answers, skipped",
    [
        ("label_studio/test_export_csv/csv_test2.json", "label-studio", 1, 0),
        ("label_studio/test_export_coco/data.json", "label-studio", 1, 0),  # boxes on a picture
        ("label_studio/test_export_csv/csv_test2_result.csv", "table", 1, 0),
        ("prodigy/annotated_reddit-INSULT-textcat.jsonl", "prodigy", 90, 410),  # accepted; rejected or ignored
        ("doccano/text_classification/example.jsonl", "doccano", 2, 1),
    ],
)
def test_tools_own_exports_are_recognised_and_each_of_their_answers_is_accounted_for(
    first_desk, name, form, answers, skipped
):
    run = started(str(first_desk.folder), home=str(first_desk.home))
    state = (EXPORTS / name).stat()
    file = File(name, EXPORTS / name, None, state.st_size, state.st_mtime_ns)
    assert recognised(file) == form
    reading = Answers(file, form, run)
    assert (len(list(reading)), reading.skipped) == (answers, skipped)


def test_an_empty_file_holds_no_answer(handed):
    file = handed.folder / "empty.csv"
    file.write_bytes(b"")
    status, found = handed.take(file)
    assert (status, counts(found)) == (0, (0, 0, 0, 0))


texts = st.text(alphabet='"\\,[]{} \né', max_size=8)
objects = st.lists(
    st.dictionaries(texts, texts | st.lists(texts | st.dictionaries(texts, texts)), max_size=3), max_size=4
)


@settings(max_examples=60, deadline=None)
@given(records=objects, size=st.integers(1, 40), indent=st.sampled_from([None, 2]))
def test_a_list_is_cut_where_its_elements_end_however_its_bytes_arrive(records, size, indent):
    raw = json.dumps(records, indent=indent, ensure_ascii=False).encode()
    blocks = [raw[at : at + size] for at in range(0, len(raw), size)]
    assert [json.loads(one) for one, _ in elements(iter(blocks), 1_000_000)] == records
    with pytest.raises(Damaged):
        list(elements(iter([raw[:-1]]), 1_000_000))
