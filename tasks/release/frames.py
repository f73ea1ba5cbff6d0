"""Frames: what is to be published and what it rests on, in typed columns without text, each a view to be read once."""

from pathlib import Path
from statistics import NormalDist
from typing import Any

import duckdb

from schemas.curation import Curation
from schemas.frame import FRAMES
from schemas.run import Run
from tasks import epoch
from tasks.annotator import comparison
from tasks.draft import figures, see
from tasks.known import known
from tasks.release.ledger import parent_of
from tasks.release.shapes import FORMATS, SPLITS, places
from tasks.sql import keep, query

MEMORY = "512MB"
"""What DuckDB may hold; what is larger goes through the disk."""
CONFIDENCE = 0.95
"""With which slices differ beyond chance, all comparisons together."""
_CHAT = "columns = {messages: 'struct(role varchar, content varchar)[]'}"
_BYTES_A_CHAR = 24  # of a text at most, escaped as JSON in JSON
_LONGEST = 1 << 24  # bytes of a line, where texts are no longer than usual: DuckDB holds twice that a thread
_NO_SHAPE = "select null::varchar as file, 0 as lines, 0 as each where false"
_APART = ("text_in_two_splits", "group_in_two_splits", "near_other_split")


def framed(run: Run, versions: dict[str, str], content: str, staged: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection that holds the frames as views in the schema `frame`, of the staged files and the facts.

    It reaches these files and no others.
    """
    connection = known(run, versions)
    spill = run.drafts / "spill"
    connection.execute(f"set memory_limit = '{MEMORY}'; set temp_directory = {quoted(spill)}")
    connection.execute("set preserve_insertion_order = false")
    see(run, connection, "consensus")
    _see_items_once(connection, run.drafts / "known_item.parquet")
    see_staged(connection, staged, run.curation)
    _see_parent(connection, run, content)
    _see_proofs(connection, run)
    _see_figures(connection, run)
    connection.execute(f"create view taken as {query('cost')}")
    lay_out(connection, run.curation.splits.by == "group")
    lock(connection, [run.store, staged, run.releases])
    return connection


def _see_items_once(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Let every view of the connection that reads known_item read a file of it, without text: five frames do."""
    items = "select item_id, split, slice, group_id, length(text) as chars from known_item"
    connection.execute(f"copy ({items}) to {quoted(file)} (format parquet)")
    connection.execute(f"create temp view known_item as from read_parquet({quoted(file)})")


def lay_out(connection: duckdb.DuckDBPyConnection, by_group: bool) -> None:
    """Lay the frames out as views, given what they read; what stands in two splits is looked for once."""
    connection.execute(f"set variable by_group = {by_group}")
    for name in _APART:
        keep(connection, name)
    connection.execute("create schema frame")
    for name in FRAMES:
        connection.execute(f"create view frame.{name} as {query(f'frame/{name}')}")


def lock(connection: duckdb.DuckDBPyConnection, folders: list[Path]) -> None:
    """Let a connection's queries name files of these folders alone, and change no setting."""
    places = ", ".join(quoted(folder) for folder in folders)
    connection.execute(f"set allowed_directories = [{places}]")
    connection.execute("set enable_external_access = false; set lock_configuration = true")


def quoted(place: Path) -> str:
    """Return a path as SQL has it."""
    return "'" + str(place).replace("'", "''") + "'"


def see_staged(connection: duckdb.DuckDBPyConnection, staged: Path, curation: Curation) -> None:
    """Let the connection see the staged files: published and chat, each row with its split's file, and shape_row."""
    is_compared = curation.labels.kind == comparison.KIND
    said = "json_extract_string(context, '$.' || label)" if is_compared else "label"
    table = (
        f"select *, {said} as said, '{name}' as file from read_parquet({quoted(staged / 'data' / f'{name}.parquet')})"
        for name in SPLITS
    )
    connection.execute("create view published as " + " union all ".join(table))
    formats = places(curation.name, curation.release.formats)
    longest = max(_LONGEST, _BYTES_A_CHAR * curation.clean.max_chars)
    chats = [_chats(staged / path, split, is_compared, longest) for split, path in formats.get("messages", {}).items()]
    nothing = "select null::varchar as file, null::ubigint as pair where false"
    connection.execute("create view chat as " + (" union all ".join(chats) or nothing))
    connection.execute(f"set variable has_chats = {bool(chats)}")
    lines = ", ".join(
        f"('{split}', {_lines(staged / path)}, {FORMATS[name].rows})"
        for name, paths in formats.items()
        if name != "messages"  # whose rows are looked at one by one
        for split, path in paths.items()
    )
    rows = f"select * from (values {lines}) as given(file, lines, each)" if lines else _NO_SHAPE
    connection.execute(f"create temp table shape_row as {rows}")


def _chats(file: Path, split: str, is_compared: bool, longest: int) -> str:
    """Return the query of a file's chats: what each answers, and to which text, as one hash."""
    read = f"read_json({quoted(file)}, format = 'newline_delimited', maximum_object_size = {longest}, {_CHAT})"
    asked = "split_part(messages[-2].content, chr(10), 2)"
    answer = "try(json_extract_string(messages[-1].content, '$.label'))"
    # of two answers the one it prefers: which place that stands in, only the chat knows
    said = f"try(json_extract_string({asked}, '$.' || {answer}))" if is_compared else answer
    answered = f"case when messages[-1].role = 'assistant' then {said} end"
    return (
        f"select '{split}' as file, hash({answered}, try(json_extract_string({asked}, '$.text'))) as pair from {read}"
    )


def _lines(file: Path) -> int:
    with file.open("rb") as stream:
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))


def _see_parent(connection: duckdb.DuckDBPyConnection, run: Run, content: str) -> None:
    parent = parent_of(run, content)
    files = [run.releases / parent / "data" / f"{name}.parquet" for name in SPLITS] if parent else []
    there = ", ".join(quoted(file) for file in files if file.is_file())
    rows = f"select label from read_parquet([{there}])" if there else "select null::varchar as label where false"
    connection.execute(f"create view parent_example as {rows}")


def _see_proofs(connection: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Let the connection see what a certificate covers, item by item, and how many slices have one."""
    accept = run.curation.accept
    now = epoch.audited(connection, accept) if accept else None
    covered = now.accepted.select("item_id", "label") if now else epoch.accepted(connection, None)
    connection.register("certified", covered)
    slices = sum(proof.threshold is not None for proof in now.proofs) if now else 0
    connection.execute(f"create temp table proof as select {slices} as certified_slices")


def _see_figures(connection: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Let the connection see the figures among people, and how wide the intervals of slices are."""
    people = figures(run, "agreement")["people"]
    votes, agreement, entropy = people["labels"].values(), people["agreement"], people["entropy"]
    told = {
        "krippendorff_alpha_low": agreement["krippendorff_alpha"]["low"],
        "gwet_ac1_low": agreement.get("gwet_ac1", {}).get("low"),  # sets of labels have none
        "largest_vote_share": max(votes) / sum(votes) if sum(votes) else None,
        "mean_entropy_nats": entropy["mean_nats"],
        "unanimous_share": entropy["unanimous_share"],
    }
    columns = ", ".join(f"{_double(value)} as {name}" for name, value in told.items())
    connection.execute(f"create temp table agreement_figure as select {columns}")
    slices = connection.sql("select count(distinct slice) from published").fetchone()[0]
    widen(connection, slices * (len(run.curation.labels.values) + len(run.curation.models)))


def widen(connection: duckdb.DuckDBPyConnection, intervals: int) -> None:
    """Make the intervals of slices so wide that as many of them hold at once (Bonferroni)."""
    z = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / 2 / max(intervals, 1))
    connection.execute(f"set variable slice_z = {z!r}::double")


def _double(value: Any) -> str:
    return "null::double" if value is None else f"{float(value)!r}::double"
