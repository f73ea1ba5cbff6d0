"""An epoch: the terms fixed before its first audit, and what its audit has proven of models' labels by now."""

import json
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
import polars as pl

from schemas.curation import Accept, Curation, Review
from schemas.errors import RequestError
from schemas.run import Run
from tasks.annotator.version import guideline_version, guidelines
from tasks.certificate import Claim, Found, Grid, Sample, certify, change, least_audits
from tasks.text import canonical

SCORE = "max_probability"  # what a label is accepted by: the greatest probability of its model's distribution
LATE_DAYS = 7  # after which an audit without an answer counts as an error of what is accepted: somebody has to look
ALL = ""  # names the one slice there is where the promise is not made by slice


@dataclass(frozen=True)
class Proof:
    """What the audit of an epoch proves of one slice."""

    epoch_id: str
    generation: int
    slice: str
    found: Found
    drawn: int
    is_due: bool
    """Whether it may be looked at: a stream always, a batch once all that was drawn is answered."""

    @property
    def threshold(self) -> float | None:
        """Return the score from which labels are accepted; None where none is."""
        return self.found.threshold if self.is_due else None


@dataclass(frozen=True)
class Audited:
    """What the epochs in force cover, and what is proven of it."""

    rows: pl.DataFrame
    """One row per epoch and item it covers, with its draw and its answer where it was drawn."""
    proofs: list[Proof]
    """One per epoch and slice."""

    @property
    def accepted(self) -> pl.DataFrame:
        """Return the rows whose label is accepted."""
        limits = [
            (proof.epoch_id, proof.slice, proof.threshold) for proof in self.proofs if proof.threshold is not None
        ]
        kinds = {"epoch_id": pl.String, "slice": pl.String, "threshold": pl.Float64}
        rows = self.rows.join(pl.DataFrame(limits, schema=kinds, orient="row"), on=["epoch_id", "slice"])
        return rows.filter(pl.col("score") >= pl.col("threshold"))


def terms(run: Run, versions: dict[str, str]) -> str:
    """Return what a change of ends an epoch, as JSON; empty where no model's label may be accepted now."""
    accept, model = run.curation.accept, run.curation.accepted_model
    if accept is None or model is None or model.name not in versions:
        return ""
    fixed = {
        "annotator": model.name,
        "version": versions[model.name],
        "guideline": guideline_version(guidelines(run.curation.labels, run.folder)),
        "labels": list(run.curation.labels.values),
        "score": SCORE,
        "calibration": model.calibration,
        "claim": accept.claim,
        "max_error": accept.max_error,
        "confidence": accept.confidence,
        "by_slice": accept.by_slice,
    }
    # a stream may be looked at as often as one likes, so a longer audit is no other promise; a batch only once
    return canonical(fixed | ({"audit": accept.audit} if accept.claim == "batch" else {}))


def claim(accept: Accept) -> Claim:
    """Return the promise that a curation wants to make of the labels it accepts."""
    return Claim(accept.max_error, accept.confidence, "stream" if accept.claim == "stream" else "hypergeometric")


def attainable(curation: Curation) -> None:
    """Raise RequestError where the curation accepts models' labels on terms that no audit can ever meet."""
    if curation.accept:
        least_answers(curation)


def least_answers(curation: Curation, slices: int = 1) -> dict[str, Any]:
    """Return the fewest answers that can certify what is asked for, all right, and what people's time for them costs.

    {slices, least, least_cost, audit, cost}: numbers are of all slices together, costs {minutes, usd}, usd null where an
    answer has no price. Raise RequestError where the audit is smaller than the least: no answers could ever certify anything.
    """
    accept, review = curation.accept, curation.review
    least = least_audits(claim(accept), slices=slices)
    if accept.audit < least:
        each = " in each slice" if slices > 1 else ""
        raise RequestError(
            f"accept: an audit of {accept.audit:,} can never certify an error of at most {accept.max_error:.2%} with "
            f"{accept.confidence:.1%} confidence: it takes {least:,} answers{each}, all of them right; "
            "raise `audit` or `max_error`, or lower `confidence`"
        )
    numbers = {"least": least * slices, "audit": accept.audit * slices}
    costs = {name: _cost(review, number) for name, number in numbers.items()}
    return {"slices": slices, **numbers, "least_cost": costs["least"], "cost": costs["audit"]}


def _cost(review: Review, answers: int) -> dict[str, float | None]:
    usd = None if review.usd_per_item is None else round(answers * review.usd_per_item, 2)
    return {"minutes": round(answers * review.seconds_per_item / 60, 1), "usd": usd}


def slices_of(rows: pl.DataFrame, accept: Accept) -> pl.Series:
    """Return the slice each row is certified in."""
    return rows["slice"].fill_null(ALL) if accept.by_slice else pl.repeat(ALL, len(rows), dtype=pl.String, eager=True)


def audited(connection: duckdb.DuckDBPyConnection, accept: Accept) -> Audited:
    """Return what the epochs in force cover, and what their audits prove, epoch by epoch and slice by slice."""
    rows = connection.sql("""
        select
            candidate_now.*, draw_now.place, draw_now.policy, draw_now.inclusion_probability,
            draw_now.available_on as drawn_on, draw_now.answer, draw_now.is_answered, draw_now.is_wrong
        from candidate_now
        left join draw_now using (epoch_id, item_id)
        order by epoch_id, item_id
    """).pl()
    rows = rows.with_columns(slices_of(rows, accept).alias("slice"))
    epochs = connection.sql("select epoch_id, generation, thresholds from epoch_now order by generation").fetchall()
    found = [
        proof
        for epoch_id, generation, thresholds in epochs
        for proof in _proofs(rows.filter(epoch_id=epoch_id), epoch_id, generation, json.loads(thresholds), accept)
    ]
    return Audited(rows, found)


def _proofs(rows: pl.DataFrame, epoch_id: str, generation: int, grids: dict[str, Any], accept: Accept) -> list[Proof]:
    found = []
    for name, grid in grids.items():
        some = rows.filter(pl.col("slice") == name)
        grid = Grid(**{key: tuple(value) for key, value in grid.items()})
        drawn, answered = some["place"].is_not_null().sum(), some["is_answered"].fill_null(False).sum()
        is_whole = drawn >= min(accept.audit, len(some)) and answered == drawn
        result = certify(_sample(some), grid, claim(accept), slices=len(grids))
        found.append(Proof(epoch_id, generation, name, result, drawn, accept.claim == "stream" or is_whole))
    return found


def _sample(rows: pl.DataFrame) -> Sample:
    """Return what is certified of one slice's items: their scores, and how their audit went."""
    return Sample(
        score=rows["score"].to_numpy(),
        place=rows["place"].fill_null(0).to_numpy().astype(np.int64),
        wrong=rows["is_wrong"].fill_null(False).to_numpy(),
        answered=rows["is_answered"].fill_null(False).to_numpy(),
    )


def accepted(connection: duckdb.DuckDBPyConnection, accept: Accept | None) -> pl.DataFrame:
    """Return {item_id, label} of everything that a certificate accepts now, whatever people say of it."""
    if accept is None:
        return pl.DataFrame(schema={"item_id": pl.String, "label": pl.String})
    return audited(connection, accept).accepted.select("item_id", "label").sort("item_id")


def ended(connection: duckdb.DuckDBPyConnection, accept: Accept, as_of: date) -> str | None:
    """Return why the certificate of a stream no longer holds, as `scores_changed on DATE`; None where it does."""
    now = audited(connection, accept)
    for proof in now.proofs:
        covered, taken = (rows.filter(pl.col("slice") == proof.slice) for rows in (now.rows, now.accepted))
        why = _scores_changed(covered, len(now.proofs)) or _errors_changed(taken, accept, as_of, len(now.proofs))
        if why:
            return f"{why} in {proof.slice}" if accept.by_slice else why
    return None


def _scores_changed(rows: pl.DataFrame, slices: int) -> str | None:
    rows = rows.sort("available_on", "draw_position")
    nights = [night["score"].to_numpy() for _, night in rows.group_by("available_on", maintain_order=True)]
    if len(nights) < 2 or not (moved := change.score_change(nights[1:], nights[0], streams=slices)).alarm:
        return None
    return f"scores_changed on {rows['available_on'].unique().sort()[1 + moved.at]}"


def _errors_changed(taken: pl.DataFrame, accept: Accept, as_of: date, slices: int) -> str | None:
    """Return that accepted labels err more often than promised; what nobody has answered for LATE_DAYS counts as wrong."""
    is_late = pl.col("drawn_on") <= as_of - timedelta(days=LATE_DAYS)
    counted = taken.filter(pl.col("is_answered") | is_late).sort("place")
    moved = change.risk_change(counted["is_wrong"].to_numpy(), accept.max_error, streams=slices)
    return f"errors_changed at audit {counted['place'][moved.at]}" if moved.alarm else None


def as_json(grid: Grid) -> dict[str, Any]:
    """Return a grid as the epoch's fact keeps it."""
    return asdict(grid)
