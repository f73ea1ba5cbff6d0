"""Calls to a model: ours beside what one would use instead, against one server on loopback, in one run.

Each client is a process of its own and says what its calls cost once it is warm; the server says what it was asked.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assay-bench"
LATENCY_S, TIMES = 0.1, 3
COUNTS = {64: 1536, 256: 3072}  # calls by concurrency
SLOW = {"slow_share": 0.01, "slow_factor": 10.0}
NAMES = {
    "aiohttp": "raw aiohttp (the floor)",
    "openai": "openai[aiohttp], a semaphore",
    "ours": "Assay, everything on",
    "instructor": "instructor",
    "langchain": "LangChain, structured",
    "curator": "Bespoke Curator",
    "distilabel": "distilabel, LLM alone",
}
# a minute's requests and tokens: the first binds in one, the second in the other
LIMITS = {"requests a minute": (3_000, 30_000_000), "tokens a minute": (30_000, 1_000_000)}
# nothing is remembered, drawn on the screen or reported home
QUIET = {
    "PYTHONWARNINGS": "ignore", "LANGSMITH_TRACING": "false", "TELEMETRY_ENABLED": "false",
    "CURATOR_DISABLE_CACHE": "1", "CURATOR_DISABLE_RICH_DISPLAY": "1",
}  # fmt: skip


class Failed(Exception):
    """Raised where a client or a tool does not work; says why."""


@dataclass(frozen=True)
class Cost:
    """What a client's calls took, and what the server saw of them."""

    rate: float
    """Requests a second, from the first one asked to the last one answered."""
    cpu_ms: float
    """Processor time of the client, user and system, a request."""
    peak_mb: float
    """Most memory of its process."""
    admitted_rate: float
    """Requests a second from the first to come to the last to come: the tail's waiting is not in it."""


def figures() -> Iterator[str]:
    """Yield the figures of all clients, of slow answers, and of rate limits; fifteen minutes at most."""
    pythons = {name: sys.executable for name in ("aiohttp", "openai", "ours")}
    for name, pins in tools().items():
        try:
            pythons[name] = environment(name, pins)
            yield f"{NAMES[name]}: {' '.join(pins)}"
        except Failed as why:
            yield f"{NAMES[name]}: left out: {why}"
    yield f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before: on a busy machine only the ratios count"
    with endpoint(latency_s=LATENCY_S) as url:
        for concurrency, count in COUNTS.items():
            yield from beside_others(url, pythons, concurrency, count)
        yield from with_slow_answers(url)
    yield from at_the_limit()


def beside_others(url: str, pythons: dict[str, str], concurrency: int, count: int) -> Iterator[str]:
    """Yield a line a client: the median of several runs, the clients taking turns."""
    costs, broken = {name: [] for name in pythons}, {}
    for _ in range(TIMES):
        for name in [name for name in pythons if name not in broken]:
            try:
                costs[name].append(run(pythons[name], name, url, concurrency, count))
            except Failed as why:
                broken[name] = why
    middle = {name: _middle(found) for name, found in costs.items() if name not in broken}
    ideal = concurrency / LATENCY_S
    yield (
        f"{concurrency} calls at once of {LATENCY_S * 1000:.0f} ms, structured answers with 20 logprobs; "
        f"ideal {ideal:,.0f} requests/s; median of {TIMES}"
    )
    bare, best = middle["openai"], max((middle[name].rate for name in tools() if name in middle), default=None)
    for name, cost in middle.items():
        yield (
            f"  {NAMES[name]:<30}{cost.rate:8,.0f} requests/s {cost.cpu_ms:7.2f} ms CPU a request"
            f"{cost.cpu_ms / bare.cpu_ms:6.2f} × bare {cost.peak_mb:6,.0f} MB"
        )
    for name, why in broken.items():
        yield f"  {NAMES[name]:<30}does not work: {why}"
    if best and "ours" in middle:
        yield f"  ours to the best tool: {middle['ours'].rate / best:.2f} × the requests/s"


def with_slow_answers(url: str, concurrency: int = 256, count: int = 10_240) -> Iterator[str]:
    """Yield what slow answers cost us, in requests a second while there is more to ask."""
    rates = {"even": [], "slow": []}
    for _ in range(TIMES):
        rates["even"].append(run(sys.executable, "ours", url, concurrency, count).admitted_rate)
        rates["slow"].append(run(sys.executable, "ours", url, concurrency, count, **SLOW).admitted_rate)
    even, slow = median(rates["even"]), median(rates["slow"])
    yield (
        f"{SLOW['slow_share']:.0%} of answers {SLOW['slow_factor']:.0f} × slower, {concurrency} at once: "
        f"{even:,.0f} → {slow:,.0f} requests/s, a loss of {1 - slow / even:.1%}"
    )


def at_the_limit(seconds: float = 75.0, concurrency: int = 256) -> Iterator[str]:
    """Yield the share we use of limits a minute, counted over a window that slides, and the 429s that brought."""
    with ThreadPoolExecutor() as pool:  # both at once: they take turns waiting
        found = pool.map(lambda limits: _limited(*limits, seconds, concurrency), LIMITS.values())
        for (name, limits), (requests, tokens, span_s, refused) in zip(LIMITS.items(), found, strict=True):
            used = (requests / limits[0], tokens / limits[1])
            share = max(used) * 60 / span_s
            yield (
                f"a limit of {limits[0] if used[0] > used[1] else limits[1]:,} {name}: "
                f"{share:.1%} used over {span_s:.0f} s, {refused} refused with 429"
            )


def _limited(requests: int, tokens: int, seconds: float, concurrency: int) -> tuple[int, int, float, int]:
    """Return requests and tokens let in, seconds from the first to the last, and how many were refused, warm-up and all."""
    limits = {"requests_per_minute": requests, "tokens_per_minute": tokens, "enforcement": "window"}
    with endpoint(latency_s=LATENCY_S, **limits) as url:
        where = url.removesuffix("/v1") + "/stats"
        run(sys.executable, "ours", url, concurrency, 64)
        stats = get(where)
        per_call = stats["admitted_tokens"] / stats["served"]
        run(sys.executable, "ours", url, concurrency, int(min(requests, tokens / per_call) * seconds / 60), "whole")
        stats = get(where)
    return stats["served"], stats["admitted_tokens"], stats["span_s"], stats["limited"]


def run(python: str, name: str, url: str, concurrency: int, count: int, *more: str, **options: float) -> Cost:
    """Return what a client's calls took with the server as told; raise Failed unless it got an answer to each."""
    get(f"{url.removesuffix('/v1')}/reset", json.dumps({"slow_share": 0.0} | options).encode())
    command = [python, "-m", f"bench.clients.{name}", url, str(concurrency), str(count), *more]
    try:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                command, cwd=ROOT, env=_environ(folder), capture_output=True, text=True, timeout=300, check=True
            )
        said = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError) as error:
        raise Failed(_reason(error)) from None
    stats = get(f"{url.removesuffix('/v1')}/stats")
    if stats["delivered"] < count:
        raise Failed(f"{stats['delivered']} of {count} answers are the server's")
    seconds, cpu_ms = said["seconds"], said["cpu_s"] / count * 1000
    return Cost(count / seconds, cpu_ms, said["peak_mb"], (stats["served"] - 1) / stats["span_s"])


def tools() -> dict[str, list[str]]:
    """Return what is installed for each tool."""
    lines = (Path(__file__).parent / "tools.txt").read_text(encoding="utf-8").splitlines()
    return {name: pins for name, *pins in (line.split() for line in lines if line and not line.startswith("#"))}


def environment(name: str, pins: list[str]) -> str:
    """Return the Python that has a tool, installed once for these versions; raise Failed where it cannot be."""
    folder = CACHE / f"{name}-{sha256(f'{sys.version} {pins}'.encode()).hexdigest()[:8]}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        try:
            for command in ([sys.executable, "-m", "venv", "--clear", folder], [python, "-m", "pip", "install", *pins]):
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)
        except (subprocess.SubprocessError, OSError) as error:
            raise Failed(_reason(error)) from None
        ready.touch()
    return str(python)


@contextmanager
def endpoint(**options: object) -> Iterator[str]:
    """Yield the address of a server on loopback that makes no faults."""
    flags = [
        f"--{key.replace('_', '-')}={value}" for key, value in ({"fault_rate": 0, "slow_share": 0} | options).items()
    ]
    command = [sys.executable, "-m", "loopback", "--port", "0", *flags]
    server = subprocess.Popen(command, cwd=ROOT / "tests", stdout=subprocess.PIPE, text=True)
    try:
        yield json.loads(server.stdout.readline())["address"]
    finally:
        server.terminate()
        server.wait()


def get(url: str, data: bytes | None = None) -> dict:
    """Return what the server says; with data it is posted."""
    with urllib.request.urlopen(url, data) as response:
        return json.load(response)


def _middle(costs: list[Cost]) -> Cost:
    return Cost(*(median(getattr(cost, name) for cost in costs) for name in Cost.__dataclass_fields__))


def _environ(folder: str) -> dict[str, str]:
    """Return the environment without what would lead a client elsewhere, and with a folder for what it leaves."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OPENAI_", "ASSAY_"))}
    return kept | QUIET | {"TMPDIR": folder}


def _reason(error: Exception) -> str:
    """Return the line that names the error in what a process wrote, else the last line."""
    lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines() or [type(error).__name__]
    named = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b|ERROR: ", line)]
    return (named or lines)[-1][:160]
