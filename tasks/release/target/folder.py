"""Another folder that holds the releases side by side, with a LATEST of its own."""

import shutil
from pathlib import Path

from tasks.release import disk
from tasks.release import folder as shelf
from tasks.release.folder import alone, current, is_name, order
from tasks.release.manifest import MANIFEST, digest

_STAGING = ".staging"


class Folder:
    """A folder of releases, which several machines may share."""

    is_shelf = True

    def __init__(self, root: Path) -> None:
        self.root = root

    def releases(self) -> set[str]:
        """Return the names of the releases there."""
        return {place.parent.name for place in self.root.glob(f"*/{MANIFEST}") if is_name(place.parent.name)}

    def digest(self, release: str) -> str:
        """Return the sha256 of the manifest of a release there."""
        return digest(self.root / release)

    def put(self, place: Path) -> None:
        """Copy a release there, all of it in sight at once."""
        with alone(self.root):
            staged, own = self.root / _STAGING, self.root / place.name
            disk.remove(staged)
            shelf.tidy(self.root)
            if not own.exists():
                copy(place, staged)
                shelf.enter(staged, own)

    def remove(self, release: str) -> None:
        """Remove a release there, all of it out of sight at once."""
        with alone(self.root):
            if (self.root / release).exists():
                shelf.leave(self.root / release)

    def latest(self) -> str | None:
        """Return what LATEST names there."""
        return current(self.root)

    def point(self, release: str, withdrawn: set[str]) -> None:
        """Let LATEST name a release, unless it names a later one that was not withdrawn."""
        with alone(self.root):
            if overtakes(release, self.latest(), withdrawn):
                shelf.point(self.root, release)


def copy(place: Path, staged: Path) -> None:
    """Write the files of a release into another folder."""
    for file in sorted(one for one in place.rglob("*") if one.is_file()):
        with file.open("rb") as source, disk.writing(staged / file.relative_to(place)) as sink:
            shutil.copyfileobj(source, sink)


def overtakes(release: str, there: str | None, withdrawn: set[str]) -> bool:
    """Return whether a release is to be current in place of the one that is."""
    return there is None or (there != release and (there in withdrawn or order(release) > order(there)))
