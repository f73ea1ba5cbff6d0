"""A labelling function is a Python callable or an SQL expression: it says an item's label, or abstains.

It is the curation's own code: a callable runs in this process with all that the process may do, and nothing ends one
that never returns.
"""

import asyncio
import inspect
import json
import logging
import os
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from hashlib import sha256
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import duckdb
import polars as pl

from schemas.curation import Curation, FunctionAnnotator
from schemas.errors import RequestError
from tasks.text import canonical

FIRST = 20  # items: a callable that fails on every one of the first so many is broken, not surprised by a text
Vote = tuple[str, str | None, str | None]
_LOG = logging.getLogger(__name__)
_LOCKED = {
    "enable_external_access": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",  # else a name in a query may be a variable of ours
    "temp_directory": "",  # texts are never spilled to disk
    "memory_limit": "1GB",
}
# What an expression over one item cannot hold, by DuckDB's own names of the parts of a query.
_FORBIDDEN = {
    "SUBQUERY": "a subquery",
    "WINDOW": "a window over other items",
    "STAR": "a star",
    "PARAMETER": "a parameter",
}
_NOT_OF_THE_ITEM = {
    "unnest", "current_setting", "getvariable", "getenv", "current_timestamp", "current_time", "localtime",
    "localtimestamp", "current_user", "current_role", "session_user", "user", "current_catalog", "current_localtime",
    "current_localtimestamp", "pg_postmaster_start_time", "pg_conf_load_time", "ago", "pg_sleep", "version",
}  # fmt: skip


class Rule(NamedTuple):
    """A labelling function that can be asked: `labels(items)` of a frame item_id, text, context (JSON)."""

    version: str
    """16 hex digits: its source and the names of the labels, and nothing else."""
    labels: Callable[[pl.DataFrame], list[Vote]]
    """Return (item_id, label, reason) of each item, in order; where there is no label the reason says why."""


def rule(annotator: FunctionAnnotator, curation: Curation, folder: Path) -> Rule:
    """Return the curation's labelling function, found from its folder; raise RequestError where it cannot be one."""
    labels = tuple(curation.labels.values)
    fields = tuple(dict.fromkeys(name for source in curation.sources for name in source.fields.beside))
    if annotator.sql is not None:
        return _sql_rule(annotator.name, annotator.sql, labels, fields)
    return _python_rule(annotator, labels, fields, folder)


def _version(source: str, labels: tuple[str, ...]) -> str:
    return sha256(canonical({"source": source, "labels": sorted(labels)}).encode()).hexdigest()[:16]


def _judged(item_id: str, label: Any, labels: tuple[str, ...]) -> Vote:
    if label is None:
        return item_id, None, "abstained"
    if isinstance(label, str) and label in labels:
        return item_id, labels[labels.index(label)], None  # the plain text, be it given as an enumeration's member
    return item_id, None, "not_a_label"


# Python


def _python_rule(annotator: FunctionAnnotator, labels: tuple[str, ...], fields: tuple[str, ...], folder: Path) -> Rule:
    function, source = _function(annotator, folder)
    ask = _asked(annotator, function, fields)

    def said(items: pl.DataFrame) -> list[Vote]:
        return _said(annotator, ask, items, labels)

    return Rule(_version(f"{annotator.function} {source}", labels), said)


def _said(
    annotator: FunctionAnnotator, ask: Callable[..., Any], items: pl.DataFrame, labels: tuple[str, ...]
) -> list[Vote]:
    votes: list[Vote] = []
    failures: Counter[str] = Counter()
    with _silenced():
        for item_id, text, context in items.select("item_id", "text", "context").iter_rows():
            try:  # the context is read anew: what a call changes in its own is not the next one's
                votes.append(_judged(item_id, ask(text, json.loads(context)), labels))
            except BaseException as error:  # whatever the curation's code raises; its message may quote the text
                if _ends_the_run(error):
                    raise
                failures[_kind(error)] += 1
                votes.append((item_id, None, "function_failed"))
            if len(votes) == FIRST == failures.total():
                raise _refused(annotator, f"fails on each of the first {FIRST} items: {_listed(failures)}")
    if failures:
        _LOG.warning("%s failed on %d of %d items: %s",
                     annotator.name, failures.total(), len(votes), _listed(failures))  # fmt: skip
    return votes


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep what is printed off stdout, which is the command's answer, and off stderr: it may quote a text."""
    with open(os.devnull, "w", errors="replace") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def _ends_the_run(error: BaseException) -> bool:
    """Return whether the run was told to stop meanwhile; anything else is the curation's code's own, SystemExit too."""
    told = isinstance(error, (KeyboardInterrupt, asyncio.CancelledError))
    return told or type(error).__name__ == "TerminationSignal"  # Prefect's, which is not imported for this


def _listed(failures: Counter[str]) -> str:
    return ", ".join(f"{count} × {kind}" for kind, count in failures.most_common(5))


def _kind(error: BaseException) -> str:
    """Return an exception's type and the line of the curation's code it came from; never its message."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}, line {error.lineno}"
    if isinstance(error, ModuleNotFoundError):
        return f"there is no module {error.name!r}"
    lines = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    theirs = [f"{Path(name).name} line {line}" for name, line in lines if name != __file__ and "<frozen" not in name]
    return f"{type(error).__name__}{f', {theirs[0]}' if theirs else ''}"


def _refused(annotator: FunctionAnnotator, why: str) -> RequestError:
    return RequestError(f"{annotator.name}: the function {annotator.function} {why}")


def _asked(annotator: FunctionAnnotator, function: Callable[..., Any], fields: tuple[str, ...]) -> Callable[..., Any]:
    """Return a callable of text and context that gives the function those of them it takes."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise _refused(annotator, "does not say which arguments it takes") from None
    parameters = signature.parameters.values()
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters)
    named = {one.name for one in parameters if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)}
    taken = [name for name in fields if takes_all or name in named]

    def by_name(text: str, context: Mapping[str, Any]) -> Any:
        return function(text=text, **{name: context.get(name) for name in taken})

    def by_place(text: str, context: Mapping[str, Any]) -> Any:
        return function(text, **{name: context.get(name) for name in taken})

    if _binds(signature, {"text": "", **dict.fromkeys(taken, "")}):
        return by_name
    if _binds(signature, dict.fromkeys(taken, ""), ""):
        return by_place
    raise _refused(annotator, f"takes other arguments than there are ({', '.join(('text', *fields))})")


def _binds(signature: inspect.Signature, named: Mapping[str, Any], *placed: Any) -> bool:
    try:
        signature.bind(*placed, **named)
    except TypeError:
        return False
    return True


def _function(annotator: FunctionAnnotator, folder: Path) -> tuple[Callable[..., Any], str]:
    """Return the callable and the digest of the file its module is read from."""
    module_name, _, name = annotator.function.partition(":")
    try:
        with _importing_from(folder, Path.cwd()) as places, _silenced():
            module, source = _module(module_name, places)
    except BaseException as error:
        if _ends_the_run(error):
            raise
        problem = _kind(error)
    else:
        function = getattr(module, name, None)
        if function is None:
            raise _refused(annotator, f"is not there: its module has no {name!r}")
        if not callable(function) or inspect.iscoroutinefunction(function):
            raise _refused(annotator, "cannot be called for a label: a plain function is needed")
        return function, sha256(source).hexdigest()
    raise _refused(annotator, f"cannot be imported: {problem}")


def _module(name: str, places: list[Path]) -> tuple[ModuleType, bytes]:
    """Return the module and its source; a file in `places` goes before whatever else has that name."""
    for place in places:
        inside = place.joinpath(*name.split("."))
        for file in (inside / "__init__.py", inside.parent / f"{inside.name}.py"):
            if file.is_file():
                source = file.read_bytes()
                return _executed(name, file, source), source
    module = import_module(name)
    if not module.__dict__.get("__file__"):
        raise ImportError("a module without a file has no version")
    return module, Path(module.__file__).read_bytes()


def _executed(name: str, file: Path, source: bytes) -> ModuleType:
    """Return the module that the source makes: what is hashed is what runs, whatever is imported or compiled already."""
    inside = [str(file.parent)] if file.name == "__init__.py" else None
    module = module_from_spec(spec_from_file_location(name, file, submodule_search_locations=inside))
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and relative imports look their module up
    try:
        exec(compile(source, str(file), "exec", dont_inherit=True), module.__dict__)
    finally:
        sys.modules.pop(name, None)
        if before is not None:
            sys.modules[name] = before
    return module


@contextmanager
def _importing_from(*places: Path) -> Iterator[list[Path]]:
    found = list(dict.fromkeys(place.resolve() for place in places))
    entries = [str(place) for place in found]
    sys.path[:0] = entries
    try:
        yield found
    finally:
        for entry in entries:
            sys.path.remove(entry)


# SQL


def _sql_rule(name: str, sql: str, labels: tuple[str, ...], fields: tuple[str, ...]) -> Rule:
    _check_expression(name, sql, fields)
    _bound(name, sql, _table(pl.DataFrame(schema=dict.fromkeys(("item_id", "text", "context"), pl.String)), fields))

    def said(items: pl.DataFrame) -> list[Vote]:
        found = _bound(name, sql, _table(items, fields))
        try:
            said = found.fetchall()
        except duckdb.Error as error:  # its message may quote a text
            kind = type(error).__name__
        else:
            return [_judged(item_id, label, labels) for item_id, label in said]
        raise RequestError(f"{name}: the SQL expression fails on an item ({kind}); try() gives null where a part fails")

    return Rule(_version(sql, labels), said)


def _table(items: pl.DataFrame, fields: tuple[str, ...]) -> pl.DataFrame:
    """Return item_id, in a column no expression names by accident, text, and the fields as text, null where not given."""
    contexts = [json.loads(context) for context in items["context"]]
    said = {name: [_as_text(context.get(name)) for context in contexts] for name in fields}
    named = [pl.Series(name, values, dtype=pl.String) for name, values in said.items()]
    return pl.DataFrame([items["item_id"].alias("assay item_id"), items["text"], *named])


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _bound(name: str, sql: str, table: pl.DataFrame) -> duckdb.DuckDBPyRelation:
    """Return item_id and label by the expression, not yet computed, on a connection that holds the items and no more."""
    connection = _connection()
    connection.register("item", table.to_arrow())
    try:
        found = connection.sql(f'select "assay item_id", (\n{sql}\n) as label from item')
    except duckdb.Error as error:  # raised before any item is read, so it quotes the expression and no text
        problem = str(error).splitlines()[0]
    else:
        if str(found.types[1]) == "VARCHAR":
            return found
        problem = f"it gives {found.types[1]}, not a label; as in case when … then 'label' end"
    raise RequestError(f"{name}: the SQL expression is not one over an item: {problem}")


def _connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config=_LOCKED)
    connection.execute("set TimeZone = 'UTC'")  # else a time is written as the machine's zone has it
    connection.execute("set lock_configuration = true")
    return connection


def _check_expression(name: str, sql: str, fields: tuple[str, ...]) -> None:
    """Raise RequestError unless the text is one expression that rests on the item alone."""
    connection = _connection()
    given, empty = _tree(connection, sql), _tree(connection, "null")
    if given["error"]:
        raise RequestError(f"{name}: the SQL expression cannot be read: {given['error_message']}")
    nodes = [statement["node"] for statement in given["statements"]]
    # Anything beside the list of what is selected (from, where, limit, a second statement) is no expression.
    if len(nodes) != 1 or nodes[0] | {"select_list": []} != empty["statements"][0]["node"] | {"select_list": []}:
        raise RequestError(f"{name}: the SQL is not one expression")
    if len(nodes[0]["select_list"]) != 1:
        raise RequestError(f"{name}: the SQL is more than one expression")
    parts = list(_parts(nodes[0]["select_list"]))
    if forbidden := sorted({_FORBIDDEN[part["class"]] for part in parts if part["class"] in _FORBIDDEN}):
        raise RequestError(f"{name}: the SQL expression may not hold {' or '.join(forbidden)}")
    # The same item gets the same label whenever it is asked: no clock, no chance, no settings.
    query = "select function_name from duckdb_functions() where stability in ('VOLATILE', 'CONSISTENT_WITHIN_QUERY')"
    unsteady = {row[0] for row in connection.sql(query).fetchall()} | _NOT_OF_THE_ITEM
    ages = {"age" for part in parts if part.get("function_name") == "age" and len(part["children"]) < 2}  # until today
    if used := sorted(_names(parts, fields) & unsteady | ages):
        raise RequestError(f"{name}: the SQL expression rests on more than the item: {', '.join(used)}")


def _tree(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    query = "select json_serialize_sql($sql)"
    return json.loads(connection.execute(query, {"sql": f"select (\n{sql}\n)"}).fetchone()[0])


def _parts(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, list):
        for inner in tree:
            yield from _parts(inner)
    elif isinstance(tree, dict):
        if "class" in tree:
            yield tree
        for inner in tree.values():
            yield from _parts(inner)


def _names(parts: list[dict[str, Any]], fields: tuple[str, ...]) -> set[str]:
    """Return the functions that are called and the bare names but fields, in lower case: some functions need no brackets."""
    called = {part["function_name"].lower() for part in parts if part.get("function_name")}
    bare = {part["column_names"][-1].lower() for part in parts if part.get("column_names")}
    return called | (bare - {field.lower() for field in fields})
