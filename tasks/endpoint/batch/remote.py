"""The endpoint's side of a batch: files and batches, every call tried a few times, nothing it says repeated."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import openai
from openai.types import Batch

from schemas.errors import BudgetStop, RequestError
from tasks.endpoint.batch.jobs import Job, private
from tasks.endpoint.failure import Do, Failure, failure

T = TypeVar("T")
ATTEMPTS = 5
BACKOFF_S = 60.0
TRANSFER_S = 900.0  # of 200 MB, either way
FULL = {"token_limit_exceeded", "enqueued_token_limit_exceeded"}


class Later(Exception):
    """Raised where an endpoint does not answer now: what was to be done is still to be done."""


class NotTaken(Exception):
    """Raised where an endpoint refuses a batch for what it is; `is_full` where its queue has no room."""

    def __init__(self, is_full: bool) -> None:
        super().__init__("the endpoint does not take the batch")
        self.is_full = is_full


@dataclass(frozen=True)
class Remote:
    """Files and batches at one endpoint."""

    client: openai.AsyncOpenAI
    annotator_id: str
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
    is_over: Callable[[], bool] = lambda: False

    async def send(self, job: Job, body: Path, url: str) -> str:
        """Return the endpoint's name of a job's batch, made now; one that was made unheard is found by its metadata."""
        try:
            file_id = await self._patiently(lambda: self._upload(body))
        except openai.APIStatusError:
            raise NotTaken(is_full=False) from None
        for attempt in range(ATTEMPTS):
            try:
                return (await self._create(job, file_id, url)).id
            except openai.OpenAIError as error:
                await self._give_up(error, file_id)
                await self._wait(error, attempt)
            if made := await self.find(job):  # an answer that was lost on its way
                return made
        raise Later

    async def _give_up(self, error: openai.OpenAIError, file_id: str) -> None:
        """Take back an uploaded file, and raise, where an error says that no batch will come of it."""
        is_full = str(getattr(error, "code", None)) in FULL
        found = failure(error)
        if is_full or found.do in (Do.SET_ASIDE, Do.STOP, Do.QUOTA):
            with suppress(Later, RequestError, BudgetStop, openai.OpenAIError):
                await self.delete(file_id)
            self.stop_for(found)
            raise NotTaken(is_full) from None

    async def _upload(self, body: Path) -> str:
        with body.open("rb") as file:
            made = await self.client.files.create(file=(body.name, file), purpose="batch", timeout=TRANSFER_S)
        return made.id

    async def _create(self, job: Job, file_id: str, url: str) -> Batch:
        return await self.client.batches.create(
            input_file_id=file_id,
            endpoint=url,  # type: ignore[arg-type]
            completion_window="24h",
            metadata={"assay_key": job.key, "assay_run": job.run_id},
        )

    async def find(self, job: Job) -> str | None:
        """Return the endpoint's name of the batch that carries a job's key, or None."""

        async def look() -> str | None:
            async for batch in self.client.batches.list(limit=100):
                said = batch.metadata or {}
                if (said.get("assay_key"), said.get("assay_run")) == (job.key, job.run_id):
                    return batch.id
            return None

        return await self._patiently(look)

    async def forget_uploads(self, name: str) -> None:
        """Delete the uploaded files of that name: no batch was made of them."""

        async def look() -> list[str]:
            return [file.id async for file in self.client.files.list(purpose="batch") if file.filename == name]

        for file_id in await self._patiently(look):
            await self.delete(file_id)

    async def batch(self, remote_id: str) -> Batch | None:
        """Return a batch as it is now; None where the endpoint does not know it."""
        return await self._patiently(lambda: self.client.batches.retrieve(remote_id), may_be_missing=True)

    async def cancel(self, batch: Batch) -> Batch:
        """Return a batch as it is once it was asked to stop; one that can no longer stop is returned as it was."""
        try:
            return await self._patiently(lambda: self.client.batches.cancel(batch.id), may_be_missing=True) or batch
        except openai.APIStatusError:  # it ended in between
            return batch

    async def download(self, file_id: str, to: Path) -> bool:
        """Write a file to disk, and return whether the endpoint has it."""

        async def fetch() -> bool:
            get = self.client.files.with_streaming_response.content
            async with get(file_id, timeout=TRANSFER_S) as answer:
                with private(to) as file:
                    async for part in answer.iter_bytes():
                        file.write(part)
            return True

        return bool(await self._patiently(fetch, may_be_missing=True))

    async def delete(self, file_id: str | None) -> None:
        """Delete a file; one that is gone is fine."""
        if file_id:
            await self._patiently(lambda: self.client.files.delete(file_id), may_be_missing=True)

    async def _patiently(self, call: Callable[[], Awaitable[T]], may_be_missing: bool = False) -> T | None:
        """Return what a call brings, tried again where that may help."""
        for attempt in range(ATTEMPTS):
            try:
                return await call()
            except openai.NotFoundError as error:
                if may_be_missing:
                    return None
                await self._wait(error, attempt)
            except (openai.OpenAIError, httpx2.HTTPError) as error:
                await self._wait(error, attempt)
        raise Later

    async def _wait(self, error: Exception, attempt: int) -> None:
        """Wait before the next attempt; raise where there is no use in one, or no time."""
        least_s = 0.0
        if isinstance(error, openai.OpenAIError):
            found = failure(error)
            self.stop_for(found)
            if found.do is Do.SET_ASIDE:
                raise error
            least_s = found.wait_s
        if attempt + 1 < ATTEMPTS:
            await self.sleep(max(least_s, random.uniform(0, min(BACKOFF_S, 2.0**attempt))))
            if self.is_over():
                raise Later

    def stop_for(self, found: Failure) -> None:
        """Raise where a failure concerns all there is to ask."""
        if found.do is Do.QUOTA:
            raise BudgetStop(f"{self.annotator_id}: the account's quota is used up ({found.kind}); what came is kept")
        if found.do is Do.STOP:
            raise RequestError(
                f"{self.annotator_id}: the Batch API answers {found.kind}: check the key and the model's name, "
                "and whether the endpoint has a Batch API"
            )
