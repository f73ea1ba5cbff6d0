"""What is looked for after an erasure: the texts that went, in every form they may stand in a file."""

import html
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import duckdb
import polars as pl

from schemas.run import Run
from tasks.erasure import raw
from tasks.erasure.subject import Subject
from tasks.store import Store
from tasks.text import clean

SHORTEST = 12  # characters; what is shorter stands in other texts by chance, and is looked for as a whole value
LONGEST = 100  # characters that are looked for of a longer text: it may be cut short where it is shown
_ROWS = 20_000


@dataclass(frozen=True)
class Sought:
    """The texts that went, by how they are looked for; no two are the same."""

    anywhere: list[str]
    """Wherever they stand."""
    whole: list[str]
    """As whole values only: short ones, and those that are part of a text that stays."""
    kept: int
    """How many are not looked for, as the same text is somebody else's, too, and stays."""


def sought(run: Run, gone: Subject) -> Sought:
    """Return what to look for once documents and items are gone; to be called before they are."""
    connection = Store(run.store).connect()
    for table, ids in (("document", gone.documents), ("item", gone.items)):
        connection.execute(
            f"create temp table gone_{table} as select unnest($ids)::varchar as {table}_id", {"ids": ids}
        )
    texts = _texts(connection) | _quarantined(run, connection, gone)
    heads = {text: text[:LONGEST] for text in texts}
    there = _there(connection, {*texts, *heads.values()})
    known = set(run.curation.labels.values) | set(run.curation.labels.values.values())
    anywhere, whole, kept = set(), set(), 0
    for text, head in heads.items():
        if len(text) >= SHORTEST and head not in there:
            anywhere.add(head)
        elif len(text) >= SHORTEST and text not in there:
            anywhere.add(text)
        elif there.get(text) == "whole" or text in known:
            kept += 1
        else:
            whole.add(text)
    return Sought(sorted(anywhere), sorted(whole), kept)


def _texts(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return the texts of what goes, and what stands beside them where it is long enough to be told from other things."""
    rows = connection.sql("""
        select text, context, extra from document semi join gone_document using (document_id)
        union
        select text, context, null from item semi join gone_item using (item_id)
    """).fetchall()
    found = set()
    for text, *beside in rows:
        found |= {text, clean(text)}
        for fields in filter(None, beside):
            found |= {value for value in _strings(json.loads(fields)) if len(value) >= SHORTEST}
    return {text for text in found if text.strip()}


def _quarantined(run: Run, connection: duckdb.DuckDBPyConnection, gone: Subject) -> set[str]:
    """Return the texts of records of what goes that were set aside: no document may ever have been made of them."""
    ids = set(gone.source_ids)
    written = [form for name in {*ids, gone.group} - {None} for form in forms(name)]
    fields, found = [source.fields for source in run.curation.sources], set()
    rows = connection.sql("select raw from quarantine where noun = 'document' and raw <> ''")
    for batch in rows.fetch_record_batch(_ROWS) if written else ():
        records = pl.Series(batch.column(0), dtype=pl.String)
        for record in records.filter(records.str.contains_any(written)):
            texts = raw.texts(record, fields, ids, gone.group, SHORTEST)
            found |= texts | {clean(text) for text in texts}
    return {text for text in found if text.strip()}


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def _there(connection: duckdb.DuckDBPyConnection, texts: set[str]) -> dict[str, str]:
    """Return those of the texts that what stays holds: as a `whole` value, or as a `part` of one."""
    long = {form: text for text in texts if len(text) >= SHORTEST for form in {text, _in_json(text)}}
    quoted = {form: text for text in texts - set(long.values()) for form in (text, f'"{_in_json(text)}"')}
    heads = sorted({form[:LONGEST] for form in long})  # to find long texts whole is slow
    found: dict[str, str] = {}
    rows = connection.sql("""
        select unnest([text, context, extra, source_id, group_id, slice]) as value
        from document anti join gone_document using (document_id)
        union all
        select unnest([text, context]) from item anti join gone_item using (item_id)
    """)
    for batch in rows.fetch_record_batch(_ROWS):
        values = pl.Series(batch.column(0), dtype=pl.String).drop_nulls()
        for value in values.filter(values.str.contains_any(heads)) if long else ():
            for form, text in long.items():
                if form in value:
                    is_whole = value == text or f'"{form}"' in value
                    found[text] = "whole" if is_whole else found.get(text, "part")
        if quoted:
            whole = values.filter(values.is_in(list(quoted)))
            beside = values.filter(values.str.contains_any([form for form in quoted if form[0] == '"']))
            found |= {quoted[value]: "whole" for value in whole}
            found |= {text: "whole" for value in beside for form, text in quoted.items() if form in value}
    return found


def _in_json(text: str, is_ascii: bool = False) -> str:
    return json.dumps(text, ensure_ascii=is_ascii)[1:-1]


def forms(text: str) -> list[str]:
    """Return a text as it stands in files: plain, in JSON once or twice, in csv, in HTML."""
    once = {_in_json(text), _in_json(text, is_ascii=True)}
    twice = {_in_json(one) for one in once} | {_in_json(one, is_ascii=True) for one in once}
    escaped = html.escape(text)
    shown = {escaped, escaped.replace("&quot;", "&#34;").replace("&#x27;", "&#39;"), html.escape(text, quote=False)}
    return sorted({text, text.replace('"', '""'), *once, *twice, *shown})


def marks(texts: Iterable[str]) -> list[str]:
    """Return texts as whole values in JSON and csv: between quotes, escaped as often as they are."""
    quoted = {f'"{form}"' for text in texts for form in forms(text)}
    return sorted(quoted | {f'\\"{form}\\"' for text in texts for form in forms(text)})
