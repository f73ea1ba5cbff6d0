"""What a run would do, told without doing it."""

from datetime import date
from typing import Any

from flows.backfill import days
from schemas.run import Run, started
from tasks.annotation import needs_pool, unlabelled, versions
from tasks.estimate import bodies, estimate, known_rows, total
from tasks.release.ledger import entries
from tasks.report.wording import usd as dollars
from tasks.source.intake import unread
from tasks.spending import priced


def plan(curation: str, as_of: date | None, home: str | None) -> dict[str, Any]:
    """Return what a run for a date would read and ask: {as_of, releases, files, label_files, calls, usd}."""
    return planned(_limited(started(curation, as_of, "then", home)))


def plan_range(curation: str, start: date, end: date, labels: str, home: str | None) -> dict[str, Any]:
    """Return what a backfill would read and ask: {dates: [what a run for each would]}."""
    return {"dates": [planned(_limited(started(curation, day, labels, home))) for day in days(start, end)]}


def _limited(run: Run) -> Run:
    priced(run.curation)
    return run


def planned(run: Run) -> dict[str, Any]:
    """Return what a run would do with what the store holds; items of files not read yet are not counted."""
    only_dated = run.labels == "then"
    present = versions.fn(run)
    # of a cascade nobody knows yet what its first model will be unsure of: all, at most
    missing = {
        model.name: unlabelled.fn(run, model.model_copy(update={"only_where": None}), present)
        for model in run.curation.models
        if model.name in present
    }
    costs = {
        model.name: estimate(model, bodies(run, model, known_rows(run, missing[model.name])), len(missing[model.name]))
        for model in run.curation.models
        if model.name in missing
    }
    return {
        "as_of": str(run.as_of),
        "releases": [entry["release"] for entry in entries(run, "published") if entry["as_of"] == run.as_of],
        "files": [file.path for source in run.curation.sources for file in unread(run, "document", source.path)],
        "label_files": [
            file.path for people in run.curation.people for file in unread(run, "annotation", people.path, only_dated)
        ],
        "items": {name: len(items) for name, items in missing.items()},
        "calls": {name: cost["calls"] for name, cost in costs.items()},
        "usd_by_annotator": {name: cost["usd"] for name, cost in costs.items()},
        "usd": total(list(costs.values()), "usd"),
        "waiting": [model.name for model in run.curation.models if needs_pool.fn(run, model)],
    }


def story(result: dict[str, Any]) -> str:
    """Return a plan for people to read."""
    return "\n".join(line for one in result.get("dates", [result]) for line in _lines(one))


def _lines(one: dict[str, Any]) -> list[str]:
    costs = one["usd_by_annotator"]
    asks = ", ".join(f"{count:,} × {name} ({dollars(costs[name])})" for name, count in one["calls"].items()) or "none"
    lines = [
        f"{one['as_of']}  releases of that date: {', '.join(one['releases']) or 'none yet'}",
        f"            would read {len(one['files'])} files of documents, {len(one['label_files'])} of labels",
        f"            would ask models about items already known: {asks}; and about every item those files bring",
    ]
    if one["waiting"]:
        lines.append(
            f"            {', '.join(one['waiting'])}: would freeze a pool of examples, once people settled enough"
        )
    return lines
