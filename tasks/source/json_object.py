"""Objects in JSON, read strictly: what other readers pass over in silence is a reason to refuse one."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from tasks.source.files import Damaged
from tasks.source.rejected import Rejected

MAX_DEPTH = 100  # well below where Python's own limit, which moves with the caller's depth, would decide
_MARK = re.compile(rb'[\\"{}\[\],]')


def decoded(raw: bytes) -> str:
    """Return bytes as text; raise Rejected where they are no UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Rejected("bad_encoding", "UTF-8 expected") from None


def json_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object that bytes hold; raise Rejected where they hold none, or one with a key twice."""
    text = decoded(raw)
    try:
        value = json.loads(text, object_pairs_hook=_distinct, parse_float=_finite, parse_constant=_no_constant)
    except RecursionError:
        raise Rejected("too_deep", f"at most {MAX_DEPTH} levels expected") from None
    except ValueError as error:
        where = f"column {error.colno}" if isinstance(error, json.JSONDecodeError) else None
        raise Rejected("bad_json", where) from None
    if not isinstance(value, dict):
        raise Rejected("not_object", "a JSON object expected")
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise Rejected("too_deep", f"at most {MAX_DEPTH} levels expected")
    return value


def _depth(value: Any) -> int:
    """Return how many levels of objects and lists stand in one another."""
    depth, level = 0, [value]
    while level := [part for part in level if isinstance(part, dict | list)]:
        depth += 1
        level = [inner for part in level for inner in (part.values() if isinstance(part, dict) else part)]
    return depth


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Rejected("duplicate_key")
    return fields


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise Rejected("bad_json", "a number beyond what a computer's may be")
    return number


def _no_constant(name: str) -> None:
    raise Rejected("bad_json", f"{name} is no JSON number")


def elements(blocks: Iterator[bytes], limit: int) -> Iterator[tuple[bytes, bool]]:
    """Yield the bytes of each element of a JSON list, and whether they were too many (then the first of them alone).

    Objects one after another, on lines or not, are read as well. Raises Damaged where the list is not closed. So a broken
    element costs itself alone, and no more than one is held at a time.
    """
    cut = _Cut(limit)
    for block in blocks:
        yield from cut.elements(block)
    yield from cut.last()


class _Cut:
    """Cuts bytes where elements of a list end: at commas and brackets that stand in no string and no other element."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, bytearray()
        self._size = self._depth = self._seen = 0
        self._escaped = -1  # where the byte stands that a backslash is before
        self._is_quoted = self._is_list = self._is_closed = False

    def elements(self, block: bytes) -> Iterator[tuple[bytes, bool]]:
        """Yield the elements that end in a block; its rest is held."""
        start = 0
        for found in _MARK.finditer(block):
            at = found.start()
            if self._ends(block[at : at + 1], self._seen + at, is_first=not self._held and not block[start:at].strip()):
                is_part = block[at : at + 1] == b"}"  # of the element, where objects stand without a list
                self._hold(block[start : at + is_part])
                yield from self._taken()
                start = at + 1
        self._hold(block[start:])
        self._seen += len(block)

    def _ends(self, mark: bytes, at: int, is_first: bool) -> bool:
        """Return whether an element, or the opening of the list, ends at a mark."""
        if self._is_quoted or mark in (b'"', b"\\"):
            self._quote(mark, at)
            return False
        if mark in (b"{", b"["):
            opens = mark == b"[" and is_first and not self._is_list and not self._depth
            self._is_list |= opens
            self._depth += not opens
            return opens
        if mark == b"," or not self._depth:
            self._is_closed |= mark == b"]" and not self._depth
            return not self._depth
        self._depth -= 1
        return not self._depth and not self._is_list and mark == b"}"

    def _quote(self, mark: bytes, at: int) -> None:
        if at == self._escaped:
            return
        if mark == b'"':
            self._is_quoted = not self._is_quoted
        elif mark == b"\\":
            self._escaped = at + 1

    def _hold(self, part: bytes) -> None:
        part = part if self._held else part.lstrip()
        self._size += len(part)
        self._held += part[: max(self._limit - len(self._held), 0)]

    def _taken(self) -> Iterator[tuple[bytes, bool]]:
        held, is_long = bytes(self._held).rstrip(), self._size > self._limit
        self._held.clear()
        self._size = 0
        if held:
            yield held, is_long

    def last(self) -> Iterator[tuple[bytes, bool]]:
        """Yield what is left over at the end; raise Damaged where the list, or an element, is not closed."""
        if self._depth or self._is_quoted or (self._is_list and not self._is_closed):
            raise Damaged("the list is not closed")
        yield from self._taken()
