"""Ours, as a run asks: the item's prompt, memory, pace, purse, journal, retries, distribution, and the replies stored."""

import asyncio
import tempfile
from pathlib import Path

from bench.clients import clock
from schemas.curation import LLMAnnotator
from tasks.annotator.llm import Asking
from tasks.annotator.prompt import Example
from tasks.endpoint.purse import Purse
from tasks.endpoint.switchboard import Switchboard
from tasks.store import Ids, Store

CHUNK, AT_ONCE = 1024, 2  # as in flows/annotate.py, which would import Prefect


def client(base_url: str, concurrency: int):
    """Return a function from items' numbers to their labels."""
    name = {"name": "judge", "kind": "llm", "model": clock.MODEL}
    annotator = LLMAnnotator(**name, base_url=base_url, concurrency=concurrency)
    board, store = Switchboard(Purse(1000.0)), Store(Path(tempfile.mkdtemp()))
    asking = Asking(board, store, Ids("bench"), "run", annotator, clock.LABELS, "Read the whole review.")
    runner = asyncio.Runner()

    async def every(numbers: range) -> list[str]:
        gate, found = asyncio.Semaphore(AT_ONCE), {}

        async def chunk(some: range) -> None:
            async with gate:
                items = [Example(f"item_{number}", clock.text(number), "{}") for number in some]
                found.update((await asking.about(items)).answers)

        await asyncio.gather(*(chunk(numbers[start : start + CHUNK]) for start in range(0, len(numbers), CHUNK)))
        answers = [found[f"item_{number}"][0] for number in numbers]
        assert all(answer.source == "logprobs" for answer in answers)
        return [answer.label for answer in answers]

    return lambda numbers: runner.run(every(numbers))


if __name__ == "__main__":
    clock.main(client)
