"""An intake: the files a pattern names, each read once per version, every record accounted for."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import duckdb

from schemas.errors import SourceRefused
from schemas.run import Run
from tasks.erasure.facts import ERASED
from tasks.source.files import File, find
from tasks.source.records import Record, read
from tasks.source.rejected import Rejected
from tasks.store import KEYS, Ids, Store
from tasks.text import canonical

CHUNK, CHUNK_BYTES = 20_000, 32_000_000  # whichever is reached first; records are held as bytes and as fields
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
    told = _told(run, noun, pattern)
    for file in unread(run, noun, pattern, only_dated):
        total.add(take(run, noun, file, told, read(file, format), parse, write))
    return total


def unread(run: Run, noun: str, pattern: str, only_dated: bool = True) -> Iterator[File]:
    """Yield the files of a pattern that were not read in their present version, as the curation now has them read.

    Raise SourceRefused for one that cannot be opened, once all the others are yielded.
    """
    connection = Store(run.store).connect()
    known, refusal = {file_id for (file_id,) in connection.sql("select file_id from file").fetchall()}, None
    digests = _digests(connection, noun)
    for file in find(run.folder, pattern):
        if only_dated and file.available_on is not None and file.available_on > run.as_of:
            continue
        try:
            digest = digests.get((file.path, file.bytes, file.modified_ns)) or file.digest()
        except SourceRefused as error:
            refusal = refusal or error
            continue
        if _file_id(run, noun, file.path, digest, _told(run, noun, pattern)) not in known:
            yield file
    if refusal:
        raise refusal


def present(run: Run, noun: str, pattern: str) -> list[str]:
    """Return the ids of the files of a pattern that stand there now and have been read."""
    digests = _digests(Store(run.store).connect(), noun)
    found = ((file.path, digests.get((file.path, file.bytes, file.modified_ns))) for file in find(run.folder, pattern))
    return [_file_id(run, noun, path, digest, _told(run, noun, pattern)) for path, digest in found if digest]


def _file_id(run: Run, noun: str, path: str, digest: str, told: Row) -> str:
    """Return the id of a version of a file; another way of reading it is another id."""
    return Ids(run.curation.name).id("file", noun, path, digest, canonical(told))


def _told(run: Run, noun: str, pattern: str) -> Row:
    """Return what the curation says of how the files of a pattern are read."""
    curation = run.curation
    if noun == "document":
        limits = [curation.clean.min_chars, curation.clean.max_chars]
        told = [[source.fields.model_dump(), source.format] for source in curation.sources if source.path == pattern]
    else:
        limits = list(curation.labels.values)
        told = [annotator.fields.model_dump() for annotator in curation.people if annotator.path == pattern]
    return {"limits": limits, "told": told}


def _digests(connection: duckdb.DuckDBPyConnection, noun: str) -> dict[tuple[str, int, int], str]:
    """Return the sha256 of each file read, by path, size and time: one that has all three is not opened again."""
    rows = connection.sql("select path, bytes, modified_ns, sha256 from file where noun = $noun", params={"noun": noun})
    return {tuple(seen): digest for *seen, digest in rows.fetchall()}


def _chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    chunk, size = [], 0
    for record in records:
        chunk.append(record)
        size += len(record.raw)
        if len(chunk) == CHUNK or size > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _before(run: Run, noun: str, file: File) -> set[tuple[str, int]]:
    """Return key and position of what earlier versions of the file brought: this version does not bring it anew."""
    connection, path = Store(run.store).connect(), {"path": file.path}
    version = "select max(recorded_at) from file where noun = $noun and path = $path"
    (last,) = connection.sql(version, params=path | {"noun": noun}).fetchone()
    if last is None:
        return set()
    rows = f"select {KEYS[noun]}, position from {noun} where path = $path and recorded_at <= $last"
    return set(connection.sql(rows, params=path | {"last": last}).fetchall())


def take(
    run: Run, noun: str, file: File, told: Row, reading: Iterable[Record], parse: Callable, write: Callable
) -> Intake:
    """Return the counts of one file, all of its records stored or set aside; `told` is what decides how it is read.

    What is read yields the file's records and has, afterwards, `damage`: why the file ends early, where it does.
    """
    store, ids, counts = Store(run.store), Ids(run.curation.name), Intake(files=1)
    digest, before = file.digest(), _before(run, noun, file)
    stamp = {
        "available_on": file.available_on or run.started_at.date(),
        "recorded_at": run.started_at,
        "run_id": run.run_id,
    }
    for chunk in _chunks(reading):
        rows, rejected = [], []
        for record in chunk:
            if record.rejected:
                rejected.append((record, record.rejected))
                continue
            try:
                rows.append((record, parse(record, file) | stamp | {"path": file.path, "position": record.position}))
            except Rejected as reason:
                rejected.append((record, reason.bare()))
        stored, refused = write(rows)
        is_refused = {record.position for record, _ in refused}
        new = stored - sum(
            (row[KEYS[noun]], row["position"]) in before for record, row in rows if record.position not in is_refused
        )
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
        "file_id": _file_id(run, noun, file.path, digest, told), "noun": noun, "path": file.path, "sha256": digest,
        "bytes": file.bytes, "modified_ns": file.modified_ns, "read": counts.read, "accepted": counts.accepted,
        "duplicate": counts.duplicate, "quarantined": counts.quarantined, "erased": counts.reasons.get(ERASED, 0),
        "damage": reading.damage,
    } | stamp])  # fmt: skip
    return counts


def _quarantined(ids: Ids, noun: str, file: File, record: Record, reason: Rejected) -> Row:
    is_erased = reason.reason == ERASED  # nothing of it is kept: from a digest a short text can be guessed
    digest, raw = ("", "") if is_erased else (record.sha256, record.text)
    return {
        "quarantine_id": ids.id("quarantine", noun, file.path, record.position, digest, reason.reason),
        "noun": noun,
        "path": file.path,
        "position": record.position,
        "sha256": digest,
        "reason": reason.reason,
        "detail": reason.detail,
        "raw": raw,
    }
