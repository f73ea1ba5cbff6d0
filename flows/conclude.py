"""What follows a release: a person approves it, it becomes the current one, the oldest go, and the targets follow."""

import asyncio
from pathlib import Path
from typing import Any

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.flow_runs import apause_flow_run
from prefect.settings import get_current_settings
from prefect.states import Running

from schemas.curation import Curation
from schemas.errors import RequestError
from schemas.release import Decision
from schemas.run import Run
from tasks.release import awaits, copy, decide, make_current

POLL_S = 5
FINISHED_WITHIN_S = 3600  # once nobody has decided


async def conclude(run: Run, outcome: dict[str, Any]) -> dict[str, Any]:
    """Return the outcome of a run once its release is approved, current and copied, with what its targets hold."""
    if outcome["release"] and awaits(run, Path(outcome["release"]).name):
        outcome = decide(run, outcome, await _asked(run.curation.release.approval_hours))
    outcome = make_current(run, outcome)
    return outcome | {"targets": copy(run)}


async def _asked(hours: float) -> Decision | None:
    """Return what a person decides in the Prefect UI, where the run pauses; None where nobody does in time."""
    seconds = hours * 3600
    try:
        async with asyncio.timeout(seconds):  # a run whose pause has ended at the server too could only fail
            return await apause_flow_run(
                wait_for_input=Decision, timeout=round(seconds) + FINISHED_WITHIN_S, poll_interval=POLL_S
            )
    except TimeoutError:
        async with get_client() as client:  # a stage of a run that is paused would wait until it is resumed
            await client.set_flow_run_state(FlowRunContext.get().flow_run.id, Running(), force=True)
        return None


def approvable(curation: Curation) -> None:
    """Raise RequestError where a person is to approve a release, and nobody could."""
    if curation.release.approval and not get_current_settings().api.url:
        raise RequestError(
            "release.approval needs a Prefect server that people can reach: run `assay serve CURATION`, set PREFECT_API_URL "
            "to the address it prints, and run this again (or set release.approval to false)"
        )
