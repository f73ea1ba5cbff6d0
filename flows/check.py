"""A curation is tried out: read, a sample of its sources taken, its models asked once; nothing is written."""

import asyncio
import json
from itertools import islice
from typing import Any

import openai

from flows.plan import planned
from schemas.curation import HumanAnnotator, LLMAnnotator, Source
from schemas.errors import RequestError
from schemas.run import Run, started
from tasks import document
from tasks.annotator import chat, endpoint, human, prompt
from tasks.annotator.version import guidelines
from tasks.source import Rejected, find
from tasks.source.intake import unread
from tasks.source.records import read

SAMPLE = 500


def check(curation: str, home: str | None) -> dict[str, Any]:
    """Return {curation, sources, label_tables, models, calls, usd}; raise RequestError where it cannot run."""
    run = started(curation, home=home)
    _guidelines(run)
    sources = [
        _sample(run, "document", source, source.format, document.Parser(run, source)) for source in run.curation.sources
    ]
    tables = [_sample(run, "annotation", people, None, human.Parser(run, people)) for people in run.curation.people]
    models = [asyncio.run(_probe(run, model, sources)) for model in run.curation.models]
    calls = sum(planned(run)["calls"].values()) + len(models) * sum(source["unread_records"] for source in sources)
    is_free = all(model.model == endpoint.EMBEDDED for model in run.curation.models)
    for part in sources + tables:
        del part["example"]  # a text, which is not printed
    return {
        "curation": run.curation.name,
        "sources": sources,
        "label_tables": tables,
        "models": models,
        "calls": calls,
        "usd": 0.0 if is_free else None,
    }


def _guidelines(run: Run) -> None:
    try:
        guidelines(run.curation.labels, run.folder)
    except (OSError, UnicodeDecodeError):
        raise RequestError(f"labels.guidelines: {run.curation.labels.guidelines} cannot be read") from None


def _sample(run: Run, noun: str, source: Source | HumanAnnotator, format: str | None, parse: Any) -> dict[str, Any]:
    """Return what the newest file of a source looks like, and how many records the files not read yet hold."""
    files, example = find(run.folder, source.path), None
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
            row = parse(record, files[-1])
            counts["good"], example = counts["good"] + 1, example or row
        except Rejected as reason:
            said = " ".join(filter(None, (reason.reason, reason.detail)))
            counts["reasons"][said] = counts["reasons"].get(said, 0) + 1
    new = sum(1 for file in unread(run, noun, source.path) for _ in read(file, format))
    bad = counts["sampled"] - counts["good"]
    refused = bad > source.trust.max_quarantined_share * counts["sampled"] or (noun == "document" and not files)
    return counts | {"unread_records": new, "example": example, "refused": refused}


async def _probe(run: Run, model: LLMAnnotator, sources: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how a model answered about one sampled item; it is not remembered."""
    labels = run.curation.labels.values
    row = next((source["example"] for source in sources if source["example"]), {"text": "…", "context": "{}"})
    item = prompt.Example("sample", row["text"], row["context"])
    keys = tuple(json.loads(row["context"]))
    system = prompt.instructions("zero_shot", labels, guidelines(run.curation.labels, run.folder), keys)
    body = chat.request(model.model, prompt.messages(system, [], item), prompt.answer_format(list(labels)))
    url = endpoint.address(model.model, model.base_url)
    try:
        async with endpoint.client(url) as client:
            reply = await chat.ask(client, body)
    except openai.OpenAIError as error:
        raise RequestError(f"{model.name}: {endpoint.complaint(error, url, model.model)}") from None
    answer = chat.read(reply, list(labels))
    return {
        "name": model.name,
        "base_url": url,
        "answers": answer.label is not None,
        "distribution": answer.source,
        "prompt_tokens": reply["prompt_tokens"],
        "latency_ms": round(reply["latency_ms"], 1),
    }


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
        lines.append(f"  {model['name']} at {model['base_url']}: {said}; {model['latency_ms']:,.0f} ms")
    cost = "free" if found["usd"] == 0 else "at a price not known here"
    return "\n".join([*lines, f"  a run would ask models at most {found['calls']:,} times, {cost}"])
