"""The evidence made whole: every figure a page can show, with what stands where there is none."""

import math
import unicodedata
from collections.abc import Mapping
from typing import Any, NamedTuple

from tasks.report import picture

Evidence = Mapping[str, Any]


class Each(NamedTuple):
    """In the shape of the evidence: any number of values of one shape, in a list or by name."""

    shape: Any
    is_list: bool = False


_ESTIMATE = {"value": None, "low": None, "high": None, "reason": None}
_INTERVAL = {**_ESTIMATE, "n": 0, "population": 0, "confidence": None, "pending": 0, "method": None}
_AGREEMENT = dict.fromkeys(picture.NAMES, _ESTIMATE)
_SPEND = {"usd": None, "calls": None, "prompt_tokens": None, "cached_tokens": None, "completion_tokens": None}
_STATUSES = {"human": 0, "accepted": 0, "review": 0, "unresolved": 0}
_ANNOTATOR = {
    "annotator_id": "",
    "annotator_kind": "",
    "model": None,
    "prompt": None,
    "version": None,
    "annotations": 0,
    "items": 0,
    "agreement_with_others": None,
    "low": None,
    "high": None,
    "accuracy": {**_ESTIMATE, "n": None},
    "position": _ESTIMATE,
    "is_spammer": None,
    "is_drifting": None,
    "copier_of": None,
    "median_seconds": None,
    "mean_entropy_nats": None,
    "labels": Each(0),
    "abstained": None,
    "usd_per_1000_items": None,
    **_SPEND,
}
_FUNCTION = {
    "annotator_id": "",
    "rule": None,
    "items": 0,
    "labelled": 0,
    "abstained": 0,
    "failed": 0,
    "polarity": Each("", is_list=True),
    "coverage_share": None,
    "overlap_share": None,
    "conflict_share": None,
    "accuracy": {**_ESTIMATE, "n": None},
    "labels": Each(0),
}
_BIN = {
    "low": 0.0,
    "high": 0.0,
    "items": 0,
    "mean_score": 0.0,
    "accuracy": None,
    "accuracy_low": None,
    "accuracy_high": None,
}
_CHECK = {"name": None, "expectation": "", "what": None, "severity": "", "policy": None, "success": None,
          "observed": None, "expected": None}  # fmt: skip
_TEST = {"threshold": None, "accepted": 0, "audited": 0, "errors": 0, "p": None, "level": None, "passed": None}
_SOURCE = {"path": "", "format": "", "license": None, "attribution": None, "files": 0, "documents": 0, "quarantined": 0}
_SHOWN = {"text": "", "context": "", "label": ""}
_AUDIT = {"items": None, "accepted": 0, "accepted_share": None, "threshold": None, "drawn": 0, "audited": 0, "errors": 0,
          "audited_accepted": 0, "errors_accepted": 0, "tests": Each(_TEST, is_list=True)}  # fmt: skip
_SHAPE = {
    "curation": "",
    "release": "",
    "parent": None,
    "as_of": "",
    "content_id": None,
    "description": None,
    "license": None,
    "language": Each("", is_list=True),
    "attribution": None,
    "limits": Each("", is_list=True),
    "sources": Each(_SOURCE, is_list=True),
    "shown": Each(_SHOWN, is_list=True),
    "labels": {"kind": None, "values": Each(None)},
    "settling": {"method": None, "min_labels": None, "min_posterior": None},
    "documents": {"read": 0, "accepted": 0, "duplicate": 0, "quarantined": 0, "reasons": Each(0)},
    "items": {"total": 0, "groups": None, "near_duplicates": None, "bridges_splits": None},
    "annotations": {
        "total": 0,
        "people": 0,
        "models": 0,
        "waiting": 0,
        "quarantined": 0,
        "by_annotator": Each(_ANNOTATOR, is_list=True),
    },
    "functions": Each(_FUNCTION, is_list=True),
    "agreement": _AGREEMENT,
    "label_agreement": Each({"specific_agreement": _ESTIMATE, "krippendorff_alpha": _ESTIMATE}),
    "machines": {"agreement": _AGREEMENT},
    "machines_against_people": {"percent": _ESTIMATE, "kappa": _ESTIMATE},
    "intervals": None,
    "entropy": {
        "mean_nats": None,
        "mean_dirichlet_nats": None,
        "prior": None,
        "unanimous_share": None,
        "histogram": Each({"low": 0.0, "high": 0.0, "items": 0}, is_list=True),
    },
    "by_slice": Each({"items": 0, "annotations": 0, "agreement": _AGREEMENT, "entropy": {"mean_nats": None}}),
    "consensus": {**_STATUSES, "reasons": Each(0)},
    "slices": Each({"items": 0, **_STATUSES, "labels": Each(0)}),
    "confusion": Each({"labels": Each("", is_list=True), "counts": Each(Each(0, is_list=True), is_list=True)}),
    "splits": Each(0),
    "split_labels": Each(Each(0)),
    "excluded": Each(0),
    "calibration": Each(
        {
            "n": 0,
            "kind": None,
            "ece_before": None,
            "ece_after": None,
            "reliability": Each(_BIN, is_list=True),
            "reason": None,
        }
    ),
    "certificate": {
        "statement": None,
        "reason": None,
        "claim": None,
        "max_error": None,
        "confidence": None,
        "by_slice": None,
        "published": None,
        **_AUDIT,
        "epochs": Each({"epoch_id": "", "ordinal": 1, "opened_on": "", "reason": "", "seed": ""}, is_list=True),
        "slices": Each(_AUDIT),
        "accuracy": _INTERVAL,
        "accuracy_all": _INTERVAL,
        "prevalence": Each(_INTERVAL),
    },
    "gate": {"passed": None, "suites": Each({"suite": "", "checks": Each(_CHECK, is_list=True)}, is_list=True)},
    "cost": {**_SPEND, "price_table": None},
    "versions": {"assay": None, "guideline": None, "annotators": Each(None), "prompts": Each(None)},
    "arrow_bytes": Each(0),
    "formats": Each("", is_list=True),
    "files": Each({"path": "", "rows": None, "sha256": None, "bytes": None}, is_list=True),
}
"""Every figure a page can show, with what stands where the evidence has none."""


def whole(evidence: Evidence) -> dict[str, Any]:
    """Return the evidence with every figure a page can show, null where it is undefined, and its text fit to print."""
    return _filled(evidence, _SHAPE)


def _filled(given: Any, shape: Any) -> Any:
    if isinstance(shape, Each):
        return _each(given, shape)
    if not isinstance(shape, Mapping):
        return shape if given is None else printable(given)
    named = given if isinstance(given, Mapping) else {}
    more = {name: printable(value) for name, value in named.items() if name not in shape}
    return {**{name: _filled(named.get(name), inner) for name, inner in shape.items()}, **more}


def _each(given: Any, shape: Each) -> Any:
    if shape.is_list:
        return [_filled(value, shape.shape) for value in given or []]
    return {
        printable("" if name is None else str(name)): _filled(value, shape.shape)
        for name, value in (given or {}).items()
    }


def printable(value: Any) -> Any:
    """Return a value with nothing in its text that a page cannot show, or that would turn the text around it."""
    if isinstance(value, str):
        return " ".join("".join(map(_printable_character, value)).split())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {printable(str(name)): printable(inner) for name, inner in value.items()}
    return [printable(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _printable_character(character: str) -> str:
    kind = unicodedata.category(character)
    # Cf holds the controls of writing direction; the joiners that scripts and emoji need are kept.
    if kind == "Cf" and character not in "\u200c\u200d":
        return ""
    return " " if kind == "Cc" else "\ufffd" if kind == "Cs" else character
