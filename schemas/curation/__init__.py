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
from schemas.curation.model import (
    Accept,
    Budget,
    Clean,
    Consensus,
    Curation,
    Fields,
    Gates,
    Labels,
    Review,
    Source,
    Splits,
)
from schemas.curation.reading import find, load
from schemas.curation.settings import COMPRESSIONS, file_format

__all__ = [
    "COMPRESSIONS", "Accept", "Annotator", "Batch", "Budget", "Clean", "Consensus", "Curation", "Fields", "FunctionAnnotator",
    "Gates", "HumanAnnotator", "LLMAnnotator", "LabelFields", "Labels", "OnlyWhere", "Price", "Review", "Source", "Splits",
    "file_format", "find", "load",
]  # fmt: skip
