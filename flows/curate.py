"""The whole line for one logical date: document → item → annotation → consensus → example → split → release."""

import json
import time
from collections.abc import Awaitable
from datetime import UTC, date, datetime
from typing import Any

from prefect import flow
from prefect.states import Completed, Failed, State

from expectations.suites import sources_digest
from flows.adjudicate import adjudicate
from flows.annotate import annotate
from flows.ingest import ingest
from flows.release import release
from schemas.errors import SourceRefused
from schemas.run import Labels, Run, started
from tasks.annotation import Usage
from tasks.artifact import show
from tasks.release import evidence_file, identify, recall
from tasks.run import begin, finish, totals


@flow(name="curate", flow_run_name="{curation}-{as_of}", persist_result=False)
async def curate(curation: str, as_of: date | None = None, labels: Labels = "then", home: str | None = None) -> State:
    """Run the line once for a logical date (today, UTC, where none is given).

    The state's name says how it ended: Published, Unchanged, Refused or SourceRefused; its data is the summary.
    """
    run = started(curation, as_of, labels, home)
    seconds: dict[str, float] = {}
    begin(run)
    try:
        read = await timed(seconds, "ingest", ingest(run))
    except SourceRefused as refusal:
        summary = _summary(run, {"status": "source_refused", "release": None}, {}, {}, seconds)
        finish(run, summary)
        return Failed(name="SourceRefused", message=str(refusal), data=summary | {"error": str(refusal)})
    versions, tables, usages = await timed(seconds, "annotate", annotate(run))
    content = identify(run, versions, sources_digest())
    ended = recall(run, content)
    if ended is None:
        await timed(seconds, "adjudicate", adjudicate(run, versions))
        ended = await timed(seconds, "release", release(run, versions, content))
    evidence = _evidence(run, content)
    summary = _summary(run, ended, versions, usages, seconds) | _figures(evidence)
    summary |= {"content_id": content, "documents": summary["documents"] | {"new": read.read, "reasons": read.reasons}}
    summary["labels"] = {"read": tables.read, "new": tables.accepted, "quarantined": tables.quarantined, "reasons": tables.reasons}  # fmt: skip
    show(run, summary, evidence)
    finish(run, summary)
    return _state(summary)


async def timed(seconds: dict[str, float], leg: str, work: Awaitable[Any]) -> Any:
    """Return what the work returns, and note how long it took."""
    start = time.perf_counter()
    try:
        return await work
    finally:
        seconds[leg] = round(time.perf_counter() - start, 3)


def _evidence(run: Run, content: str) -> dict[str, Any]:
    return json.loads(evidence_file(run, content).read_text(encoding="utf-8"))


def _summary(
    run: Run, ended: dict[str, Any], versions: dict[str, str], usages: dict[str, Usage], seconds: dict[str, float]
) -> dict[str, Any]:
    usage = sum(usages.values(), Usage()).row
    held = totals(run, versions)
    held["annotations"]["new"] = usage.pop("annotations")
    total = round((datetime.now(UTC) - run.started_at).total_seconds(), 3)
    return {
        "run_id": run.run_id,
        "curation": run.curation.name,
        "as_of": str(run.as_of),
        **ended,
        **held,
        "llm": {key: usage[key] for key in ("calls", "cached", "failed", "prompt_tokens", "completion_tokens", "usd")},
        "seconds": {"total": total, "by_stage": seconds},
    }


def _figures(evidence: dict[str, Any]) -> dict[str, Any]:
    """Return the part of the evidence that a summary shows."""
    gate = {"passed": evidence["gate"]["passed"], "failed": evidence["gate"]["failed"]}
    consensus = {key: count for key, count in evidence["consensus"].items() if key != "reasons"}
    shown = {key: evidence[key] for key in ("agreement", "splits", "certificate")}
    accuracy = {
        row["annotator_id"]: row["accuracy"]
        for row in evidence["annotations"]["by_annotator"]
        if row["annotator_kind"] == "llm"
    }
    entropy = {key: evidence["entropy"][key] for key in ("mean_nats", "mean_jeffreys_nats", "unanimous_share")}
    return shown | {"entropy": entropy, "consensus": consensus, "accuracy": accuracy, "gate": gate}


def _state(summary: dict[str, Any]) -> State:
    if summary["status"] == "refused":
        failed = "; ".join(summary["gate"]["failed"])
        return Failed(name="Refused", message=f"the gate refused: {failed}", data=summary)
    return Completed(name=summary["status"].capitalize(), message=summary["release"], data=summary)
