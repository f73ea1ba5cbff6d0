"""Approval: a person decides, once, whether a release becomes the current one; until then nothing moves."""

import json
import threading
import time
from datetime import date

import pytest
from prefect.logging import disable_run_logger
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import conclude
from flows.__main__ import main
from schemas.errors import RequestError
from schemas.release import Decision
from schemas.run import started
from tasks import release
from tasks.release import ledger
from tasks.release.folder import current
from tasks.release.latest import states

ASKED = "{approval: true, approval_hours: 1}"
DAY = "2026-11-17"


@pytest.fixture
def waiting(twelve, line, tmp_path):
    """Return a function that runs the line of a curation whose releases a person approves, and what was decided of it."""
    folder = twelve(tmp_path / "a", release=ASKED)

    def run(day, decision=None):
        ended = line(folder, day, tmp_path / "home")
        if ended["release"] and release.awaits(ended["run"], f"{day}.1"):
            with disable_run_logger():
                ended |= release.decide.fn(ended["run"], ended, decision)
                ended |= release.make_current.fn(ended["run"], ended)
        return ended

    return run


# --- what a decision does


def test_a_release_nobody_decided_on_stands_in_the_folder_and_is_not_the_current_one(waiting):
    ended = waiting("2026-11-16")
    assert (ended["status"], current(ended["run"].releases)) == ("published", None)
    assert "waits for approval" in ended["why"]
    assert states(ended["run"]) == {"2026-11-16.1": "awaiting approval"}


def test_what_a_person_approves_becomes_current_and_is_not_asked_again(waiting):
    waiting("2026-11-16")
    yes = waiting("2026-11-16", Decision(approve=True, name="Ada", note="read fifty rows"))  # the next run asks again
    assert (yes["status"], yes["approved_by"], current(yes["run"].releases)) == ("unchanged", "Ada", "2026-11-16.1")
    assert not release.awaits(yes["run"], "2026-11-16.1")
    told = ledger.approval_of(yes["run"], "2026-11-16.1")
    assert (told["passed"], told["by"], told["note"]) == (True, "Ada", "read fifty rows")


@pytest.mark.slow
def test_what_a_person_declines_is_withdrawn_for_good_and_no_parent(waiting):
    waiting("2026-11-15", Decision(approve=True, name="Ada"))
    no = waiting("2026-11-16", Decision(approve=False, name="Bo", note="the labels of s1 are swapped"))
    assert (no["status"], no["release"], no["why"]) == ("refused", None, "2026-11-16.1 was declined by Bo")
    again = waiting("2026-11-16")
    assert (again["status"], again["release"]) == ("unchanged", None)
    assert again["why"] == "2026-11-16.1, which has this content, was declined"
    later = waiting(DAY, Decision(approve=True, name="Ada"))
    assert (ledger.parent_of(later["run"], later["content"]), current(later["run"].releases)) == ("2026-11-15.1", "2026-11-17.1")  # fmt: skip
    assert list(states(later["run"]).values()) == ["earlier", "withdrawn", "current"]


@pytest.mark.slow
def test_who_decides_first_decides(waiting):
    ended = waiting("2026-11-16")
    for name, approve in (("Ada", True), ("Bo", False)):
        with disable_run_logger():
            told = release.decide.fn(ended["run"], ended, Decision(approve=approve, name=name))
        assert (told["status"], told["approved_by"]) == ("published", "Ada")


@pytest.mark.slow
def test_an_older_date_becomes_no_current_release_so_nobody_is_asked(waiting):
    waiting(DAY, Decision(approve=True, name="Ada"))
    assert "why" not in waiting("2026-11-15")


# --- where one can be asked


def test_without_a_server_that_people_can_reach_a_run_is_refused_before_it_begins(twelve, tmp_path, capsys):
    folder = twelve(tmp_path / "a", release=ASKED)
    with temporary_settings({PREFECT_API_URL: None}):  # other tests may have one
        assert main(["run", str(folder), "--home", str(tmp_path / "home")]) == 2
    assert "run `assay serve CURATION`, set PREFECT_API_URL" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()
    conclude.approvable(started(str(twelve(tmp_path / "b"))).curation)  # one without approval needs none


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "ends"),
    [
        ({"approve": True, "name": "Ada", "note": "fine"}, (0, "published", "2026-11-17.1")),
        ({"approve": False, "name": "Bo", "note": "not yet"}, (3, "refused", None)),
        (None, (0, "published", None)),
    ],
    ids=["approved", "declined", "nobody"],
)
@pytest.mark.usefixtures("harness")
def test_a_run_pauses_until_a_person_has_filled_in_the_form(answer, ends, twelve, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(conclude, "POLL_S", 1)
    hours = 0.1 if answer else 0.001
    folder = twelve(tmp_path / "a", release=f"{{approval: true, approval_hours: {hours}}}")
    person = threading.Thread(target=_fill_in, args=(answer,), daemon=True)
    if answer:
        person.start()
    capsys.readouterr()
    status = main(["run", str(folder), "--as-of", DAY, "--json", "--home", str(tmp_path / "home")])
    said = capsys.readouterr()
    summary = json.loads(said.out)
    now = current(folder / "releases" / "tiny")
    assert (status, summary["status"], now) == ends
    assert answer is None or answer["note"] not in said.out + said.err  # for the ledger alone
    run = started(str(folder), date.fromisoformat(DAY), home=str(tmp_path / "home"))
    told = ledger.approval_of(run, "2026-11-17.1")
    assert answer is None or {key: told[key] for key in ("by", "note")} == {
        "by": answer["name"],
        "note": answer["note"],
    }


def _fill_in(answer):
    """Do what a person does in the UI: find the run that is paused, and resume it with the form."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.flow_runs import resume_flow_run

    paused = FlowRunFilter(state={"name": {"any_": ["Paused"]}})
    with get_client(sync_client=True) as client:
        while not (found := client.read_flow_runs(flow_run_filter=paused)):
            time.sleep(0.5)
        resume_flow_run(found[0].id, run_input=answer)


def test_a_decision_has_a_name():
    with pytest.raises(ValueError, match="name"):
        Decision(approve=True)
    assert issubclass(RequestError, ValueError)
