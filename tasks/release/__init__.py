"""Examples become a release: staged, judged by the gate, named, and published whole or not at all."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from prefect import get_run_logger

from schemas.errors import AssayError
from schemas.run import Run
from tasks.annotator.version import guidelines
from tasks.draft import see
from tasks.known import known
from tasks.release import disk, ledger
from tasks.release.content import content_id
from tasks.release.croissant import croissant
from tasks.release.evidence import evidence
from tasks.release.frames import reduce
from tasks.release.manifest import MANIFEST, as_json, digest, listed
from tasks.release.shapes import SPLITS, messages, table
from tasks.report import card, report
from tasks.stage import stage

__all__ = ["alone", "evidence_file", "identify", "publish", "recall", "record", "reduce_staged", "stage_files"]

alone = ledger.alone
_STAGING = ".staging"


@stage
def identify(run: Run, versions: dict[str, str]) -> str:
    """Return the content id of what a release as of the run would be made from."""
    return content_id(run, versions)


@stage
def recall(run: Run, content: str) -> dict[str, Any] | None:
    """Return how this content ended before: {status, release}; None where it is to be made (again).

    Where no item is known by the date there is nothing to make.
    """
    if not len(known(run).table("known_item")):
        return {"status": "unchanged", "release": None}
    verdict = ledger.verdict_of(run, content)
    if verdict and not verdict["passed"] and evidence_file(run, content).exists():
        return {"status": "refused", "release": None}
    entry = ledger.published_as(run, content)
    if not entry or not (run.releases / entry["release"]).exists():
        return None
    folder = run.releases / entry["release"]
    if not (folder / MANIFEST).is_file() or digest(folder) != entry["digest"]:
        raise AssayError(f"{folder}: not as it was published; move it away, and the next run makes it again")
    ledger.advance(run.releases, entry["release"])
    return {"status": "unchanged", "release": str(folder)}


@stage
def stage_files(run: Run) -> dict[str, int]:
    """Return the number of examples by split, their files staged beside the releases; call it within `alone`."""
    staged = _staged(run)
    disk.remove(staged)  # left behind by a run that was killed
    connection = known(run)
    see(run, connection, "example")
    rows = connection.sql("select * from example order by item_id").pl().to_dicts()
    text, counts = guidelines(run.curation.labels, run.folder), {}
    for split in SPLITS:
        chosen = [row for row in rows if row["split"] == split]
        disk.write(staged / f"{split}.jsonl", "".join(messages(run.curation, text, chosen)))
        disk.write(staged / "data" / f"{split}.parquet", _parquet(chosen))
        counts[split] = len(chosen)
    return counts


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table(rows), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


@stage
def reduce_staged(run: Run, versions: dict[str, str]) -> Path:
    """Return the DuckDB file of frames that the gate judges."""
    return reduce(run, versions, _staged(run))


@stage
def record(run: Run, versions: dict[str, str], content: str, verdict: dict[str, Any]) -> dict[str, Any] | None:
    """Return the evidence of a verdict, which is on disk before anything depends on it.

    None where another run added facts since `content` was identified: what was judged is then another content.
    """
    found = evidence(run, versions) | {"gate": verdict, "content_id": content}
    if content_id(run, versions) != content:
        return None
    disk.write(evidence_file(run, content), as_json(found))
    ledger.record_verdict(run, content, verdict)
    return found


def evidence_file(run: Run, content: str) -> Path:
    """Return where the evidence of a content's verdict stands."""
    return run.store / "evidence" / f"{content}.json"


@stage
def publish(run: Run, content: str, verdict: dict[str, Any], shown: dict[str, Any]) -> dict[str, Any]:
    """Return {status, release} of the staged files, published under the content's name; call it within `alone`."""
    claimed, staged = ledger.claim(run, content), _staged(run)
    shown = shown | {"release": claimed.release, "parent": claimed.parent, "as_of": str(claimed.as_of)}
    _describe(staged, shown, verdict)
    folder = run.releases / claimed.release
    seconds = (datetime.now(UTC) - run.started_at).total_seconds()
    ledger.record_published(run, content, claimed, digest(staged), seconds)
    if folder.exists():  # made from another store: the same bytes, or not ours to touch
        if digest(folder) != digest(staged):
            raise AssayError(f"{folder}: not as it was published; move it away, and the next run makes it again")
        disk.remove(staged)
    else:
        disk.sync(staged)
        disk.move(staged, folder)
        disk.sync(run.releases)
    ledger.advance(run.releases, claimed.release)
    get_run_logger().info("published %s", claimed.release)
    return {"status": "published", "release": str(folder)}


def _describe(staged: Path, shown: dict[str, Any], verdict: dict[str, Any]) -> None:
    """Write what a release says of itself; the manifest last."""
    rows = {path: shown["splits"][split] for split in SPLITS for path in (f"{split}.jsonl", f"data/{split}.parquet")}
    data = listed(staged, rows)
    shown = shown | {"files": data}
    disk.write(staged / "certificate.json", as_json(shown["certificate"] | {"release": shown["release"]}))
    disk.write(staged / "checks.json", as_json(verdict))
    disk.write(staged / "croissant.json", as_json(croissant(shown, data)))
    disk.write(staged / "README.md", card(shown))
    disk.write(staged / "report.html", report(shown))
    manifest = {
        "curation": shown["curation"],
        "release": shown["release"],
        "parent": shown["parent"],
        "as_of": shown["as_of"],
        "content_id": shown["content_id"],
        "versions": shown["versions"],
        "splits": shown["splits"],
        "files": listed(staged, rows),
    }
    disk.write(staged / MANIFEST, as_json(manifest))


def _staged(run: Run) -> Path:
    return run.releases / _STAGING
