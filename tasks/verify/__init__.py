"""Verification: everything a release says of itself is worked out again from its files, and compared."""

from pathlib import Path
from typing import Any, NamedTuple

from tasks.published import read
from tasks.verify.fault import Fault
from tasks.verify.files import compared
from tasks.verify.manifest import earlier, formal, is_earlier, placed
from tasks.verify.pages import described
from tasks.verify.promise import promised
from tasks.verify.rows import counted, retold

__all__ = ["Fault", "Verified", "verified"]


class Verified(NamedTuple):
    """What was found of a release, taken by itself."""

    manifest: dict[str, Any]
    digest: str
    """sha256 of the manifest."""
    rows: int
    faults: list[Fault]


def verified(folder: Path) -> Verified:
    """Return what a release's files say, and every fault of them; raise RequestError where the folder is no release."""
    published = read(folder)
    manifest, digest = published.manifest, published.digest
    if faults := list(formal(published)):  # what it lists cannot be relied on
        return Verified(manifest, digest, 0, faults)
    faults = [*placed(folder, manifest), *compared(folder, manifest)]
    if is_earlier(manifest):
        return Verified(manifest, digest, 0, [earlier(manifest), *faults])
    table = counted(folder, manifest)
    faults += table.faults
    if not table.faults:
        faults += retold(folder, manifest)
    faults += described(folder, manifest, table)
    faults += promised(folder, manifest, table)
    return Verified(manifest, digest, sum(table.rows.values()), faults)
