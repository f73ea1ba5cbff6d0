"""Prefect's server, a worker and the deployments of some curations, on loopback, in one command."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from schemas.curation import find, load
from schemas.errors import AssayError, RequestError

ROOT = Path(__file__).resolve().parent.parent
HOST, POOL, STARTS_WITHIN_S = "127.0.0.1", "assay", 180


def serve(curations: list[str], port: int, home: str | None, tell: Callable[[dict[str, Any]], None]) -> int:
    """Return 0 once it was interrupted; until then the server and the worker run. `tell` gets what they serve, once."""
    deployments = [one for curation in curations for one in deployed(find(curation), home)]
    environment = os.environ | {
        "PREFECT_API_URL": f"http://{HOST}:{port}/api",
        # without these two the UI asks for its data on port 4200, whatever port it is on
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": str(port),
    }
    if _answers(port):
        raise RequestError(f"something answers on port {port} already: stop it, or give --port")
    for stop in (signal.SIGTERM, signal.SIGINT):  # a job in the background is started deaf to SIGINT
        signal.signal(stop, signal.default_int_handler)
    server = _prefect(environment, "server", "start", "--host", HOST, "--port", str(port))
    processes = [server]
    try:
        _wait(server, port)
        _deploy(environment, deployments)
        processes.append(_prefect(environment, "worker", "start", "--pool", POOL, "--type", "process"))
        tell(_served(port, deployments))
        while all(process.poll() is None for process in processes):
            time.sleep(1)
        raise AssayError("Prefect's server or worker ended by itself; what it printed is above")
    except KeyboardInterrupt:
        return 0
    finally:
        for stop in (signal.SIGTERM, signal.SIGINT):  # a second Ctrl-C must not leave the server behind
            signal.signal(stop, signal.SIG_IGN)
        for process in reversed(processes):
            _end(process)


def deployed(file: Path, home: str | None) -> list[dict[str, Any]]:
    """Return the deployments of prefect.yaml for one curation, named after it."""
    name, shared = load(file).name, yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
    place = {"curation": str(file), "home": str(Path(home or os.environ.get("ASSAY_HOME") or ".assay").absolute())}
    return [
        one
        | {
            "name": f"{one['name']}-{name}",
            "parameters": one["parameters"] | place,
            "tags": [*one["tags"], f"curation:{name}"],
        }
        for one in shared["deployments"]
    ]


def _deploy(environment: dict[str, str], deployments: list[dict[str, Any]]) -> None:
    _call(environment, "work-pool", "create", POOL, "--type", "process", "--overwrite")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prefect.yaml"
        file.write_text(yaml.safe_dump({"name": "assay", "deployments": deployments}), encoding="utf-8")
        _call(environment, "--no-prompt", "deploy", "--all", "--prefect-file", str(file))


def _call(environment: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *arguments],
        env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode:
        raise AssayError(f"`prefect {' '.join(arguments[:3])}` failed:\n{done.stdout}")


def _prefect(environment: dict[str, str], *arguments: str) -> subprocess.Popen:
    # a group of its own, so that an interrupt at the terminal reaches it through us, in order
    return subprocess.Popen(
        [sys.executable, "-m", "prefect", *arguments],
        env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True,
    )  # fmt: skip


def _wait(server: subprocess.Popen, port: int) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while not _answers(port):
        if server.poll() is not None or time.monotonic() > deadline:
            raise AssayError("Prefect's server did not start; what it printed is above")
        time.sleep(0.5)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/api/health", timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _served(port: int, deployments: list[dict[str, Any]]) -> dict[str, Any]:
    """Return {ui, api, deployments} of what is served."""
    names = [f"{one['entrypoint'].rsplit('.', 1)[1]}/{one['name']}" for one in deployments]
    return {"ui": f"http://{HOST}:{port}", "api": f"http://{HOST}:{port}/api", "deployments": names}


def story(served: dict[str, Any]) -> str:
    """Return what is served, for people to read."""
    lines = [
        f"Prefect UI   {served['ui']}",
        *(f"deployed     {name}" for name in served["deployments"]),
        f"use it with  export PREFECT_API_URL={served['api']}",
        "stop with    Ctrl-C",
    ]
    return "\n".join(lines)


def _end(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # a worker whose server is gone does not end on SIGTERM
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
