"""The line over a range of logical dates: each that is missing or has changed is made, the others stay."""

from datetime import date, timedelta
from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from prefect.states import Completed, Failed, State

from expectations.suites import suites
from flows.conclude import approvable
from flows.curate import curate, folder_name
from schemas.curation import find, load
from schemas.errors import RequestError
from schemas.run import Labels
from tasks.epoch import attainable
from tasks.spending import priced

WORST_LAST = ("unchanged", "published", "budget_stop", "refused", "source_refused")


def _name() -> str:
    """Return the name of a backfill: its curation and its dates."""
    given = flow_run.parameters
    return f"{folder_name(given['curation'])} {given['start']} to {given['end']}"


@flow(name="backfill", flow_run_name=_name, persist_result=False)
async def backfill(
    curation: str, start: date, end: date, labels: Labels = "now", max_usd: float | None = None, home: str | None = None
) -> State:
    """Run the line for each date from start to end.

    `labels` says which of people's labels each date sees: every one known now, or those known by the date. Models may
    cost `max_usd` in all; the date that would cost more stops, and none after it is begun. The state's data is
    {status, labels, usd, dates: [summary of each]}.
    """
    checked(curation, start, end, max_usd)
    summaries: list[dict[str, Any]] = []
    for day in days(start, end):
        left = None if max_usd is None else max(0.0, max_usd - spent(summaries, also_lost=True))
        state = await curate(curation, day, labels, home, left, return_state=True)
        summary = await state.aresult(raise_on_failure=False)  # a refusal has a summary too
        if isinstance(summary, BaseException):
            raise summary
        summaries.append(summary)
        if summary["status"] == "budget_stop":
            break
    status = max((summary["status"] for summary in summaries), key=WORST_LAST.index)
    result = {"status": status, "labels": labels, "usd": spent(summaries), "dates": summaries}
    if status in ("unchanged", "published"):
        return Completed(name=status.capitalize(), message=f"{len(summaries)} dates", data=result)
    return Failed(name="".join(map(str.capitalize, status.split("_"))), message=f"{len(summaries)} dates", data=result)


def checked(curation: str, start: date, end: date, max_usd: float | None) -> None:
    """Raise RequestError for a range that holds no date, a limit on what has no known price, or an audit too small."""
    if start > end:
        raise RequestError(f"the range is empty: {start} is after {end}")
    file = find(curation)
    loaded = load(file)
    suites(loaded, file.parent)
    priced(loaded, max_usd)
    attainable(loaded)
    approvable(loaded)


def days(start: date, end: date) -> list[date]:
    """Return the dates from start to end, both included."""
    return [start + timedelta(days=number) for number in range((end - start).days + 1)]


def spent(summaries: list[dict[str, Any]], also_lost: bool = False) -> float:
    """Return what models have cost, in US dollars, as far as it is known; lost calls may count at their most."""
    asked = [summary.get("llm", {}) for summary in summaries]
    lost = [llm.get("usd_at_risk") or 0.0 for llm in asked if also_lost]
    return sum(llm.get("usd") or 0.0 for llm in asked) + sum(lost)
