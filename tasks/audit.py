"""Items that a model has labelled and no person: a uniform random sample of them is drawn for people to audit."""

import json
from typing import Any

import duckdb
import polars as pl
from prefect import get_run_logger

from schemas.curation import Accept
from schemas.run import Run
from tasks import epoch
from tasks.certificate import least_audits, thresholds
from tasks.known import known
from tasks.sql import relation
from tasks.stage import stage
from tasks.store import Ids, Store, alone
from tasks.store.ids import share

NONE = "{}"  # thresholds of an epoch that accepts nothing
WATCH = 20  # a night's queue holds one audit in so many once the epoch has its audit: it tells when errors grow


@stage
def draw_audit(run: Run, versions: dict[str, str]) -> dict[str, int]:
    """Return {joined, drawn}: how many items the epoch in force covers anew, and how many of them people are to audit.

    Opens an epoch where none is in force, and the next one where the certificate of this one has expired. A run for a
    date before the last that drew adds nothing: what it would draw was drawn, or not, when that was the present.
    """
    accept, counts = run.curation.accept, {"joined": 0, "drawn": 0}
    if accept is None:
        return counts
    if not epoch.terms(run, versions):
        get_run_logger().info("the audit waits: %s has no version yet", run.curation.accepted_model.name)
        return counts
    with alone(run.store, "audit", wait=True):
        connection = known(run, versions)
        if _is_past(connection, run):
            return counts
        if _is_open(connection, run) and (joined := _join(connection, run)):
            counts["joined"], connection = joined, known(run, versions)
        if why := _renewal(connection, run):
            counts["joined"] += _open(connection, run, why)
            connection = known(run, versions)
        counts["drawn"] = _draw(connection, run)
    get_run_logger().info("%d items joined the epoch, %d drawn for the audit", counts["joined"], counts["drawn"])
    return counts


def _is_past(connection: duckdb.DuckDBPyConnection, run: Run) -> bool:
    query = (
        "select max(available_on) from (from epoch select available_on union all from candidate select available_on)"
    )
    (last,) = connection.sql(query).fetchone()
    return last is not None and last > run.as_of


def _is_open(connection: duckdb.DuckDBPyConnection, run: Run) -> bool:
    """Return whether an epoch is in force that still takes items in: a batch does not, once it has some."""
    is_batch = run.curation.accept.claim == "batch"
    taking = "from epoch_now anti join candidate_now using (epoch_id)" if is_batch else "from epoch_now"
    return bool(connection.sql(f"select count(*) {taking} where thresholds <> '{NONE}'").fetchone()[0])


def _renewal(connection: duckdb.DuckDBPyConnection, run: Run) -> str | None:
    """Return why a new epoch is to be opened; None where the one in force stays."""
    accept, (terms,) = run.curation.accept, connection.sql("select getvariable('terms')").fetchone()
    last = connection.sql("select terms from epoch order by recorded_at desc, generation desc limit 1").fetchone()
    now = connection.sql("select reason, thresholds from epoch_now order by generation desc limit 1").fetchone()
    if now is None:
        return _changed(json.loads(last[0]), json.loads(terms)) if last else "first"
    if now[1] == NONE:
        return now[0]  # why the one before it expired: there were too few items for another audit
    if accept.claim == "batch":
        latest = epoch.audited(connection, accept).proofs
        newest = [proof for proof in latest if proof.generation == latest[-1].generation]
        return "next batch" if all(proof.is_due for proof in newest) else None
    return epoch.ended(connection, accept, run.as_of)


def _changed(before: dict[str, Any], now: dict[str, Any]) -> str:
    return ", ".join(sorted(key for key in before | now if before.get(key) != now.get(key))) or "resumed"


def _open(connection: duckdb.DuckDBPyConnection, run: Run, why: str) -> int:
    """Return how many items the new epoch covers.

    Where there are too few to certify any, none is opened; but after one that expired there is one that accepts nothing.
    """
    ids, (terms,) = Ids(run.curation.name), connection.sql("select getvariable('terms')").fetchone()
    last = connection.sql("select * from epoch_now order by generation desc limit 1").pl().to_dicts()
    if run.curation.accept.claim == "stream":  # of what the one before covered, all that no person has labelled
        connection.execute("create or replace view candidate_now as select * from candidate where false")
    rows = relation(connection, "candidate_fresh").pl()
    grids = json.dumps(_grids(rows, run.curation.accept))
    has_expired = bool(last) and run.curation.accept.claim == "stream" and last[0]["thresholds"] != NONE
    if grids == NONE and not has_expired:
        if len(rows):
            get_run_logger().info("no epoch is opened (%s): too few of %d items to certify any", why, len(rows))
        return 0
    (ordinal, previous) = connection.sql(
        "select count(*) + 1, arg_max(epoch_id, (recorded_at, generation)) from epoch"
    ).fetchone()
    generation = last[0]["generation"] + 1 if last else 0
    epoch_id = ids.id("epoch", terms, generation)
    opened = {
        "epoch_id": epoch_id, "generation": generation, "ordinal": ordinal, "terms": terms, "thresholds": grids,
        "previous": previous, "reason": why, "seed": ids.id("seed", epoch_id),
    } | _stamp(run)  # fmt: skip
    Store(run.store).merge("epoch", [opened])
    get_run_logger().info("an epoch begins (%s); models' labels are accepted once its audit has cleared them", why)
    return _joined(run, epoch_id, opened["seed"], rows) if grids != NONE else 0


def _grids(rows: pl.DataFrame, accept: Accept) -> dict[str, Any]:
    """Return the grid of each slice that has enough items for its audit to certify any; the others stay people's."""
    of_slice = rows.with_columns(epoch.slices_of(rows, accept).alias("slice"))
    parts = {name: part for (name,), part in of_slice.sort("slice").group_by("slice", maintain_order=True)}
    claim, names = epoch.claim(accept), sorted(parts)
    while names:
        least = least_audits(claim, slices=len(names))
        enough = [name for name in names if min(len(parts[name]), accept.audit) >= least]
        if enough == names:
            break
        names = enough
    return {
        name: epoch.as_json(thresholds(parts[name]["score"].to_numpy(), claim, accept.audit, len(names)))
        for name in names
    }


def _join(connection: duckdb.DuckDBPyConnection, run: Run) -> int:
    """Return how many items join the epoch that was opened last."""
    (epoch_id, seed) = connection.sql("select epoch_id, seed from epoch_now order by generation desc").fetchone()
    return _joined(run, epoch_id, seed, relation(connection, "candidate_fresh").pl())


def _joined(run: Run, epoch_id: str, seed: str, rows: pl.DataFrame) -> int:
    """Return how many items are new to the epoch; its facts say so from here on."""
    ids, by_slice = Ids(run.curation.name), run.curation.accept.by_slice
    return Store(run.store).merge("candidate", [{
        "candidate_id": ids.id("candidate", epoch_id, item_id), "epoch_id": epoch_id, "item_id": item_id,
        "label": label, "score": score, "slice": name if by_slice else None, "draw_position": share(seed, item_id),
    } | _stamp(run) for item_id, label, score, name in rows.select("item_id", "label", "score", "slice").iter_rows()])  # fmt: skip


def _draw(connection: duckdb.DuckDBPyConnection, run: Run) -> int:
    """Return how many items were drawn: up to the audit of each slice, later a few of the night's; never over the queue."""
    accept = run.curation.accept
    last = connection.sql("select epoch_id, thresholds, seed from epoch_now order by generation desc").fetchone()
    if last is None:
        return 0
    epoch_id, grids, seed = last
    rows = epoch.audited(connection, accept).rows.filter(epoch_id=epoch_id)
    rows = rows.filter(pl.col("slice").is_in(list(json.loads(grids))))
    room = run.curation.review.items - (rows["place"].is_not_null() & ~rows["is_answered"].fill_null(False)).sum()
    chosen = _audit(rows, accept.audit, room)
    if not chosen and accept.claim == "stream":
        chosen = _watch(rows.filter(available_on=run.as_of), run.curation.review.items // WATCH, room)
    ids, drawn = Ids(run.curation.name), rows["place"].max() or 0
    return Store(run.store).merge("draw", [{
        "draw_id": ids.id("draw", epoch_id, item_id), "epoch_id": epoch_id, "item_id": item_id, "policy": policy,
        "place": drawn + number, "inclusion_probability": chance, "seed": seed,
    } | _stamp(run) for number, (item_id, policy, chance) in enumerate(chosen, start=1)])  # fmt: skip


def _audit(rows: pl.DataFrame, audit: int, room: int) -> list[tuple[str, str, float]]:
    """Return item, policy and chance of the next draws of each slice, the smallest need first, as far as there is room."""
    parts = [part for _, part in rows.sort("slice").group_by("slice", maintain_order=True)]
    open_parts = [(part.filter(pl.col("place").is_null()), audit - part["place"].is_not_null().sum()) for part in parts]
    needs = sorted(((min(need, len(part)), part) for part, need in open_parts), key=lambda pair: pair[0])
    chosen = []
    for left, (need, part) in zip(range(len(needs), 0, -1), needs, strict=True):
        some = _lowest(part, min(need, max(room, 0) // left), "audit")
        chosen += some
        room -= len(some)
    return chosen


def _watch(tonight: pl.DataFrame, most: int, room: int) -> list[tuple[str, str, float]]:
    """Return item, policy and chance of the few of the night's new items, of each slice, that tell whether errors grow."""
    parts = [part for _, part in tonight.sort("slice").group_by("slice", maintain_order=True)]
    chosen = []
    for part in parts:
        undrawn = part.filter(pl.col("place").is_null())
        left = max(most // len(parts), 1) - (len(part) - len(undrawn))
        chosen += _lowest(undrawn, min(left, max(room, 0) - len(chosen)), "watch")
    return chosen


def _lowest(part: pl.DataFrame, count: int, policy: str) -> list[tuple[str, str, float]]:
    """Return the items with the lowest draw positions: each of those present had the same chance."""
    count = min(count, len(part))
    if count <= 0:
        return []
    return [(item_id, policy, count / len(part)) for item_id in part.sort("draw_position")["item_id"][:count]]


def _stamp(run: Run) -> dict[str, Any]:
    return {"available_on": run.as_of, "recorded_at": run.started_at, "run_id": run.run_id}
