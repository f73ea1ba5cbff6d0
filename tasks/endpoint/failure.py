"""What went wrong with a call, and what is done about it: one table for every endpoint.

Nothing here repeats what an endpoint said: its messages quote what it was sent.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any

import aiohttp
import httpx2
import openai
from openai import OpenAIError

from tasks.endpoint import EMBEDDED_URL, shown


class NoReply(OpenAIError):
    """Raised where an endpoint takes a request and sends no completion; says nothing of what it did send.

    `usage` holds the columns of a reply that came without an answer: its tokens are billed, and known.
    """

    def __init__(self, message: str, usage: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.usage = usage


class Do(Enum):
    """What is done about a failure."""

    STOP = "the request is wrong for every item: stop the run"
    QUOTA = "the account is used up: stop the run, keep what was paid for"
    WAIT = "too fast: wait as long as told, go on slower; takes none of the item's attempts"
    RETRY = "a fault of the moment: try again later, so many times"
    SET_ASIDE = "a matter of this item: never again in this run"


@dataclass(frozen=True)
class Failure:
    """One failed call: what it is called, what to do, how long the endpoint asks to wait, whether it may be billed."""

    kind: str
    do: Do
    wait_s: float = 0.0
    may_be_billed: bool = False
    is_overload: bool = False


STOPPING = {401, 403, 404}
USED_UP = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
# What makes a 400 or a 503 a matter of the request's make or of the installation, not of the item or the moment.
WRONG_MAKE = {"model_not_installed", "unsupported_parameter", "unsupported_value", "unknown_parameter"}
# What an endpoint refuses to look at, and would refuse again: an answer about the item, not a fault.
REFUSED_UNSEEN = {
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "context_length_exceeded": "context_length",
    "string_above_max_length": "context_length",
}
TOO_LONG = "maximum context length"
# No connection came about, so nothing was sent and nothing can have been billed. The client calls every broken
# connection a timeout of connecting; only aiohttp's own errors, further down the causes, tell the two apart.
NEVER_ARRIVED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, httpx2.UnsupportedProtocol)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def failure(error: OpenAIError) -> Failure:
    """Return what an error of the client is and what to do about it."""
    if not isinstance(error, openai.APIStatusError):
        return _unheard(error)
    status, code = error.status_code, str(error.code)
    kind = f"status {status}"
    if status in STOPPING or code in WRONG_MAKE:
        return Failure(kind, Do.STOP)
    if status == 402 or code in USED_UP:
        return Failure(kind, Do.QUOTA)
    if status == 429:
        return Failure(kind, Do.WAIT, wait_s(error.response.headers), is_overload=True)
    if status in (408, 409) or status >= 500:
        return Failure(kind, Do.RETRY, wait_s(error.response.headers), is_overload=status in (503, 529))
    return Failure(kind, Do.SET_ASIDE)


def _unheard(error: OpenAIError) -> Failure:
    if isinstance(error, NoReply):
        return Failure("no_content" if error.usage else "broken_body", Do.RETRY, may_be_billed=True)
    causes = list(_causes(error))
    was_sent = not any(isinstance(cause, NEVER_ARRIVED) for cause in causes)
    # what has causes but no timeout among them is a broken connection, whatever the client calls it
    is_late = isinstance(error, openai.APITimeoutError) and (
        len(causes) == 1 or any(isinstance(cause, TimeoutError) for cause in causes)
    )
    return Failure("timeout" if is_late else "connection", Do.RETRY, may_be_billed=was_sent)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__


def refused_unseen(error: OpenAIError) -> str | None:
    """Return why an endpoint will not look at an item (content_filter, context_length), or None for another error."""
    if isinstance(error, openai.APIStatusError) and error.status_code == 413:
        return "context_length"
    if not isinstance(error, openai.BadRequestError):
        return None
    if TOO_LONG in str(error.message).lower():  # vLLM gives it no code
        return "context_length"
    return REFUSED_UNSEEN.get(str(error.code))


def wait_s(headers: httpx2.Headers) -> float:
    """Return how long an endpoint asks to wait, in seconds: the longest of what its headers say, 0 if they say nothing."""
    waits = [_number(headers.get("retry-after-ms")) / 1000, _retry_after(headers.get("retry-after"))]
    for of in ("requests", "tokens"):
        if headers.get(f"x-ratelimit-remaining-{of}") == "0":
            waits.append(duration_s(headers.get(f"x-ratelimit-reset-{of}")))
    return max(waits)


def _retry_after(value: str | None) -> float:
    if value and not _number(value):
        try:
            return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
        except (ValueError, TypeError):
            return 0.0
    return _number(value)


def _number(value: str | None) -> float:
    try:
        number = float(value or 0)
    except ValueError:
        return 0.0
    return number if 0 <= number < 1e9 else 0.0


def duration_s(value: str | None) -> float:
    """Return the seconds of a duration as `6m0s`, `1s` or `120ms` write it; 0 where it is none."""
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(value or ""))


WRONG = {
    401: "its key is missing or refused",
    403: "its key may not use it",
    404: "there is no such model or address; an address ends in /v1 at most endpoints",
    402: "the account has nothing left to pay with",
    429: "the account's quota, or its requests a minute, are used up",
}


def complaint(error: OpenAIError, base_url: str, model: str, key_env: str = "OPENAI_API_KEY") -> str:
    """Return what is wrong with an endpoint, in words; a message of its own is shown only where it cannot quote an item."""
    if not isinstance(error, openai.APIStatusError):
        what = "does not answer" if isinstance(error, openai.APIConnectionError) else "sends no completion"
        return f"{shown(base_url)} {what} ({failure(error).kind}): check the address"
    if base_url == EMBEDDED_URL and isinstance(error.body, dict):
        return error.body["message"]
    wrong = WRONG.get(error.status_code, "check the key, the address and the model's name")
    if error.status_code in (401, 403):
        wrong += f" (it is taken from {key_env})"
    if error.status_code == 400:
        named = isinstance(error.param, str) and error.param.isidentifier()  # a part of the request, and nothing else
        wrong = f"it does not take {f'`{error.param}`' if named else 'such a request'}: choose another model"
    return f"{shown(base_url)} answered {error.status_code} for model {model!r}: {wrong}"
