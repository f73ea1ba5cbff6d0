"""distilabel's OpenAILLM, in batches of as many as may be in flight; its pipeline around it is slower still."""

import json

from distilabel.models import OpenAILLM

from bench.clients import clock


def client(base_url: str, concurrency: int):
    """Return a function from items' numbers to their labels."""
    # its own `structured_output` goes through instructor, which costs more
    options = {"max_new_tokens": 256, "temperature": 0.0, "logprobs": True, "top_logprobs": 20}
    options["extra_body"] = {"response_format": clock.FORMAT}
    llm = OpenAILLM(model=clock.MODEL, base_url=base_url, api_key="none", generation_kwargs=options)
    llm.load()

    def ask(numbers: range) -> list[str]:
        answers = []
        for start in range(0, len(numbers), concurrency):
            chats = [clock.messages(number) for number in numbers[start : start + concurrency]]
            answers += llm.generate_outputs(chats, **llm.get_generation_kwargs())
        assert all(answer["logprobs"][0] for answer in answers)
        return [json.loads(answer["generations"][0])["label"] for answer in answers]

    return ask


if __name__ == "__main__":
    clock.main(client)
