"""Answers: a label with its distribution, the tokens that say it, and the JSON of both APIs around them."""

import json
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

from loopback.faults import fraction

CREATED = 1_790_000_000
OUTSIDE = -9999.0  # what real endpoints give a token outside the candidates
# share of the label itself and of what is no label, by variant: from sure to nearly split
SHARES = [(top, off) for off in (0.001, 0.03) for top in (0.995, 0.97, 0.93, 0.88, 0.8, 0.72, 0.62, 0.55)]
FORCED = -1e-6
JUNK = (
    "The", " I", "Sorry", "neither", "?", "unknown", "N", "Based", " none", "As", "\n", "It", "maybe", "0", "~", "un",
    "both", "This", "other", " a", "ok",
)  # fmt: skip
WORDS = re.findall(
    r"\w+",
    "because the text names it plainly and says so twice although one part of it could also be taken another way"
    " which the guidelines treat as weaker than what comes first so this label fits best",
)
UNHEARD = "unheard-of"
REFUSED = "I'm sorry, but I can't help with that."


@dataclass(frozen=True)
class Form:
    """What an answer is made of: its fields in order, each (name, label | text | number | integer), and the labels."""

    fields: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Pick:
    """What an answer says: the likeliest label, how sure the model is, the label it gives, and the fault in it."""

    form: Form | None
    mode: int
    variant: int
    label: str
    fault: str | None = None


def form_of(schema: dict[str, Any] | None, system: str) -> Form | None:
    """Return the form a JSON schema asks for, else the one a prompt's list of labels does, else None."""
    properties = (schema or {}).get("properties") or {}
    named = next((name for name, part in properties.items() if isinstance(part, dict) and part.get("enum")), None)
    if named is not None:
        kinds = {name: {"number": "number", "integer": "integer"}.get(part.get("type"), "text")
                 for name, part in properties.items()}  # fmt: skip
        return Form(tuple((kinds | {named: "label"}).items()), tuple(sorted(map(str, properties[named]["enum"]))))
    listed = tuple(sorted(re.findall(r"^- ([^:\n]+): ", system, re.MULTILINE)))
    named = [name for name in ("reason", "label", "confidence") if name == "label" or f'"{name}"' in system]
    kinds = {"reason": "text", "label": "label", "confidence": "number"}
    return Form(tuple((name, kinds[name]) for name in named), listed) if listed else None


def pick(form: Form | None, seed: int, asked: str, sampled: str | None, fault: str | None) -> Pick:
    """Return what is answered to a text: the likeliest label, or one drawn from the distribution where `sampled` says."""
    if form is None:
        return Pick(None, 0, 0, "", fault)
    drawn = fraction(seed, asked)
    mode = int(drawn * len(form.labels))
    variant = int(drawn * 1e9) % len(SHARES)
    label = form.labels[mode]
    if sampled is not None:
        shares = distribution(form.labels, mode, variant)
        until = fraction(seed, asked, sampled) * math.fsum(shares.values())
        label = next(
            (name for name, sum_ in zip(shares, accumulate(shares.values()), strict=True) if until < sum_), label
        )
    return Pick(form, mode, variant, UNHEARD if fault == "wrong_label" else label, fault)


@lru_cache(4096)
def distribution(labels: tuple[str, ...], mode: int, variant: int) -> dict[str, float]:
    """Return each label's probability; what they lack to 1 is off-label."""
    top, off = SHARES[variant]
    others = [
        labels[(mode + 1 + (place + variant) % (len(labels) - 1)) % len(labels)] for place in range(len(labels) - 1)
    ]
    weights = [2.0**-place for place in range(len(others))]
    rest = {label: (1 - top) * weight / sum(weights) for label, weight in zip(others, weights, strict=True)}
    shares = {labels[mode]: top if others else 1.0} | rest
    return {label: shares[label] * (1 - off) for label in labels}


def pieces(text: str) -> list[str]:
    """Return a text's tokens: up to six letters with the mark before them."""
    return re.findall(r"[\W_]?[^\W_]{1,6}|[\W_]", text)


def tokens(said: Pick) -> list[tuple[str, dict[str, float]]]:
    """Return the answer's tokens, each with the probabilities of it and of what might have stood there."""
    written = []
    last = len(said.form.fields) - 1
    for place, (name, kind) in enumerate(said.form.fields):
        opened, quoted = '{"' if place == 0 else "", '"' if kind in ("label", "text") else ""
        ends = quoted + ("}" if place == last else ',"')
        written += [(token, {}) for token in (opened, *pieces(name), '":' + quoted) if token]
        if kind == "label":
            written += _label_tokens(said, ends)
        elif kind == "text":
            written += [*_reason_tokens(said.variant), (ends, {})]
        else:
            sure = SHARES[said.variant][0]
            written += [
                (token, {token: 0.6, "5": 0.2})
                for token in pieces(str(round(sure * 100)) if kind == "integer" else f"{sure:.2f}")
            ]
            written += [(ends, {})]
    return written


def _label_tokens(said: Pick, ends: str) -> list[tuple[str, dict[str, float]]]:
    """Return the label's tokens: at each, the labels that begin as written so far share what is left."""
    shares = distribution(said.form.labels, said.mode, said.variant)
    spelled = {label: (*pieces(_escaped(label)), ends) for label in shares}
    chosen = spelled.get(said.label) or (*pieces(_escaped(said.label)), ends)
    written = []
    for place, token in enumerate(chosen):
        alive = {label: path for label, path in spelled.items() if path[:place] == chosen[:place]}
        total = math.fsum(shares[label] for label in alive) if place else 1.0
        found: dict[str, float] = {}
        for label, path in alive.items():
            found[path[place]] = found.get(path[place], 0.0) + shares[label] / total
        if place == 0:  # off-label, halving from token to token
            off, free = 1 - math.fsum(shares.values()), [junk for junk in JUNK if junk not in found][:4]
            found |= {junk: off * share for junk, share in zip(free, (0.5, 0.25, 0.125, 0.125), strict=True)}
        written.append((token, found))
    return written


def _reason_tokens(variant: int) -> list[tuple[str, dict[str, float]]]:
    """Return a sentence of two dozen tokens and more, some surer than others."""
    words = [" " + word if place else word.capitalize() for place, word in enumerate(WORDS[: 24 + variant % 8])]
    sure = [0.35 + 0.6 * fraction(variant, place) for place in range(len(words))]
    return [
        (word, {word: p, " it": (1 - p) * 0.6, " some": (1 - p) * 0.3}) for word, p in zip(words, sure, strict=True)
    ]


def _escaped(label: str) -> str:
    return json.dumps(label, ensure_ascii=False)[1:-1]


def _listed(token: str, found: dict[str, float], top: int) -> dict[str, Any]:
    """Return a token as the API lists it, with as many alternatives as were asked for."""
    logs = {text: math.log(p) if p > 0 else OUTSIDE for text, p in found.items()} or {token: FORCED}
    own = logs.get(token, OUTSIDE)
    ranked = sorted(logs.items(), key=lambda pair: -pair[1])[:top]
    fill = [(junk, OUTSIDE) for junk in JUNK if junk not in logs][: max(0, top - len(ranked))]
    return _one(token, own) | {"top_logprobs": [_one(*pair) for pair in ranked + fill]}


def _one(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": round(logprob, 8), "bytes": list(token.encode(errors="replace"))}


STRANGE = (
    lambda listed: {"tokens": [token["token"] for token in listed], "token_logprobs": [-0.1] * len(listed)},
    lambda listed: {"content": [{"token": token["token"]} for token in listed]},
    lambda listed: {"content": [token["token"] for token in listed], "refusal": None},
    lambda listed: {"content": [token | {"logprob": None, "top_logprobs": None} for token in listed]},
)  # none of these is what the API's reference says


@lru_cache(1024)
def said(api: str, pick: Pick, top: int | None, cap: int | None) -> tuple[bytes, int]:
    """Return the part of a body that answers, and its tokens; `top` None without logprobs, `cap` the most tokens."""
    fault = pick.fault
    written = _written(pick)
    finish = "stop"
    if fault in ("length", "content_filter"):
        written, finish = written[: max(1, len(written) // 2)], fault
    if cap is not None and len(written) > cap:
        written, finish = written[:cap], "length"
    text = "".join(token for token, _ in written)
    content = None if fault in ("empty", "refusal") else text
    refused = text if fault == "refusal" else None
    listed = (
        [_listed(token, found, top) for token, found in written] if top is not None and content is not None else None
    )
    if fault == "null_logprobs":
        listed = None
    part = _chat if api == "chat" else _response
    return part(content, refused, listed, finish, pick), 0 if fault == "empty" else len(written)


def _written(pick: Pick) -> list[tuple[str, dict[str, float]]]:
    """Return the tokens of an answer: of a label, of a refusal, of prose, or of a greeting where no label is asked for."""
    if pick.fault == "refusal":
        return [(token, {}) for token in pieces(REFUSED)]
    if pick.fault == "prose":
        return [(token, {}) for token in pieces(f"I would say that this is {pick.label}.")]
    if pick.form is None:
        return [(token, {}) for token in pieces("Hello, how can I help?")]
    return tokens(pick)


def _chat(content: str | None, refused: str | None, listed: list | None, finish: str, pick: Pick) -> bytes:
    logprobs: Any = None if listed is None else {"content": listed, "refusal": None}
    if listed and pick.fault == "strange_logprobs":
        logprobs = STRANGE[pick.variant % len(STRANGE)](listed)
    message = {"role": "assistant", "content": content, "refusal": refused, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": finish}
    return b'"choices":[' + _dumped(choice) + b"]"


def _response(content: str | None, refused: str | None, listed: list | None, finish: str, pick: Pick) -> bytes:
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(finish)
    part: dict[str, Any] = {"type": "output_text", "text": content, "annotations": [], "logprobs": listed or []}
    if listed and pick.fault == "strange_logprobs":
        strange = STRANGE[pick.variant % len(STRANGE)](listed)
        part["logprobs"] = strange.get("content", strange)
    if refused is not None:
        part = {"type": "refusal", "refusal": refused}
    status = "incomplete" if reason else "completed"
    message = {"id": "msg_0", "type": "message", "role": "assistant", "status": status, "content": [part]}
    output = [] if content is None and refused is None else [message]
    whole = {"status": status, "error": None, "incomplete_details": reason and {"reason": reason}, "output": output}
    return _dumped(whole)[1:-1]


def _dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def body(api: str, part: bytes, key: str, model: str, tier: str, seed: int, usage: Any) -> bytes:
    """Return a whole answer around what it says; `usage` is a loopback.bills.Usage."""
    if api == "chat":
        head = (
            f'{{"id":"chatcmpl-{key[:24]}","object":"chat.completion","created":{CREATED},"model":{json.dumps(model)},'
            f'"service_tier":"{tier}","system_fingerprint":"fp_{seed:08x}",'
        )
        tail = (
            f',"usage":{{"prompt_tokens":{usage.prompt},"completion_tokens":{usage.completion},'
            f'"total_tokens":{usage.prompt + usage.completion},'
            f'"prompt_tokens_details":{{"cached_tokens":{usage.cached},"audio_tokens":0}},'
            '"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}}'
        )
    else:
        head = (
            f'{{"id":"resp_{key[:24]}","object":"response","created_at":{CREATED},"model":{json.dumps(model)},'
            f'"service_tier":"{tier}","parallel_tool_calls":true,"tool_choice":"auto","tools":[],'
        )
        tail = (
            f',"usage":{{"input_tokens":{usage.prompt},"output_tokens":{usage.completion},'
            f'"total_tokens":{usage.prompt + usage.completion},'
            f'"input_tokens_details":{{"cached_tokens":{usage.cached}}},"output_tokens_details":{{"reasoning_tokens":0}}}}}}'
        )
    return head.encode() + part + tail.encode()
