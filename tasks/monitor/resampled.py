"""What an estimate could as well have been: settled items drawn anew, and right and wrong labels cast anew."""

from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from tasks.monitor.estimators import FEWEST, NAMES, Signals, calibration, estimates

REPLICATES = 200
ENDS = (0.025, 0.975)
DIGITS = 9  # of every figure


class Estimates(NamedTuple):
    """Estimators × parts."""

    value: np.ndarray
    """Share of labels that are right, 0–1; NaN where nothing can be said."""
    replicates: np.ndarray
    """Replicates × estimators × parts."""
    items: np.ndarray
    """New items of each part."""

    def interval(self, name: str, parts: np.ndarray) -> tuple[float, float, float] | None:
        """Return an estimate over some parts, each counted with its items, and its 95 % interval; None where there is none."""
        place, weight = NAMES.index(name), self.items[parts] / max(self.items[parts].sum(), 1)
        value = self.value[place, parts] @ weight
        if not len(parts) or not np.isfinite(value):
            return None
        again = self.replicates[:, place][:, parts] @ weight
        again = again[np.isfinite(again)]
        low, high = np.quantile(again, ENDS) if len(again) > REPLICATES / 2 else (0.0, 1.0)
        return float(value), float(low), float(high)


def estimated(known: Signals, units: np.ndarray, new: Signals, parts: int) -> Estimates:
    """Return the estimates for each part of new items, and their replicates.

    A replicate draws the units of settled items with replacement, makes the estimate of them, and casts as many labels as
    there are items with that chance of being right: its interval is for these very items, were the estimator's assumption
    true. How far that is from true no interval tells.
    """
    value, items = estimates(known, new, parts), np.bincount(new.part, minlength=parts)
    curve = calibration(known)
    _, unit = np.unique(units.astype(str), return_inverse=True)
    stream = np.random.default_rng(_seed(known, new))
    replicates = np.full((REPLICATES, *value.shape), np.nan)
    if len(known.score) >= FEWEST:
        for number in range(REPLICATES):
            drawn = np.bincount(stream.integers(0, unit.max() + 1, unit.max() + 1), minlength=unit.max() + 1)
            chance = estimates(
                known.where(np.repeat(np.arange(len(unit)), drawn[unit])), new, parts, curve and curve.kind
            )
            cast = stream.binomial(items, np.nan_to_num(chance)) / np.maximum(items, 1)
            replicates[number] = np.where(np.isfinite(chance), cast, np.nan)
    return Estimates(value, replicates, items)


def rounded(figure):
    """Return a figure, or a list of them, with no more digits than every machine agrees on; None where it is not finite."""
    if isinstance(figure, np.ndarray | list):
        return [rounded(one) for one in figure]
    return round(float(figure), DIGITS) if figure is not None and np.isfinite(figure) else None


def _seed(known: Signals, new: Signals) -> int:
    """Return a number that the items decide: the same items, the same interval."""
    digest = blake2b(digest_size=8)
    for column in (known.score, known.correct, new.score):
        digest.update(np.ascontiguousarray(column).tobytes())
    return int.from_bytes(digest.digest())


def transfer_errors(known: Signals, parts: int) -> np.ndarray:
    """Return parts × estimators: how far the estimate of a part is off where its own labels are held back; NaN untested."""
    errors = np.full((parts, len(NAMES)), np.nan)
    for number in range(parts):
        held = known.part == number
        if held.sum() >= FEWEST and (~held).sum() >= FEWEST:
            others, part = known.where(~held), known.where(held)
            others = others._replace(part=np.full(len(others.part), -1))
            found = estimates(others, part._replace(part=np.zeros(len(part.part), dtype=int)), 1)
            errors[number] = np.abs(found[:, 0] - part.correct.mean())
    return errors
