"""A flow is run from the command line: what it says, how it ended, and what it would do."""

import asyncio
import logging
import sys
from collections.abc import Coroutine
from datetime import date
from pathlib import Path
from typing import Any

from schemas.curation import find, load
from schemas.errors import AssayError

EXIT = {"published": 0, "unchanged": 0, "refused": 3, "budget_stop": 4, "source_refused": 5}
BAR = 24  # characters of a full bar
_ROOT = Path(__file__).resolve().parent.parent
_OUR_FOLDERS = {_ROOT / "flows", _ROOT / "tasks", *(folder for folder in (_ROOT / "tasks").glob("*/"))}


def run(curation: str, as_of: date | None, home: str | None) -> tuple[dict[str, Any], int]:
    """Return the summary of a run of the line and its exit status."""
    load(find(curation))  # a mistake in it is told before Prefect takes its seconds to start
    from flows.curate import curate

    return _ended(curate(curation, as_of, "then", home, return_state=True))


def backfilled(
    curation: str, start: date, end: date, labels: str, max_usd: float | None, home: str | None
) -> tuple[dict[str, Any], int]:
    """Return the summary of a backfill and its exit status."""
    from flows.backfill import backfill, checked

    checked(curation, start, end, max_usd)
    return _ended(backfill(curation, start, end, labels, max_usd, home, return_state=True))


def _ended(flow: Coroutine) -> tuple[dict[str, Any], int]:
    """Return a flow's summary and exit status; raise what stopped it, where that is an error a person can act on."""
    _speak()
    state = asyncio.run(flow)
    summary = state.result(raise_on_failure=False)
    if isinstance(summary, AssayError):
        raise summary
    if not isinstance(summary, dict):
        kind = type(summary).__name__ if isinstance(summary, BaseException) else state.name
        raise AssayError(f"a fault of ours ({kind}); the log above says where. What was done is kept")
    return summary, EXIT[summary["status"]]


def _speak() -> None:
    """Let our own stages' lines reach stderr, plainly; of Prefect's only what is a fault, once."""
    from prefect.logging.configuration import setup_logging
    from prefect.settings import get_current_settings

    setup_logging()
    for handler in logging.getLogger().handlers:
        handler.addFilter(_Ours())
        handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    if sys.stderr.isatty():
        logging.getLogger().addHandler(_Bar())
    if not get_current_settings().api.url:
        print("starting Prefect for this run (set PREFECT_API_URL to use a server of yours)", file=sys.stderr)


class _Ours(logging.Filter):
    """Passes what our own code says, and a fault's traceback the first time it is told."""

    def __init__(self) -> None:
        super().__init__()
        self._told: set[int] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if Path(record.pathname).parent in _OUR_FOLDERS:
            return not (hasattr(record, "done") and sys.stderr.isatty())  # drawn as a bar instead
        fault = record.exc_info[1] if record.exc_info else None
        if fault is None or isinstance(fault, AssayError) or id(fault) in self._told:
            return False
        self._told.add(id(fault))
        return True


class _Bar(logging.Handler):
    """Draws records that say how much of what is done, in one line of the terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        if hasattr(record, "done"):
            filled = BAR * record.done // max(record.total, 1)
            end = "\n" if record.done == record.total else ""
            sys.stderr.write(f"\r\x1b[K          {'━' * filled}{'╌' * (BAR - filled)}  {record.getMessage()}{end}")
            sys.stderr.flush()


def story(summary: dict[str, Any]) -> str:
    """Return a run's summary for people to read."""
    documents, items, annotations = summary["documents"], summary["items"], summary["annotations"]
    lines = [
        f"{summary['curation']} as of {summary['as_of']}: {_verdict(summary)}",
        f"  records    {documents['read']:,} read = {documents['accepted']:,} items + {documents['duplicate']:,} duplicates"
        f" + {documents['quarantined']:,} quarantined; {items['new']:,} items new",
        f"  labels     {annotations['total']:,} count; {annotations['new']:,} new, {annotations['waiting']:,} wait for their "
        f"document, {annotations['quarantined']:,} quarantined",
        f"  models     {_asked(summary['llm'])}",
    ]
    if "agreement" in summary:
        lines += _figures(summary)
    lines.append(f"  took       {summary['seconds']['total']:.1f} s")
    if summary["release"]:
        lines.append(f"  release    {summary['release']}\n  open       {summary['release']}/report.html")
    return "\n".join(lines)


def _verdict(summary: dict[str, Any]) -> str:
    match summary["status"]:
        case "published":
            return "published " + Path(summary["release"]).name
        case "unchanged":
            name = Path(summary["release"]).name if summary["release"] else None
            if name:
                return f"nothing changed since {name}"
            return "nothing to do: no item is known by that date (a file without {as_of} in its name belongs to the day it was read)"
        case "refused":
            failed = "\n".join(f"  ✗ {what}" for what in summary["gate"]["failed"])
            return (
                f"refused by the gate, nothing published\n{failed}\n"
                "  next       bring more or better labels, or change a threshold under `gates`, and run again"
            )
        case "source_refused":
            return summary["error"]
        case status:
            return status


def _asked(llm: dict[str, Any]) -> str:
    usd = "at an unknown price" if llm["usd"] is None else f"${llm['usd']:.2f}"
    return f"{llm['calls']:,} calls, {llm['cached']:,} remembered, {llm['failed']:,} failed; {usd}"


def _figures(summary: dict[str, Any]) -> list[str]:
    alpha, consensus, splits = summary["agreement"]["krippendorff_alpha"], summary["consensus"], summary["splits"]
    known = f"undefined: {alpha['reason']}"
    if alpha["value"] is not None:
        interval = "" if alpha["low"] is None else f" ({alpha['low']:.3f} to {alpha['high']:.3f})"
        known = f"{alpha['value']:.3f}{interval}"
    lines = [
        f"  agreement  Krippendorff's alpha among people {known}; mean entropy {summary['entropy']['mean_nats'] or 0:.3f} nats",
        "  consensus  " + ", ".join(f"{count:,} {status}" for status, count in consensus.items()),
        "  splits     " + ", ".join(f"{count:,} {split}" for split, count in splits.items()),
    ]
    for name, accuracy in summary["accuracy"].items():
        if accuracy and accuracy["value"] is not None:
            lines.append(
                f"  {name:<10} agrees with people on {accuracy['value']:.1%} of {accuracy['n']:,} items they settled"
            )
    return lines


def backfill_story(result: dict[str, Any]) -> str:
    """Return a backfill's summary for people to read."""
    lines = [f"{one['as_of']}  {_verdict(one)}" for one in result["dates"]]
    return "\n".join([*lines, f"{result['status']}; models cost ${result['usd']:.2f}"])
