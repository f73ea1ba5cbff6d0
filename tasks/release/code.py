"""The code: which version of it makes a release's bytes."""

from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent.parent
_ROOMS, _KINDS = ("flows", "tasks", "schemas", "expectations"), {".py", ".sql", ".md", ".j2", ".yaml"}


@cache
def code_version() -> str:
    """Return the version of the package and 12 hex digits of its source files' sha256, suites and templates included."""
    digest = sha256()
    for room in _ROOMS:
        for file in sorted((_ROOT / room).rglob("*")):
            if file.suffix in _KINDS:
                digest.update(file.relative_to(_ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return f"{version('assay')}+{digest.hexdigest()[:12]}"
