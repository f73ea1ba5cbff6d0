"""How far something has come, as a person at a terminal sees it."""

import shutil
import sys

BAR = 24  # characters of a full bar


def bar(done: int, total: int, said: str) -> str:
    """Return a line that fits the terminal: a bar, and what is said of it."""
    filled = min(BAR, BAR * done // max(total, 1))
    line = f"          {'━' * filled}{'╌' * (BAR - filled)}  {said}"
    return line[: shutil.get_terminal_size().columns - 1]


def said(done: int, total: int, noun: str, seconds: float, usd: float) -> str:
    """Return how far something has come, its rate, what it has cost so far, and how long the rest will take."""
    rate = done / seconds if seconds else 0.0
    cost = f", ${usd:,.4f} so far" if usd else ""
    left = f", {_time((total - done) / rate)} left" if 0 < done < total else ""
    return f"{done:,} of {total:,} {noun}, {rate:,.1f} a second{cost}{left}"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


class Drawn:
    """Lines at the foot of a terminal that are drawn anew in their place, one for each that tells how far it has come."""

    def __init__(self) -> None:
        self._lines: dict[str, str] = {}
        self._shown = 0

    def draw(self, name: str, line: str, is_last: bool = False) -> None:
        """Draw the line of that name; the last one stays where it is."""
        self.clear()
        if is_last:
            self._lines.pop(name, None)
            sys.stderr.write(f"{line}\n")
        else:
            self._lines[name] = line
        sys.stderr.write("".join(f"{one}\n" for one in self._lines.values()))
        self._shown = len(self._lines)
        sys.stderr.flush()

    def clear(self) -> None:
        """Take the lines away, so that something else can be written in their place."""
        if self._shown:
            sys.stderr.write(f"\x1b[{self._shown}F\x1b[J")
            sys.stderr.flush()
        self._shown = 0
