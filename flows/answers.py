"""People's answers are taken in from a file: every one is stored, known already, or set aside with a reason."""

import os
from datetime import date
from pathlib import Path
from typing import Any

from schemas.errors import RequestError, SourceRefused
from schemas.run import Run, started
from tasks.annotator.human import Writer
from tasks.handout import FORMATS, Answers, Parser, recognised
from tasks.source import File
from tasks.source.intake import Intake, take
from tasks.sql import relation
from tasks.store import Store, alone, at_work

NOUN = "annotation"
ARCHIVE = b"PK\x03\x04"  # how a zip file begins, and a workbook, which is one


def answers(
    curation: str, path: Path, form: str | None, annotator: str | None, as_of: date | None, home: str | None
) -> dict[str, Any]:
    """Return {curation, file, format, as_of, read, accepted, duplicate, quarantined, skipped, reasons, …} of a file.

    `read` = accepted + duplicate + quarantined; those left without a label are skipped, and not among them. Raise
    SourceRefused where there are answers and none can be used.
    """
    if form is not None and form not in FORMATS:
        raise RequestError(f"--format {form}: one of {', '.join(FORMATS)} expected")
    run = started(curation, as_of, home=home)
    file = _file(path, run.as_of)
    form = form or recognised(file)
    reading, is_known = Answers(file, form, run), _is_known(run, file)
    told = {"labels": list(run.curation.labels.values), "format": form, "annotator": annotator}
    with (
        at_work(run.store),
        alone(run.store, "import", wait=True),
    ):  # two imports of one file would both count what is new
        counts = take(run, NOUN, file, told, reading, Parser(run, annotator), Writer(run))
    if counts.read and counts.quarantined == counts.read:
        raise SourceRefused(_refusal(path.name, counts))
    (audits,) = relation(Store(run.store).connect(), "audit_answered", run=run.run_id).fetchone()
    return {
        "curation": run.curation.name,
        "file": path.name,
        "format": form,
        "as_of": str(run.as_of),
        "read": counts.read,
        "accepted": counts.accepted,
        "duplicate": counts.duplicate,
        "quarantined": counts.quarantined,
        "skipped": reading.skipped,
        "reasons": counts.reasons,
        "damaged": reading.damage,
        "audits_answered": audits,
        "is_known_file": is_known,
    }


def _file(path: Path, as_of: date) -> File:
    """Return the file to read; raise RequestError where it is none that can be."""
    if path.is_dir():
        raise RequestError(f"{path} is a folder: name a file in it")
    if not path.exists():
        raise RequestError(f"there is no file {path}")
    if not path.is_file():
        raise RequestError(f"{path} is no regular file")
    try:
        with path.open("rb") as stream:
            head = stream.read(len(ARCHIVE))
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}") from None
    if head == ARCHIVE:
        raise RequestError(f"{path.name} is an archive or a workbook: unpack it, or save it as csv, and import what comes out")  # fmt: skip
    state = path.stat()
    name = os.fsencode(path.name).decode("utf-8", "backslashreplace")
    return File(name, path, as_of, state.st_size, state.st_mtime_ns)


def _is_known(run: Run, file: File) -> bool:
    """Return whether a file of that content was read before."""
    files = "select count(*) from file where noun = $noun and sha256 = $sha256"
    found = Store(run.store).connect().sql(files, params={"noun": NOUN, "sha256": file.digest()})
    return bool(found.fetchone()[0])


def _refusal(name: str, counts: Intake) -> str:
    return (
        f"{name}: none of its {counts.read:,} answers can be used ({_reasons(counts.reasons)}); nothing was stored but "
        'why: `assay sql "select path, position, reason, detail from quarantine" CURATION` lists them'
    )


def _reasons(reasons: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items(), key=lambda one: -one[1]))


def story(found: dict[str, Any]) -> str:
    """Return what became of the answers, for people to read."""
    reasons = f" ({_reasons(found['reasons'])})" if found["reasons"] else ""
    lines = [
        f"{found['curation']}: answers of {found['file']} ({found['format']}), as of {found['as_of']}",
        f"  answers    {found['read']:,} read = {found['accepted']:,} new + {found['duplicate']:,} known before"
        f" + {found['quarantined']:,} quarantined{reasons}; {found['skipped']:,} left without a label",
        f"  audits     {found['audits_answered']:,} answered",
    ]
    if found["is_known_file"]:
        lines.append("  known      this file was imported before")
    if found["damaged"]:
        lines.append(f"  damaged    the file ends early: {found['damaged']}")
    if found["accepted"]:
        lines.append(f"  next       `assay run CURATION --as-of {found['as_of']}` counts them")
    return "\n".join(lines)
