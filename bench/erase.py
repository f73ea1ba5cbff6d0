"""Erasure: one group among a million items and twenty releases that grew night by night, and what is left of it."""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pyarrow as pa

from bench.process import timed
from schemas.run import Run, started
from tasks.release import describe, disk, evidence_file, ledger
from tasks.release.manifest import as_json, digest
from tasks.release.shapes import FORMATS, SPLITS, TableFile, asking
from tasks.release.shapes.table import SCHEMA
from tasks.release.staging import describe_files
from tasks.split import drawn
from tasks.store import Ids, Store

ROOT = Path(__file__).resolve().parents[1]
ITEMS, NIGHTS, GROUP = 1_000_000, 20, 10  # items of a group
ERASED = "group-7"
FIRST = date(2026, 10, 1)
WORDS = 12  # of a text
CURATION = """
name: erasure
labels: {kind: choice, values: {good: The writer is content., bad: The writer is not content.}}
sources: [{path: 'data/*.jsonl', fields: {id: id, text: text, group: group}}]
annotators: [{name: crowd, kind: human, path: 'labels/*.csv', format: table, fields: {item: item, annotator: who, label: label}}]
"""
ERASE = """
from flows.erase import erase
def work():
    return erase(curation, None, None, group, "bench", False, home)
def tell(found):
    return {"releases": len(found["removed"]["releases"]), "scan": found["scan"], "cpu": time.process_time()}
"""


def figures(items: int = ITEMS, nights: int = NIGHTS) -> Iterator[str]:
    """Yield what the erasure of one group took, and what it left."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        run = built(Path(folder), items, nights)
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        yield f"{items:,} items in {items // GROUP:,} groups, {nights} releases, {size / 1e9:.1f} GB (made in {time.monotonic() - start:,.0f} s)"
        before = splits(run)
        done = timed(ERASE, times=1, curation=str(run.folder), home=str(run.home), group=ERASED)
        told, after = done["told"], splits(run)
        gone = [item_id for item_id in before if item_id not in after]
        moved = sum(before[item_id] != split for item_id, split in after.items())
        yield f"  one group erased, {len(gone)} items: {done['seconds']:.0f} s ({told['cpu']:.0f} s of processor), peak memory {done['peak']:,.0f} MB"
        yield f"  {told['releases']} releases cut anew; bytes left: {told['scan']['bytes_left']:,} of {told['scan']['bytes'] / 1e9:.1f} GB looked through"
        yield f"  splits moved: {moved} of {len(after):,}"


def splits(run: Run) -> dict[str, str]:
    """Return the split of each item."""
    return dict(Store(run.store).connect().sql("select item_id, split from split").fetchall())


def built(folder: Path, items: int, nights: int) -> Run:
    """Return a run of a curation whose store and releases were written as the line would have, without asking anybody."""
    place = folder / "curation"
    place.mkdir()
    (place / "curation.yaml").write_text(CURATION)
    run = started(str(place), home=str(folder / "home"))
    every, measured = _items(run, items, nights), _measured(folder)
    for night in range(nights):
        _arrived(run, every.filter(pl.col("night") == night))
    every = every.sort("item_id")
    every = every.with_columns(line=pl.Series(_lines(run, every)))
    for night in range(nights):
        _published(run, FIRST + timedelta(days=night), every.filter(pl.col("night") <= night), measured)
    return run


def _items(run: Run, items: int, nights: int) -> pl.DataFrame:
    """Return items in groups of ten, whose first came on the first night, and its last by the last."""
    chance, ids, rows = random.Random(7), Ids(run.curation.name), []
    words = [f"word{number}" for number in range(5_000)]
    for number in range(items):
        group = f"group-{number // GROUP}"
        text = f"{' '.join(chance.choices(words, k=WORDS))} {number}"
        rows.append({
            "item_id": ids.id("item", text, "{}"), "document_id": ids.id("document", str(number)), "source_id": str(number),
            "text": text, "group_id": group, "split": drawn(run.curation.splits, group),
            "night": number % GROUP * nights // GROUP, "label": chance.choice(("good", "bad")),
        })  # fmt: skip
    return pl.DataFrame(rows)


def _arrived(run: Run, rows: pl.DataFrame) -> None:
    """Store what one night brought: documents, their items and splits, and two people's labels of each."""
    store, day = Store(run.store), FIRST + timedelta(days=int(rows["night"][0])) if len(rows) else FIRST
    text, none = pl.lit, pl.lit(None, pl.String)
    stamped = rows.with_columns(
        recorded_at=pl.lit(datetime.now(UTC)), available_on=pl.lit(day), run_id=text("bench"), context=text("{}"),
        slice=none, extra=none, path=text("data/all.jsonl"), position=pl.int_range(pl.len()), rule=text("hash"),
        event_at=pl.lit(None, pl.Datetime("us", "UTC")),
    )  # fmt: skip
    for table in ("document", "item", "split"):
        store.merge(table, stamped)
    for who in ("ann", "bob"):
        store.merge("annotation", stamped.with_columns(
            annotation_id=pl.concat_str(text(f"annotation_{who}_"), "document_id"), item_id=none,
            annotator_id=text(who), annotator_kind=text("human"), annotator_version=text(who),
            distribution=pl.lit(None, pl.List(pl.Struct({"label": pl.String, "probability": pl.Float64}))),
            distribution_source=text("none"), off_label_share=pl.lit(None, pl.Float64),
            entropy_nats=pl.lit(None, pl.Float64), profile=pl.lit(None, _PROFILE), reason=none, reply_id=none,
            reply_ids=pl.lit(None, pl.List(pl.String)), guideline_version=text("v1"), handout_id=none,
        ))  # fmt: skip


_PROFILE = pl.Struct({name: pl.Float64 for name in (
    "mean", "std", "max", "q10", "q25", "q50", "q75", "q90", "skewness", "kurtosis", "sum")})  # fmt: skip


def _lines(run: Run, rows: pl.DataFrame) -> Iterator[str]:
    """Yield each item as the line of a release."""
    asked, shaped = asking(run.curation, ""), FORMATS["messages"].shaped
    for item_id, text, label in rows.select("item_id", "text", "label").iter_rows():
        row = {"item_id": item_id, "text": text, "context": "{}", "label": label, "posterior": None}
        (line,) = shaped(asked(row))
        yield orjson.dumps(line).decode()


def _published(run: Run, day: date, rows: pl.DataFrame, measured: dict[str, Any]) -> None:
    """Publish items that are there in their order, as the line publishes them."""
    name = f"{day}.1"
    staged, counts = run.releases / ".bench", {}
    for split in SPLITS:
        chosen = rows.filter(pl.col("split") == split)
        counts[split] = len(chosen)
        with disk.writing(staged / f"{split}.jsonl") as file:
            for part in chosen.iter_slices(50_000):
                file.write(("\n".join(part["line"]) + "\n").encode())
        with disk.writing(staged / "data" / f"{split}.parquet") as file, closing(TableFile(file)) as table:
            for part in chosen.iter_slices(50_000):
                table.write(_examples(part))
    describe_files(run.curation.name, ["messages"], staged, counts)
    named = {"release": name, "parent": None, "as_of": str(day), "content_id": name}
    shown = measured | named | {"splits": counts, "split_labels": {}}
    disk.make(evidence_file(run, name).parent)
    disk.write(evidence_file(run, name), as_json(shown))
    describe(staged, shown, shown["gate"])
    disk.move(staged, run.releases / name)
    claimed = ledger.Claim(name, None, day)
    ledger.record_published(run, name, claimed, digest(run.releases / name), 0.0)


def _examples(rows: pl.DataFrame) -> pa.Table:
    """Return items as examples that two people settled."""
    text = pl.lit
    return rows.with_columns(
        context=text("{}"), status=text("human"), posterior_share=pl.lit(1.0), entropy_nats=pl.lit(0.0), people=pl.lit(2),
        posterior=pl.concat_list(pl.struct(label="label", probability=pl.lit(1.0))), models=pl.lit(0),
        slice=pl.lit(None, pl.String), document_ids=pl.format('["{}"]', "document_id"),
    ).select(SCHEMA.names).to_arrow().cast(SCHEMA)  # fmt: skip


def _measured(folder: Path) -> dict[str, Any]:
    """Return what a release of a few items says of itself, made by the line: what it measured is of no matter here."""
    place = folder / "few"
    for part, lines in (("data", FEW), ("labels", ["item,who,label", *VOTES])):
        (place / part).mkdir(parents=True)
        (place / part / ("few.jsonl" if part == "data" else "few.csv")).write_text("\n".join(lines) + "\n")
    (place / "curation.yaml").write_text(CURATION)
    home = folder / "few-home"
    command = [sys.executable, "-m", "flows", "run", str(place), "--home", str(home)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env=os.environ | {"PREFECT_HOME": str(folder / "prefect")})  # fmt: skip
    (file,) = (home / "erasure" / "evidence").glob("*.json")
    return json.loads(file.read_text())


FEW = [json.dumps({"id": f"{n}", "text": f"{word} soup", "group": f"g{n}"}) for n, word in enumerate(["cold", "hot", "my", "no", "old", "raw"])]  # fmt: skip
VOTES = [f"{n},{who},{('good', 'bad')[n % 2]}" for n in range(len(FEW)) for who in ("ann", "bob")]
