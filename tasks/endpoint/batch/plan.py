"""Requests become lists that one batch may hold, within the Batch API's limits and the money there is."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypedDict

from tasks.endpoint import wire

MAX_REQUESTS = 50_000  # of one batch, by the Batch API
MAX_BYTES = 200_000_000  # of its file


class Request(TypedDict):
    """One request: the id of the reply it is for, its item, and a Chat Completions body."""

    reply_id: str
    item_id: str
    body: dict[str, Any]


def path(api: str) -> str:
    """Return the path the requests of a batch are for."""
    return f"/v1{wire.PATHS[api]}"


def line(request: Request, api: str) -> bytes:
    """Return a request as a line of a batch's file; it goes by its reply's id, never by its place."""
    said = {"custom_id": request["reply_id"], "method": "POST", "url": path(api),
            "body": wire.spelled(api, request["body"])}  # fmt: skip
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode(errors="replace") + b"\n"


@dataclass
class Means:
    """What the requests may cost: `room` US dollars are left; those that do not fit are set down as `unaffordable`."""

    bound: Callable[[dict[str, Any]], float | None]
    room: float
    unaffordable: list[Request] = field(default_factory=list)
    paid: set[str] = field(default_factory=set)
    """Reply ids there was room for: what others sent has never been taken out of this room."""

    def pay(self, request: Request) -> bool:
        """Return whether there is room for a request, and take it."""
        usd = self.bound(request["body"]) or 0.0
        if usd > self.room:
            self.unaffordable.append(request)
            return False
        self.room -= usd
        self.paid.add(request["reply_id"])
        return True

    def refund(self, request: Request) -> None:
        """Give back what a request may have cost: it was not executed."""
        if request["reply_id"] in self.paid:
            self.paid.remove(request["reply_id"])
            self.room += self.bound(request["body"]) or 0.0

    def at_most(self, pack: list[Request]) -> float | None:
        """Return the most a list of requests can cost, in US dollars; None where a price is not known."""
        usd = [self.bound(request["body"]) for request in pack]
        return None if None in usd else sum(usd)


def packs(requests: list[Request], sizes: dict[str, int], most: int, means: Means) -> Iterator[list[Request]]:
    """Yield the requests in lists of at most `most` and MAX_BYTES, as long as the money lasts."""
    pack, size = [], 0
    for request in requests:
        bytes_ = sizes[request["reply_id"]]
        if pack and (len(pack) == most or size + bytes_ > MAX_BYTES):
            yield pack
            pack, size = [], 0
        if means.pay(request):
            pack.append(request)
            size += bytes_
    if pack:
        yield pack
