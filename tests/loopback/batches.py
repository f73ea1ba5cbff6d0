"""The Batch API of the endpoint: files come in, batches go through their states, and some of it goes wrong as told."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from loopback.faults import STATUS, error, fault_of, fraction, refusal
from loopback.server import Reply, Request

# what befalls a whole batch, at the moment it is made
JOB_FAULTS = (
    "duplicated", "reordered", "missing", "foreign", "garbled", "expired", "error_only", "all_errors", "invalid",
    "cancelled",
)  # fmt: skip
# never unless named: `quota` is for a right client to stop at, the others take days
RARE_FAULTS = ("quota", "lost", "stuck", "unsaid_files")
# what befalls a call
CALL_FAULTS = ("throttled", "upload_500", "create_500", "create_reset", "late_file", "broken_list")
ENDED = ("completed", "failed", "expired", "cancelled")
MOST_ROWS = 50_000
MOST_BYTES = 200_000_000
APIS = {"/v1/chat/completions": "chat", "/v1/responses": "responses"}


@dataclass(frozen=True)
class BatchOptions:
    """How the Batch API behaves; the endpoint's option `batch`."""

    faults: tuple[str, ...] = JOB_FAULTS
    fault_rate: float = 0.0
    """Share of batches that go wrong."""
    in_turn: tuple[str | None, ...] = ()
    """What befalls the first, second, … batch, before the rate decides."""
    call_faults: tuple[str, ...] = CALL_FAULTS
    call_fault_rate: float = 0.0
    """Share of calls that go wrong."""
    max_call_faults: int | None = None
    polls: int = 1
    """Looks at a batch before it has ended."""
    seconds: float | None = None
    """How long a batch takes, instead."""
    page: int = 100
    """Rows of a page of a list, at most."""
    queue: int | None = None
    """Requests that may wait in all batches together."""
    can_delete: bool = True
    refused_as: str = "quota"
    refused_after: int | None = None
    """Every row after so many is refused: `quota` or `unauthorised`."""


@dataclass
class File:
    """A file as it lies there."""

    id: str
    name: str
    purpose: str
    content: bytes
    is_late: bool = False

    @property
    def shown(self) -> dict[str, Any]:
        """Return what the API says of it."""
        return {"id": self.id, "object": "file", "bytes": len(self.content), "created_at": 1, "filename": self.name,
                "purpose": self.purpose, "status": "processed"}  # fmt: skip


@dataclass
class Job:
    """A batch as it goes."""

    id: str
    input_file_id: str
    endpoint: str
    metadata: dict[str, str]
    lines: list[dict[str, Any]]
    fault: str | None
    began: float
    status: str = "validating"
    polls: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    executed: int = 0

    @property
    def shown(self) -> dict[str, Any]:
        """Return what the API says of it."""
        counts = {"total": len(self.lines), "completed": self.executed, "failed": len(self.lines) - self.executed}
        return {"id": self.id, "object": "batch", "endpoint": self.endpoint, "input_file_id": self.input_file_id,
                "completion_window": "24h", "status": self.status, "created_at": 1, "metadata": self.metadata,
                "output_file_id": self.output_file_id, "error_file_id": self.error_file_id,
                "errors": {"object": "list", "data": self.errors} if self.errors else None,
                "request_counts": counts}  # fmt: skip


class Batches:
    """Files and batches of one endpoint; its rows are answered, and billed, as direct calls are, at the batch tier."""

    def __init__(self, endpoint: Any, clock: Callable[[], float] = time.monotonic):
        self.endpoint, self.clock = endpoint, clock
        told = endpoint.options.batch
        self.options = BatchOptions(**{key: tuple(value) if isinstance(value, list) else value for key, value in told.items()})  # fmt: skip
        self.seed = endpoint.options.seed
        self.files: dict[str, File] = {}
        self.jobs: dict[str, Job] = {}
        self.calls = self.faulty_calls = 0
        self.uploaded = 0
        self.answered: Counter[str] = Counter()
        """Times each custom id was executed, and so billed."""
        self.submitted: Counter[str] = Counter()
        """Batches each custom id was in."""
        self.faults: Counter[str] = Counter()

    def reply(self, request: Request) -> Reply | None:
        """Return the answer to a request, or None where the path is another's; raise where the connection breaks."""
        found = re.search(r"/(files|batches)(?:/([^/]+))?(?:/(content|cancel))?$", request.path)
        if not found:
            return None
        noun, name, verb = found.groups()
        fault, self.calls = self._call_fault(), self.calls + 1
        if fault == "throttled":
            return self._fault(fault, 429, "rate_limit_exceeded")
        act = {
            ("POST", "files", False, None): self._upload,
            ("GET", "files", False, None): self._list_files,
            ("GET", "files", True, "content"): self._content,
            ("DELETE", "files", True, None): self._delete,
            ("POST", "batches", False, None): self._create,
            ("GET", "batches", False, None): self._list_jobs,
            ("GET", "batches", True, None): self._look,
            ("POST", "batches", True, "cancel"): self._cancel,
        }.get((request.method, noun, name is not None, verb))
        return act(request, name, fault) if act else _refused(404, None)

    def _call_fault(self) -> str | None:
        options = self.options
        if options.max_call_faults is not None and self.faulty_calls >= options.max_call_faults:
            return None
        return fault_of(options.call_fault_rate, options.call_faults, fraction(self.seed, "call", self.calls))

    def _fault(self, fault: str, status: int, code: str | None) -> Reply:
        self.faults[fault] += 1
        self.faulty_calls += 1
        return _refused(status, code)

    # files

    def _upload(self, request: Request, _: None, fault: str | None) -> Reply:
        if fault == "upload_500":
            return self._fault(fault, 500, None)
        parts = _parts(request.headers["content-type"], request.body)
        content, name = parts["file"]
        purpose = parts["purpose"][0].decode()
        if purpose == "batch" and len(content) > MOST_BYTES:
            return _refused(413, None)
        self.uploaded += 1
        return _json(self._kept(name or "upload", purpose, content).shown)

    def _kept(self, name: str, purpose: str, content: bytes) -> File:
        file = File(f"file-{self.seed}-{len(self.files)}", name, purpose, content)
        self.files[file.id] = file
        return file

    def _there(self, name: str | None) -> File | None:
        file = self.files.get(name or "")
        return file if file and file.purpose != "deleted" else None

    def _list_files(self, request: Request, _: None, fault: str | None) -> Reply:
        if fault == "broken_list":
            return self._fault(fault, 503, None)
        wanted = request.query.get("purpose")
        files = [file for file in self.files.values() if self._there(file.id) and wanted in (None, file.purpose)]
        return self._page(request, [file.shown for file in reversed(files)])

    def _content(self, _: Request, name: str | None, fault: str | None) -> Reply:
        file = self._there(name)
        if file is None:
            return _refused(404, None)
        if file.is_late or fault == "late_file":
            file.is_late = False
            return self._fault("late_file", 404, None)
        return Reply(200, file.content, "application/octet-stream")

    def _delete(self, _: Request, name: str | None, __: str | None) -> Reply:
        if not self.options.can_delete:
            return _refused(405, None)
        file = self._there(name)
        if file is None:
            return _refused(404, None)
        file.purpose, file.content = "deleted", b""
        return _json({"id": file.id, "object": "file", "deleted": True})

    @property
    def left(self) -> list[str]:
        """Return the names of the files that still lie there."""
        return [file.name for file in self.files.values() if self._there(file.id)]

    # batches

    def _create(self, request: Request, _: None, fault: str | None) -> Reply:
        if fault == "create_500":
            return self._fault(fault, 500, None)
        asked = json.loads(request.body)
        file = self._there(asked["input_file_id"])
        if file is None or file.purpose != "batch" or asked["completion_window"] != "24h":
            return _refused(400, "invalid_request")
        nth = len(self.jobs)
        drawn = fault_of(self.options.fault_rate, self.options.faults, fraction(self.seed, "batch", nth))
        doomed = self.options.in_turn[nth] if nth < len(self.options.in_turn) else drawn
        lines = [json.loads(line) for line in file.content.splitlines()]
        waiting = sum(len(job.lines) for job in self.jobs.values() if job.status not in ENDED)
        job = Job(f"batch_{self.seed}_{nth}", file.id, asked["endpoint"], asked.get("metadata") or {}, lines, doomed,
                  self.clock())  # fmt: skip
        self.jobs[job.id] = job
        self.submitted.update(line["custom_id"] for line in lines)
        if doomed:
            self.faults[doomed] += 1
        if self.options.queue is not None and waiting + len(lines) > self.options.queue:
            job.status, job.errors = "failed", [_wrong("token_limit_exceeded")]
        elif code := _invalid(asked["endpoint"], lines):
            job.status, job.errors = "failed", [_wrong(code, 1)]
        if fault == "create_reset":
            self.faults[fault] += 1
            self.faulty_calls += 1
            raise ConnectionResetError
        return _json(job.shown)

    def _list_jobs(self, request: Request, _: None, fault: str | None) -> Reply:
        if fault == "broken_list":
            return self._fault(fault, 503, None)
        return self._page(request, [job.shown for job in reversed(self.jobs.values())])

    def _page(self, request: Request, shown: list[dict[str, Any]]) -> Reply:
        limit = min(int(request.query.get("limit", 20)), self.options.page)
        names = [one["id"] for one in shown]
        start = names.index(request.query["after"]) + 1 if "after" in request.query else 0
        rows = shown[start : start + limit]
        return _json({"object": "list", "data": rows, "has_more": start + limit < len(shown)})

    def _look(self, _: Request, name: str | None, fault: str | None) -> Reply:
        job = self.jobs.get(name or "")
        if job is None or job.fault == "lost":
            return _refused(404, None)
        self._go_on(job)
        for file_id in (job.output_file_id, job.error_file_id):
            if fault == "late_file" and file_id:
                self.files[file_id].is_late = True
        shown = job.shown
        if job.fault == "unsaid_files" and job.status in ENDED:  # ended, and its files are told only at the next look
            job.fault = None
            shown |= {"output_file_id": None, "error_file_id": None}
        return _json(shown)

    def _cancel(self, _: Request, name: str | None, __: str | None) -> Reply:
        job = self.jobs.get(name or "")
        if job is None or job.fault == "lost":
            return _refused(404, None)
        if job.status in ENDED:
            return _refused(409, None)
        job.status, job.fault = "cancelling", "cancelled"
        return _json(job.shown)

    def _go_on(self, job: Job) -> None:
        """Take a batch on by one look, or to where the time has taken it."""
        if job.status in ENDED or job.fault == "stuck":
            return
        job.polls += 1
        seconds = self.options.seconds
        done = (self.clock() - job.began) / seconds if seconds else job.polls / max(1, self.options.polls)
        if job.status == "cancelling" or done >= 1:
            self._end(job)
        else:
            job.status = "validating" if done < 0.2 else "in_progress" if done < 0.8 else "finalizing"

    def _end(self, job: Job) -> None:
        """Execute what its fault lets it execute, and write its files."""
        job.status = job.fault if job.fault in ("expired", "cancelled") else "completed"
        if job.fault in ("invalid", "quota"):
            job.status = "failed"
            job.errors = [_wrong("invalid_json_line", 1) if job.fault == "invalid" else _wrong("insufficient_quota")]
            return
        lines = job.lines
        if job.fault in ("missing", "expired", "cancelled"):
            lines = lines[: len(lines) // 2]
        good, bad = [], []
        for line in lines:
            status, body = self._executed(job, line)
            (good if status == 200 else bad).append(_row(line["custom_id"], status, body))
        if job.fault in ("expired", "cancelled"):
            code = f"batch_{job.fault}"
            bad += [_row(line["custom_id"], 0, None, code) for line in job.lines[len(lines) :]]
        if job.fault == "all_errors":  # in the output file, and the batch says it is completed
            good, bad = bad, []
        if job.fault == "duplicated":
            good, bad = good + good[::-1], bad + bad
        if job.fault == "foreign":
            good += [_row(f"other-{number}", 200, {}) for number in range(3)]
        if job.fault in ("reordered", "foreign"):
            good.sort(key=lambda row: fraction(self.seed, "order", row))
        if job.fault == "garbled":
            good.insert(0, '{"custom_id": "half of a li')
        job.output_file_id = self._written(f"{job.id}_output.jsonl", good)
        job.error_file_id = self._written(f"{job.id}_error.jsonl", bad)

    def _written(self, name: str, rows: list[str]) -> str | None:
        return self._kept(name, "batch_output", "".join(row + "\n" for row in rows).encode()).id if rows else None

    def _executed(self, job: Job, line: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and body of a row; only what is answered is billed."""
        if job.fault in ("error_only", "all_errors"):
            return 500, json.loads(error("The server had an error.", "server_error", None))
        after = self.options.refused_after
        if after is not None and self.answered.total() >= after:
            return STATUS[self.options.refused_as], json.loads(refusal(self.options.refused_as, ""))
        raw = json.dumps(line["body"], ensure_ascii=False).encode()
        plan = self.endpoint.plan(APIS[job.endpoint], raw, self.clock(), tier="batch")
        if plan.status == 200 and (plan.manner != "whole" or not plan.is_deliverable):
            return 500, json.loads(error("The server had an error.", "server_error", None))
        self.endpoint.settle(plan, is_delivered=True)
        if plan.status == 200:
            job.executed += 1
            self.answered[line["custom_id"]] += 1
        return plan.status, json.loads(plan.body)


def _row(custom_id: str, status: int, body: dict[str, Any] | None, code: str | None = None) -> str:
    response = {"status_code": status, "request_id": "req_0", "body": body} if body is not None else None
    wrong = {"code": code, "message": "This request could not be executed."} if code else None
    said = {"id": "batch_req_0", "custom_id": custom_id, "response": response, "error": wrong}
    return json.dumps(said, ensure_ascii=False)


def _wrong(code: str, line: int | None = None) -> dict[str, Any]:
    return {"code": code, "line": line, "message": "Something is wrong with it.", "param": None}


def _invalid(endpoint: str, lines: list[dict[str, Any]]) -> str | None:
    """Return the code of what is wrong with a batch's file, or None."""
    if not lines or len(lines) > MOST_ROWS:
        return "empty_file" if not lines else "too_many_tasks"
    if len({line["custom_id"] for line in lines}) < len(lines):
        return "duplicate_custom_id"
    if any(line["url"] != endpoint or line["method"] != "POST" for line in lines) or endpoint not in APIS:
        return "mismatched_url"
    return "mismatched_model" if len({line["body"]["model"] for line in lines}) > 1 else None


def _parts(content_type: str, body: bytes) -> dict[str, tuple[bytes, str | None]]:
    """Return content and file name of each part of a form."""
    told = Message()
    told["content-type"] = content_type
    parts = {}
    for part in body.split(b"--" + told.get_boundary().encode())[1:-1]:
        head, _, content = part[2:-2].partition(b"\r\n\r\n")
        said = Message()
        for header in head.decode().split("\r\n"):
            key, _, value = header.partition(":")
            said[key] = value.strip()
        parts[said.get_param("name", header="content-disposition")] = (content, said.get_filename())
    return parts


def _json(shown: dict[str, Any]) -> Reply:
    return Reply(200, json.dumps(shown).encode())


def _refused(status: int, code: str | None) -> Reply:
    return Reply(status, error("This cannot be done.", "invalid_request_error", code))
