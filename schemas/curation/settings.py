"""What every part of a curation is: its base, the types of its values, and what names of files stand for."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1, max_length=512)]
Listed = Annotated[tuple[T, ...], Field(strict=False)]  # YAML's lists become tuples; nothing else becomes anything else
COMPRESSIONS = (".gz", ".zst")
FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet", ".txt": "text"}


class Settings(BaseModel):
    """Part of a curation: frozen, closed to unknown keys, and no value is taken for one of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


def file_format(path: str) -> str | None:
    """Return the format a file name stands for, compression set aside, or None where it stands for none."""
    name = path.lower()
    for compression in COMPRESSIONS:
        name = name.removesuffix(compression)
    return next((kind for suffix, kind in FORMATS.items() if name.endswith(suffix)), None)


def local_path(path: str) -> str:
    """Return a path that this version can read; raise ValueError for another."""
    if "://" in path:
        raise ValueError("only local paths are read in this version")
    if path.count("{as_of}") > 1:
        raise ValueError("{as_of} may stand in a path once")
    return path
