"""Pairs of annotators who make the same mistakes on the same items, more often than the items explain."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import bdtrc

from tasks.scorecard.answers import CELLS, Answers, Model, blocks, log, others, shares
from tasks.scorecard.significance import holm

FEWEST_SHARED = 10  # items both answered: with fewer, no coincidence would stand out among all pairs
MOST_PAIRS = 20_000_000  # pairs of answers compared: half a minute
MOST_SUSPECTS = 1_000  # pairs looked at closely, the least likely first
SUSPECT = 1e-3  # a pair less likely than this by chance is looked at closely; the final test asks for far less
ORDINARY = 0.25  # of the mistakes left over by chance may be shared by like minds; who copies shares more
ROUNDS = 20  # of estimating one annotator with all others known: three digits, of which one would do
HABIT = 2.0  # answers an ordinary annotator's habit counts for, when another's is estimated
LURES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, np.inf)


class Copies(NamedTuple):
    """Pairs of annotators who share items enough to be tested: each pair once, sorted."""

    one: np.ndarray
    """Place of one annotator."""
    other: np.ndarray
    """Place of the other."""
    shared: np.ndarray
    """Items both answered."""
    mistakes: np.ndarray
    """Of those, on how many all the rest call the label of one more likely wrong than right."""
    alike: np.ndarray
    """Of those mistakes, how many the other made too, with the same label."""
    expected: np.ndarray
    """How many the other would have made too without copying."""
    p: np.ndarray
    """Of so many in a pair that does not copy, adjusted for the number of pairs."""


class Told(NamedTuple):
    """What the answers tell of the items all together."""

    said: Answers
    """The answers themselves."""
    everyone: np.ndarray
    """Items × labels: logarithm of the evidence of prior and all answers."""
    alike: np.ndarray
    """Per answer, how many others on its item are the same."""
    rest: np.ndarray
    """Per answer, how many others its item has."""
    lure: float
    """How many answers of others an annotator's own habit weighs as much as, when it comes to mistakes.

    Some items mislead everybody the same way: the lower this is, the more. Infinity where mistakes are independent.
    """


def copies(said: Answers, crowd: Model) -> Copies:
    """Return every pair of annotators who share items enough, with the test of their shared mistakes."""
    people, told = len(crowd.confusion), _told(said, crowd)
    keys, (shared, *sides) = _added([_screened(told, crowd, one, other) for one, other in _pairs(said, crowd)])
    kept = shared >= FEWEST_SHARED
    one, other, shared = keys[kept] // people, keys[kept] % people, shared[kept].astype(int)
    mistakes, alike, expected, p = _worse(np.array(sides)[:, kept].reshape(2, 3, -1))
    suspects = np.argsort(p, kind="stable")[:MOST_SUSPECTS]
    suspects = suspects[p[suspects] <= SUSPECT]
    order = np.argsort(said.annotator, kind="stable")
    ends = np.searchsorted(said.annotator[order], np.arange(people + 1))
    p = np.ones(len(p))
    for place in suspects.tolist():
        own = (order[ends[who] : ends[who + 1]] for who in (one[place], other[place]))
        mistakes[place], alike[place], expected[place], p[place] = _close(told, crowd, *own)
    return Copies(one, other, shared, mistakes, alike, expected, holm(p))


def _told(said: Answers, crowd: Model) -> Told:
    everyone, alike, likelihood = [], [], np.zeros(len(LURES))
    rest = np.repeat(np.diff(said.starts), np.diff(said.starts)) - 1
    for block in blocks(said, len(crowd.prior)):
        own = crowd.evidence[block.annotator, block.label]
        everyone.append(np.add.reduceat(own, block.starts[:-1], axis=0) + crowd.prior)
        alike.append(_alike(block, len(crowd.prior)))
        habit = (others(block, crowd).truth * np.exp(own)).sum(axis=1)
        sizes = np.repeat(np.diff(block.starts), np.diff(block.starts))
        # The lure is what makes the answers, each predicted from the others on its item, most likely.
        likelihood += [np.log(_followed(habit, alike[-1], sizes - 1, lure)).sum() for lure in LURES]
    return Told(said, np.concatenate(everyone), np.concatenate(alike), rest, LURES[int(likelihood.argmax())])


def _alike(block: Answers, kinds: int) -> np.ndarray:
    sizes = np.diff(block.starts)
    cell = np.repeat(np.arange(len(sizes)), sizes) * kinds + block.label
    return np.bincount(cell)[cell] - 1


def _followed(habit: np.ndarray, alike: np.ndarray, rest: np.ndarray, lure: float) -> np.ndarray:
    """Return the probability of a label: by its annotator's habit, and as `alike` of the `rest` of the item gave it."""
    return habit if np.isinf(lure) else (lure * habit + alike) / (lure + rest)


def _pairs(said: Answers, crowd: Model) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Return in blocks the pairs of answers on one item, up to a limit.

    The items with fewest answers come first: there a copied answer does most harm.
    """
    sizes, left = np.diff(said.starts), MOST_PAIRS
    for size in np.unique(sizes[sizes > 1]).tolist():
        one, other = np.triu_indices(size, 1)
        starts = said.starts[:-1][sizes == size][: left // len(one)]
        left -= len(starts) * len(one)
        step = max(CELLS // (len(one) * len(crowd.prior)), 1)
        for first in range(0, len(starts), step):
            rows = starts[first : first + step, None]
            yield (rows + one).ravel(), (rows + other).ravel()


def _screened(told: Told, crowd: Model, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the pairs of annotators of pairs of answers, and for each what `_added` adds up, were both ordinary."""
    habits = crowd.ordinary, crowd.ordinary
    who = told.said.annotator.astype(np.int64)
    keys, place = np.unique(who[one] * len(crowd.confusion) + who[other], return_inverse=True)
    columns = [np.ones(len(one)), *_side(told, crowd, one, other, habits), *_side(told, crowd, other, one, habits)]
    return keys, [np.bincount(place, column, len(keys)) for column in columns]


def _side(
    told: Told, crowd: Model, source: np.ndarray, follower: np.ndarray, habits: tuple[np.ndarray, np.ndarray]
) -> list[np.ndarray]:
    """Return for pairs of answers: whether the source is mistaken, whether it is followed in it, and how likely so.

    The habits are true label × label given, of the source and of the follower.
    """
    item, annotator, label = told.said[:3]
    wanted = label[source]
    own = (crowd.evidence[annotator[end], label[end]] for end in (source, follower))
    truth = shares(told.everyone[item[source]] - next(own) - next(own))
    is_mistake = truth[np.arange(len(source)), wanted] < 0.5
    truth *= habits[0].T[wanted]
    habit = (truth * habits[1].T[wanted]).sum(axis=1) / truth.sum(axis=1)
    is_alike = label[follower] == wanted
    # Of the answers beside the follower's, the source's is one.
    expected = _followed(habit, told.alike[source] + 1 - is_alike, told.rest[source], told.lure)
    return [is_mistake * column for column in (np.ones(len(source)), is_alike, expected)]


def _added(found: list[tuple[np.ndarray, list[np.ndarray]]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of all blocks, and the sums of their figures in the order of the blocks."""
    if not found:
        return np.zeros(0, dtype=np.int64), np.zeros((7, 0))
    keys, place = np.unique(np.concatenate([keys for keys, _ in found]), return_inverse=True)
    figures = np.concatenate([np.array(figures) for _, figures in found], axis=1)
    return keys, np.array([np.bincount(place, figure, len(keys)) for figure in figures])


def _close(told: Told, crowd: Model, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return mistakes, those alike, those expected and p of a pair, each one's habit estimated without the other."""
    item = told.said.item
    _, at_one, at_other = np.intersect1d(item[one], item[other], assume_unique=True, return_indices=True)
    habits = _habit(told, crowd, one, other[at_other], at_one), _habit(told, crowd, other, one[at_one], at_other)
    one, other = one[at_one], other[at_other]
    sides = _side(told, crowd, one, other, habits), _side(told, crowd, other, one, habits[::-1])
    return _worse(np.array(sides).sum(axis=2)[:, :, None])[:, 0]


def _habit(told: Told, crowd: Model, own: np.ndarray, other: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Return an annotator's confusion as if another had said nothing: two who copy would prove each other right."""
    item, annotator, label = told.said[:3]
    rest = told.everyone[item[own]] - crowd.evidence[annotator[own], label[own]]
    rest[shared] -= crowd.evidence[annotator[other], label[other]]
    given, habit = np.eye(len(crowd.prior))[label[own]], crowd.ordinary
    for _ in range(ROUNDS):
        counts = shares(rest + log(habit).T[label[own]]).T @ given + HABIT * crowd.ordinary
        habit = counts / counts.sum(axis=1, keepdims=True)
    return habit


def _worse(sides: np.ndarray) -> np.ndarray:
    """Return mistakes, those alike, those expected and p of the less surprising of the two sides of each pair.

    Either of the two may be the source, so both sides must surprise.
    """
    mistakes, alike, expected = sides.transpose(1, 0, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = ORDINARY + (1 - ORDINARY) * expected / mistakes
        # Hoeffding 1956: from one above its mean on, a sum of unequal chances is no likelier to be so great than one
        # of equal chances.
        p = np.where(alike >= chance * mistakes + 1, bdtrc(alike - 1, mistakes.astype(int), chance), 1.0)
    side = p.argmax(axis=0)[None]
    columns = (mistakes, alike, expected, p)
    return np.array([np.take_along_axis(column, side, axis=0)[0] for column in columns])
