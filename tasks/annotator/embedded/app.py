"""The embedded model's endpoint: the part of the OpenAI protocol that labelling needs, as an ASGI application.

Given as `httpx2.ASGITransport(app=app)` to an openai client's `http_client`, it is reached without a network.
"""

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from types import ModuleType

import numpy as np

from tasks.annotator.embedded import classifier, comparison, minilm, prompt
from tasks.annotator.embedded.prompt import Malformed

MODEL = "embedded"
MAX_INPUTS = 2048  # of one embeddings request, and
MAX_TOP_LOGPROBS = 20  # of one token: OpenAI's own limits
CREATED = 0  # not the clock's: the same request gets the same bytes
REASON = "Its meaning is the nearest to the text."
LEAST = 1e-9  # a probability is never quite 0, so its logarithm can be written


class Unknown(LookupError):
    """Raised where a path or a model does not exist here."""


async def app(scope: dict, receive: Callable, send: Callable) -> None:
    """Answer one request; errors go out in OpenAI's shape."""
    if scope["type"] != "http":
        raise ValueError("only requests are answered here")
    body = await received(receive)
    try:
        status, answer = 200, await answered(scope["method"], scope["path"], body)
    except Malformed as wrong:
        status, answer = 400, error(wrong, "invalid_request_error", None)
    except Unknown as wrong:
        status, answer = 404, error(wrong, "invalid_request_error", "model_not_found")
    except minilm.Absent as wrong:
        status, answer = 503, error(wrong, "server_error", "model_not_installed")
    # The client would ask again after an error; nothing here is different the second time.
    headers = [(b"content-type", b"application/json"), (b"x-should-retry", b"false")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


async def received(receive: Callable) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def answered(method: str, path: str, body: bytes) -> dict:
    if method == "GET" and path.startswith("/v1/models"):
        return models(path.removeprefix("/v1/models").strip("/"))
    if (method, path) not in ROUTES:
        raise Unknown(f"{method} {path} is not served by the embedded model, which serves /v1/models, {SERVED}")
    request = parsed(body)
    known_model(request.get("model"))
    return await ROUTES[method, path](request)


def parsed(body: bytes) -> dict:
    try:
        request = json.loads(body)
    except ValueError:
        raise Malformed("the body of a request must be JSON") from None
    if not isinstance(request, dict):
        raise Malformed("the body of a request must be a JSON object")
    return request


def known_model(name: object) -> None:
    if name != MODEL:
        raise Unknown(f"the model {name!r} does not exist here; this endpoint serves {MODEL!r}")


def error(wrong: Exception, kind: str, code: str | None) -> dict:
    return {"error": {"message": str(wrong), "type": kind, "param": None, "code": code}}


def models(name: str) -> dict:
    """Return the list of models, or the one that is named."""
    minilm.weights()
    model = {"id": MODEL, "object": "model", "created": CREATED, "owned_by": "assay"}
    if not name:
        return {"object": "list", "data": [model]}
    known_model(name)
    return model


async def embeddings(request: dict) -> dict:
    """Return the unit vector of each input, in its order."""
    texts = inputs(request)
    vectors = await minilm.vectors(texts)
    shown = listed if request.get("encoding_format") == "float" else packed
    rows = [{"object": "embedding", "index": row, "embedding": shown(vectors[text])} for row, text in enumerate(texts)]
    used = sum(map(minilm.tokens, texts))
    return {"object": "list", "data": rows, "model": MODEL, "usage": {"prompt_tokens": used, "total_tokens": used}}


def inputs(request: dict) -> list[str]:
    given = request.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise Malformed("input must be a text or a list of texts, none of them empty")
    if not 1 <= len(texts) <= MAX_INPUTS:
        raise Malformed(f"input must hold 1 to {MAX_INPUTS} texts")
    if request.get("dimensions") not in (None, minilm.DIMENSIONS):
        raise Malformed(f"dimensions must be {minilm.DIMENSIONS}: the vectors cannot be shortened")
    if request.get("encoding_format") not in (None, "float", "base64"):
        raise Malformed("encoding_format must be float or base64")
    return texts


def listed(vector: np.ndarray) -> list[float]:
    return vector.tolist()


def packed(vector: np.ndarray) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


async def chat(request: dict) -> dict:
    """Return the most probable label as a chat completion; the same at every temperature."""
    shown = top(request)
    asked = prompt.question(request)
    how = comparison if comparison.is_comparison(asked) else classifier
    vectors = await minilm.vectors(how.texts(asked))
    chance = np.log(np.maximum(how.distribution(asked, vectors), LEAST)).round(6)
    before, labels, after = spelled(asked, round(100 * float(np.exp(chance.max()))))
    ranked = [(labels[place], float(chance[place])) for place in np.argsort(-chance, kind="stable")]
    tokens = [[(before, 0.0)], ranked, [(after, 0.0)]]  # what stands around the label is certain
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "".join(ways[0][0] for ways in tokens), "refusal": None},
        "logprobs": None if shown is None else {"content": [token(ways, shown) for ways in tokens], "refusal": None},
        "finish_reason": "stop",
    }
    return {
        "id": f"chatcmpl-{hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:24]}",
        "object": "chat.completion",
        "created": CREATED,
        "model": MODEL,
        "choices": [choice],
        "usage": usage(request["messages"], choice["message"]["content"]),
        "system_fingerprint": fingerprint(how),
    }


ROUTES: dict[tuple[str, str], Callable[[dict], Awaitable[dict]]] = {
    ("POST", "/v1/chat/completions"): chat,
    ("POST", "/v1/embeddings"): embeddings,
}
SERVED = " and ".join(path for _, path in ROUTES)


def top(request: dict) -> int | None:
    """Return how many labels to list with their log-probabilities, or none where they were not asked for."""
    shown = request.get("top_logprobs") or 0
    if not isinstance(shown, int) or not 0 <= shown <= MAX_TOP_LOGPROBS:
        raise Malformed(f"top_logprobs must be a whole number from 0 to {MAX_TOP_LOGPROBS}")
    if shown and not request.get("logprobs"):
        raise Malformed("top_logprobs needs logprobs: true")
    if request.get("stream") or request.get("tools") or request.get("n") not in (None, 1):
        raise Malformed("the embedded model gives one whole answer: no stream, no tools, no n above 1")
    return shown if request.get("logprobs") else None


def spelled(asked: prompt.Question, sure: int) -> tuple[str, list[str], str]:
    """Return the reply's tokens: what comes before the label, each of the labels, and what comes after.

    Where a reason is asked for it says how the label was chosen, and where a confidence is, its probability in per cent.
    """
    written = [json.dumps(label, ensure_ascii=False) for label in asked.labels]
    reasons = "".join(f"{json.dumps(name, ensure_ascii=False)}:{json.dumps(REASON)}," for name in asked.before)
    before = f"{{{reasons}{json.dumps(asked.property, ensure_ascii=False)}:"
    after = "".join(f",{json.dumps(name, ensure_ascii=False)}:{sure}" for name in asked.after) + "}"
    if not all(isinstance(label, str) for label in asked.labels):
        return before, written, after
    ends = [label[1:] for label in written]  # still with the closing quote
    if any(other != end and other.startswith(end[:-1]) for end in ends for other in ends):
        return before + '"', ends, after  # the quote tells a label from one that begins with it
    return before + '"', [end[:-1] for end in ends], '"' + after


def token(ways: list[tuple[str, float]], shown: int) -> dict:
    first, *_ = listed = [{"token": text, "logprob": chance, "bytes": list(text.encode())} for text, chance in ways]
    return {**first, "top_logprobs": listed[:shown]}


def usage(messages: list[dict], reply: str) -> dict:
    asked = sum(minilm.tokens(prompt.content(message["content"])) for message in messages)
    said = minilm.tokens(reply)
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def fingerprint(how: ModuleType) -> str:
    """Return what an answer depends on: the weights, and how and by which version of it they were used."""
    used = classifier.VERSION if how is classifier else f"comparison {how.VERSION}"
    return f"fp_{hashlib.sha256(f'{minilm.digest()} {used}'.encode()).hexdigest()[:12]}"
