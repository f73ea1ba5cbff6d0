"""People's answers, in whatever tool's file they come, as annotations."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from schemas.errors import RequestError
from schemas.run import Run
from tasks.annotator.human import Voice
from tasks.handout import table
from tasks.handout.formats import TABLE, TOOLS
from tasks.source import File, Record, Rejected, name
from tasks.source.files import Damaged, opened
from tasks.source.records import Reading
from tasks.sql import relation
from tasks.store import Store
from tasks.table_file import COMPRESSIONS

Row = dict[str, Any]
READ_AS = {
    ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".parquet": "parquet",
}  # fmt: skip
DELIMITERS = ",;\t|"
MAX_HEADER_BYTES = 65_536


@dataclass
class Answers:
    """The answers of a file, as records; those without a label are counted, and are none."""

    file: File
    form: str
    run: Run
    skipped: int = field(default=0, init=False)
    damage: str | None = field(default=None, init=False)

    def __iter__(self) -> Iterator[Record]:
        reading = _reading(self.file, self.form)
        for number, record in enumerate(self._records(reading), start=1):
            if self.form != TABLE and record.position:  # an answer's number: one record may hold several
                record.position = number
            yield record
        self.damage = reading.damage

    def _records(self, reading: Reading) -> Iterator[Record]:
        parse = self._parse()
        for record in reading:
            found = []
            try:
                found = [] if record.rejected else parse(record.fields)
            except Rejected as reason:
                record.rejected = reason.bare()
            if record.rejected:
                yield record
            for answer in found:
                if _is_blank(answer["label"]):
                    self.skipped += 1
                else:
                    yield Record(record.position, record.raw, answer)

    def _parse(self) -> Callable[[Row], list[Row]]:
        if self.form != TABLE:
            return TOOLS[self.form].answers
        people = tuple(one.fields for one in self.run.curation.people)
        return lambda fields: table.answers(fields, people)


def _is_blank(label: Any) -> bool:
    return label is None or (isinstance(label, str) and not label.strip())


def recognised(file: File) -> str:
    """Return the format a file is in, by its name and its first record."""
    if _read_as(file.place) not in ("json", "jsonl"):
        return TABLE
    first = next((record.fields for record in Reading(file, "json") if record.fields), {})
    return next((form for form, tool in TOOLS.items() if tool.is_ours(first)), TABLE)


def _read_as(place: Path) -> str:
    plain = place.with_suffix("") if place.suffix.lower() in COMPRESSIONS else place
    if plain.suffix.lower() not in READ_AS:
        raise RequestError(
            f"cannot tell the format of {place.name}: names end in {', '.join(READ_AS)}, then .gz or .zst if compressed"
        )
    return READ_AS[plain.suffix.lower()]


def _reading(file: File, form: str) -> Reading:
    read_as = _read_as(file.place)
    if form != TABLE and read_as not in ("json", "jsonl"):
        raise RequestError(f"{file.path}: {form} exports json or jsonl")
    if form != TABLE:
        return Reading(file, "json")  # objects on lines are objects one after another
    return Reading(file, read_as, _delimiter(file) if read_as == "csv" else ",")


def _delimiter(file: File) -> str:
    """Return what stands between the names of a csv file's columns: spreadsheets write it as their country does."""
    try:
        with opened(file) as stream:
            line = stream.readline(MAX_HEADER_BYTES).decode("utf-8-sig", "replace")
        return max(DELIMITERS, key=lambda mark: len(next(csv.reader([line], delimiter=mark), [])))
    except (Damaged, csv.Error):  # as whoever reads its records will find
        return ","


@dataclass(frozen=True)
class _Handout:
    """What was asked: the item, the document its answers are stored for, and when."""

    item_id: str
    document_id: str
    is_suggestion_shown: bool
    available_on: date


class Parser:
    """Makes an annotation row of an answer."""

    def __init__(self, run: Run, annotator: str | None) -> None:
        self._run, self._voice, self._who = run, Voice(run), annotator
        rows = Store(run.store).connect().sql(
            "select handout_id, item_id, document_id, is_suggestion_shown, available_on from handout"
        )  # fmt: skip
        self._handouts = {handout_id: _Handout(*asked) for handout_id, *asked in rows.fetchall()}
        self._documents: dict[str, str] | None = None

    def __call__(self, record: Record, file: File) -> Row:
        """Return the row; raise Rejected with the reason it cannot be one."""
        given = record.fields or {}
        handout_id, document_id, item_id = self._asked(given)
        who = self._who if self._who is not None else given["annotator_id"]
        if who is None or who == "":
            raise Rejected("no_annotator", "`annotator_id`: who answered expected, or --annotator NAME")
        label = self._voice.label(given["label"], "label", item_id)
        time = self._voice.time(given, "time")
        return self._voice.annotation(document_id, name(who, "annotator_id"), label, time, handout_id)

    def _asked(self, given: Row) -> tuple[str | None, str, str | None]:
        """Return the hand-out answered, the document labelled and the item shown; no hand-out where nobody had asked."""
        if _is_blank(given["queue_id"]) and _is_blank(given["item_id"]):
            raise Rejected("no_item", "`queue_id` or `item_id` expected")
        if _is_blank(given["queue_id"]):
            return None, self._document(name(given["item_id"], "item_id")), None
        queue_id = name(given["queue_id"], "queue_id")
        asked = self._handouts.get(queue_id)
        if asked is None:
            raise Rejected("unknown_queue_id", "`queue_id`: one that `assay queue` handed out expected")
        if not _is_blank(given["item_id"]) and given["item_id"] != asked.item_id:
            raise Rejected("other_item", "`item_id`: the item that `queue_id` was handed out for expected")
        if asked.available_on > self._run.as_of:
            raise RequestError(
                f"these are answers to the queue of {asked.available_on}, and cannot belong to an earlier date: "
                f"--as-of {asked.available_on} or later"
            )
        if given.get("has_seen_suggestion") and not asked.is_suggestion_shown:
            raise Rejected("not_blind", "an answer that was not made out of a model's label expected")
        return queue_id, self._voice.document(asked.document_id), asked.item_id

    def _document(self, item: str) -> str:
        """Return the document that an item's id, or the source's own id of a document, stands for."""
        if self._documents is None:
            connection = Store(self._run.store).connect(self._run.as_of)
            self._documents = dict(relation(connection, "answered_document").fetchall())
        return self._documents.get(item) or self._voice.document(self._voice.ids.id("document", item), item)
