"""What models have cost, and what a run may still spend."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from schemas.curation import Curation
from schemas.errors import RequestError
from schemas.run import Run
from tasks.annotator.chat import QUARANTINED
from tasks.endpoint.price import unpriced
from tasks.sql import relation
from tasks.store import Store

NOTHING = {"calls": 0, "lost_calls": 0, "prompt_tokens": 0, "cached_tokens": 0, "completion_tokens": 0,
           "usd": 0.0, "usd_at_risk": 0.0}  # fmt: skip


def priced(curation: Curation, max_usd: float | None = None) -> None:
    """Raise RequestError for a limit on what has no known price: it could not be kept."""
    budget = curation.budget
    limits = {"--max-usd": max_usd, "budget.usd_per_run": budget.usd_per_run, "budget.usd_per_month": budget.usd_per_month}  # fmt: skip
    limited = [name for name, usd in limits.items() if usd is not None]
    missing = unpriced(curation.models)
    if limited and missing:
        raise RequestError(
            f"{', '.join(limited)} cannot be kept: no price is known for {', '.join(missing)}; "
            "give each its `price: {input: …, output: …}`, in US dollars for a million tokens"
        )


def allowance(run: Run) -> float | None:
    """Return what the run's models may cost, in US dollars: the least of its limits, or None where it has none.

    Of the month's budget it is what calls, lost calls and pending batches have left of it.
    """
    budget = run.curation.budget
    limits = [budget.usd_per_run, run.max_usd]
    if budget.usd_per_month is not None:
        limits.append(max(0.0, budget.usd_per_month - month_spent(run)))
    return min((usd for usd in limits if usd is not None), default=None)


def month_spent(run: Run) -> float:
    """Return what models have cost in the run's calendar month (UTC), in US dollars: what may be charged counts as well."""
    return sum(month_spend(run).values())


def month_spend(run: Run) -> dict[str, float]:
    """Return {usd, usd_at_risk, usd_pending} of the run's calendar month: what is known, lost calls, pending batches."""
    first = month(run.started_at.date())
    following = month(first + timedelta(days=31))
    parameters = {"month": _midnight(first), "next_month": _midnight(following)}
    return _rows(relation(Store(run.store).connect(), "month_spend", **parameters))[0]


def run_spend(run: Run) -> dict[str, dict[str, Any]]:
    """Return what each run has asked of models, by run."""
    return {row.pop("run_id"): row for row in _rows(relation(Store(run.store).connect(), "run_spend"))}


def asked(run: Run) -> dict[str, Any]:
    """Return what a run asked of models, what became of it and what it cost, as the store knows it."""
    connection = Store(run.store).connect()
    found = _rows(relation(connection, "run_spend").filter(f"run_id = '{run.run_id}'"))
    spent = dict(found[0] if found else NOTHING)
    answers = relation(connection, "run_answer", run=run.run_id, set_aside=sorted(QUARANTINED))
    return _rows(answers)[0] | {key: spent[key] for key in NOTHING if key != "lost_calls"} | {
        "calls": spent["calls"] + spent["lost_calls"],
    }  # fmt: skip


def brought(run: Run) -> int:
    """Return how many annotations, of people and of models, a run has added."""
    query = "select count(*) from annotation where run_id = $run"
    return Store(run.store).connect().sql(query, params={"run": run.run_id}).fetchone()[0]


def day_spend(run: Run) -> list[dict[str, Any]]:
    """Return what models cost on each day that they were asked, the latest first."""
    return _rows(relation(Store(run.store).connect(), "day_spend"))


def month(day: date) -> date:
    """Return the first day of a day's month."""
    return day.replace(day=1)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _rows(found: Any) -> list[dict[str, Any]]:
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
