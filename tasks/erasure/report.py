"""The report of an erasure: what was asked, what went, what stays and why, signed; it holds ids, and no text."""

import os
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from schemas.run import Run
from tasks import report
from tasks.release import disk
from tasks.release.manifest import as_json
from tasks.store import Ids
from tasks.text import canonical

FOLDER = "erasures"
STAYS = {
    "facts": "What was drawn, handed out, asked and shown as an example is kept: ids of items, on which other facts "
    "rest, and no text. So is the split of every other item.",
    "books": "What models' replies cost stays spent; each document is counted as set aside, with the reason `erased`.",
}


def signed(run: Run, told: dict[str, Any]) -> dict[str, Any]:
    """Return a report with its signature: HMAC-SHA-256 of its canonical JSON under the key that makes the curation's ids."""
    key = "ASSAY_KEY" if os.environ.get("ASSAY_KEY") else "the curation's name"
    return told | {"signature": {"method": "HMAC-SHA-256", "key": key, "value": _signature(run, told)}}


def is_genuine(run: Run, told: dict[str, Any]) -> bool:
    """Return whether a report is as it was signed."""
    unsigned = {name: value for name, value in told.items() if name != "signature"}
    return told.get("signature", {}).get("value") == _signature(run, unsigned)


def _signature(run: Run, told: dict[str, Any]) -> str:
    return Ids(run.curation.name).signature(canonical(told))


def write(run: Run, told: dict[str, Any]) -> Path:
    """Return the file of a report, written with a page for people beside it."""
    place = run.store / FOLDER / f"{told['erasure_id']}.json"
    disk.make(place.parent)
    disk.put(place.with_suffix(".html"), page(told))
    disk.put(place, as_json(told))
    return place


def page(told: dict[str, Any]) -> str:
    """Return the report as one page that needs nothing from outside."""
    environment = Environment(
        loader=FileSystemLoader(Path(report.__file__).parent / "templates"),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("erasure.html.j2").render(**told)
