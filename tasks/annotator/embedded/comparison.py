"""The embedded model's comparison of two answers: the one whose meaning is nearer to the prompt's. It is no judge.

Nearness is all that vectors of sentences can tell: whether an answer keeps to its prompt, not whether it is right,
complete or well put. It knows no place: exchanged answers get exchanged probabilities.
"""

import numpy as np

from tasks.annotator.embedded.classifier import TEMPERATURE, softmax
from tasks.annotator.embedded.prompt import Question

VERSION = "1"  # goes up with any change that can change an answer
PLACES = ("first", "second")


def is_comparison(question: Question) -> bool:
    """Return whether a question is which of two answers in its context is the better one; of labels a third is a tie."""
    return {*PLACES} <= {*question.labels} and len(question.labels) <= 3 and {*PLACES} <= {*dict(question.turn.context)}


def texts(question: Question) -> list[str]:
    """Return every text whose vector the answer needs; an empty answer has none. Examples teach it nothing."""
    answers = dict(question.turn.context)
    return [question.turn.text, *(answers[place] for place in PLACES if answers[place])]


def distribution(question: Question, vectors: dict[str, np.ndarray]) -> np.ndarray:
    """Return the probability of each label, in the order of the question's labels; a tie stands halfway between both.

    An empty answer is at a right angle to every prompt.
    """
    prompt, answers = vectors[question.turn.text], dict(question.turn.context)
    near = {place: float(vectors[answers[place]] @ prompt) if answers[place] else 0.0 for place in PLACES}
    halfway = sum(near.values()) / 2
    return softmax(np.array([near.get(label, halfway) for label in question.labels]) / TEMPERATURE)
