"""A curation: what a run can be told, one YAML file."""

from schemas.curation.model import (
    Annotator,
    Budget,
    Clean,
    Consensus,
    Curation,
    Fields,
    FunctionAnnotator,
    Gates,
    HumanAnnotator,
    LabelFields,
    Labels,
    LLMAnnotator,
    Price,
    Source,
    Splits,
)
from schemas.curation.reading import find, load

__all__ = [
    "Annotator",
    "Budget",
    "Clean",
    "Consensus",
    "Curation",
    "Fields",
    "FunctionAnnotator",
    "Gates",
    "HumanAnnotator",
    "LLMAnnotator",
    "LabelFields",
    "Labels",
    "Price",
    "Source",
    "Splits",
    "find",
    "load",
]
