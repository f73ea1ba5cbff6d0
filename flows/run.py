"""A flow is run from the command line: what it says, how it ended, and what it would do."""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from expectations.suites import suites
from flows.progress import Drawn, bar
from schemas.curation import find, load
from schemas.errors import AssayError, Interrupted
from tasks.report.wording import certified

EXIT = {"published": 0, "unchanged": 0, "refused": 3, "budget_stop": 4, "source_refused": 5}
_ROOT = Path(__file__).resolve().parent.parent
_OUR_FOLDERS = {_ROOT / "flows", _ROOT / "tasks", *(folder for folder in (_ROOT / "tasks").glob("*/"))}


def run(
    curation: str, as_of: date | None, home: str | None, max_usd: float | None = None
) -> tuple[dict[str, Any], int]:
    """Return the summary of a run of the line, whose models may cost `max_usd`, and its exit status."""
    file = find(curation)
    loaded = load(file)  # a mistake in it is told before Prefect takes its seconds to start
    suites(loaded, file.parent)
    from flows.conclude import approvable
    from flows.curate import curate
    from tasks.endpoint import keyed
    from tasks.epoch import attainable
    from tasks.spending import priced

    priced(loaded, max_usd)
    keyed(loaded.models)
    attainable(loaded)
    approvable(loaded)
    return _ended(curate(curation, as_of, "then", home, max_usd, return_state=True))


def backfilled(
    curation: str, start: date, end: date, labels: str, max_usd: float | None, home: str | None
) -> tuple[dict[str, Any], int]:
    """Return the summary of a backfill and its exit status."""
    from flows.backfill import backfill, checked

    checked(curation, start, end, max_usd)
    return _ended(backfill(curation, start, end, labels, max_usd, home, return_state=True))


def _ended(flow: Coroutine) -> tuple[dict[str, Any], int]:
    """Return a flow's summary and exit status; raise what stopped it, where that is an error a person can act on."""
    from prefect.exceptions import TerminationSignal

    _speak()
    with _signals() as heard:
        try:
            state = asyncio.run(flow)
            summary = state.result(raise_on_failure=False)
        except TerminationSignal:
            raise _interrupted(heard) from None
    if isinstance(summary, AssayError):
        raise summary
    if not isinstance(summary, dict):
        if isinstance(summary, BaseException) and _is_interrupt(summary):
            raise _interrupted(heard)
        kind = type(summary).__name__ if isinstance(summary, BaseException) else state.name
        raise AssayError(f"a fault of ours ({kind}); the log above says where. What was done is kept")
    return summary, EXIT[summary["status"]]


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Yield the interrupts heard; each becomes a SIGTERM of this process alone, on which a flow ends in good order.

    A terminal interrupts Prefect's temporary server as well, which is needed to the end: it inherits that it is deaf to it.
    """
    heard, is_over = list[int](), threading.Event()

    def interrupted(*_: Any) -> None:
        heard.append(signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)

    def listen() -> None:
        while signal.sigwait([signal.SIGINT]) and not is_over.is_set():
            interrupted()

    deaf = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    before = signal.signal(signal.SIGTERM, _terminate), signal.signal(signal.SIGINT, interrupted)
    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield heard
    finally:
        is_over.set()
        signal.pthread_kill(listener.ident, signal.SIGINT)
        listener.join()
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, deaf)


def _terminate(number: int, _: Any) -> None:
    """Do as Prefect does, which hands on to this what it has heard."""
    from prefect.exceptions import TerminationSignal

    raise TerminationSignal(signal=number)


def _interrupted(heard: list[int]) -> Interrupted:
    number = heard[0] if heard else signal.SIGTERM
    return Interrupted("interrupted; what was done is kept, and the next run goes on from there", number)


def _is_interrupt(fault: BaseException | None) -> bool:
    """Return whether a fault comes of a signal: DuckDB makes an error of its own of what a signal raises in it."""
    while fault is not None:
        if type(fault).__name__ in ("TerminationSignal", "KeyboardInterrupt"):
            return True
        fault = fault.__cause__ or fault.__context__
    return False


def _speak() -> None:
    """Let our own stages' lines reach stderr, plainly; of Prefect's only what is a fault, once."""
    from prefect.logging.configuration import setup_logging
    from prefect.settings import get_current_settings

    setup_logging()
    for handler in logging.getLogger().handlers:
        handler.addFilter(_Ours())
        handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    if sys.stderr.isatty():
        logging.getLogger().handlers.insert(0, _Bars())  # first: it makes room for the line of another handler
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
        if fault is None or isinstance(fault, AssayError) or id(fault) in self._told or _is_interrupt(fault):
            return False
        self._told.add(id(fault))
        return True


class _Bars(logging.Handler):
    """Draws records that say how much of what is done: a line at the foot of the terminal for each that is under way."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn = Drawn()

    def emit(self, record: logging.LogRecord) -> None:
        if not hasattr(record, "done"):
            self._drawn.clear()
            return
        name = record.getMessage().partition(":")[0]
        line = bar(record.done, record.total, record.getMessage())
        self._drawn.draw(name, line, is_last=record.done == record.total)


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
    lines += [f"  ! target   {one['path']}: {one['error']}; the next run tries again" for one in _behind(summary)]
    if summary.get("page"):
        lines.append(f"  open       {summary['page']}")
    if summary["release"]:
        lines.append(f"  release    {summary['release']}\n  open       {summary['release']}/report.html")
    return "\n".join(lines)


def _verdict(summary: dict[str, Any]) -> str:
    match summary["status"]:
        case "published":
            waits = f" ({summary['why']})" if summary.get("why") else ""
            return "published " + Path(summary["release"]).name + waits
        case "unchanged":
            name = Path(summary["release"]).name if summary["release"] else None
            if name:
                waits = f" ({summary['why']})" if summary.get("why") else ""
                return f"nothing changed since {name}{waits}"
            if summary.get("why"):
                return f"nothing to do: {summary['why']}"
            return "nothing to do: no item is known by that date (a file without {as_of} in its name belongs to the day it was read)"
        case "refused" if summary.get("why"):
            return f"refused: {summary['why']}"
        case "refused":
            failed = "\n".join(f"  ✗ {what}" for what in summary["gate"]["failed"])
            listed = (
                "  list       assay sql \"select promise, item_id from failing where severity = 'critical'\" CURATION\n"
            )
            return (
                f"refused by the gate, nothing published\n{failed}\n"
                f"{listed if any('rows otherwise' in what for what in summary['gate']['failed']) else ''}"
                "  next       bring more or better labels, or change a threshold or policy under `gates`, and run again"
            )
        case "source_refused" | "budget_stop":
            return summary["error"]
        case status:
            return status


def _behind(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the targets that could not be brought into step."""
    return [target for target in summary.get("targets", []) if target["error"]]


def _asked(llm: dict[str, Any]) -> str:
    usd = "at an unknown price" if llm["usd"] is None else f"${llm['usd']:.2f}"
    risk = f", and lost calls ${llm['usd_at_risk']:.2f} at most" if llm.get("usd_at_risk") else ""
    waiting = f", {llm['pending']:,} wait in batches" if llm.get("pending") else ""
    return f"{llm['calls']:,} calls, {llm['cached']:,} remembered, {llm['failed']:,} failed{waiting}; {usd}{risk}"


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
        f"  leakage    {_leaked(summary['leakage'])}",
    ]
    if out := {reason: count for reason, count in summary["excluded"].items() if count}:
        lines.append("  kept out   " + ", ".join(f"{count:,} {reason}" for reason, count in out.items()))
    lines += [f"  audit      {said}" for said in certified(summary["certificate"])]
    for name, accuracy in summary["accuracy"].items():
        if accuracy and accuracy["value"] is not None:
            lines.append(
                f"  {name:<10} agrees with people on {accuracy['value']:.1%} of {accuracy['n']:,} items they settled"
            )
    return lines


def _leaked(leakage: dict[str, Any]) -> str:
    """Return how many examples have their group, a near-duplicate or their text in another split, too."""
    counts = ", ".join(
        f"{'not measured' if leakage[key] is None else f'{leakage[key]:,.0f}'} by {word}"
        for key, word in (("groups", "group"), ("near_duplicates", "near-duplicate"), ("texts", "text"))
    )
    return f"examples in two splits: {counts}; {leakage['kept_out']:,} kept out that would carry one into another"


def backfill_story(result: dict[str, Any]) -> str:
    """Return a backfill's summary for people to read."""
    lines = [f"{one['as_of']}  {_verdict(one)}" for one in result["dates"]]
    return "\n".join([*lines, f"{result['status']}; models cost ${result['usd']:.2f}"])
