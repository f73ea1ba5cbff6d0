"""The review queue is handed out to people, in the format of their annotation tool."""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from schemas.curation import Curation
from schemas.errors import RequestError
from schemas.run import started
from tasks.handout import FORMATS, TOOLS, Entry, checked, hand_out, labelling_interface, latest, write


def queue(
    curation: str, form: str | None, out: Path | None, is_suggestion_shown: bool, is_told: bool, home: str | None
) -> dict[str, Any]:
    """Return {curation, as_of, items, path, format, suggestions_shown, minutes, usd} of the queue, which is written out.

    Without a file to write it goes to stdout; where the figures are printed there (`is_told`), nothing is handed out.
    """
    form = form or FORMATS[0]
    if form not in FORMATS:
        raise RequestError(f"--format {form}: one of {', '.join(FORMATS)} expected")
    if out:
        checked(form, out)
    run = started(curation, home=home)
    drawn = latest(run)
    if is_told and not out:
        return _told(run.curation, drawn.as_of, len(drawn.rows), form, None, is_suggestion_shown)
    entries = hand_out(run, drawn, is_suggestion_shown)
    found = _told(run.curation, drawn.as_of, len(entries), form, out, is_suggestion_shown)
    if not out:
        _print(entries, run.curation, form)
        return found
    write(entries, run.curation.labels, form, out)
    interface = labelling_interface(entries, run.curation.labels, form, out)
    return found | ({"labelling_interface": str(interface)} if interface else {})


def _told(
    curation: Curation, as_of: Any, items: int, form: str, out: Path | None, is_suggestion_shown: bool
) -> dict[str, Any]:
    """Return the figures of a queue: what it is, and what people will take for it."""
    review = curation.review
    return {
        "curation": curation.name,
        "as_of": str(as_of),
        "items": items,
        "path": str(out) if out else None,
        "format": form,
        "suggestions_shown": is_suggestion_shown,
        "minutes": round(items * review.seconds_per_item / 60, 1),
        "usd": None if review.usd_per_item is None else round(items * review.usd_per_item, 2),
    }


def _print(entries: list[Entry], curation: Curation, form: str) -> None:
    """Print the queue, and nothing but it, as the file it would have been."""
    suffix = TOOLS[form].SUFFIX if form in TOOLS else ".csv"
    with TemporaryDirectory(prefix="assay-") as folder:
        file = Path(folder) / f"queue{suffix}"
        write(entries, curation.labels, form, file)
        with file.open(encoding="utf-8", newline="") as text:
            shutil.copyfileobj(text, sys.stdout)


def story(found: dict[str, Any]) -> str:
    """Return what was handed out, for people to read."""
    usd = "" if found["usd"] is None else f" and ${found['usd']:,.2f}"
    lines = [f"{found['curation']}, queue of {found['as_of']}: {found['items']:,} items, about {found['minutes']:g} minutes{usd} of people's time"]  # fmt: skip
    if not found["items"]:
        return f"{lines[0]}: there is nothing to look at"
    if found["path"]:
        lines.append(f"  written    {found['path']} ({found['format']})")
    if "labelling_interface" in found:
        lines.append(f"  interface  {found['labelling_interface']}: paste it under Settings, Labeling Interface")
    shown = "shown: no answer to it can audit a model" if found["suggestions_shown"] else "not shown"
    lines.append(f"  blind      models' labels are {shown}")
    fill = "people label it there" if found["format"] in TOOLS else "people fill in label and annotator_id"
    lines.append(f"  next       {fill}; then `assay import CURATION FILE`")
    return "\n".join(lines)
