"""A language model's answer: what it is asked, and what its replies are read as."""

import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from schemas.curation import LLMAnnotator
from tasks.annotator.distribution import entropy_nats, from_logprobs, from_samples, from_stated
from tasks.annotator.profile import profile

MAX_TOP_LOGPROBS = 20
# Reasons that set an item aside: it was not looked at, or not to the end. With any other reason the model abstains.
QUARANTINED = frozenset({"content_filter", "context_length", "length"})
REMINDER = "Answer with the JSON object and nothing else, and spell the label as it is spelled above."
_FENCED = re.compile(r"\s*```(?:json)?\s*(\{.*\})\s*```\s*", re.S)  # how models write JSON where no schema binds them


def request(
    annotator: LLMAnnotator, messages: list[dict[str, str]], answer_format: dict[str, Any], sample: int = 0
) -> dict[str, Any]:
    """Return the body of one request; with the base URL it is all that decides the reply."""
    temperature = annotator.temperature
    if temperature is None:
        temperature = 0 if annotator.samples == 1 else 1
    body = {
        "model": annotator.model,
        "messages": messages,
        "response_format": answer_format,
        "temperature": float(temperature),
        "seed": sample,
        "max_completion_tokens": annotator.max_answer_tokens,
        "logprobs": True,
        "top_logprobs": MAX_TOP_LOGPROBS,
        "store": False,  # hosted endpoints keep what they are sent for weeks unless told not to
    }
    return body | ({"service_tier": annotator.service_tier} if annotator.service_tier else {})


@dataclass(frozen=True)
class Answer:
    """What a model says of an item: a label with its distribution, or the reason there is none."""

    label: str | None = None
    distribution: dict[str, float] | None = None
    source: str = "none"
    off_label_share: float | None = None
    profile: dict[str, float] | None = None
    reason: str | None = None

    def renamed(self, names: dict[str, str]) -> "Answer":
        """Return the answer with its labels called otherwise; one that is not named stays as it is."""
        shares = self.distribution and {names.get(label, label): share for label, share in self.distribution.items()}
        return replace(self, label=names.get(self.label, self.label), distribution=shares)

    @property
    def columns(self) -> dict[str, Any]:
        """Return the answer as columns of an annotation."""
        listed = [{"label": label, "probability": share} for label, share in (self.distribution or {}).items()]
        return {
            "label": self.label,
            "distribution": listed or None,
            "distribution_source": self.source,
            "off_label_share": self.off_label_share,
            "entropy_nats": entropy_nats(self.distribution) if self.distribution else None,
            "profile": self.profile,
            "reason": self.reason,
        }


def read(reply: dict[str, Any], labels: list[str]) -> Answer:
    """Return what a stored reply says; a refusal, a cut or an unknown label is no label, with its reason.

    The distribution is of the tokens' log-probabilities, or else of the confidence that was stated.
    """
    if reply["refusal"]:
        return Answer(reason="refusal")
    if reply["finish_reason"] != "stop":
        return Answer(reason=reply["finish_reason"])
    said = _object(reply["content"] or "")
    tokens = json.loads(reply["logprobs"] or "[]")
    shape = profile(tokens)
    if "label" not in said:
        return Answer(reason="not_json", profile=shape)
    if (label := said["label"]) not in labels:
        return Answer(reason="not_a_label", profile=shape)
    if found := from_logprobs(tokens, labels):
        return Answer(label, found[0], "logprobs", found[1], shape)
    if (confidence := _number(said.get("confidence"))) is not None:
        return Answer(label, from_stated(label, confidence, labels), "verbalised", profile=shape)
    return Answer(label, profile=shape)


def settled(answers: list[Answer], labels: list[str]) -> Answer:
    """Return what the samples say together: the most frequent label, of equals the more probable, then the first.

    Where all that gave a label have a distribution of tokens, theirs is the mean: the marginal over samples. Else it
    is counted. Samples without a label have no vote; where none has one, the most frequent reason stands. The profile
    is that of the first sample with the label.
    """
    if len(answers) == 1:
        return answers[0]
    voting = [answer for answer in answers if answer.label is not None]
    if not voting:
        return Answer(reason=Counter(answer.reason for answer in answers).most_common(1)[0][0])
    is_whole = all(answer.source == "logprobs" for answer in voting)
    votes, mean = Counter(answer.label for answer in voting), _mean(voting, labels) if is_whole else {}
    label = max(labels, key=lambda one: (votes[one], mean.get(one, 0.0), -labels.index(one)))
    return Answer(
        label,
        mean if is_whole else from_samples([answer.label for answer in voting], labels),
        "logprobs" if is_whole else "samples",
        sum(answer.off_label_share for answer in voting) / len(voting) if is_whole else None,
        next(answer.profile for answer in voting if answer.label == label),
    )


def again(body: dict[str, Any], answer: Answer) -> dict[str, Any] | None:
    """Return the body of the one request more that an answer is worth: with twice the room, or a reminder; else None.

    What the model said is not sent back: it may be what an item told it to say.
    """
    if answer.reason == "length":
        cap = next(key for key in ("max_completion_tokens", "max_tokens") if key in body)
        return body | {cap: 2 * body[cap]}
    if answer.reason in ("not_json", "not_a_label"):
        first, *rest = body["messages"]
        return body | {"messages": [first | {"content": f"{first['content']}\n{REMINDER}"}, *rest]}
    return None


def _mean(voting: list[Answer], labels: list[str]) -> dict[str, float]:
    return {label: sum(answer.distribution[label] for answer in voting) / len(voting) for label in labels}


def _object(content: str) -> dict[str, Any]:
    """Return the JSON object that an answer is; an empty one where it is none."""
    fenced = _FENCED.fullmatch(content)
    try:
        said = json.loads(fenced[1] if fenced else content)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _number(stated: Any) -> float | None:
    is_number = isinstance(stated, int | float) and not isinstance(stated, bool) and stated == stated
    return float(min(100, max(0, stated))) if is_number else None
