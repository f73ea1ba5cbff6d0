"""The frozen row every noun is made of, and its columns as Arrow types."""

from datetime import date, datetime
from types import NoneType
from typing import Any, get_args, get_origin

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
}


def columns(model: type[Row]) -> pa.Schema:
    """Return the Arrow schema of a noun, in field order; `X | None` becomes a nullable column."""
    return pa.schema([_column(name, field.annotation) for name, field in model.model_fields.items()])


def _column(name: str, annotation: Any) -> pa.Field:
    options = [option for option in get_args(annotation) if option is not NoneType]
    is_nullable = NoneType in get_args(annotation)
    plain = options[0] if is_nullable else annotation
    return pa.field(name, _kind(plain), nullable=is_nullable)


def _kind(plain: Any) -> pa.DataType:
    if get_origin(plain) is list:
        return pa.list_(_kind(*get_args(plain)))
    if isinstance(plain, type) and issubclass(plain, Row):
        return pa.struct([(name, _kind(field.annotation)) for name, field in plain.model_fields.items()])
    return _ARROW.get(plain, pa.string())  # a Literal is a string
