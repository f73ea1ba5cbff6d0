"""Endurance: a hundred thousand items through an endpoint that breaks, killed again and again; and what a budget lets by.

Nothing may be lost, memory must stay flat, and a kill may cost the calls in flight and nothing more.
"""

import argparse
import asyncio
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.wire import ROOT, endpoint
from schemas.curation import LLMAnnotator, Price
from schemas.errors import BudgetStop
from tasks.annotator import llm
from tasks.annotator.prompt import Example
from tasks.endpoint import switchboard
from tasks.endpoint.call import Patience
from tasks.endpoint.pace import Breaker
from tasks.store import Ids, Store

ITEMS, KILLS, CONCURRENCY, SEEDS = 100_000, 20, 64, 100
CHUNK, AT_ONCE = 1024, 2  # as in flows/annotate.py
FAULTY = {"latency_s": 0.01, "fault_rate": 0.3, "retry_after_s": 0.02}
# generated, so billed, and of no use: asked for again
UNUSABLE = ("timeout", "slow_drip", "truncated", "garbage_html", "garbage_json", "error_body", "empty")
LABELS = {"good": "Happy.", "bad": "Unhappy.", "none": "Says nothing."}
PRICE = Price(input=0.15, cached=0.075, output=0.6)  # what the endpoint bills, too
QUICK = Patience(first_wait_s=0.02, longest_wait_s=0.2, call_s=1.0, breaker=Breaker(pause_s=0.5))


def figures() -> Iterator[str]:
    """Yield the lines of both trials."""
    yield from killed()
    yield from overspent()


def killed(items: int = ITEMS, kills: int = KILLS, seed: int = 7) -> Iterator[str]:
    """Yield what became of the items, of memory and of money, over so many kills at random moments."""
    chance, started = random.Random(seed), time.monotonic()
    with endpoint(**FAULTY) as url, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench.endurance", url, folder, str(items)]
        moments, peaks = sorted(chance.randrange(items) for _ in range(kills)), []
        for moment in moments:
            child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
            while stats(url)["served"] < moment * 1.35 and child.poll() is None:
                time.sleep(chance.uniform(0.05, 0.5))
            time.sleep(chance.uniform(0.0, 3.0))  # it may be starting, asking, or writing a chunk down
            peaks.append(_peak_mb(child.pid))
            child.send_signal(signal.SIGKILL)
            child.wait()
        last = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
        seen, booked = stats(url), _booked(Path(folder))
    twice = seen["billed"] - sum(seen["faults"].get(kind, 0) for kind in UNUSABLE) - booked["replies"]
    yield f"{items:,} items, 30 % faults, {kills} kills -9, {CONCURRENCY} at once: {time.monotonic() - started:,.0f} s"
    yield (
        f"  {last['labelled']:,} labelled + {last['abstained']:,} abstained + {last['quarantined']:,} quarantined"
        f" = {last['labelled'] + last['abstained'] + last['quarantined']:,}; lost: {items - last['asked']:,}"
    )
    yield f"  {seen['asked']:,} calls; paid for twice: {twice:,} (at most {CONCURRENCY} × {kills} = {CONCURRENCY * kills:,})"
    yield f"  billed ${seen['usd']:.4f}; booked ${booked['usd']:.4f}, and lost calls at most ${booked['at_risk']:.4f} more"
    yield f"  peak memory of the last run {last['peak_mb']:,.0f} MB, of those killed {max(peaks, default=0):,.0f} MB"


def overspent(seeds: int = SEEDS) -> Iterator[str]:
    """Yield by how much a hard limit is passed, at worst, over so many endpoints."""
    worst, unused = float("-inf"), 0.0
    switchboard.PATIENCE = replace(QUICK, call_s=0.3)
    with endpoint(**FAULTY | {"latency_s": 0.005}) as url:
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                before = stats(url)["usd"]
                limit = random.Random(seed).uniform(0.002, 0.004)
                error, purse = asyncio.run(_spend(url, Path(folder), seed, limit))
                assert isinstance(error, BudgetStop)
                worst = max(worst, stats(url)["usd"] - before - limit)
                unused = max(unused, limit - purse.spent)
    yield f"a hard limit, {seeds} seeds, {CONCURRENCY} at once: billed beyond it at most ${max(0.0, worst):.6f}"
    yield f"  and left of it at most ${unused:.6f}, when the next call could have cost more"


async def _spend(url: str, folder: Path, seed: int, limit: float) -> tuple[Any, Any]:
    async with switchboard.switchboard(f"run {seed}", lambda: limit) as board:
        items = [Example(f"item_{n}", f"Seed {seed}: review number {n} was fine.", "{}") for n in range(400)]
        await _asking(board, url, folder).about(items)
        return board.ending.error, board.purse


def _asking(board: switchboard.Switchboard, url: str, folder: Path) -> llm.Asking:
    name = {"name": "judge", "kind": "llm", "model": "m", "price": PRICE}
    annotator = LLMAnnotator(**name, base_url=url, concurrency=CONCURRENCY)
    return llm.Asking(board, Store(folder / "store"), Ids("bench"), "run", annotator, LABELS, "Be kind.")


async def _child(url: str, folder: Path, count: int) -> llm.Usage:
    """Return what asking about all items took, those remembered included: the work of one run that may be killed."""
    switchboard.PATIENCE = QUICK
    llm.recover(Store(folder / "store"))
    gate, usages = asyncio.Semaphore(AT_ONCE), []
    async with switchboard.switchboard("run", lambda: None) as board:

        async def chunk(start: int) -> None:
            async with gate:
                numbers = range(start, min(start + CHUNK, count))
                items = [Example(f"item_{n}", f"Review number {n} was fine.", "{}") for n in numbers]
                usages.append((await _asking(board, url, folder).about(items)).usage)

        await asyncio.gather(*(chunk(start) for start in range(0, count, CHUNK)))
    return sum(usages, llm.Usage())


def _booked(folder: Path) -> dict[str, Any]:
    query = """
        select
            (select count(*) from reply where prompt_tokens > 0) as replies,
            (select sum(usd) from reply) as usd,
            (select coalesce(sum(usd_at_most), 0) from lost_call) as at_risk
    """
    found = Store(folder / "store").connect().sql(query)
    return dict(zip(found.columns, found.fetchone(), strict=True))


def stats(url: str) -> dict[str, Any]:
    """Return what the endpoint has seen."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as answer:
        return json.load(answer)


def _peak_mb(pid: int) -> float:
    """Return the most memory a living process has had, in MB; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    given = parser.parse_args()
    usage = asyncio.run(_child(given.url, given.folder, given.count))
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(usage.row | {"peak_mb": peak}))
