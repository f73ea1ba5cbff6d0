"""The manifest, held to its form."""

import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.published import MANIFEST, Published
from tasks.release.manifest import as_json
from tasks.verify.fault import Fault

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Release = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}\.[1-9]\d*$")]
_RELEASE = re.compile(r"\d{4}-\d{2}-\d{2}\.[1-9]\d*")
Count = Annotated[int, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class Listed(_Strict):
    """One file of a release."""

    path: str
    sha256: Digest
    bytes: Count
    rows: Count | None


class Labels(_Strict):
    """What the examples are labelled with."""

    kind: str
    values: dict[str, str]


class Earlier(_Strict):
    """What a manifest of any version of Assay holds; more may stand in it."""

    curation: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
    release: Release
    parent: Release | None
    as_of: str
    content_id: Digest
    versions: dict[str, Any]
    splits: dict[Literal["train", "validation", "test"], Count]
    files: list[Listed]


class Manifest(Earlier):
    """What every manifest holds; more may stand in it."""

    labels: Labels
    formats: list[str]


def is_earlier(manifest: dict[str, Any]) -> bool:
    """Return whether a manifest is as versions of Assay before 0.5 wrote it."""
    return "versions" in manifest and not {"labels", "formats"} & manifest.keys()


def earlier(manifest: dict[str, Any]) -> Fault:
    """Return what cannot be proven of a release that an earlier version made."""
    made = manifest["versions"].get("assay")
    by = f" ({made[:20]})" if isinstance(made, str) else ""
    return Fault(
        MANIFEST,
        f"was written by an earlier version of Assay{by}, without `labels` and `formats`: the name, the files, their sizes and "
        "sha256 and the digest were looked at; rows, formats, card, report, Croissant, checks and certificate cannot be",
    )


def placed(folder: Path, manifest: dict[str, Any]) -> Iterator[Fault]:
    """Yield where a folder is called as another release is: it would pass for that one."""
    name = os.path.basename(os.path.abspath(folder))
    if _RELEASE.fullmatch(name) and name != manifest["release"]:
        yield Fault(MANIFEST, f"is of the release {manifest['release']}, and its folder is called {name}")


def formal(published: Published) -> Iterator[Fault]:
    """Yield what is wrong with the manifest's form."""
    manifest = published.manifest
    try:
        (Earlier if is_earlier(manifest) else Manifest).model_validate(manifest)
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False, include_context=False):
            yield Fault(
                MANIFEST, f"`{'.'.join(map(str, problem['loc']))[:80]}` is not as it must be: {problem['type']}"
            )
        return
    if as_json(manifest).encode("utf-8", "surrogatepass") != published.content:
        yield Fault(MANIFEST, "is not written as a manifest is: keys twice, other spaces or other numbers")
    yield from _names(manifest)
    paths = [file["path"] for file in manifest["files"]]
    if paths != sorted(set(paths), key=lambda path: path.split("/")):
        yield Fault(MANIFEST, "lists its files in another order, or one twice")
    for path in paths:
        if str(PurePosixPath(path)) != path or path.startswith("/") or ".." in path.split("/") or path == MANIFEST:
            yield Fault(MANIFEST, "lists a file that cannot stand in a release")


def _names(manifest: dict[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong with the release's name, its date and its parent."""
    day = manifest["release"].split(".")[0]
    try:
        date.fromisoformat(day)
    except ValueError:
        yield Fault(MANIFEST, "`release` names a day that there is not")
    if manifest["as_of"] != day:
        yield Fault(MANIFEST, "`as_of` is not the date of the release's name")
    if manifest["parent"] and _order(manifest["parent"]) >= _order(manifest["release"]):
        yield Fault(MANIFEST, "`parent` is not an earlier release")


def _order(release: str) -> tuple[str, int]:
    day, number = release.split(".")
    return day, int(number)
