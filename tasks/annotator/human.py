"""People: one row of a label table is one annotation of a document, which may not have arrived yet."""

import unicodedata
from datetime import datetime
from typing import Any

from schemas.curation import HumanAnnotator
from schemas.run import Run
from tasks.annotator import comparison
from tasks.annotator.version import guideline_version, guidelines
from tasks.erasure.facts import ERASED, kept_out
from tasks.source import File, Record, Rejected, instant, name
from tasks.store import Ids, Store

Row = dict[str, Any]


class Parser:
    """Makes an annotation row of a record of a label table."""

    def __init__(self, run: Run, annotator: HumanAnnotator) -> None:
        self._fields, self._voice = annotator.fields, Voice(run)

    def __call__(self, record: Record, file: File) -> Row:
        """Return the row; raise Rejected with the reason it cannot be one."""
        fields, given = self._fields, record.fields or {}
        for field in (fields.item, fields.annotator, fields.label, fields.time):
            if field and field not in given:
                raise Rejected("missing_field", f"`{field}`")
        who = name(given[fields.annotator], fields.annotator)
        document_id = self._voice.document(self._voice.ids.id("document", name(given[fields.item], fields.item)))
        label = self._voice.label(given[fields.label], fields.label)
        return self._voice.annotation(document_id, who, label, self._voice.time(given, fields.time))


class Voice:
    """What a person says, as one curation's labels, clock and guidelines have it."""

    def __init__(self, run: Run) -> None:
        self._curated = labels = run.curation.labels
        self.ids, self._now, self._kept_out = Ids(run.curation.name), run.started_at, kept_out(run)
        self._labels, self._shown = (
            {unicodedata.normalize("NFC", label): label for label in some} for some in (labels.values, labels.shown)
        )
        self._guideline = guideline_version(guidelines(labels, run.folder))

    def document(self, document_id: str, item_id: str | None = None) -> str:
        """Return a document's id; raise Rejected where it, or the item it was named by, was erased."""
        if self._kept_out.document(document_id) or item_id in self._kept_out.removed:
            raise Rejected(ERASED)
        return document_id

    def label(self, value: Any, field: str, handed_out: str | None = None) -> str | None:
        """Return the label, or None where it is withdrawn; raise Rejected for any other.

        A whole number is the label written with its digits, and spaces around a label are not part of it. Of an item
        that was handed out, the labels are those that it was shown with.
        """
        if value is None or value == "":
            return None
        is_name = isinstance(value, str | int) and not isinstance(value, bool)
        label = unicodedata.normalize("NFC", str(value)).strip() if is_name else None
        known = self._shown if handed_out else self._labels
        if label not in known:
            raise Rejected("unknown_label", f"`{field}`: one of {', '.join(known.values())} expected")
        return comparison.places(self._curated, handed_out or "").get(label, known[label])

    def time(self, given: Row, field: str | None) -> datetime | None:
        """Return when a label was given, where the record says so; raise Rejected for what is no instant."""
        return instant(given[field], field, self._now) if field else None

    def annotation(
        self,
        document_id: str,
        annotator_id: str,
        label: str | None,
        event_at: datetime | None,
        handout_id: str | None = None,
    ) -> Row:
        """Return an annotation's columns, but for those that say when and where we learnt of it.

        An answer to the review queue is an annotation of its own: that somebody had said so before does not answer it.
        """
        asked = [handout_id] if handout_id else []
        key = (document_id, annotator_id, label, event_at, self._guideline, *asked)
        return {
            "annotation_id": self.ids.id("annotation", *key),
            "item_id": None,
            "document_id": document_id,
            "annotator_id": annotator_id,
            "annotator_kind": "human",
            "annotator_version": annotator_id,
            "label": label,
            "distribution": None,
            "distribution_source": "none",
            "off_label_share": None,
            "entropy_nats": None,
            "reason": "withdrawn" if label is None else None,
            "reply_id": None,
            "guideline_version": self._guideline,
            "handout_id": handout_id,
            "event_at": event_at,
        }


class Writer:
    """Stores the annotations of a chunk."""

    def __init__(self, run: Run) -> None:
        self._store = Store(run.store)

    def __call__(self, rows: list[tuple[Record, Row]]) -> tuple[int, list[tuple[Record, Rejected]]]:
        """Return how many annotations stand in the store as these records; none is refused."""
        self._store.merge("annotation", [row for _, row in rows])
        found = self._store.connect().sql(
            "select annotation_id, path, position from annotation where annotation_id in (select unnest($ids))",
            params={"ids": [row["annotation_id"] for _, row in rows]},
        )
        origins = {annotation_id: origin for annotation_id, *origin in found.fetchall()}
        return sum(origins[row["annotation_id"]] == [row["path"], row["position"]] for _, row in rows), []
