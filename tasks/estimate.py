"""What labelling will cost, told before it is done: from real prompts, by what a model's endpoint makes of them."""

import json
import math
from collections.abc import Mapping
from typing import Any

from schemas.curation import LLMAnnotator
from schemas.run import Run
from tasks.annotator import chat, comparison, prompt
from tasks.annotator.version import guidelines
from tasks.endpoint import price
from tasks.store import Store
from tasks.text import canonical

SAMPLE = 100  # prompts made of real texts; what they take is taken for the mean of all
TOKENS_PER_BYTE = 0.25  # of English and JSON, where no endpoint was asked
REASON_TOKENS = 80  # of a reason in a sentence or two, where no endpoint was asked

Rows = list[dict[str, Any]]


def bodies(run: Run, annotator: LLMAnnotator, rows: Rows) -> list[dict[str, Any]]:
    """Return the requests an annotator would make of rows with a text and a context; others of them stand for shots."""
    text = guidelines(run.curation.labels, run.folder)
    labels = list(run.curation.labels.values)
    items = [prompt.Example(str(place), row["text"], row["context"], labels[place % len(labels)])
             for place, row in enumerate(rows[:SAMPLE])]  # fmt: skip
    return [_body(run, annotator, text, items, place) for place in range(len(items))]


def _body(run: Run, annotator: LLMAnnotator, text: str, items: list[prompt.Example], place: int) -> dict[str, Any]:
    wanted = annotator.shots if annotator.prompt == "few_shot" else 0
    shown = [items[(place + number) % len(items)] for number in range(wanted + 1)]
    labels = prompt.ordered(run.curation.labels, items[place].item_id)
    item, *shots = (comparison.posed(run.curation.labels, one) for one in shown)
    system = prompt.instructions(annotator, labels, text, tuple(json.loads(item.context)), run.curation.labels.kind)
    answer = prompt.answer_format(annotator, list(labels))
    return chat.request(annotator, prompt.messages(system, shots, item), answer)


def estimate(
    annotator: LLMAnnotator, asked: list[dict[str, Any]], items: int, seen: tuple[dict[str, Any], Mapping] | None = None
) -> dict[str, Any]:
    """Return {calls, usd, usd_at_most} of labelling so many items like those `asked` about; null where no price is known.

    `seen` is a request and its reply: how many tokens its endpoint makes of a byte, and how long it answers. The most
    is where every byte is a token and every answer as long as its cap; what is asked once more is in neither.
    """
    calls = items * annotator.samples
    if not items:
        return {"calls": 0, "usd": 0.0, "usd_at_most": 0.0}
    tariff = price.price_of(annotator.model, annotator.price)
    expected = [price.usd(tariff, _usage(annotator, body, seen)) for body in asked]
    most = [price.usd_at_most(tariff, body, annotator.batch is not None) for body in asked]
    return {"calls": calls, "usd": _times(calls, expected), "usd_at_most": _times(calls, most)}


def _usage(
    annotator: LLMAnnotator, body: dict[str, Any], seen: tuple[dict[str, Any], Mapping] | None
) -> dict[str, Any]:
    per_byte, answer = TOKENS_PER_BYTE, _answer_tokens(annotator, body)
    if seen and seen[1]["prompt_tokens"]:
        per_byte, answer = seen[1]["prompt_tokens"] / _size(seen[0]), seen[1]["completion_tokens"]
    return {
        "prompt_tokens": math.ceil(per_byte * _size(body)),
        "cached_tokens": 0,  # a surprise, where there are any, and a pleasant one
        "completion_tokens": answer,
        "service_tier": "batch" if annotator.batch else annotator.service_tier,
    }


def _answer_tokens(annotator: LLMAnnotator, body: dict[str, Any]) -> int:
    labels = body["response_format"]["json_schema"]["schema"]["properties"]["label"]["enum"]
    longest = max(len(prompt.answer(label).encode()) for label in labels)
    return math.ceil(longest * TOKENS_PER_BYTE) + (REASON_TOKENS if annotator.reason else 0)


def _size(body: dict[str, Any]) -> int:
    return len(canonical(body).encode(errors="replace"))


def _times(calls: int, each: list[float | None]) -> float | None:
    """Return what so many calls cost, in US dollars, where each costs the mean of these."""
    return None if not each or None in each else round(calls * sum(each) / len(each), 6)


def total(estimates: list[dict[str, Any]], figure: str) -> float | None:
    """Return the sum of a figure over estimates, in US dollars; None where one of them is not known."""
    figures = [one[figure] for one in estimates]
    return None if None in figures else round(sum(figures), 6)


def known_rows(run: Run, item_ids: list[str]) -> Rows:
    """Return text and context of some of the items, for their prompts to be made."""
    query = "select text, context from item where item_id in (select unnest($ids)) order by item_id"
    step = max(1, len(item_ids) // SAMPLE)
    return Store(run.store).connect().sql(query, params={"ids": item_ids[::step][:SAMPLE]}).pl().to_dicts()
