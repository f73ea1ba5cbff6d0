"""What items are labelled with: the labels, what each means, and what annotators are shown for it."""

import re
import unicodedata
from itertools import pairwise
from typing import Literal

from pydantic import ConfigDict, ValidationInfo, field_validator, model_validator

from schemas.curation.settings import Name, Settings, local_path

# Of a preference: the answers as the source names them, and the labels that annotators are shown in their stead.
PLACES = {"a": "first", "b": "second"}
PREFERRED = {
    "a": "The first answer is better.",
    "b": "The second answer is better.",
    "tie": "Neither answer is better than the other.",
}


class Labels(Settings):
    """What items are labelled with."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema["required"].remove("values"))

    kind: Literal["choice", "rating", "preference"]
    """choice: exactly one label an item. rating: exactly one step of a scale. preference: the better of two answers."""
    values: dict[str, str]
    """Each label and the sentence that says what it means, which annotators are shown; a scale's steps upwards. Of a
    preference a, b and, where there are ties, tie: that of a is said of the answer shown first, whichever that is."""
    guidelines: Name | None = None
    """File with the guidelines for annotators, relative to the curation."""

    @model_validator(mode="before")
    @classmethod
    def _prefer(cls, labels: dict) -> dict:
        if not isinstance(labels, dict) or labels.get("kind") != "preference":
            return labels
        given = labels.get("values", PREFERRED)
        return labels | {"values": _in_order(given) if isinstance(given, dict) else given}

    @field_validator("values")
    @classmethod
    def _are_labels(cls, values: dict[str, str]) -> dict[str, str]:
        if len(values) < 2:
            raise ValueError("at least two labels are needed")
        if blank := [label for label in values if not label.strip() or label != label.strip()]:
            raise ValueError(f"labels may not be empty or padded with spaces: {blank}")
        if strange := [label for label in values if not label.isprintable()]:
            raise ValueError(f"labels may not hold line ends or characters that cannot be seen: {strange}")
        if len({unicodedata.normalize("NFC", label) for label in values}) < len(values):
            raise ValueError("two labels are one text in two Unicode forms")
        if broken := [label for label, meaning in values.items() if re.search("[\ud800-\udfff]", meaning)]:
            raise ValueError(f"a meaning holds half a surrogate pair, which is no character: that of {broken}")
        return values

    @field_validator("values")
    @classmethod
    def _are_answers(cls, values: dict[str, str], labels: ValidationInfo) -> dict[str, str]:
        if labels.data.get("kind") == "preference" and list(values) not in (list(PREFERRED), list(PLACES)):
            raise ValueError(f"of a preference they are a, b and perhaps tie, not {', '.join(values)}")
        return values

    @field_validator("guidelines")
    @classmethod
    def _is_local(cls, path: str | None) -> str | None:
        return path and local_path(path)

    @model_validator(mode="after")
    def _is_a_scale(self) -> "Labels":
        if self.scores and any(high <= low for low, high in pairwise(self.scores)):
            raise ValueError(
                f"the steps of a rating stand upwards, from the lowest to the highest: {list(self.values)}"
            )
        return self

    @property
    def shown(self) -> dict[str, str]:
        """Return the labels annotators choose from, with their meaning: first and second for a preference's a and b."""
        if self.kind != "preference":
            return self.values
        return {PLACES.get(label, label): meaning for label, meaning in self.values.items()}

    @property
    def scores(self) -> list[float] | None:
        """Return the number of each step of a rating: the one it is written as, else its place; None if no rating."""
        if self.kind != "rating":
            return None
        try:
            return [float(label) for label in self.values]
        except ValueError:
            return [float(place) for place in range(1, len(self.values) + 1)]


def _in_order(values: dict[str, str]) -> dict[str, str]:
    """Return a preference's labels as a, b, tie, then what else there is."""
    return {label: values[label] for label in (*PREFERRED, *values) if label in values}
