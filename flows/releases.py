"""The published versions of a curation, as the ledger has them, and the targets that hold copies."""

from typing import Any

from schemas.run import started
from tasks.release.folder import current
from tasks.release.latest import states
from tasks.release.ledger import approval_of, digest_of, entries
from tasks.release.target import seen


def releases(curation: str, home: str | None) -> dict[str, Any]:
    """Return {curation, folder, latest, releases: [{release, state, …}], targets: [{kind, path, latest, releases, error}]}."""
    run = started(curation, home=home)
    published = {entry["release"]: entry for entry in entries(run, "published")}
    recut = {entry["release"] for entry in entries(run, "recut")}
    return {
        "curation": run.curation.name,
        "folder": str(run.releases),
        "latest": current(run.releases),
        "releases": [
            _row(published[name], state)
            | {
                "digest": digest_of(run, name),
                "is_here": (run.releases / name).is_dir(),
                "is_recut": name in recut,
                "approved_by": (approval_of(run, name) or {}).get("by"),
            }
            for name, state in states(run).items()
            if name in published
        ],
        "targets": seen(run),
    }


def _row(entry: dict[str, Any], state: str) -> dict[str, Any]:
    return {
        "release": entry["release"],
        "state": state,
        "as_of": str(entry["as_of"]),
        "parent": entry["parent"],
        "published_at": entry["recorded_at"].isoformat(timespec="seconds"),
    }


def story(found: dict[str, Any]) -> str:
    """Return the list for people to read."""
    lines = [
        f"{'→' if row['state'] == 'current' else ' '} {row['release']}  after {row['parent'] or '—':<14} "
        f"manifest {row['digest'][:12]}{_said(row)}"
        for row in found["releases"]
    ]
    return "\n".join([f"{found['curation']}  in {found['folder']}", *(lines or ["  none yet"]), *_targets(found)])


def _said(row: dict[str, Any]) -> str:
    """Return what is to be said of a release beside its name; nothing of one like all others."""
    states = {"current": [], "earlier": [], "missing": ["missing: run its date again"]}
    said = states.get(row["state"], [row["state"]])
    said = said + (["re-cut"] if row["is_recut"] else [])
    return f"  ({', '.join(said)})" if said else ""


def _targets(found: dict[str, Any]) -> list[str]:
    def held(one: dict[str, Any]) -> str:
        return one["error"] or f"{one['latest'] or 'nothing'} is current, of {len(one['releases'])}"

    return [f"  target {one['kind']} {one['path']}: {held(one)}" for one in found["targets"]]
