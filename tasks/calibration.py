"""How well a model's scores say how often it is right, and scores that say it better."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import duckdb
import numpy as np

from tasks.agreement import wilson
from tasks.sql import relation

LEAST = 100  # labels: below, calibrated scores were as often worse than raw ones as better
LEAST_ISOTONIC = 200
FEW_VALUES = 20  # verbalised confidence has 13–15 distinct values; a model's logits have thousands
FOLDS = 5
BINS, ERROR_BINS = 10, 15
DIGITS = 9  # after the point: what comes after depends on the machine
CLOSEST = 1e-6  # to 0 and 1, for a score of 1 has no logit
ROUNDS, STEP = 50, 1e-10


@dataclass(frozen=True)
class Calibrator:
    """A curve from scores to how often labels of that score are right; ready for JSON with `asdict`."""

    kind: str
    """platt or isotonic."""
    n: int
    """Labels it was fitted on."""
    parameters: dict[str, Any]
    """Of platt slope and intercept on the logit; of isotonic the scores and shares its straight pieces join."""

    def of(self, scores: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return the share of right labels expected at each score, 0–1."""
        given = np.asarray(scores, dtype=float)
        if self.kind == "platt":
            return _expit(self.parameters["slope"] * _logit(given) + self.parameters["intercept"])
        # A share of 0 or 1 that few labels gave would be certainty.
        shares = np.interp(given, self.parameters["scores"], self.parameters["shares"])
        return np.clip(shares, 1 / (self.n + 2), 1 - 1 / (self.n + 2))


def platt(score: np.ndarray, correct: np.ndarray) -> Calibrator:
    """Return the logistic curve on the score's logit, by maximum likelihood of smoothed targets (Platt 1999)."""
    right = float(correct.sum())
    wrong = len(correct) - right
    target = np.where(correct == 1, (right + 1) / (right + 2), 1 / (wrong + 2))
    design = np.column_stack([_logit(score), np.ones(len(score))])
    weights = np.array([0.0, np.log((right + 1) / (wrong + 1))])
    for _ in range(ROUNDS):
        step = _newton(design, target, weights)
        while _loss(design, target, weights + step) > _loss(design, target, weights) + STEP:
            step = step / 2
        weights = weights + step
        if np.abs(step).max() < STEP:
            break
    slope, intercept = (round(float(one), DIGITS) for one in weights)
    return Calibrator("platt", len(score), {"slope": slope, "intercept": intercept})


def isotonic(score: np.ndarray, correct: np.ndarray) -> Calibrator:
    """Return the rising curve nearest to what was right, in squares: neighbours that fall are pooled until none does."""
    values, places = np.unique(score, return_inverse=True)
    mass = np.bincount(places).astype(float)
    total = np.bincount(places, correct)
    starts = np.arange(len(values))
    while True:
        mean = np.add.reduceat(total, starts) / np.add.reduceat(mass, starts)
        is_start = np.append(True, np.diff(mean) > 0)
        if is_start.all():
            break
        starts = starts[is_start]
    ends = np.append(starts[1:], len(values)) - 1
    knots = np.unique(np.concatenate([starts, ends]))
    shares = mean[np.searchsorted(starts, knots, side="right") - 1]
    parameters = {"scores": values[knots].tolist(), "shares": [round(float(share), DIGITS) for share in shares]}
    return Calibrator("isotonic", len(score), parameters)


KINDS = {"platt": platt, "isotonic": isotonic}


def calibrator(score: Sequence[float] | np.ndarray, correct: Sequence[float] | np.ndarray) -> Calibrator | None:
    """Return the curve that suits so many labels and such scores; None where they do not carry one.

    Isotonic where scores take few values, and from 200 labels on where it foretells labels left out better; else Platt's.
    Rows come in the order that `cross_fitted` asks for.
    """
    score, correct = np.asarray(score, dtype=float), np.asarray(correct, dtype=float)
    if objection(correct):
        return None
    if len(np.unique(score)) <= FEW_VALUES:
        return isotonic(score, correct)
    if len(score) < LEAST_ISOTONIC:
        return platt(score, correct)
    losses = {kind: _log_loss(cross_fitted(score, correct, kind), correct) for kind in KINDS}
    return KINDS[min(losses, key=losses.get)](score, correct)


def objection(correct: np.ndarray) -> str | None:
    """Return why so many labels carry no curve, in words."""
    if len(correct) < LEAST:
        return f"{len(correct)} labels of people to learn from; {LEAST} are needed"
    if correct.min() == correct.max():
        return f"every label was {'right' if correct[0] else 'wrong'}, so there is no telling which scores are better"
    return None


def cross_fitted(score: np.ndarray, correct: np.ndarray, kind: str) -> np.ndarray:
    """Return each label's calibrated score by a curve fitted on the other folds.

    Rows come in the order of their items' ids, which are hashes, so every fifth of them is drawn as if by lot. Folds alike
    in score or in what was right would hide how much a curve owes to chance.
    """
    fold = np.arange(len(score)) % FOLDS
    found = np.empty(len(score))
    for one in range(FOLDS):
        inside = fold == one
        found[inside] = KINDS[kind](score[~inside], correct[~inside]).of(score[inside])
    return found


def expected_calibration_error(score: np.ndarray, correct: np.ndarray, bins: int = ERROR_BINS) -> float | None:
    """Return the mean distance of scores from the share that is right, 0–1, over bins of equally many labels.

    Naeini et al. 2015. Labels of one score stay in one bin; of few labels the figure is too high, for chance alone parts them.
    """
    if not len(score):
        return None
    place = _bins(score, bins)
    apart = np.bincount(place, np.asarray(correct, dtype=float) - score)
    return float(np.abs(apart).sum() / len(score))


def reliability(score: np.ndarray, correct: np.ndarray, bins: int = BINS) -> list[dict[str, Any]]:
    """Return the rows of a reliability diagram: bins of about equally many labels, with 95 % Wilson intervals."""
    rows = []
    place = _bins(score, bins) if len(score) else np.zeros(0, dtype=int)
    for one in np.unique(place):
        inside, is_right = score[place == one], correct[place == one]
        found = wilson(int(is_right.sum()), len(is_right))
        rows.append(
            {
                "low": round(float(inside.min()), DIGITS),
                "high": round(float(inside.max()), DIGITS),
                "items": len(inside),
                "mean_score": round(float(np.sort(inside).mean()), DIGITS),
                "accuracy": found["value"],
                "accuracy_low": found["low"],
                "accuracy_high": found["high"],
            }
        )
    return rows


def model_calibration(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """Return how calibrated each model is on items people settled, the audit in force left out, ready for JSON.

    The error after calibration is of curves fitted on other items than those it is measured on.
    """
    scored: dict[str, list[tuple[float, bool]]] = {}
    for annotator, score, is_right in relation(connection, "scored_label").fetchall():
        scored.setdefault(annotator, []).append((score, is_right))
    return {annotator: _calibration(*np.array(rows, dtype=float).T) for annotator, rows in scored.items()}


def _calibration(score: np.ndarray, correct: np.ndarray) -> dict[str, Any]:
    curve = calibrator(score, correct)
    before = expected_calibration_error(score, correct)
    after = curve and expected_calibration_error(cross_fitted(score, correct, curve.kind), correct)
    return {
        **(asdict(curve) if curve else {"kind": "none", "parameters": {}}),
        "n": len(score),
        "ece_before": None if before is None else round(before, DIGITS),
        "ece_after": None if after is None else round(after, DIGITS),
        "reliability": reliability(score, correct),
        "reason": objection(correct),
    }


def _bins(score: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin of each score: by the middle of the ranks that its value has, so equal scores are never parted."""
    _, places, counts = np.unique(score, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    return (middle * bins / len(score)).astype(int)[places]


def _newton(design: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    share = _expit(design @ weights)
    curvature = (design * (share * (1 - share))[:, None]).T @ design
    return np.linalg.solve(curvature + 1e-9 * np.eye(2), design.T @ (target - share))  # scores may all be one


def _loss(design: np.ndarray, target: np.ndarray, weights: np.ndarray) -> float:
    height = design @ weights
    return float((np.logaddexp(0, height) - target * height).sum())


def _log_loss(share: np.ndarray, correct: np.ndarray) -> float:
    return float(-np.log(np.where(correct == 1, share, 1 - share)).mean())


def _logit(score: np.ndarray) -> np.ndarray:
    inside = np.clip(score, CLOSEST, 1 - CLOSEST)
    return np.log(inside) - np.log1p(-inside)


def _expit(height: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -height))
