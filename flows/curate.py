"""The whole line for one logical date: document → item → annotation → consensus → example → split → release."""

import json
import time
from collections.abc import Awaitable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed, Failed, State

from expectations.suites import suites
from flows.adjudicate import adjudicate
from flows.annotate import annotate
from flows.conclude import approvable, conclude
from flows.ingest import ingest
from flows.release import release
from schemas.errors import BudgetStop, SourceRefused
from schemas.run import Labels, Run, started
from tasks.annotation import Usage, versions
from tasks.artifact import show
from tasks.endpoint import keyed
from tasks.epoch import attainable
from tasks.release import evidence_file, identify, recall, refusal_page
from tasks.run import begin, finish, totals
from tasks.spending import asked, brought, priced
from tasks.store import at_work


def _name() -> str:
    """Return the name of a run of the line: its curation and its date."""
    given = flow_run.parameters
    return f"{folder_name(given['curation'])} {given['as_of'] or scheduled_for()}"


def scheduled_for() -> date:
    """Return the date this run was scheduled for, UTC: a nightly that starts late still is that night's."""
    return (flow_run.scheduled_start_time or datetime.now(UTC)).astimezone(UTC).date()


def folder_name(curation: str) -> str:
    """Return the name of the folder a curation stands in, given that folder or its YAML file."""
    place = Path(curation).resolve()
    return (place if place.is_dir() else place.parent).name


@flow(name="curate", flow_run_name=_name, persist_result=False)
async def curate(
    curation: str,
    as_of: date | None = None,
    labels: Labels = "then",
    home: str | None = None,
    max_usd: float | None = None,
) -> State:
    """Run the line once for a logical date (where none is given, the one it was scheduled for: today, UTC).

    Models may cost `max_usd` in it, beside the curation's budget. The state's name says how it ended: Published,
    Unchanged, Refused, SourceRefused or BudgetStop; its data is the summary.
    """
    run = started(curation, as_of or scheduled_for(), labels, home, max_usd)
    priced(run.curation, max_usd)
    attainable(run.curation)
    suites(run.curation, run.folder)
    keyed(run.curation.models)
    approvable(run.curation)
    get_run_logger().info("%s as of %s", run.curation.name, run.as_of)
    begin(run)
    with at_work(run.store):
        return await _curated(run)


async def _curated(run: Run) -> State:
    """Return the state a run ended in, once all there is to say of it is written down."""
    seconds: dict[str, float] = {}
    try:
        summary, evidence = await _line(run, seconds)
    except SourceRefused as refusal:
        summary, evidence = ended(run, {"status": "source_refused", "release": None, "error": str(refusal)}, {}), None
    except BudgetStop as stop:  # nothing is published of what is half labelled; what was paid for is kept
        summary, evidence = stopped(run, str(stop)), None
    except Exception:
        finish(run, {"status": "failed", "release": None})
        raise
    took = round((datetime.now(UTC) - run.started_at).total_seconds(), 3)
    summary["seconds"] = {"total": took, "by_stage": seconds}
    show(run, summary, evidence)
    finish(run, summary)
    return _state(summary)


async def _line(run: Run, seconds: dict[str, float]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the summary of the line and its evidence, where there is any."""
    read = await timed(seconds, "ingest", ingest(run))
    versions, usages, tables = await timed(seconds, "annotate", annotate(run))
    content, outcome = await _made(run, versions, seconds)
    summary = ended(run, outcome, versions, usages) | {"content_id": content}
    summary["documents"] |= {"new": read.read, "reasons": read.reasons}
    summary["annotations"]["new"] += tables.accepted
    summary["labels"] = {"read": tables.read, "new": tables.accepted, "duplicate": tables.duplicate,
                         "quarantined": tables.quarantined, "reasons": tables.reasons}  # fmt: skip
    if not evidence_file(run, content).exists():
        return summary, None
    evidence = json.loads(evidence_file(run, content).read_text(encoding="utf-8"))
    if not evidence["gate"]["passed"]:
        summary["page"] = str(refusal_page(run, content))
    return summary | figures(evidence), evidence


async def _made(run: Run, versions: dict[str, str], seconds: dict[str, float]) -> tuple[str, dict[str, Any]]:
    """Return the content as of the run and how it ended; made anew where another run adds facts meanwhile."""
    while True:
        content = identify(run, versions)
        if ended := recall(run, content):
            return content, await timed(seconds, "conclude", conclude(run, ended))
        await timed(seconds, "adjudicate", adjudicate(run, versions))
        if ended := await timed(seconds, "release", release(run, versions, content)):
            return content, await timed(seconds, "conclude", conclude(run, ended))


async def timed(seconds: dict[str, float], leg: str, work: Awaitable[Any]) -> Any:
    """Return what the work returns, and note how long it took."""
    start = time.perf_counter()
    try:
        return await work
    finally:
        seconds[leg] = round(time.perf_counter() - start, 3)


def ended(
    run: Run, outcome: dict[str, Any], versions: dict[str, str], usages: dict[str, Usage] | None = None
) -> dict[str, Any]:
    """Return a run's summary as far as it rests on what the store holds and on what models were asked."""
    usage = sum((usages or {}).values(), Usage()).row
    held = totals(run, versions)
    held["annotations"]["new"] = usage.pop("annotations")
    del usage["unpriced"]
    run_of = {"run_id": run.run_id, "curation": run.curation.name, "as_of": str(run.as_of)}
    return run_of | outcome | held | {"llm": usage}


def stopped(run: Run, why: str) -> dict[str, Any]:
    """Return the summary of a run whose budget was used up; what it asked is what the store knows of it."""
    summary = ended(run, {"status": "budget_stop", "release": None, "error": why}, versions(run))
    summary["llm"] |= asked(run)
    summary["annotations"]["new"] = brought(run)
    return summary


def figures(evidence: dict[str, Any]) -> dict[str, Any]:
    """Return the part of the evidence that a summary shows."""
    entropy = {key: evidence["entropy"][key] for key in ("mean_nats", "mean_dirichlet_nats", "unanimous_share")}
    models = [row for row in evidence["annotations"]["by_annotator"] if row["annotator_kind"] == "llm"]
    return {
        "agreement": evidence["agreement"],
        "entropy": entropy,
        "consensus": {key: count for key, count in evidence["consensus"].items() if key != "reasons"},
        "accuracy": {row["annotator_id"]: row["accuracy"] for row in models},
        "certificate": evidence["certificate"],
        "gate": {"passed": evidence["gate"]["passed"], "failed": evidence["gate"]["failed"]},
        "splits": evidence["splits"],
        "excluded": evidence["excluded"],
        "leakage": leakage(evidence),
    }


def leakage(evidence: dict[str, Any]) -> dict[str, Any]:
    """Return what of the examples stands in two splits, as the gate measured it, and what was kept out lest it would."""
    measured = next((suite["measures"] for suite in evidence["gate"]["suites"] if suite["suite"] == "leakage"), {})
    of_two_splits = {name: measured.get(name) for name in ("groups", "near_duplicates", "texts")}
    return of_two_splits | {"kept_out": evidence["excluded"].get("bridges_splits", 0)}


def _state(summary: dict[str, Any]) -> State:
    match summary["status"]:
        case "refused":
            why = summary.get("why") or "the gate refused: " + "; ".join(summary["gate"]["failed"])
            return Failed(name="Refused", message=why, data=summary)
        case "source_refused":
            return Failed(name="SourceRefused", message=summary["error"], data=summary)
        case "budget_stop":
            return Failed(name="BudgetStop", message=summary["error"], data=summary)
        case status:
            return Completed(
                name=status.capitalize(),
                message=summary.get("why") or summary["release"] or "nothing to do",
                data=summary,
            )
