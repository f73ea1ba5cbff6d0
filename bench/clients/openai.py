"""What a user writes first: the openai package on aiohttp, and a semaphore."""

from openai import AsyncOpenAI, DefaultAioHttpClient

from bench.clients import clock


def client(base_url: str, concurrency: int):
    """Return a function from items' numbers to their labels."""
    openai = AsyncOpenAI(api_key="none", base_url=base_url, http_client=DefaultAioHttpClient(timeout=60))

    async def one(number: int) -> str:
        completion = await openai.chat.completions.create(**clock.body(number))
        return clock.label(completion.choices[0].message.content)

    return clock.together(one, concurrency)


if __name__ == "__main__":
    clock.main(client)
