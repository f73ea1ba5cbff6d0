"""What every client is asked, and how it is timed. Standard library only: each tool lives in an environment of its own."""

import asyncio
import json
import resource
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path

WARM_UP = 256  # calls: every connection is open and every lazy import done before the clock starts
MODEL = "gpt-4o-mini"  # a name the tools know the abilities of
LABELS = {
    name: f"What is said of the {name} is the point of it." for name in ("food", "service", "price", "place", "other")
}
SYSTEM = "Say which label fits the review.\n" + "\n".join(f"- {label}: {said}" for label, said in LABELS.items())
OPTIONS = {"temperature": 0, "max_completion_tokens": 256, "logprobs": True, "top_logprobs": 20}
SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": list(LABELS)}},
    "required": ["label"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "annotation", "strict": True, "schema": SCHEMA}}


def text(number: int) -> str:
    """Return the text of an item; no two are alike, so that nothing is answered from memory."""
    return f"{number}: the soup came late, but it was the best we have had on this side of the river. " * 3


def messages(number: int) -> list[dict[str, str]]:
    """Return the chat about an item."""
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text(number)}]


def body(number: int) -> dict:
    """Return the Chat Completions request about an item."""
    return {"model": MODEL, "messages": messages(number), "response_format": FORMAT, **OPTIONS}


def label(content: str) -> str:
    """Return the label an answer holds."""
    return json.loads(content)["label"]


def together(one: Callable[[int], Awaitable[str]], concurrency: int) -> Callable[[range], list[str]]:
    """Return a function that asks about many items, so many at once; for clients that leave that to us."""
    runner, gate = asyncio.Runner(), asyncio.Semaphore(concurrency)

    async def gated(number: int) -> str:
        async with gate:
            return await one(number)

    async def every(numbers: range) -> list[str]:
        return await asyncio.gather(*map(gated, numbers))

    return lambda numbers: runner.run(every(numbers))


def main(client: Callable[[str, int], Callable[[range], list[str]]]) -> None:
    """Print what a client's calls cost once it is warm; fail unless every item has a label."""
    base_url, concurrency, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    ask = client(base_url, concurrency)
    ask(range(WARM_UP))
    if sys.argv[4:] != ["whole"]:  # else the server counts the warm-up, too
        urllib.request.urlopen(base_url.removesuffix("/v1") + "/reset", b"").read()
    cpu, start = time.process_time(), time.perf_counter()
    answers = ask(range(WARM_UP, WARM_UP + count))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    if len(answers) != count or not set(answers) <= set(LABELS):
        sys.exit(f"{len(answers)} of {count} answers, with the labels {sorted(map(str, set(answers)))[:9]}")
    print(json.dumps({"requests": count, "seconds": seconds, "cpu_s": cpu, "peak_mb": peak_mb()}), flush=True)


def peak_mb() -> float:
    """Return the most memory this process has held; Linux's `ru_maxrss` counts its parent's before it started, too."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
