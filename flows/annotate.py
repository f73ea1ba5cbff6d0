"""item → annotation: people's labels are taken in, and every model and function labels what it has not labelled yet."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

from prefect import flow, get_run_logger

from flows.progress import said
from schemas.curation import LLMAnnotator
from schemas.run import Run
from tasks.annotation import (
    Usage,
    apply_function,
    freeze_pool,
    import_labels,
    label_items,
    needs_pool,
    recover_replies,
    unlabelled,
    versions,
)
from tasks.audit import draw_audit
from tasks.consensus import settled_for_training
from tasks.endpoint.switchboard import Switchboard, switchboard
from tasks.source import Intake
from tasks.spending import allowance
from tasks.store import alone

CHUNK = 1024  # items a task: a night is tens of tasks, not thousands; what a killed one has heard is not lost
AT_ONCE = 2  # chunks of one model: the next begins while the last answers of the one before are still to come
BATCH = 200_000  # items a task of a model asked by the Batch API: what a killed run planned, the next one can send
TOLD_EVERY_S = 5.0


@flow(name="annotate", flow_run_name="annotate", validate_parameters=False)
async def annotate(run: Run) -> tuple[dict[str, str], dict[str, Usage], Intake]:
    """Return the present versions of models and functions, what each took, and what people's tables brought."""
    labels = Intake()
    for people in run.curation.people:
        labels.add(import_labels(run, people))
    async with _alone(run):
        present, usages = await _asked(run)
    draw_audit(run, present)
    return present, usages, labels


async def _asked(run: Run) -> tuple[dict[str, str], dict[str, Usage]]:
    """Return the present versions of models and functions, and what each took to label what it has not labelled."""
    recover_replies(run)
    for model in run.curation.models:
        if needs_pool(run, model):
            freeze_pool(run, model, settled_for_training(run))
    present = versions(run)
    usages = {name: Usage() for name in present}
    for function in run.curation.functions:
        if item_ids := unlabelled(run, function, present):
            new = apply_function(run, function, present[function.name], item_ids)
            usages[function.name] = Usage(annotations=new)
    async with switchboard(run.run_id, partial(allowance, run)) as board:
        with _stopped_by_signal(board):
            for models in _waves([model for model in run.curation.models if model.name in present]):
                alike = _by_version(models, present).values()
                await _all(_in_turn(run, board, same, usages, present) for same in alike)
    return present, usages


@asynccontextmanager
async def _alone(run: Run) -> AsyncIterator[None]:
    """Wait until no other run asks this curation's models: both would pay for the same, each with the whole budget."""
    is_told = False
    while True:
        with alone(run.store, "asking") as is_alone:
            if is_alone:
                yield
                return
        if not is_told:
            get_run_logger().info("another run asks the models; this one waits for it")
        is_told = True
        await asyncio.sleep(1.0)


def _waves(models: list[LLMAnnotator]) -> Iterator[list[LLMAnnotator]]:
    """Yield the models that may be asked at once: those of a cascade after the model they wait for."""
    waiting = list(models)
    while waiting:
        names = {model.name for model in waiting}
        ready = [model for model in waiting if not model.only_where or model.only_where.annotator not in names]
        yield ready
        waiting = [model for model in waiting if model not in ready]


def _by_version(models: list[LLMAnnotator], present: dict[str, str]) -> dict[str, list[LLMAnnotator]]:
    by_version: dict[str, list[LLMAnnotator]] = {}
    for model in models:
        by_version.setdefault(present[model.name], []).append(model)
    return by_version


async def _in_turn(
    run: Run, board: Switchboard, models: list[LLMAnnotator], usages: dict[str, Usage], present: dict[str, str]
) -> None:
    """Label with models that ask the same, one after the other: the second finds the first one's replies."""
    for model in models:
        usages[model.name] = await _label(run, board, model, present)


async def _all(works: Iterable[Coroutine]) -> None:
    """Do all at once; where one fails the others are stopped, and have stored what they have before this raises."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _label(run: Run, board: Switchboard, model: LLMAnnotator, present: dict[str, str]) -> Usage:
    """Return what one model took to label all that it has not labelled, chunk by chunk."""
    item_ids, usages = unlabelled(run, model, present), []
    size, gate = (BATCH, asyncio.Semaphore(len(item_ids) or 1)) if model.batch else (CHUNK, asyncio.Semaphore(AT_ONCE))

    async def chunk(start: int) -> None:
        async with gate:
            if not board.ending.has_come:
                some = item_ids[start : start + size]
                usages.append(await label_items(run, model, present[model.name], some))

    async with _telling(board, model.name, len(item_ids)):
        await _all(chunk(start) for start in range(0, len(item_ids), size))
    return sum(usages, Usage())


@asynccontextmanager
async def _telling(board: Switchboard, name: str, total: int) -> AsyncIterator[None]:
    """Tell how far a model has come, every few seconds and at the end."""
    started, told = time.monotonic(), -1

    def tell() -> None:
        nonlocal told
        done = board.done[name]
        if done != told:  # nothing is said twice
            words = said(done, total, "items", time.monotonic() - started, board.purse.spent)
            get_run_logger().info("%s: %s", name, words, extra={"done": done, "total": total})
        told = done

    async def again_and_again() -> None:
        while True:
            await asyncio.sleep(TOLD_EVERY_S)
            tell()

    telling = asyncio.create_task(again_and_again())
    try:
        yield
    finally:
        telling.cancel()
        if total:
            tell()


@contextmanager
def _stopped_by_signal(board: Switchboard) -> Iterator[None]:
    """Let SIGTERM end the calls, those in flight excepted; it does what it would have done once all of it is stored."""
    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
    try:
        loop.add_signal_handler(signal.SIGTERM, board.ending.come)
    except (ValueError, RuntimeError):  # signals reach the main thread alone
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)
        if board.ending.has_come and not board.ending.error:
            os.kill(os.getpid(), signal.SIGTERM)
