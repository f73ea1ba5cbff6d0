"""evals: the test split as OpenAI's `evals` runs it, and the entry of the registry that names it."""

from typing import Any

import yaml

from tasks.release.shapes.asked import Asked
from tasks.release.shapes.format import TEXT, Format
from tasks.release.shapes.messages import TURNS, question


def shaped(asked: Asked) -> list[dict[str, Any]]:
    """Return one sample: the chat that asks, and the answer that is right."""
    return [{"input": question(asked), "ideal": asked.answer}]


def registry(curation: str, samples: str, digest: str) -> str:
    """Return the registry's YAML: an eval named after the curation, its version the first digits of the samples' sha256.

    The registry is the release's folder, in whose `data` the reader looks for samples; answers are compared as JSON.
    """
    name = f"{curation}.test.{digest[:8]}"
    told = {
        curation: {"id": name, "description": f"The test split of {curation}.", "metrics": ["accuracy"]},
        name: {"class": "evals.elsuite.basic.json_match:JsonMatch", "args": {"samples_jsonl": f"../{samples}"}},
    }
    return yaml.safe_dump(told, sort_keys=False)


FORMAT = Format(shaped, {"input": TURNS, "ideal": TEXT}, splits=("test",))
