"""Items become annotations: people's labels are taken in, models are asked for theirs."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from functools import cache
from typing import Any

import openai
import polars as pl
from prefect import get_run_logger

from schemas.curation import HumanAnnotator, LLMAnnotator
from schemas.errors import RequestError
from schemas.run import Run
from tasks.annotator import chat, endpoint, human, prompt, shots
from tasks.annotator.version import guideline_version, guidelines, version
from tasks.known import known
from tasks.source import Intake, intake, trust
from tasks.sql import relation
from tasks.stage import stage
from tasks.store import Ids, Store
from tasks.text import canonical

MAX_POOL = 5_000
SAVED_AT_ONCE = 256  # replies: what a killed run has paid for and must ask for again
PATIENCE = 20  # failures, and not one reply, after which an endpoint is taken to be down


@dataclass
class Usage:
    """What asking models took: `calls` went out, `cached` replies were remembered, `failed` items have none yet."""

    calls: int = 0
    cached: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0
    annotations: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)})

    @property
    def row(self) -> dict[str, Any]:
        """Return the counts as a plain mapping; the cost is null where a model's price is not known."""
        counts = asdict(self)
        return counts | {"usd": None if self.unpriced else self.usd}


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
def versions(run: Run) -> dict[str, str]:
    """Return the present version of each model annotator by name; one that waits for examples has none."""
    text = guidelines(run.curation.labels, run.folder)
    return {
        annotator.name: version(annotator, run.curation.labels, text, pool_id)
        for annotator in run.curation.models
        if (pool_id := _pool_id(run, annotator)) or annotator.prompt != "few_shot"
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
def unlabelled(run: Run, annotator: LLMAnnotator, version: str) -> list[str]:
    """Return the ids of the items, as of the run's date, that this version has not labelled; sorted."""
    rows = relation(known(run), "item_without_annotation", annotator=annotator.name, version=version).fetchall()
    return [item_id for (item_id,) in rows]


@stage
async def label_items(run: Run, annotator: LLMAnnotator, version: str, item_ids: list[str]) -> Usage:
    """Return what labelling a chunk of items took; replies and annotations are in the store before it returns."""
    base_url = endpoint.address(annotator.model, annotator.base_url)
    async with endpoint.client(base_url) as client:
        bodies = await _requests(run, annotator, item_ids)
        replies, usage = await _replies(run, annotator, base_url, client, bodies)
    labels, text = list(run.curation.labels.values), guidelines(run.curation.labels, run.folder)
    ids, rows = Ids(run.curation.name), []
    for item_id, reply in replies.items():
        rows.append({
            "annotation_id": ids.id("annotation", item_id, annotator.name, version), "item_id": item_id,
            "document_id": None, "annotator_id": annotator.name, "annotator_kind": "llm", "annotator_version": version,
            "reply_id": reply["reply_id"], "guideline_version": guideline_version(text), "path": None, "position": None,
            "event_at": reply["event_at"], "recorded_at": run.started_at, "available_on": run.started_at.date(),
            "run_id": run.run_id,
        } | chat.read(reply, labels).columns)  # fmt: skip
    return usage + Usage(annotations=Store(run.store).merge("annotation", rows))


async def _requests(run: Run, annotator: LLMAnnotator, item_ids: list[str]) -> dict[str, dict[str, Any]]:
    """Return the request body for each item: it rests on the item and the version, and not on what else there is."""
    labels, text = run.curation.labels, guidelines(run.curation.labels, run.folder)
    answer = prompt.answer_format(list(labels.values))
    items = _items(run, item_ids)
    shown = await _shots(run, annotator, items) if annotator.prompt == "few_shot" else {}

    @cache
    def system(context: tuple[str, ...]) -> str:
        return prompt.instructions(annotator.prompt, labels.values, text, context)

    def body(row: dict[str, Any]) -> dict[str, Any]:
        chat_of = prompt.messages(
            system(tuple(json.loads(row["context"]))), shown.get(row["item_id"], []), _example(row)
        )
        return chat.request(annotator.model, chat_of, answer)

    return {row["item_id"]: body(row) for row in items.iter_rows(named=True)}


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
    vectors = await endpoint.embeddings([*items["text"], *pool["text"]])
    near = Store(run.store).connect().sql("select item_id, near_item_id from neighbour").fetchall()
    chosen = shots.nearest(items, pool, vectors, {frozenset(pair) for pair in near}, annotator.shots)
    examples = {row["item_id"]: _example(row) for row in pool.iter_rows(named=True)}
    return {item_id: [examples[shot] for shot in shown] for item_id, shown in chosen.items()}


async def _replies(
    run: Run, annotator: LLMAnnotator, base_url: str, client: openai.AsyncOpenAI, bodies: dict[str, dict[str, Any]]
) -> tuple[dict[str, dict[str, Any]], Usage]:
    """Return the reply to each item's request, remembered or asked for now, and what that took."""
    store, ids = Store(run.store), Ids(run.curation.name)
    wanted = {item_id: ids.id("reply", base_url, canonical(body)) for item_id, body in bodies.items()}
    query = "select * from reply where reply_id in (select unnest($ids))"
    known = {row["reply_id"]: row for row in store.connect().sql(query, params={"ids": list(wanted.values())}).pl().to_dicts()}  # fmt: skip
    missing = {item_id: body for item_id, body in bodies.items() if wanted[item_id] not in known}
    stamps = {item_id: {"reply_id": wanted[item_id], "annotator_id": annotator.name, "item_id": item_id,
                        "run_id": run.run_id} for item_id in missing}  # fmt: skip
    asked = _Asking(store)
    try:
        await asked.all(client, missing, stamps, annotator.concurrency)
    finally:  # also where the run is stopped: what was answered may be paid for
        asked.save()
    if asked.fatal:
        raise RequestError(f"{annotator.name}: {endpoint.complaint(asked.fatal, base_url, annotator.model)}")
    if asked.failures:
        kinds = ", ".join(f"{count} × {kind}" for kind, count in sorted(asked.failures.items()))
        get_run_logger().warning("%s: no reply (%s); the next run asks again", annotator.name, kinds)
    replies = known | {reply["reply_id"]: reply for reply in asked.replies}
    return {item_id: replies[key] for item_id, key in wanted.items() if key in replies}, Usage(
        calls=asked.calls,
        cached=len(bodies) - len(missing),
        failed=len(missing) - len(asked.replies),
        prompt_tokens=sum(reply["prompt_tokens"] for reply in asked.replies),
        completion_tokens=sum(reply["completion_tokens"] for reply in asked.replies),
        usd=sum(reply["usd"] or 0.0 for reply in asked.replies),
        unpriced=sum(reply["usd"] is None for reply in asked.replies),
    )


@dataclass
class _Asking:
    """Many requests to one endpoint, and what has come of them so far."""

    store: Store
    calls: int = 0
    replies: list[dict[str, Any]] = field(default_factory=list)
    saved: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    fatal: openai.OpenAIError | None = None

    @property
    def is_over(self) -> bool:
        """Return whether asking on would only bring the same failure."""
        return self.fatal is not None or (not self.replies and self.failures.total() >= PATIENCE)

    async def all(
        self,
        client: openai.AsyncOpenAI,
        bodies: dict[str, dict[str, Any]],
        stamps: dict[str, dict[str, Any]],
        concurrency: int,
    ) -> None:
        """Ask for every item's reply, so many at once; stop where that is over."""
        at_once = asyncio.Semaphore(concurrency)

        async def ask(item_id: str) -> None:
            async with at_once:
                if not self.is_over:
                    await self._ask(client, bodies[item_id], stamps[item_id])

        await asyncio.gather(*map(ask, bodies))

    async def _ask(self, client: openai.AsyncOpenAI, body: dict[str, Any], stamp: dict[str, Any]) -> None:
        self.calls += 1
        try:
            reply = await chat.ask(client, body)
        except openai.OpenAIError as error:  # its message may quote the item
            if endpoint.is_fatal(error):
                self.fatal = error
            self.failures[endpoint.kind(error)] += 1
            return
        self.replies.append(reply | {"recorded_at": reply["event_at"]} | stamp)
        if len(self.replies) - self.saved >= SAVED_AT_ONCE:
            self.save()

    def save(self) -> None:
        """Store the replies that are not stored yet."""
        self.store.merge("reply", self.replies[self.saved :])
        self.saved = len(self.replies)
