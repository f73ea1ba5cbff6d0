"""Faults: which request meets which, and what a refusal looks like."""

import json
from hashlib import blake2b
from typing import Any

# before anything is generated: a status, never billed
STATUS = {
    "rate_limit": 429,
    "rate_limit_bare": 429,
    "status_408": 408,
    "status_500": 500,
    "status_502": 502,
    "status_503": 503,
    "status_529": 529,
    "content_filter_400": 400,
    "context_length": 400,
    "quota": 429,
    "unauthorised": 401,
}
# generated, so billed, and never delivered; `reset` comes before anything is generated
BROKEN = ("timeout", "slow_drip", "truncated", "garbage_html", "garbage_json", "error_body")
# a complete answer that says something else: billed and delivered
SAID = (
    "wrong_label", "refusal", "length", "content_filter", "empty", "prose", "null_logprobs", "strange_logprobs",
)  # fmt: skip
FATAL = ("quota", "unauthorised")  # never unless named: a right client stops at the first
UNSEEN = ("content_filter_400", "context_length")  # answers about the item, which it would meet again
KINDS = (*STATUS, "reset", *BROKEN, *SAID)
FAULTS = tuple(kind for kind in KINDS if kind not in FATAL)

MESSAGES = {
    "rate_limit": ("Rate limit reached. Please try again later.", "requests", "rate_limit_exceeded"),
    "status_408": ("Request timed out.", "timeout", None),
    "status_500": ("The server had an error while processing your request.", "server_error", None),
    "status_502": ("Bad gateway.", "server_error", None),
    "status_503": ("The engine is currently overloaded.", "server_error", None),
    "status_529": ("Overloaded", "overloaded_error", None),
    "quota": ("You exceeded your current quota, please check your plan.", "insufficient_quota", "insufficient_quota"),
    "unauthorised": ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
}


def fraction(*parts: Any) -> float:
    """Return a number in [0, 1) that the parts decide."""
    digest = blake2b("|".join(map(str, parts)).encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def fault_of(rate: float, kinds: tuple[str, ...], drawn: float) -> str | None:
    """Return the fault that a number in [0, 1) stands for, or None: the first `rate` of them, in equal parts."""
    return kinds[int(drawn / rate * len(kinds))] if kinds and drawn < rate else None


def error(message: str, kind: str | None, code: str | None, param: str | None = None, **more: Any) -> bytes:
    """Return the body of a refusal."""
    return json.dumps({"error": {"message": message, "type": kind, "param": param, "code": code} | more}).encode()


def unsupported(param: str, code: str = "unsupported_parameter") -> bytes:
    """Return the body of the 400 for a parameter, or a value of it, that a model does not take."""
    what = "value" if code == "unsupported_value" else "parameter"
    return error(
        f"Unsupported {what}: '{param}' is not supported with this model.", "invalid_request_error", code, param
    )


def refusal(kind: str, near: str) -> bytes:
    """Return the body of a status fault; those about the item quote it, as real ones do: none of it may be logged."""
    if kind == "content_filter_400":
        verdict = {"filtered": True, "severity": "medium"}
        inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"violence": verdict}}
        message = f"The response was filtered due to the prompt triggering the content management policy: {near}"
        return error(message, None, "content_filter", "prompt", status=400, innererror=inner)
    if kind == "context_length":
        message = f"This model's maximum context length is 8192 tokens, your messages resulted in more: {near}"
        return error(message, "invalid_request_error", "context_length_exceeded", "messages")
    return error(*MESSAGES[kind.removesuffix("_bare")])
