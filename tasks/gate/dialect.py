"""A DuckDB dialect whose cursors keep their rows.

Great Expectations fetches rows after the connection went back to its pool; duckdb-engine's cursor is the connection
itself, so the pool's ROLLBACK would drop the rows before they are read.
"""

from collections import deque
from typing import Any

from duckdb_engine import ConnectionWrapper, CursorWrapper
from duckdb_engine import Dialect as DuckDBDialect
from sqlalchemy.dialects import registry

NAME = "duckdb+buffered"


class BufferedCursor(CursorWrapper):
    """A cursor that holds all rows of its last statement."""

    description = None
    rowcount = -1
    arraysize = 1
    lastrowid = None

    def __init__(self, connection: Any, wrapper: Any) -> None:
        super().__init__(connection, wrapper)
        self._raw, self._rows = connection, deque()

    def execute(self, statement: str, parameters: Any = None, context: Any = None) -> None:
        super().execute(statement, parameters, context)
        self.description = self._raw.description
        self._rows = deque(self._raw.fetchall() if self.description else ())

    def fetchone(self) -> Any:
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        return [self._rows.popleft() for _ in range(min(size or self.arraysize, len(self._rows)))]

    def fetchall(self) -> list[Any]:
        rows, self._rows = list(self._rows), deque()
        return rows


class BufferedConnection(ConnectionWrapper):
    """A connection that gives out buffered cursors."""

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._raw = connection

    def cursor(self) -> BufferedCursor:
        return BufferedCursor(self._raw, self)


class Dialect(DuckDBDialect):
    """duckdb-engine's dialect with buffered cursors."""

    supports_statement_cache = False

    def connect(self, *args: Any, **kwargs: Any) -> BufferedConnection:
        wrapped = super().connect(*args, **kwargs)
        return BufferedConnection(wrapped._ConnectionWrapper__c)


registry.register("duckdb.buffered", __name__, "Dialect")
