"""A reply's token log-probabilities become a distribution over the labels."""

import json
import math
import re
from typing import Any

_VALUE = re.compile(r'"label"\s*:\s*"')


def from_logprobs(tokens: list[dict[str, Any]], labels: list[str]) -> tuple[dict[str, float], float] | None:
    """Return the probability of each label, summing to 1, and the share given to anything else; None if none is seen.

    Walks the tokens of the label's value. An alternative that can only become one label gives that label its
    probability; one that several labels share is followed where the model chose it, and counted as off-label where
    it did not. Tokens outside the returned top k are off-label too.
    """
    found = _VALUE.search("".join(token["token"] for token in tokens))
    if not found:
        return None
    spelled = {label: json.dumps(label, ensure_ascii=False)[1:] for label in labels}  # with its closing quote
    mass, path, written, end = dict.fromkeys(labels, 0.0), 1.0, "", 0
    for token in tokens:
        start, end = end, end + len(token["token"])
        if end <= found.end():
            continue
        lead = token["token"][: max(0, found.end() - start)]  # what the token holds before the value begins
        for text, probability in _alternatives(token).items():
            if not text.startswith(lead):
                continue
            owners = _owners(spelled, written + text[len(lead) :])
            if len(owners) == 1:
                mass[owners[0]] += path * probability
        chosen = written + token["token"][len(lead) :]
        if len(_owners(spelled, chosen)) <= 1:
            break
        path, written = path * _probability(token["logprob"]), chosen
    total = math.fsum(mass.values())
    if total <= 0:
        return None
    return {label: share / total for label, share in mass.items()}, max(0.0, 1.0 - total)


def _alternatives(token: dict[str, Any]) -> dict[str, float]:
    listed = {other["token"]: _probability(other["logprob"]) for other in token.get("top_logprobs") or []}
    return {token["token"]: _probability(token["logprob"])} | listed


def _probability(logprob: Any) -> float:
    """Return a probability; the API's -9999 for "outside the top k" becomes 0, and so does what is no number."""
    is_number = isinstance(logprob, int | float) and not math.isnan(logprob)
    return math.exp(min(logprob, 0.0)) if is_number else 0.0


def _owners(spelled: dict[str, str], written: str) -> list[str]:
    if not written:
        return list(spelled)
    return [label for label, full in spelled.items() if full.startswith(written) or written.startswith(full)]


def entropy_nats(distribution: dict[str, float]) -> float:
    """Return the entropy of a distribution, in nats, 0 to ln(labels)."""
    return max(0.0, -math.fsum(p * math.log(p) for p in distribution.values() if p > 0))
