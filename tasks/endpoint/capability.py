"""What a model's endpoint supports: found by asking once, recorded, and kept to when it is asked."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import openai

# What is given up where an endpoint refuses a request without saying which part of it: each alone, then one after the
# other.
_SUSPECTS = ("logprobs", "response_format", "seed", "store", "temperature", "max_completion_tokens", "service_tier")
_NAMED = re.compile(r"\b(top_logprobs|logprobs|response_format|seed|store|temperature|max_completion_tokens|service_tier"
                    r"|json_schema|include|text\.format)\b")  # fmt: skip
_MEANS = {"include": "logprobs", "json_schema": "response_format", "text.format": "response_format"}
_FORMS = ("json_schema", "json_object", "none")
_TOPS = (20, 8, 5, 1)


@dataclass(frozen=True)
class Capabilities:
    """What an endpoint takes of a request; `gives_logprobs` says whether it answers with them too."""

    response_format: str = "json_schema"
    logprobs: bool = True
    max_top_logprobs: int = 20
    seed: bool = True
    store: bool = True
    temperature: bool = True
    max_completion_tokens: bool = True
    service_tier: bool = True
    gives_logprobs: bool = True

    @property
    def row(self) -> dict[str, Any]:
        """Return the findings as a plain mapping."""
        return asdict(self)

    def fit(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return a body without what the endpoint refuses."""
        kept = {key: value for key, value in body.items() if getattr(self, key, True)}
        if not self.logprobs:
            kept.pop("top_logprobs", None)
        elif "top_logprobs" in kept:
            kept["top_logprobs"] = min(kept["top_logprobs"], self.max_top_logprobs)
        if not self.max_completion_tokens and "max_completion_tokens" in body:
            kept["max_tokens"] = body["max_completion_tokens"]
        if self.response_format == "json_object" and "response_format" in kept:
            kept["response_format"] = {"type": "json_object"}
        elif self.response_format == "none":
            kept.pop("response_format", None)
        return kept

    def without(self, part: str) -> "Capabilities":
        """Return what is left to try where the endpoint refuses that part."""
        if part == "top_logprobs":
            fewer = [top for top in _TOPS if top < self.max_top_logprobs]
            return replace(self, max_top_logprobs=fewer[0]) if fewer else replace(self, logprobs=False)
        if part == "response_format":
            return replace(self, response_format=_FORMS[min(_FORMS.index(self.response_format) + 1, len(_FORMS) - 1)])
        return replace(self, **{part: False})


def refused_part(error: openai.APIStatusError, tried: Capabilities) -> str | None:
    """Return which part of a request an endpoint names as what it refuses; None where it names none that is left."""
    said = error.param if isinstance(error.param, str) else ""
    for place in (said, str(error.message), str(error.body)):  # a body of another make has no message
        for named in _NAMED.findall(place):
            part = _MEANS.get(named, named)
            # vLLM: "Requested sample logprobs of 20, which is greater than max allowed: 5"
            if part == "logprobs" and re.search(rf"\b{tried.max_top_logprobs}\b", str(error.message)):
                part = "top_logprobs"
            if tried.without(part) != tried:
                return part
    return None


def _ways(tried: Capabilities, body: dict[str, Any]) -> Iterator[Capabilities]:
    """Yield what to try where an endpoint names no part: without each suspect, then without ever more of them."""
    suspects = [part for part in _SUSPECTS if part in body and tried.without(part) != tried]
    yield from (tried.without(part) for part in suspects)
    for part in suspects:
        while (fewer := tried.without(part)) != tried:
            tried = fewer
            yield tried


async def probe(ask: Any, body: dict[str, Any]) -> Capabilities:
    """Return what an endpoint supports of a known request, by asking until it takes it.

    `ask(body)` returns a reply and raises the client's error where the request is refused; the last refusal is raised
    where the request has nothing left to give up. Log-probabilities that do not come are asked for twice more: one
    answer may lack them by a fault of the moment.
    """
    found, ways = Capabilities(), None
    while True:
        try:
            reply = await ask(found.fit(body))
            break
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            if part := refused_part(error, found):
                found, ways = found.without(part), None
                continue
            ways = ways or _ways(found, body)
            if not (other := next(ways, None)):
                raise
            found = other
    if found.logprobs:
        for _ in range(2):
            if reply["logprobs"]:
                break
            reply = await ask(found.fit(body))
    return replace(found, gives_logprobs=bool(reply["logprobs"]))
