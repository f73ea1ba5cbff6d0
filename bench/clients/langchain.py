"""LangChain's ChatOpenAI with structured output, through its own `abatch`; the raw message with its logprobs comes along."""

import asyncio
from typing import Literal

from langchain_openai import ChatOpenAI
from openai import DefaultAioHttpClient
from pydantic import BaseModel

from bench.clients import clock


class Annotation(BaseModel):
    """The answer."""

    label: Literal[tuple(clock.LABELS)]


def client(base_url: str, concurrency: int):
    """Return a function from items' numbers to their labels."""
    http = DefaultAioHttpClient(timeout=60)
    model = ChatOpenAI(model=clock.MODEL, api_key="none", base_url=base_url, http_async_client=http, **clock.OPTIONS)
    chain = model.with_structured_output(Annotation, method="json_schema", strict=True, include_raw=True)
    runner = asyncio.Runner()

    def ask(numbers: range) -> list[str]:
        chats = [clock.messages(number) for number in numbers]
        answers = runner.run(chain.abatch(chats, config={"max_concurrency": concurrency}))
        assert all(answer["raw"].response_metadata["logprobs"]["content"] for answer in answers)
        return [answer["parsed"].label for answer in answers]

    return ask


if __name__ == "__main__":
    clock.main(client)
