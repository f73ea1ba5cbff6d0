"""A release: the same facts give the same name and the same bytes, whole or not at all."""

import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
from datetime import date
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from prefect.logging import disable_run_logger

from schemas.errors import AssayError
from schemas.run import started
from tasks import release
from tasks.known import known
from tasks.release import content, latest, ledger
from tasks.release import folder as folder_of
from tasks.sql import relation
from tasks.store import Store
from tests import conftest

DAY = "2026-11-17"


def files(folder):
    """Return the sha256 of every file that can be seen below a folder."""
    seen = [place for place in sorted(Path(folder).rglob("*")) if place.is_file() and place.name[0] != "."]
    return {place.relative_to(folder).as_posix(): sha256(place.read_bytes()).hexdigest() for place in seen}


def visible(folder):
    return sorted(place.name for place in Path(folder).glob("*") if place.name[0] != ".")


def manifest(folder, name):
    return json.loads((folder / "releases" / "tiny" / name / "manifest.json").read_text())


def current(folder):
    return (folder / "releases" / "tiny" / "LATEST").read_text()


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Return the folder of a curation of which one release has been published; to be read only."""
    folder = tmp_path_factory.mktemp("published")
    conftest.run_line(conftest.write_twelve(folder / "a"), DAY, folder / "home")
    return folder / "a"


# --- the same facts, the same bytes


def test_the_same_facts_give_the_same_bytes_in_another_folder_home_and_night_by_night(
    published, twelve, line, tmp_path
):
    other = twelve(tmp_path / "elsewhere" / "b")
    for day in ("2026-11-16", DAY):
        line(other, day, tmp_path / "home", labels="then")
    # the night before made a release too, so the parents differ; what was published does not
    assert visible(other / "releases" / "tiny") == ["2026-11-16.1", "2026-11-17.1", "LATEST"]
    one, two = manifest(published, "2026-11-17.1"), manifest(other, "2026-11-17.1")
    assert (one["parent"], two["parent"]) == (None, "2026-11-16.1")
    assert one | {"parent": None, "files": None} == two | {"parent": None, "files": None}
    names = ("train.jsonl", "data/train.parquet", "data/test.parquet", "checks.json", "certificate.json")
    one, two = (files(folder / "releases" / "tiny" / "2026-11-17.1") for folder in (published, other))
    assert [one[name] for name in names] == [two[name] for name in names]


@pytest.mark.slow
def test_a_second_run_has_nothing_to_do(twelve, line, tmp_path):
    folder = twelve(tmp_path / "a")
    assert line(folder, DAY, tmp_path / "home")["status"] == "published"
    before = files(folder / "releases")
    again = line(folder, DAY, tmp_path / "home")
    assert (again["status"], Path(again["release"]).name) == ("unchanged", "2026-11-17.1")
    assert files(folder / "releases") == before
    assert not again["run"].drafts.exists()  # they hold texts


@pytest.mark.parametrize(
    "lost",
    ["both", pytest.param("the release", marks=pytest.mark.slow), pytest.param("the store", marks=pytest.mark.slow)],
)
def test_what_is_lost_comes_back_with_the_same_name_and_bytes(lost, published, twelve, line, tmp_path):
    folder, home = tmp_path / "a", tmp_path / "home"
    shutil.copytree(published, folder)
    shutil.copytree(published.parent / "home", home)
    if lost != "the store":
        shutil.rmtree(folder / "releases" / "tiny" / "2026-11-17.1")
    if lost != "the release":
        shutil.rmtree(home)
    assert line(folder, DAY, home)["status"] == "published"
    assert files(folder / "releases") == files(published / "releases")


@pytest.mark.slow
def test_a_release_that_was_changed_is_reported_and_made_again_once_it_is_moved_away(published, line, tmp_path):
    folder, home = tmp_path / "a", tmp_path / "home"
    shutil.copytree(published, folder)
    shutil.copytree(published.parent / "home", home)
    place = folder / "releases" / "tiny" / "2026-11-17.1"
    (place / "manifest.json").write_text("{}")
    with pytest.raises(AssayError, match="not as it was published; move it away"):
        line(folder, DAY, home)
    place.rename(place.with_name("2026-11-17.1.changed"))
    line(folder, DAY, home)
    assert files(place) == files(published / "releases" / "tiny" / "2026-11-17.1")


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["1", "4242"])
def test_another_time_zone_locale_and_hash_seed_make_no_difference(seed, published, twelve, tmp_path):
    folder, home = twelve(tmp_path / "b"), tmp_path / "other home"
    odd = {"TZ": "Pacific/Chatham", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": seed, "PYTHONUTF8": "0"}
    code = "import sys; from pathlib import Path; from tests.conftest import run_line; run_line(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))"  # fmt: skip
    root = Path(__file__).resolve().parent.parent
    found = os.environ | odd | {"PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")])}
    subprocess.run([sys.executable, "-c", code, str(folder), DAY, str(home)], env=found, cwd=tmp_path, check=True)
    assert files(folder / "releases") == files(published / "releases")


# --- names, parents, LATEST


def test_late_labels_make_the_next_number_and_name_their_parent(written, line, tmp_path):
    documents = {DAY: {f"d{n}": text for n, text in enumerate(["cold soup", "good cake", "loud music"])}}
    labels = {DAY: [f"d{n} {who} good" for n in range(2) for who in ("ann", "bob")]}
    folder, home = written(tmp_path / "a", documents, labels), tmp_path / "home"
    line(folder, DAY, home)
    # a label file of the next day: a run for the 17th sees it only with labels `now`
    written(folder, {}, {"2026-11-18": ["d2 ann bad", "d2 bob bad"]})
    assert line(folder, DAY, home, labels="then")["status"] == "unchanged"
    assert line(folder, DAY, home, labels="now")["status"] == "published"
    assert line(folder, "2026-11-18", home)["status"] == "unchanged"  # the same facts, whatever the date
    found = [(name, manifest(folder, name)["parent"], sum(manifest(folder, name)["splits"].values())) for name in visible(folder / "releases" / "tiny")[:-1]]  # fmt: skip
    assert found == [("2026-11-17.1", None, 2), ("2026-11-17.2", "2026-11-17.1", 3)]
    assert current(folder) == "2026-11-17.2\n"


@pytest.mark.slow
def test_an_old_date_made_later_never_becomes_the_current_release(twelve, line, tmp_path):
    folder, home = twelve(tmp_path / "a"), tmp_path / "home"
    line(folder, DAY, home)
    assert line(folder, "2026-11-15", home)["status"] == "published"
    assert line(folder, "2026-11-15", home)["status"] == "unchanged"
    assert current(folder) == "2026-11-17.1\n"
    assert manifest(folder, "2026-11-15.1")["parent"] is None  # nothing earlier was there
    derived = Store(tmp_path / "home" / "tiny").connect()
    kept = home / "tiny" / "derived" / "latest" / "consensus.parquet"
    assert derived.sql(f"select count(*) from '{kept}'").fetchone() == (12,)  # not the four of the 15th


def test_a_name_is_ordered_by_date_and_then_by_number():
    names = ["2026-11-19.10", "2026-11-19.9", "2026-11-20.1"]
    assert sorted(names, key=folder_of.order) == ["2026-11-19.9", "2026-11-19.10", "2026-11-20.1"]


def standing(run, *names):
    """Let releases of these names stand in the run's folder."""
    for name in names:
        (run.releases / name).mkdir(parents=True)
        told = {"release": name, "parent": None, "content_id": name}
        (run.releases / name / "manifest.json").write_text(json.dumps(told))


def test_latest_only_moves_forward(twelve, tmp_path):
    run = started(str(twelve(tmp_path / "a")), date.fromisoformat(DAY), home=str(tmp_path))
    for name in ("2026-11-19.9", "2026-11-19.10", "2026-11-18.11"):
        standing(run, name)
        with release.alone(run.releases):
            latest.advance(run, name)
    assert folder_of.current(run.releases) == "2026-11-19.10"


@pytest.mark.parametrize("said", [None, b"", b"garbage", b"../../x", b"\xff\xfe", b"2099-01-01.1\n", b"2026-11-18.x"])
def test_a_lost_or_edited_latest_names_the_latest_release_that_stands_again(said, twelve, tmp_path):
    run = started(str(twelve(tmp_path / "a")), date.fromisoformat(DAY), home=str(tmp_path))
    standing(run, "2026-11-18.1", "2026-11-19.1", "2026-11-19.2")
    ledger.record_rollback(run, {"2026-11-19.2": "its content"}, to="2026-11-19.1")
    if said is not None:
        (run.releases / "LATEST").write_bytes(said)
    with release.alone(run.releases):
        latest.advance(run, "2026-11-18.1")  # an old date, run again
    assert folder_of.current(run.releases) == "2026-11-19.1"


@pytest.mark.slow
def test_a_name_that_another_store_took_meanwhile_is_not_taken_twice(twelve, line, tmp_path):
    # store B claimed 2026-11-17.1 and died; store A then published another content of that name into the same folder
    folder = twelve(tmp_path / "a")
    (folder / "labels" / "2026-11-17.csv").rename(tmp_path / "aside.csv")
    run = started(str(folder), date.fromisoformat(DAY), home=str(tmp_path / "B"))
    ledger.claim(run, "content of B")
    line(folder, DAY, tmp_path / "A")
    assert ledger.claim(run, "content of B").release == "2026-11-17.2"
    assert ledger.claim(run, manifest(folder, "2026-11-17.1")["content_id"]).release == "2026-11-17.1"


# --- whole or not at all


@pytest.mark.slow
def test_a_run_killed_at_any_write_is_finished_by_the_next(published, twelve, line, tmp_path):
    processes = multiprocessing.get_context("forkserver")  # what takes seconds to import is imported once
    processes.set_forkserver_preload(["tests.conftest", "tasks.release", "tasks.annotation", "great_expectations"])
    for kill_at in range(1, 100):
        folder, home = twelve(tmp_path / f"a{kill_at}"), tmp_path / f"home{kill_at}"
        ends = []
        for at in (kill_at, None):
            process = processes.Process(target=conftest.run_line_and_die, args=(folder, DAY, home, at))
            process.start()
            process.join()
            ends.append(process.exitcode)
        assert ends in ([-signal.SIGKILL, 0], [0, 0])
        assert files(folder / "releases") == files(published / "releases"), f"killed before write {kill_at}"
        if ends[0] == 0:
            break
    assert kill_at > 10


def test_a_folder_that_cannot_be_written_is_named(twelve, line, tmp_path):
    folder = twelve(tmp_path / "a")
    (folder / "releases").write_text("a file stands where the folder should")
    with pytest.raises(AssayError, match=r"releases.*: cannot be written \("):
        line(folder, DAY, tmp_path / "home")


@pytest.mark.slow
def test_facts_that_arrive_while_a_release_is_made_make_it_another_content(twelve, line, tmp_path):
    folder, home = twelve(tmp_path / "a"), tmp_path / "home"
    run = line(folder, "2026-11-16", home)["run"]
    with disable_run_logger():
        before = release.identify.fn(run, {})
        (folder / "labels" / "2026-11-14.csv").write_text("item,who,label,time\nd0,dee,good,2026-11-14T12:00:00Z\n")
        line(folder, "2026-11-16", home)
        after = release.identify.fn(run, {})
    assert before != after


# --- what a content is made of


@pytest.mark.slow
def test_every_fact_that_a_figure_rests_on_is_part_of_the_content(twelve, line, tmp_path):
    folder = twelve(tmp_path / "a")
    (folder / "labels" / "2026-11-18.csv").write_text("item,who,label,time\nunseen,ann,good,\n")  # waits
    run = line(folder, "2026-11-18", tmp_path / "home")["run"]
    facts = [json.loads(fact) for (fact,) in relation(known(run, {}), "fact_used").fetchall()]
    kinds = [fact[0] for fact in facts]
    assert {kind: kinds.count(kind) for kind in kinds} == {"document": 12, "split": 12, "vote": 36, "waiting": 1}


def test_a_damaged_file_is_part_of_the_content_until_it_is_mended(twelve, tmp_path):
    # both versions hold the same records; only what the gate says of the file differs
    run = started(str(twelve(tmp_path / "a")), date.fromisoformat(DAY), home=str(tmp_path))
    row = {"noun": "document", "path": "data/x.jsonl.gz", "sha256": "-", "bytes": 1, "modified_ns": 1, "read": 1,
           "accepted": 1, "duplicate": 0, "quarantined": 0, "available_on": run.as_of, "run_id": "r"}  # fmt: skip
    digests = [content.content_id(run, {})]
    for number, damage in enumerate(["EOFError", None]):
        at = run.started_at.replace(microsecond=number)
        Store(run.store).merge("file", [row | {"file_id": str(number), "damage": damage, "recorded_at": at}])
        digests.append(content.content_id(run, {}))
        counted = relation(known(run, {}), "frame/source").fetchone()[1]
        assert counted == (damage is not None)
    assert digests[0] == digests[2] != digests[1]


@pytest.mark.slow
def test_a_label_that_was_replaced_is_no_part_of_the_content(written, line, tmp_path):
    documents = {DAY: {"d0": "cold soup"}}
    one = written(tmp_path / "one", documents, {DAY: ["d0 ann bad", "d0 bob bad"]})
    two = written(tmp_path / "two", documents, {DAY: ["d0 ann good 2026-11-16T12:00:00Z", "d0 ann bad", "d0 bob bad"]})
    contents = [line(folder, DAY, tmp_path / f"home-{folder.name}")["content"] for folder in (one, two)]
    assert contents[0] == contents[1]
    assert files(one / "releases") == files(two / "releases")


# --- what a release holds


def test_the_manifest_lists_every_file_with_its_digest_size_and_rows(published):
    folder = published / "releases" / "tiny" / "2026-11-17.1"
    listed = {file["path"]: file for file in manifest(published, "2026-11-17.1")["files"]}
    assert listed.keys() | {"manifest.json"} == files(folder).keys()
    for path, file in listed.items():
        assert (file["sha256"], file["bytes"]) == (sha256((folder / path).read_bytes()).hexdigest(), (folder / path).stat().st_size)  # fmt: skip
        rows = {".parquet": lambda p: pq.read_metadata(p).num_rows, ".jsonl": lambda p: len(p.read_text().splitlines())}
        assert file["rows"] == rows.get(Path(path).suffix, lambda _: None)(folder / path)


def test_row_by_row_the_chats_and_the_table_say_the_same(published):
    folder = published / "releases" / "tiny" / "2026-11-17.1"
    count = 0
    for split in ("train", "validation", "test"):
        table = pq.read_table(folder / "data" / f"{split}.parquet").to_pylist()
        chats = [json.loads(line)["messages"] for line in (folder / f"{split}.jsonl").read_text().splitlines()]
        assert [row["item_id"] for row in table] == sorted(row["item_id"] for row in table)
        assert {row["split"] for row in table} <= {split}
        for row, chat in zip(table, chats, strict=True):
            assert json.loads(chat[-2]["content"].split("\n")[1])["text"] == row["text"]  # between its marks
            assert json.loads(chat[-1]["content"]) == {"label": row["label"]}
            count += 1
    assert count == 12


def test_nothing_in_a_release_tells_when_by_whom_or_where_it_was_made(published):
    runs = Store(published.parent / "home" / "tiny").connect().sql("select run_id, recorded_at from run").fetchall()
    told = {run_id for run_id, _ in runs} | {f"{at:%Y-%m-%dT%H:%M}" for _, at in runs} | {str(published)}
    for place in (published / "releases" / "tiny" / "2026-11-17.1").rglob("*"):
        if place.is_file():
            assert not [word for word in told if word.encode() in place.read_bytes()], place.name


def test_numbers_have_nine_digits_at_most(published):
    folder = published / "releases" / "tiny" / "2026-11-17.1"
    rows = [row for split in ("train", "validation", "test") for row in pq.read_table(folder / "data" / f"{split}.parquet").to_pylist()]  # fmt: skip
    shares = [row["posterior_share"] for row in rows] + [
        part["probability"] for row in rows for part in row["posterior"]
    ]
    assert {share for share in shares if 0 < share < 1} == {0.666666667, 0.333333333}  # two of three, one of three
    for name in ("manifest.json", "checks.json", "certificate.json", "croissant.json"):
        assert not re.search(r"\d\.\d{10}", (folder / name).read_text()), name


def test_without_a_certified_model_the_certificate_states_nothing(published):
    stated = json.loads((published / "releases" / "tiny" / "2026-11-17.1" / "certificate.json").read_text())
    assert stated["statement"] is None
    assert "nothing to certify" in stated["reason"]
