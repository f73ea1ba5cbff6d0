"""Records become documents: each one kept with where it came from, or set aside with a reason."""

from typing import Any

from prefect import get_run_logger

from schemas.curation import Clean, Fields, Source
from schemas.errors import SourceRefused
from schemas.run import Run
from tasks.erasure import ERASED, kept_out, refuse_later
from tasks.source import File, Intake, Record, Rejected, find, instant, intake, name, trust
from tasks.source.values import checked
from tasks.stage import stage
from tasks.store import Ids, Store
from tasks.text import canonical, clean

MAX_EXTRA_CHARS = 65_536


@stage
def read_documents(run: Run, source: Source) -> Intake:
    """Return the counts of what a source brought; raise SourceRefused where it is missing or too much of it is bad."""
    logger = get_run_logger()
    if not find(run.folder, source.path):
        raise SourceRefused(f"{source.path}: no file has such a name")
    parse = Parser(run, source)
    counts = intake(run, "document", source.path, source.format, parse, Writer(run))
    refuse_later(run, parse.refused)
    logger.info("%s: %d records read: %d accepted, %d duplicate, %d quarantined",
                source.path, counts.read, counts.accepted, counts.duplicate, counts.quarantined)  # fmt: skip
    for damage in counts.damaged:
        logger.warning("%s", damage)
    trust(run, "document", source.path, source.trust.max_quarantined_share, run.as_of)
    return counts


class Parser:
    """Makes a document row of a record."""

    def __init__(self, run: Run, source: Source) -> None:
        self._fields, self._clean, self._now = source.fields, run.curation.clean, run.started_at
        self._ids, self._kept_out = Ids(run.curation.name), kept_out(run)
        self.refused: set[str] = set()

    def __call__(self, record: Record, file: File) -> dict[str, Any]:
        """Return the row; raise Rejected with the reason it cannot be one."""
        self._refuse_erased(record.fields or {})
        fields, given = self._fields, dict(record.fields or {})
        text = _text(given.pop(fields.text, None), fields.text)
        cleaned = _fit(clean(text), self._clean)
        context = {key: _scalar(given.pop(key, None), key) for key in fields.context}
        context = canonical(context | (_answers(given, fields, self._clean) if fields.a else {}))
        own_id = name(_required(given, fields.id), fields.id) if fields.id else None
        item_id = self._ids.id("item", cleaned, context)
        document_id = self._ids.id("document", *((own_id,) if own_id else (cleaned, context)))
        if self._kept_out.item(item_id) or self._kept_out.document(document_id):
            self.refused.add(document_id)
            raise Rejected(ERASED)
        return {
            "document_id": document_id,
            "item_id": item_id,
            "source_id": own_id,
            "text": text,
            "context": context,
            "group_id": self._optional(record, fields.group),
            "slice": self._optional(record, fields.slice),
            "extra": self._extra(given),
            "event_at": instant(record.fields.get(fields.time), fields.time, self._now) if fields.time else None,
        }

    def _refuse_erased(self, given: dict[str, Any]) -> None:
        """Raise Rejected where a record is of a document or a group that was erased, whatever else is wrong with it."""
        own_id, group_id = (_plain_name(given.get(field)) for field in (self._fields.id, self._fields.group))
        document_id = self._ids.id("document", own_id) if own_id and self._kept_out else None
        if self._kept_out.group(group_id) or self._kept_out.document(document_id):
            self.refused.update([document_id] if document_id else [])
            raise Rejected(ERASED)

    def _optional(self, record: Record, field: str | None) -> str | None:
        value = record.fields.get(field) if field else None
        return None if value is None or value == "" else name(value, field, "bad_type")

    def _extra(self, given: dict[str, Any]) -> str | None:
        named = {self._fields.id, self._fields.group, self._fields.slice, self._fields.time}
        rest = {key: value for key, value in given.items() if key not in named}
        if not rest:
            return None
        extra = checked(canonical(rest), "extra")
        if len(extra) > MAX_EXTRA_CHARS:
            raise Rejected("too_large", f"fields the curation does not name: at most {MAX_EXTRA_CHARS:,} characters")
        return extra


def _plain_name(value: Any) -> str | None:
    """Return a value as the name it is, None where it is none."""
    try:
        return name(value, "")
    except Rejected:
        return None


def _required(given: dict[str, Any], field: str) -> Any:
    if field not in given:
        raise Rejected("missing_field", f"`{field}`")
    return given[field]


def _text(value: Any, field: str) -> str:
    if value is None:
        raise Rejected("missing_field", f"`{field}`")
    if not isinstance(value, str):
        raise Rejected("bad_type", f"`{field}`: a text expected")
    return checked(value, field)


def _answers(given: dict[str, Any], fields: Fields, limits: Clean) -> dict[str, str]:
    """Return a preference's answers, cleaned; one of them may be empty, which is an answer too."""
    a, b = (clean(_text(given.pop(field, None), field)) for field in (fields.a, fields.b))
    if max(len(a), len(b)) > limits.max_chars:
        raise Rejected("too_long", f"at most {limits.max_chars} characters of an answer expected")
    if a == b:
        raise Rejected("same_answers", "two different answers expected")
    return {"a": a, "b": b}


def _fit(text: str, limits: Clean) -> str:
    if not text:
        raise Rejected("empty_text")
    if len(text) < limits.min_chars:
        raise Rejected("too_short", f"at least {limits.min_chars} characters expected")
    if len(text) > limits.max_chars:
        raise Rejected("too_long", f"at most {limits.max_chars} characters expected")
    return text


def _scalar(value: Any, field: str) -> str | int | float | bool:
    if value is None:
        raise Rejected("missing_field", f"`{field}`")
    if not isinstance(value, str | int | float | bool):
        raise Rejected("bad_type", f"`{field}`: a text or a number expected")
    return clean(checked(value, field)) if isinstance(value, str) else value


class Writer:
    """Stores the documents of a chunk; an id that already names another text is refused."""

    def __init__(self, run: Run) -> None:
        self._store = Store(run.store)

    def __call__(self, rows: list[tuple[Record, dict[str, Any]]]) -> tuple[int, list[tuple[Record, Rejected]]]:
        """Return how many documents stand in the store as these records, and the records refused."""
        self._store.merge("document", [row for _, row in rows])
        stored = self._stored([row["document_id"] for _, row in rows])
        accepted, refused = 0, []
        for record, row in rows:
            item_id, *origin = stored[row["document_id"]]
            if item_id != row["item_id"]:
                refused.append((record, Rejected("id_conflict", "the id already names another text")))
            else:
                accepted += origin == [row["path"], row["position"]]
        return accepted, refused

    def _stored(self, document_ids: list[str]) -> dict[str, tuple[str, str, int]]:
        found = self._store.connect().sql(
            "select document_id, item_id, path, position from document where document_id in (select unnest($ids))",
            params={"ids": document_ids},
        )
        return {document_id: rest for document_id, *rest in found.fetchall()}
