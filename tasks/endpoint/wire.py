"""The wire: a request goes out in the protocol an endpoint speaks, and what comes back becomes a reply's columns.

A body is always spelled as Chat Completions spells it; the Responses protocol gets a translation.
"""

import json
from collections.abc import Callable
from typing import Any

from tasks.endpoint.failure import NoReply

PATHS = {"chat": "/chat/completions", "responses": "/responses"}
FINISHED = ("stop", "length", "content_filter", "tool_calls", "function_call")  # anything else is a fault in disguise
_INCOMPLETE = {"max_output_tokens": "length", "content_filter": "content_filter"}
_SAME = ("model", "temperature", "top_p", "top_logprobs", "service_tier", "store")

Tokens = list[dict[str, Any]]


def spelled(api: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return a body as the protocol `api` spells it; the Responses protocol knows no seed."""
    if api == "chat":
        return body
    said = {key: body[key] for key in _SAME if key in body} | {"input": body["messages"]}
    if cap := body.get("max_completion_tokens") or body.get("max_tokens"):
        said["max_output_tokens"] = cap
    if body.get("logprobs"):
        said["include"] = ["message.output_text.logprobs"]
    if form := body.get("response_format"):
        said["text"] = {"format": {"type": form["type"]} | form.get("json_schema", {})}
    return said


def as_they_came(tokens: Any) -> Tokens:
    """Return the answer's tokens, all of them and their alternatives."""
    return tokens if isinstance(tokens, list) and all(isinstance(token, dict) for token in tokens) else []


def reply(api: str, content: bytes, compact: Callable[[Any], Tokens] = as_they_came) -> dict[str, Any]:
    """Return the columns of a reply that the endpoint decides, from the body of its answer.

    `compact` says what is kept of the answer's tokens. Raises NoReply where the body is no whole completion.
    """
    found = _found(api, content)
    finish = found.get("finish_reason")
    if finish not in FINISHED or (finish == "stop" and found["content"] is None and not found["refusal"]):
        raise NoReply("what came is no completion", found if found.get("prompt_tokens") else None)
    return found | {"logprobs": _logprobs(found["logprobs"], compact)}


def _found(api: str, content: bytes) -> dict[str, Any]:
    """Return what stands in an answer's body; nothing where it is of another make."""
    try:
        said = json.loads(content)
        return _of_chat(said) if api == "chat" else _of_responses(said)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}  # and no error, even as the context of another: a decoder's holds the whole text


def unseen(reason: str) -> dict[str, Any]:
    """Return the columns of a reply that never came to be, because the endpoint would not look at the item."""
    return _columns({}, reason, None, None, None, {}, 0) | {"usd": 0.0}


def _of_chat(said: dict[str, Any]) -> dict[str, Any]:
    choice = said["choices"][0]
    message = choice["message"] or {}
    usage = _mapping(said.get("usage"))
    counted = {"prompt": usage.get("prompt_tokens"), "completion": usage.get("completion_tokens")}
    tokens = _mapping(choice.get("logprobs")).get("content")
    cached = _mapping(usage.get("prompt_tokens_details")).get("cached_tokens")
    content = message.get("content")
    if isinstance(content, list):  # Mistral's way
        content = "".join(part["text"] for part in content if part["type"] == "text")
    return _columns(said, choice["finish_reason"], content, message.get("refusal"), tokens, counted, cached)


def _of_responses(said: dict[str, Any]) -> dict[str, Any]:
    parts = [part for item in said["output"] if item["type"] == "message" for part in item["content"]]
    texts = [part for part in parts if part["type"] == "output_text"]
    refusals = [part["refusal"] for part in parts if part["type"] == "refusal"]
    finish = "stop" if said["status"] == "completed" else _INCOMPLETE[said["incomplete_details"]["reason"]]
    content = "".join(part["text"] for part in texts) if texts else None
    tokens = [token for part in texts for token in part.get("logprobs") or []]
    usage = _mapping(said.get("usage"))
    counted = {"prompt": usage.get("input_tokens"), "completion": usage.get("output_tokens")}
    cached = _mapping(usage.get("input_tokens_details")).get("cached_tokens")
    return _columns(said, finish, content, next(iter(refusals), None), tokens, counted, cached)


def _columns(
    said: dict[str, Any], finish: str, content: Any, refusal: Any, tokens: Any, counted: dict[str, Any], cached: Any
) -> dict[str, Any]:
    return {
        "model_served": "@".join(filter(None, (text(said.get(key)) for key in ("model", "system_fingerprint")))),
        "service_tier": text(said.get("service_tier")),
        "finish_reason": finish,
        "content": text(content),
        "refusal": text(refusal),
        "logprobs": tokens,
        "prompt_tokens": _count(counted.get("prompt")),
        "cached_tokens": min(_count(cached), _count(counted.get("prompt"))),
        "completion_tokens": _count(counted.get("completion")),
    }


def text(value: Any) -> str | None:
    """Return a text that can be stored: half of a surrogate pair, which JSON lets through, becomes a question mark."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(tokens: Any) -> int:
    return tokens if type(tokens) is int and 0 <= tokens < 2**31 else 0


def _logprobs(tokens: Any, compact: Callable[[Any], Tokens]) -> str | None:
    """Return what is kept of the answer's tokens, as JSON; None where they are not there or of another make."""
    kept = compact(tokens)
    return json.dumps(kept) if kept else None
