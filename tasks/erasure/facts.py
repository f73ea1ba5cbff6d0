"""What was erased, as the store remembers it: ids alone, so that it is never let in again."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from schemas.run import Run
from tasks.erasure.subject import Asked, Subject
from tasks.store import Ids, Store

ERASED = "erased"  # why a record is set aside


@dataclass(frozen=True)
class KeptOut:
    """What is never let in again, by id; `removed` are items that went with the last document that made them."""

    documents: frozenset[str]
    items: frozenset[str]
    groups: frozenset[str]
    removed: frozenset[str]
    ids: Ids

    def __bool__(self) -> bool:
        return bool(self.documents or self.items or self.groups)

    def document(self, document_id: str | None) -> bool:
        """Return whether a document of that id was erased."""
        return document_id in self.documents

    def item(self, item_id: str) -> bool:
        """Return whether an item of that id was erased by itself, whoever's document it is in."""
        return item_id in self.items

    def group(self, group_id: str | None) -> bool:
        """Return whether a group of that name was erased."""
        return bool(self.groups) and group_id is not None and self.ids.id("group", group_id) in self.groups


def kept_out(run: Run) -> KeptOut:
    """Return what a run's curation never lets in again."""
    rows = Store(run.store).connect().sql("select step, noun, subject_id from erasure").fetchall()

    def named(step: str, noun: str) -> frozenset[str]:
        return frozenset(one for *kind, one in rows if kind == [step, noun])

    out = (named("kept_out", noun) for noun in ("document", "item", "group"))
    return KeptOut(*out, named("removed", "item"), Ids(run.curation.name))


def start(run: Run, erasure_id: str, asked: Asked, gone: Subject) -> None:
    """Write down, all at once, that an erasure started, what it keeps out from now on, and which items it removes."""
    kept_out = {(asked.noun, asked.subject_id), *(("document", one) for one in gone.documents)}
    _record(run, [
        _entry(erasure_id, "started", asked.noun, asked.subject_id),
        *(_entry(erasure_id, "kept_out", noun, one) for noun, one in sorted(kept_out)),
        *(_entry(erasure_id, "removed", "item", one) for one in gone.items),
    ])  # fmt: skip


def finish(run: Run, erasure_id: str, asked: Asked) -> None:
    """Write down that nothing of an erasure is left to do."""
    _record(run, [_entry(erasure_id, "finished", asked.noun, asked.subject_id)])


def refuse_later(run: Run, document_ids: Iterable[str]) -> None:
    """Write down documents that came after what they are part of was erased, so that labels for them are refused, too."""
    if later := sorted(set(document_ids) - kept_out(run).documents):
        _record(run, [_entry("later", "kept_out", "document", one) for one in later])


def removed_items(store: Store) -> set[str]:
    """Return the items that were removed and that no document has made again."""
    query = "select distinct subject_id from erasure anti join item on item_id = subject_id where step = 'removed'"
    return {item_id for (item_id,) in store.connect().sql(query).fetchall()}


def finished(run: Run, noun: str, subject_id: str) -> list[tuple[str, datetime]]:
    """Return id and time of each finished erasure of what is named, oldest first."""
    query = """
        select erasure_id, recorded_at
        from erasure
        where step = 'finished' and noun = $noun and subject_id = $subject_id
        order by recorded_at, erasure_id
    """
    return Store(run.store).connect().sql(query, params={"noun": noun, "subject_id": subject_id}).fetchall()


def _entry(erasure_id: str, step: str, noun: str, subject_id: str) -> dict:
    return {"entry_id": f"{erasure_id}:{step}:{subject_id}", "erasure_id": erasure_id, "step": step, "noun": noun,
            "subject_id": subject_id, "recorded_at": datetime.now(UTC)}  # fmt: skip


def _record(run: Run, rows: list[dict]) -> None:
    Store(run.store).merge("erasure", rows)
