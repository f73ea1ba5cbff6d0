"""A reply's output-entropy profile: how unsure the model was at each of its tokens, as eleven statistics.

After the Entropy Sentinel (arXiv 2601.09001), with one difference: what the endpoint does not list of a token's
alternatives is counted, in one bucket, where the authors' code drops it.
"""

import math
from typing import Any

import numpy as np

from tasks.annotator.distribution import OUTSIDE, Token, alternatives, listed, shares, spelling, value_tokens

TOP = 20  # alternatives of a token that count: the most that OpenAI lists, and what the paper uses
# A bare label in JSON is 3 to 8 tokens, most of them forced, and a profile of those says nothing that the label's
# distribution does not say better. The shortest reason, one clause, takes it to some 20. With 16 tokens the 10 % and
# 90 % quantiles lie between tokens and are not the ends.
MIN_TOKENS = 16
DIGITS = 9  # of a stored entropy; the trace is the same before and after storing


def profile(tokens: list[Token]) -> dict[str, float] | None:
    """Return the statistics of a reply's trace, or None for a reply too short to have a profile."""
    if len(tokens) < MIN_TOKENS or len(entropies := trace(tokens)) < MIN_TOKENS:
        return None
    return statistics(entropies)


def trace(tokens: list[Token]) -> list[float]:
    """Return the entropy at each token with known alternatives, in nats; reads tokens as they came and as stored."""
    known = (token["entropy_nats"] if "entropy_nats" in token else (_entropy(token) or [None])[0] for token in tokens)
    return [entropy for entropy in known if entropy is not None]


def statistics(entropies: list[float]) -> dict[str, float]:
    """Return the eleven statistics (schemas.annotation.EntropyProfile) of one or more entropies."""
    n = len(entropies)
    mean = math.fsum(entropies) / n
    off = [entropy - mean for entropy in entropies]
    std = math.sqrt(math.fsum(x * x for x in off) / (n - 1)) if n > 1 else 0.0
    quantiles = np.quantile(entropies, [0.1, 0.25, 0.5, 0.75, 0.9]).tolist()
    return {
        "mean": mean,
        "std": std,
        "max": max(entropies),
        **dict(zip(("q10", "q25", "q50", "q75", "q90"), quantiles, strict=True)),
        "skewness": math.fsum(x**3 for x in off) / n / (std**3 + 1e-8),
        "kurtosis": math.fsum(x**4 for x in off) / n / (std**4 + 1e-8),
        "sum": math.fsum(entropies),
    }


def compact(tokens: Any) -> list[Token]:
    """Return what a reply keeps of its tokens, some 100 bytes each: the label's with their alternatives.

    Of the others of a reply long enough to have a profile their entropy is kept, and the share of what was not listed.
    Empty where these are no tokens.
    """
    if not isinstance(tokens, list) or not all(isinstance(token, dict) for token in tokens):
        return []
    of_label, others = value_tokens(tokens), _kept if len(tokens) < MIN_TOKENS else _reduced
    return [_whole(token) if place in of_label else others(token) for place, token in enumerate(tokens)]


def _whole(token: Token) -> Token:
    return _kept(token) | {"top_logprobs": [_kept(other) for other in listed(token)]}


def _reduced(token: Token) -> Token:
    found = _entropy(token)
    return _kept(token) | (dict(zip(("entropy_nats", "tail_share"), found, strict=True)) if found else {})


def _kept(token: Token) -> Token:
    """Return a token's text and log-probability, and its bytes where they are not those of the text."""
    text, logprob = token.get("token"), token.get("logprob")
    text = text if isinstance(text, str) else ""
    kept = {"token": text, "logprob": logprob}
    if not (type(logprob) is float and OUTSIDE <= logprob <= 0):
        is_number = isinstance(logprob, int | float) and not isinstance(logprob, bool) and logprob == logprob
        kept["logprob"] = min(max(logprob, OUTSIDE), 0.0) if is_number else None
    if text.isascii() and "bytes" not in token:
        return kept
    kept["token"] = text = text.encode(errors="replace").decode()
    return kept if (spelled := spelling(token)) == text.encode() else kept | {"bytes": list(spelled)}


def _entropy(token: Token) -> tuple[float, float] | None:
    """Return the entropy of a token's alternatives and the share of the unlisted; None where none is listed."""
    if not (ways := alternatives(token)):
        return None
    found = shares(ways)
    if len(found) > TOP:
        found = sorted(found, reverse=True)[:TOP]
    rest = max(0.0, 1.0 - math.fsum(found))
    entropy = -math.fsum(share * math.log(share) for share in (*found, rest) if share > 0)
    return round(max(0.0, entropy), DIGITS), round(rest, DIGITS)
