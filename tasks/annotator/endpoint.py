"""An endpoint: where models are reached, always through the openai client and a base URL."""

import logging
import os
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

import httpx2
import numpy as np
import openai
from openai import AsyncOpenAI, DefaultAioHttpClient

from schemas.errors import RequestError

EMBEDDED = "embedded"
EMBEDDED_URL = "http://embedded/v1"
HOSTED_URL = "https://api.openai.com/v1"
TIMEOUT_S = 60
EMBEDDING_BATCH = 256
# What makes a 400 or a 429 a matter of the account or the request's make, not of the item.
FATAL_CODES = {
    "insufficient_quota",
    "model_not_installed",
    "unsupported_parameter",
    "unsupported_value",
    "unknown_parameter",
}
WRONG = {
    401: "the key in OPENAI_API_KEY is missing or refused",
    403: "the key in OPENAI_API_KEY may not use it",
    404: "there is no such model or address; an address ends in /v1 at most endpoints",
    429: "the account's quota, or its requests a minute, are used up",
}

# its debug lines quote what is sent, and an item's text stands in no log
logging.getLogger("openai").setLevel(logging.WARNING)


def address(model: str, base_url: str | None) -> str:
    """Return the base URL a model is reached at: the one given, the embedded one, OPENAI_BASE_URL, or OpenAI's."""
    if not base_url and model == EMBEDDED:
        return EMBEDDED_URL
    url = base_url or os.environ.get("OPENAI_BASE_URL", "").strip() or HOSTED_URL
    if not url.startswith(("http://", "https://")):
        raise RequestError("an endpoint's address (OPENAI_BASE_URL, or base_url) must begin with http:// or https://")
    return url.rstrip("/")


def client(base_url: str) -> AsyncOpenAI:
    """Return a client of a base URL; the host `embedded` is an app inside this process, any other is on the network."""
    if urlsplit(base_url).hostname == EMBEDDED:
        from tasks.annotator.embedded import app

        transport = httpx2.ASGITransport(app=app)
        return AsyncOpenAI(api_key="none", base_url=base_url, http_client=httpx2.AsyncClient(transport=transport))
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if not key and base_url == HOSTED_URL:
        raise RequestError("OPENAI_API_KEY is not set; a model that is not OpenAI's needs base_url or OPENAI_BASE_URL")
    if not (key.isascii() and key.isprintable()):
        raise RequestError("OPENAI_API_KEY holds a character that no key has: copy it again")
    # vLLM and Ollama ask for no key
    return AsyncOpenAI(api_key=key or "none", base_url=base_url, http_client=DefaultAioHttpClient(timeout=TIMEOUT_S))


async def embeddings(texts: Iterable[str]) -> dict[str, np.ndarray]:
    """Return a unit vector for each distinct text, from the embedded model; raise RequestError where it is missing."""
    distinct, vectors = sorted(set(texts)), {}
    async with client(EMBEDDED_URL) as embedded:
        for batch in batched(distinct, EMBEDDING_BATCH):
            try:
                answer = await embedded.embeddings.create(model=EMBEDDED, input=batch)
            except openai.OpenAIError as error:
                raise RequestError(complaint(error, EMBEDDED_URL, EMBEDDED)) from None
            vectors |= {text: np.array(row.embedding, np.float32) for text, row in zip(batch, answer.data, strict=True)}
    return vectors


def batched(texts: list[str], size: int) -> Iterator[list[str]]:
    """Yield the texts in lists of at most `size`."""
    yield from (texts[start : start + size] for start in range(0, len(texts), size))


def is_fatal(error: openai.OpenAIError) -> bool:
    """Return whether asking about any other item would fail the same way."""
    wrong = (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError)
    return isinstance(error, wrong) or str(getattr(error, "code", None)) in FATAL_CODES


def kind(error: openai.OpenAIError) -> str:
    """Return what an error is, in a word or two; its message may quote the item."""
    is_answer = isinstance(error, openai.APIStatusError)
    return f"status {error.status_code}" if is_answer else type(error).__name__


def complaint(error: openai.OpenAIError, base_url: str, model: str) -> str:
    """Return what is wrong with an endpoint, in words; a message of its own is shown only where it cannot quote an item."""
    if not isinstance(error, openai.APIStatusError):
        what = "does not answer" if isinstance(error, openai.APIConnectionError) else "sends no chat completion"
        return f"{_shown(base_url)} {what} ({kind(error)}): check the address"
    if base_url == EMBEDDED_URL and isinstance(error.body, dict):
        return error.body["message"]
    wrong = WRONG.get(error.status_code, "check the key, the address and the model's name")
    if error.status_code == 400 and is_fatal(error):
        named = isinstance(error.param, str) and error.param.isidentifier()  # a part of the request, and nothing else
        wrong = f"it does not take {f'`{error.param}`' if named else 'such a request'}: choose another model"
    return f"{_shown(base_url)} answered {error.status_code} for model {model!r}: {wrong}"


def _shown(base_url: str) -> str:
    """Return an address without what may be secret in it: a user, a password, a query."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
