"""A language model behind the OpenAI protocol: a prompt in, a reply out, an annotation read from it."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from openai import AsyncOpenAI

from tasks.annotator.distribution import entropy_nats, from_logprobs
from tasks.annotator.endpoint import EMBEDDED_URL

MAX_TOP_LOGPROBS = 20
MAX_ANSWER_TOKENS = 256


def request(model: str, chat: list[dict[str, str]], answer: dict[str, Any]) -> dict[str, Any]:
    """Return the body of one request; with the base URL it is all that decides the reply."""
    return {
        "model": model,
        "messages": chat,
        "response_format": answer,
        "temperature": 0,
        "seed": 0,
        "max_completion_tokens": MAX_ANSWER_TOKENS,
        "logprobs": True,
        "top_logprobs": MAX_TOP_LOGPROBS,
        "store": False,  # hosted endpoints keep what they are sent for weeks unless told not to
    }


async def ask(client: AsyncOpenAI, body: dict[str, Any]) -> dict[str, Any]:
    """Return the reply's columns (all of schemas.annotation.Reply but the ids, clocks of recording and run)."""
    started = time.perf_counter()
    completion = await client.chat.completions.create(**body)
    choice, usage = completion.choices[0], completion.usage
    tokens = choice.logprobs.content if choice.logprobs else None
    return {
        "model": body["model"],
        "model_served": "@".join(filter(None, (completion.model, completion.system_fingerprint))),
        "finish_reason": choice.finish_reason,
        "content": choice.message.content,
        "refusal": choice.message.refusal,
        "logprobs": json.dumps([_token(token) for token in tokens], ensure_ascii=False) if tokens else None,
        "prompt_tokens": usage.prompt_tokens if usage else 0,
        "completion_tokens": usage.completion_tokens if usage else 0,
        # what a hosted model costs is not known here, and unknown is not nothing
        "usd": 0.0 if str(client.base_url).startswith(EMBEDDED_URL) else None,
        "latency_ms": (time.perf_counter() - started) * 1000,
        "event_at": datetime.now(UTC),
    }


def _token(token: Any) -> dict[str, Any]:
    others = [{"token": other.token, "logprob": other.logprob} for other in token.top_logprobs or []]
    return {"token": token.token, "logprob": token.logprob, "top_logprobs": others}


@dataclass(frozen=True)
class Answer:
    """What a reply says: a label with its distribution, or the reason there is none."""

    label: str | None = None
    distribution: dict[str, float] | None = None
    source: str = "none"
    off_label_share: float | None = None
    reason: str | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """Return the answer as columns of an annotation."""
        listed = [{"label": label, "probability": share} for label, share in (self.distribution or {}).items()]
        return {
            "label": self.label,
            "distribution": listed or None,
            "distribution_source": self.source,
            "off_label_share": self.off_label_share,
            "entropy_nats": entropy_nats(self.distribution) if self.distribution else None,
            "reason": self.reason,
        }


def read(reply: dict[str, Any], labels: list[str]) -> Answer:
    """Return what a stored reply says; a refusal, a cut or an unknown label is an abstention with its reason."""
    if reply["refusal"]:
        return Answer(reason="refusal")
    if reply["finish_reason"] != "stop":
        return Answer(reason=reply["finish_reason"])
    try:
        label = json.loads(reply["content"] or "")["label"]
    except (ValueError, KeyError, TypeError):
        return Answer(reason="not_json")
    if label not in labels:
        return Answer(reason="not_a_label")
    found = from_logprobs(json.loads(reply["logprobs"]), labels) if reply["logprobs"] else None
    if not found:
        return Answer(label=label)
    return Answer(label, found[0], "logprobs", found[1])
