"""A bucket that holds the releases side by side: a release is there once its manifest is, which is written last."""

import os
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import S3Store

from schemas.errors import AssayError
from tasks.release.folder import LATEST, is_name
from tasks.release.manifest import MANIFEST
from tasks.release.manifest import digest as digest_of
from tasks.release.target.folder import overtakes

_ATTEMPTS = 100  # to move LATEST: each that fails is another writer's progress
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
        parts = [path.split("/") for path in self._paths()]
        return {name for name, *rest in parts if rest == [MANIFEST] and is_name(name)}

    def digest(self, release: str) -> str:
        """Return the sha256 of the manifest of a release there."""
        return sha256(bytes(obstore.get(self._store, f"{release}/{MANIFEST}").bytes())).hexdigest()

    def put(self, place: Path) -> None:
        """Copy a release there: its files, and then its manifest, unless another writer's is there by then."""
        for file in sorted(one for one in place.rglob("*") if one.is_file()):
            path = file.relative_to(place).as_posix()
            if path != MANIFEST:
                obstore.put(self._store, f"{place.name}/{path}", file)
        try:
            obstore.put(self._store, f"{place.name}/{MANIFEST}", (place / MANIFEST).read_bytes(), mode="create")
        except AlreadyExistsError:
            if self.digest(place.name) != digest_of(place):
                raise AssayError(f"another release named {place.name} is there already") from None

    def remove(self, release: str) -> None:
        """Remove a release there, its manifest first."""
        paths = sorted(self._paths(release), key=lambda path: path != f"{release}/{MANIFEST}")
        for path in paths:
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

    def _paths(self, prefix: str | None = None) -> list[str]:
        return [found["path"] for found in obstore.list(self._store, prefix=prefix).collect()]
