"""The certificate: what is promised of the labels accepted from a model, the counts it rests on, and how it was made."""

import json
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np
import polars as pl

from schemas.curation import Accept
from tasks import epoch
from tasks.accuracy import Stratum, one_hot, prevalence, stratified
from tasks.certificate import statement, statement_of_slices

NO_CERTIFICATE = "No model's label was accepted without people, so there is nothing to certify."
NO_EPOCH = "Too few items are labelled by the model alone for an audit to begin, so none of its labels is accepted."
CONFIDENCE = 0.95  # of the intervals of accuracy and prevalence


def certificate(connection: duckdb.DuckDBPyConnection, accept: Accept | None, labels: list[str]) -> dict[str, Any]:
    """Return the statement, or the reason why there is none, the counts of each slice, the procedure and the seed.

    `accuracy` is of the labels accepted, `accuracy_all` of all that the epoch covers, `prevalence` of each label there.
    """
    if accept is None:
        return {"statement": None, "reason": NO_CERTIFICATE}
    now = epoch.audited(connection, accept)
    rows, proofs = now.rows, now.proofs
    if not proofs:
        return {"statement": None, "reason": NO_EPOCH} | _asked(accept)
    kept = [proof for proof in proofs if proof.threshold is not None]
    stated, epochs = [_stated(proof, accept) for proof in proofs], _epochs(connection)
    return {
        "statement": _promise(accept, kept, proofs, stated) if kept else None,
        "reason": None if kept else " ".join(stated),
        **_asked(accept),
        **_totals(proofs, kept, rows),
        "seed": epochs[-1]["seed"],
        "epochs": epochs,
        "slices": {_name(proof, len(epochs)): _counts(proof) for proof in proofs} if accept.by_slice else {},
        "batches": [] if accept.by_slice else [_counts(proof) for proof in proofs],
        "tests": [] if accept.by_slice else list(proofs[-1].found.tests),
        "accuracy": _accuracy(now.accepted),
        "accuracy_all": _accuracy(rows),
        "prevalence": _prevalence(rows, labels),
    }


def _asked(accept: Accept) -> dict[str, Any]:
    """Return what was asked for; nothing of it depends on what was found."""
    return {
        "claim": accept.claim,
        "method": epoch.claim(accept).method,
        "max_error": accept.max_error,
        "confidence": accept.confidence,
        "by_slice": accept.by_slice,
    }


def _stated(proof: epoch.Proof, accept: Accept) -> str:
    named = proof.slice if accept.by_slice else None
    if not proof.is_due:
        planned, whose = min(accept.audit, proof.found.items), f"In slice {named}: " if named else ""
        return (
            f"{whose}The batch is looked at once its audit is answered: {planned:,} planned, {proof.drawn:,} drawn so far, "
            f"{proof.found.answered:,} answered."
        )
    return statement(epoch.claim(accept), proof.found, named)


def _name(proof: epoch.Proof, epochs: int) -> str:
    """Return the name of a proof's slice; where there are several batches, with the batch's number."""
    return proof.slice if epochs == 1 else f"{proof.slice} (batch {proof.generation + 1})"


def _promise(accept: Accept, kept: list[epoch.Proof], proofs: list[epoch.Proof], stated: list[str]) -> str:
    if accept.by_slice:
        return statement_of_slices(epoch.claim(accept), len(kept), len(proofs))
    return " ".join(stated[proofs.index(proof)] for proof in kept)


def _totals(proofs: list[epoch.Proof], kept: list[epoch.Proof], rows: pl.DataFrame) -> dict[str, Any]:
    """Return the counts over all slices; the threshold where there is one slice only."""
    accepted = sum(proof.found.accepted for proof in kept)
    return {
        "threshold": kept[0].threshold if len(proofs) == 1 and kept else None,
        "items": len(rows),
        "accepted": accepted,
        "accepted_share": accepted / len(rows) if len(rows) else 0.0,
        "drawn": sum(proof.drawn for proof in proofs),
        "audited": sum(proof.found.answered for proof in proofs),
        "errors": int(rows.filter(pl.col("is_answered") & pl.col("is_wrong")).height),
        "audited_accepted": sum(proof.found.audited_accepted for proof in kept),
        "errors_accepted": sum(proof.found.errors_accepted for proof in kept),
        "upper": kept[0].found.upper if len(proofs) == 1 and kept else None,
    }


def _counts(proof: epoch.Proof) -> dict[str, Any]:
    found = asdict(proof.found) | {"threshold": proof.threshold, "drawn": proof.drawn}
    return found | {"audited": proof.found.answered}


def _epochs(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return the epochs in force, the last one last: what was fixed when each was opened, and why it was."""
    names = ("epoch_id", "generation", "ordinal", "reason", "previous", "seed", "opened_on", "terms", "thresholds")
    query = """
        select epoch_id, generation, ordinal, reason, previous, seed, available_on::varchar, terms, thresholds
        from epoch_now order by generation
    """
    rows = [dict(zip(names, row, strict=True)) for row in connection.sql(query).fetchall()]
    return [row | {key: json.loads(row[key]) for key in ("terms", "thresholds")} for row in rows]


def _accuracy(rows: pl.DataFrame) -> dict[str, Any] | None:
    """Return the share of labels that are right with its interval; None where there are no items."""
    parts = [_ordered(part) for _, part in rows.group_by("epoch_id", "slice", maintain_order=True)]
    strata = [Stratum(*_columns(part, ~part["is_wrong"].to_numpy(), part["score"].to_numpy())) for part in parts]
    return asdict(stratified(strata, confidence=CONFIDENCE)) if strata else None


def _prevalence(rows: pl.DataFrame, labels: list[str]) -> dict[str, Any]:
    """Return the share of items each label is the true one of, with its interval."""
    if rows.is_empty():
        return {}
    part = _ordered(rows)
    truth, foretold, pool, weights = _columns(part, part["answer"].to_numpy(), one_hot(part["label"].to_list(), labels))
    pending = len(foretold) - len(truth)
    found = prevalence(truth, foretold, pool, labels, weights=weights, confidence=CONFIDENCE, pending=pending)
    return {label: asdict(one) for label, one in found.items()}


def _ordered(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the items that could have been drawn: answered, then pending, then those not drawn; with each one's chance."""
    chances = [_chanced(part) for _, part in rows.group_by("epoch_id", "slice", maintain_order=True)]
    return pl.concat(chances).filter(pl.col("chance") > 0).sort(
        pl.col("is_answered").fill_null(False).not_(), pl.col("place").is_null(), "item_id"
    ).with_columns(pl.col("is_wrong").fill_null(True))  # fmt: skip


def _chanced(part: pl.DataFrame) -> pl.DataFrame:
    """Return the items of a slice with the chance that each had, by now, of having been drawn: one of its nights' each.

    An item that joined on a night could be drawn for the audit on that night and on every later one, and to keep watch
    on its own.
    """
    drawn = part.filter(pl.col("place").is_not_null())
    nights = dict(
        drawn.filter(policy="audit").group_by("drawn_on").agg(pl.col("inclusion_probability").first()).iter_rows()
    )
    watch = dict(
        drawn.filter(policy="watch").group_by("drawn_on").agg(pl.col("inclusion_probability").first()).iter_rows()
    )
    joined = sorted(part["available_on"].unique())
    chance = {
        night: 1
        - (1 - watch.get(night, 0.0)) * float(np.prod([1 - nights[one] for one in sorted(nights) if one >= night]))
        for night in joined
    }
    return part.with_columns(pl.col("available_on").replace_strict(chance, return_dtype=pl.Float64).alias("chance"))


def _columns(part: pl.DataFrame, truth: np.ndarray, foretold: np.ndarray) -> tuple[Any, ...]:
    """Return truth of the answered, what was foretold of the drawn and of the others, and weights unless all are alike."""
    answered, drawn = int(part["is_answered"].fill_null(False).sum()), int(part["place"].is_not_null().sum())
    chance = part["chance"].to_numpy()[:drawn]
    alike = all(one == other for one, other in pairwise(chance))
    return truth[:answered], foretold[:drawn], foretold[drawn:], None if alike else 1 / chance
