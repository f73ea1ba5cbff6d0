"""annotation → consensus: how far people agree, which items that settles, and which a person should see next."""

from typing import Any

from prefect import flow

from schemas.run import Run
from tasks.consensus import measure_agreement, settle
from tasks.review import draw_queue


@flow(name="adjudicate", flow_run_name="adjudicate", validate_parameters=False)
async def adjudicate(run: Run, versions: dict[str, str]) -> dict[str, Any]:
    """Return the figures of agreement and entropy; the consensus and the queue are the run's drafts."""
    settle(run, versions)
    draw_queue(run, versions)
    return measure_agreement(run, versions)
