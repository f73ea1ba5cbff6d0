"""What a run would do, told without doing it."""

from datetime import date
from typing import Any

from flows.backfill import days
from schemas.run import Run, started
from tasks.annotation import needs_pool, unlabelled, versions
from tasks.release.ledger import entries
from tasks.source.intake import unread


def plan(curation: str, as_of: date | None, home: str | None) -> dict[str, Any]:
    """Return what a run for a date would read and ask: {as_of, releases, files, label_files, calls}."""
    return planned(started(curation, as_of, "then", home))


def plan_range(curation: str, start: date, end: date, labels: str, home: str | None) -> dict[str, Any]:
    """Return what a backfill would read and ask: {dates: [what a run for each would]}."""
    return {"dates": [planned(started(curation, day, labels, home)) for day in days(start, end)]}


def planned(run: Run) -> dict[str, Any]:
    """Return what a run would do with what the store holds; items of files not read yet are not counted."""
    only_dated = run.labels == "then"
    present = versions.fn(run)
    return {
        "as_of": str(run.as_of),
        "releases": [entry["release"] for entry in entries(run, "published") if entry["as_of"] == run.as_of],
        "files": [file.path for source in run.curation.sources for file in unread(run, "document", source.path)],
        "label_files": [
            file.path for people in run.curation.people for file in unread(run, "annotation", people.path, only_dated)
        ],
        "calls": {
            model.name: len(unlabelled.fn(run, model, present[model.name]))
            for model in run.curation.models
            if model.name in present
        },
        "waiting": [model.name for model in run.curation.models if needs_pool.fn(run, model)],
    }


def story(result: dict[str, Any]) -> str:
    """Return a plan for people to read."""
    return "\n".join(line for one in result.get("dates", [result]) for line in _lines(one))


def _lines(one: dict[str, Any]) -> list[str]:
    asks = ", ".join(f"{count:,} × {name}" for name, count in one["calls"].items()) or "none"
    lines = [
        f"{one['as_of']}  releases: {', '.join(one['releases']) or 'none yet'}",
        f"            would read {len(one['files'])} files of documents, {len(one['label_files'])} of labels",
        f"            would ask models about items already known: {asks}; and about every item those files bring",
    ]
    if one["waiting"]:
        lines.append(
            f"            {', '.join(one['waiting'])}: would freeze a pool of examples, once people settled enough"
        )
    return lines
