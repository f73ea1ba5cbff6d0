"""Erasure: what was asked is gone from every byte that is ours, stays gone, and nothing else has moved."""

import csv
import gzip
import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import run_line, write
from prefect.logging import disable_run_logger

import flows.erase
from flows.__main__ import main
from flows.erase import erase
from flows.verify import verify
from schemas.curation import Fields
from schemas.errors import RequestError
from schemas.run import started
from tasks.annotation import import_labels
from tasks.document import read_documents
from tasks.erasure import facts, files, plan, raw, recut, report, tables
from tasks.erasure.scan import Scan
from tasks.erasure.sought import Sought, forms
from tasks.release import disk, target
from tasks.report.front_matter import tables as named_tables
from tasks.store import Ids, Store, at_work, removal

DAYS = ("2026-11-16", "2026-11-17")
# Of what Ann wrote, CANARY and SECOND are hers alone, SHARED somebody else says, too, and NEAR is all but SIMILAR.
CANARY, SECOND = (
    'canary7f3a says "the soup süß" was <b>cold</b> and came late',
    "canary9b1c would not come here again at all",
)
SHARED = "the cake made my day, and so did the terrace"
SIMILAR, NEAR = "the waiter forgot our drinks twice today", "the waiter forgot our drinks twice today!"
DOCUMENTS = {
    DAYS[0]: {
        "ann-0": {"text": CANARY, "group": "ann"}, "ann-1": {"text": SHARED, "group": "ann"},
        "bo-0": {"text": "far too loud to talk to anybody", "group": "bo"}, "ok-0": {"text": "ok", "group": "eve"},
        "ann-2": {"text": SIMILAR, "group": "ann"},
    },
    DAYS[1]: {
        "cy-0": {"text": SHARED, "group": "cy"},
        "cy-1": {"text": "prices have doubled since last spring", "group": "cy"},
        "bo-1": {"text": "parking is impossible around here", "group": "bo"},
        "ann-3": {"text": SECOND, "group": "ann"}, "cy-2": {"text": NEAR, "group": "cy"},
        "ok-1": {"text": "it is ok, I think, for what it costs", "group": "eve"},
        "bo-2": {"text": "a lovely evening with all our friends", "group": "bo"},
    },
}  # fmt: skip
GONE = (CANARY, SIMILAR, SECOND)
SETTINGS = {
    "release": "{formats: [messages, alpaca, evals, soft-labels], targets: [{kind: folder, path: copies}, {kind: hub, path: hub}]}",
    "card": "{examples: 10}",
}


def labels():
    """Return two people's labels of each document on the night it comes; they agree."""
    return {
        day: [f"{document} {who} {('good', 'bad')[number % 2]}" for number, document in enumerate(rows) for who in ("pat", "quin")]
        for day, rows in DOCUMENTS.items()
    }  # fmt: skip


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Return a folder with a curation, its home, and two releases; to be read only."""
    folder = tmp_path_factory.mktemp("erase")
    write(folder / "c", DOCUMENTS, labels(), **SETTINGS)
    for day in DAYS:
        assert run_line(folder / "c", day, folder / "home")["status"] == "published"
    left_about(folder)
    return folder


def left_about(folder):
    """Leave the text where texts may be: with a model's replies, in quarantine, in a killed run's files, in a queue."""
    run = started(str(folder / "c"), home=str(folder / "home"))
    ids, now = Ids("tiny"), datetime.now(UTC)
    item_id = ids.id("item", CANARY, "{}")
    reply = dict.fromkeys(["service_tier", "refusal", "logprobs"]) | {
        "reply_id": "reply_1", "annotator_id": "judge", "item_id": item_id, "model": "m", "model_served": "m", "usd": 0.5,
        "finish_reason": "stop", "content": f"I read: {CANARY}", "prompt_tokens": 1, "cached_tokens": 0,
        "completion_tokens": 1, "latency_ms": 1.0, "event_at": now, "recorded_at": now, "run_id": "r",
    }  # fmt: skip
    Store(run.store).merge("reply", [reply])
    journal = run.store / "journal"
    journal.mkdir(exist_ok=True)
    heard = reply | {"reply_id": "reply_2", "event_at": now.isoformat(), "recorded_at": now.isoformat()}
    (journal / "dead.jsonl").write_text(json.dumps({"answered": "x", "reply": heard}) + "\n")
    kept = {"noun": "document", "path": "data/x.jsonl", "sha256": "0", "reason": "id_conflict", "detail": None,
            "recorded_at": now, "available_on": now.date(), "run_id": "r"}  # fmt: skip
    Store(run.store).merge("quarantine", [
        kept | {"quarantine_id": "q1", "position": 1, "raw": json.dumps({"id": "ann-0", "text": "canary0000 altered"})},
        kept | {"quarantine_id": "q2", "position": 2, "raw": json.dumps({"id": "zed", "text": "another's"})},
    ])  # fmt: skip
    (run.store / "outbox").mkdir(exist_ok=True)
    (run.store / "outbox" / "batch_1.jsonl").write_text(json.dumps({"text": CANARY}) + "\n")
    rows = [["queue_id", "item_id", "text"], ["h1", item_id, CANARY], ["h2", "item_other", "another's"]]
    with (folder / "home" / "queue.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    with gzip.open(folder / "home" / "queue.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in (CANARY, "another's"))
    killed = run.store / "derived" / "a-killed-run"
    killed.mkdir(parents=True)
    (killed / "example.json").write_text(CANARY)
    staged = run.releases / ".staging"
    staged.mkdir()
    (staged / "train.jsonl").write_text(CANARY)


@pytest.fixture(scope="module")
def done(published, tmp_path_factory):
    """Return a copy of it from which Ann's group was erased, and what was told; to be read only."""
    desk = tmp_path_factory.mktemp("done") / "d"
    shutil.copytree(published, desk)
    assert len(held(desk)) > 20
    told = erase(str(desk / "c"), None, None, "ann", "ann's lawyer", False, str(desk / "home"))
    return desk, told, state(desk)


@pytest.fixture
def desk(published, tmp_path):
    """Return a copy of all that `published` holds."""
    shutil.copytree(published, tmp_path / "d")
    return tmp_path / "d"


def erased(desk, item=None, document=None, group=None, dry_run=False):
    return erase(str(desk / "c"), item, document, group, "ann's lawyer", dry_run, str(desk / "home"))


def held(desk, words=("canary",)):
    """Return the files of ours that hold a word: read here in its own way, bytes first, then what they unpack to."""
    places = [desk / "home", desk / "c" / "releases", desk / "c" / "copies", desk / "c" / "hub"]
    return sorted(
        place.relative_to(desk).as_posix()
        for root in places
        for place in root.rglob("*")
        if place.is_file() and any(word in _unpacked(place) for word in words)
    )


def _unpacked(place):
    seen = place.read_bytes().decode("latin-1")
    if place.suffix == ".gz":
        seen += gzip.decompress(place.read_bytes()).decode()
    return seen + str(pq.read_table(place).to_pylist()) if place.suffix == ".parquet" else seen


def rows(desk, query):
    return Store(desk / "home" / "tiny").connect().sql(query).fetchall()


def item(text):
    return Ids("tiny").id("item", text, "{}")


def published_rows(folder):
    """Return {release: {item: row}} of a folder of releases."""
    return {
        place.parent.parent.name + "/" + place.stem: {row["item_id"]: row for row in pq.read_table(place).to_pylist()}
        for place in sorted(folder.glob("2026-*/data/*.parquet"))
    }


# --- gone


def test_a_group_is_gone_from_every_file_of_ours_and_nothing_else_is(done):
    desk, told, _ = done
    assert held(desk) == []
    assert told["scan"]["bytes_left"] == 0
    # ann-0, ann-2 and ann-3 are items of her own; ann-1 says what cy-0 says, too
    assert sorted(told["items"]) == sorted(map(item, GONE))
    assert (told["kept"]["shared"], told["kept"]["similar"]) == ([item(SHARED)], [item(NEAR)])
    assert {name: cut["rows"] for name, cut in told["removed"]["releases"].items()} == {
        "2026-11-16.1": 2, "2026-11-17.1": 3,
    }  # fmt: skip
    left = {text for (text,) in rows(desk, "select text from item")}
    assert left == {row["text"] for day in DOCUMENTS.values() for row in day.values()} - set(GONE)


def test_the_splits_of_everything_else_and_what_they_are_called_stay(published, done):
    desk, _, _ = done
    before = dict(rows(published, "select item_id, split || rule from split"))
    after = dict(rows(desk, "select item_id, split || rule from split"))
    assert after == {one: split for one, split in before.items() if one not in map(item, GONE)}
    assert item(NEAR) in after  # whose split came from one that is gone


def test_a_release_keeps_its_name_and_every_other_row_and_says_what_it_was_cut_from(published, done):
    desk, told, _ = done
    was, now = (published_rows(root / "c" / "releases" / "tiny") for root in (published, desk))
    gone = set(told["items"])
    for name, before in was.items():
        assert list(now[name]) == [one for one in before if one not in gone]
        # the one that is shared does not name Ann's document, nor her group, any more; all others are as they were
        changed = {one: row for one, row in now[name].items() if row != before[one]}
        for one, row in changed.items():
            left = [
                document for document in json.loads(before[one]["document_ids"]) if document not in told["documents"]
            ]
            assert (one, row) == (item(SHARED), before[one] | {"group_id": None, "document_ids": json.dumps(left)})
    for name, cut in told["removed"]["releases"].items():
        manifest = json.loads((desk / "c" / "releases" / "tiny" / name / "manifest.json").read_text())
        assert manifest["redacted_from"] == [cut["previous_digest"]]
        assert "as they were measured" in manifest["measured"]
        assert verify(str(desk / "c" / "releases" / "tiny" / name), None, str(desk / "home"))["faults"] == []
    assert (desk / "c" / "releases" / "tiny" / "LATEST").read_text() == "2026-11-17.1\n"


@pytest.mark.slow
def test_a_release_that_has_lost_every_row_is_verified_and_its_targets_are_in_step(tmp_path):
    texts = {"d0": "far too loud to talk to anybody", "d1": "so many stairs"}
    labels = [f"{document} {who} good" for document in texts for who in ("pat", "quin")]
    folder = write(tmp_path / "c", {DAYS[0]: texts}, {DAYS[0]: labels}, **SETTINGS)
    release = Path(run_line(folder, DAYS[0], tmp_path / "home")["release"])
    for document in texts:
        told = erased(tmp_path, document=document)
    found = verify(str(release), None, str(tmp_path / "home"))
    assert (found["verified"], found["rows"], found["faults"]) == (True, 0, [])
    assert [(one["latest"], one["error"]) for one in told["removed"]["targets"]] == [(release.name, None)] * 2


def test_a_card_names_the_tables_that_have_rows_and_of_none_the_first():
    assert named_tables({"train": 2, "validation": 0, "test": 1}) == {
        "train": "data/train.parquet", "test": "data/test.parquet",
    }  # fmt: skip
    assert named_tables({"train": 0, "validation": 0, "test": 0}) == {"train": "data/train.parquet"}


def test_targets_hold_the_same_releases_again(done):
    desk, told, _ = done
    assert [target["error"] for target in told["removed"]["targets"]] == [None, None]
    for place in sorted((desk / "c" / "releases" / "tiny").glob("2026-*/manifest.json")):
        copy = desk / "c" / "copies" / "tiny" / place.parent.name / "manifest.json"
        assert copy.read_bytes() == place.read_bytes()


@pytest.mark.slow
def test_a_release_that_holds_none_of_it_stays_byte_for_byte(desk):
    place = desk / "c" / "releases" / "tiny"
    before = {file: (file.read_bytes(), file.stat().st_ino) for file in place.glob("2026-11-16.1/*") if file.is_file()}
    told = erased(desk, document="ann-3")
    assert list(told["removed"]["releases"]) == ["2026-11-17.1"]
    assert {file: (file.read_bytes(), file.stat().st_ino) for file in before} == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("document", "gone", "shared"),
    [("ann-0", [CANARY], []), ("ann-1", [], [SHARED]), ("ok-0", ["ok"], [])],
)
def test_a_documents_item_goes_with_it_unless_another_document_makes_it(document, gone, shared, desk):
    told = erased(desk, document=document)
    assert (told["items"], told["kept"]["shared"]) == ([item(text) for text in gone], [item(text) for text in shared])
    assert told["scan"]["bytes_left"] == 0
    assert rows(desk, f"select count(*) from document where source_id = '{document}'") == [(0,)]
    assert rows(desk, f"select count(*) from item where text = '{SHARED}'") == [(1,)]


def test_an_item_goes_with_all_its_documents(desk):
    told = erased(desk, item=item(SHARED))
    assert len(told["documents"]) == 2
    assert held(desk, [SHARED]) == []


def test_old_files_of_a_table_go_too(done):
    desk, _, _ = done
    for table in tables.TEXTS:
        folder = desk / "home" / "tiny" / table
        named = {line["add"]["path"] for log in (folder / "_delta_log").glob("*.json")
                 for line in map(json.loads, log.read_text().splitlines()) if "add" in line}  # fmt: skip
        assert {file.name for file in folder.glob("*.parquet")} <= named
        assert removal.found(Store(desk / "home" / "tiny"), table, {"item_id": [item(CANARY)]}) == 0


def test_of_quarantine_the_record_is_blanked_and_its_place_kept(done):
    desk, _, _ = done
    assert rows(desk, "select quarantine_id, raw, sha256 from quarantine where reason = 'id_conflict' order by 1") == [
        ("q1", "", ""), ("q2", '{"id": "zed", "text": "another\'s"}', "0"),
    ]  # fmt: skip


def test_a_text_that_was_only_ever_quarantined_goes_wherever_it_was_quarantined(tmp_path):
    long, kept = "Jane was born in this town, as was her mother. " * 1_300, "another's " * 6_000
    folder = write(
        tmp_path / "d" / "c", {"2026-11-16": {"jane": long, "": long, "zed": kept, "ok": "so many stairs"}}, {}
    )
    run = started(str(folder), date(2026, 11, 16), home=str(tmp_path / "d" / "home"))
    with disable_run_logger():
        run.curation.sources[0].trust.__dict__["max_quarantined_share"] = 1.0
        read_documents.fn(run, run.curation.sources[0])
    told = erased(tmp_path / "d", document="jane")
    # the record without an id holds the same text; zed's, which is as long, stays; both are cut at 64 KB
    assert rows(tmp_path / "d", "select raw = '' from quarantine order by position") == [(True,), (True,), (False,)]
    assert (told["scan"]["looked_for"]["anywhere"], told["scan"]["bytes_left"]) == (1, 0)
    assert told["not_ours"]["sources"] == ["data/2026-11-16.jsonl"]


SAID, BESIDE = "she said so herself, on Monday", "and her address is 12 High Street"


@pytest.mark.parametrize(
    ("record", "texts"),
    [
        (json.dumps({"id": "jane", "text": SAID, "note": BESIDE, "time": "2026-11-16T12:00:00Z"}), {SAID, BESIDE}),
        (json.dumps({"id": "jane", "text": "ok", "note": "so"}), {"ok"}),
        (json.dumps({"id": "jane", "text": None}), set()),
        (json.dumps({"id": "zed", "text": SAID, "group": "g1"}), {SAID}),
        (json.dumps({"id": "zed", "text": SAID, "note": "jane"}), set()),
        (f'{{"id": "jane", "n": 1, "text": "{SAID}', {SAID}),  # cut at 64 KB
        (f'{{"text": "{SAID}", "id": "jane",}}', {SAID}),  # no JSON
        (f'jane,"{SAID}",2026-11-16T12:00:00Z,ok\r\n', {SAID}),
        ("zed;" + SAID, set()),
        ('["jane"]', set()),
    ],
)
def test_the_texts_of_a_quarantined_record_are_told_where_it_names_what_goes(record, texts):
    fields = [Fields(id="id", group="group", time="time")]
    assert raw.texts(record, fields, {"jane"}, "g1", 12) == texts


def test_the_books_stay_right(done):
    desk, _, _ = done
    # two replies of half a dollar each went; four documents of Ann's are counted as set aside
    assert rows(desk, "select sum(usd_at_most), any_value(kind) from lost_call") == [(1.0, "erased")]
    assert rows(desk, "select count(*) from quarantine where reason = 'erased'") == [(4,)]


def test_queues_in_the_home_lose_the_rows_and_keep_the_others(done):
    desk, _, _ = done
    assert (desk / "home" / "queue.csv").read_text() == "queue_id,item_id,text\nh2,item_other,another's\n"
    assert gzip.decompress((desk / "home" / "queue.jsonl.gz").read_bytes()) == b'{"text": "another\'s"}\n'


# --- stays gone


def test_it_never_comes_in_again_and_neither_do_labels_for_it(done, tmp_path):
    desk = tmp_path / "d"
    shutil.copytree(done[0], desk)
    day = "2026-11-18"
    later = {
        "ann-0": {"text": CANARY, "group": "ann"}, "ann-9": {"text": "canary8888 is new", "group": "ann"},
        "ann-3": {"text": "canary9999 is another group's now", "group": "dee"}, "dee-0": {"text": "so many stairs", "group": "dee"},
    }  # fmt: skip
    write(desk / "c", {day: later}, {day: [f"{document} pat good" for document in later]}, **SETTINGS)
    run = started(str(desk / "c"), date.fromisoformat(day), home=str(desk / "home"))
    with disable_run_logger():
        read_documents.fn(run, run.curation.sources[0])
        import_labels.fn(run, run.curation.people[0])
    reasons = "select noun, count(*), max(raw), max(sha256) from quarantine where reason = 'erased' and available_on = '2026-11-18' group by noun order by noun"  # fmt: skip
    assert rows(desk, reasons) == [("annotation", 3, "", ""), ("document", 3, "", "")]
    assert rows(desk, "select erased, quarantined, accepted from file where path = 'data/2026-11-18.jsonl'") == [
        (3, 3, 1)
    ]
    assert held(desk) == []


@pytest.mark.slow
def test_what_is_refused_as_erased_is_no_fault_of_its_source(desk):
    erased(desk, group="ann")
    (desk / "c" / "data" / "2026-11-18.jsonl").write_text(
        json.dumps({"id": "ann-0", "text": CANARY, "group": "ann"}) + "\n"
    )
    # all of the file's records are set aside; the limit is half of them
    assert run_line(desk / "c", "2026-11-18", desk / "home")["status"] in ("published", "unchanged")


@pytest.mark.slow
def test_the_next_release_of_the_same_date_is_without_it(desk):
    erased(desk, group="ann")
    again = run_line(desk / "c", DAYS[1], desk / "home")
    assert (again["status"], Path(again["release"]).name) == ("published", "2026-11-17.2")
    assert held(desk) == []


# --- told


def test_the_report_names_ids_and_no_text_and_is_signed(done):
    desk, told, _ = done
    place, told = Path(told["report"]), {key: value for key, value in told.items() if key != "report"}
    assert json.loads(place.read_text()) == told
    run = started(str(desk / "c"), home=str(desk / "home"))
    assert report.is_genuine(run, told)
    assert not report.is_genuine(run, told | {"by": "somebody else"})
    assert told["asked"] == {"noun": "group", "id": Ids("tiny").id("group", "ann")}
    assert told["not_ours"]["sources"] == [f"data/{day}.jsonl" for day in DAYS]
    page = place.with_suffix(".html").read_text()
    assert "ann&#39;s lawyer" in page
    assert "0 bytes of its text are left" in page


@pytest.mark.slow
def test_a_batch_that_was_sent_the_text_is_named(desk):
    event = dict.fromkeys(["remote_id", "requests", "status", "answered", "failed", "usd_at_most"]) | {
        "batch_key": "k", "base_url": "http://e", "annotator_id": "judge", "recorded_at": datetime.now(UTC), "run_id": "r"}  # fmt: skip
    Store(desk / "home" / "tiny").merge("batch", [
        event | {"event_id": "k:planned", "step": "planned", "requests": json.dumps([["reply_3", item(CANARY)]])},
        event | {"event_id": "k:submitted", "step": "submitted", "remote_id": "batch-77"},
    ])  # fmt: skip
    assert [batch["remote_id"] for batch in erased(desk, group="ann")["not_ours"]["batches"]] == ["batch-77"]
    assert removal.found(Store(desk / "home" / "tiny"), "batch", {"batch_key": ["k"]}) == 2


@pytest.mark.slow
def test_a_dry_run_says_the_same_and_does_nothing(desk):
    before = {file: file.read_bytes() for file in desk.rglob("*") if file.is_file() and file.suffix != ".lock"}
    planned = erased(desk, group="ann", dry_run=True)
    assert {file: file.read_bytes() for file in desk.rglob("*") if file.is_file() and file.suffix != ".lock"} == before
    done = erased(desk, group="ann")
    assert planned["removed"]["releases"].keys() == done["removed"]["releases"].keys()
    # but for the reply in the journal, which is taken over only when something is done
    assert done["removed"]["tables"] == planned["removed"]["tables"] | {"reply": 2}
    assert planned["scan"] is None


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"group": "anne"}, "has no group 'anne'; the nearest: ann"),
        pytest.param({"document": "ann-00"}, "has no document 'ann-00'; the nearest: ann-0", marks=pytest.mark.slow),
        pytest.param({"item": "item_0"}, "has no item 'item_0'; the nearest: item_", marks=pytest.mark.slow),
        ({}, "one of --item ID, --document ID and --group G expected"),
    ],
)
def test_what_is_not_there_cannot_be_erased(asked, says, published):
    with pytest.raises(RequestError, match=says):
        erased(published, **asked)


def test_what_was_erased_is_not_erased_twice(done):
    desk, _, _ = done
    for asked, says in [({"group": "ann"}, "was erased on"), ({"document": "ann-0"}, "erased with another"),
                        ({"item": item(CANARY)}, "erased with another")]:  # fmt: skip
        with pytest.raises(RequestError, match=says):
            erased(desk, **asked)


def test_a_run_at_work_is_not_disturbed(desk):
    with at_work(desk / "home" / "tiny"), pytest.raises(RequestError, match="is at work"):
        erased(desk, group="ann")
    assert held(desk)


@pytest.mark.slow
def test_what_cannot_be_removed_is_named_and_the_exit_status_says_so(desk, capsys):
    (desk / "home" / "notes.txt").write_text(f"{CANARY}, she wrote")
    words = ["erase", str(desk / "c"), "--group", "ann", "--home", str(desk / "home")]
    assert main(words) == 1
    said = capsys.readouterr().out
    assert f"{len(CANARY.encode())} bytes left" in said
    assert "notes.txt" in said
    (desk / "home" / "notes.txt").unlink()
    assert main(words) == 0  # it goes on from there
    assert not list((desk / "home" / "tiny" / plan.FOLDER).glob("*"))


def test_an_erasure_that_could_not_reach_a_target_is_not_finished_before_it_can(desk, capsys):
    copies = desk / "c" / "copies"
    copies.rename(desk / "away")
    copies.touch()  # a file stands where the folder was
    words = ["erase", str(desk / "c"), "--document", "ann-0", "--home", str(desk / "home")]
    assert main(words) == 1
    said = capsys.readouterr().out
    assert "bring targets back" in said and "0 bytes left" in said
    copies.unlink()
    (desk / "away").rename(copies)
    assert main(words) == 0
    assert not list((desk / "home" / "tiny" / plan.FOLDER).glob("*"))
    manifests = [sorted(root.rglob("2026-*/manifest.json")) for root in (desk / "c" / "releases", copies)]
    assert [one.read_bytes() for one in manifests[0]] == [one.read_bytes() for one in manifests[1]] != []


# --- whole or again


STEPS = [
    (facts, "start", 1), (files, "remove", 1), (tables, "rewrite", 1), (tables, "rewrite", 4), (tables, "rewrite", 8),
    (tables, "purge", 2), (recut, "recut", 2), (disk, "move", 3), (disk, "move", 6), (disk, "move", 9), (disk, "move", 12),
    (target, "copied", 1), (report, "write", 1), (facts, "finish", 1), (plan, "forget", 1),
]  # fmt: skip
QUICK = [("before", (tables, "rewrite", 8))]


def state(desk):
    """Return what an erasure leaves: the rows of the tables, and the bytes of the releases."""
    told = {table: rows(desk, f"select * exclude (recorded_at) from {table} order by all") for table in
            ("document", "item", "split", "annotation", "reply", "erasure")}  # fmt: skip
    releases = desk / "c" / "releases" / "tiny"
    return told | {
        str(file.relative_to(releases)): file.read_bytes() for file in releases.glob("2026-*/**/*") if file.is_file()
    }


@pytest.mark.parametrize(
    ("when", "step"),
    [
        pytest.param(when, step, marks=[] if (when, step) in QUICK else pytest.mark.slow, id=f"{when}-{step[1]}-{step[2]}")
        for when in ("before", "after")
        for step in STEPS
    ],
)  # fmt: skip
def test_an_erasure_stopped_at_any_step_is_finished_by_the_next(when, step, desk, done, monkeypatch):
    place, name, count = step
    real, calls = getattr(place, name), iter(range(1, 1000))

    def stops(*arguments):
        is_it = next(calls) == count
        if is_it and when == "before":
            raise KeyboardInterrupt
        result = real(*arguments)
        if is_it:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patched:
        patched.setattr(place, name, stops)
        with pytest.raises(KeyboardInterrupt):
            erased(desk, group="ann")
    if (when, name) == ("after", "forget"):  # it was done
        return
    told, (_, before, left) = erased(desk, group="ann"), done
    timeless = ("finished_at", "started_at", "scan", "signature", "report")
    assert {key: value for key, value in told.items() if key not in timeless} == {
        key: value for key, value in before.items() if key not in timeless
    }
    assert held(desk) == []
    assert state(desk) == left


@pytest.mark.slow
def test_the_next_erasure_finishes_the_one_before_and_then_its_own(desk, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        patched.setattr(flows.erase.tables, "remove", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            erased(desk, document="ann-0")
    capsys.readouterr()
    main(["status", str(desk / "c"), "--home", str(desk / "home")])
    assert "is not finished: the next `assay erase` finishes it" in capsys.readouterr().out
    erased(desk, document="ann-3")
    assert held(desk, ["canary7f3a", "canary9b1c"]) == []
    assert len(list((desk / "home" / "tiny" / "erasures").glob("*.json"))) == 2


# --- the scan


@pytest.mark.parametrize(
    "text", ["plain and long enough", 'with "quotes" and \\', "süß, 中文 and 🙂", "<b>a & b's</b>"]
)
@pytest.mark.parametrize("shown", ["json", "ascii", "chat", "html", "parquet", "gz", "text"])
def test_a_scan_finds_a_text_in_whatever_form_it_stands(shown, text, tmp_path):
    import pyarrow as pa
    from markupsafe import escape

    place = tmp_path / {"parquet": "f.parquet", "gz": "f.gz"}.get(shown, "f")
    if shown == "parquet":
        pq.write_table(pa.table({"a": [[{"b": f"it is {text}."}]]}), place, write_statistics=False)
    else:
        inner = {"json": json.dumps({"t": text}, ensure_ascii=False), "ascii": json.dumps({"t": text}), "html": str(escape(text)),
                 "chat": json.dumps({"content": f"it\n{json.dumps({'text': text}, ensure_ascii=False)}"})}.get(shown, text)  # fmt: skip
        place.write_bytes(gzip.compress(inner.encode()) if shown == "gz" else inner.encode())
    assert Scan(Sought([text], [], 0)).folders([tmp_path])[0].place == place
    assert Scan(Sought(["another text altogether"], [], 0)).folders([tmp_path]) == []


def test_a_text_across_two_blocks_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.erasure.scan.BLOCK", 16)
    (tmp_path / "f").write_text("x" * 10 + "a text of some length" + "y" * 30)
    assert Scan(Sought(["a text of some length"], [], 0)).folders([tmp_path])


def test_a_short_text_is_looked_for_as_a_whole_value(tmp_path):
    scan = Scan(Sought([], ["ok"], 0))
    (tmp_path / "a").write_text(json.dumps({"text": "it is ok", "why": "book"}))
    assert scan.folders([tmp_path]) == []
    (tmp_path / "b").write_text(json.dumps({"content": json.dumps({"text": "ok"})}))
    assert [found.place.name for found in scan.folders([tmp_path])] == ["b"]


def test_forms_are_the_text_itself_where_there_is_nothing_to_escape():
    assert forms("nothing special") == ["nothing special"]


# --- lines


@pytest.mark.parametrize("block", [1, 3, 7, 1000])
@pytest.mark.parametrize("dropped", [[], [0], [4], [0, 1, 2, 3, 4], [1, 3]])
def test_lines_are_dropped_wherever_blocks_end(block, dropped, tmp_path, monkeypatch):
    lines = ["a\n", "bb\n", "\n", "cccc\n", "ddddd\n"]
    (tmp_path / "old").write_text("".join(lines))
    monkeypatch.setattr(recut, "BLOCK", block)
    recut._copy_lines(tmp_path / "old", tmp_path / "new", iter(dropped))
    assert (tmp_path / "new").read_text() == "".join(line for number, line in enumerate(lines) if number not in dropped)
