"""Releases cut anew: the rows of what was erased go from every file of a release, and what it says of itself follows."""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.errors import AssayError
from schemas.run import Run
from tasks.erasure.plan import Plan
from tasks.erasure.subject import Subject
from tasks.release import describe, disk, evidence_file, folder, ledger, target
from tasks.release.manifest import MANIFEST, as_json, digest, listed
from tasks.release.shapes import FORMATS, SPLITS, TableFile, places
from tasks.release.staging import describe_files, rows_by_file

CUTTING, BEFORE = ".cutting-", ".before-"  # what a release is called while it is cut anew, and what it was before
TOLD = {"README.md", "report.html", "croissant.json"}  # made from the evidence, and so are these two:
COPIED = {"certificate.json", "checks.json"}
BLOCK = 1 << 22
MEASURED = "Figures but splits, rows and digests are as they were measured before the erasure."
_ROWS = 16_384
Manifest = dict[str, Any]


@dataclass(frozen=True)
class Cut:
    """What goes from one split of a release: the places of rows, counted from 0."""

    gone: list[int] = field(default_factory=list)
    shared: list[int] = field(default_factory=list)
    """Rows of which a document goes, and not the item."""


def held(run: Run, gone: Subject) -> dict[str, dict[str, Any]]:
    """Return {rows, shared, previous_digest} of each release in the folder that holds some of what goes, by its name."""
    found = {}
    for name in sorted(folder.on_disk(run.releases), key=folder.order):
        place = run.releases / name
        if cuts := _cuts(place, gone):
            rows, shared = (sum(len(getattr(cut, kind)) for cut in cuts.values()) for kind in ("gone", "shared"))
            found[name] = {"rows": rows, "shared": shared, "previous_digest": digest(place)}
    return found


def settle(run: Run) -> None:
    """Bring the folder in order where an erasure was killed: a release that was cut, and not yet in its place, gets there."""
    for staged in sorted(run.releases.glob(f"{CUTTING}*")):
        place = run.releases / staged.name.removeprefix(CUTTING)
        if place.exists():
            disk.remove(staged)
        else:
            disk.move(staged, place)
    for old in sorted(run.releases.glob(f"{BEFORE}*")):
        disk.remove(old)
    folder.tidy(run.releases)
    disk.remove(run.releases / ".staging")  # a killed run's, with texts


def recut(run: Run, name: str, plan: Plan) -> None:
    """Cut a release anew, in its place and under its name; one that holds nothing of what goes stays as it is."""
    place, staged = run.releases / name, run.releases / f"{CUTTING}{name}"
    before = digest(place)
    if cuts := _cuts(place, plan.gone):
        if before != ledger.digest_of(run, name) and ledger.digest_of(run, name):
            raise AssayError(f"{place}: not as it was published; move it away, and erase again")
        disk.remove(staged)
        manifest = json.loads((place / MANIFEST).read_bytes())
        manifest["formats"] = list(manifest.get("formats") or ("messages",))
        evidence = evidence_file(run, manifest["content_id"])
        _copy(place, staged, manifest, cuts, plan.gone, TOLD | {MANIFEST} | (COPIED if evidence.exists() else set()))
        _say(evidence, staged, manifest, before)
        disk.sync_all(staged)
        old = run.releases / f"{BEFORE}{name}"
        disk.move(place, old)
        disk.move(staged, place)
        disk.sync(run.releases)
        disk.remove(old)
    _write_down(run, name)


def shelves(run: Run) -> list[Path]:
    """Return the targets that are folders here; a bucket is not ours to look through."""
    return [target.target_of(run, one).root for one in run.curation.release.targets if one.kind != "s3"]


def _write_down(run: Run, name: str) -> None:
    """Let the ledger know the digest of a release that was cut: also where what cut it was killed before."""
    place = run.releases / name
    cut_from = json.loads((place / MANIFEST).read_bytes()).get("redacted_from")
    if cut_from and ledger.digest_of(run, name) != digest(place):
        ledger.record_recut(run, name, digest(place), cut_from[-1])


def _cuts(place: Path, gone: Subject) -> dict[str, Cut]:
    """Return what goes from each split of a release that holds some of it."""
    items, documents = pa.array(gone.items, pa.string()), [f'"{one}"' for one in gone.documents]
    found = {}
    for split in SPLITS:
        file = place / "data" / f"{split}.parquet"
        if not file.is_file():
            continue
        table = pq.read_table(file, columns=["item_id", *(["document_ids"] if gone.shared else [])])
        is_gone = pc.is_in(table["item_id"], value_set=items)
        shared = []
        if gone.shared:
            is_shared = pc.is_in(table["item_id"], value_set=pa.array(gone.shared, pa.string()))
            candidates = pc.indices_nonzero(is_shared).to_pylist()
            shared = [row for row in candidates if any(one in table["document_ids"][row].as_py() for one in documents)]
        cut = Cut(pc.indices_nonzero(is_gone).to_pylist(), shared)
        if cut.gone or cut.shared:
            found[split] = cut
    return found


def _copy(place: Path, staged: Path, manifest: Manifest, cuts: dict[str, Cut], gone: Subject, but: set[str]) -> None:
    """Write the files of a release `but` some again, without the rows that go; one that holds none is the same file."""
    lines = {
        path: (cuts[split].gone, FORMATS[shape].rows)
        for shape, files in places(manifest["curation"], manifest["formats"]).items()
        for split, path in files.items()
        if split in cuts and cuts[split].gone
    }
    tables = {f"data/{split}.parquet": cut for split, cut in cuts.items()}
    for file in sorted(one for one in place.rglob("*") if one.is_file()):
        path = file.relative_to(place).as_posix()
        if path in but:
            continue
        if path in tables:
            _copy_table(file, staged / path, tables[path], gone)
        elif path in lines:
            _copy_lines(file, staged / path, _every(*lines[path]))
        elif file.suffix in (".jsonl", ".parquet"):
            disk.make((staged / path).parent)
            os.link(file, staged / path)
        else:  # may be written again
            disk.write(staged / path, file.read_bytes())


def _every(rows: list[int], lines: int) -> Iterator[int]:
    """Yield the lines of rows that are so many lines each."""
    return (row * lines + line for row in rows for line in range(lines))


def _copy_table(old: Path, new: Path, cut: Cut, gone: Subject) -> None:
    first = 0
    with disk.writing(new) as file, closing(TableFile(file)) as writer, pq.ParquetFile(old) as table:
        for batch in table.iter_batches(_ROWS):
            rows, last = pa.Table.from_batches([batch]), first + batch.num_rows
            for row in (row - first for row in cut.shared if first <= row < last):
                rows = _without_documents(rows, row, gone)
            dropped = [row - first for row in cut.gone if first <= row < last]
            keep = pc.invert(pc.is_in(pa.array(range(len(rows))), value_set=pa.array(dropped, pa.int64())))
            writer.write(rows.filter(keep) if dropped else rows)
            first = last


def _without_documents(rows: pa.Table, row: int, gone: Subject) -> pa.Table:
    """Return rows of which one no longer names the documents that go, nor a group that it had from them alone."""
    (was,) = rows.slice(row, 1).to_pylist()
    left = [one for one in json.loads(was["document_ids"]) if one not in set(gone.documents)]
    value = {"document_ids": json.dumps(left, separators=(",", ":"))}
    value |= {"group_id": None} if was["item_id"] in gone.ungrouped else {}
    changed = pa.Table.from_pylist([was | value], schema=rows.schema)
    return pa.concat_tables([rows.slice(0, row), changed, rows.slice(row + 1)])


def _copy_lines(old: Path, new: Path, dropped: Iterator[int]) -> None:
    """Copy a file but for some lines, given in order, in blocks: what is not dropped is not looked at."""
    line, due = 0, next(dropped, None)
    with old.open("rb") as source, disk.writing(new) as sink:
        while block := source.read(BLOCK):
            start = 0
            while due is not None and start < len(block):
                if line < due:
                    end, line = _after(block, start, due - line, line)
                    sink.write(block[start:end])
                else:
                    end, line = _after(block, start, 1, line)
                    due = next(dropped, None) if line > due else due
                start = end
            sink.write(block[start:])


def _after(block: bytes, start: int, lines: int, line: int) -> tuple[int, int]:
    """Return where so many lines from a place on end, at most at the end of the block, and the line that is next."""
    if (there := block.count(b"\n", start)) < lines:
        return len(block), line + there
    for _ in range(lines):
        start = block.index(b"\n", start) + 1
    return start, line + lines


def _say(evidence: Path, staged: Path, manifest: Manifest, before: str) -> None:
    """Write what the release says of itself anew: what of it can be counted, is; the manifest says what it was cut from.

    Without its evidence (it was made from another store) it has no card, report and Croissant any more.
    """
    counts = _counted(staged)
    splits = {split: sum(labels.values()) for split, labels in counts["split_labels"].items()}
    describe_files(manifest["curation"], manifest["formats"], staged, splits)
    if evidence.exists():
        measured = json.loads(evidence.read_text(encoding="utf-8"))
        told = {key: manifest[key] for key in ("release", "parent", "as_of", "formats")}
        describe(staged, _true(measured, counts, splits) | told, measured["gate"])
        described = json.loads((staged / MANIFEST).read_bytes())
    else:
        rows = rows_by_file(manifest["curation"], manifest["formats"], splits)
        described = manifest | {"splits": splits, "files": listed(staged, rows)}
    cut_from = [*manifest.get("redacted_from", []), before]
    disk.write(staged / MANIFEST, as_json(described | {"redacted_from": cut_from, "measured": MEASURED}))


def _counted(staged: Path) -> dict[str, Any]:
    """Return how many rows a release has by split and label, and how many labels of a model's that nobody checked."""
    counts, accepted = {}, 0
    for split in SPLITS:
        table = pq.read_table(staged / "data" / f"{split}.parquet", columns=["label", "status"])
        labels = sorted(pc.value_counts(table["label"]).to_pylist(), key=lambda one: one["values"])
        counts[split] = {one["values"]: one["counts"] for one in labels}
        accepted += pc.sum(pc.equal(table["status"], "accepted")).as_py() or 0
    return {"split_labels": counts, "accepted": accepted}


def _true(evidence: dict[str, Any], counts: dict[str, Any], splits: dict[str, int]) -> dict[str, Any]:
    """Return the evidence with what can be counted of the rows that are left."""
    cut = sum(evidence["splits"].values()) - sum(splits.values())
    certificate = evidence["certificate"]
    return evidence | {
        "splits": splits,
        "split_labels": counts["split_labels"],
        "excluded": evidence["excluded"] | {"erased": cut},
        "certificate": certificate | ({"published": counts["accepted"]} if "published" in certificate else {}),
    }
