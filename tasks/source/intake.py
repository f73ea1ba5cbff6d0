"""An intake: the files a pattern names, each read once per version, every record accounted for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from schemas.errors import SourceRefused
from schemas.run import Run
from tasks.source.files import File, find
from tasks.source.records import Record, Rejected, read
from tasks.store import Ids, Store

CHUNK = 20_000
Row = dict[str, Any]


@dataclass
class Intake:
    """What a run read of one noun: `read = accepted + duplicate + quarantined`."""

    files: int = 0
    read: int = 0
    accepted: int = 0
    duplicate: int = 0
    quarantined: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    def add(self, other: "Intake") -> None:
        """Add another intake's counts to this one."""
        self.files += other.files
        self.read += other.read
        self.accepted += other.accepted
        self.duplicate += other.duplicate
        self.quarantined += other.quarantined
        self.damaged += other.damaged
        for reason, count in other.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + count


def intake(
    run: Run,
    noun: str,
    pattern: str,
    format: str | None,
    parse: Callable[[Record, File], Row],
    write: Callable[[list[tuple[Record, Row]]], tuple[int, list[tuple[Record, Rejected]]]],
    only_dated: bool = True,
) -> Intake:
    """Return the counts of all files of a pattern that this store has not read yet, up to the run's date.

    `parse` makes a row of a record or raises Rejected; `write` stores the rows of a chunk and returns how many of them
    stand in the store as this file's, and which it rejects. Records and their reasons are written before the file is
    marked as read, so a run killed in between reads the file again, adds nothing twice and counts the same.
    """
    total = Intake()
    for file in unread(run, noun, pattern, only_dated):
        total.add(_read_file(run, noun, file, format, parse, write))
    return total


def unread(run: Run, noun: str, pattern: str, only_dated: bool = True) -> Iterator[File]:
    """Yield the files of a pattern that the store has not read in their present version."""
    connection = Store(run.store).connect()
    known = set(
        connection.sql("select path, bytes, modified_ns from file where noun = $noun", params={"noun": noun}).fetchall()
    )
    digests = set(connection.sql("select path, sha256 from file where noun = $noun", params={"noun": noun}).fetchall())
    for file in find(run.folder, pattern):
        is_later = only_dated and file.available_on is not None and file.available_on > run.as_of
        if is_later or (file.path, file.bytes, file.modified_ns) in known:
            continue
        if (file.path, file.digest()) not in digests:
            yield file


def _read_file(run: Run, noun: str, file: File, format: str | None, parse: Callable, write: Callable) -> Intake:
    store, ids, counts = Store(run.store), Ids(run.curation.name), Intake(files=1)
    digest, reading = file.digest(), read(file, format)
    stamp = {
        "available_on": file.available_on or run.started_at.date(),
        "recorded_at": run.started_at,
        "run_id": run.run_id,
    }
    records = iter(reading)
    while chunk := list(islice(records, CHUNK)):
        rows, rejected = [], []
        for record in chunk:
            try:
                if record.rejected:
                    raise record.rejected
                rows.append((record, parse(record, file) | stamp | {"path": file.path, "position": record.position}))
            except Rejected as reason:
                rejected.append((record, reason))
        new, refused = write(rows)
        rejected += refused
        store.merge("quarantine", [_quarantined(ids, noun, file, *pair) | stamp for pair in rejected])
        counts.read += len(chunk)
        counts.accepted += new
        counts.quarantined += len(rejected)
        counts.duplicate += len(rows) - new - len(refused)
        for _, reason in rejected:
            counts.reasons[reason.reason] = counts.reasons.get(reason.reason, 0) + 1
    if file.has_changed():
        raise SourceRefused(f"{file.path}: changed while it was read; run again when it is whole")
    if reading.damage:
        counts.damaged.append(f"{file.path}: {reading.damage}")
    store.merge("file", [{
        "file_id": ids.id("file", noun, file.path, digest), "noun": noun, "path": file.path, "sha256": digest,
        "bytes": file.bytes, "modified_ns": file.modified_ns, "read": counts.read, "accepted": counts.accepted,
        "duplicate": counts.duplicate, "quarantined": counts.quarantined, "damage": reading.damage,
    } | stamp])  # fmt: skip
    return counts


def _quarantined(ids: Ids, noun: str, file: File, record: Record, reason: Rejected) -> Row:
    return {
        "quarantine_id": ids.id("quarantine", noun, file.path, record.position, record.sha256, reason.reason),
        "noun": noun,
        "path": file.path,
        "position": record.position,
        "sha256": record.sha256,
        "reason": reason.reason,
        "detail": reason.detail,
        "raw": record.text,
    }
