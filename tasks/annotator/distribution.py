"""An answer becomes a distribution over the labels: from its tokens, from several samples, or from a stated number."""

import json
import math
import re
from collections import Counter
from contextlib import suppress
from typing import Any

Token = dict[str, Any]
Value = tuple[int, int, int]

OUTSIDE = -9999.0  # what the API writes as log-probability of a token outside the top k

_PART = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[{}\[\]]', re.S)
_BETWEEN = re.compile(rb"\s*:\s*")
_ESCAPED_BYTES = re.compile(r"(?:bytes:)?((?:\\x[0-9a-fA-F]{2})+)")
_SPELLED = re.compile(rb'(?:\\u[0-9a-fA-F]{4})+|\\["\\/bfnrt]|[^"\\]+')


def from_logprobs(tokens: list[Token], labels: list[str]) -> tuple[dict[str, float], float] | None:
    """Return the probability of each label, summing to 1, and the share given to anything else; None if none is seen.

    Walks the tokens of the label's value. An alternative that can only become one label gives that label its
    probability; one that several labels share is followed where the model chose it, and counted as off-label where
    it did not. Tokens outside the returned top k are off-label too.
    """
    pieces = [spelling(token) for token in tokens]
    written = b"".join(pieces)
    if not (found := value(written)):
        return None
    key_end, start, _ = found
    mass, path, end = dict.fromkeys(labels, 0.0), 1.0, 0
    for token, piece in zip(tokens, pieces, strict=True):
        begin, end = end, end + len(piece)
        if end <= start:
            continue
        possible = _possible(token, piece)
        for other, share in possible.items():
            said = _value_begun(written, begin, other, key_end, start)
            if said is not None and len(owners := _owners(said, labels)) == 1:
                mass[owners[0]] += path * share
        if len(_owners(written[start:end], labels)) <= 1:
            break
        path *= possible[piece]
    total = math.fsum(mass.values())
    if total <= 0:
        return None
    return {label: share / total for label, share in mass.items()}, min(1.0, max(0.0, 1.0 - total))


def from_samples(given: list[str], labels: list[str]) -> dict[str, float]:
    """Return (n + ½) / (N + K/2) of each of K labels given n times in N samples.

    The posterior mean under Jeffreys' prior for a multinomial, Dirichlet(½, …, ½) (Jeffreys, 1946): k samples that
    agree do not make a label certain.
    """
    counts = Counter(given)
    return {label: (counts[label] + 0.5) / (len(given) + len(labels) / 2) for label in labels}


def from_stated(label: str, confidence: float, labels: list[str]) -> dict[str, float]:
    """Return the stated confidence (0–100, clipped) as the label's probability, what is left spread evenly."""
    share = min(1.0, max(0.0, confidence / 100))
    return {other: share if other == label else (1 - share) / (len(labels) - 1) for other in labels}


def entropy_nats(distribution: dict[str, float]) -> float:
    """Return the entropy of a distribution, in nats, 0 to ln(labels)."""
    return max(0.0, -math.fsum(p * math.log(p) for p in distribution.values() if p > 0))


def value_tokens(tokens: list[Token]) -> range:
    """Return which tokens hold the value of `label`, its closing quote included; none where there is no such value."""
    pieces = [spelling(token) for token in tokens]
    found, held, end = value(b"".join(pieces)), [], 0
    for place, piece in enumerate(pieces):
        begin, end = end, end + len(piece)
        if found and end > found[1] and begin < found[2]:
            held.append(place)
    return range(held[0], held[-1] + 1) if held else range(0)


def value(written: bytes) -> Value | None:
    """Return where, in an answer, the key `label` ends and its text begins and ends; the last one, as JSON has it.

    Only a key of the answer's own object counts: a text, or an object inside, may hold the same letters.
    """
    found, depth, key = None, 0, None
    for part in _PART.finditer(written):
        said = part[0]
        if said[:1] != b'"':
            depth += 1 if said in b"{[" else -1
        elif depth == 1 and key and _BETWEEN.fullmatch(written, key.end(), part.start()):
            found, key = (key.end(), part.start() + 1, part.end()), None
        elif depth == 1:
            key = part if said == b'"label"' else None
    return found


def spelling(token: Token) -> bytes:
    """Return a token's bytes: a character may be split over several tokens, which no text can say."""
    listed, text = token.get("bytes"), token.get("token")
    if isinstance(listed, list):
        with suppress(TypeError, ValueError):
            return bytes(listed)
    if not isinstance(text, str):
        return b""
    if "\\x" in text and (escaped := _ESCAPED_BYTES.fullmatch(text)):  # OpenAI's way to write part of a character
        return bytes.fromhex(escaped[1].replace("\\x", ""))
    return text.encode(errors="replace")


def listed(token: Token) -> list[Token]:
    """Return what an endpoint lists as possible at a token's place."""
    found = token.get("top_logprobs")
    return [other for other in found if isinstance(other, dict)] if isinstance(found, list) else []


def alternatives(token: Token) -> list[Token]:
    """Return what is listed at a token's place, and the token itself where it is not among it; empty without a list."""
    found, text = listed(token), token.get("token")
    if not found or any(other.get("token") == text for other in found):
        return found
    chosen = spelling(token)
    return found if any(spelling(other) == chosen for other in found) else [*found, token]


def shares(ways: list[Token]) -> list[float]:
    """Return the probabilities of alternatives, which sum to at most 1.

    A forced token has probability 1, whatever else is listed beside it: what the schema forbids is no alternative.
    """
    found = [probability(way.get("logprob")) for way in ways]
    if 1.0 in found:
        first = found.index(1.0)
        return [float(place == first) for place in range(len(found))]
    total = math.fsum(found)
    return [share / total for share in found] if total > 1 else found  # rounding makes it a little more at times


def probability(logprob: Any) -> float:
    """Return a probability; that of a token outside the top k is 0, and so is what is no number."""
    if type(logprob) not in (float, int) or logprob != logprob:  # a bool is no number, and a float may be none
        return 0.0
    return 1.0 if logprob >= 0 else math.exp(max(logprob, OUTSIDE))


def _possible(token: Token, piece: bytes) -> dict[bytes, float]:
    ways = alternatives(token) or [token]
    found = dict.fromkeys([piece], 0.0)
    for way, share in zip(ways, shares(ways), strict=True):
        found[spelling(way)] = found.get(spelling(way), 0.0) + share
    return found


def _value_begun(written: bytes, begin: int, other: bytes, key_end: int, start: int) -> bytes | None:
    """Return the label's text as it stands once `other` is taken where a token begins; None where it is not begun."""
    if begin >= start:
        return written[start:begin] + other
    after_key = written[key_end:begin] + other
    if begin < key_end:  # the token holds the end of the key too
        key = written[begin:key_end]
        if not other.startswith(key):
            return None
        after_key = other[len(key) :]
    between, quote, said = after_key.partition(b'"')
    return said if quote and _BETWEEN.fullmatch(between) else None


def _owners(said: bytes, labels: list[str]) -> list[str]:
    """Return the labels that a text, spelled as JSON and perhaps not finished, is or may become."""
    read, at = b"", 0
    while part := _SPELLED.match(said, at):
        read, at = read + _unescaped(part[0]), part.end()
    if said[at : at + 1] == b'"':
        return [label for label in labels if label.encode() == read]
    return [label for label in labels if label.encode().startswith(read)]  # an escape begun says nothing yet


def _unescaped(spelled: bytes) -> bytes:
    if spelled[:1] != b"\\":
        return spelled
    return json.loads(b'"' + spelled + b'"').encode(errors="ignore")  # half a surrogate pair says nothing yet
