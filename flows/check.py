"""A curation is tried out: read, a sample of its sources taken, its models asked once; nothing is written."""

import asyncio
import tempfile
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import openai
import polars as pl

from expectations.suites import suites
from flows.plan import planned
from schemas.curation import FunctionAnnotator, HumanAnnotator, LLMAnnotator, Source
from schemas.errors import RequestError
from schemas.run import Run, started
from tasks import document
from tasks.annotator import chat, human
from tasks.annotator.function import rule
from tasks.annotator.version import guidelines
from tasks.endpoint import shown
from tasks.endpoint.call import Caller, Patience, Unanswered
from tasks.endpoint.capability import probe
from tasks.endpoint.failure import complaint
from tasks.endpoint.journal import Journal
from tasks.endpoint.price import table_date, unpriced
from tasks.endpoint.switchboard import Switchboard, switchboard
from tasks.epoch import least_answers
from tasks.estimate import bodies, estimate, total
from tasks.report.wording import usd as dollars
from tasks.source import Rejected, find
from tasks.source.intake import unread
from tasks.source.records import read
from tasks.spending import allowance, priced

SAMPLE = 500


def check(curation: str, home: str | None) -> dict[str, Any]:
    """Return {curation, sources, label_tables, models, calls, usd, usd_at_most, …}; raise RequestError where it cannot run.

    What it would cost is of all that is not labelled yet, items known and records not read: `usd` is expected, and
    `usd_at_most` is where every answer fills its cap. Both are null where a model's price is not known.
    """
    run = started(curation, home=home)
    _guidelines(run)
    suites(run.curation, run.folder)
    priced(run.curation)
    sources = [
        _sample(run, "document", source, source.format, document.Parser(run, source)) for source in run.curation.sources
    ]
    tables = [_sample(run, "annotation", people, None, human.Parser(run, people)) for people in run.curation.people]
    rows = [row for source in sources for row in source["rows"]]
    slices = {row["slice"] for source in sources for row in source["rows"]} if run.curation.accept else set()
    for part in sources + tables:
        del part["rows"]  # texts, which are not printed
    known, new = planned(run)["items"], sum(source["unread_records"] for source in sources)
    models = [asyncio.run(_tried(run, model, rows, known.get(model.name, 0) + new)) for model in run.curation.models]
    usd, left = total(models, "usd"), allowance(run)
    many = max(len(slices), 1) if run.curation.accept and run.curation.accept.by_slice else 1
    functions = [_ruled(run, function, rows) for function in run.curation.functions]
    return {
        "curation": run.curation.name,
        "sources": sources,
        "label_tables": tables,
        "models": models,
        "functions": functions,
        "accept": least_answers(run.curation, many) if run.curation.accept else None,
        "calls": sum(model["calls"] for model in models),
        "usd": usd,
        "usd_at_most": total(models, "usd_at_most"),
        "unpriced": unpriced(run.curation.models),
        "price_table": str(table_date()),
        "usd_left": left,
        "budget_suffices": None if left is None or usd is None else usd <= left,
    }


def _ruled(run: Run, function: FunctionAnnotator, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a labelling function says of the sampled items."""
    items = pl.DataFrame(
        [(str(place), row["text"], row["context"]) for place, row in enumerate(rows)],
        schema={"item_id": pl.String, "text": pl.String, "context": pl.String},
        orient="row",
    )
    reasons = Counter(reason for _, _, reason in rule(function, run.curation, run.folder).labels(items))
    return {"name": function.name, "labelled": reasons.pop(None, 0), "reasons": dict(sorted(reasons.items()))}


def _guidelines(run: Run) -> None:
    try:
        guidelines(run.curation.labels, run.folder)
    except (OSError, UnicodeDecodeError):
        raise RequestError(f"labels.guidelines: {run.curation.labels.guidelines} cannot be read") from None


def _sample(run: Run, noun: str, source: Source | HumanAnnotator, format: str | None, parse: Any) -> dict[str, Any]:
    """Return what the newest file of a source looks like, and how many records the files not read yet hold."""
    files, rows = find(run.folder, source.path), []
    counts: dict[str, Any] = {
        "path": source.path,
        "files": len(files),
        "sampled": 0,
        "good": 0,
        "reasons": {},
        "fields": [],
    }
    for record in islice(read(files[-1], format), SAMPLE) if files else ():
        counts["sampled"] += 1
        counts["fields"] = counts["fields"] or sorted(record.fields or ())
        try:
            if record.rejected:
                raise record.rejected
            rows.append(parse(record, files[-1]))
            counts["good"] += 1
        except Rejected as reason:
            said = " ".join(filter(None, (reason.reason, reason.detail)))
            counts["reasons"][said] = counts["reasons"].get(said, 0) + 1
    new = sum(1 for file in unread(run, noun, source.path) for _ in read(file, format))
    bad = counts["sampled"] - counts["good"]
    refused = bad > source.trust.max_quarantined_share * counts["sampled"] or (noun == "document" and not files)
    return counts | {"unread_records": new, "rows": rows, "refused": refused}


async def _tried(run: Run, model: LLMAnnotator, rows: list[dict[str, Any]], items: int) -> dict[str, Any]:
    """Return how a model answered about one sampled item, which is not remembered, and what it would cost to label all."""
    asked = bodies(run, model, rows or [{"text": "…", "context": "{}"}])
    async with switchboard(run.run_id, lambda: None) as board:
        reply, supports = await _asked(board, model, asked[0])
        url = board.model(model).base_url
    answer = chat.read(reply, list(run.curation.labels.shown))
    return {
        "name": model.name,
        "base_url": url,
        "answers": answer.label is not None,
        "distribution": "samples" if answer.source == "none" and model.samples > 1 else answer.source,
        "supports": supports,
        "prompt_tokens": reply["prompt_tokens"],
        "completion_tokens": reply["completion_tokens"],
        "latency_ms": round(reply["latency_ms"], 1),
        "is_cascade": model.only_where is not None,
        **estimate(model, asked, items, seen=(asked[0], reply)),
    }


async def _asked(
    board: Switchboard, model: LLMAnnotator, body: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a model's reply to a request, and what its endpoint supports; raise RequestError where it gives none."""
    there, reply = board.model(model), {}
    with tempfile.TemporaryDirectory() as folder:
        async with Journal(Path(folder), model.name, model.model, "check") as journal:
            caller = Caller(there, board.pace(model), board.purse, journal, board.ending, {}, Patience(attempts=2))

            async def ask(fitted: dict[str, Any]) -> dict[str, Any]:
                reply.update(await caller.call("check", "sample", fitted))
                return reply

            try:
                supports = await probe(ask, body)
            except openai.OpenAIError as error:
                said = complaint(error, there.base_url, there.name, there.key_env)
                raise RequestError(f"{model.name}: {said}") from None
            except Unanswered as failed:
                why = failed.detail or failed.reason
                raise RequestError(f"{model.name}: {shown(there.base_url)} gives no answer ({why})") from None
    return reply, supports.row


def story(found: dict[str, Any]) -> str:
    """Return the findings for people to read."""
    lines = [f"{found['curation']}: the curation is valid"]
    for part in found["sources"] + found["label_tables"]:
        bad = ", ".join(f"{count:,} {reason}" for reason, count in part["reasons"].items())
        if not part["files"]:
            lines.append(
                f"  {part['path']}: no file has such a name{', so a run would stop' if part['refused'] else ' yet'}"
            )
            continue
        lines.append(
            f"  {part['path']}: {part['files']:,} files, {part['unread_records']:,} records not read yet; of {part['sampled']:,} sampled "
            f"{part['good']:,} are good{'; ' + bad if bad else ''}"
        )
        if part["refused"]:
            lines.append(
                f"    too many are bad, so a run would stop; the fields there are: {', '.join(part['fields'])}"
            )
    for model in found["models"]:
        said = f"answers, with probabilities from {model['distribution']}" if model["answers"] else "gave no label"
        lines.append(
            f"  {model['name']} at {model['base_url']}: {said}; {model['latency_ms']:,.0f} ms; "
            f"{'at most ' if model['is_cascade'] else ''}{model['calls']:,} calls, {_cost(model)}"
        )
    for function in found["functions"]:
        others = "".join(f", {count:,} {reason}" for reason, count in function["reasons"].items())
        lines.append(f"  {function['name']}: of the sampled {function['labelled']:,} labelled{others}")
    return "\n".join([*lines, *_audit(found["accept"]), *_money(found)])


def _audit(accept: dict[str, Any] | None) -> list[str]:
    """Return what it takes to accept a model's labels, for people to read."""
    if not accept:
        return []
    each = f" in {accept['slices']:,} slices" if accept["slices"] > 1 else ""
    return [
        f"  a certificate takes at least {accept['least']:,} people's answers{each} ({_time(accept['least_cost'])}), if all agree "
        f"with the model; its audit has {accept['audit']:,} ({_time(accept['cost'])})"
    ]


def _time(cost: dict[str, float | None]) -> str:
    """Return what answers cost people, in words."""
    return f"about {cost['minutes']:,.0f} minutes" + ("" if cost["usd"] is None else f" and {dollars(cost['usd'])}")


def _cost(part: dict[str, Any]) -> str:
    if part["usd"] is None:
        return "at a price not known"
    return f"about {dollars(part['usd'])}, at most {dollars(part['usd_at_most'])}" if part["usd_at_most"] else "free"


def _money(found: dict[str, Any]) -> list[str]:
    lines = [f"  a run would ask models {found['calls']:,} times to label all there is, {_cost(found)}"]
    if found["unpriced"]:
        lines.append(
            f"    the price table of {found['price_table']} does not know what {', '.join(found['unpriced'])} costs: give "
            "`price: {input: …, output: …}` in US dollars for a million tokens"
        )
    if found["budget_suffices"] is not None:
        left = f"the budget leaves {dollars(found['usd_left'])}"
        lines.append(f"    {left}" + ("" if found["budget_suffices"] else ": a run would stop before all is labelled"))
    return lines
