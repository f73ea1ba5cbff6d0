"""An earlier release becomes the current one again, for good: every later one is withdrawn."""

from typing import Any

from schemas.errors import RequestError
from schemas.run import started
from tasks.release.folder import alone, current
from tasks.release.latest import return_to
from tasks.release.target import copied


def rollback(curation: str, release: str, home: str | None) -> dict[str, Any]:
    """Return {curation, latest, path, withdrawn, targets} once a release is the current one again."""
    run = started(curation, home=home)
    if not run.releases.is_dir():
        raise RequestError(f"{run.curation.name}: nothing was published yet")
    with alone(run.releases):
        withdrawn = return_to(run, release)
    latest = current(run.releases)
    return {
        "curation": run.curation.name,
        "latest": latest,
        "path": str(run.releases / latest),
        "withdrawn": withdrawn,
        "targets": copied(run),
    }


def story(found: dict[str, Any]) -> str:
    """Return what was done, for people to read."""
    lines = [
        f"{found['curation']}: {found['latest']} is the current release again",
        f"  withdrawn for good: {', '.join(found['withdrawn'])}",
        *(
            f"  ! target {one['path']}: {one['error']}; the next run tries again"
            for one in found["targets"]
            if one["error"]
        ),
        "  the next run with other labels, data or settings publishes anew, after this one",
    ]
    return "\n".join(lines)
