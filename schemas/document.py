"""Documents: text as it arrived, with where it came from."""

from datetime import date, datetime

from schemas.row import Row


class Document(Row):
    """One row per document of a source: its own id, or its text and context where it has none."""

    document_id: str
    """Keyed hash of the source's own id (or of text and context)."""
    item_id: str
    """The item that this document's cleaned text and context make."""
    source_id: str | None
    """The source's own id, as people's label files name it."""
    path: str
    """File it was first read from, relative to the curation."""
    position: int
    """Line or row in that file, counted from 1."""
    text: str
    """The text as it arrived."""
    context: str
    """What an annotator is shown beside the text: a JSON object with sorted keys."""
    group_id: str | None
    """Documents of one group share a split."""
    slice: str | None
    """The part of the data this document is reported under."""
    extra: str | None
    """Fields the curation does not name, as JSON."""
    event_at: datetime | None
    """When it was written, as the source says."""
    recorded_at: datetime
    """When we learnt of it."""
    available_on: date
    """The logical date it belongs to."""
    run_id: str
    """The run that read it."""


class SourceFile(Row):
    """One row per version of a file that was read; `read = accepted + duplicate + quarantined`."""

    file_id: str
    """Keyed hash of noun, path, content and how the curation reads it."""
    noun: str
    """What the file holds: document or annotation."""
    path: str
    """The file, relative to the curation."""
    sha256: str
    """Digest of the file's bytes."""
    bytes: int
    """Size of the file."""
    modified_ns: int
    """The file's modification time when it was read, nanoseconds."""
    read: int
    """Records in it."""
    accepted: int
    """Records that brought something new."""
    duplicate: int
    """Records that brought nothing new."""
    quarantined: int
    """Records set aside with a reason."""
    erased: int | None
    """Those of them that were erased before, which says nothing of the source; null in files read by earlier versions."""
    damage: str | None
    """Why the file ends early, where it does."""
    recorded_at: datetime
    """When it was read."""
    available_on: date
    """The logical date its records belong to."""
    run_id: str
    """The run that read it."""


class Quarantined(Row):
    """One row per record set aside, with where it stands and why."""

    quarantine_id: str
    """Keyed hash of path, position, content and reason."""
    noun: str
    """What the record should have become: document or annotation."""
    path: str
    """The file, relative to the curation."""
    position: int
    """Line or row in that file, counted from 1; 0 is the file as a whole."""
    sha256: str
    """Digest of the record's bytes; empty where it was erased."""
    reason: str
    """Why, as a code: bad_json, empty_text, unknown_label, …"""
    detail: str | None
    """What was expected; never the content."""
    raw: str
    """The record as it arrived, undecodable bytes escaped; cut at 64 KB; empty where it was erased."""
    recorded_at: datetime
    """When it was set aside."""
    available_on: date
    """The logical date it belongs to."""
    run_id: str
    """The run that set it aside."""
