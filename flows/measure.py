"""A table of labels, in any file, becomes figures of agreement and entropy."""

import difflib
import gzip
import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import duckdb

from schemas.errors import RequestError, SourceRefused
from tasks import agreement
from tasks.sql import keep, relation

FORMATS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
COMPRESSIONS = (".gz", ".zst")
DEFAULT_TIME = "time"
WIDE_SAMPLE = 1_000  # rows looked at to tell a table with one column per annotator
WIDE_LABELS = 20  # a column with more distinct values than this hardly holds labels


def measure(
    path: str | Path,
    item: str = "item_id",
    annotator: str = "annotator_id",
    label: str = "label",
    time: str | None = DEFAULT_TIME,
    kind: str = "choice",
    slice: str | None = None,
    items_out: str | Path | None = None,
) -> dict[str, Any]:
    """Return agreement and entropy of a file of labels, ready for JSON; write one row per item to `items_out`."""
    if items_out is not None:
        written_format(items_out)  # refuse before the work, not after
    connection = opened()
    counts = read_votes(connection, path, item, annotator, label, time, slice)
    result = counts | agreement.measure(connection, kind)
    if items_out is not None:
        write(agreement.item_entropy(connection, is_counted=True), items_out)
    return result


def opened() -> duckdb.DuckDBPyConnection:
    """Return a connection of its own that fetches no extension; times without a zone are UTC."""
    connection = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    connection.execute("set timezone = 'UTC'")
    return connection


def read_votes(
    connection: duckdb.DuckDBPyConnection,
    path: str | Path,
    item: str,
    annotator: str,
    label: str,
    time: str | None,
    slice: str | None = None,
) -> dict[str, int]:
    """Return how many rows were read, and how many lack a label or a name, and make the relation `vote`."""
    path = Path(path)
    wanted = {"item_id": item, "annotator_id": annotator, "label": label}
    with _reading(path):
        columns = _table(connection, path).columns
        if slice is not None:
            wanted["slice"] = slice
        if time is not None and (time != DEFAULT_TIME or time in columns):
            wanted["time"] = time
        if absent := [name for name in wanted.values() if name not in columns]:
            raise RequestError(_absent(connection, path, absent, columns, wanted))
        _table(connection, path, wanted).select(*_expressions(wanted)).create_view("given", replace=True)
        connection.execute("create or replace temp table row as from given")
    rows, missing, incomplete = relation(connection, "missing_count").fetchone()
    # Without a time nothing says which of an annotator's labels is the last, so each counts.
    keep(connection, "vote", "latest_vote" if "time" in wanted else "given_vote")
    votes = len(connection.table("vote"))
    connection.execute("drop table row")
    superseded = rows - missing - incomplete - votes
    return {"rows": rows, "missing": missing, "incomplete": incomplete, "superseded": superseded}


def write(rows: duckdb.DuckDBPyRelation, out: str | Path) -> None:
    """Write a relation as csv, jsonl or parquet, whole or not at all."""
    out, form = Path(out), written_format(out)
    with replaced(out) as temporary:
        if form == "parquet":
            rows.write_parquet(str(temporary), compression="zstd")
        elif form == "csv":
            compression = "gzip" if out.suffix == ".gz" else "none"
            _inert(rows).write_csv(str(temporary), header=True, compression=compression)
        else:
            write_lines(temporary, out, _objects(rows))


def write_lines(temporary: Path, out: Path, objects: Iterator[dict]) -> None:
    """Write one JSON object a line, compressed if the name of `out` says so."""
    with ExitStack() as open_files:
        file = open_files.enter_context(temporary.open("wb"))
        if out.suffix == ".gz":  # no name, no time: the same rows give the same bytes
            file = open_files.enter_context(gzip.GzipFile("", "wb", fileobj=file, mtime=0))
        file.writelines(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in objects)


@contextmanager
def replaced(out: Path) -> Iterator[Path]:
    """Yield a temporary file beside `out`, which takes its place when everything went well."""
    if not out.parent.is_dir():
        raise RequestError(f"there is no folder {out.parent} to write {out.name} to")
    with NamedTemporaryFile(dir=out.parent, prefix=f".{out.name}.", suffix=".tmp", delete=False) as file:
        temporary = Path(file.name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())  # a temporary file is private, a result is not
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def written_format(out: str | Path) -> str:
    """Return the format a file will be written in."""
    form, compression = _format(Path(out))
    if compression == ".zst" or (compression and form == "parquet"):
        raise RequestError(
            f"cannot write {Path(out).name}: csv and jsonl are written plain or as .gz, parquet as it is"
        )
    return form


def story(result: dict[str, Any]) -> str:
    """Return the figures as a person reads them on a terminal."""
    lines = [
        f"{result['items']:,} items, {result['annotations']:,} labels, {result['annotators']:,} annotators"
        + _asides(result),
        "",
        *_coefficient_lines(result),
        "",
        *_entropy_lines(result["entropy"]),
        "",
        *_share_lines("label", result["labels"]),
    ]
    if result["by_slice"]:
        lines += ["", *_slice_lines(result["by_slice"])]
    return "\n".join([*lines, "", *_annotator_lines(result["by_annotator"])])


def _asides(result: dict[str, Any]) -> str:
    asides = [
        (result.get("missing"), "rows without a label left out"),
        (result.get("incomplete"), "rows without an item or annotator left out"),
        (result.get("superseded"), "earlier labels superseded"),
        (result.get("repeated"), "labels beyond an annotator's first on an item, each counted"),
    ]
    return "".join(f"\n  {n:,} {what}" for n, what in asides if n)


NAMES = {
    "percent": "percent agreement",
    "krippendorff_alpha": "Krippendorff's alpha",
    "fleiss_kappa": "Fleiss' kappa",
    "gwet_ac1": "Gwet's AC1",
}


def _coefficient_lines(result: dict[str, Any]) -> list[str]:
    metric = "" if result["metric"] == "nominal" else f" ({result['metric']})"
    names = {key: name + (metric if key == "krippendorff_alpha" else "") for key, name in NAMES.items()}
    width = max(map(len, names.values()))
    head = f"{'agreement':<{width}}   value   95 % interval, resampling {result['intervals']}"
    return [head] + [f"{name:<{width}}  {_shown(result['agreement'][key])}" for key, name in names.items()]


def _shown(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None:
        return f"     –   {estimate['reason']}"
    reach = f"{estimate['low']:.3f} to {estimate['high']:.3f}" if estimate["low"] is not None else estimate["reason"]
    return f"{estimate['value']:6.3f}   {reach}"


def _entropy_lines(entropy: dict[str, Any]) -> list[str]:
    if entropy["mean_nats"] is None:
        return ["entropy of an item  –  no labels"]
    share = "" if entropy["mean_normalised"] is None else f", {entropy['mean_normalised']:.0%} of the most there can be"
    lines = [
        f"entropy of an item  {entropy['mean_nats']:.3f} nats on average{share}",
        f"                    {entropy['mean_jeffreys_nats']:.3f} nats allowing for how few labels there are",
    ]
    if entropy["unanimous_share"] is not None:
        lines.append(f"                    {entropy['unanimous_share']:.1%} of items with several labels are unanimous")
    return lines


def _share_lines(noun: str, counts: dict[str, int], most: int = 20) -> list[str]:
    total, width = sum(counts.values()) or 1, max([len(noun), *(len(name) for name in list(counts)[:most])])
    lines = [f"{noun:<{width}}       labels"]
    lines += [f"{name:<{width}}  {n:11,}  {n / total:6.1%}" for name, n in list(counts.items())[:most]]
    return lines + _more(len(counts), most)


def _slice_lines(slices: dict[str, dict], most: int = 20) -> list[str]:
    width = max([5, *(len(name) for name in list(slices)[:most])])
    lines = [f"{'slice':<{width}}        items   alpha   95 % interval"]
    for name, figures in list(slices.items())[:most]:
        lines.append(f"{name:<{width}}  {figures['items']:11,}  {_shown(figures['agreement']['krippendorff_alpha'])}")
    return lines + _more(len(slices), most)


def _annotator_lines(annotators: list[dict], most: int = 10) -> list[str]:
    """Return those who agree least with the others, first: they are who a person wants to see."""
    ranked = sorted(annotators, key=lambda one: 2 if (share := one["agreement_with_others"]) is None else share)
    width = max([9, *(len(one["annotator_id"]) for one in ranked[:most])])
    lines = [f"{'annotator':<{width}}       labels  agreement with others (lowest first)"]
    for one in ranked[:most]:
        share = "–" if one["agreement_with_others"] is None else f"{one['agreement_with_others']:.3f}"
        lines.append(f"{one['annotator_id']:<{width}}  {one['annotations']:11,}  {share}")
    return lines + _more(len(annotators), most)


def _more(count: int, most: int) -> list[str]:
    return [f"… and {count - most:,} more"] if count > most else []


def _format(path: Path) -> tuple[str, str]:
    """Return the format a name promises, and the compression."""
    compression = path.suffix if path.suffix in COMPRESSIONS else ""
    suffix = Path(path.stem).suffix if compression else path.suffix
    if suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise RequestError(
            f"cannot tell the format of {path.name}: names end in {known}, then .gz or .zst if compressed"
        )
    return FORMATS[suffix], compression


def _table(
    connection: duckdb.DuckDBPyConnection, path: Path, wanted: dict[str, str] | None = None
) -> duckdb.DuckDBPyRelation:
    """Return the rows of a file, with every value as text."""
    form, _ = _format(path)
    if not path.is_file():
        raise RequestError(f"there is no file {path}")
    literal = re.sub(r"([\[*?])", r"[\1]", str(path))  # the name of a file, not a pattern of names
    if form == "parquet":
        return connection.read_parquet(literal)
    if form == "csv":
        # Without a header line there would be no names to find columns by.
        return connection.read_csv(literal, header=True, all_varchar=True)
    columns = dict.fromkeys(wanted.values(), "VARCHAR") if wanted else None
    return connection.read_json(literal, format="newline_delimited", columns=columns, records="true", maximum_depth=1)


def _expressions(wanted: dict[str, str]) -> list[duckdb.Expression]:
    columns = [_column(column).cast("VARCHAR").alias(name) for name, column in wanted.items()]
    return columns if "slice" in wanted else [*columns, duckdb.SQLExpression("null::varchar").alias("slice")]


def _column(name: str) -> duckdb.Expression:
    # An identifier cannot be bound; doubled quotes make any name one. ColumnExpression would split it at its dots.
    quoted = name.replace('"', '""')
    return duckdb.SQLExpression(f'"{quoted}"')


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise what DuckDB says of a broken file in our words: its own quote the content."""
    try:
        yield
    except duckdb.Error as error:
        line = re.search(r"(?i)\bline:? (\d+)", str(error))
        where = f" at line {line[1]}" if line else ""
        raise SourceRefused(f"{path.name} cannot be read as {_format(path)[0]}: it is damaged{where}") from None


def _absent(
    connection: duckdb.DuckDBPyConnection, path: Path, absent: list[str], columns: list[str], wanted: dict[str, str]
) -> str:
    """Return what a person needs to name the right columns."""
    said = f"{path.name} has no column {' and no column '.join(absent)}; it has: {', '.join(columns[:30])}"
    for name in absent:
        if near := difflib.get_close_matches(name, columns, n=1):
            flag = next(flag for flag, column in wanted.items() if column == name).removesuffix("_id")
            said += f". Did you mean --{flag} {near[0]}?"
    unnamed = {wanted["annotator_id"], wanted["label"]} <= set(absent)
    if unnamed and _is_wide(connection, path, columns, wanted["item_id"]):
        said += (
            ". It looks like a table with one column per annotator; it is read with one row per item and annotator,"
            " which `unpivot` makes of it in DuckDB and `melt` in pandas"
        )
    return said


def _is_wide(connection: duckdb.DuckDBPyConnection, path: Path, columns: list[str], item: str) -> bool:
    """Return whether two columns or more hold the same few values, as columns of annotators do."""
    sample = _table(connection, path).limit(WIDE_SAMPLE).fetchall()
    rest = [place for place, name in enumerate(columns) if name != item and (item in columns or place > 0)]
    values = [{row[place] for row in sample} - {None, ""} for place in rest]
    labels = [found for found in values if 0 < len(found) <= WIDE_LABELS]
    return sum(bool(one & other) for n, one in enumerate(labels) for other in labels[:n]) > 0


def _inert(rows: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Return rows whose text no spreadsheet takes for a formula: an apostrophe goes before = + - @ tab and return."""
    formula, quoted = duckdb.SQLExpression(r"'^([-=+@\t\r])'"), duckdb.SQLExpression("'''\\1'")
    cells = []
    for name, kind in zip(rows.columns, map(str, rows.types), strict=True):
        cell = _column(name)
        if kind == "VARCHAR":
            cell = duckdb.FunctionExpression("regexp_replace", cell, formula, quoted)
        elif kind.endswith("[]"):
            cell = duckdb.FunctionExpression("to_json", cell)
        cells.append(cell.alias(name))
    return rows.select(*cells)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _objects(rows: duckdb.DuckDBPyRelation) -> Iterator[dict]:
    while chunk := rows.fetchmany(10_000):
        yield from (dict(zip(rows.columns, row, strict=True)) for row in chunk)
