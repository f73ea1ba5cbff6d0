"""Locks: what one process at a time may do with a store."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ERASURE = "erasure"  # the lock that writers of texts share, and an erasure has for itself


@contextmanager
def alone(folder: Path, name: str, wait: bool = False) -> Iterator[bool]:
    """Yield whether nobody else holds the lock of that name; the system lets go of it when a process dies."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / f"{name}.lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def at_work(folder: Path) -> Iterator[None]:
    """Hold erasure off while texts are written; whoever comes while one is under way waits for its end."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / f"{ERASURE}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        yield
