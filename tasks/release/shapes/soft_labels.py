"""soft-labels: the label with how sure people are of it, for losses that take a distribution."""

from typing import Any

from tasks.release.shapes.asked import Asked
from tasks.release.shapes.format import Format


def shaped(asked: Asked) -> list[dict[str, Any]]:
    """Return the item, its label, and a probability for every label of the curation, in its order.

    The distribution is people's posterior; where no person labelled the item, the whole of it is on the label that was
    accepted, and `distribution_source` says so.
    """
    row, posterior = asked.row, asked.row["posterior"]
    given = {part["label"]: part["probability"] for part in posterior} if posterior else {row["label"]: 1.0}
    return [
        {
            "item_id": row["item_id"],
            "text": row["text"],
            "context": row["context"],
            "label": row["label"],
            "distribution": {label: given.get(label, 0.0) for label in asked.labels},
            "distribution_source": "people" if posterior else "label",
        }
    ]


FORMAT = Format(shaped)
