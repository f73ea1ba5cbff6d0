"""item → annotation: people's labels are taken in, and every model labels what it has not labelled yet."""

import asyncio

from prefect import flow

from schemas.curation import LLMAnnotator
from schemas.run import Run
from tasks.annotation import Usage, freeze_pool, import_labels, label_items, needs_pool, unlabelled, versions
from tasks.consensus import settled_for_training
from tasks.source import Intake

CHUNK = 256  # items a task: little is lost when a run is killed, and a night is tens of tasks, not thousands


@flow(name="annotate", flow_run_name="annotate", validate_parameters=False)
async def annotate(run: Run) -> tuple[dict[str, str], Intake, dict[str, Usage]]:
    """Return the models' present versions, what people's tables brought, and what each model took."""
    labels = Intake()
    for people in run.curation.people:
        labels.add(import_labels(run, people))
    for model in run.curation.models:
        if needs_pool(run, model):
            freeze_pool(run, model, settled_for_training(run))
    present = versions(run)
    ready = [model for model in run.curation.models if model.name in present]
    usages = await asyncio.gather(*(_label(run, model, present[model.name]) for model in ready))
    return present, labels, {model.name: usage for model, usage in zip(ready, usages, strict=True)}


async def _label(run: Run, model: LLMAnnotator, version: str) -> Usage:
    """Return what one model took to label all that it has not labelled, chunk by chunk."""
    item_ids, usage = unlabelled(run, model, version), Usage()
    size = max(CHUNK, len(item_ids) // 100)
    for start in range(0, len(item_ids), size):
        taken = await label_items(run, model, version, item_ids[start : start + size])
        usage += taken
        if taken.failed == taken.calls > 0:
            break  # the endpoint is down: what is missing is asked for by the next run
    return usage
