"""Wide tables: one row per item, one column per annotator."""

import shlex

from schemas.errors import RequestError
from tasks.label_table.cells import NO_LIST, Cells, label
from tasks.label_table.columns import Columns, nearest, shown
from tasks.label_table.files import Table
from tasks.table_file import literal

SAMPLE = 1_000  # rows looked at
MOST_LABELS = 20  # a column with more distinct values than this hardly holds labels


def advice(source: Table, columns: Columns) -> str:
    """Return the flags that read a table whose columns look like annotators; nothing where they do not."""
    names = list(source.types)
    item = columns.item if columns.item in names else names[0]
    likely = annotators(source, [name for name in names if name != item])
    if len(likely) < 2:
        return ""
    flags = "" if item == columns.item else f" --item {shlex.quote(item)}"
    flags += f" --wide {shlex.quote(','.join(likely))}" if len(likely) < len(names) - 1 else " --wide"
    return f" It looks like a table with one column per annotator: add{flags} to read it so."


def count_advice(source: Table, found: dict[str, str]) -> str:
    """Return the flag that reads a table of votes per item and label; nothing where no column looks like a number."""
    if not {"item", "label"} <= found.keys():
        return ""
    held = _values(source, [name for name in source.types if name not in found.values()])
    numbers = [name for name, values in held.items() if values and all(value.isdecimal() for value in values)]
    return f" If {numbers[0]} is a number of votes, add --count {shlex.quote(numbers[0])}." if numbers else ""


def annotators(source: Table, names: list[str]) -> list[str]:
    """Return the columns that hold the same few values as another, as those of annotators do."""
    held = {name: values for name, values in _values(source, names).items() if 0 < len(values) <= MOST_LABELS}
    return [one for one in held if any(held[one] & held[other] for other in held if other != one)]


def voters(source: Table, columns: Columns) -> list[str]:
    """Return the columns of a wide table that are an annotator each; none where the table is not said to be wide."""
    if columns.wide is None:
        return []
    there, used = list(source.types), set(columns.named().values())
    if absent := [name for name in columns.wide if name not in there]:
        near = nearest(absent[0], there)
        raise RequestError(
            f"{source.path.name} has no column {' and no column '.join(absent)}; it has: {shown(there)}."
            + (f" Did you mean {near}?" if near else "")
        )
    names = list(dict.fromkeys(columns.wide)) or [name for name in there if name not in used]
    if not names:
        raise RequestError(f"{source.path.name} has no column of an annotator; it has: {shown(there)}")
    if not columns.wide:
        _check(source, names)
    return names


def _check(source: Table, names: list[str]) -> None:
    """Raise RequestError where columns share labels and one shares none: it is no annotator's."""
    values = {name: held for name, held in _values(source, names).items() if held}
    alone = [one for one in values if not any(values[one] & values[other] for other in values if other != one)]
    if alone and len(values) - len(alone) > 1:
        rest = ",".join(name for name in names if name not in alone)
        raise RequestError(
            f"{source.path.name}: what {shown(alone)} holds no other column does, so that is hardly an annotator; "
            f"name those who are: --wide {shlex.quote(rest)}"
        )


def unpivoted(source: Table, names: list[str], row: Cells, kind: str) -> Cells:
    """Return the columns of `row`, one row per cell, given those of one row per item."""
    labels, faults = zip(*(label(source.cells[name], source.types[name], kind) for name in names), strict=True)
    each = {
        "annotator_id": f"unnest([{', '.join(map(literal, names))}])",
        "label": f"unnest([{', '.join(labels)}])",
    }
    return Cells(row.columns | each, row.faults | {NO_LIST: " or ".join(f"({fault})" for fault in faults if fault)})


def _values(source: Table, names: list[str]) -> dict[str, set[str]]:
    """Return the distinct values of columns in the first rows."""
    cells = ", ".join(f"{source.cells[name]}::varchar" for name in names)
    sample = source.rows.project(cells).limit(SAMPLE).fetchall()
    return {name: {row[place] for row in sample} - {None, ""} for place, name in enumerate(names)}
