"""consensus → example → split → release: chosen, staged, judged, and published whole or not at all."""

from typing import Any

from prefect import flow

from expectations.suites import expected, suites
from schemas.run import Run
from tasks.draft import keep_latest
from tasks.example import choose_examples, keep_out
from tasks.gate import judge
from tasks.release import alone, publish, recall, record, reduce_staged, stage_files


@flow(name="release", flow_run_name="release", validate_parameters=False)
async def release(run: Run, versions: dict[str, str], content: str) -> dict[str, Any] | None:
    """Return {status, release} of a content: published, refused, or unchanged where another run made it meanwhile.

    None where facts arrived meanwhile, so that it is no longer the content as of the run.
    """
    choose_examples(run)
    with alone(run.releases):
        if ended := recall(run, content):
            return ended
        promised, dropped = suites(run.curation, run.folder), None
        while dropped != 0:  # what is left is another release, and judged as one
            stage_files(run)
            verdict = judge(reduce_staged(run, versions, content, promised), expected(promised))
            dropped = keep_out(run)
        evidence = record(run, versions, content, verdict)
        if evidence is None:
            return None
        keep_latest(run)
        if not verdict["passed"]:
            return {"status": "refused", "release": None}
        return publish(run, content, verdict, evidence)
