"""instructor, patched onto the openai package, in its structured-output mode; the completion with its logprobs comes along."""

from typing import Literal

import instructor
from openai import AsyncOpenAI
from pydantic import BaseModel

from bench.clients import clock


class Annotation(BaseModel):
    """The answer."""

    label: Literal[tuple(clock.LABELS)]


def client(base_url: str, concurrency: int):
    """Return a function from items' numbers to their labels."""
    openai = AsyncOpenAI(api_key="none", base_url=base_url)
    patched = instructor.from_openai(openai, mode=instructor.Mode.JSON_SCHEMA)

    async def one(number: int) -> str:
        annotation, completion = await patched.chat.completions.create_with_completion(
            model=clock.MODEL, messages=clock.messages(number), response_model=Annotation, **clock.OPTIONS
        )
        assert completion.choices[0].logprobs.content
        return annotation.label

    return clock.together(one, concurrency)


if __name__ == "__main__":
    clock.main(client)
