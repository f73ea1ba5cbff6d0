"""Texts become vectors, by the embedded model's endpoint."""

from collections.abc import Iterable

import numpy as np
import openai

from schemas.errors import RequestError
from tasks.endpoint import EMBEDDED, EMBEDDED_URL, client
from tasks.endpoint.failure import complaint

BATCH = 256


async def embeddings(texts: Iterable[str]) -> dict[str, np.ndarray]:
    """Return a unit vector for each distinct text, from the embedded model; raise RequestError where it is missing."""
    distinct, vectors = sorted(set(texts)), {}
    async with client(EMBEDDED_URL) as embedded:
        for start in range(0, len(distinct), BATCH):
            batch = distinct[start : start + BATCH]
            try:
                answer = await embedded.embeddings.create(model=EMBEDDED, input=batch)
            except openai.OpenAIError as error:
                raise RequestError(complaint(error, EMBEDDED_URL, EMBEDDED)) from None
            vectors |= {text: np.array(row.embedding, np.float32) for text, row in zip(batch, answer.data, strict=True)}
    return vectors
