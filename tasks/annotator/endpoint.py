"""An endpoint: where models are reached, always through the openai client and a base URL."""

import os
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

import httpx2
import numpy as np
import openai
from openai import AsyncOpenAI, DefaultAioHttpClient

EMBEDDED = "embedded"
EMBEDDED_URL = "http://embedded/v1"
HOSTED_URL = "https://api.openai.com/v1"
TIMEOUT_S = 60
EMBEDDING_BATCH = 256


def address(model: str, base_url: str | None) -> str:
    """Return the base URL a model is reached at: the one given, the embedded one, OPENAI_BASE_URL, or OpenAI's."""
    if base_url:
        return base_url
    return EMBEDDED_URL if model == EMBEDDED else os.environ.get("OPENAI_BASE_URL") or HOSTED_URL


def client(base_url: str, api_key: str | None = None) -> AsyncOpenAI:
    """Return a client of a base URL; the host `embedded` is an app inside this process, any other is on the network."""
    if urlsplit(base_url).hostname == EMBEDDED:
        from tasks.annotator.embedded import app

        transport = httpx2.ASGITransport(app=app)
        return AsyncOpenAI(api_key="none", base_url=base_url, http_client=httpx2.AsyncClient(transport=transport))
    key = api_key or os.environ.get("OPENAI_API_KEY") or "none"  # vLLM and Ollama ask for no key
    return AsyncOpenAI(api_key=key, base_url=base_url, http_client=DefaultAioHttpClient(timeout=TIMEOUT_S))


async def embeddings(texts: Iterable[str]) -> dict[str, np.ndarray]:
    """Return a unit vector for each distinct text, from the embedded model."""
    distinct, vectors = sorted(set(texts)), {}
    async with client(EMBEDDED_URL) as embedded:
        for batch in batched(distinct, EMBEDDING_BATCH):
            answer = await embedded.embeddings.create(model=EMBEDDED, input=list(batch))
            vectors |= {text: np.array(row.embedding, np.float32) for text, row in zip(batch, answer.data, strict=True)}
    return vectors


def batched(texts: list[str], size: int) -> Iterator[list[str]]:
    """Yield the texts in lists of at most `size`."""
    yield from (texts[start : start + size] for start in range(0, len(texts), size))


def is_fatal(error: openai.OpenAIError) -> bool:
    """Return whether asking about any other item would fail the same way."""
    wrong = (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError)
    return isinstance(error, wrong) or getattr(error, "code", None) == "model_not_installed"


def complaint(error: openai.OpenAIError, base_url: str, model: str) -> str:
    """Return what is wrong with an endpoint, in words; a message of its own is shown only where it cannot quote an item."""
    if base_url == EMBEDDED_URL and isinstance(error, openai.APIStatusError):
        return (
            error.body["message"]
            if isinstance(error.body, dict)
            else f"the embedded model answered {error.status_code}"
        )
    if isinstance(error, openai.APIStatusError):
        return f"{base_url} answered {error.status_code} for model {model!r}: check the key, the address and the model's name"
    return f"{base_url} does not answer ({type(error).__name__}): check the address"
