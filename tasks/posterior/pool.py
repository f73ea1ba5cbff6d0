"""The log-pool: people's votes and models' opinions on each item as one posterior, models weighed by what they are worth.

    log p(k) = log prior(k) + Σ_people log π_j(k, label) + Σ_models β_m [log q_m(k) − log prior(k)]

People's prior and confusion matrices π come from people alone. Each model's opinion is calibrated to q_m (vector scaling),
then all weights β are fitted together, so that models that err together share one weight. What is fitted is how well each
vote is foretold by everything else said of its item: people's other votes, which a model only counts beyond, and the
models. A vote held out is truth with noise, so a model is never taken for surer than the person it foretells. All items
count, the disputed ones too: those on which people agree are the easy ones, and would make every model look better than it
is. No item has a part in the numbers it is judged by.

Models are weighed as fitted, by default or not at all, whichever foretells the votes best once people's slips are allowed
for.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tasks.posterior import posterior
from tasks.posterior.opinions import Opinions
from tasks.posterior.votes import Votes

FOLDS = 5  # an item's weights are fitted on the four fifths it is not in
FEWEST = 100  # items with votes and opinions, to fit anything
MOST = 5_000  # of them used to fit: the few numbers sought do not change beyond
SLIP = 0.01  # of a model's answers may be anything, so that nothing it says is impossible
DEFAULT = 0.5  # weight of all models together where nothing is known of them: half of the one opinion they make up
PENALTY = 1.0  # nats that it costs to move a number one unit from no calibration, or from the default weight
TOLERANCE = 1e-9  # no number moves more in the last round
MOST_ROUNDS = 50
HALVES = 0.5 ** np.arange(30)  # lengths of a step, until it does not lead down
RELIABLE = np.linspace(0.4, 1, 61)[:-1]  # shares of people's votes that may be the truth, the others at random


class Pool(NamedTuple):
    """What people and models together say of every item, and how much of it is the models' doing."""

    matrix: np.ndarray
    """Items × labels: probability of each label, rows sum to 1."""
    weight: np.ndarray
    """β of each model, 0 to 1: the mean of the folds'."""
    rests_on: str
    """How the models are weighed: `people` (not at all), `default` or `fitted`."""
    foretold: dict[str, float]
    """Mean log probability of the votes held out, in nats, by what it rests on; empty where too few to tell."""


class _People(NamedTuple):
    """What people alone say."""

    log_prior: np.ndarray
    evidence: np.ndarray
    """Items × labels: log probability of the votes."""
    own: np.ndarray
    """Votes × labels: what each vote adds to it."""


class _Held(NamedTuple):
    """Votes held out, one after the other."""

    item: np.ndarray
    label: np.ndarray
    rest: np.ndarray
    """Votes × labels: log probability by the prior and the item's other votes, up to a constant."""


def log_pool(votes: Votes, opinions: Opinions, labels: list[str], method: str = "dawid-skene") -> Pool:
    """Return the posterior of people's votes, by `method`, and of models' opinions, and the weights it rests on."""
    people, items, models = _people(votes, labels, method), len(votes.item_ids), len(opinions.annotator_ids)
    said = np.log((1 - SLIP) * opinions.probability + SLIP / len(labels))
    leanings = {"people": np.zeros((items, len(labels))), "default": _default(opinions, said, items)}
    weights = {"people": np.zeros(models), "default": np.full(models, DEFAULT / max(models, 1))}
    foretold, rests_on = {}, "default"
    both = np.flatnonzero(_is_in(votes.item, items) & _is_in(opinions.item, items))
    if len(both) >= FEWEST:
        held = _held(votes, people, both[:: -(-len(both) // MOST)])
        leanings["fitted"], weights["fitted"] = _fitted(people, held, opinions, said)
        foretold = {name: _foretold(held, leaning) for name, leaning in leanings.items()}
        rests_on = max(foretold, key=foretold.get)
    matrix = np.exp(log_shares(people.log_prior + people.evidence + leanings[rests_on]))
    return Pool(matrix, weights[rests_on], rests_on, foretold)


def log_shares(scores: np.ndarray) -> np.ndarray:
    """Return the logarithms of shares proportional to the exponentials of the scores, row by row."""
    scores = scores - scores.max(axis=-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def leaning(opinions: Opinions, ratio: np.ndarray, weight: np.ndarray, items: int) -> np.ndarray:
    """Return items × labels: sum of the opinions' log ratios (opinions × labels), each by its weight."""
    return np.stack([np.bincount(opinions.item, weight * column, items) for column in ratio.T], axis=1)


def _people(votes: Votes, labels: list[str], method: str) -> _People:
    """Return what people say; items nobody voted on have no evidence, and no part in the prior."""
    is_voted = _is_in(votes.item, len(votes.item_ids))
    place = np.cumsum(is_voted, dtype=np.int32) - 1
    # Their number matters, their names do not.
    seen = votes._replace(item=place[votes.item], item_ids=votes.item_ids.slice(0, int(is_voted.sum())))
    found = posterior(seen, labels, method)
    own = np.log(found.confusion)[votes.annotator, :, votes.label]
    evidence = [np.bincount(votes.item, column, len(votes.item_ids)) for column in own.T]
    return _People(np.log(found.prior), np.stack(evidence, axis=1), own)


def _is_in(item: np.ndarray, items: int) -> np.ndarray:
    """Return, for each item, whether it is among some."""
    return np.bincount(item, minlength=items) > 0


def _default(opinions: Opinions, said: np.ndarray, items: int) -> np.ndarray:
    """Return the default leaning: half the mean of the models' logarithms, however many they are."""
    share = DEFAULT / np.bincount(opinions.item, minlength=items)[opinions.item]
    return leaning(opinions, said, share, items)


def _held(votes: Votes, people: _People, items: np.ndarray) -> _Held:
    vote = np.flatnonzero(_is_in(items, len(people.evidence))[votes.item])
    item = votes.item[vote]
    return _Held(item, votes.label[vote], people.log_prior + people.evidence[item] - people.own[vote])


def _foretold(held: _Held, leaning: np.ndarray) -> float:
    """Return the mean log probability of the votes held out, in nats, if people say the truth as often as fits best."""
    share = np.exp(log_shares(held.rest + leaning[held.item]))[np.arange(len(held.item)), held.label]
    kinds = leaning.shape[1]
    return max(np.log(reliable * share + (1 - reliable) / kinds).mean() for reliable in RELIABLE)


def _fitted(people: _People, held: _Held, opinions: Opinions, said: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the leaning of every item by numbers fitted on the other folds, and the mean weights."""
    spread = _spread(opinions, said, held)
    fits = []
    for fold in range(FOLDS):
        others = held.item % FOLDS != fold
        fits.append(_fit(people, _Held(*(column[others] for column in held)), spread[:, others]))
    scale, shift, weight = (np.stack(part) for part in zip(*fits, strict=True))
    fold, model = opinions.item % FOLDS, opinions.annotator
    ratio = log_shares(scale[fold, model] * said + shift[fold, model]) - people.log_prior
    return leaning(opinions, ratio, weight[fold, model], len(people.evidence)), weight.mean(axis=0)


def _spread(opinions: Opinions, said: np.ndarray, held: _Held) -> np.ndarray:
    """Return models × votes held × labels: logarithms of the opinions on the vote's item, NaN where there is none."""
    items, place = np.unique(held.item, return_inverse=True)
    at = np.searchsorted(items, opinions.item).clip(max=len(items) - 1)
    used = items[at] == opinions.item
    spread = np.full((len(opinions.annotator_ids), len(items), said.shape[1]), np.nan)
    spread[opinions.annotator[used], at[used]] = said[used]
    return spread[:, place]


def _fit(people: _People, held: _Held, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scales and shifts (models × labels) that calibrate each model alone, and the weights of all together."""
    has = ~np.isnan(spread[:, :, 0])
    target = np.eye(spread.shape[2])[held.label]
    scaling = [_scaling(said[own], target[own]) for said, own in zip(spread, has, strict=True)]
    scale, shift = (np.stack(part) for part in zip(*scaling, strict=True))
    ratio = log_shares(scale[:, None] * np.nan_to_num(spread) + shift[:, None]) - people.log_prior
    return scale, shift, _weights(np.where(has[:, :, None], ratio, 0.0), held.rest, target)


def _scaling(said: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the scale and the shift of each label's logarithm with which a model foretells the votes best."""
    kinds = target.shape[1]
    inputs = np.hstack([said, np.ones_like(said)])

    def curve(shares: np.ndarray) -> np.ndarray:
        mass = np.tile(shares, 2) * inputs
        own = np.block([[np.diag((mass[:, :kinds] * one).sum(axis=0)) for one in (said, 1)],
                        [np.diag((shares * one).sum(axis=0)) for one in (said, 1)]])  # fmt: skip
        return own - np.einsum("vp,vq->pq", mass, mass)

    found = _likeliest(
        target,
        scores=lambda given: given[:kinds] * said + given[kinds:],
        slope=lambda missing: (np.tile(missing, 2) * inputs).sum(axis=0),
        curve=curve,
        start=np.repeat([1.0, 0.0], kinds),
        penalty=PENALTY,
        least=np.repeat([0.0, -np.inf], kinds),
        most=np.inf,
    )
    return found[:kinds], found[kinds:]


def _weights(ratio: np.ndarray, rest: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the weights with which the calibrated models, beside people, foretell the votes best."""
    models = len(ratio)

    def curve(shares: np.ndarray) -> np.ndarray:
        centred = ratio - (ratio * shares).sum(axis=2, keepdims=True)
        return np.einsum("mvk,nvk,vk->mn", centred, centred, shares)

    return _likeliest(
        target,
        scores=lambda weight: rest + np.einsum("m,mvk->vk", weight, ratio),
        slope=lambda missing: np.einsum("mvk,vk->m", ratio, missing),
        curve=curve,
        start=np.full(models, DEFAULT / models),
        penalty=PENALTY * models,  # copies of a model cost together what the one would
        least=0.0,
        most=1.0,
    )


def _likeliest(
    target: np.ndarray,
    scores: Callable[[np.ndarray], np.ndarray],
    slope: Callable[[np.ndarray], np.ndarray],
    curve: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    penalty: float,
    least: np.ndarray | float,
    most: float,
) -> np.ndarray:
    """Return the numbers whose scores make the targets likeliest, near the start if all else is equal (Newton)."""

    def worth(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        found = log_shares(scores(numbers))
        return float((target * found).sum() - penalty / 2 * ((numbers - start) ** 2).sum()), np.exp(found)

    numbers, moved, rounds = start, np.inf, 0
    now, shares = worth(numbers)
    while moved > TOLERANCE and rounds < MOST_ROUNDS:
        uphill = slope(target - shares) - penalty * (numbers - start)
        is_free = ~((numbers <= least) & (uphill < 0) | (numbers >= most) & (uphill > 0))
        steep = (curve(shares) + penalty * np.eye(len(start)))[np.ix_(is_free, is_free)]
        step, before = np.zeros_like(start), numbers
        step[is_free] = np.linalg.solve(steep, uphill[is_free])
        for length in HALVES:
            numbers = np.clip(before + length * step, least, most)
            value, shares = worth(numbers)
            if value >= now:
                break
        now, moved, rounds = value, np.abs(numbers - before).max(initial=0.0), rounds + 1
    return numbers
