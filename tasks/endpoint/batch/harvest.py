"""What a batch brought: rows of its output and error files, matched by the id they were sent with."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import openai

from tasks.endpoint.batch.jobs import Job
from tasks.endpoint.failure import REFUSED_UNSEEN, Do, Failure, failure

SAVED_AT_ONCE = 2_000  # rows

Save = Callable[[list[tuple[str, str, int, dict[str, Any]]]], Collection[str] | None]


@dataclass(frozen=True)
class Row:
    """What became of one request: a completion where `failure` is None."""

    reply_id: str
    status: int
    body: dict[str, Any]
    failure: Failure | None


@dataclass
class Harvest:
    """The rows of one job: what was saved, and what there is to say of the rest."""

    job: Job
    save: Save
    answered: set[str] = field(default_factory=set)
    set_aside: set[str] = field(default_factory=set)
    faulty: set[str] = field(default_factory=set)
    """Those with a row that is no answer; another row of theirs may be one."""
    charged: set[str] = field(default_factory=set)
    """Those that brought no answer and may be charged all the same."""
    passed_over: Counter[str] = field(default_factory=Counter)
    stop: Failure | None = None
    """A failure that concerns all there is to ask."""

    def take(self, path: Path) -> None:
        """Save the final rows of a downloaded file; a request's first final row counts."""
        ready: list[Row] = []
        for row in rows(path):
            if row.reply_id not in self.job.items:
                self.passed_over["foreign"] += 1
            elif row.reply_id in self.answered or row.reply_id in self.set_aside:
                self.passed_over["repeated"] += 1
            elif self._is_final(row):
                (self.set_aside if row.failure else self.answered).add(row.reply_id)
                ready.append(row)
            if len(ready) == SAVED_AT_ONCE:
                self._keep(ready)
                ready = []
        self._keep(ready)

    def _is_final(self, row: Row) -> bool:
        if row.failure is None or row.failure.do is Do.SET_ASIDE:
            return True
        self.faulty.add(row.reply_id)
        if row.failure.do in (Do.STOP, Do.QUOTA):
            self.stop = row.failure
        return False

    def _keep(self, ready: list[Row]) -> None:
        if ready:
            no_reply = self.save([(row.reply_id, self.job.items[row.reply_id], row.status, row.body) for row in ready])
            no_reply = set(no_reply or ())
            self.answered -= no_reply
            self.set_aside -= no_reply
            self.faulty |= no_reply
            self.charged |= {row.reply_id for row in ready if row.reply_id in no_reply and not row.failure}

    @property
    def missing(self) -> set[str]:
        """Return the ids of the requests without a row."""
        return self.job.items.keys() - self.answered - self.set_aside - self.faulty

    @property
    def counts(self) -> Counter[str]:
        """Return the job's requests by what became of them, and the rows that were passed over."""
        failed = self.faulty - self.answered - self.set_aside
        kinds = {"answered": self.answered, "set_aside": self.set_aside, "failed": failed, "missing": self.missing}
        return self.passed_over + Counter({kind: len(ids) for kind, ids in kinds.items()})


def rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a downloaded file; a line that is no row is passed over: its request counts as missing."""
    with path.open("rb") as file:  # as bytes: as text it would be split at line ends that JSON leaves inside strings
        for line in file:
            try:
                row = _row(json.loads(line))
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
                continue
            yield row


def _row(said: dict[str, Any]) -> Row:
    response = said.get("response") or {}
    body = response.get("body") or {}
    wrong = body.get("error") or said.get("error")
    status = int(response.get("status_code") or 0)
    if not status or (200 <= status < 300 and wrong):  # never executed, or a fault in the guise of an answer
        status = 400 if str((wrong or {}).get("code")) in REFUSED_UNSEEN else 503
    if 200 <= status < 300:
        return Row(str(said["custom_id"]), status, body, None)
    body = {"error": wrong}
    return Row(str(said["custom_id"]), status, body, failure(error(status, body)))


def error(status: int, body: dict[str, Any]) -> openai.APIStatusError:
    """Return the error that the same answer would have raised in a direct call; its message says nothing."""
    response = httpx2.Response(status, request=httpx2.Request("POST", "http://batch"))
    said = body.get("error")
    make = openai.BadRequestError if status == 400 else openai.APIStatusError
    return make("a row of a batch", response=response, body=said if isinstance(said, dict) else None)
