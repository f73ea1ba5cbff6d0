"""Bespoke Curator over a table, its cache off and its own rate limits out of the way; its files hold the raw answers."""

import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Literal

from bespokelabs import curator
from pydantic import BaseModel

from bench.clients import clock


class Annotation(BaseModel):
    """The answer."""

    label: Literal[tuple(clock.LABELS)]


class Annotator(curator.LLM):
    """The question."""

    def prompt(self, row: dict) -> list[dict[str, str]]:
        """Return the chat about an item."""
        return clock.messages(row["number"])

    def parse(self, row: dict, answer: Annotation) -> dict:
        """Return the item with its label."""
        return {"number": row["number"], "label": answer.label}


def client(base_url: str, concurrency: int):
    """Return a function from items' numbers to their labels."""
    # an address given as `base_url` is probed before each run; the table it counts tokens by comes with litellm
    tokenizers = Path(importlib.util.find_spec("litellm").origin).parent / "litellm_core_utils" / "tokenizers"
    os.environ |= {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "none", "TIKTOKEN_CACHE_DIR": str(tokenizers)}
    limits = {"max_requests_per_minute": 10**6, "max_tokens_per_minute": 10**10, "max_concurrent_requests": concurrency}
    annotator = Annotator(
        clock.MODEL, Annotation, backend="openai", generation_params=clock.OPTIONS, backend_params=limits
    )
    folder = tempfile.mkdtemp()
    return lambda numbers: annotator([{"number": n} for n in numbers], working_dir=folder).dataset["label"]


if __name__ == "__main__":
    clock.main(client)
