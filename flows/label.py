"""A file of texts, in any format, is labelled by a model: every row comes out, in its order, with what was said of it."""

import asyncio
import difflib
import os
import secrets
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import yaml
from pydantic import BaseModel, ValidationError

from flows.progress import Drawn, bar, said
from flows.table import Chunk, Row, Table, Write, kept_as, looked_at, rows_of, writing
from schemas.curation import Fields, Labels, LLMAnnotator
from schemas.errors import Interrupted, RequestError
from tasks.annotator import llm
from tasks.annotator.chat import QUARANTINED, Answer
from tasks.annotator.prompt import Example
from tasks.endpoint import address, client
from tasks.endpoint.price import unpriced
from tasks.endpoint.switchboard import Switchboard, switchboard
from tasks.store import Ids, Store
from tasks.table_file import written_format
from tasks.text import canonical, clean

T = TypeVar("T", bound=BaseModel)
NAME = "annotate"  # of the annotator, and of the store's folder
CHUNK = 1_024  # rows asked about together
AT_ONCE = 2  # chunks: the next begins while the last answers of the one before are still to come
DIGITS = 12  # of every figure written
DRAWN_EVERY_S, TOLD_EVERY_S = 0.5, 10.0
UNHEARD = {"llm_unavailable", "rate_limited"}  # reasons a row has no answer, which a second run may bring
ADDED = {
    "label": pa.string(),
    "distribution": pa.map_(pa.string(), pa.float64()),
    "entropy_nats": pa.float64(),
    "status": pa.string(),
    "reason": pa.string(),
}


def label(
    file: Path,
    labels: str,
    out: Path,
    settings: dict[str, Any],
    id: str | None = None,
    text: str = "text",
    context: tuple[str, ...] = (),
    guidelines: Path | None = None,
    max_usd: float | None = None,
    home: str | None = None,
) -> dict[str, Any]:
    """Return what became of a file's rows, ready for JSON; write each to `out` with its label.

    `labels` are names with commas between, or a YAML file of names and meanings; `settings` are keys of a model
    annotator as a curation has them.
    """
    _distinct_files(file, out)
    written_format(out)  # refuse before the work, not after
    annotator, meanings = _annotator(settings), _labels(labels)
    fields = _checked(Fields, {"id": id, "text": text, "context": context})
    client(address(annotator.model, annotator.base_url), annotator.api_key_env)  # says so where there is no key
    if max_usd is not None and unpriced([annotator]):
        raise RequestError(f"--max-usd cannot be kept: no price is known for {annotator.model}; give --price IN,OUT")
    told = _guidelines(guidelines)
    table = looked_at(file, text)
    _has_columns(table, {**({id: "--id"} if id else {}), text: "--text", **dict.fromkeys(context, "--context")})
    store = Store(Path(home or os.environ.get("ASSAY_HOME") or ".assay").absolute() / NAME)
    llm.recover(store)
    with writing(out, table, ADDED) as write:
        result = asyncio.run(_labelled(_Job(table, fields, annotator, meanings, told, store, max_usd, out), write))
    store.tidy()
    renamed = {name: kept for name, kept in kept_as(table, ADDED).items() if name != kept}
    return result | ({"renamed": renamed} if renamed else {}) | {"out": str(out)}


@dataclass(frozen=True)
class _Job:
    """What is to be labelled, by whom, what may be spent, and where it goes."""

    table: Table
    fields: Fields
    annotator: LLMAnnotator
    labels: Labels
    guidelines: str
    store: Store
    max_usd: float | None
    out: Path


@dataclass
class _Count:
    """How far a job has come: the rows of finished chunks and the items in them, and what was said."""

    started: float = field(default_factory=time.monotonic)
    rows: int = 0
    items: int = 0
    usage: llm.Usage = field(default_factory=llm.Usage)
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    entropies: int = 0
    entropy_nats: float = 0.0

    def add(self, row: Row) -> None:
        """Count what was said of a row."""
        self.statuses[row["status"]] += 1
        self.reasons.update([row["reason"]] if row["reason"] else [])
        self.labels.update([row["label"]] if row["label"] else [])
        if row["entropy_nats"] is not None:
            self.entropies += 1
            self.entropy_nats += row["entropy_nats"]


async def _labelled(job: _Job, write: Write) -> dict[str, Any]:
    """Return what became of the rows, all written; every reply is in the store, also where this raises."""
    count, run_id = _Count(), f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    async with switchboard(run_id, lambda: job.max_usd) as board:
        asking = llm.Asking(board, job.store, Ids(NAME), run_id, job.annotator, job.labels, job.guidelines)
        with _heard(board) as signals:
            telling = asyncio.create_task(_tell(board, job, count))
            try:
                await _chunks(job, asking, count, write)
            except asyncio.CancelledError:
                if not signals:
                    raise
            finally:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)
            if signals:
                how = f"{_so_far(board, job, count)}; the same command goes on from there"
                raise Interrupted(f"interrupted: {how}", signals[0])
            if board.ending.error:
                raise type(board.ending.error)(f"{board.ending.error}. {_so_far(board, job, count)}")
    return _summary(job, count)


async def _chunks(job: _Job, asking: llm.Asking, count: _Count, write: Write) -> None:
    """Write all rows in their order, labelled two chunks at once; return early where the calls were ended."""
    ending, ahead = asking.board.ending, deque[_Part]()
    try:
        with closing(job.table.chunks(CHUNK)) as chunks:
            while not ending.has_come:
                if (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
                    ahead.append(_Part(job, asking, count, chunk, ahead[-1] if ahead else None))
                elif not ahead:
                    break
                if chunk is None or len(ahead) == AT_ONCE:
                    rows = await ahead[0].rows()
                    if not ending.has_come:
                        await asyncio.to_thread(write, ahead.popleft().chunk, rows)
    except BaseException:
        for part in ahead:
            part.task.cancel()
        raise
    finally:  # what is in flight is waited for, and kept
        await asyncio.gather(*(part.task for part in ahead), return_exceptions=True)


class _Part:
    """A chunk of rows on their way: which item each one is, and what is said of it."""

    def __init__(self, job: _Job, asking: llm.Asking, count: _Count, chunk: Chunk, before: "_Part | None") -> None:
        self.chunk, self._asking, self._count = chunk, asking, count
        texts = rows_of(chunk, [job.fields.text, *job.fields.context])
        self._by_row = [_item(row, job.fields, asking.ids) for row in texts]
        self.items = {item.item_id: item for item in self._by_row if isinstance(item, Example)}
        self.task = asyncio.create_task(self._asked(before))

    async def _asked(self, before: "_Part | None") -> dict[str, Row]:
        """Return what was said by item; what the chunk before asks about at this moment is not asked twice."""
        asked_now = before.items.keys() & self.items.keys() if before else set()
        found = await self._asking.about([item for item_id, item in self.items.items() if item_id not in asked_now])
        said = {item_id: _answered(one.answer) for item_id, one in found.answers.items()}
        said |= {item_id: _nothing("failed", why.reason) for item_id, why in found.unanswered.items()}
        self._count.usage += found.usage
        if len(said) + len(asked_now) == len(self.items):
            self._count.rows += len(self._by_row)
            self._count.items += len(said)
        if asked_now:
            earlier = await before.task
            said |= {item_id: earlier[item_id] for item_id in asked_now & earlier.keys()}
        return said

    async def rows(self) -> list[Row]:
        """Return what is added to each row; nothing where the calls were ended."""
        said = await self.task
        if self._asking.board.ending.has_come:
            return []
        added = [_nothing("failed", one) if isinstance(one, str) else said[one.item_id] for one in self._by_row]
        for row in added:
            self._count.add(row)
        return added


def _item(row: Row, fields: Fields, ids: Ids) -> Example | str:
    """Return what a model is shown of a row, or why it is not asked."""
    given = row.get(fields.text)
    if given is not None and not isinstance(given, str):
        return "not_text"
    text = clean(_encodable(given or ""))
    if not text:
        return "empty_text"
    context = _encodable(canonical({key: row.get(key) for key in fields.context}))
    return Example(ids.id("item", text, context), text, context)


def _encodable(text: str) -> str:
    """Return a text that UTF-8 can hold: half of a surrogate pair, which JSON lets through, becomes a question mark."""
    return text.encode(errors="replace").decode()


def _answered(answer: Answer) -> Row:
    """Return what is added to a row whose model answered."""
    if answer.label is None:
        return _nothing("failed" if answer.reason in QUARANTINED else "abstained", answer.reason)
    entropy = answer.columns["entropy_nats"]
    return {
        "label": answer.label,
        "distribution": answer.distribution and {one: round(p, DIGITS) for one, p in answer.distribution.items()},
        "entropy_nats": None if entropy is None else round(entropy, DIGITS),
        "status": "labelled",
        "reason": None,
    }


def _nothing(status: str, reason: str) -> Row:
    return {"label": None, "distribution": None, "entropy_nats": None, "status": status, "reason": reason}


@contextmanager
def _heard(board: Switchboard) -> Iterator[list[int]]:
    """Yield the signals heard: the first one ends the calls, those in flight excepted, the second one those too."""
    loop, this, heard = asyncio.get_running_loop(), asyncio.current_task(), list[int]()

    def hear(number: int) -> None:
        heard.append(number)
        if len(heard) > 1:
            this.cancel()
            return
        board.ending.come()
        print("\nwaiting for the calls in flight, which are paid for; once more ends at once", file=sys.stderr)

    with suppress(ValueError, RuntimeError):  # signals reach the main thread alone
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, hear, number)
    try:
        yield heard
    finally:
        with suppress(ValueError, RuntimeError):
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


async def _tell(board: Switchboard, job: _Job, count: _Count) -> None:
    """Say on stderr how far it has come, until this is cancelled: on a terminal in one line, drawn anew."""
    drawn, is_terminal = Drawn(), sys.stderr.isatty()
    try:
        while True:
            await asyncio.sleep(DRAWN_EVERY_S if is_terminal else TOLD_EVERY_S)
            done, total = _done(board, count), job.table.rows
            line = said(done, total, "rows", time.monotonic() - count.started, board.purse.spent)
            if is_terminal:
                drawn.draw(NAME, bar(done, total, line))
            else:
                print(line, file=sys.stderr)
    finally:
        drawn.clear()


def _done(board: Switchboard, count: _Count) -> int:
    """Return how many rows have been asked about: those of finished chunks, and the items of the others."""
    return count.rows + board.done[NAME] - count.items


def _so_far(board: Switchboard, job: _Job, count: _Count) -> str:
    return f"{_done(board, count):,} of {job.table.rows:,} rows are answered, and {job.out.name} was not written"


def _summary(job: _Job, count: _Count) -> dict[str, Any]:
    usage, mean = count.usage.row, count.entropy_nats / count.entropies if count.entropies else None
    return {
        "rows": job.table.rows,
        **{status: count.statuses[status] for status in ("labelled", "abstained", "failed")},
        "reasons": dict(sorted(count.reasons.items())),
        "labels": {one: count.labels[one] for one in job.labels.values},
        **{key: usage[key] for key in ("calls", "cached", "prompt_tokens", "completion_tokens", "usd", "usd_at_risk")},
        "entropy": {"mean_nats": None if mean is None else round(mean, DIGITS)},
        "seconds": round(time.monotonic() - count.started, 3),
    }


def story(result: dict[str, Any]) -> str:
    """Return what became of the rows as a person reads it on a terminal."""
    width = max([5, *map(len, result["labels"])])
    usd = "at an unknown price" if result["usd"] is None else f"${result['usd']:,.4f}"
    risk = f", at most ${result['usd_at_risk']:,.4f} more for calls that were lost" if result["usd_at_risk"] else ""
    lines = [
        f"{result['rows']:,} rows: {result['labelled']:,} labelled, {result['abstained']:,} abstained, "
        f"{result['failed']:,} failed, in {result['seconds']:,.1f} s",
        f"  {result['calls']:,} calls, {result['cached']:,} replies remembered; {usd}{risk}",
    ]
    lines += [f"  {count:,} × {reason}" for reason, count in result["reasons"].items()]
    if result["reasons"].keys() & UNHEARD:
        lines.append("  run the same command again: it asks only about the rows that have no answer yet")
    lines += [f"  the file's own `{name}` is `{kept}` now" for name, kept in result.get("renamed", {}).items()]
    if result["entropy"]["mean_nats"] is not None:
        lines.append(f"  mean entropy {result['entropy']['mean_nats']:.3f} nats")
    lines += ["", f"{'label':<{width}}         rows"]
    lines += [f"{name:<{width}}  {count:11,}" for name, count in result["labels"].items()]
    return "\n".join([*lines, "", f"written    {result['out']}"])


def _distinct_files(file: Path, out: Path) -> None:
    if out.exists() and file.exists() and out.samefile(file):
        raise RequestError(f"{out.name} is the file that is read: write to another one")


def _has_columns(table: Table, flags: dict[str, str]) -> None:
    """Raise RequestError for columns that are not there, with those there are."""
    absent = {name: flag for name, flag in flags.items() if name not in table.columns}
    if not absent or (table.format == "jsonl" and not table.rows):  # no row, so no column: nothing is wrong
        return
    there = ", ".join(list(table.columns)[:30])
    said = f"{table.path.name} has no column {' and no column '.join(absent)}; it has: {there}"
    for name, flag in absent.items():
        if near := difflib.get_close_matches(name, table.columns, n=1):
            said += f". Did you mean {flag} {near[0]}?"
    raise RequestError(said)


def _annotator(settings: dict[str, Any]) -> LLMAnnotator:
    given = {key: value for key, value in settings.items() if value is not None}
    return _checked(LLMAnnotator, {"name": NAME, "kind": "llm"} | given)


def _labels(given: str) -> Labels:
    """Return each label with its meaning: of a YAML file, or names with commas between, which mean what they say."""
    names = Path(given)
    if names.suffix in (".yaml", ".yml"):
        labels = _yaml(names)
    else:
        listed = [one.strip() for one in given.split(",")]
        if twice := [one for one, times in Counter(listed).items() if times > 1]:
            raise RequestError(f"--labels: {twice[0]!r} stands there twice")
        labels = {one: one for one in listed}
    return _checked(Labels, {"kind": "choice", "values": labels}, "--labels")


def _yaml(path: Path) -> dict[str, str]:
    """Return the mapping in a YAML file, every word of it as text: `no` is a good name of a label."""
    try:
        read = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RequestError(f"--labels: {path} cannot be read as YAML ({type(error).__name__})") from None
    if not isinstance(read, dict) or not all(isinstance(meaning, str) for meaning in read.values()):
        raise RequestError(f"--labels: {path} must map each label to the sentence that says what it means")
    return read


def _guidelines(path: Path | None) -> str:
    try:
        return path.read_text(encoding="utf-8") if path else ""
    except (OSError, UnicodeDecodeError):
        raise RequestError(f"--guidelines: {path} cannot be read as UTF-8 text") from None


def _checked(kind: type[T], values: dict[str, Any], flag: str | None = None) -> T:
    """Return values as a part of a curation; raise RequestError that names the flag where they are none."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = flag or "".join(f"--{part}".replace("_", "-") for part in first["loc"][:1])
        raise RequestError(f"{place}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")) from None
