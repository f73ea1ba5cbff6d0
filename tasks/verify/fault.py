"""A fault: what of a release is not as the release itself says."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tasks.published import whole

_NOT_OF_ITS_FORM = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


class Fault(NamedTuple):
    """One thing that is wrong; never a text of the release's rows."""

    file: str
    what: str


def looked_at(file: str, look: Callable[[], Iterator[Fault]]) -> Iterator[Fault]:
    """Yield what a look at a file finds; where it is not even of its form, that."""
    try:
        yield from look()
    except _NOT_OF_ITS_FORM:
        yield Fault(file, "is not of the form that a release's is")


def content(place: Path) -> str:
    """Return a file's text; raise ValueError where it is larger than any that was published, or no text."""
    return whole(place).decode()


def parsed(place: Path) -> Any:
    """Return the JSON of a file; raise ValueError or RecursionError where it is none."""
    return json.loads(content(place))
