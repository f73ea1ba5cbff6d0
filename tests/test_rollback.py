"""Rollback and retention: which release is current, which never is again, and which are kept."""

import json
import shutil
import threading

import pytest

from flows.__main__ import main
from flows.releases import releases
from flows.rollback import rollback
from schemas.errors import RequestError
from tasks.release import ledger
from tasks.release.folder import alone, current
from tasks.release.latest import states
from tests import conftest

DAYS = ("2026-11-15", "2026-11-16", "2026-11-17")
NEXT = "2026-11-18"


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """Return a folder with a curation and its home, in which three nights were published; to be copied."""
    place = tmp_path_factory.mktemp("nights")
    conftest.write_twelve(place / "a")
    for day in DAYS:
        conftest.run_line(place / "a", day, place / "home")
    return place


@pytest.fixture
def three(nights, tmp_path):
    """Return the folder and home of a curation of which three nights are published, and a function that runs a night."""
    shutil.copytree(nights, tmp_path, dirs_exist_ok=True)
    folder, home = tmp_path / "a", tmp_path / "home"
    return folder, home, lambda day: conftest.run_line(folder, day, home)


def bring(folder, day=NEXT):
    """Bring a text and its labels."""
    conftest.write(folder, {day: {"new": "a new soup"}}, {day: [f"new {who} good" for who in ("ann", "bob")]})


def test_what_was_rolled_back_never_becomes_current_again_and_the_next_content_follows_what_was_returned_to(three):
    folder, home, night = three
    place = folder / "releases" / "tiny"
    found = rollback(str(folder), "2026-11-15.1", str(home))
    assert (found["latest"], found["withdrawn"]) == ("2026-11-15.1", ["2026-11-16.1", "2026-11-17.1"])
    assert current(place) == "2026-11-15.1"
    for day, name in (("2026-11-17", "2026-11-17.1"), ("2026-11-16", "2026-11-16.1")):  # the same content again
        again = night(day)
        assert (again["status"], again["release"]) == ("unchanged", None)
        assert again["why"] == f"{name}, which has this content, was rolled back"
        assert current(place) == "2026-11-15.1"
    bring(folder)
    later = night(NEXT)
    assert (later["status"], current(place)) == ("published", "2026-11-18.1")
    assert json.loads((place / "2026-11-18.1" / "manifest.json").read_text())["parent"] == "2026-11-15.1"
    assert states(later["run"]) == {"2026-11-15.1": "earlier", "2026-11-16.1": "withdrawn",
                                    "2026-11-17.1": "withdrawn", "2026-11-18.1": "current"}  # fmt: skip
    for release, said in (
        ("2026-11-18.1", "is the current release already"),
        ("2026-11-16.1", "was withdrawn"),
        ("2026-12-01.1", "no such release"),
    ):
        with pytest.raises(RequestError, match=said):
            rollback(str(folder), release, str(home))
    assert main(["rollback", str(folder), "nonsense", "--home", str(home)]) == 2


@pytest.mark.slow
def test_a_release_whose_files_are_gone_cannot_be_returned_to(three):
    folder, home, _ = three
    (folder / "releases" / "tiny" / "2026-11-16.1").rename(folder / "aside")
    with pytest.raises(RequestError, match="files are gone; run its date again"):
        rollback(str(folder), "2026-11-16.1", str(home))
    assert current(folder / "releases" / "tiny") == "2026-11-17.1"


@pytest.mark.slow
def test_a_rollback_waits_for_a_night_that_is_publishing_and_withdraws_what_it_made(three):
    folder, home, night = three
    place = folder / "releases" / "tiny"
    with alone(place):  # a night is at it
        thread = threading.Thread(target=rollback, args=(str(folder), "2026-11-15.1", str(home)))
        thread.start()
        thread.join(timeout=0.5)
        assert thread.is_alive()
    thread.join()
    assert (current(place), night("2026-11-17")["release"]) == ("2026-11-15.1", None)


@pytest.mark.slow
def test_a_rollback_killed_before_it_moved_latest_is_finished_by_the_next_night(three):
    _, _, night = three
    run = night("2026-11-17")["run"]
    ledger.record_rollback(run, {"2026-11-17.1": "its content"}, to="2026-11-16.1")  # and no further
    assert current(run.releases) == "2026-11-17.1"
    night("2026-11-15")
    assert current(run.releases) == "2026-11-16.1"


def test_the_oldest_releases_go_and_are_not_made_again(three):
    folder, home, night = three
    place = folder / "releases" / "tiny"
    yaml = folder / "curation.yaml"
    yaml.write_text(yaml.read_text() + "release: {keep: 2}\n")
    assert night("2026-11-17")["status"] == "unchanged"  # how many are kept is no part of a content
    assert sorted(one.name for one in place.glob("[0-9]*")) == ["2026-11-16.1", "2026-11-17.1"]
    again = night("2026-11-15")
    assert (again["status"], again["release"]) == ("unchanged", None)
    assert again["why"] == "2026-11-15.1, which has this content, has expired"
    assert current(place) == "2026-11-17.1"
    listed = releases(str(folder), str(home))["releases"]
    assert [(row["release"], row["state"], row["is_here"]) for row in listed] == [
        ("2026-11-15.1", "expired", False), ("2026-11-16.1", "earlier", True), ("2026-11-17.1", "current", True)
    ]  # fmt: skip
    with pytest.raises(RequestError, match="has expired"):
        rollback(str(folder), "2026-11-15.1", str(home))


@pytest.mark.slow
def test_the_current_release_stays_and_so_does_what_a_run_has_just_made(three):
    folder, home, night = three
    place = folder / "releases" / "tiny"
    rollback(str(folder), "2026-11-16.1", str(home))
    bring(folder, "2026-11-14")
    yaml = folder / "curation.yaml"
    yaml.write_text(yaml.read_text() + "release: {keep: 1}\n")
    made = night("2026-11-14")  # older than the current one: the next run's to remove
    assert made["status"] == "published"
    assert sorted(one.name for one in place.glob("[0-9]*")) == ["2026-11-14.1", "2026-11-16.1", "2026-11-17.1"]
    assert night("2026-11-16")["status"] == "published"  # of what was brought
    assert sorted(one.name for one in place.glob("[0-9]*")) == ["2026-11-16.2", "2026-11-17.1"]  # the last is withdrawn


@pytest.mark.slow
def test_a_refusal_holds_for_the_same_parent_only(three):
    folder, home, night = three
    run = night("2026-11-17")["run"]
    ledger.record_verdict(run, "some content", {"passed": False, "failed": ["split.size"]})
    assert ledger.verdict_of(run, "some content")["parent"] == "2026-11-17.1"
    rollback(str(folder), "2026-11-16.1", str(home))
    assert ledger.verdict_of(run, "some content") is None
