"""How much of what an annotator says is about the item: judged answer by answer, by what the others say of it."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr

from tasks.posterior import Posterior
from tasks.scorecard.answers import Answers, Model, Others, blocks, others
from tasks.scorecard.significance import holm

Z_95, Z_99 = 1.959963984540054, 2.5758293035489004
TELLING = 1e-9  # a score of less is rounding: the others' labels do not tell the annotator's items apart
USEFUL = 0.5  # of an ordinary annotator's skill: who surely has less, and perhaps none, guesses


class Judged(NamedTuple):
    """Answers on items that others answered too, judged by those others; in the order of the answers."""

    annotator: np.ndarray
    """Place of the annotator among the annotators."""
    labelled_at: np.ndarray
    """Epoch seconds; NaN where not known."""
    right: np.ndarray
    """Probability that the answer is right."""
    beyond: np.ndarray
    """The same, less the mean of the others' answers on this item: what is left is not the item's."""

    def where(self, rows: np.ndarray) -> "Judged":
        """Return the chosen answers."""
        return Judged(*(column[rows] for column in self))


NOTHING = Judged(np.zeros(0, dtype=np.int32), *np.zeros((3, 0)))


class Skill(NamedTuple):
    """One entry per annotator; NaN where nothing can be said."""

    answered: np.ndarray
    """Answers on items that others answered too."""
    known: np.ndarray
    """Answers' worth of what the others make certain of the annotator's items."""
    value: np.ndarray
    """0 for one who guesses whatever the item, 1 for an ordinary annotator of this crowd."""
    low: np.ndarray
    """Lower end of the 95 % interval."""
    high: np.ndarray
    """Upper end of the 95 % interval."""
    p: np.ndarray
    """Of so little skill in one who has half an ordinary annotator's, adjusted for the number of annotators."""
    is_guess: np.ndarray
    """Whether the labels cannot be told from guesses, at 99 %."""


def informativeness(confusion: np.ndarray) -> np.ndarray:
    """Return how far each confusion matrix is from one whose rows are all alike: 0 a guesser, 1 never wrong.

    Raykar and Yu 2012: 1 / (K (K - 1)) of the squared distances between the rows, each pair once.
    """
    kinds = confusion.shape[1]
    if kinds < 2:
        return np.full(len(confusion), np.nan)
    return ((confusion - confusion.mean(axis=1, keepdims=True)) ** 2).sum(axis=(1, 2)) / (kinds - 1)


def skill(said: Answers, crowd: Model, found: Posterior) -> tuple[Skill, Judged]:
    """Return each annotator's skill, and the answers it rests on."""
    people, kinds = crowd.confusion.shape[:2]
    expected, given = _means(said, crowd, people, kinds)
    sums, judged = np.zeros((5, people)), [NOTHING]
    for block, seen in _shared(said, crowd):
        judged.append(_judged(block, seen))
        for total, addend in zip(sums, _moments(block, seen, expected, given, _entropy(found.prior)), strict=True):
            total += np.bincount(block.annotator, addend, people)
    whole = Judged(*map(np.concatenate, zip(*judged, strict=True)))
    return _tested(*sums, np.bincount(whole.annotator, minlength=people)), whole


def _shared(said: Answers, crowd: Model) -> Iterator[tuple[Answers, Others]]:
    """Return in blocks the answers on items with two answers or more, and what the others say of them."""
    sizes = np.diff(said.starts)
    is_shared = np.repeat(sizes > 1, sizes)
    columns = (column[is_shared] for column in said[:4])
    shared = Answers(*columns, np.append(0, np.cumsum(sizes[sizes > 1])))
    for block in blocks(shared, len(crowd.prior)):
        yield block, others(block, crowd)


def _means(said: Answers, crowd: Model, people: int, kinds: int) -> tuple[np.ndarray, np.ndarray]:
    """Return annotators × labels: mean probability expected on the annotator's items, and share the annotator gives."""
    expected, given = np.zeros((people, kinds)), np.zeros((people, kinds))
    for block, seen in _shared(said, crowd):
        for label in range(kinds):
            expected[:, label] += np.bincount(block.annotator, seen.expected[:, label], people)
        cell = block.annotator.astype(np.int64) * kinds + block.label
        given += np.bincount(cell, minlength=people * kinds).reshape(people, kinds)
    total = np.maximum(given.sum(axis=1, keepdims=True), 1)
    return expected / total, given / total


def _judged(block: Answers, seen: Others) -> Judged:
    right = seen.truth[np.arange(len(block.label)), block.label]
    everyone, sizes = np.add.reduceat(right, block.starts[:-1]), np.diff(block.starts)
    rest = (np.repeat(everyone, sizes) - right) / (np.repeat(sizes, sizes) - 1)
    return Judged(block.annotator, block.labelled_at, right, right - rest)


def _moments(
    block: Answers, seen: Others, expected: np.ndarray, given: np.ndarray, prior_nats: float
) -> Iterator[np.ndarray]:
    """Return, per answer, what it adds to the five sums of which `_tested` makes a skill.

    An answer scores how much likelier the others make its label on this item than on the annotator's items at large.
    So whoever gives labels without regard to the item scores 0 on average, whichever labels they prefer.
    """
    score, share = seen.expected - expected[block.annotator], given[block.annotator]
    yield score[np.arange(len(block.label)), block.label]
    yield (seen.expected * score).sum(axis=1)
    for chance in (share, (seen.expected + share) / 2):
        yield (chance * score**2).sum(axis=1) - (chance * score).sum(axis=1) ** 2
    yield np.maximum(1 - _entropy(seen.truth) / prior_nats, 0.0) if prior_nats > 0 else np.zeros(len(block.label))


def _tested(
    score: np.ndarray, full: np.ndarray, guessing: np.ndarray, half: np.ndarray, known: np.ndarray, answered: np.ndarray
) -> Skill:
    """Return skills with their tests: the score, that of full skill, and its variance at skill 0 and at half skill."""
    error = np.sqrt(half)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(full > TELLING, score / full, np.nan)
        reach = Z_95 * error / full
        # Student's distribution, for few answers are not normal.
        p = np.where(np.isnan(value), np.nan, stdtr(np.maximum(answered - 1, 1), (score - USEFUL * full) / error))
    is_guess = np.abs(score) <= Z_99 * np.sqrt(np.maximum(guessing, 0.0)) + TELLING
    return Skill(answered, known, value, value - reach, value + reach, holm(p), is_guess)


def _entropy(shares: np.ndarray) -> np.ndarray:
    return -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=-1)
