"""Suites of a user's own: their SQL is tried on empty frames, with no file and no network in reach."""

import duckdb

from expectations.sight import beyond, has_query
from schemas.errors import RequestError
from schemas.frame import FRAMES, at_most, sql_columns
from schemas.promise import Promise, Suite

_ALONE = {"enable_external_access": "false", "autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}  # fmt: skip
TRIAL_SECONDS = 5.0  # of a promise on empty frames
_NUMBERS = {
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
    "FLOAT", "DOUBLE", "BOOLEAN",
}  # fmt: skip


def try_out(own: dict[str, Suite], taken: set[str]) -> None:
    """Judge suites by file on empty frames; raise RequestError with file and promise where one cannot be judged."""
    frames = _frames() if own else None
    for file, suite in own.items():
        if suite.suite in taken:
            raise RequestError(f"{file}: a suite is called {suite.suite} already: choose another name")
        taken = taken | {suite.suite}
        for promise in suite.promises:
            if fault := _fault(frames, suite, promise):
                raise RequestError(f"{file}, promise {promise.name}: {fault}")


def _frames() -> duckdb.DuckDBPyConnection:
    """Return a connection that holds every frame, empty, and nothing else."""
    connection = duckdb.connect(config=_ALONE)
    connection.execute("create schema frame")
    for name in FRAMES:
        connection.execute(f"create table frame.{name} ({sql_columns(name)})")
    connection.execute("set lock_configuration = true")
    return connection


def _fault(frames: duckdb.DuckDBPyConnection, suite: Suite, promise: Promise) -> str | None:
    """Return why a promise cannot be judged; None where it can."""
    if promise.policy == "drop" and not suite.can_drop(promise):
        return "policy `drop` is for `every` promises of the frame example; refuse expected"
    expected = f"SQL over the frame {suite.frame} ({', '.join(FRAMES[suite.frame].model_fields)}) expected"
    try:
        with at_most(TRIAL_SECONDS, frames.interrupt):
            return _tried(frames, suite, promise, expected)
    except duckdb.InterruptException:
        return f"{expected}; this takes more than {TRIAL_SECONDS:g} seconds on empty frames"
    except duckdb.Error as error:
        told = str(error).split("\n\n")[0].split("\nLINE")[0].replace("\n", " ")
        return f"{expected}. DuckDB: {told}"


def _tried(frames: duckdb.DuckDBPyConnection, suite: Suite, promise: Promise, expected: str) -> str | None:
    """Return why a promise cannot be judged, once read, typed and computed; None where it can."""
    alone, judged = _alone(promise, suite.frame), f"select {promise.reduced} from frame.{suite.frame}"
    if found := beyond(frames, alone) or beyond(frames, judged):
        return f"{expected}, of its columns and of frames named in full; found {found}"
    if promise.policy == "drop" and has_query(frames, alone):
        return "policy `drop`: a condition on the row's own columns expected, found a query"
    if fault := _type_fault(promise, _typed(frames, alone)):
        return fault
    frames.execute(judged).fetchall()
    return None


def _type_fault(promise: Promise, found: list[str]) -> str | None:
    if len(found) != 1:
        return f"one SQL expression expected, found {len(found)}"
    if promise.every and found[0] != "BOOLEAN":
        return f"`every`: a condition, true or false, expected, found {found[0]}"
    if promise.measure and found[0] not in _NUMBERS and not found[0].startswith("DECIMAL"):
        return f"`measure`: a number expected, found {found[0]}"
    return None


def _alone(promise: Promise, frame: str) -> str:
    """Return the query of what a promise says, taken by itself: so no bracket in it can close one of ours."""
    return f"select\n{promise.every or promise.unique or promise.measure}\nfrom frame.{frame}"


def _typed(frames: duckdb.DuckDBPyConnection, alone: str) -> list[str]:
    if len(frames.extract_statements(alone)) != 1:
        raise duckdb.ParserException("one expression, and no statement after it")
    return [str(kind) for kind in frames.sql(alone).types]
