"""The journal: what was asked and answered, on disk the moment it happens, so that a killed run loses no reply.

Each chunk of work has a file of its own, locked while it is worked on. Once its rows are in the store the file goes; a
file that nobody holds a lock on is a killed run's, and the next run takes its rows over.
"""

import asyncio
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from schemas.errors import AssayError

SYNCED_EVERY_S = 0.5  # what a power cut may cost; a killed process costs nothing that was written
_TIMES = ("event_at", "recorded_at")


class Journal:
    """The replies and the calls without one, of one chunk: in memory, and in a file under `folder`."""

    def __init__(self, folder: Path, annotator_id: str, model: str, run_id: str) -> None:
        for place in (folder.parent, folder):  # the store itself may not be there yet, and is nobody else's to read
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path, self._file = _locked(folder, run_id)
        self._stamp = {"annotator_id": annotator_id, "model": model, "run_id": run_id}
        self._synced_at, self._syncing, self._is_torn = time.monotonic(), None, False
        self._calls: dict[str, dict[str, Any]] = {}
        self.replies: list[dict[str, Any]] = []
        self.lost: list[dict[str, Any]] = []

    def sent(self, item_id: str, usd_at_most: float | None) -> str:
        """Return the id of a call that is about to be sent."""
        call_id = f"{self._stamp['run_id']}-{secrets.token_hex(8)}"
        call = {"call_id": call_id, "item_id": item_id, "usd_at_most": usd_at_most, "event_at": datetime.now(UTC)}
        self._calls[call_id] = call | self._stamp
        self._write({"sent": self._calls[call_id]})
        return call_id

    def answered(self, call_id: str, reply: dict[str, Any]) -> None:
        """Keep the reply to a call."""
        del self._calls[call_id]
        self.replies.append(reply)
        self._write({"answered": call_id, "reply": reply})

    def refused(self, call_id: str) -> None:
        """Note that a call brought no reply and cannot have been billed."""
        del self._calls[call_id]
        self._write({"refused": call_id})

    def lose(self, call_id: str, kind: str, usd_at_most: float | None) -> None:
        """Note that a call brought no reply and may have been billed, at most so many US dollars."""
        if usd_at_most == 0:  # what is free cannot be lost
            return self.refused(call_id)
        call = self._calls.pop(call_id) | {"kind": kind, "usd_at_most": usd_at_most}
        self.lost.append(call)
        self._write({"lost": call})

    def uncosted(self, call_id: str, usd_at_most: float) -> None:
        """Note that a reply does not tell what it cost, which is so many US dollars at most."""
        self.lost.append(self._calls[call_id] | {"kind": "no_usage", "usd_at_most": usd_at_most})
        self._write({"lost": self.lost[-1]})

    def _write(self, entry: dict[str, Any]) -> None:
        line = b"\n" * self._is_torn + json.dumps(entry, default=datetime.isoformat).encode() + b"\n"
        try:
            while line:  # a disk that is almost full takes a part
                line = line[os.write(self._file, line) :]
        except OSError as error:
            self._is_torn = True
            raise AssayError(f"{self._path.parent}: cannot be written ({error.strerror or error})") from None
        self._is_torn = False
        now = time.monotonic()
        if now - self._synced_at > SYNCED_EVERY_S and (self._syncing is None or self._syncing.done()):
            self._synced_at = now
            self._syncing = asyncio.get_running_loop().run_in_executor(None, os.fsync, self._file)

    async def close(self, is_stored: bool) -> None:
        """Let go of the file; it goes too where its rows are in the store."""
        if self._syncing:
            await asyncio.wait([self._syncing])
        if is_stored and not self._calls:  # of a call without an end the file is the only trace
            self._path.unlink()
        os.close(self._file)
        self._file = -1  # nothing is ever written to whatever gets its number next

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: Any, *_: Any) -> None:
        await self.close(is_stored=kind is None)


def _locked(folder: Path, run_id: str) -> tuple[Path, int]:
    """Return a new file and its descriptor, locked."""
    while True:
        path = folder / f"{run_id}-{secrets.token_hex(4)}.jsonl"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file).st_nlink:
            return path, file
        os.close(file)  # in the moment before it was locked another run took it for a dead one's


@contextmanager
def left_behind(folder: Path) -> Iterator[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """Yield the replies and the lost calls in the files of killed runs; they go once what is done with them succeeds."""
    files: list[tuple[Path, int]] = []
    replies, lost = [], []
    try:
        for path in sorted(folder.glob("*.jsonl")):
            if (file := _taken(path)) is not None:
                files.append((path, file))
                for rows, found in zip((replies, lost), _read(path), strict=True):
                    rows += found
        yield replies, lost
        for path, _ in files:
            path.unlink()
    finally:
        for _, file in files:
            os.close(file)


def _taken(path: Path) -> int | None:
    """Return the open file of a journal whose run is dead, now locked; None where it lives or has just ended."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file).st_nlink:
            return file
    except BlockingIOError:
        pass
    os.close(file)
    return None


def _read(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return a journal's replies and lost calls; a call it says no more of was cut short with the run."""
    replies, lost, calls = [], [], {}
    for line in path.read_bytes().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # the last line, cut short
            continue
        match entry:
            case {"sent": call}:
                calls[call["call_id"]] = call
            case {"answered": call_id, "reply": reply}:
                calls.pop(call_id, None)
                replies.append(_timed(reply))
            case {"refused": call_id}:
                calls.pop(call_id, None)
            case {"lost": call}:
                calls.pop(call["call_id"], None)
                lost.append(_timed(call))
    return replies, lost + [_timed(call) | {"kind": "killed"} for call in calls.values()]


def _timed(row: dict[str, Any]) -> dict[str, Any]:
    return row | {name: datetime.fromisoformat(row[name]) for name in _TIMES if name in row}
