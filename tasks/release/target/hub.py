"""A repository folder in the layout of the Hugging Face hub: a card, and the files of the current release."""

from typing import Any

import yaml

from tasks.release import disk
from tasks.release import folder as shelf
from tasks.release.folder import alone
from tasks.release.target.folder import Folder, overtakes

CARD = "README.md"
_MARK = "---\n"


class Hub(Folder):
    """A folder whose card, replaced in one step, says which files are the data: those in the release's own folder."""

    is_shelf = False
    head = CARD

    def latest(self) -> str | None:
        """Return the release whose files the card names."""
        card = self.root / CARD
        return _release_of(card.read_text(encoding="utf-8")) if card.is_file() else None

    def point(self, release: str, withdrawn: set[str]) -> None:
        """Let the card name a release's files; then remove the others but those it named before, which somebody may read."""
        with alone(self.root):
            before = self.latest()
            if before == release or overtakes(release, before, withdrawn):
                card = repointed((self.root / release / CARD).read_text(encoding="utf-8"), release)
                if not (self.root / CARD).is_file() or (self.root / CARD).read_text(encoding="utf-8") != card:
                    disk.put(self.root / CARD, card)
            if overtakes(release, before, withdrawn):
                for other in sorted(self.releases() - {release, before}):
                    shelf.leave(self.root / other)


def repointed(card: str, release: str) -> str:
    """Return a release's card with the paths of its data files below the release's own folder."""
    _, front, body = card.split(_MARK, 2)
    told = yaml.safe_load(front)
    for config in told.get("configs", []):
        for file in config["data_files"]:
            file["path"] = f"{release}/{file['path']}"
    return _MARK + yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=1000) + _MARK + body


def _release_of(card: str) -> str | None:
    """Return the release whose files a card names; None for a card that somebody else wrote."""
    if not card.startswith(_MARK):
        return None
    told: dict[str, Any] = yaml.safe_load(card.split(_MARK, 2)[1]) or {}
    paths = [file["path"] for config in told.get("configs", []) for file in config["data_files"]]
    name = paths[0].split("/")[0] if paths else ""
    return name if shelf.is_name(name) else None
