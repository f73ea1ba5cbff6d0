"""item → annotation: people's labels are taken in, and every model labels what it has not labelled yet."""

import asyncio
from collections.abc import Coroutine, Iterable

from prefect import flow, get_run_logger

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
    usages: dict[str, Usage] = {model.name: Usage() for model in ready}
    await _all(_in_turn(run, alike, usages, version) for version, alike in _by_version(ready, present).items())
    return present, labels, usages


def _by_version(models: list[LLMAnnotator], present: dict[str, str]) -> dict[str, list[LLMAnnotator]]:
    by_version: dict[str, list[LLMAnnotator]] = {}
    for model in models:
        by_version.setdefault(present[model.name], []).append(model)
    return by_version


async def _in_turn(run: Run, models: list[LLMAnnotator], usages: dict[str, Usage], version: str) -> None:
    """Label with models that ask the same, one after the other: the second finds the first one's replies."""
    for model in models:
        usages[model.name] = await _label(run, model, version)


async def _all(works: Iterable[Coroutine]) -> None:
    """Do all at once; where one fails the others are stopped, and have stored what they have before this raises."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _label(run: Run, model: LLMAnnotator, version: str) -> Usage:
    """Return what one model took to label all that it has not labelled, chunk by chunk."""
    item_ids, usage = unlabelled(run, model, version), Usage()
    size = max(CHUNK, len(item_ids) // 100)
    for start in range(0, len(item_ids), size):
        taken = await label_items(run, model, version, item_ids[start : start + size])
        usage += taken
        done = min(start + size, len(item_ids))
        progress = {"done": done, "total": len(item_ids)}
        get_run_logger().info("%s: %d of %d items", model.name, done, len(item_ids), extra=progress)
        if taken.failed >= taken.calls > 0:  # the endpoint is down: the next run asks for what is missing
            return usage + Usage(failed=max(0, len(item_ids) - start - size))
    return usage
