"""The endpoint on a socket: HTTP/1.1 by hand, because it shares two cores with the client it measures."""

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qsl

from loopback.endpoint import Endpoint, Plan
from loopback.options import Options, from_json

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 408: "Request Timeout",
           429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
           529: "Overloaded"}  # fmt: skip
APIS = (("/chat/completions", "chat"), ("/responses", "responses"))
BACKLOG = 4096


@dataclass(frozen=True)
class Request:
    """A request as it came; names of headers are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """An answer to anything but a completion."""

    status: int
    body: bytes
    content_type: str = "application/json"


class Loopback:
    """A running endpoint: what it remembers, and who is connected."""

    def __init__(self, options: Options):
        self.connections: set[Connection] = set()
        self.connected = 0
        self.address = ""
        self.loop: asyncio.AbstractEventLoop | None = None
        self._reset(options)

    def _reset(self, options: Options) -> None:
        from loopback.batches import Batches  # which needs Request and Reply

        self.endpoint = Endpoint(options)
        self.batches = Batches(self.endpoint)

    async def start(self, port: int = 0) -> asyncio.Server:
        """Return the listening server; `address` then says where, ending in /v1."""
        self.loop = asyncio.get_running_loop()
        server = await self.loop.create_server(lambda: Connection(self), "127.0.0.1", port, backlog=BACKLOG)
        self.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        return server

    async def stop(self, server: asyncio.Server) -> None:
        """Close everything at once, hanging connections too."""
        server.close()
        for connection in list(self.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # lets each of them settle its bill

    def stats(self, keys: bool = False) -> dict[str, Any]:
        """Return what was asked, delivered and billed so far; with `keys` for each request too."""
        return self._there(lambda: self.endpoint.stats(keys) | {"connected": self.connected})

    def reset(self, options: Options | None = None) -> None:
        """Forget everything; with options behave by them from now on."""
        self._there(lambda: self._reset(options or self.endpoint.options))

    def _there(self, function: Any) -> Any:
        """Return what a function gives on the server's own thread, or here once that has ended."""
        if self.loop is None or not self.loop.is_running():
            return function()

        async def called() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(called(), self.loop).result(10)

    def reply(self, request: Request) -> Reply:
        """Return the answer to anything but a completion; raise ConnectionResetError where there is none."""
        method, path = request.method, request.path
        if (method, path) == ("GET", "/stats"):
            found = self.endpoint.stats("keys" in request.query) | {"connected": self.connected}
            return Reply(200, json.dumps(found).encode())
        if (method, path) == ("POST", "/reset"):
            known = asdict(self.endpoint.options) | (json.loads(request.body) if request.body.strip() else {})
            self._reset(from_json(known))
            return Reply(200, b"{}")
        if method == "GET" and path.endswith("/models"):
            listed = [{"id": name, "object": "model", "created": 0, "owned_by": "loopback"}
                      for name in self.endpoint.options.models or ("loopback",)]  # fmt: skip
            return Reply(200, json.dumps({"object": "list", "data": listed}).encode())
        return self.batches.reply(request) or Reply(404, b'{"error":{"message":"Not found","code":null}}')


class Connection(asyncio.Protocol):
    """One connection: requests one after the other, each read whole, planned, and answered after its delay."""

    def __init__(self, server: Loopback):
        self.server = server
        self.buffer = bytearray()
        self.begun: tuple[Endpoint, Plan] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.is_last = False
        self.needed = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.server.connections.add(self)
        self.server.connected += 1

    def connection_lost(self, _: Exception | None) -> None:
        self.server.connections.discard(self)
        if self.timer:
            self.timer.cancel()
        self._ended(is_delivered=False)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.begun is None and len(self.buffer) >= self.needed:
            self._next()

    def _next(self) -> None:
        """Take the next whole request out of the buffer, if there is one."""
        ended = self.buffer.find(b"\r\n\r\n")
        if ended < 0:
            return
        head = bytes(self.buffer[:ended])
        lower = head.lower()  # most of a request's headers say nothing here: they are searched, not taken apart
        if b"\r\ntransfer-encoding:" in lower:
            found = _dechunked(self.buffer, ended + 4)
            if found is None:
                return
            body, total = found
        else:
            total = ended + 4 + int(_value(lower, lower, b"content-length") or 0)
            if len(self.buffer) < total:
                if not self.needed and b"\r\nexpect:" in lower:
                    self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                self.needed = total
                return
            body = bytes(self.buffer[ended + 4 : total])
        del self.buffer[:total]
        self.needed = 0
        self.is_last = not self.server.endpoint.options.keep_alive or b"\r\nconnection: close" in lower
        self._asked(head, lower, body)

    def _asked(self, head: bytes, lower: bytes, body: bytes) -> None:
        """Answer a request: a completion by plan, after its delay; anything else at once."""
        method, target, _ = head[: head.find(b"\r\n")].decode("latin-1").split(" ", 2)
        path, _, query = target.partition("?")
        api = next((name for end, name in APIS if path.endswith(end)), None) if method == "POST" else None
        if api is None:
            headers = dict(_header(line) for line in head.decode("latin-1").split("\r\n")[1:])
            request = Request(method, path, dict(parse_qsl(query, keep_blank_values=True)), headers, body)
            try:
                reply = self.server.reply(request)
            except ConnectionResetError:
                self._break()
                return
            self._write(reply.status, reply.body, "", reply.content_type)
            self._finished()
            return
        endpoint, loop = self.server.endpoint, self.server.loop
        plan = endpoint.plan(api, body, loop.time(), _value(head, lower, b"authorization"))
        self.begun = endpoint, plan
        endpoint.bills.begun()
        if plan.delay_s > 0:
            self.timer = loop.call_later(plan.delay_s, self._send, plan)
        else:
            self._send(plan)

    def _send(self, plan: Plan) -> None:
        """Send what the plan says, in its manner."""
        self.timer = None
        options = self.begun[0].options
        if plan.manner == "whole":
            kind = "text/html" if plan.fault == "garbage_html" else "application/json"
            self._write(plan.status, plan.body, plan.headers, kind)
            self._ended(is_delivered=not self.transport.is_closing())
            self._finished()
        elif plan.manner == "reset":
            self._break()
        elif plan.manner == "truncated":
            self._head(plan.status, len(plan.body), plan.headers)
            self.transport.write(plan.body[: len(plan.body) // 2])
            self.transport.close()
        elif plan.manner == "slow_drip":
            self._head(plan.status, len(plan.body), plan.headers)
            self._drip(plan, 0)
        elif options.hang_s is not None:
            self.timer = self.server.loop.call_later(options.hang_s, self.transport.abort)

    def _break(self) -> None:
        """Reset the connection."""
        peer = self.transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST, not FIN
        self.transport.abort()

    def _drip(self, plan: Plan, sent: int) -> None:
        """Send one byte and the next a while later."""
        self.transport.write(plan.body[sent : sent + 1])
        if sent + 1 == len(plan.body):
            self.timer = None
            self._ended(is_delivered=not self.transport.is_closing())
            self._finished()
        else:
            self.timer = self.server.loop.call_later(self.begun[0].options.drip_s, self._drip, plan, sent + 1)

    def _ended(self, is_delivered: bool) -> None:
        """Bill the request under way, if there is one."""
        if self.begun:
            endpoint, plan = self.begun
            self.begun = None
            endpoint.bills.ended()
            endpoint.settle(plan, is_delivered)

    def _finished(self) -> None:
        """Close the connection or go on to the next request."""
        if self.is_last:
            self.transport.close()
        elif self.buffer:
            self._next()

    def _head(self, status: int, length: int, headers: str, kind: str = "application/json") -> None:
        self.transport.write(_head(status, length, headers, kind, self.is_last))

    def _write(self, status: int, body: bytes, headers: str, kind: str) -> None:
        self.transport.write(_head(status, len(body), headers, kind, self.is_last) + body)


def _head(status: int, length: int, headers: str, kind: str, is_last: bool) -> bytes:
    closing = "connection: close\r\n" if is_last else ""
    return (
        f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}\r\ncontent-type: {kind}\r\n"
        f"content-length: {length}\r\n{headers}{closing}\r\n"
    ).encode()


def _value(head: bytes, lower: bytes, name: bytes) -> str | None:
    """Return a header's value as it was sent, or None; `lower` is the head in lower case."""
    start = lower.find(b"\r\n" + name + b":")
    if start < 0:
        return None
    start += len(name) + 3
    end = lower.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip().decode("latin-1")


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip()


def _dechunked(buffer: bytearray, start: int) -> tuple[bytes, int] | None:
    """Return a chunked body and where it ends, or None where it is not whole yet."""
    parts = []
    while (line := buffer.find(b"\r\n", start)) >= 0:
        size = int(bytes(buffer[start:line]).split(b";")[0], 16)
        start = line + 2 + size + 2
        if len(buffer) < start:
            return None
        if size == 0:
            return b"".join(parts), start
        parts.append(bytes(buffer[line + 2 : start - 2]))
    return None


@contextmanager
def serving(options: Options | None = None, port: int = 0) -> Iterator[Loopback]:
    """Yield an endpoint that runs on a thread of its own; it is gone a second after the block at the latest."""
    server, is_up, failed = Loopback(options or Options()), threading.Event(), []

    async def run() -> None:
        server.stopped = asyncio.Event()
        listening = await server.start(port)
        is_up.set()
        await server.stopped.wait()
        await server.stop(listening)

    def thread() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:  # told to whoever waits
            failed.append(error)
            is_up.set()

    running = threading.Thread(target=thread, name="loopback", daemon=True)
    running.start()
    is_up.wait(10)
    if failed:
        raise failed[0]
    try:
        yield server
    finally:
        server.loop.call_soon_threadsafe(server.stopped.set)
        running.join(5)
