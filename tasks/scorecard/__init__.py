"""Votes become scorecards: how good each annotator is, and whether one guesses, drifts or copies."""

from typing import Any, NamedTuple

import duckdb
import numpy as np
from scipy.special import betaincinv

from schemas.errors import RequestError
from tasks.agreement.distance import score, scores_of
from tasks.posterior import Posterior, posterior, votes
from tasks.scorecard.answers import answers, model
from tasks.scorecard.copies import Copies, copies
from tasks.scorecard.drift import Drift, drift
from tasks.scorecard.skill import Skill, informativeness, skill
from tasks.sql import relation

METHODS = {"choice": "dawid-skene", "preference": "dawid-skene", "rating": "ordinal", "choices": "one-coin"}
LEVEL = 0.01  # probability that a table in which nobody guesses, drifts or copies has anybody flagged, for each
COPIED = ("copied_mistakes", "copied_expected", "copier_p")
ALONE = "nobody else labelled these items"
ALIKE = "the labels of the others do not tell these items apart"


class Scorecard(NamedTuple):
    """One row per annotator; a figure is null where nothing can be said."""

    annotator_id: str
    """Name of the annotator."""
    annotator_kind: str
    """`human`, or what kind of machine."""
    annotations: int
    """Labels given."""
    items: int
    """Items labelled."""
    accuracy: float | None
    """Probability that a label of the annotator is right, by everybody's labels, the annotator's own included."""
    accuracy_low: float | None
    """Lower end of its 95 % interval, which counts a label only as far as the others' labels settle its item."""
    accuracy_high: float | None
    """Upper end of its 95 % interval."""
    confusion: list[list[float]]
    """True label × label given: probability of the label given, rows sum to 1; drawn towards a typical annotator."""
    informativeness: float | None
    """How far the rows of the confusion differ, 0 to 1: 0 says nothing of the item, 1 is never wrong, or always."""
    skill: float | None
    """How closely labels follow the item: 0 is a guesser, 1 an ordinary annotator of this table, more is better."""
    skill_low: float | None
    """Lower end of its 95 % interval."""
    skill_high: float | None
    """Upper end of its 95 % interval."""
    is_spammer: bool | None
    """Whether the labels cannot be told from guesses, and surely have less than half an ordinary annotator's skill."""
    spammer_p: float | None
    """Of so little skill in somebody who has half an ordinary annotator's, adjusted for the number of annotators."""
    median_seconds: float | None
    """Seconds a label took; without such times, between consecutive labels, breaks of half an hour left out."""
    accuracy_earlier: float | None
    """Probability, by the others' labels alone, that a label of the annotator's earlier half is right."""
    accuracy_later: float | None
    """The same of the later half."""
    drift: float | None
    """Later less earlier, beyond the change of the other annotators' labels on the same items."""
    drift_low: float | None
    """Lower end of its 95 % interval."""
    drift_high: float | None
    """Upper end of its 95 % interval."""
    is_drifting: bool | None
    """Whether the annotator changed more than chance explains, both alone and beside the others."""
    drift_p: float | None
    """Of so large a change in somebody who does not change, adjusted for the number of annotators."""
    copier_of: str | None
    """The annotator whose mistakes this one makes too, more often than chance; which of the two copied is not known."""
    copied_mistakes: int | None
    """How many mistakes the two share."""
    copied_expected: float | None
    """How many they would share if neither copied."""
    copier_p: float | None
    """Of so many in two who do not copy, adjusted for the number of pairs; the least among the annotator's pairs."""
    reason: str | None
    """Why accuracy or skill cannot be told."""


def scorecards(
    connection: duckdb.DuckDBPyConnection, labels: list[str] | None = None, kind: str = "choice"
) -> list[dict[str, Any]]:
    """Return one row per annotator of the relation `vote`, as `Scorecard` describes it, ready for a table or JSON."""
    if kind not in METHODS:
        raise RequestError(f"annotators cannot be scored on {kind!r}; kinds: {', '.join(METHODS)}")
    labels = labels or _labels(connection, kind)
    about = _said(connection)
    if not about["annotator_id"]:
        return []
    scores = scores_of(labels, "ordinal") if kind == "rating" else None
    found = posterior(votes(connection, labels), labels, METHODS[kind], scores=scores)
    said, crowd = answers(connection, labels), model(found)
    able, judged = skill(said, crowd, found)
    columns = {
        **about,
        **_accuracy(found, able),
        "confusion": found.confusion,
        "informativeness": informativeness(found.confusion),
        **_skill(able),
        **_drift(drift(judged, len(found.annotator_ids))),
        **_copies(copies(said, crowd), np.array(about["annotator_id"], dtype=object)),
    }
    values = [_plain(columns[name]) for name in Scorecard._fields]
    return [Scorecard(*row)._asdict() for row in zip(*values, strict=True)]


def _labels(connection: duckdb.DuckDBPyConnection, kind: str) -> list[str]:
    labels = [label for label, _ in relation(connection, "label_code").fetchall()]
    return sorted(labels, key=score) if kind == "rating" else labels


def _said(connection: duckdb.DuckDBPyConnection) -> dict[str, list]:
    """Return what the table itself says of each annotator, in the order of their names."""
    rows = relation(connection, "scorecard_annotator")
    values = rows.fetchall()
    return {name: [row[place] for row in values] for place, name in enumerate(rows.columns)}


def _accuracy(found: Posterior, able: Skill) -> dict[str, Any]:
    """Return accuracies with Jeffreys intervals; null where nobody else says anything of the items."""
    right, wrong = found.accuracy * able.known + 0.5, (1 - found.accuracy) * able.known + 0.5
    is_alone, is_untold = able.answered == 0, np.isnan(able.value)
    return {
        "accuracy": np.where(is_alone, np.nan, found.accuracy),
        "accuracy_low": np.where(is_alone, np.nan, np.minimum(betaincinv(right, wrong, 0.025), found.accuracy)),
        "accuracy_high": np.where(is_alone, np.nan, np.maximum(betaincinv(right, wrong, 0.975), found.accuracy)),
        "reason": np.where(is_alone, ALONE, np.where(is_untold, ALIKE, None)),
    }


def _skill(able: Skill) -> dict[str, Any]:
    return {
        "skill": able.value,
        "skill_low": able.low,
        "skill_high": able.high,
        "is_spammer": _verdict((able.p <= LEVEL) & able.is_guess, able.p),
        "spammer_p": able.p,
    }


def _drift(moved: Drift) -> dict[str, Any]:
    return {
        "accuracy_earlier": moved.earlier,
        "accuracy_later": moved.later,
        "drift": moved.change,
        "drift_low": moved.low,
        "drift_high": moved.high,
        "is_drifting": _verdict(moved.p <= LEVEL, moved.p),
        "drift_p": moved.p,
    }


def _copies(pairs: Copies, annotator_ids: np.ndarray) -> dict[str, Any]:
    """Return for each annotator the pair that is least likely by chance, named where that is less than LEVEL."""
    ends = np.concatenate([pairs.one, pairs.other]), np.concatenate([pairs.other, pairs.one])
    p, alike, expected = (np.tile(column, 2) for column in (pairs.p, pairs.alike, pairs.expected))
    order = np.lexsort((ends[1], expected - alike, p, ends[0]))
    who, first = np.unique(ends[0][order], return_index=True)
    best = order[first]
    named = p[best] <= LEVEL
    rows = {name: np.full(len(annotator_ids), None) for name in ("copier_of", *COPIED)}
    rows["copier_p"][who] = p[best]
    rows["copier_of"][who[named]] = annotator_ids[ends[1][best[named]]]
    rows["copied_mistakes"][who[named]] = alike[best[named]].astype(int)
    rows["copied_expected"][who[named]] = expected[best[named]]
    return rows


def _verdict(is_so: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return whether something is so; None where it was not tested."""
    return np.where(np.isnan(p), None, is_so)


def _plain(column: Any) -> list:
    """Return a column as Python's own values, NaN as None."""
    if not isinstance(column, np.ndarray):
        return list(column)
    return [None if value != value else value for value in column.tolist()]
