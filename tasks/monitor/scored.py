"""Items with a model's label and how sure the model was of it, as arrays: what every estimate and test is made of."""

from typing import NamedTuple

import numpy as np

from schemas.annotation import EntropyProfile

STATISTICS = tuple(EntropyProfile.model_fields)
GREATEST = STATISTICS.index("max")


class Scored(NamedTuple):
    """One entry per item, in an order that depends on the items alone."""

    label: np.ndarray
    """The model's label."""
    score: np.ndarray
    """The greatest probability of its distribution, or its confidence, 0–1."""
    entropy: np.ndarray
    """Entropy of the distribution, in nats; NaN where there is none."""
    profile: np.ndarray
    """Items × the eleven statistics of the reply's entropies; NaN where the reply has no profile."""
    slice: np.ndarray
    """Its slice; empty where it has none."""
    unit: np.ndarray
    """What it is drawn together with: its group, else its text."""
    text: np.ndarray
    """Its text; empty where there is none."""
    correct: np.ndarray
    """1 where people settled on the model's label, 0 where on another; NaN where people settled nothing."""

    def where(self, rows: np.ndarray) -> "Scored":
        """Return the chosen items."""
        return Scored(*(column[rows] for column in self))


def scored(rows: list[dict]) -> Scored:
    """Return items as arrays; the order they come in does not matter."""
    texts = {name: [row.get(name) or "" for row in rows] for name in ("label", "slice", "unit", "text")}
    figures = {name: _figures(rows, name) for name in ("score", "entropy", "correct")}
    profiles = [[(row.get("profile") or {}).get(name) for name in STATISTICS] for row in rows]
    columns = {name: np.array(values, dtype=object) for name, values in texts.items()} | figures
    columns["profile"] = np.array(profiles, dtype=float).reshape(len(rows), len(STATISTICS))
    whole = Scored(**columns)
    keys = [whole.score, np.nan_to_num(whole.entropy, nan=-1.0), *(whole[place].astype(str) for place in (0, 6, 5, 4))]
    return whole.where(np.lexsort(keys) if rows else np.arange(0))


def _figures(rows: list[dict], name: str) -> np.ndarray:
    return np.array([row.get(name) for row in rows], dtype=float)


def parts(names: list[str], items: Scored) -> np.ndarray:
    """Return the place of each item's slice among the names; −1 where it is none of them."""
    place = {name: number for number, name in enumerate(names)}
    return np.array([place.get(name, -1) for name in items.slice], dtype=int)
