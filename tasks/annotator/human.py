"""People: one row of a label table is one annotation of a document, which may not have arrived yet."""

import unicodedata
from typing import Any

from schemas.curation import HumanAnnotator
from schemas.run import Run
from tasks.annotator.version import guideline_version, guidelines
from tasks.source import File, Record, Rejected, instant, name
from tasks.store import Ids, Store


class Parser:
    """Makes an annotation row of a record of a label table."""

    def __init__(self, run: Run, annotator: HumanAnnotator) -> None:
        self._fields, labels = annotator.fields, run.curation.labels
        self._labels = {unicodedata.normalize("NFC", label): label for label in labels.values}
        self._ids, self._now = Ids(run.curation.name), run.started_at
        self._guideline = guideline_version(guidelines(labels, run.folder))

    def __call__(self, record: Record, file: File) -> dict[str, Any]:
        """Return the row; raise Rejected with the reason it cannot be one."""
        fields, given = self._fields, record.fields or {}
        for field in (fields.item, fields.annotator, fields.label, fields.time):
            if field and field not in given:
                raise Rejected("missing_field", f"`{field}`")
        annotator_id = name(given[fields.annotator], fields.annotator)
        document_id = self._ids.id("document", name(given[fields.item], fields.item))
        label = _label(given[fields.label], fields.label, self._labels)
        event_at = instant(given[fields.time], fields.time, self._now) if fields.time else None
        return {
            "annotation_id": self._ids.id("annotation", document_id, annotator_id, label, event_at, self._guideline),
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
            "event_at": event_at,
        }


def _label(value: Any, field: str, labels: dict[str, str]) -> str | None:
    """Return the label, or None where it is withdrawn; `labels` is each one by its spelling in Unicode NFC.

    A whole number is the label written with its digits, and spaces around a label are not part of it.
    """
    if value is None or value == "":
        return None
    is_name = isinstance(value, str | int) and not isinstance(value, bool)
    label = unicodedata.normalize("NFC", str(value)).strip() if is_name else None
    if label not in labels:
        raise Rejected("unknown_label", f"`{field}`: one of {', '.join(labels.values())} expected")
    return labels[label]


class Writer:
    """Stores the annotations of a chunk."""

    def __init__(self, run: Run) -> None:
        self._store = Store(run.store)

    def __call__(self, rows: list[tuple[Record, dict[str, Any]]]) -> tuple[int, list[tuple[Record, Rejected]]]:
        """Return how many annotations stand in the store as these records; none is refused."""
        self._store.merge("annotation", [row for _, row in rows])
        found = self._store.connect().sql(
            "select annotation_id, path, position from annotation where annotation_id in (select unnest($ids))",
            params={"ids": [row["annotation_id"] for _, row in rows]},
        )
        origins = {annotation_id: origin for annotation_id, *origin in found.fetchall()}
        return sum(origins[row["annotation_id"]] == [row["path"], row["position"]] for _, row in rows), []
