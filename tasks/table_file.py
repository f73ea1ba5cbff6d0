"""A file that holds a table: which format its name promises, and rows written to it whole or not at all."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import duckdb

from schemas.errors import RequestError

FORMATS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
COMPRESSIONS = (".gz", ".zst")
NUMBER = r"-\d+(\.\d+)?"  # below zero, which no spreadsheet takes for a formula
FORMULA = r"^([-=+@\t\r])"  # all of them come before the letter A


def format_of(path: Path) -> tuple[str, str]:
    """Return the format a name promises, and the compression."""
    compression = path.suffix if path.suffix in COMPRESSIONS else ""
    suffix = Path(path.stem).suffix if compression else path.suffix
    if suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise RequestError(
            f"cannot tell the format of {path.name}: names end in {known}, then .gz or .zst if compressed"
        )
    return FORMATS[suffix], compression


def written_format(out: str | Path) -> str:
    """Return the format a file will be written in; raise RequestError where it cannot be written."""
    out = Path(out)
    form, compression = format_of(out)
    if compression == ".zst" or (compression and form == "parquet"):
        raise RequestError(f"cannot write {out.name}: csv and jsonl are written plain or as .gz, parquet as it is")
    if not out.parent.is_dir():
        raise RequestError(f"there is no folder {out.parent} to write {out.name} to")
    if os.path.isdir(out):  # unlike pathlib, also of a name too long to be one
        raise RequestError(f"{out} is a folder: name a file to write")
    return form


def apart(read: str | Path, *written: str | Path | None) -> None:
    """Raise RequestError where a file to write is the one that is read, or two of them are one."""
    outs = [Path(out).resolve() for out in written if out is not None]
    if Path(read).resolve() in outs:
        raise RequestError(f"{Path(read).name} is to be read: it would be written over; name another file to write")
    if len(set(outs)) < len(outs):
        twice = next(out for out in outs if outs.count(out) > 1)
        raise RequestError(f"{twice.name} would be written twice: name a file for each table")


@contextmanager
def replaced(out: Path, is_private: bool = False) -> Iterator[Path]:
    """Yield a temporary file beside `out`, which takes its place when everything went well."""
    if not out.parent.is_dir():
        raise RequestError(f"there is no folder {out.parent} to write {out.name} to")
    try:
        with NamedTemporaryFile(dir=out.parent, prefix=f".{out.name}.", suffix=".tmp", delete=False) as file:
            temporary = Path(file.name)
    except OSError as error:
        raise RequestError(f"{out} cannot be written: {error.strerror}") from None
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o600 if is_private else 0o666 & ~_umask())  # a temporary file is private, a result is not
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def write(
    connection: duckdb.DuckDBPyConnection, rows: duckdb.DuckDBPyRelation, out: str | Path, is_private: bool = False
) -> None:
    """Write a relation of `connection` as csv, jsonl or parquet, whole or not at all."""
    out, form = Path(out), written_format(out)
    packed = "gzip" if out.suffix == ".gz" else "none"
    connection.execute("set preserve_insertion_order = true")  # what was left undone to save memory
    with replaced(out, is_private) as temporary:
        if form == "parquet":
            rows.write_parquet(str(temporary), compression="zstd")
        elif form == "csv":
            mark = "\t" if ".tsv" in out.suffixes else ","
            _inert(rows).write_csv(str(temporary), sep=mark, header=True, compression=packed)
        else:
            rows.create_view("written", replace=True)
            connection.execute(f"copy written to {literal(str(temporary))} (format json, compression {packed})")


def relation_of(
    connection: duckdb.DuckDBPyConnection, objects: Iterable[dict[str, Any]], types: dict[str, str]
) -> duckdb.DuckDBPyRelation:
    """Return Python's objects as a relation with columns of these types; they lie beside what DuckDB spills."""
    # By way of JSON lines: handing values to DuckDB makes it import pandas, which takes longer.
    with NamedTemporaryFile("w", dir=spill_folder(connection), suffix=".jsonl", encoding="utf-8", delete=False) as file:
        file.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in objects)
    return connection.read_json(file.name, format="newline_delimited", columns=types)


def spill_folder(connection: duckdb.DuckDBPyConnection) -> Path:
    """Return the folder for what need not outlive a connection."""
    return Path(connection.execute("select current_setting('temp_directory')").fetchone()[0])


def column(name: str) -> str:
    """Return a column's name as SQL has it; an identifier cannot be bound, but doubled quotes make any name one."""
    quoted = name.replace('"', '""')
    return f'"{quoted}"'


def literal(value: str) -> str:
    """Return a text as SQL has it."""
    quoted = value.replace("'", "''")
    return f"'{quoted}'"


def _inert(rows: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Return rows whose text no spreadsheet takes for a formula: an apostrophe goes before = + - @ tab and return."""
    cells = []
    for name, kind in zip(rows.columns, map(str, rows.types), strict=True):
        cell = column(name)
        if kind == "VARCHAR":
            inert = rf"regexp_replace({cell}, '{FORMULA}', '''\1')"
            cell = f"if({cell} >= 'A' or regexp_full_match({cell}, '{NUMBER}'), {cell}, {inert})"
        elif kind.endswith("[]") or kind.startswith(("MAP", "STRUCT")):
            cell = f"to_json({cell})"
        cells.append(f"{cell} as {column(name)}")
    return rows.project(", ".join(cells))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
