"""Tables of labels that several tests write and read."""

import csv
import gzip
import io
import json
from pathlib import Path

import duckdb
import pyarrow as pa

TABLE = "item_id,annotator_id,label\nX,A,yes\nX,B,yes\nY,A,no\nY,B,yes\n"


def saved(folder: Path, name: str, text: str) -> Path:
    """Write a text to a file, packed if its name says so; return the path."""
    raw, path = text.encode(), folder / name
    if name.endswith(".gz"):
        raw = gzip.compress(raw)
    if name.endswith(".zst"):
        raw = pa.compress(raw, codec="zstd", asbytes=True)
    path.write_bytes(raw)
    return path


def stored(folder: Path, name: str, rows: list[dict]) -> Path:
    """Write rows in the format and the compression that the name says; return the path."""
    if ".parquet" in name:
        plain = folder / f"{name}.plain"
        saved(folder, f"{name}.jsonl", lines(*rows))
        columns = dict.fromkeys(rows[0], "VARCHAR")
        duckdb.read_json(str(folder / f"{name}.jsonl"), columns=columns).write_parquet(str(plain))
        raw = plain.read_bytes()
        (folder / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return folder / name
    if ".jsonl" in name:
        return saved(folder, name, lines(*rows))
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], delimiter="\t" if ".tsv" in name else ",")
    writer.writeheader()
    writer.writerows(rows)
    return saved(folder, name, text.getvalue())


def lines(*rows: dict) -> str:
    """Return rows as lines of JSON."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def written(path: Path, columns: str) -> list[tuple]:
    """Return these columns of a table that was written."""
    table = duckdb.read_csv(str(path), all_varchar=True) if path.suffix == ".csv" else duckdb.sql(f"from '{path}'")
    return table.project(columns).fetchall()
