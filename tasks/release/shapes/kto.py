"""kto: each answer of a pair on its own, and whether it is wanted."""

from typing import Any

import pyarrow as pa

from tasks.release.shapes.asked import Asked
from tasks.release.shapes.dpo import pair
from tasks.release.shapes.format import TEXT, Format


def shaped(asked: Asked) -> list[dict[str, Any]]:
    """Return the answer preferred, then the other one."""
    answers = zip(pair(asked), (True, False), strict=True)
    return [{"prompt": asked.row["text"], "completion": answer, "label": wanted} for answer, wanted in answers]


FORMAT = Format(
    shaped,
    {"prompt": TEXT, "completion": TEXT, "label": pa.bool_()},
    rows=2,
    llama_factory={"columns": {"prompt": "prompt", "response": "completion", "kto_tag": "label"}},
)
