"""The floor: aiohttp alone, and the answer's JSON."""

from aiohttp import ClientSession, TCPConnector

from bench.clients import clock


def client(base_url: str, concurrency: int):
    """Return a function from items' numbers to their labels."""
    session = None

    async def one(number: int) -> str:
        nonlocal session
        session = session or ClientSession(connector=TCPConnector(limit=0))
        async with session.post(f"{base_url}/chat/completions", json=clock.body(number)) as response:
            return clock.label((await response.json())["choices"][0]["message"]["content"])

    return clock.together(one, concurrency)


if __name__ == "__main__":
    clock.main(client)
