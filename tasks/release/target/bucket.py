"""A bucket that holds the releases side by side: a release is there once its manifest is, which is written last.

Who writes or removes one holds its claim, beside the releases: the digest of its manifest, written first, removed last.
"""

import os
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import S3Store

from schemas.errors import AssayError
from tasks.release.folder import LATEST, is_name
from tasks.release.manifest import MANIFEST
from tasks.release.manifest import digest as digest_of
from tasks.release.target.folder import overtakes, taken

_ATTEMPTS = 100  # to move LATEST: each that fails is another writer's progress
_CLAIMS = ".claims"
_ABANDONED = timedelta(days=1)  # without a word, another's writer is taken to have been killed
_CLIENT = {"connect_timeout": "5s", "timeout": "300s"}
_RETRIES = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}


class Bucket:
    """Releases below s3://bucket/prefix; credentials and region come from the environment (AWS_…)."""

    is_shelf = True

    def __init__(self, url: str, endpoint: str | None) -> None:
        place, address = urlsplit(url), endpoint or os.environ.get("AWS_ENDPOINT_URL")
        where = {"endpoint": address} if address else {}
        client = _CLIENT | {"allow_http": bool(address and address.startswith("http://"))}
        self._store = S3Store(
            place.netloc, prefix=place.path.strip("/"), client_options=client, retry_config=_RETRIES, **where
        )

    def releases(self) -> set[str]:
        """Return the names of the releases whose manifest is there."""
        return {name for name, files in self.held().items() if MANIFEST in files}

    def held(self) -> dict[str, dict[str, int]]:
        """Return {path: bytes} of every release there, by its name, whole or not."""
        return {name: _sizes(name, found) for name, found in self._found().items()}

    def digest(self, release: str) -> str:
        """Return the sha256 of the manifest of a release there."""
        return sha256(bytes(obstore.get(self._store, f"{release}/{MANIFEST}").bytes())).hexdigest()

    def tidy(self, ours: dict[str, set[str]], coming: dict[str, str]) -> None:
        """Remove what is not whole there: ours, unless its put goes on now, and another's that nobody has touched for a day."""
        for name, found in self._found().items():
            if MANIFEST in _sizes(name, found):
                continue
            claim = self._claim_of(name)
            if name in ours and (claim is None or claim in ours[name]):
                is_left = claim is None or claim != coming.get(name)
            else:
                is_left = datetime.now(UTC) - max(one["last_modified"] for one in found) > _ABANDONED
            if is_left:
                self.remove(name)

    def put(self, place: Path) -> None:
        """Copy a release there, or mend it: claim its name, write its files, and then its manifest."""
        self._claim(place.name, digest_of(place))
        for file in sorted(one for one in place.rglob("*") if one.is_file()):
            path = file.relative_to(place).as_posix()
            if path != MANIFEST:
                obstore.put(self._store, f"{place.name}/{path}", file)
        try:
            obstore.put(self._store, f"{place.name}/{MANIFEST}", (place / MANIFEST).read_bytes(), mode="create")
        except AlreadyExistsError:
            if self.digest(place.name) != digest_of(place):
                raise taken(place.name) from None

    def remove(self, release: str) -> None:
        """Remove a release there, its manifest first, its claim last: whoever goes on after a kill sees whose it was."""
        paths = [found["path"] for found in obstore.list(self._store, prefix=release).collect()]
        for path in [*sorted(paths, key=lambda path: path != f"{release}/{MANIFEST}"), f"{_CLAIMS}/{release}"]:
            obstore.delete(self._store, path)

    def latest(self) -> str | None:
        """Return what LATEST names there."""
        return self._latest()[0]

    def point(self, release: str, withdrawn: set[str]) -> None:
        """Let LATEST name a release by compare-and-swap, unless it names a later one that was not withdrawn."""
        for _ in range(_ATTEMPTS):
            there, tag = self._latest()
            if not overtakes(release, there, withdrawn):
                return
            try:
                mode = {"e_tag": tag} if tag else "create"
                obstore.put(self._store, LATEST, f"{release}\n".encode(), mode=mode)
                return
            except (AlreadyExistsError, PreconditionError):  # another writer was faster: look again
                continue
        raise AssayError(f"{LATEST} there was moved by others {_ATTEMPTS} times")

    def _latest(self) -> tuple[str | None, str | None]:
        """Return what LATEST names there, and the tag of that version."""
        try:
            found = obstore.get(self._store, LATEST)
        except FileNotFoundError:
            return None, None
        return bytes(found.bytes()).decode().strip(), found.meta["e_tag"]

    def _claim(self, release: str, digest: str) -> None:
        """Let only writers of that digest write a release; raise AssayError where another one has the name."""
        if self._holder(release) is None:
            with suppress(AlreadyExistsError):  # another writer was faster
                obstore.put(self._store, f"{_CLAIMS}/{release}", digest.encode(), mode="create")
        if self._holder(release) != digest:
            raise taken(release)

    def _holder(self, release: str) -> str | None:
        """Return the digest of the release that has a name there: the one claimed, else the one published."""
        try:
            return self._claim_of(release) or self.digest(release)
        except FileNotFoundError:
            return None

    def _claim_of(self, release: str) -> str | None:
        try:
            return bytes(obstore.get(self._store, f"{_CLAIMS}/{release}").bytes()).decode()
        except FileNotFoundError:
            return None

    def _found(self) -> dict[str, list[dict[str, Any]]]:
        """Return the objects of every release there, by its name; its claim is one of them."""
        by_name = defaultdict(list)
        for found in obstore.list(self._store).collect():
            name = found["path"].removeprefix(f"{_CLAIMS}/").split("/")[0]
            if is_name(name):
                by_name[name].append(found)
        return dict(by_name)


def _sizes(release: str, found: list[dict[str, Any]]) -> dict[str, int]:
    """Return {path: bytes} of a release's files."""
    start = f"{release}/"
    return {one["path"].removeprefix(start): one["size"] for one in found if one["path"].startswith(start)}
