"""What an erasure is of: the documents and items that go, and what stays beside them."""

from dataclasses import dataclass, field

import duckdb

from schemas.errors import RequestError
from schemas.run import Run
from tasks.sql import relation
from tasks.store import Ids, Store

NEAREST = 3


@dataclass(frozen=True)
class Asked:
    """An item, a document or a group, as it was named."""

    noun: str
    name: str
    """As it was given: an id here, or the source's own."""
    subject_id: str
    """Its id here; of a group, a keyed hash of its name."""


@dataclass(frozen=True)
class Subject:
    """What goes with it, by id."""

    documents: list[str] = field(default_factory=list)
    """Documents that go, those that people only named among them."""
    items: list[str] = field(default_factory=list)
    """Items that no other document makes: they go."""
    shared: list[str] = field(default_factory=list)
    """Items that another document makes, too: they stay."""
    ungrouped: list[str] = field(default_factory=list)
    """Those of them whose group is that of no document that stays."""
    similar: list[str] = field(default_factory=list)
    """Items that are near-duplicates of one that goes: they have a text of their own, and stay."""
    source_ids: list[str] = field(default_factory=list)
    """What the source calls the documents."""
    group: str | None = None
    """What the source calls the group, where one was named."""


def asked(run: Run, item: str | None, document: str | None, group: str | None) -> Asked:
    """Return what was named; raise RequestError where nothing, or more than one thing, was."""
    given = {noun: name for noun, name in (("item", item), ("document", document), ("group", group)) if name}
    if len(given) != 1:
        raise RequestError("one of --item ID, --document ID and --group G expected")
    ((noun, name),) = given.items()
    return Asked(noun, name, _subject_id(Ids(run.curation.name), noun, name))


def _subject_id(ids: Ids, noun: str, name: str) -> str:
    is_ours = name.startswith(f"{noun}_") and len(name) == len(ids.id(noun))
    return name if noun == "item" or is_ours else ids.id(noun, name)


def subject(run: Run, what: Asked) -> Subject:
    """Return what goes with what was named, of all that the store holds, whatever its date."""
    connection = Store(run.store).connect()
    connection.execute(f"create temp table erased_document as {_documents(what)}", {"subject": _key(what)})
    rows = relation(connection, "erased_item", noun=what.noun, subject=what.subject_id).fetchall()
    items = [item_id for item_id, is_shared, _ in rows if not is_shared]
    named = connection.sql("select document_id, source_id from erased_document order by document_id").fetchall()
    documents = [document_id for document_id, _ in named] or [what.subject_id] * (what.noun == "document")
    source_ids = {name for _, name in named if name} | ({what.name} if what.noun == "document" else set())
    shared = [item_id for item_id, is_shared, _ in rows if is_shared]
    ungrouped = [item_id for item_id, is_shared, has_group in rows if is_shared and not has_group]
    similar, group = _similar(connection, items), what.name if what.noun == "group" else None
    return Subject(documents, items, shared, ungrouped, similar, sorted(source_ids), group)


def _key(what: Asked) -> str:
    return what.name if what.noun == "group" else what.subject_id


def _documents(what: Asked) -> str:
    return f"select document_id, item_id, source_id from document where {what.noun}_id = $subject"


def _similar(connection: duckdb.DuckDBPyConnection, items: list[str]) -> list[str]:
    rows = relation(connection, "similar_item", items=items).fetchall()
    return [item_id for (item_id,) in rows]


def unknown(run: Run, what: Asked) -> RequestError:
    """Return the error that says that nothing of that name is here, and what is."""
    connection, column = Store(run.store).connect(), f"{what.noun}_id"
    name = "coalesce(source_id, document_id)" if what.noun == "document" else column
    query = f"""
        select distinct {name} as name
        from {"item" if what.noun == "item" else "document"}
        where {column} is not null
        order by jaro_winkler_similarity({name}, $given) desc, name
        limit {NEAREST}
    """
    near = [one for (one,) in connection.sql(query, params={"given": what.name}).fetchall()]
    nearest = f"; the nearest: {', '.join(near)}" if near else ""
    return RequestError(
        f"{run.curation.name} has no {what.noun} {what.name!r}{nearest}. "
        f'`assay sql "select * from {"items" if what.noun == "item" else "documents"}" CURATION` lists them'
    )
