"""What the store holds, what the last runs did, what the next would do."""

from typing import Any

from flows.plan import planned
from flows.plan import story as plan_story
from schemas.run import Run, started
from tasks.annotation import versions
from tasks.erasure.plan import unfinished
from tasks.known import known
from tasks.release.certificate import certificate
from tasks.release.folder import current
from tasks.report.wording import certified
from tasks.report.wording import usd as dollars
from tasks.run import totals
from tasks.spending import NOTHING, day_spend, month_spend, run_spend
from tasks.store import Store

RUNS = 10
DAYS = 7


def status(curation: str, home: str | None) -> dict[str, Any]:
    """Return {curation, as_of, store, latest, documents, items, annotations, certificate, spend, erasing, runs, next}."""
    run = started(curation, home=home)
    present = versions.fn(run)
    held = totals.fn(run, present)
    del held["items"]["new"]
    spent = run_spend(run)
    return {
        "curation": run.curation.name,
        "as_of": str(run.as_of),
        "store": str(run.store),
        "latest": current(run.releases),
        **held,
        "certificate": certificate(known(run, present), run.curation.accept, list(run.curation.labels.values)),
        "spend": _spend(run),
        "erasing": [one.erasure_id for one in unfinished(run)],
        "runs": [one | {"spend": spent.get(one["run_id"], NOTHING)} for one in _runs(run.store)],
        "next": planned(run),
    }


def _spend(run: Run) -> dict[str, Any]:
    """Return what models cost on the last days they were asked, and in this month against its budget."""
    return {
        "days": day_spend(run)[:DAYS],
        "month": month_spend(run) | {"budget_usd": run.curation.budget.usd_per_month},
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
        f"  {run['started']}  as of {run['as_of']}  {run['status']}  {run['release'] or ''}{_asked(run['spend'])}"
        for run in found["runs"]
    ]
    return "\n".join([
        f"{found['curation']}  in {found['store']}",
        f"  current release: {found['latest'] or 'none'}",
        f"  records: {documents['read']:,} read = {documents['accepted']:,} items + {documents['duplicate']:,} duplicates"
        f" + {documents['quarantined']:,} quarantined",
        f"  labels: {annotations['total']:,} count, {annotations['waiting']:,} wait for their document, "
        f"{annotations['quarantined']:,} quarantined",
        *(f"    {count:>8,}  {name}" for name, count in annotations["by_annotator"].items()),
        *(f"  audit, as of {found['as_of']}: {said}" for said in certified(found["certificate"])),
        *_spend_lines(found["spend"]),
        *(f"  erasure {one} is not finished: the next `assay erase` finishes it" for one in found["erasing"]),
        "last runs:",
        *(runs or ["  none"]),
        "the next run:",
        plan_story(found["next"]),
    ])  # fmt: skip


def _spend_lines(spend: dict[str, Any]) -> list[str]:
    month, budget = spend["month"], spend["month"]["budget_usd"]
    also = {"lost calls": month["usd_at_risk"], "pending batches": month["usd_pending"]}
    more = "".join(f", and at most {dollars(usd)} for {what}" for what, usd in also.items() if usd)
    limit = "" if budget is None else f", of a budget of {dollars(budget)}"
    days = [f"    {day['day']}  {day['calls']:>8,} calls  {_spent(day)}" for day in spend["days"]]
    return [f"  spent on models this month: {dollars(month['usd'])}{more}{limit}", *days]


def _asked(spend: dict[str, Any]) -> str:
    return f"  {spend['calls']:,} calls, {_spent(spend)}" if spend["calls"] or spend["lost_calls"] else ""


def _spent(spend: dict[str, Any]) -> str:
    risk = spend["usd_at_risk"]
    return dollars(spend["usd"]) + (f" (lost calls: at most {dollars(risk)})" if risk else "")
