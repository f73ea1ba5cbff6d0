"""Targets: copies of what the folder of releases holds, whole or not at all, and in step with it after every run."""

import json
import shutil
import threading
from datetime import timedelta
from pathlib import Path

import obstore
import pytest
import yaml

from schemas.curation.release import Target
from schemas.errors import AssayError
from tasks.release import ledger
from tasks.release.manifest import digest
from tasks.release.target import copied, in_step, seen, target_of
from tasks.release.target.bucket import Bucket
from tasks.release.target.hub import repointed
from tests import conftest

DAYS = ("2026-11-15", "2026-11-16")
FIRST, SECOND = "2026-11-15.1", "2026-11-16.1"


@pytest.fixture(scope="module")
def server():
    """Return the address of an S3 server on loopback, with a bucket."""
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patched:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patched.setenv(name, "of-this-test")
        patched.setenv("AWS_REGION", "us-east-1")
        moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        moto.start()
        host, port = moto.get_host_and_port()
        import boto3

        boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="bucket")
        yield f"http://{host}:{port}"
        moto.stop()


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Return the run that published the second of two releases; read only."""
    place = tmp_path_factory.mktemp("two")
    a = conftest.write_twelve(place / "a")
    return [conftest.run_line(a, day, place / "home")["run"] for day in DAYS][-1]


@pytest.fixture
def run(two, tmp_path):
    """Return a run whose releases and store may be changed."""
    shutil.copytree(two.folder, tmp_path / "a")
    shutil.copytree(two.home, tmp_path / "home")
    return two.model_copy(update={"folder": tmp_path / "a", "home": tmp_path / "home"})


def to(run, *targets, **settings):
    """Return the run with targets."""
    release = run.curation.release.model_copy(update={"targets": targets, **settings})
    return run.model_copy(update={"curation": run.curation.model_copy(update={"release": release})})


def bucket(server, path):
    return Target(kind="s3", path=f"s3://bucket/{path}", endpoint=server)


def files(place):
    return {file.relative_to(place).as_posix(): file.read_bytes() for file in place.rglob("*") if file.is_file() and not file.name.startswith(".")}  # fmt: skip


def held(store):
    """Return the bytes of every object below a target's prefix but the claims."""
    paths = [one["path"] for one in obstore.list(store).collect() if not one["path"].startswith(".")]
    return {path: bytes(obstore.get(store, path).bytes()) for path in paths}


def another(run, release):
    """Return the folder of another store's release of the same name: other bytes, another manifest."""
    place = shutil.copytree(run.releases / release, run.folder / "another" / release)
    for file in place.rglob("*.json*"):
        file.write_text(file.read_text() + "\n")
    return place


class Killed(BaseException):
    """The process is no more."""


def killed(monkeypatch, call, at, do, *arguments):
    """Do something that is killed at a call to the bucket: the `at`th, of `put` or `delete`."""
    real, calls = getattr(obstore, call), iter(range(at + 1))

    def dying(*args, **options):
        if next(calls) == at:
            raise Killed
        return real(*args, **options)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(obstore, call, dying)
        do(*arguments)


# --- what is copied


def test_a_folder_holds_the_same_releases_side_by_side_and_its_own_latest(run):
    run = to(run, Target(kind="folder", path="shared"))
    assert copied(run) == [{"kind": "folder", "path": "shared", "latest": SECOND, "error": None}]
    assert files(run.folder / "shared" / "tiny") == files(run.releases)
    copied(run)  # again: nothing to do
    assert seen(run)[0]["releases"] == [FIRST, SECOND]


def test_a_bucket_holds_the_same_bytes_and_no_secret_is_told(run, server):
    run = to(run, bucket(server, "same"))
    told = copied(run)
    assert (told[0]["latest"], told[0]["error"]) == (SECOND, None)
    assert held(target_of(run, run.curation.release.targets[0])._store) == files(run.releases)
    assert "of-this-test" not in json.dumps([told, seen(run)])


def test_a_hub_folder_shows_one_release_and_its_card_names_the_files(run):
    run = to(run, Target(kind="hub", path="hub"))
    copied(run)
    hub = run.folder / "hub"
    front = yaml.safe_load((hub / "README.md").read_text().split("---\n")[1])
    paths = [file["path"] for config in front["configs"] for file in config["data_files"]]
    assert paths
    for path in paths:
        assert path.startswith(f"{SECOND}/")
        assert (hub / path).read_bytes() == (run.releases / path).read_bytes()
    assert sorted(place.name for place in hub.glob("[!.]*")) == [SECOND, "README.md"]


@pytest.mark.slow
def test_the_library_of_the_hub_loads_such_a_folder(run, tmp_path):
    from datasets import load_dataset

    copied(to(run, Target(kind="hub", path="hub")))
    loaded = load_dataset(str(run.folder / "hub"), cache_dir=str(tmp_path / "cache"))
    splits = json.loads((run.releases / SECOND / "manifest.json").read_text())["splits"]
    assert {name: len(rows) for name, rows in loaded.items()} == {name: rows for name, rows in splits.items() if rows}


def test_only_the_paths_of_a_card_are_changed():
    card = "---\nlicense: mit\nconfigs:\n- data_files:\n  - {split: train, path: data/train.parquet}\n---\n# A --- B\n"
    assert repointed(card, FIRST).endswith("---\n# A --- B\n")
    front = yaml.safe_load(repointed(card, FIRST).split("---\n")[1])
    assert front == {"license": "mit", "configs": [{"data_files": [{"split": "train", "path": f"{FIRST}/data/train.parquet"}]}]}  # fmt: skip


# --- what changes there


@pytest.mark.parametrize("kind", ["folder", "s3", "hub"])
def test_a_rollback_moves_latest_back_and_what_has_expired_goes(kind, run, server):
    from flows.rollback import rollback

    settings = bucket(server, "back") if kind == "s3" else Target(kind=kind, path="there")
    run = to(run, settings)
    target = target_of(run, settings)
    in_step(run, target)
    rollback(str(run.folder), FIRST, str(run.home))
    in_step(run, target)
    assert target.latest() == FIRST
    ledger.record_expired(run, {SECOND: "its content"})
    in_step(run, target)
    assert target.releases() == {FIRST}


def test_a_copy_that_was_cut_short_is_finished(run, server):
    settings = bucket(server, "short")
    target = target_of(to(run, settings), settings)
    obstore.put(target._store, f"{FIRST}/train.jsonl", b"half of")  # no manifest yet: not there
    assert target.releases() == set()
    in_step(run, target)
    assert held(target._store) == files(run.releases)


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_files_that_a_copy_has_lost_come_back(kind, run, server):
    settings = bucket(server, "lost") if kind == "s3" else Target(kind=kind, path="there")
    target = target_of(to(run, settings), settings)
    in_step(run, target)
    if kind == "s3":
        obstore.delete(target._store, f"{FIRST}/train.jsonl")
        obstore.put(target._store, f"{FIRST}/report.html", b"half of")
    else:
        (target.root / FIRST / "train.jsonl").unlink()
        (target.root / FIRST / "report.html").write_text("half of")
    in_step(run, target)
    assert (held(target._store) if kind == "s3" else files(target.root)) == files(run.releases)


@pytest.mark.parametrize("call", ["put", "delete"])
def test_what_a_killed_writer_left_of_a_release_that_is_not_to_be_there_goes(call, run, server, monkeypatch):
    settings = bucket(server, f"killed-{call}")
    target = target_of(to(run, settings), settings)
    if call == "delete":
        in_step(run, target)
        killed(monkeypatch, "delete", 1, target.remove, SECOND)  # the manifest is gone, the rest is not
    else:
        killed(monkeypatch, "put", 5, target.put, run.releases / SECOND)
    assert any(path.startswith(SECOND) for path in held(target._store))
    ledger.record_rollback(run, {SECOND: "its content"}, to=FIRST)
    (run.releases / "LATEST").write_text(FIRST + "\n")
    in_step(run, target)
    assert not any(SECOND in one["path"] for one in obstore.list(target._store).collect())
    assert target.releases() == {FIRST}


def test_what_was_put_there_half_before_an_erasure_goes(run, server, monkeypatch):
    settings = bucket(server, "half")
    target, place = target_of(to(run, settings), settings), run.releases / SECOND
    before = digest(place)
    killed(monkeypatch, "put", 5, target.put, place)
    obstore.put(target._store, f"{SECOND}/evals.jsonl", b"a file that is no more")
    (place / "manifest.json").write_text((place / "manifest.json").read_text() + "\n")
    ledger.record_recut(run, SECOND, digest(place), before)
    in_step(run, target)
    assert held(target._store) == files(run.releases)


@pytest.mark.parametrize("kind", ["folder", "hub"])
def test_what_a_killed_writer_left_in_a_folder_goes(kind, run):
    settings = Target(kind=kind, path="there")
    target = target_of(to(run, settings), settings)
    in_step(run, target)
    for left in (".staging/x", f".going-{FIRST}/x", f"{FIRST}/train.jsonl", "2026-11-01.1/x"):
        (target.root / left).parent.mkdir(exist_ok=True)
        (target.root / left).write_text("a text")
    (target.root / f".{target.head}.new").write_text("a text")
    if kind == "folder":
        (target.root / FIRST / "manifest.json").unlink()
    in_step(run, target)
    assert [file.parent.name for file in target.root.rglob("*") if file.is_file() and file.read_text("latin1") == "a text"] == ["2026-11-01.1"]  # fmt: skip
    # which no store of ours ever published


@pytest.mark.parametrize("kind", ["folder", "s3", "hub"])
def test_what_an_erasure_changed_is_changed_there_too(kind, run, server):
    settings = bucket(server, "recut") if kind == "s3" else Target(kind=kind, path="there")
    target = target_of(to(run, settings), settings)
    in_step(run, target)
    manifest = run.releases / SECOND / "manifest.json"
    before = target.digest(SECOND)
    manifest.write_text(manifest.read_text() + "\n")
    ledger.record_recut(run, SECOND, digest(manifest.parent), before)
    in_step(run, target)
    assert target.digest(SECOND) != before
    assert target.latest() == SECOND


# --- what goes wrong


def test_a_target_out_of_reach_is_told_and_the_next_run_makes_up_for_it(run, server, tmp_path):
    gone = [Target(kind="s3", path="s3://nowhere-at-all/x", endpoint=server), Target(kind="folder", path="file/below")]
    (run.folder / "file").write_text("no folder")
    run = to(run, *gone, Target(kind="folder", path="shared"))
    first, second, third = copied(run)
    assert "NoSuchBucket" in first["error"]
    assert "file" in second["error"]
    assert third["error"] is None  # the others are served
    (run.folder / "file").unlink()
    assert copied(run)[1]["error"] is None


def test_another_release_of_the_same_name_is_neither_overwritten_nor_made_current(run):
    run = to(run, Target(kind="folder", path="shared"))
    other = run.folder / "shared" / "tiny" / SECOND
    shutil.copytree(run.releases / SECOND, other)
    (other / "manifest.json").write_text("{}")
    assert "another release named 2026-11-16.1" in copied(run)[0]["error"]
    assert (other / "manifest.json").read_text() == "{}"


def test_of_two_writers_of_one_name_the_second_touches_nothing(run, server):
    target, their = target_of(run, bucket(server, "two")), another(run, FIRST)
    target.put(run.releases / FIRST)
    before = held(target._store)
    with pytest.raises(AssayError, match=f"another release named {FIRST} is there already"):
        target.put(their)
    assert held(target._store) == before
    obstore.delete(target._store, f".claims/{FIRST}")  # put there when nobody claimed names yet
    with pytest.raises(AssayError, match=f"another release named {FIRST} is there already"):
        target.put(their)
    assert held(target._store) == before


def test_of_two_writers_of_one_name_at_once_one_gets_it_whole(run, server):
    places = [run.releases / FIRST, another(run, FIRST)]
    target, refused = target_of(run, bucket(server, "at-once")), []

    def put(place):
        try:
            target.put(place)
        except AssayError:
            refused.append(place)

    writers = [threading.Thread(target=put, args=(place,)) for place in places]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    (first,) = set(places) - set(refused)
    assert held(target._store) == {f"{FIRST}/{path}": content for path, content in files(first).items()}


@pytest.mark.parametrize("at", [1, 5])
def test_what_another_writer_is_putting_is_left_alone_for_a_day(at, run, server, monkeypatch):
    settings = bucket(server, f"live-{at}")
    target, their = target_of(to(run, settings), settings), another(run, FIRST)
    killed(monkeypatch, "put", at, target.put, their)
    before = held(target._store)
    with pytest.raises(AssayError, match=f"another release named {FIRST}"):
        in_step(run, target)
    assert held(target._store) == before
    target.put(their)  # it was not killed, only slow
    assert held(target._store) == files(run.folder / "another")
    obstore.delete(target._store, f"{FIRST}/manifest.json")
    monkeypatch.setattr("tasks.release.target.bucket._ABANDONED", timedelta(0))
    in_step(run, target)
    assert held(target._store) == files(run.releases)


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_neither_an_expiry_nor_an_erasure_touches_another_release_of_the_same_name(kind, run, server):
    settings = bucket(server, "theirs") if kind == "s3" else Target(kind=kind, path="there")
    target, their = target_of(to(run, settings), settings), another(run, FIRST)
    target.put(their)
    target.put(run.releases / SECOND)
    manifest, before = run.releases / SECOND / "manifest.json", digest(run.releases / SECOND)
    manifest.write_text(manifest.read_text() + "\n")
    ledger.record_recut(run, FIRST, digest(run.releases / FIRST), "what it was before")
    ledger.record_recut(run, SECOND, digest(run.releases / SECOND), before)
    with pytest.raises(AssayError, match=f"another release named {FIRST}"):
        in_step(run, target)
    assert target.digest(SECOND) == digest(run.releases / SECOND)  # what is ours was replaced all the same
    ledger.record_expired(run, {FIRST: "its content"})
    in_step(run, target)
    assert target.digest(FIRST) == digest(their)
    assert target.latest() == SECOND


def test_of_two_writers_the_higher_release_is_the_latest_whatever_their_order(server):
    names = [f"2026-11-{day:02}.{number}" for day in range(10, 14) for number in range(1, 4)]
    for turn in range(3):
        target = Bucket(f"s3://bucket/race-{turn}", server)
        writers = [threading.Thread(target=target.point, args=(name, set())) for name in names[turn:] + names[:turn]]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert target.latest() == "2026-11-13.3"
    target.point("2026-11-10.1", {"2026-11-13.3"})  # unless that one was withdrawn
    assert target.latest() == "2026-11-10.1"


@pytest.mark.parametrize(
    ("kind", "path", "said"),
    [("s3", "there", "s3://"), ("folder", "s3://bucket/x", "local"), ("hub", "s3://bucket/x", "local")],
)
def test_a_path_fits_its_kind(kind, path, said):
    with pytest.raises(ValueError, match=said):
        Target(kind=kind, path=path)


def test_a_target_is_not_the_folder_of_the_releases_itself():
    from schemas.curation.release import Release

    with pytest.raises(ValueError, match="is where the releases are"):
        Release(path="releases", targets=[Target(kind="folder", path=Path("./releases").as_posix())])
