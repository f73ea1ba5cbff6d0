"""The published versions of a curation, as the ledger has them."""

from typing import Any

from schemas.run import started
from tasks.release.ledger import current, entries, order


def releases(curation: str, home: str | None) -> dict[str, Any]:
    """Return {curation, folder, latest, releases: [{release, as_of, parent, digest, published_at, is_here}]}."""
    run = started(curation, home=home)
    listed = [
        {
            "release": entry["release"],
            "as_of": str(entry["as_of"]),
            "parent": entry["parent"],
            "digest": entry["digest"],
            "published_at": entry["recorded_at"].isoformat(timespec="seconds"),
            "is_here": (run.releases / entry["release"]).is_dir(),
        }
        for entry in sorted(entries(run, "published"), key=lambda entry: order(entry["release"]))
    ]
    return {
        "curation": run.curation.name,
        "folder": str(run.releases),
        "latest": current(run.releases),
        "releases": listed,
    }


def story(found: dict[str, Any]) -> str:
    """Return the list for people to read."""
    lines = [
        f"{'→' if row['release'] == found['latest'] else ' '} {row['release']}  after {row['parent'] or '—':<14} "
        f"manifest {row['digest'][:12]}{'' if row['is_here'] else '  (its files are gone: run its date again)'}"
        for row in found["releases"]
    ]
    return "\n".join([f"{found['curation']}  in {found['folder']}", *(lines or ["  none yet"])])
