"""Shapes: examples as the files a trainer reads, each format a module that turns an example into rows."""

from collections.abc import Iterable
from typing import Any

from tasks.release.shapes import (
    alpaca,
    dpo,
    evals,
    kto,
    messages,
    openai_dpo,
    prompt_completion,
    sharegpt,
    soft_labels,
)
from tasks.release.shapes.asked import asking
from tasks.release.shapes.format import SPLITS
from tasks.release.shapes.table import TableFile, rounded

__all__ = ["FORMATS", "SPLITS", "TableFile", "asking", "evals", "llama_factory", "places", "rounded"]

FORMATS = {
    "messages": messages.FORMAT,
    "prompt-completion": prompt_completion.FORMAT,
    "alpaca": alpaca.FORMAT,
    "sharegpt": sharegpt.FORMAT,
    "dpo": dpo.FORMAT,
    "openai-dpo": openai_dpo.FORMAT,
    "kto": kto.FORMAT,
    "evals": evals.FORMAT,
    "soft-labels": soft_labels.FORMAT,
}


def places(curation: str, formats: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return {format: {split: path in the release}} of JSON lines; the first format's stand beside the manifest."""
    folders = {name: f"{name}/" if number else "" for number, name in enumerate(formats)}
    return {
        name: {"test": f"evals/{curation}/samples.jsonl"}
        if name == "evals"
        else {split: f"{folder}{split}.jsonl" for split in FORMATS[name].splits}
        for name, folder in folders.items()
    }


def llama_factory(curation: str, formats: Iterable[str], splits: dict[str, int]) -> dict[str, Any]:
    """Return LLaMA-Factory's dataset_info.json: every file it can read, as `<format>-<split>`.

    A split without a row is left out: its loader fails on a file without a line.
    """
    return {
        f"{name}-{split}": {"file_name": path, **FORMATS[name].llama_factory}
        for name, files in places(curation, formats).items()
        for split, path in files.items()
        if FORMATS[name].llama_factory and splits[split]
    }
