"""A curation: what a run can be told, one YAML file."""

from schemas.curation.model import (
    Annotator,
    Clean,
    Consensus,
    Curation,
    Fields,
    Gates,
    HumanAnnotator,
    LabelFields,
    Labels,
    LLMAnnotator,
    Source,
    Splits,
)
from schemas.curation.reading import find, load

__all__ = [
    "Annotator",
    "Clean",
    "Consensus",
    "Curation",
    "Fields",
    "Gates",
    "HumanAnnotator",
    "LLMAnnotator",
    "LabelFields",
    "Labels",
    "Source",
    "Splits",
    "find",
    "load",
]
