"""What the monitor says: estimates where it may, silence where traffic has shifted, alarms, and what to label next."""

from typing import Any

import numpy as np

from schemas.curation import Curation
from tasks.agreement.share import wilson
from tasks.certificate import Claim, least_audits
from tasks.monitor.collect import collect
from tasks.monitor.drift import drift
from tasks.monitor.estimators import FEWEST, NAMES, signals
from tasks.monitor.resampled import Estimates, estimated, rounded, transfer_errors
from tasks.monitor.scored import Scored, parts
from tasks.monitor.shift import FALSE_ALARM, Shift, shift

ELIGIBLE = ("calibrated_average_confidence", *(name for name in NAMES if name.startswith("atc_")))  # for the headline
UNSHIFTED = (None, "too_few")
SILENT_SHARE = 0.05  # of rows in slices nothing is said of, beyond which nothing is said of all together
NOTHING = {"value": None, "low": None, "high": None}


def figures(known: Scored, new: Scored, before: Scored, curation: Curation) -> dict[str, Any]:
    """Return {accuracy, slices, estimators, shift, drift, alarms, collect} of new items, ready for JSON.

    `known` are items people settled, `before` those of the current release.
    """
    names = sorted(set(new.slice))
    known_part, new_part = parts(names, known), parts(names, new)
    shifted = shift(known, known_part, new, new_part, len(names))
    found = estimated(signals(known, known_part), known.unit, signals(new, new_part), len(names))
    errors, counts = _errors(known)
    method = headline(found, errors)
    slices = {name: _slice(found, shifted, n, method, known.correct[known_part == n]) for n, name in enumerate(names)}
    slices = slices if names != [""] else {None: slices[""]}  # no slices: one of all
    seen = min(len(known.score), len(np.unique(new.unit)))  # copies of one text are one witness
    accuracy = _accuracy(found, shifted, method, seen)
    moved, to_certify = drift(before, new), _to_certify(curation, len(names))
    return {
        "accuracy": accuracy,
        "reference": {"items": len(known.score)} | _seen(known.correct),
        "slices": {name: one for name, one in slices.items() if name is not None},
        "estimators": {name: _estimator(found, name, errors, counts) for name in NAMES},
        "shift": {"rest": _told(shifted.rest), "false_alarm_share": FALSE_ALARM},
        "drift": moved,
        "alarms": alarms(slices, accuracy, _seen(known.correct), moved),
        "collect": collect(slices, to_certify),
    }


def headline(found: Estimates, errors: np.ndarray) -> str:
    """Return the estimator that is told: calibrated confidence or a thresholded one, whichever errs less on held-back slices.

    Where nothing could be held back it is calibrated confidence, if there is one.
    """
    there = [name for name in ELIGIBLE if found.interval(name, _all(found))]
    if not there:
        return ELIGIBLE[0]
    places = [NAMES.index(name) for name in there]
    means = _mean_errors(errors)[places]
    return there[int(np.nanargmin(means))] if np.isfinite(means).any() else there[0]


def _errors(known: Scored) -> tuple[np.ndarray, int]:
    """Return the errors on held-back slices, and how many slices could be held back."""
    own = sorted(set(known.slice))
    errors = transfer_errors(signals(known, parts(own, known)), len(own))
    return errors, int(np.isfinite(errors).any(axis=1).sum())


def _mean_errors(errors: np.ndarray) -> np.ndarray:
    there = np.isfinite(errors)
    return np.where(there.any(axis=0), np.nansum(errors, axis=0) / np.maximum(there.sum(axis=0), 1), np.nan)


def _all(found: Estimates) -> np.ndarray:
    return np.arange(len(found.items))


def _estimator(found: Estimates, name: str, errors: np.ndarray, held_back: int) -> dict[str, Any]:
    """Return an estimator's accuracy over all rows, whatever has shifted, and how it does on slices it has not seen."""
    error = _mean_errors(errors)[NAMES.index(name)]
    reason = None if (value := _interval(found, name, _all(found)))["value"] is not None else _missing(name)
    return value | {
        "n": int(found.items.sum()),
        "reason": reason,
        "transfer_error": rounded(error),
        "slices_held_back": held_back if np.isfinite(error) else 0,
    }


def _missing(name: str) -> str:
    """Return why an estimator has nothing to say."""
    if name in ("atc_max_token_entropy", "entropy_profile_model"):
        return "no_profiles"
    return "no_entropies" if name == "atc_negative_entropy" else "too_few"


def _interval(found: Estimates, name: str, chosen: np.ndarray) -> dict[str, Any]:
    ends = found.interval(name, chosen)
    return NOTHING if ends is None else dict(zip(("value", "low", "high"), rounded(list(ends)), strict=True))


def _slice(found: Estimates, shifted: Shift, number: int, method: str, correct: np.ndarray) -> dict[str, Any]:
    """Return what is said of a slice, what would be without the tests, and the tests."""
    here, reason = np.array([number]), shifted.reasons[number]
    raw = _interval(found, method, here)
    said = raw if reason is None else NOTHING
    if reason is None and raw["value"] is None:
        reason = "too_few"
    return {
        "items": int(found.items[number]),
        **said,
        "method": method,
        "reason": reason,
        "unguarded": raw,
        "estimators": {name: rounded(found.value[place, number]) for place, name in enumerate(NAMES)},
        "reference": {"items": len(correct)} | _seen(correct),
        "tests": _told(shifted.tests[number]),
    }


def _seen(correct: np.ndarray) -> dict[str, Any]:
    """Return the share of settled items whose label the model got right, with its interval."""
    share = wilson(float(correct.sum()), len(correct))
    return {"accuracy": share["value"], "low": share["low"], "high": share["high"]}


def _told(tests: dict[str, Any]) -> dict[str, Any]:
    return {name: {key: rounded(value) for key, value in test.items()} for name, test in tests.items()}


def _accuracy(found: Estimates, shifted: Shift, method: str, seen: int) -> dict[str, Any]:
    """Return the accuracy over all rows; null where too many of them are in slices nothing may be said of.

    Of few such rows the lower end counts all as wrong, the upper end all as right.
    """
    raw = _interval(found, method, _all(found))
    is_silent = np.array([reason not in UNSHIFTED for reason in shifted.reasons], dtype=bool)
    silent = float(found.items[is_silent].sum() / max(found.items.sum(), 1))
    said, reason = _interval(found, method, np.flatnonzero(~is_silent)), None
    if seen < FEWEST or raw["value"] is None:
        reason = "too_few"
    elif silent > SILENT_SHARE:
        reason = max(set(shifted.reasons) - set(UNSHIFTED), key=lambda one: (_rows(found, shifted, one), one))
    elif said["value"] is None:
        reason = "too_few"
    if reason:
        said = NOTHING
    elif silent:
        said |= {"low": rounded(said["low"] * (1 - silent)), "high": rounded(said["high"] * (1 - silent) + silent)}
    return said | {"method": method, "reason": reason, "silent_share": rounded(silent), "unguarded": raw}


def _rows(found: Estimates, shifted: Shift, reason: str) -> int:
    return int(sum(items for items, one in zip(found.items, shifted.reasons, strict=True) if one == reason))


def _to_certify(curation: Curation, slices: int) -> int | None:
    """Return the fewest audits, none of them wrong, that could certify a slice, or all of them where it is not by slice."""
    if curation.accept is None:
        return None
    accept = curation.accept
    method = "stream" if accept.claim == "stream" else "hypergeometric"
    return least_audits(Claim(accept.max_error, accept.confidence, method), slices=slices if accept.by_slice else 1)


def alarms(
    slices: dict[str | None, Any], accuracy: dict[str, Any], reference: dict[str, Any], moved: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return what someone should look at: {event, slice, reason, …}; events are shift and accuracy, no slice is all rows."""
    found = [
        {"event": "shift", "slice": name, "reason": one["reason"], "items": one["items"]}
        for name, one in slices.items()
        if one["reason"] not in UNSHIFTED
    ]
    found += [
        {"event": "shift", "slice": None, "reason": f"{what}_drifted", "psi": one["psi"]}
        for what, one in moved.items()
        if one["is_major"]
    ]
    judged = [
        (None, accuracy, reference),
        *((name, one, one["reference"]) for name, one in slices.items() if name is not None),
    ]
    return found + [
        {"event": "accuracy", "slice": name, "reason": "fallen", "value": one["value"], "was": before["accuracy"]}
        for name, one, before in judged
        if one["value"] is not None and one["high"] < before["low"]
    ]
