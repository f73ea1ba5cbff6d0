"""What the store holds, what the last runs did, what the next would do."""

from typing import Any

from flows.plan import planned
from flows.plan import story as plan_story
from schemas.run import started
from tasks.annotation import versions
from tasks.release.ledger import current
from tasks.run import totals
from tasks.store import Store

RUNS = 10


def status(curation: str, home: str | None) -> dict[str, Any]:
    """Return {curation, store, latest, documents, items, annotations, runs, next}."""
    run = started(curation, home=home)
    held = totals.fn(run, versions.fn(run))
    del held["items"]["new"]
    return {
        "curation": run.curation.name,
        "store": str(run.store),
        "latest": current(run.releases),
        **held,
        "runs": _runs(run.store),
        "next": planned(run),
    }


def _runs(store: Any) -> list[dict[str, Any]]:
    query = f"""
        select
            run_id,
            any_value(as_of)::varchar as as_of,
            any_value(labels) as labels,
            coalesce(max(status), 'unfinished') as status,
            max(release) as release,
            strftime(min(recorded_at), '%Y-%m-%d %H:%M:%S') as started
        from run
        group by run_id
        order by started desc, run_id
        limit {RUNS}
    """
    found = Store(store).connect().sql(query)
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def story(found: dict[str, Any]) -> str:
    """Return the status for people to read."""
    documents, annotations = found["documents"], found["annotations"]
    runs = [
        f"  {run['started']}  as of {run['as_of']}  {run['status']}  {run['release'] or ''}" for run in found["runs"]
    ]
    return "\n".join([
        f"{found['curation']}  in {found['store']}",
        f"  current release: {found['latest'] or 'none'}",
        f"  records: {documents['read']:,} read = {documents['accepted']:,} items + {documents['duplicate']:,} duplicates"
        f" + {documents['quarantined']:,} quarantined",
        f"  labels: {annotations['total']:,} count, {annotations['waiting']:,} wait for their document, "
        f"{annotations['quarantined']:,} quarantined",
        *(f"    {count:>8,}  {name}" for name, count in annotations["by_annotator"].items()),
        "last runs:",
        *(runs or ["  none"]),
        "the next run:",
        plan_story(found["next"]),
    ])  # fmt: skip
