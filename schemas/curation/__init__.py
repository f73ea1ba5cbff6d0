"""A curation: what a run can be told, one YAML file."""

from schemas.curation.annotator import (  # fmt: skip
    Annotator,
    Batch,
    FunctionAnnotator,
    HumanAnnotator,
    LabelFields,
    LLMAnnotator,
    OnlyWhere,
    Price,
)
from schemas.curation.gates import Gates
from schemas.curation.labels import PLACES, Labels
from schemas.curation.model import (
    Accept,
    Budget,
    Clean,
    Consensus,
    Curation,
    Fields,
    Review,
    Source,
    Splits,
)
from schemas.curation.reading import find, load
from schemas.curation.release import Card, Format, Release, Target
from schemas.curation.settings import COMPRESSIONS, file_format

__all__ = [
    "COMPRESSIONS", "PLACES", "Accept", "Annotator", "Batch", "Budget", "Card", "Clean", "Consensus", "Curation", "Fields", "Format",
    "FunctionAnnotator", "Gates", "HumanAnnotator", "LLMAnnotator", "LabelFields", "Labels", "OnlyWhere", "Price", "Release",
    "Review", "Source", "Splits", "Target", "file_format", "find", "load",
]  # fmt: skip
