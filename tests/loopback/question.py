"""Questions: what a request body of either API asks for, and what of it this endpoint does not take."""

import json
from dataclasses import dataclass
from typing import Any

from loopback.faults import error, unsupported
from loopback.options import Options

canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
WANTS_LOGPROBS = "message.output_text.logprobs"
RESPONSES_TAKES = {
    "model", "input", "instructions", "text", "temperature", "top_p", "max_output_tokens", "include", "top_logprobs",
    "store", "service_tier", "metadata", "reasoning", "truncation", "user", "safety_identifier", "prompt_cache_key",
    "stream", "background", "tools", "tool_choice", "parallel_tool_calls", "previous_response_id",
}  # fmt: skip
LEAST_OUTPUT_TOKENS = 16  # of the Responses API


@dataclass(slots=True)
class Question:
    """What is asked, the same whichever API asked it."""

    api: str
    model: str
    system: str
    asked: str
    schema: dict[str, Any] | None
    top: int | None
    cap: int | None
    temperature: float
    seed: int | None
    tier: str


def question(api: str, body: dict[str, Any], options: Options) -> Question:
    """Return what a body asks for, less what the endpoint ignores; raise where it is not of the API's make."""
    ignored = options.ignores
    if api == "chat":
        turns, written = body["messages"], body.get("response_format") or {}
        schema = written["json_schema"]["schema"] if written.get("type") == "json_schema" else None
        system = "\n".join(_text(turn["content"]) for turn in turns if turn["role"] in ("system", "developer"))
        cap = body.get("max_completion_tokens", body.get("max_tokens"))
        top = body.get("top_logprobs", 0) if body.get("logprobs") else None
    else:
        turns, written = body["input"], (body.get("text") or {}).get("format") or {}
        turns = [{"role": "user", "content": turns}] if isinstance(turns, str) else turns
        schema = written["schema"] if written.get("type") == "json_schema" else None
        told = [_text(turn["content"]) for turn in turns if turn["role"] in ("system", "developer")]
        system = "\n".join(filter(None, [body.get("instructions"), *told]))
        cap = body.get("max_output_tokens")
        top = body.get("top_logprobs", 0) if WANTS_LOGPROBS in (body.get("include") or ()) else None
    asked = next(_text(turn["content"]) for turn in reversed(turns) if turn["role"] == "user")
    if "logprobs" in ignored:
        top = None
    tier = body.get("service_tier") or "default"
    return Question(
        api,
        body["model"],
        system,
        asked,
        None if "json_schema" in ignored else schema,
        None if top is None else min(top, options.max_top_logprobs),
        None if "max_completion_tokens" in ignored else cap,
        1.0 if "temperature" in ignored or body.get("temperature") is None else body["temperature"],
        None if "seed" in ignored else body.get("seed"),
        options.tier_served or ("default" if tier == "auto" else tier),
    )


def _text(content: str | list[dict[str, Any]]) -> str:
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)


def not_taken(api: str, body: dict[str, Any], options: Options) -> tuple[str, bytes] | None:
    """Return (code, body of the 400) for the first thing in a body that the endpoint does not take, or None."""
    if body.get("stream"):
        return "unsupported_value", unsupported("stream", "unsupported_value")
    if body.get("n", 1) != 1:
        return "unsupported_value", unsupported("n", "unsupported_value")
    if api == "responses":
        if unknown := body.keys() - RESPONSES_TAKES:
            param = min(unknown)
            return "unknown_parameter", _invalid(f"Unknown parameter: '{param}'.", "unknown_parameter", param)
        if body.get("max_output_tokens", LEAST_OUTPUT_TOKENS) < LEAST_OUTPUT_TOKENS:
            code = "integer_below_min_value"
            return code, _invalid("Invalid 'max_output_tokens': below minimum value.", code, "max_output_tokens")
    if body.get("top_logprobs", 0) > 20:
        code = "integer_above_max_value"
        return code, _invalid("Invalid value for 'top_logprobs': above maximum value.", code, "top_logprobs")
    if body.get("top_logprobs", 0) > options.max_top_logprobs and "top_logprobs" not in options.ignores:
        return "unsupported_value", unsupported("top_logprobs", "unsupported_value")
    return next((found for name in options.lacks if (found := _lacking(name, api, body))), None)


def _lacking(name: str, api: str, body: dict[str, Any]) -> tuple[str, bytes] | None:
    """Return the refusal of a body that asks for a feature there is not, or None where it does not ask."""
    code = "unsupported_parameter"
    if name == "json_schema":
        param = "response_format" if api == "chat" else "text.format"
        written = body.get("response_format") if api == "chat" else (body.get("text") or {}).get("format")
        is_asked, code = (written or {}).get("type") == "json_schema", "unsupported_value"
    elif name == "logprobs" and api == "responses":
        param, is_asked = "include", WANTS_LOGPROBS in (body.get("include") or ())
    elif name == "temperature":  # models that reason take 1 and nothing else
        param, is_asked, code = name, body.get(name, 1) != 1, "unsupported_value"
    elif name == "max_completion_tokens" and api == "responses":
        param, is_asked = "max_output_tokens", "max_output_tokens" in body
    else:
        param, is_asked = name, body.get(name) is not None and body[name] is not False
    return (code, unsupported(param, code)) if is_asked else None


def _invalid(message: str, code: str, param: str) -> bytes:
    return error(message, "invalid_request_error", code, param)
