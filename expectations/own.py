"""Suites of a user's own: their SQL is tried on empty frames, with no file and no network in reach."""

import duckdb

from schemas.errors import RequestError
from schemas.frame import FRAMES, sql_columns
from schemas.promise import Promise, Suite

_ALONE = {"enable_external_access": "false", "autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}  # fmt: skip
_NUMBERS = {
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
    "FLOAT", "DOUBLE", "BOOLEAN",
}  # fmt: skip


def checked(own: dict[str, Suite], taken: set[str]) -> list[Suite]:
    """Return the suites by file, in order; raise RequestError with file and promise where one cannot be judged."""
    frames = _frames() if own else None
    for file, suite in own.items():
        if suite.suite in taken:
            raise RequestError(f"{file}: a suite is called {suite.suite} already: choose another name")
        taken = taken | {suite.suite}
        for promise in suite.promises:
            if fault := _fault(frames, suite, promise):
                raise RequestError(f"{file}, promise {promise.name}: {fault}")
    return list(own.values())


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
    try:
        if fault := _type_fault(promise, _typed(frames, promise, suite.frame)):
            return fault
        frames.execute(f"select {promise.reduced} from frame.{suite.frame}").fetchall()
        return None
    except duckdb.Error as error:
        told = str(error).split("\n\n")[0].split("\nLINE")[0].replace("\n", " ")
        return (
            f"SQL over the frame {suite.frame} ({', '.join(FRAMES[suite.frame].model_fields)}) expected. DuckDB: {told}"
        )


def _type_fault(promise: Promise, found: list[str]) -> str | None:
    if len(found) != 1:
        return f"one SQL expression expected, found {len(found)}"
    if promise.every and found[0] != "BOOLEAN":
        return f"`every`: a condition, true or false, expected, found {found[0]}"
    if promise.measure and found[0] not in _NUMBERS and not found[0].startswith("DECIMAL"):
        return f"`measure`: a number expected, found {found[0]}"
    return None


def _typed(frames: duckdb.DuckDBPyConnection, promise: Promise, frame: str) -> list[str]:
    """Return the types of what a promise says, taken by itself: so no bracket in it can close one of ours."""
    said = promise.every or promise.unique or promise.measure
    alone = f"select\n{said}\nfrom frame.{frame}"
    if len(frames.extract_statements(alone)) != 1:
        raise duckdb.ParserException("one expression, and no statement after it")
    return [str(kind) for kind in frames.sql(alone).types]
