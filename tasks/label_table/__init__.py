"""Tables of labels, in any file and shape, become the relation `vote`: one row per vote, and no row silently lost."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from schemas.errors import RequestError
from tasks.label_table import wide
from tasks.label_table.cells import MOST_VOTES_IN_ALL, NAMES, NO_COUNT, NO_LIST, Cells, cells, is_blank, label, text
from tasks.label_table.columns import USUAL, Columns, absence
from tasks.label_table.files import Table, reading, table
from tasks.sql import keep, query, relation
from tasks.table_file import literal

__all__ = [
    "MACHINES",
    "PEOPLE",
    "USUAL",
    "Columns",
    "has_worded_times",
    "kinds",
    "known_labels",
    "machine_votes",
    "opened",
    "read",
    "reading",
]
# Votes of people and of machines, where a table has both.
PEOPLE = "select * from every_vote where annotator_kind = 'human'"
MACHINES = "select * from every_vote where annotator_kind <> 'human'"
VOTE_ROLES = ("item", "annotator", "label", "count")  # what a row needs to be a vote


@contextmanager
def opened(memory_limit: str | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection of its own that fetches no extension; times without a zone are UTC.

    What needs more than `memory_limit`, as 4GB, is spilled to a folder that is gone afterwards.
    """
    config = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    with (
        tempfile.TemporaryDirectory(prefix="assay-") as folder,
        duckdb.connect(config=config | {"temp_directory": folder}) as connection,
    ):
        # No figure depends on the order of rows, and keeping it costs memory.
        connection.execute("set timezone = 'UTC'; set preserve_insertion_order = false")
        if memory_limit is not None:
            try:
                connection.execute(f"set memory_limit = {literal(memory_limit)}")
            except duckdb.Error:
                raise RequestError(f"--memory-limit {memory_limit}: a size is expected, as 4GB or 500MB") from None
        yield connection


def read(
    connection: duckdb.DuckDBPyConnection,
    path: str | Path,
    columns: Columns = USUAL,
    kind: str = "choice",
    labels: Sequence[str] | None = None,
) -> dict[str, int]:
    """Return how many rows were read, and why some are no vote; make the relation `vote`, and `gold_label` if asked.

    rows = used + missing + incomplete + superseded. Parquet is not copied: `vote` is a view of the file where it can be.
    Where `labels` are given, no other may be there.
    """
    path = Path(path)
    if labels is not None and not any(labels):
        raise RequestError("--labels names no label")
    if columns.count and columns.wide is not None:
        raise RequestError("--count and --wide exclude each other: a table of counts has one row per item and label")
    with reading(path):
        source = table(connection, path, list(columns.named().values()), columns.wide is not None)
        found = _found(connection, source, columns)
        voters = wide.voters(source, columns)
        source = _loaded(connection, source, [*found.values(), *voters])
        blank = _blank(connection, source, found)
        fills = "distribution" in found and ("label" in blank or "label" not in found)
        row = cells(connection, source, found, kind, fills)
        _gold(connection, source, found, kind)
        if voters:
            row = wide.unpivoted(source, voters, row, kind)
        _refuse(connection, path, row.faults)
        is_plain = not (kind == "choices" or voters or fills)
        counts = _votes(connection, row, is_whole=not (blank or voters or fills), is_plain=is_plain)
        if labels is not None:
            _only(connection, path, kind, labels)
        for role in ("slice", "group"):
            if role in found:
                _one_of_each(connection, path, role)
        return counts


def kinds(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return whose votes there are: of people, of machines, or both."""
    votes = connection.table("vote")
    if "annotator_kind" not in votes.columns:
        return {"people"}
    used = votes.project("annotator_kind").distinct().fetchall()
    return {"people" if kind == "human" else "machines" for (kind,) in used}


def has_worded_times(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return whether times are neither instants nor numbers, so that labels are ordered as text is."""
    row = connection.table("row")
    return "word" in row.columns and bool(row.filter("word <> ''").limit(1).fetchall())


def machine_votes(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return how many machines there are, and how many votes they have."""
    votes = connection.table("vote")
    if "annotator_kind" not in votes.columns:
        return {"annotators": 0, "annotations": 0}
    machines = votes.filter("annotator_kind <> 'human'").aggregate("count(distinct annotator_id), count(*)")
    return dict(zip(("annotators", "annotations"), machines.fetchone(), strict=True))


def known_labels(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the labels that votes, distributions or gold know of, sorted."""
    return [name for (name,) in relation(connection, "known_label").fetchall()]


def _found(connection: duckdb.DuckDBPyConnection, source: Table, columns: Columns) -> dict[str, str]:
    """Return the roles that are there with their columns; raise RequestError with what to type for those that are not."""
    found, absent = columns.found(list(source.types))
    if absent:
        said = absence(source.path.name, absent, list(source.types))
        if columns.wide is None and absent.keys() & {"annotator", "label"}:
            whole = table(connection, source.path, [], is_wide=True)
            said += wide.advice(whole, columns) or wide.count_advice(whole, found)
        raise RequestError(said)
    return found


def _loaded(connection: duckdb.DuckDBPyConnection, source: Table, names: list[str]) -> Table:
    """Return the table with its rows in `line`: a view of Parquet, else the columns that are used, read once."""
    if source.form == "parquet":
        source.rows.create_view("line", replace=True)
    elif source.form == "csv":
        source.rows.project(", ".join(dict.fromkeys(source.cells[name] for name in names))).create("line")
    return source._replace(rows=connection.table("line"))


def _blank(connection: duckdb.DuckDBPyConnection, source: Table, found: dict[str, str]) -> set[str]:
    """Return the roles of columns in which a cell is blank, of those a vote needs."""
    unknown = {role: source.cells[name] for role, name in found.items() if role in VOTE_ROLES}
    if source.form == "parquet":
        connection.execute(f"set variable file = {literal(str(source.file))}")
        whole = {name for (name,) in relation(connection, "parquet_whole").fetchall()}
        unknown = {role: cell for role, cell in unknown.items() if found[role] not in whole}
    if not unknown:
        return set()
    blanks = connection.table("line").aggregate(", ".join(f"bool_or({is_blank(cell)})" for cell in unknown.values()))
    return {role for role, is_there in zip(unknown, blanks.fetchone(), strict=True) if is_there}


def _refuse(connection: duckdb.DuckDBPyConnection, path: Path, faults: dict[str, str]) -> None:
    """Raise RequestError where cells cannot be what their column should hold."""
    faults = {said: fault for said, fault in faults.items() if fault}
    if not faults:
        return
    counts = connection.table("line").aggregate(", ".join(f"count(*) filter ({fault})" for fault in faults.values()))
    for said, count in zip(faults, counts.fetchone(), strict=True):
        if count:
            name, what = said.split(": ", 1)
            rest = "" if said in (NO_LIST, NO_COUNT) else f', or leave the column alone: {name} ""'
            raise RequestError(f"{path.name}: in {count:,} rows the column of {name} holds {what}; mend them{rest}")


def _only(connection: duckdb.DuckDBPyConnection, path: Path, kind: str, labels: Sequence[str]) -> None:
    """Raise RequestError where a label, or a member of a set of them, is not among those given."""
    used = "unnest(from_json(label, '[\"varchar\"]'))" if kind == "choices" else "label"
    for name, flag in (("vote", ""), ("gold_label", " of --gold")):
        given = connection.table(name).project(f"{used} as one")
        strangers = given.filter(f"one not in ({', '.join(map(literal, labels))})")
        if count := strangers.aggregate("count(*)").fetchone()[0]:
            raise RequestError(
                f"{path.name}: {count:,} labels{flag} are not among those of --labels: {', '.join(labels)}"
            )


def _one_of_each(connection: duckdb.DuckDBPyConnection, path: Path, role: str) -> None:
    """Raise RequestError where an item lies in several slices, or groups."""
    column = NAMES[role]
    several = connection.sql(
        f"select item_id from vote group by item_id having min({column}) <> max({column})"
    ).aggregate("count(*)").fetchone()[0]  # fmt: skip
    if several:
        raise RequestError(
            f"{path.name}: {several:,} items have two values or more in the column of --{role}, which is to say what part of"
            " the data an item belongs to. To compare annotators, measure the rows of each group by themselves; where two"
            " sets share item ids, make them distinct"
        )


def _gold(connection: duckdb.DuckDBPyConnection, source: Table, found: dict[str, str], kind: str) -> None:
    """Make the relation `gold_label`, empty without gold; raise RequestError where rows of one item differ in it."""
    item, gold = source.cells[found["item"]], "null"
    if "gold" in found:
        gold = label(source.cells[found["gold"]], source.types[found["gold"]], kind)[0]
    known = connection.table("line") if "gold" in found else connection.table("line").limit(0)
    known.project(f"{text(item)} as item_id, {text(gold)} as label").create_view("gold_row", replace=True)
    several = keep(connection, "gold_label").filter("labels > 1").aggregate("count(*)").fetchone()[0]
    if several:
        raise RequestError(f"{source.path.name}: {several:,} items have two labels or more in the column of --gold")


def _votes(connection: duckdb.DuckDBPyConnection, row: Cells, is_whole: bool, is_plain: bool) -> dict[str, int]:
    """Return what became of the rows, and make `row` and `vote`; what is costly to read again is a table."""
    selection = ", ".join(f"{cell} as {name}" for name, cell in row.columns.items())
    connection.execute(f"create or replace temp {'view' if is_plain else 'table'} row as select {selection} from line")
    if is_whole:
        rows, missing, incomplete = connection.table("line").aggregate("count(*)").fetchone()[0], 0, 0
    else:
        rows, missing, incomplete = relation(connection, "missing_count").fetchone()
    given = query("given_vote") if missing or incomplete else "from row"
    connection.execute(f"create or replace temp view given_vote as {given}")
    used, superseded = rows - missing - incomplete, 0
    if "votes" in row.columns:
        if (total := connection.table("given_vote").aggregate("sum(votes)").fetchone()[0] or 0) > MOST_VOTES_IN_ALL:
            raise RequestError(
                f"the column of --count adds up to {total:,} votes; {MOST_VOTES_IN_ALL:,} are the most there may be"
            )
        _make(connection, "table", query("counted_vote"))
    elif "moment" in row.columns and len(keep(connection, "repeated_pair")):
        _make(connection, "table", query("latest_vote"))
        superseded = used - len(connection.table("vote"))
    else:
        _make(connection, "view", "select columns(lambda name: name not in ('moment', 'word')) from given_vote")
    return {
        "rows": rows, "used": used - superseded, "missing": missing, "incomplete": incomplete, "superseded": superseded,
    }  # fmt: skip


def _make(connection: duckdb.DuckDBPyConnection, what: str, votes: str) -> None:
    """Make the relation `every_vote`, and `vote`, which is not temporary: a temporary view may stand in front of it."""
    connection.execute(f"create or replace temp {what} every_vote as {votes}")
    connection.execute("create or replace view vote as from every_vote")
