"""Items become annotations: people's labels are taken in, models and functions are asked for theirs."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import date
from functools import partial
from typing import Any

import polars as pl
from prefect import get_run_logger

from schemas.curation import FunctionAnnotator, HumanAnnotator, LLMAnnotator
from schemas.run import Run
from tasks.annotator import human, llm, prompt, shots
from tasks.annotator.chat import Answer
from tasks.annotator.function import rule
from tasks.annotator.llm import Usage
from tasks.annotator.version import guideline_version, guidelines, version
from tasks.endpoint.embedding import embeddings
from tasks.endpoint.switchboard import switchboard
from tasks.known import known
from tasks.source import Intake, intake, trust
from tasks.spending import allowance
from tasks.sql import relation
from tasks.stage import stage
from tasks.store import Ids, Store

MAX_POOL = 5_000


@stage
def import_labels(run: Run, annotator: HumanAnnotator) -> Intake:
    """Return the counts of what people's label tables brought that was new, up to the run's label cutoff."""
    parse, write = human.Parser(run, annotator), human.Writer(run)
    counts = intake(run, "annotation", annotator.path, None, parse, write, only_dated=run.labels == "then")
    get_run_logger().info("%s: %d labels read: %d new, %d known, %d quarantined",
                          annotator.name, counts.read, counts.accepted, counts.duplicate, counts.quarantined)  # fmt: skip
    for damage in counts.damaged:
        get_run_logger().warning("%s", damage)
    until = run.as_of if run.labels == "then" else date.max
    trust(run, "annotation", annotator.path, annotator.trust.max_quarantined_share, until)
    return counts


@stage
def freeze_pool(run: Run, annotator: LLMAnnotator, settled: dict[str, str]) -> int:
    """Return the size of the annotator's pool of examples, frozen now from people's settled labels if it was not yet."""
    store, ids, pool = Store(run.store), Ids(run.curation.name), _pool_name(annotator)
    if frozen := _pool(run, annotator):  # by another run, since this one looked
        return len(frozen)
    if len(settled) < annotator.shots:
        get_run_logger().warning(
            "%s waits: %d examples settled by people, %d needed", annotator.name, len(settled), annotator.shots
        )
        return 0
    chosen = sorted(settled, key=lambda item_id: ids.id("draw", pool, item_id))[:MAX_POOL]
    return store.merge("shot", [{
        "shot_id": ids.id("shot", pool, item_id), "pool": pool, "item_id": item_id, "label": settled[item_id],
        "recorded_at": run.started_at, "run_id": run.run_id,
    } for item_id in chosen])  # fmt: skip


@stage
def needs_pool(run: Run, annotator: LLMAnnotator) -> bool:
    """Return whether the annotator shows examples and its pool has not been frozen."""
    return annotator.prompt == "few_shot" and not _pool(run, annotator)


@stage
def recover_replies(run: Run) -> int:
    """Return how many replies killed runs had heard and not stored; they are in the store now."""
    recovered = llm.recover(Store(run.store))
    if recovered:
        get_run_logger().info("%d replies of a run that was killed are kept", recovered)
    return recovered


@stage
def versions(run: Run) -> dict[str, str]:
    """Return the present version of each model and function by name; one that waits for examples has none."""
    text = guidelines(run.curation.labels, run.folder)
    models = {
        annotator.name: version(annotator, run.curation.labels, text, pool_id)
        for annotator in run.curation.models
        if (pool_id := _pool_id(run, annotator)) or annotator.prompt != "few_shot"
    }
    return models | {
        function.name: rule(function, run.curation, run.folder).version for function in run.curation.functions
    }


def _pool_name(annotator: LLMAnnotator) -> str:
    return f"{annotator.name}/{annotator.pool}"


def _pool(run: Run, annotator: LLMAnnotator) -> list[tuple[str, str]]:
    """Return item and label of each frozen example; one whose label is no longer among the labels is not shown."""
    query = """
        select item_id, label
        from shot
        where pool = $pool and list_contains($labels, label)
        order by item_id
    """
    parameters = {"pool": _pool_name(annotator), "labels": list(run.curation.labels.values)}
    return Store(run.store).connect().sql(query, params=parameters).fetchall()


def _pool_id(run: Run, annotator: LLMAnnotator) -> str | None:
    pool = _pool(run, annotator) if annotator.prompt == "few_shot" else []
    return Ids(run.curation.name).id("pool", pool) if pool else None


@stage
def unlabelled(run: Run, annotator: LLMAnnotator | FunctionAnnotator, versions: dict[str, str]) -> list[str]:
    """Return the ids of the items, as of the run's date, that the annotator's version has not labelled; sorted.

    Of a cascade's second model only those that the first one is unsure of.
    """
    connection, wanted = known(run, versions), {"annotator": annotator.name, "version": versions[annotator.name]}
    missing = relation(connection, "item_without_annotation", **wanted)
    if only := getattr(annotator, "only_where", None):
        unsure = relation(connection, "unsure_item", annotator=only.annotator, least=only.min_entropy_nats)
        missing = missing.join(unsure, "item_id", how="semi").order("item_id")
    return [item_id for (item_id,) in missing.fetchall()]


@stage
async def label_items(run: Run, annotator: LLMAnnotator, version: str, item_ids: list[str]) -> Usage:
    """Return what labelling a chunk of items took; replies and annotations are in the store before it returns.

    Raises what ended the run's calls, where something did: RequestError, BudgetStop.
    """
    store, labels = Store(run.store), run.curation.labels
    async with switchboard(run.run_id, partial(allowance, run)) as board:
        asking = llm.Asking(board, store, Ids(run.curation.name), run.run_id, annotator, labels,
                            guidelines(labels, run.folder))  # fmt: skip
        items = _items(run, item_ids)
        shown = await _shots(run, annotator, items) if annotator.prompt == "few_shot" else {}
        found = await asking.about([_example(row) for row in items.iter_rows(named=True)], shown)
        new = await asyncio.to_thread(_keep, run, annotator, version, found)
        if board.ending.error:
            raise board.ending.error
    if found.unanswered:
        kinds = Counter(why.detail or why.reason for why in found.unanswered.values())
        said = ", ".join(f"{count} × {kind}" for kind, count in sorted(kinds.items()))
        get_run_logger().warning("%s: no answer (%s); the next run asks again", annotator.name, said)
    return found.usage + Usage(annotations=new)


def _keep(run: Run, annotator: LLMAnnotator, version: str, found: llm.Answered) -> int:
    """Return how many annotations are new; they and what has no answer are in the store."""
    store, ids = Store(run.store), Ids(run.curation.name)
    store.merge("unanswered", [{
        "unanswered_id": ids.id("unanswered", item_id, annotator.name, version, run.run_id), "item_id": item_id,
        "annotator_id": annotator.name, "annotator_version": version, "reason": why.reason, "detail": why.detail,
        "recorded_at": run.started_at, "run_id": run.run_id,
    } for item_id, why in found.unanswered.items()])  # fmt: skip
    return store.merge("annotation", [
        _row(run, annotator, version, item_id) | said.columns for item_id, said in found.answers.items()
    ])  # fmt: skip


@stage
def apply_function(run: Run, annotator: FunctionAnnotator, version: str, item_ids: list[str]) -> int:
    """Return how many annotations a labelling function brought that are new; where it abstains there is one too."""
    votes = rule(annotator, run.curation, run.folder).labels(_items(run, item_ids))
    new = Store(run.store).merge("annotation", [
        _row(run, annotator, version, item_id) | Answer(label=label, reason=reason).columns
        | {"reply_id": None, "reply_ids": None, "event_at": run.started_at}
        for item_id, label, reason in votes
    ])  # fmt: skip
    get_run_logger().info("%s: %d labels for %d items", annotator.name, sum(vote[1] is not None for vote in votes), new)
    return new


def _row(run: Run, annotator: LLMAnnotator | FunctionAnnotator, version: str, item_id: str) -> dict[str, Any]:
    """Return the columns of an annotation that do not rest on what was said."""
    text = guidelines(run.curation.labels, run.folder)
    return {
        "annotation_id": Ids(run.curation.name).id("annotation", item_id, annotator.name, version),
        "item_id": item_id, "document_id": None, "annotator_id": annotator.name, "annotator_kind": annotator.kind,
        "annotator_version": version, "guideline_version": guideline_version(text), "path": None, "position": None,
        "recorded_at": run.started_at, "available_on": run.started_at.date(), "run_id": run.run_id,
    }  # fmt: skip


def _items(run: Run, item_ids: Iterable[str]) -> pl.DataFrame:
    connection = Store(run.store).connect()
    query = "select item_id, text, context, group_id from item where item_id in (select unnest($ids)) order by item_id"
    return connection.sql(query, params={"ids": list(item_ids)}).pl()


def _example(row: dict[str, Any]) -> prompt.Example:
    return prompt.Example(row["item_id"], row["text"], row["context"], row.get("label"))


async def _shots(run: Run, annotator: LLMAnnotator, items: pl.DataFrame) -> dict[str, list[prompt.Example]]:
    """Return the examples to show with each item."""
    labels = dict(_pool(run, annotator))
    pool = _items(run, labels).with_columns(
        pl.col("item_id").replace_strict(labels, return_dtype=pl.String).alias("label")
    )
    vectors = {} if annotator.select == "fixed" else await embeddings([*items["text"], *pool["text"]])
    near = Store(run.store).connect().sql("select item_id, near_item_id from neighbour").fetchall()
    chosen = shots.chosen(annotator.select, items, pool, vectors, {frozenset(pair) for pair in near}, annotator.shots)
    examples = {row["item_id"]: _example(row) for row in pool.iter_rows(named=True)}
    return {item_id: [examples[shot] for shot in shown] for item_id, shown in chosen.items()}
