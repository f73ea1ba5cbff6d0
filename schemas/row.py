"""The frozen row every noun is made of, and its columns as Arrow types."""

from datetime import date, datetime
from types import NoneType
from typing import Any, get_args

import pyarrow as pa
from pydantic import BaseModel, ConfigDict


class Row(BaseModel):
    """One row of one noun; its fields are the columns, documented once, here."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class LabelProbability(Row):
    """One label of a distribution."""

    label: str
    """The label."""
    probability: float
    """Its probability, 0–1; the probabilities of one distribution sum to 1."""


_ARROW = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    date: pa.date32(),
    datetime: pa.timestamp("us", tz="UTC"),
    list[LabelProbability]: pa.list_(pa.struct([("label", pa.string()), ("probability", pa.float64())])),
}


def columns(model: type[Row]) -> pa.Schema:
    """Return the Arrow schema of a noun, in field order; `X | None` becomes a nullable column."""
    return pa.schema([_column(name, field.annotation) for name, field in model.model_fields.items()])


def _column(name: str, annotation: Any) -> pa.Field:
    options = [option for option in get_args(annotation) if option is not NoneType]
    is_nullable = NoneType in get_args(annotation)
    plain = options[0] if is_nullable else annotation
    kind = _ARROW.get(plain, pa.string())  # a Literal is a string
    return pa.field(name, kind, nullable=is_nullable)
