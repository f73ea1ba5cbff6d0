"""`python -m loopback`: the endpoint as a process of its own; its first line says where it is."""

import asyncio
import json
import signal

from loopback.options import from_flags
from loopback.server import Loopback


async def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    options, port = from_flags()
    server, stopped = Loopback(options), asyncio.Event()
    listening = await server.start(port)
    for ending in (signal.SIGTERM, signal.SIGINT):
        server.loop.add_signal_handler(ending, stopped.set)
    print(json.dumps({"address": server.address}), flush=True)
    await stopped.wait()
    await server.stop(listening)


asyncio.run(main())
