"""What the cells of a table of labels mean: each role's column as SQL, and which cells cannot be what they should."""

from typing import NamedTuple

import duckdb

from schemas.errors import RequestError
from tasks.label_table.files import Table
from tasks.sql import relation

KINDS = ("human", "llm", "function", "model")
MOST_VOTES = 1_000_000  # of one label on one item, in a table of counts
MOST_VOTES_IN_ALL = 20_000_000  # which are written out, one row each
SECONDS, MILLISECONDS = (1e9, 1e10), (1e12, 1e13)  # since 1970: numbers of the years 2001 to 2286
NAMES = {"item": "item_id", "annotator": "annotator_id", "slice": "slice", "group": "group_id"}

NO_LIST = "--label: what begins as a JSON list does, and is none"
NO_KIND = f"--annotator-kind: none of {', '.join(KINDS)}"
NO_SECONDS = "--seconds: no number from 0"
NO_SHARES = '--distribution: no probabilities of labels, as {"yes": 0.9, "no": 0.1}'
NO_COUNT = f"--count: no whole number from 0 to {MOST_VOTES:,}"


class Cells(NamedTuple):
    """A table's columns as those of votes."""

    columns: dict[str, str]
    """SQL of each column, by its name in `row`."""
    faults: dict[str, str]
    """When a row is at fault, as SQL, by what is wrong with it; empty where it cannot be."""


def cells(connection: duckdb.DuckDBPyConnection, source: Table, found: dict[str, str], kind: str, fills: bool) -> Cells:
    """Return the columns of `row`, of the roles that are found in `line`.

    `fills` says that a row without a label has the most probable one of its distribution.
    """
    cell = {role: source.cells[name] for role, name in found.items()}
    types = {role: source.types[name] for role, name in found.items()}
    columns, faults = {name: text(cell[role]) for role, name in NAMES.items() if role in cell}, {}
    if "label" in cell:
        columns["label"], faults[NO_LIST] = label(cell["label"], types["label"], kind)
    if "seconds" in cell:
        columns["seconds"], faults[NO_SECONDS] = _seconds(cell["seconds"])
    if "distribution" in cell:
        columns["distribution"], faults[NO_SHARES] = shares(cell["distribution"], types["distribution"])
    if "annotator_kind" in cell or "distribution" in cell:
        kinds = _kind(cell.get("annotator_kind", "null"), columns.get("distribution", "null"))
        columns["annotator_kind"], faults[NO_KIND] = kinds
    if "count" in cell:
        columns["annotator_id"] = "'counted'"
        columns["votes"], faults[NO_COUNT] = _votes(cell["count"])
        columns["label"] = f"case when {columns['votes']} is not null then {columns['label']} end"
    if fills:
        given, top = columns.get("label", "null"), label(_top(columns["distribution"]), "VARCHAR", kind)[0]
        columns["label"] = f"if({is_blank(given)}, {top}, {given})"
    if "time" in cell:
        columns |= _times(connection, cell["time"], types["time"])
    return Cells(columns, faults)


def text(cell: str) -> str:
    """Return a cell as text, as SQL."""
    return f"{cell}::varchar"


def number_text(cell: str, type: str, kind: str) -> str:
    """Return a label as text, as SQL: a whole number is `1` whether it came as 1 or 1.0, as pandas has columns with gaps.

    Text is left as it is, but for a rating's: there numbers are what counts, not how they are spelt.
    """
    if not type.startswith(("FLOAT", "DOUBLE", "DECIMAL")) and kind != "rating":
        return text(cell)
    number = f"try_cast({cell} as double)"
    is_whole = f"{number} = floor({number}) and abs({number}) < 1e15"
    return f"if(coalesce({is_whole}, false), {number}::bigint::varchar, coalesce({number}::varchar, {text(cell)}))"


def is_blank(cell: str) -> str:
    """Return whether a cell says nothing, as SQL; what begins above a space is not trimmed, which would be slow."""
    return rf"if({text(cell)} >= '!', false, coalesce(trim({text(cell)}, e' \t\r\n'), '') = '')"


def label(cell: str, type: str, kind: str) -> tuple[str, str]:
    """Return a label as SQL, and its fault; of kind `choices` a sorted JSON list without repeats, whatever was there."""
    is_list = type.endswith("[]")
    if kind != "choices":
        if is_list:
            raise RequestError("--label: the column holds lists; --kind choices reads them as sets of labels")
        return number_text(cell, type, kind), ""
    given = f"to_json({cell})::varchar" if is_list else text(cell)
    read = f"coalesce(if(json_valid({given}), json_type({given}), null) = 'ARRAY', false)"
    members = f"list_sort(list_distinct(from_json({given}, '[\"varchar\"]')))"
    chosen = f"""case
        when {is_blank(given)} then null
        when {given} not like '[%' then to_json([{given}])::varchar
        when {read} then to_json({members})::varchar
    end"""
    return chosen, "" if is_list else f"{given} like '[%' and not {read}"


def _seconds(cell: str) -> tuple[str, str]:
    number = f"try_cast({cell} as double)"
    return number, _unless(cell, f"{number} >= 0")


def _votes(cell: str) -> tuple[str, str]:
    number = f"try_cast({cell} as double)"
    return f"{number}::bigint", _unless(cell, f"{number} between 0 and {MOST_VOTES} and {number} % 1 = 0")


def _kind(cell: str, distribution: str) -> tuple[str, str]:
    """Who gives no kind is a person, or a model where a distribution is given."""
    given = f"nullif(lower(trim({text(cell)})), '')"
    return f"coalesce({given}, if({distribution} is null, 'human', 'model'))", f"{given} not in {KINDS}"


def shares(cell: str, type: str) -> tuple[str, str]:
    """Return a map of labels to probabilities, of a map, a struct or an object in JSON; null where there is none."""
    if type.startswith("STRUCT"):
        cell = f"to_json({cell})"
    given = cell if type.startswith("MAP") else f"try_cast(nullif(trim({text(cell)}), '') as json)"
    entries = f"list_filter(map_entries(try_cast({given} as map(varchar, double))), lambda one: one.value is not null)"
    whole = f"map_from_entries({entries})"
    is_sound = f"list_min(map_values({whole})) >= 0 and list_sum(map_values({whole})) between 0.5 and 1.5"
    return f"if(len({entries}) > 0, {whole}, null)", _unless(cell, is_sound)


def _top(distribution: str) -> str:
    """Return a distribution's most probable label; of equal ones the first in the alphabet."""
    ranked = "lambda one: {'less': -one.value, 'label': one.key}"
    return f"list_sort(list_transform(map_entries({distribution}), {ranked}))[1].label"


def _times(connection: duckdb.DuckDBPyConnection, cell: str, type: str) -> dict[str, str]:
    """Return `moment`, by which labels are ordered, `word` where times are no more than text, and `labelled_at`.

    Times are numbers where all are, else instants where all are, else text.
    """
    if type.startswith(("TIMESTAMP", "DATE")):
        instant = f"epoch({cell}::timestamptz)"
        return {"moment": instant, "word": "''", "labelled_at": instant}
    connection.sql(f"select nullif(trim({text(cell)}), '') as time from line").create_view("spoken", replace=True)
    is_instant, is_number, least, most = relation(connection, "clock").fetchone()
    number, instant = f"try_cast({text(cell)} as double)", f"epoch(try_cast({text(cell)} as timestamptz))"
    if is_number:
        return {"moment": number, "word": "''"} | _epoch(number, least, most)
    if is_instant:
        return {"moment": instant, "word": "''", "labelled_at": instant}
    return {"moment": "null::double", "word": f"coalesce({text(cell)}, '')"}


def _epoch(number: str, least: float, most: float) -> dict[str, str]:
    """Return `labelled_at` where numbers can only be seconds or milliseconds since 1970."""
    if SECONDS[0] <= least <= most < SECONDS[1]:
        return {"labelled_at": number}
    if MILLISECONDS[0] <= least <= most < MILLISECONDS[1]:
        return {"labelled_at": f"{number} / 1000"}
    return {}


def _unless(cell: str, condition: str) -> str:
    """Return whether a cell says something that does not fulfil a condition, as SQL."""
    return f"nullif(trim({text(cell)}), '') is not null and not coalesce({condition}, false)"
