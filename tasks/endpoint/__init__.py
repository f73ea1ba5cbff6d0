"""An endpoint: where models are reached, always through the openai client and a base URL."""

import logging
import os
from collections.abc import Iterable
from urllib.parse import urlsplit

import httpx2
from openai import AsyncOpenAI, DefaultAioHttpClient

from schemas.curation import LLMAnnotator
from schemas.errors import RequestError

EMBEDDED = "embedded"
EMBEDDED_URL = "http://embedded/v1"
HOSTED_URL = "https://api.openai.com/v1"
MAX_CONNECTIONS = 2048  # more than calls in flight, which the pace limits
CONNECT_S = 10.0  # a call that never got through must not count as one that may be billed

# its debug lines quote what is sent, and an item's text stands in no log
logging.getLogger("openai").setLevel(logging.WARNING)


def address(model: str, base_url: str | None) -> str:
    """Return the base URL a model is reached at: the one given, the embedded one, OPENAI_BASE_URL, or OpenAI's."""
    if not base_url and model == EMBEDDED:
        return EMBEDDED_URL
    url = base_url or os.environ.get("OPENAI_BASE_URL", "").strip() or HOSTED_URL
    if not _is_address(url):
        raise RequestError(
            "an endpoint's address (OPENAI_BASE_URL, or base_url) must begin with http:// or https://, name a "
            "host, and hold no password"
        )
    return url.rstrip("/")


def _is_address(url: str) -> bool:
    """Return whether calls can go there; an address with a password in it cannot be called with a key as well."""
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        return bool(is_whole) and "@" not in parts.netloc
    except ValueError:  # its host or its port
        return False


def client(base_url: str, key_env: str = "OPENAI_API_KEY") -> AsyncOpenAI:
    """Return a client of a base URL; the host `embedded` is an app inside this process, any other is on the network.

    It never asks again by itself: every call is counted, paced and paid for where it is made.
    """
    if urlsplit(base_url).hostname == EMBEDDED:
        from tasks.annotator.embedded import app

        inside = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))
        return AsyncOpenAI(api_key="none", base_url=base_url, max_retries=0, http_client=inside)
    secret = key(base_url, key_env)
    limits = httpx2.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS)
    # vLLM and Ollama ask for no key; how long a call may take is the caller's to say
    timeout = httpx2.Timeout(None, connect=CONNECT_S)
    network = DefaultAioHttpClient(timeout=timeout, limits=limits)
    return AsyncOpenAI(api_key=secret or "none", base_url=base_url, max_retries=0, timeout=timeout, http_client=network)


def key(base_url: str, key_env: str) -> str:
    """Return the key for a base URL, empty where none is set; raise RequestError where one is needed, or is no key."""
    secret = os.environ.get(key_env, "").strip()
    if not secret and base_url == HOSTED_URL:
        raise RequestError(f"{key_env} is not set; a model that is not OpenAI's needs base_url or OPENAI_BASE_URL")
    if not (secret.isascii() and secret.isprintable()):
        raise RequestError(f"{key_env} holds a character that no key has: copy it again")
    return secret


def keyed(models: Iterable[LLMAnnotator]) -> None:
    """Raise RequestError, with the annotator's name, where the key of a model is missing or is no key."""
    for model in models:
        try:
            key(address(model.model, model.base_url), model.api_key_env)
        except RequestError as wrong:
            raise RequestError(f"{model.name}: {wrong}") from None


def shown(base_url: str) -> str:
    """Return an address without what may be secret in it: a user, a password, a query."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
