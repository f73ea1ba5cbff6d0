"""A language model behind the OpenAI protocol: a prompt in, a reply out, an annotation read from it."""

import asyncio
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
from openai import AsyncOpenAI, BadRequestError, OpenAIError

from tasks.annotator.distribution import entropy_nats, from_logprobs
from tasks.annotator.endpoint import EMBEDDED_URL

MAX_TOP_LOGPROBS = 20
MAX_ANSWER_TOKENS = 256
DEADLINE_S = 180  # for all tries of one call together: slow drips and long `Retry-After`s would hold up a night
FINISHED = ("stop", "length", "content_filter", "tool_calls", "function_call")  # anything else is a fault in disguise
# What an endpoint refuses to look at, and would refuse again: an answer about the item, not a fault.
REFUSED_UNSEEN = {"content_filter": "content_filter", "context_length_exceeded": "context_length"}


class NoReply(OpenAIError):
    """Raised where an endpoint takes a request and sends no completion; says nothing of what it did send."""


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
    try:
        said = await _completion(client, body)
    except BadRequestError as error:
        if not (reason := REFUSED_UNSEEN.get(str(error.code))):
            raise
        said = {"choices": [{"finish_reason": reason, "message": {}}]}
    choice = said["choices"][0]
    return {
        "model": body["model"],
        "model_served": "@".join(filter(None, (_text(said.get(key)) for key in ("model", "system_fingerprint")))),
        "finish_reason": choice["finish_reason"],
        "content": _text(choice["message"].get("content")),
        "refusal": _text(choice["message"].get("refusal")),
        "logprobs": _logprobs(choice),
        "prompt_tokens": _tokens(said, "prompt_tokens"),
        "completion_tokens": _tokens(said, "completion_tokens"),
        # what a hosted model costs is not known here, and unknown is not nothing
        "usd": 0.0 if str(client.base_url).startswith(EMBEDDED_URL) else None,
        "latency_ms": (time.perf_counter() - started) * 1000,
        "event_at": datetime.now(UTC),
    }


async def _completion(client: AsyncOpenAI, body: dict[str, Any]) -> dict[str, Any]:
    """Return what the endpoint answered, as JSON says it; raise NoReply where that is no completion."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            # The same request as `chat.completions.create` sends. That copies every message through its types first,
            # and the answer too: nine tenths of a few-shot call's work in this process, 2.5 ms instead of 0.25.
            response = await client.post("/chat/completions", cast_to=httpx2.Response, body=body)
    except TimeoutError:
        raise NoReply(f"no answer within {DEADLINE_S} s") from None
    try:
        said = json.loads(response.content)
        choice = said["choices"][0]
        message, finish_reason = choice["message"], choice["finish_reason"]
        is_whole = finish_reason in FINISHED and (finish_reason != "stop" or _says_something(message))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        is_whole = False
    if not is_whole:
        raise NoReply("what came is no chat completion")
    return said | {"choices": [choice | {"message": message or {}}]}


def _says_something(message: dict[str, Any]) -> bool:
    return isinstance(message.get("content"), str) or bool(message.get("refusal"))


def _text(value: Any) -> str | None:
    """Return a text that can be stored: half of a surrogate pair, which JSON lets through, becomes a question mark."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else None


def _tokens(said: dict[str, Any], key: str) -> int:
    count = usage.get(key) if isinstance(usage := said.get("usage"), dict) else None
    return count if isinstance(count, int) and 0 <= count < 2**31 else 0


def _logprobs(choice: dict[str, Any]) -> str | None:
    """Return the answer's tokens with their alternatives, or None where they are not there or of another make."""
    try:
        tokens = [_token(token) | {"top_logprobs": list(map(_token, token.get("top_logprobs") or []))}
                  for token in choice["logprobs"]["content"]]  # fmt: skip
    except (LookupError, TypeError, AttributeError):
        return None
    return json.dumps(tokens, ensure_ascii=False) if tokens else None


def _token(token: dict[str, Any]) -> dict[str, Any]:
    return {"token": _text(token["token"]) or "", "logprob": token["logprob"]}


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
    except (ValueError, KeyError, TypeError, RecursionError):
        return Answer(reason="not_json")
    if label not in labels:
        return Answer(reason="not_a_label")
    found = from_logprobs(json.loads(reply["logprobs"]), labels) if reply["logprobs"] else None
    if not found:
        return Answer(label=label)
    return Answer(label, found[0], "logprobs", found[1])
