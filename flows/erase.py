"""A text is removed from everything that is kept, releases too, and never let in again."""

import getpass
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schemas.errors import RequestError
from schemas.run import Run, started
from tasks.erasure import facts, files, plan, recut, report, tables
from tasks.erasure.plan import Plan
from tasks.erasure.scan import Scan
from tasks.erasure.sought import sought
from tasks.erasure.subject import Asked, asked, subject, unknown
from tasks.release import folder, ledger, target
from tasks.release.manifest import digest
from tasks.store import ERASURE, Ids, alone


def erase(
    curation: str, item: str | None, document: str | None, group: str | None, by: str | None, dry_run: bool,
    home: str | None,
) -> dict[str, Any]:  # fmt: skip
    """Return the report of an erasure: {erasure_id, asked, removed, kept, not_ours, scan, signature, …}.

    What an erasure that was killed left undone is done first. Raise RequestError where nothing of that name is here, or
    a run is at work.
    """
    run = started(curation, home=home)
    what = asked(run, item, document, group)
    if not run.store.is_dir():
        raise unknown(run, what)
    with alone(run.store, ERASURE) as is_alone:
        if not is_alone:
            raise RequestError(
                f"{run.curation.name}: a run, an import or another erasure is at work; erase once it has ended"
            )
        if dry_run:
            return _told(run, _planned(run, what, by), None) | {"dry_run": True}
        done = {one.asked: _carried_out(run, one) for one in plan.unfinished(run)}
        return done.get(what) or _carried_out(run, _begun(run, what, by))


def _planned(run: Run, what: Asked, by: str | None) -> Plan:
    """Return what is to go; raise RequestError where that is nothing."""
    gone, done = subject(run, what), facts.finished(run, what.noun, what.subject_id)
    made = Plan(
        Ids(run.curation.name).id("erasure", what.noun, what.subject_id, len(done)),
        what, by or _user(), _now(), gone, sought(run, gone),
    )  # fmt: skip
    found = replace(made, rows=tables.counted(run, made), releases=recut.held(run, gone))
    if not any(found.rows.values()) and not found.releases:
        raise _nothing(run, what, done)
    return replace(found, files=files.counted(run, found), remote=files.remote(run, found))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # one that the system has no name for
        return f"user {os.getuid()}"


def _nothing(run: Run, what: Asked, done: list[tuple[str, datetime]]) -> RequestError:
    """Return the error that says why there is nothing to erase."""
    if done:
        where = run.store / report.FOLDER / f"{done[-1][0]}.json"
        return RequestError(f"that {what.noun} was erased on {done[-1][1]:%Y-%m-%d}: {where} tells what became of it")
    out = facts.kept_out(run)
    if what.subject_id in out.documents | out.items | out.removed:
        return RequestError(
            f"that {what.noun} was erased with another that it was part of; see {run.store / report.FOLDER}"
        )
    return unknown(run, what)


def _begun(run: Run, what: Asked, by: str | None) -> Plan:
    """Return the plan of an erasure, on disk: from here on it is finished, if not by us then by the next one."""
    plan.sweep(run)
    files.take_over(run)
    found = _planned(run, what, by)
    plan.keep(run, found)
    return found


def _carried_out(run: Run, found: Plan) -> dict[str, Any]:
    """Return the report, once everything is gone; each step may be done twice, so a killed one is done again."""
    facts.start(run, found.erasure_id, found.asked, found.gone)
    files.take_over(run)
    files.remove(run, found)
    tables.remove(run, found)
    if run.releases.is_dir():
        with folder.alone(run.releases):
            recut.settle(run)
            for name in folder.on_disk(run.releases):
                recut.recut(run, name, found)
    told = _told(run, found, target.copied(run))
    place = report.write(run, told)
    if is_done(told):
        facts.finish(run, found.erasure_id, found.asked)
        plan.forget(run, found.erasure_id)
    return told | {"report": str(place)}


def is_done(told: dict[str, Any]) -> bool:
    """Return whether an erasure left nothing: no byte where we looked, and no target that it could not reach."""
    return not told["scan"]["bytes_left"] and not any(one["error"] for one in told["removed"]["targets"])


def _told(run: Run, found: Plan, targets: list[dict[str, Any]] | None) -> dict[str, Any]:
    """Return the report of an erasure, signed; of one that is only planned (`targets` is None), without a scan."""
    here = folder.on_disk(run.releases)
    cut = {name: told | {"digest": None if targets is None else digest(run.releases / name)}
           for name, told in found.releases.items() if name in here}  # fmt: skip
    published = {entry["release"] for entry in ledger.entries(run, "published")} - here.keys()
    told = {
        "erasure_id": found.erasure_id,
        "curation": run.curation.name,
        "asked": {"noun": found.asked.noun, "id": found.asked.subject_id},
        "by": found.by,
        "started_at": found.started_at,
        "finished_at": None if targets is None else _now(),
        "documents": found.gone.documents,
        "items": found.gone.items,
        "removed": {"tables": found.rows, "files": found.files, "releases": cut, "targets": targets or []},
        "kept": {"shared": found.gone.shared, "similar": found.gone.similar, "why": report.STAYS},
        "not_ours": {"sources": files.sources(run, found), "batches": found.remote,
                     "releases": sorted(published, key=folder.order)},
        "scan": None if targets is None else _scanned(run, found),
    }  # fmt: skip
    return report.signed(run, told)


def _scanned(run: Run, found: Plan) -> dict[str, Any]:
    """Return {files, bytes, looked_for, bytes_left, left_in} of all that is ours, but the plan, which goes last."""
    scan = Scan(found.sought)
    left = scan.folders(_ours(run))
    looked_for = {"anywhere": len(found.sought.anywhere), "whole": len(found.sought.whole), "kept": found.sought.kept}
    return {
        "files": scan.files,
        "bytes": scan.bytes,
        "looked_for": looked_for,
        "bytes_left": sum(one.bytes for one in left),
        "left_in": [_shown(run, one.place) for one in left],
    }


def _ours(run: Run) -> list[Path]:
    """Return the files and folders that hold what we wrote of a curation."""
    home = [place for place in sorted(run.home.glob("*")) if place.is_file()]
    store = [place for place in sorted(run.store.glob("*")) if place.name != plan.FOLDER]
    return [*home, *store, run.releases, *recut.shelves(run)]


def _shown(run: Run, place: Path) -> str:
    """Return a place relative to the home or the curation, whichever it is in."""
    for root in (run.home, run.folder):
        if place.is_relative_to(root):
            return place.relative_to(root).as_posix()
    return str(place)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def story(found: dict[str, Any]) -> str:
    """Return what became of an erasure, for people to read."""
    removed, kept, not_ours, is_planned = found["removed"], found["kept"], found["not_ours"], found["scan"] is None
    rows = ", ".join(f"{count:,} {table}" for table, count in (removed["tables"] | removed["files"]).items() if count)
    lines = [
        f"{found['curation']}: {found['asked']['noun']} {'would be erased' if is_planned else 'erased'}: "
        f"{len(found['documents']):,} documents, {len(found['items']):,} items",
        f"  removed    {rows or 'no rows'}",
        *(f"  recut      {name}: {cut['rows']:,} rows go" for name, cut in removed["releases"].items()),
        *(f"  target     {one['path']}: {one['error'] or 'in step'}" for one in removed["targets"]),
    ]
    if kept["shared"]:
        lines.append(
            f"  shared     {len(kept['shared']):,} items stay: another document makes them, too: {', '.join(kept['shared'])}"
        )
    if kept["similar"]:
        lines.append(
            f"  similar    {len(kept['similar']):,} items stay, with a text of their own: {', '.join(kept['similar'])}"
        )
    if not_ours["sources"]:
        lines.append(f"  yours      these files hold it still, and are yours to mend: {', '.join(not_ours['sources'])}")
    if not_ours["batches"]:
        lines.append(f"  batches    sent to endpoints: {', '.join(one['remote_id'] for one in not_ours['batches'])}")
    if removed["releases"]:
        lines.append("  notify     whoever took one of these releases has the text still")
    return "\n".join([*lines, *_ending(found)])


def _ending(found: dict[str, Any]) -> list[str]:
    scan = found["scan"]
    if scan is None:
        return ["  nothing was done: without --dry-run it is"]
    lines = [f"  scan       {scan['bytes_left']:,} bytes left in {scan['files']:,} files"]
    if scan["left_in"]:
        lines += [f"             {place}" for place in scan["left_in"]]
    if not is_done(found):
        lines.append("  next       remove these, bring targets back, then `assay erase` again: it goes on from here")
    return [*lines, f"  report     {found['report']}"]
