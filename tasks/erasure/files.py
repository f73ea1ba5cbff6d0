"""Erasure beside the tables and the releases: the journal, drafts, the outbox, and queues that were written to our folders."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.run import Run
from tasks.annotator import llm
from tasks.erasure.plan import Plan
from tasks.erasure.scan import Scan
from tasks.erasure.sought import forms, marks
from tasks.release import disk
from tasks.source.files import find
from tasks.sql import relation
from tasks.store import Store

Holds = Callable[[str], bool]


def take_over(run: Run) -> None:
    """Put what killed runs had heard into the store, where it is found, and remove their drafts and what they were to send."""
    llm.recover(Store(run.store))
    for folder in (run.store / "derived").glob("*/"):
        if folder.name != "latest":
            disk.remove(folder)
    for file in (run.store / "outbox").glob("*.jsonl"):
        disk.remove(file)


def counted(run: Run, plan: Plan) -> dict[str, int]:
    """Return the rows to go of each file that holds some, by its path in the home."""
    counts = {file: rows for file, rows, _ in _cut(run, plan)}
    return {file.relative_to(run.home).as_posix(): rows for file, rows in counts.items()}


def remove(run: Run, plan: Plan) -> None:
    """Take the rows out of what was derived and of the queues in the home."""
    for _, _, write in _cut(run, plan):
        write()


def _cut(run: Run, plan: Plan) -> Iterator[tuple[Path, int, Callable[[], None]]]:
    """Yield each file that holds rows of what goes, how many, and what writes it without them."""
    for file in sorted((run.store / "derived" / "latest").glob("*.parquet")):
        yield from _cut_table(file, plan.gone.items)
    holds = _holder(run, plan)
    for file in sorted(one for one in run.home.glob("*") if one.is_file() and not one.is_symlink()):
        yield from _cut_queue(file, holds, plan)


def _cut_table(file: Path, items: list[str]) -> Iterator[tuple[Path, int, Callable[[], None]]]:
    table = pq.read_table(file)
    if "item_id" not in table.column_names:
        return
    gone = pc.is_in(table["item_id"], value_set=pa.array(items, pa.string()))
    if rows := pc.sum(gone).as_py():
        sink = pa.BufferOutputStream()
        pq.write_table(table.filter(pc.invert(gone)), sink)
        yield file, rows, lambda: _put(file, sink.getvalue().to_pybytes())


def _holder(run: Run, plan: Plan) -> Holds:
    """Return what tells whether a record, as text, is of what goes: by its texts, or by its ids."""
    gone = {"document_id": plan.gone.documents, "item_id": plan.gone.items}
    connection = Store(run.store).connect()
    query = """
        select handout_id from handout
        where list_contains($item_id::varchar[], item_id) or list_contains($document_id::varchar[], document_id)
    """
    handed_out = [one for (one,) in connection.sql(query, params=gone).fetchall()]
    texts = [form for text in plan.sought.anywhere for form in forms(text)] + marks(plan.sought.whole)
    words = [*texts, *handed_out, *plan.gone.documents, *plan.gone.items]
    return lambda record: any(word in record for word in words)


def _cut_queue(file: Path, holds: Holds, plan: Plan) -> Iterator[tuple[Path, int, Callable[[], None]]]:
    packed, suffix = file.suffix == ".gz", Path(file.stem).suffix if file.suffix == ".gz" else file.suffix
    if suffix == ".parquet" and not packed:
        yield from _cut_table(file, plan.gone.items)
    if suffix not in _CUTS:
        return
    try:
        raw = gzip.decompress(file.read_bytes()) if packed else file.read_bytes()
        left, rows = _CUTS[suffix](raw.decode("utf-8"), holds)
    except (ValueError, OSError, EOFError, csv.Error):  # no file of ours; where it holds a text, the scan says so
        return
    if rows:
        written = gzip.compress(left.encode(), mtime=0) if packed else left.encode()
        yield file, rows, lambda: _put(file, written)


def _put(file: Path, content: bytes) -> None:
    mode = file.stat().st_mode
    disk.put(file, content)
    file.chmod(mode)


def _cut_lines(text: str, holds: Holds) -> tuple[str, int]:
    lines = text.split("\n")
    left = [line for line in lines if not holds(line)]
    return "\n".join(left), len(lines) - len(left)


def _cut_list(text: str, holds: Holds) -> tuple[str, int]:
    records = json.loads(text)
    if not isinstance(records, list):
        return text, 0
    left = [record for record in records if not holds(json.dumps(record, ensure_ascii=False))]
    inner = ",\n".join(json.dumps(record, ensure_ascii=False) for record in left)
    return f"[\n{inner}\n]\n", len(records) - len(left)


def _cut_csv(separator: str) -> Callable[[str, Holds], tuple[str, int]]:
    def cut(text: str, holds: Holds) -> tuple[str, int]:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
        left = [row for row in rows if not any(holds(cell) or holds(json.dumps(cell)) for cell in row)]
        out = io.StringIO(newline="")
        csv.writer(out, delimiter=separator, lineterminator="\n").writerows(left)
        return out.getvalue(), len(rows) - len(left)

    return cut


_CUTS = {
    ".csv": _cut_csv(","), ".tsv": _cut_csv("\t"), ".jsonl": _cut_lines, ".ndjson": _cut_lines, ".json": _cut_list,
}  # fmt: skip


def remote(run: Run, plan: Plan) -> list[dict[str, Any]]:
    """Return the batches at endpoints that were sent the texts, and whose files there were not deleted yet."""
    rows = relation(Store(run.store).connect(), "remote_batch", items=plan.gone.items)
    return [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()]


def sources(run: Run, plan: Plan) -> list[str]:
    """Return the files of the user's own that hold one of the texts, relative to the curation: they are not ours to change."""
    scan = Scan(plan.sought)
    patterns = [source.path for source in run.curation.sources] + [people.path for people in run.curation.people]
    files = {file.path: file.place for pattern in patterns for file in find(run.folder, pattern)}
    return sorted(path for path, place in files.items() if scan.file(place))
