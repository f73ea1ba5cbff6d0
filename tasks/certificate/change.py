"""When a certificate no longer holds: the scores of new items changed, or audits find more errors than promised.

Both bet against "nothing changed" and double their capital where they bet well: if nothing changes, capital that begins
at 1 ever reaches 1 / FALSE_ALARM with a probability of FALSE_ALARM at most (Ville 1939), however often one looks.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

FALSE_ALARM = 0.01  # probability that a detector ever raises an alarm though nothing changes
# Share of the capital dealt out anew between two bets, so that a change is met however late it comes. Vovk et al. 2021
# ("Retrain or not retrain", the simple jumper) take .01; so do we, for a night and for an audit.
JUMP = 0.01
CASH = 0.5  # share of the capital that is not bet: what is left to bet with after a long time without a change
SLOPES = (0.1, 0.2, 0.4, 0.8)  # of a bet on p-values: from a change seen in thousands of scores to one seen in a dozen
ODDS = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)  # of an error, times those promised: what an audit bets on; 1 is no bet
# Scores looked at: the power of thousands is for changes of no consequence, and a million of a night would cost seconds.
OF_NIGHT, OF_REFERENCE = 1_000, 10_000
SEED = 20_261_121  # of the order within a night and of ties, neither of which may depend on the scores


@dataclass(frozen=True)
class Change:
    """What a detector says after all it was shown."""

    evidence: float
    """Greatest log of the capital so far, in nats; never below 0, and at least ln(streams / FALSE_ALARM) once it alarms."""
    alarm: bool
    """Whether it ever alarmed."""
    at: int | None
    """Place, from 0, of the night or the draw at which it first did."""


def score_change(nights: list[np.ndarray], reference: np.ndarray, *, streams: int = 1) -> Change:
    """Return whether scores, night by night, can be told from those of the reference and of the nights before.

    A conformal test martingale (Vovk, Gammerman and Shafer 2022, chapter 8): if reference and nights are exchangeable,
    the ranks are independent and uniform. A night is taken in random order, at most OF_NIGHT scores of it. Of as many
    `streams` as are watched, slice by slice, the chance that any alarms falsely is still FALSE_ALARM at most.
    """
    return _change(_capital(_bets(p) for p in _p_values(nights, reference)), streams)


def risk_change(wrong: np.ndarray, max_error: float, *, streams: int = 1) -> Change:
    """Return whether audited labels, in the order of their draw, are wrong more often than `max_error`.

    Likelihood ratios of greater errors to `max_error`, mixed (Ramdas et al. 2023, section 4): at any smaller error each
    draw's expected gain is at most 1. Only answered audits belong here: who has not answered has found no error.
    `streams` as above.
    """
    return _change(_capital(_risks(wrong, max_error)), streams)


def _change(capital: Iterable[np.ndarray], streams: int) -> Change:
    """Return the verdict on the log of the capital, batch by batch of bets, of one of so many streams."""
    peaks = np.array([batch.max(initial=0.0) for batch in capital] or [0.0])
    over = np.flatnonzero(peaks >= np.log(streams / FALSE_ALARM))
    return Change(float(peaks.max()), len(over) > 0, int(over[0]) if len(over) else None)


def _capital(batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the log of the whole capital after each row of each batch of log gains: rows × ways to bet, the first none."""
    held = None
    for gains in batches:
        if held is None:
            bets = gains.shape[1] - 1
            held = dealt = np.log([CASH] + [(1 - CASH) / bets] * bets)
        grown = held + np.cumsum(gains, axis=0)
        total = np.logaddexp.reduce(grown, axis=1)
        yield total
        if len(total):
            held = np.logaddexp(np.log1p(-JUMP) + grown[-1], np.log(JUMP) + total[-1] + dealt)


def _risks(wrong: np.ndarray, max_error: float) -> Iterator[np.ndarray]:
    """Yield audit by audit the log gain of each way to bet: the likelihood of a greater error over that of `max_error`."""
    odds = max_error / (1 - max_error) * np.array(ODDS)
    error = odds / (1 + odds)
    gains = np.log([(1 - error) / (1 - max_error), error / max_error])
    return (gains[[int(is_wrong)]] for is_wrong in wrong)


def _bets(p: np.ndarray) -> np.ndarray:
    """Return p-values × ways to bet: log gain of each; the mean gain of every way over uniform p-values is 1."""
    rise = 2 * p - 1  # uniform in (-1, 1): scores are higher, or lower, than before
    spread = 2 * np.abs(rise) - 1  # uniform too: more of them are far from the middle, or fewer
    slopes = [*SLOPES, *(-slope for slope in SLOPES)]
    return np.log1p(np.concatenate([np.outer(rise, [0.0, *slopes]), np.outer(spread, slopes)], axis=1))


def _p_values(nights: list[np.ndarray], reference: np.ndarray) -> Iterator[np.ndarray]:
    """Yield each night's smoothed conformal p-values: each score's rank among all before it, and 0 the lowest."""
    earlier = np.sort(_drawn(reference, OF_REFERENCE, np.random.default_rng(SEED)))
    for place, night in enumerate(nights):
        random = np.random.default_rng((SEED, place))
        scores = _drawn(night, OF_NIGHT, random)
        before = np.tri(len(scores), k=-1, dtype=bool)
        low, high = (np.searchsorted(earlier, scores, side) for side in ("left", "right"))
        less = low + (before & (scores[None, :] < scores[:, None])).sum(axis=1)
        equal = 1 + high - low + (before & (scores[None, :] == scores[:, None])).sum(axis=1)  # itself among them
        yield (less + random.random(len(scores)) * equal) / (len(earlier) + np.arange(1, len(scores) + 1))
        earlier = np.sort(np.append(earlier, scores), kind="stable")  # two runs, of which one is in order: merged


def _drawn(scores: np.ndarray, most: int, random: np.random.Generator) -> np.ndarray:
    """Return at most so many of the scores, in random order, whatever order they came in."""
    return random.permutation(np.sort(np.asarray(scores, dtype=float)))[:most]
