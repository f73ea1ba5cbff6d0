"""Rate limits: requests and tokens a minute, kept by a bucket that refills or by a window that slides."""

import math
from collections import deque

SLACK = 1e-9  # a bucket that refilled to 0.9999999999 holds one


class Bucket:
    """A level that starts full and refills evenly, the whole limit a minute."""

    def __init__(self, limit: float, minute_s: float):
        self.limit, self.rate, self.level, self.at = limit, limit / minute_s, float(limit), None

    def wait_s(self, at: float, amount: float) -> float:
        """Return how long until the amount fits, in seconds; 0 if it does now."""
        if self.at is not None:
            self.level = min(self.limit, self.level + (at - self.at) * self.rate)
        self.at = at
        return max(0.0, (amount - self.level - SLACK) / self.rate)

    def take(self, at: float, amount: float) -> None:
        self.level -= amount

    def left(self) -> float:
        return max(0.0, self.level)

    def reset_s(self, at: float) -> float:
        """Return how long until it is full, in seconds."""
        return (self.limit - self.level) / self.rate


class Window:
    """What was taken in the last minute, to the moment."""

    def __init__(self, limit: float, minute_s: float):
        self.limit, self.minute_s, self.taken, self.total = limit, minute_s, deque(), 0.0

    def wait_s(self, at: float, amount: float) -> float:
        """Return how long until the amount fits, in seconds; 0 if it does now."""
        while self.taken and self.taken[0][0] <= at - self.minute_s:
            self.total -= self.taken.popleft()[1]
        over = self.total + amount - self.limit
        if over <= SLACK:
            return 0.0
        for then, freed in self.taken:
            over -= freed
            if over <= SLACK:
                return then + self.minute_s - at
        return self.minute_s  # more than the whole limit: never fits

    def take(self, at: float, amount: float) -> None:
        self.taken.append((at, amount))
        self.total += amount

    def left(self) -> float:
        return max(0.0, self.limit - self.total)

    def reset_s(self, at: float) -> float:
        """Return how long until it is empty, in seconds."""
        return self.taken[-1][0] + self.minute_s - at if self.taken else 0.0


class Limits:
    """Both limits of an endpoint; one that is None does not exist and sends no headers."""

    def __init__(self, requests: int | None, tokens: int | None, enforcement: str, minute_s: float):
        made = Bucket if enforcement == "bucket" else Window
        asked = {"requests": requests, "tokens": tokens}
        self.kept = {kind: made(limit, minute_s) for kind, limit in asked.items() if limit is not None}

    def admit(self, at: float, tokens: int) -> tuple[float, str]:
        """Return (0, "") and count the request, or how long it must wait, in seconds, and for which limit."""
        amounts = {"requests": 1, "tokens": tokens}
        waits = [(kept.wait_s(at, amounts[kind]), kind) for kind, kept in self.kept.items()]
        longest = max(waits, default=(0.0, ""))
        if longest[0] > 0:
            return longest
        for kind, kept in self.kept.items():
            kept.take(at, amounts[kind])
        return 0.0, ""

    def headers(self, at: float) -> str:
        """Return the lines `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`."""
        return "".join(
            f"x-ratelimit-limit-{kind}: {kept.limit:.0f}\r\nx-ratelimit-remaining-{kind}: {math.floor(kept.left() + SLACK)}\r\n"
            f"x-ratelimit-reset-{kind}: {duration(kept.reset_s(at))}\r\n"
            for kind, kept in self.kept.items()
        )


def duration(seconds: float) -> str:
    """Return a duration as endpoints write it: `12ms`, `1s`, `7.66s`, `6m0s`."""
    if seconds < 1:
        return f"{math.ceil(max(0.0, seconds) * 1000)}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    return f"{minutes:.0f}m{rest:g}s" if minutes else f"{rest:g}s"
