"""The embedded model's judgement: vectors of texts become a probability for each label.

Constants were set on 86 hand-written pairs of a review and an aspect (hotels, laptops, films, courses, doctors, apps)
and on 33 hand-written sentences on and off a topic; those of learning from examples, which are the same for every task,
on people's labels of four tasks without a context: politeness, climate stance, hate and offence.
"""

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tasks.annotator.embedded.prompt import Question, Turn

VERSION = "1"  # goes up with any change that can change an answer
TEMPERATURE = 0.05  # between cosines, of a text to the labels' meanings
ATTENTION = 0.1  # between cosines, of the clauses to the context
# The cosine at which a text is as likely as not to be relevant, and how slowly that turns around it:
NEAR_TOPIC, TOPIC_DOUBT = 0.25, 0.055  # of its nearest clause to the context, a short phrase
NEAR_MEANING, MEANING_DOUBT = 0.12, 0.03  # where there is no context, of the whole to the nearest meaning, a sentence
TRUST = 0.5  # the share of its prior log-odds kept beside examples: zero-shot is over-confident on the hard tasks
REACH = 0.7  # of an example, in cosine: far enough that a task's base rates are learnt from distant ones too
RATE, STEPS = 0.3, 5  # of learning from eight examples; stopped early, so that few examples cannot make it certain
FLOOR = 1e-4  # least probability of any label before examples are seen

CLAUSE = re.compile(r"[.!?;:,\n…—()]+|\s-+\s|\b(?:but|however|although|though|while|yet|except)\b", re.I)
# A label that says there is nothing to judge resembles no text: it is recognised by its words, and scored by absence.
NOTHING_NAMED = re.compile(
    r"(unknown|none|other|n/?a|absent|irrelevant|unrelated|not[ _](mentioned|applicable|stated))", re.I
)
NOTHING_MEANT = re.compile(
    r"nothing about|(say|mention|state|contain)s? nothing|no mention|(not|n't|never|without) mention"
    r"|not (discussed|addressed|stated|applicable)|none of (the|these)|\b(irrelevant|unrelated)\b",
    re.I,
)


class Look(NamedTuple):
    """What of one turn is encoded."""

    parts: tuple[str, ...]  # the text, and its clauses where there is a context to choose between them
    topic: str | None  # the part of the context that the labels ask about
    meanings: tuple[str, ...]
    is_nothing: tuple[bool, ...]  # which labels mean that there is nothing to judge


def texts(question: Question) -> list[str]:
    """Return every text whose vector the answer needs."""
    looks = [look(turn, question.labels, question.meanings) for turn in turns(question)]
    return [text for seen in looks for text in (*seen.parts, *seen.meanings, *([seen.topic] if seen.topic else []))]


def distribution(question: Question, vectors: dict[str, np.ndarray]) -> np.ndarray:
    """Return the probability of each label, in the order of the question's labels."""
    looks = [look(turn, question.labels, question.meanings) for turn in turns(question)]
    seen, prior = zip(*(read(one, vectors) for one in looks), strict=True)
    if not question.examples:
        return prior[0]
    return learnt(np.array(seen), np.array(prior), np.array([label for _, label in question.examples]))


def turns(question: Question) -> list[Turn]:
    return [question.turn, *(turn for turn, _ in question.examples)]


@lru_cache(1 << 14)
def look(turn: Turn, labels: tuple, meanings: tuple[str, ...]) -> Look:
    """Return what to encode of a turn: `this aspect` in a meaning is read as the aspect the context names."""
    topic, meant = [], list(meanings)
    for key, value in turn.context:
        named = re.compile(rf"\b(?:this|the) {re.escape(key.replace('_', ' '))}\b", re.I)
        if any(named.search(meaning) for meaning in meanings):
            topic.append(value)
            meant = [named.sub(lambda _, value=value: f"the {value}", meaning) for meaning in meant]
    topic = " ".join(topic or (value for _, value in turn.context)).strip() or None
    return Look(
        parts=(turn.text, *(clauses(turn.text) if topic else ())),
        topic=topic,
        meanings=tuple(meant),
        is_nothing=tuple(is_nothing(str(label), meaning) for label, meaning in zip(labels, meanings, strict=True)),
    )


def clauses(text: str) -> list[str]:
    found = [clause.strip() for clause in CLAUSE.split(text)]
    found = [clause for clause in found if len(clause) > 2]
    return found if len(found) > 1 else []


def is_nothing(label: str, meaning: str) -> bool:
    return bool(NOTHING_NAMED.fullmatch(label) or NOTHING_MEANT.search(meaning))


def read(seen: Look, vectors: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return what one turn is about, as a unit vector, and the probability of each label before any example."""
    about, nearest = attended(seen, vectors)
    cosine = np.array([vectors[meaning] for meaning in seen.meanings]) @ about
    nothing = np.array(seen.is_nothing)
    if nothing.all() or not nothing.any():
        return about, softmax(cosine / TEMPERATURE)
    if nearest is None:
        absent = sigmoid((NEAR_MEANING - cosine[~nothing].max()) / MEANING_DOUBT)
    else:
        absent = sigmoid((NEAR_TOPIC - nearest) / TOPIC_DOUBT)
    chance = np.empty(len(nothing))
    chance[nothing] = absent * softmax(cosine[nothing] / TEMPERATURE)
    chance[~nothing] = (1 - absent) * softmax(cosine[~nothing] / TEMPERATURE)
    return about, chance


def attended(seen: Look, vectors: dict[str, np.ndarray]) -> tuple[np.ndarray, float | None]:
    """Return the mean of the parts, each weighed by its nearness to the topic, and the nearest one's cosine to it."""
    parts = np.array([vectors[part] for part in seen.parts], np.float64)
    if seen.topic is None:
        return parts[0], None
    cosine = parts @ vectors[seen.topic]
    mean = softmax(cosine / ATTENTION) @ parts
    return mean / np.sqrt(mean @ mean), float(cosine.max())


def learnt(seen: np.ndarray, prior: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the first row's probabilities, learnt from the labels of the other rows.

    Kernel logistic regression on the examples, begun at the prior and stopped after a few steps of gradient descent.
    """
    kernel = np.exp((seen @ seen[1:].T - 1) / REACH)
    truth = np.eye(prior.shape[1])[labels]
    rate = RATE * min(1, 8 / len(labels))  # more examples pull harder together
    logit = TRUST * np.log(np.maximum(prior, FLOOR))
    for _ in range(STEPS):
        logit = logit + rate * kernel @ (truth - softmax(logit[1:]))
    return softmax(logit[0])


def sigmoid(logit: float) -> float:
    return 1 / (1 + np.exp(-logit))


def softmax(logit: np.ndarray) -> np.ndarray:
    power = np.exp(logit - logit.max(axis=-1, keepdims=True))
    return power / power.sum(axis=-1, keepdims=True)
