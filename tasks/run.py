"""A run: when it began, how it ended, and what it says of itself."""

import json
from datetime import UTC, datetime
from typing import Any

from schemas.errors import AssayError
from schemas.run import Run
from tasks.draft import discard, sweep
from tasks.known import known
from tasks.sql import relation
from tasks.stage import stage
from tasks.store import Store


@stage
def begin(run: Run) -> None:
    """Write down that the run started, and clear what killed runs left behind."""
    sweep(run.store)
    _record(run, "started", run.started_at)


@stage
def finish(run: Run, summary: dict[str, Any]) -> None:
    """Write down how the run ended, and its summary; its drafts go, and the store is tidied."""
    discard(run)
    Store(run.store).tidy()
    _record(
        run,
        "ended",
        datetime.now(UTC),
        status=summary["status"],
        release=summary["release"],
        summary=json.dumps(summary),
    )


def _record(run: Run, event: str, at: datetime, **columns: Any) -> None:
    row = {
        "event_id": f"{run.run_id}:{event}",
        "run_id": run.run_id,
        "event": event,
        "as_of": run.as_of,
        "labels": run.labels,
        "status": None,
        "release": None,
        "summary": None,
        "recorded_at": at,
    }
    try:
        Store(run.store).merge("run", [row | columns])
    except OSError as error:
        raise AssayError(f"{run.store}: cannot be written ({error.strerror or error})") from None


@stage
def totals(run: Run, versions: dict[str, str]) -> dict[str, Any]:
    """Return what the store holds as of the run: documents, items, annotations by annotator, labels that wait."""
    connection = known(run, versions)
    read, accepted, quarantined = relation(connection, "record_count").fetchone()
    people, models = connection.table("vote"), connection.table("model_vote").filter("label is not null")
    by_annotator = dict(people.aggregate("annotator_id, count(*)").order("annotator_id").fetchall())
    by_annotator |= dict(models.aggregate("annotator_id, count(*)").order("annotator_id").fetchall())
    new = connection.sql("select count(*) from item where run_id = $run", params={"run": run.run_id}).fetchone()[0]
    waiting, set_aside = relation(connection, "annotation_count").fetchone()[3:]
    return {
        "documents": {
            "read": read,
            "accepted": accepted,
            "duplicate": read - accepted - quarantined,
            "quarantined": quarantined,
        },
        "items": {"total": len(connection.table("known_item")), "new": new},
        "annotations": {
            "total": len(people) + len(models),
            "by_annotator": by_annotator,
            "waiting": waiting,
            "quarantined": set_aside,
        },
    }
