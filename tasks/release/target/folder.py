"""Another folder that holds the releases side by side, with a LATEST of its own."""

import shutil
from pathlib import Path

from schemas.errors import AssayError
from tasks.release import disk
from tasks.release import folder as shelf
from tasks.release.folder import LATEST, alone, current, is_name, order
from tasks.release.manifest import MANIFEST, digest

_STAGING = ".staging"


class Folder:
    """A folder of releases, which several machines may share."""

    is_shelf = True
    head = LATEST
    """The file that says which release is current."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def releases(self) -> set[str]:
        """Return the names of the releases there."""
        return {place.parent.name for place in self.root.glob(f"*/{MANIFEST}") if is_name(place.parent.name)}

    def held(self) -> dict[str, dict[str, int]]:
        """Return {path: bytes} of every release there, by its name, whole or not."""
        return {place.name: sizes(place) for place in self.root.glob("*/") if is_name(place.name)}

    def digest(self, release: str) -> str:
        """Return the sha256 of the manifest of a release there."""
        return digest(self.root / release)

    def tidy(self, ours: dict[str, set[str]], coming: dict[str, str]) -> None:
        """Remove what killed writers left, whoever's it is: who holds the lock is the only one at work."""
        if not self.root.is_dir():
            return
        with alone(self.root):
            disk.remove(self.root / _STAGING)
            disk.remove(self.root / f".{self.head}.new")  # what disk.put had begun
            shelf.tidy(self.root)
            for name, files in self.held().items():
                if MANIFEST not in files and name in ours:
                    shelf.leave(self.root / name)

    def put(self, place: Path) -> None:
        """Copy a release there, all of it in sight at once, in place of one that has lost files."""
        with alone(self.root):
            staged, own = self.root / _STAGING, self.root / place.name
            disk.remove(staged)
            if own.exists() and self.digest(place.name) != digest(place):
                raise taken(place.name)
            if sizes(place).items() <= sizes(own).items():  # another writer was faster
                return
            copy(place, staged)
            if own.exists():
                shelf.leave(own)
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


def sizes(place: Path) -> dict[str, int]:
    """Return {path: bytes} of the files in a folder."""
    files = (one for one in place.rglob("*") if one.is_file())
    return {file.relative_to(place).as_posix(): file.stat().st_size for file in files}


def taken(release: str) -> AssayError:
    """Return the error that says that a release's name is another's in a target."""
    return AssayError(f"another release named {release} is there already; give this target another path")


def overtakes(release: str, there: str | None, withdrawn: set[str]) -> bool:
    """Return whether a release is to be current in place of the one that is."""
    return there is None or (there != release and (there in withdrawn or order(release) > order(there)))
