"""Publishing is stopped at every single write, and what was not on the disk by then is lost: the next run finishes it."""

import errno
import json
import shutil
from contextlib import contextmanager
from datetime import date
from hashlib import sha256
from itertools import cycle

import pytest
from prefect.logging import disable_run_logger

from schemas.errors import AssayError, RequestError
from schemas.run import started
from tasks import release
from tasks.annotation import import_labels
from tasks.consensus import measure_agreement, settle
from tasks.document import read_documents
from tasks.example import choose_examples
from tasks.item import find_neighbours, make_items
from tasks.release import disk, ledger
from tasks.release.evidence import evidence
from tasks.release.folder import alone, current
from tasks.release.latest import return_to
from tasks.release.target import copied
from tasks.split import assign_splits
from tasks.store import Store, tables
from tests import conftest

RELEASE = "{keep: 2, targets: [{kind: folder, path: shared}, {kind: hub, path: hub}]}"
CONTENT = {"passed": True, "failed": [], "suites": []}
PLACES = ("releases/tiny", "shared/tiny")


class Stopped(BaseException):
    """The power goes: nothing catches it."""


class Disk:
    """The disk, which stops at one of its writes; `lose` then takes back what it was not yet told to keep."""

    def __init__(self, patched, stop_at=None, fault=Stopped):
        self.points, self._stop_at, self._fault, self._unsure = 0, stop_at, fault, []
        real = {name: getattr(disk, name) for name in ("writing", "sync", "move", "remove")}
        merge, wait = Store.merge, tables._wait_for

        @contextmanager
        def writing(place):
            self.point()
            for folder in reversed([place.parent, *place.parent.parents]):
                if not folder.exists():
                    folder.mkdir()
                    self._depends(folder, lambda at: shutil.rmtree(at, ignore_errors=True), folder.parent)
            with real["writing"](place) as file:
                yield file
                file.flush()
                self.point(lambda: file.truncate(file.tell() // 2))
            self._depends(place, lambda at: at.unlink(missing_ok=True), place.parent)

        def sync(place):
            self.point()
            real["sync"](place)
            self._keeps(place)

        def move(old, new):
            self.point()
            before = new.read_bytes() if new.is_file() else None
            real["move"](old, new)
            self._depends(new, lambda at: self._move_back(old, at, before), new.parent, moved_from=old)

        def remove(place):
            self.point()
            if place.is_dir():
                self.point(lambda: [file.unlink() for file in sorted(place.rglob("*.*l*")) if file.is_file()])
            real["remove"](place)

        def waited(*places):
            self.point()
            wait(*places)
            self._waited |= {*places, *(place.parent for place in places)}

        def merged(store, table, rows):
            self.point()
            before, self._waited = set((store.folder / table).rglob("*")), set()
            try:
                return merge(store, table, rows)
            finally:
                for place in sorted(set((store.folder / table).rglob("*")) - before):
                    if missing := {place, place.parent} - self._waited:
                        self._depends(place, lambda at: at.unlink(missing_ok=True), *missing)

        for name, function in {"writing": writing, "sync": sync, "move": move, "remove": remove}.items():
            patched.setattr(disk, name, function)
        patched.setattr(Store, "merge", merged)
        patched.setattr(tables, "_wait_for", waited)

    def point(self, half_way=None):
        """Count a write; at the one to stop at, do half of it and stop."""
        self.points += 1
        if self.points == self._stop_at:
            if half_way:
                half_way()
            raise self._fault

    def _depends(self, place, undo, *needs, moved_from=None):
        self._unsure.append({"place": place, "undo": undo, "needs": set(needs), "from": moved_from})

    def _keeps(self, place):
        for write in self._unsure:
            write["needs"].discard(place)
        for sure in [write for write in self._unsure if not write["needs"]]:
            self._unsure.remove(sure)
            for write in self._unsure if sure["from"] else ():  # what was written under the old name
                if write["place"].is_relative_to(sure["from"]):
                    write["place"] = sure["place"] / write["place"].relative_to(sure["from"])

    def _move_back(self, old, new, before):
        if new.exists():
            new.rename(old)
        if before is not None:
            new.write_bytes(before)

    def lose(self):
        """Take back, the youngest first, every write that a sync has not made sure of."""
        for write in reversed(self._unsure):
            write["undo"](write["place"])


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """Return a run about to publish its third release, the folder all is in, and a copy of it as it was."""
    place = tmp_path_factory.mktemp("crash")
    folder, home = conftest.write_twelve(place / "at" / "a", release=RELEASE), place / "at" / "home"
    for day in ("2026-11-15", "2026-11-16", "2026-11-17"):
        run = started(str(folder), date.fromisoformat(day), home=str(home))
        with disable_run_logger():
            content = _chosen(run)
        if day < "2026-11-17":
            publish(run, content)
    shutil.copytree(place / "at", place / "was")
    with pytest.MonkeyPatch.context() as patched:
        figures = evidence(run, {})
        patched.setattr(release, "evidence", lambda *_: figures)  # the same each time, and slow
        yield run, content, place


def _chosen(run):
    """Return the content of the run, its examples chosen and everything before them done."""
    read_documents.fn(run, run.curation.sources[0])
    for stage in (make_items, find_neighbours, assign_splits):
        stage.fn(run)
    import_labels.fn(run, run.curation.people[0])
    settle.fn(run, {})
    measure_agreement.fn(run, {})
    choose_examples.fn(run)
    return release.identify.fn(run, {})


def publish(run, content):
    """Do what a run does once its examples are chosen; the gate, which writes nothing here, is content."""
    with disable_run_logger():
        ended = release.recall.fn(run, content)
        if ended is None:
            with alone(run.releases):
                release.stage_files.fn(run)
                found = release.record.fn(run, {}, content, CONTENT)
                ended = release.publish.fn(run, content, CONTENT, found)
        ended = release.make_current.fn(run, ended)
        faults = [told["error"] for told in release.copy.fn(run) if told["error"]]
    if faults:
        raise AssayError(faults[0])
    return ended["status"]


def roll_back(run, _):
    """Do what `assay rollback` does: return to the release before."""
    with alone(run.releases):
        withdrawn = return_to(run, "2026-11-16.1")
    faults = [told["error"] for told in copied(run) if told["error"]]
    if faults:
        raise AssayError(faults[0])
    return withdrawn


def tree(folder):
    """Return the sha256 of every file that can be seen below a folder."""
    seen = [place for place in sorted(folder.rglob("*")) if place.is_file() and not place.name.startswith(".")]
    return {
        place.relative_to(folder).as_posix(): sha256(place.read_bytes()).hexdigest()
        for place in seen
        if not any(part.startswith(".") for part in place.relative_to(folder).parts)
    }


def published(place):
    return {name: tree(place / "at" / "a" / name) for name in ("releases", "shared", "hub")}


def facts(run):
    """Return how many entries the ledger has of each kind."""
    kinds = ("verdict", "claim", "published", "expired", "rollback")
    return {kind: len(ledger.entries(run, kind)) for kind in kinds}


def check_whole(folder):
    """Assert that every release that can be seen is whole, the current one among them."""
    for name in (*PLACES, "hub"):
        for manifest in (folder / name).glob("[0-9]*"):
            listed = json.loads((manifest / "manifest.json").read_text())["files"]
            told = {file["path"]: file["sha256"] for file in listed}
            assert tree(manifest) == told | {"manifest.json": tree(manifest)["manifest.json"]}, manifest
    for name in PLACES:
        assert (folder / name / current(folder / name) / "manifest.json").exists()
        assert "2026-11-16.1" in {place.name for place in (folder / name).iterdir()}  # what was there is not lost
    card = (folder / "hub" / "README.md").read_text()
    data = [line.split("path: ")[1] for line in card.splitlines() if "path: " in line]
    assert data
    assert all((folder / "hub" / path).exists() for path in data)


@pytest.fixture(scope="module")
def undisturbed(before):
    """Return, for each command, how many writes it makes, where it starts, and what it leaves if nothing stops it."""
    run, content, place = before
    found, start = {}, place / "was"
    for do, says, now in ((publish, "published", "2026-11-17.1"), (roll_back, ["2026-11-17.1"], "2026-11-16.1")):
        with pytest.MonkeyPatch.context() as patched:
            counted = Disk(patched)
            assert do(run, content) == says
        assert current(run.releases) == now
        found[do] = counted.points, start, (published(place), facts(run))
        start = place / do.__name__
        shutil.copytree(place / "at", start)
    return found


def sweep(do, before, undisturbed, points, faults, is_lost):
    """Return the writes at which a command was stopped, by the faults in turn, and given again did not leave the same."""
    run, content, place = before
    (_, start, left), otherwise = undisturbed[do], []
    for stop_at, fault in zip(points, cycle(faults), strict=False):
        shutil.rmtree(place / "at")
        shutil.copytree(start, place / "at")
        with pytest.MonkeyPatch.context() as patched:
            worn = Disk(patched, stop_at, fault)
            with pytest.raises(Stopped if fault is Stopped else AssayError):
                do(run, content)
        if is_lost:
            worn.lose()
        check_whole(place / "at" / "a")
        finish(do, run, content)
        if (published(place), facts(run)) != left:
            otherwise.append(stop_at)
    return otherwise


def finish(do, run, content):
    """Give the command again; where it was as good as done, the next run does the rest."""
    try:
        do(run, content)
    except RequestError as said:
        assert "is the current release already" in str(said)
        assert publish(run, content) == "unchanged"


FULL, BROKEN = OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize(("do", "every"), [(publish, 33), (roll_back, 5)])
def test_a_command_without_power_at_some_write_is_finished_by_the_next(do, every, before, undisturbed):
    assert sweep(do, before, undisturbed, range(1, undisturbed[do][0] + 1, every), [Stopped], is_lost=True) == []


@pytest.mark.slow
@pytest.mark.parametrize("do", [publish, roll_back])
@pytest.mark.parametrize(("faults", "is_lost"), [([Stopped], False), ([Stopped], True), ([FULL, BROKEN], False)])
def test_a_command_stopped_at_any_write_is_finished_by_the_next(faults, is_lost, do, before, undisturbed):
    assert sweep(do, before, undisturbed, range(1, undisturbed[do][0] + 1), faults, is_lost) == []
