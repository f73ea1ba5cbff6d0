"""What tests share: one Prefect for the whole session, a small curation to write, and the line without Prefect."""

import json
from datetime import date
from pathlib import Path

import pytest
from scripted import KEY, QUICK, Bench, Stub, serving
from starlette.applications import Starlette
from starlette.routing import Route

import flows  # noqa: F401  sets what Prefect reads when it is imported
from schemas.run import started
from tasks.endpoint import switchboard

DAYS = ("2026-11-15", "2026-11-16", "2026-11-17")
TEXTS = (
    "the soup was cold", "a lovely evening with friends", "our waiter forgot the drinks twice",
    "best pizza in the whole town", "far too loud to talk", "the cake made my day", "parking is impossible here",
    "prices have doubled since spring", "charming terrace under old trees", "my steak came raw",
    "they remembered my birthday", "the menu never changes",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """Put the tests that need Prefect first and on one worker: its server takes seconds to start, and they are long."""
    for item in items:
        if "harness" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("prefect"))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


@pytest.fixture(scope="session")
def harness():
    """Let flows run against one temporary Prefect server for the whole session."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    with (
        prefect_test_harness(server_startup_timeout=120),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield


@pytest.fixture
def written():
    """Return a function that writes a curation of two labels: documents and people's labels, by date."""
    return write


@pytest.fixture
def line():
    """Return a function that runs the line for people's labels, stage by stage and without Prefect."""
    return run_line


def write(folder: Path, documents: dict, labels: dict, models: str = "", **settings: str) -> Path:
    """Return the folder, with `documents` {date: {id: text or fields}} and `labels` {date: [item who label time]}."""
    parts = {
        "consensus": "{method: majority, min_labels: 2, min_posterior: 0.6}",
        "review": "{budget: 2}",
        "gates": "{}",
        "splits": "{key: k}",
    } | settings
    for kind in ("data", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / "curation.yaml").write_text(
        "name: tiny\n"
        "labels: {kind: choice, values: {good: It is good., bad: It is bad.}}\n"
        "sources:\n"
        "  - {path: 'data/{as_of}.jsonl', fields: {id: id, text: text, group: group, slice: slice},\n"
        "     trust: {max_quarantined_share: 0.5}}\n"
        "annotators:\n"
        "  - {name: crowd, kind: human, path: 'labels/{as_of}.csv',\n"
        "     fields: {item: item, annotator: who, label: label, time: time}}\n"
        + models
        + "".join(f"{key}: {value}\n" for key, value in parts.items())
    )
    for day, rows in documents.items():
        lines = [{"id": id} | (row if isinstance(row, dict) else {"text": row}) for id, row in rows.items()]
        (folder / "data" / f"{day}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for day, rows in labels.items():
        table = "".join(",".join([*row.split(" ")[:3], _time(day, row)]) + "\n" for row in rows)
        (folder / "labels" / f"{day}.csv").write_text("item,who,label,time\n" + table)
    return folder


def _time(day: str, row: str) -> str:
    """Return the time of a label, `item who label [time]`: noon of its file's day where none is given."""
    return row.split(" ")[3] if row.count(" ") == 3 else f"{day}T12:00:00Z"


@pytest.fixture
def twelve():
    """Return a function that writes a curation of a dozen texts over three days, each labelled by three people."""
    return write_twelve


def write_twelve(folder: Path, models: str = "", **settings: str) -> Path:
    """Return the folder of the dozen; every third item is not unanimous."""
    documents = {day: {} for day in DAYS}
    labels = {day: [] for day in DAYS}
    for number, text in enumerate(TEXTS):
        day, label = DAYS[number // 4], ("good", "bad")[number % 2]
        other = {"good": "bad", "bad": "good"}[label] if number % 3 == 0 else label
        documents[day][f"d{number}"] = {"text": text, "group": f"g{number}", "slice": f"s{number % 2}"}
        labels[day] += [f"d{number} ann {label}", f"d{number} bob {label}", f"d{number} cy {other}"]
    return write(folder, documents, labels, models, **settings)


EVERY_FORMAT = ("messages", "prompt-completion", "alpaca", "sharegpt", "evals", "soft-labels")


@pytest.fixture(scope="session")
def in_every_format(tmp_path_factory) -> Path:
    """Return the folder of a release of the dozen in every format that any labels have; to be read only."""
    place = tmp_path_factory.mktemp("formats")
    card = "{license: cc-by-4.0, language: [en]}"
    curation = write_twelve(place / "a", release=f"{{formats: [{', '.join(EVERY_FORMAT)}]}}", card=card)
    return Path(run_line(curation, "2026-11-17", place / "home")["release"])


def run_line(curation: Path, as_of: str, home: Path, labels: str = "then") -> dict:
    """Return how a run ended: {status, release, run}, with `failed` where the gate refused."""
    from prefect.logging import disable_run_logger

    from tasks import release
    from tasks.annotation import import_labels
    from tasks.document import read_documents
    from tasks.item import find_neighbours, make_items
    from tasks.run import begin, finish
    from tasks.split import assign_splits

    run = started(str(curation), date.fromisoformat(as_of), labels, str(home))
    with disable_run_logger():
        begin.fn(run)
        for source in run.curation.sources:
            read_documents.fn(run, source)
        for stage in (make_items, find_neighbours, assign_splits):
            stage.fn(run)
        for people in run.curation.people:
            import_labels.fn(run, people)
        content = release.identify.fn(run, {})
        ended = release.recall.fn(run, content)
        if ended is None:
            ended = release_line(run, {}, content)
        ended = release.make_current.fn(run, ended)
        ended["targets"] = release.copy.fn(run)
        finish.fn(run, {key: ended[key] for key in ("status", "release")})
    return ended | {"run": run, "content": content}


def release_line(run, versions: dict[str, str], content: str) -> dict:
    """Return how a content ended, from its consensus on: {status, release}, with `failed` where the gate refused."""
    from expectations.suites import expected, suites
    from tasks import draft, release
    from tasks.consensus import measure_agreement, settle
    from tasks.example import choose_examples, keep_out
    from tasks.gate import judge
    from tasks.review import draw_queue

    for stage in (settle, draw_queue, measure_agreement):
        stage.fn(run, versions)
    choose_examples.fn(run)
    with release.alone(run.releases):
        promised, dropped = suites(run.curation, run.folder), None
        while dropped != 0:
            release.stage_files.fn(run)
            verdict = judge.fn(release.reduce_staged.fn(run, versions, content, promised), expected(promised))
            dropped = keep_out.fn(run)
        evidence = release.record.fn(run, versions, content, verdict)
        draft.keep_latest(run)
        if not verdict["passed"]:
            return {"status": "refused", "release": None, "failed": verdict["failed"]}
        return release.publish.fn(run, content, verdict, evidence)


def run_line_and_die(curation: Path, as_of: str, home: Path, kill_at: int | None) -> None:
    """Run the line; the process kills itself before its n-th write to the store."""
    import os
    import signal

    from tasks.store import Store

    real, calls = Store.merge, iter(range(1, 1000))

    def merge(*arguments):
        if next(calls) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)

    Store.merge = merge
    run_line(curation, as_of, home)


@pytest.fixture(scope="module")
def address_and_stub():
    stub = Stub()

    async def answer(request):
        return await stub.answer(request)

    with serving(Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])) as address:
        yield address, stub


@pytest.fixture
def stub(address_and_stub, monkeypatch):
    address, stub = address_and_stub
    stub.__init__()
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(switchboard, "PATIENCE", QUICK)
    return stub


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)
