"""The review queue is handed out: in an order that tells nothing, without the model's label while there are audits."""

import csv
import io
import json
import stat
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from queued import AUDITED, DAY, PLAIN, Desk

from flows.__main__ import main
from schemas.curation import Labels
from tasks.handout import Entry, table
from tasks.store import Ids

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def first_desk(tmp_path_factory):
    return Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture
def desk(first_desk, tmp_path):
    return first_desk.copied(tmp_path)


def test_each_row_is_an_item_with_what_it_is_judged_by_and_room_for_an_answer(desk):
    out, rows = desk.draw(AUDITED).queue()
    assert list(rows["a"]) == [
        "queue_id", "item_id", "aspect", "text", "labels", "label", "annotator_id", "comment",
    ]  # fmt: skip
    assert rows["a"] == {
        "queue_id": Ids("tiny").id("handout", DAY, desk.items["a"], False), "item_id": desk.items["a"],
        "aspect": "food", "text": "'=cold soup, “again”", "labels": "good | bad", "label": "", "annotator_id": "",
        "comment": "",
    }  # fmt: skip
    assert rows["c"]["text"] == "loud\nmusic"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_nothing_in_the_file_tells_audits_from_the_rest(desk):
    first = desk.draw(AUDITED).queue("one.csv")[0].read_text()
    # the same items in the same order and with the same ids, whichever of them are audits
    desk.draw(dict(zip("dcba", ["audit", "typical", "dispute", "audit"], strict=True)))
    assert desk.queue("other.csv")[0].read_text() == first
    assert not any(word in first for word in ("audit", "dispute", "epoch", "0.5", "good,"))
    ids = [row["queue_id"] for row in csv.DictReader(io.StringIO(first))]
    assert ids == sorted(ids)


def test_the_figures_say_what_it_takes_and_hold_no_text(desk):
    file = desk.folder / "curation.yaml"
    file.write_text(file.read_text().replace("{budget: 2}", "{budget: 9, seconds_per_item: 45, usd_per_item: 0.25}"))
    desk.draw(AUDITED)
    status, found = desk.assay("queue", "-o", desk.folder / "q.csv")
    assert status == 0
    assert found == {
        "curation": "tiny", "as_of": DAY, "items": 4, "path": str(desk.folder / "q.csv"), "format": "table",
        "suggestions_shown": False, "minutes": 3.0, "usd": 1.0,
    }  # fmt: skip


def test_what_was_handed_out_is_a_fact_that_is_written_once(desk):
    desk.draw(AUDITED).queue()
    desk.queue("again.csv")
    rows = desk.sql(
        "select item_id, document_id, policy, epoch_id, inclusion_probability, seed, is_suggestion_shown, "
        "available_on::varchar from handout"
    )
    audit, plain = ("epoch_1", 0.5, "s", False, DAY), (None, None, None, False, DAY)
    assert sorted(rows) == sorted(
        (desk.items[one], desk.documents[one], policy, *(audit if policy == "audit" else plain))
        for one, policy in AUDITED.items()
    )


def test_models_labels_are_not_shown_while_the_queue_holds_an_audit(desk):
    desk.draw(AUDITED)
    status, answer = desk.assay("queue", "-o", desk.folder / "q.csv", "--show-suggestions")
    assert status == 2
    assert "without sight of the model's label" in answer["error"]
    assert not (desk.folder / "q.csv").exists()
    assert desk.sql("select * from handout") == []


def test_where_there_is_no_audit_they_may_be_shown_and_the_fact_says_so(desk):
    _, blind = desk.draw(PLAIN).queue("blind.csv")
    _, shown = desk.queue("shown.csv", "--show-suggestions")
    assert (shown["a"]["suggestion"], shown["a"]["label"]) == ("good", "")
    assert shown["a"]["queue_id"] != blind["a"]["queue_id"]
    assert sorted(desk.sql("select is_suggestion_shown, count(*) from handout group by 1")) == [(False, 2), (True, 2)]


def test_without_a_file_the_queue_is_printed_and_nothing_else_is(desk, capsys):
    desk.draw(AUDITED)
    assert main(["queue", str(desk.folder), "--home", str(desk.home)]) == 0
    said = capsys.readouterr()
    assert len(list(csv.DictReader(io.StringIO(said.out)))) == 4
    assert "queue of 2026-11-17: 4 items, about 2 minutes of people's time" in said.err
    assert "cake" not in said.err


def test_figures_alone_hand_nothing_out(desk):
    status, found = desk.draw(AUDITED).assay("queue")
    assert (status, found["items"], found["path"]) == (0, 4, None)
    assert desk.sql("select * from handout") == []


def test_no_queue_yet_is_a_wrong_request_and_an_empty_one_is_none(desk):
    status, answer = desk.assay("queue", "-o", desk.folder / "q.csv")
    assert (status, answer["error"]) == (2, "tiny has no review queue yet: `assay run` draws one")
    out, _ = desk.draw({}).queue("q.csv")
    assert out.read_text().startswith("queue_id,item_id,")
    assert desk.take(out)[1]["read"] == 0


@pytest.mark.parametrize(
    "out, arguments, said",
    [
        ("q.txt", [], "cannot tell the format"),
        ("q.json", [], "say for which tool: --format label-studio"),
        ("q.csv", ["--format", "label-studio"], "label-studio reads .json files"),
        ("q.csv", ["--format", "paper"], "one of table, label-studio, argilla, prodigy, doccano expected"),
        ("none/q.csv", [], "there is no folder"),
        ("none/q.json", ["--format", "argilla"], "there is no folder"),
        ("", [], "cannot tell the format"),
    ],
)
def test_a_file_that_cannot_be_written_is_a_wrong_request_and_nothing_is_handed_out(desk, out, arguments, said):
    status, answer = desk.draw(AUDITED).assay("queue", "-o", desk.folder / out, *arguments)
    assert (status, said in answer["error"]) == (2, True)
    assert desk.sql("select * from handout") == []


def test_label_studio_gets_tasks_and_a_labelling_interface(desk):
    out, found = desk.draw(AUDITED).queue("tasks.json", "--format", "label-studio")
    tasks = json.loads(out.read_text())
    assert len(tasks) == 4
    assert {frozenset(task) for task in tasks} == {frozenset({"data"})}  # nothing foretold
    assert {frozenset(task["data"]) for task in tasks} == {frozenset({"queue_id", "item_id", "text", "aspect"})}
    view = ElementTree.fromstring(Path(found["labelling_interface"]).read_text())
    assert [part.get("value") for part in view.iter("Header")] == ["aspect: $aspect"]
    assert [(part.get("value"), part.get("hint")) for part in view.iter("Choice")] == [
        ("good", "It is good."), ("bad", "It is bad."),
    ]  # fmt: skip


def test_label_studio_shows_a_suggestion_as_a_prediction_of_its_own_choice(desk):
    out, found = desk.draw(PLAIN).queue("tasks.json", "--format", "label-studio", "--show-suggestions")
    view = ElementTree.fromstring(Path(found["labelling_interface"]).read_text())
    control = next(view.iter("Choices"))
    [result] = json.loads(out.read_text())[0]["predictions"][0]["result"]
    assert (result["from_name"], result["to_name"]) == (control.get("name"), control.get("toName"))
    assert (result["type"], result["value"]) == ("choices", {"choices": ["good"]})


@pytest.mark.parametrize(
    "form, suggested",
    [("argilla", {"label": "good"}), ("prodigy", {"accept": ["good"]}), ("doccano", {"label": ["good"]})],
)
def test_other_tools_get_what_they_read(desk, form, suggested):
    name = "q.json" if form == "argilla" else "q.jsonl"
    desk.draw(PLAIN)
    blind, shown = (
        read(desk.queue(f"{word}{name}", "--format", form, *arguments)[0])
        for word, arguments in (("blind", []), ("shown", ["--show-suggestions"]))
    )
    assert all(record[key] == value for record in shown for key, value in suggested.items())
    assert not any(record.get(key) for record in blind for key in suggested)
    assert {record["text"] for record in blind} == {"=cold soup, “again”", "good cake"}


def read(file):
    raw = file.read_text()
    return json.loads(raw) if raw.startswith("[") else [json.loads(line) for line in raw.splitlines()]


def test_a_field_of_the_context_that_is_called_like_a_column_of_ours_is_told_apart():
    labels = Labels(kind="choice", values={"good": "It is good.", "bad": "It is bad."})
    columns, [row] = table.written([Entry("q", "i", "soup", {"label": "food", "table": 7})], labels)
    assert columns == [
        "queue_id",
        "item_id",
        "context_label",
        "table",
        "text",
        "labels",
        "label",
        "annotator_id",
        "comment",
    ]
    assert (row["context_label"], row["table"], row["label"]) == ("food", "7", None)


def test_it_starts_without_what_takes_seconds(desk):
    desk.draw(AUDITED)
    words = ["queue", str(desk.folder), "--home", str(desk.home), "-o", str(desk.folder / "q.csv")]
    program = f"import sys; from flows.__main__ import main; main({words!r}); print('prefect' in sys.modules, 'openai' in sys.modules)"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False False"
