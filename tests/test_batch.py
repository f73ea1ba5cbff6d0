"""The Batch API: whatever goes wrong, each request ends answered, set aside or handed back, and is paid for once."""

import asyncio
import json
import stat
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx2
import openai
import pytest
from loopback.batches import CALL_FAULTS, ENDED, JOB_FAULTS, Batches
from loopback.endpoint import Endpoint
from loopback.options import Options
from loopback.server import Reply
from loopback.server import Request as Asked

from schemas.curation import Batch, LLMAnnotator, Price
from schemas.errors import BudgetStop, RequestError
from tasks.annotator.by_batch import ByBatch
from tasks.endpoint import batch, price, wire
from tasks.endpoint.batch import jobs, plan
from tasks.endpoint.call import Model
from tasks.endpoint.failure import NoReply
from tasks.endpoint.purse import Purse
from tasks.endpoint.switchboard import Switchboard
from tasks.store import Ids, Store
from tasks.text import canonical

URL = "http://loopback/v1"
START = datetime(2026, 11, 20, tzinfo=UTC)
IDS = Ids("tiny")


OPEN = "from batch where step = 'planned' and batch_key not in (select batch_key from batch where step in ('ended', 'abandoned'))"


def pending(store):
    """Return the ids of the replies that open batches will bring."""
    rows = store.connect().sql(f"select requests {OPEN}").fetchall()
    return {reply_id for (requests,) in rows for reply_id, _ in json.loads(requests)}


def pending_usd(store):
    """Return the most that open batches can still cost."""
    return store.connect().sql(f"select coalesce(sum(usd_at_most), 0.0) {OPEN}").fetchone()[0]


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


class World:
    """An endpoint, a store and a clock; `kill_at` ends it at the n-th write or call, before or after it is done."""

    def __init__(self, folder, kill_at=None, is_after=False, **options):
        told = {"latency_s": 0.0, "slow_share": 0.0, "fault_rate": 0.0} | options
        self.endpoint = Endpoint(Options(**told))
        self.batches = Batches(self.endpoint, lambda: self.at.timestamp())
        self.store, self.at = Store(folder), START
        self.steps, self.kill_at, self.is_after = 0, kill_at, is_after
        self.run = 0
        self.saved = Counter()
        self.paths: list[str] = []
        merge = self.store.merge
        self.store.merge = lambda table, rows: self._step(lambda: merge(table, rows))

    def _step(self, act):
        self.steps += 1
        dies = self.steps == self.kill_at
        if dies and not self.is_after:
            raise Killed
        done = act()
        if dies:
            raise Killed
        return done

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        asked = Asked(
            request.method, request.url.path, dict(request.url.params), dict(request.headers), request.content
        )
        self.paths.append(f"{request.method} {request.url.path}")
        try:
            reply = self._step(lambda: self.batches.reply(asked))
        except ConnectionResetError:
            raise httpx2.ReadError("reset") from None
        return httpx2.Response(reply.status, content=reply.body, headers={"content-type": reply.content_type})

    def now(self):
        """Return the time; it takes a millisecond to look."""
        self.at += timedelta(milliseconds=1)
        return self.at

    async def sleep(self, seconds):
        self.at += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    def save(self, rows):
        """Keep what is a reply, and what was refused unseen."""
        kept, broken = [], set()
        for reply_id, item_id, status, body in rows:
            try:
                columns = (
                    wire.reply("chat", json.dumps(body).encode(), lambda _: [])
                    if status == 200
                    else wire.unseen(str(status))
                )
            except NoReply:
                broken.add(reply_id)
                continue
            self.saved[reply_id] += 1
            kept.append(columns | {"reply_id": reply_id, "annotator_id": "gpt", "item_id": item_id, "model": "m",
                        "usd": 0.0, "latency_ms": 0.0, "event_at": self.at, "recorded_at": self.at, "run_id": "r"})  # fmt: skip
        self.store.merge("reply", kept)
        return broken

    async def asked(self, requests, wait=1440.0, direct_after=2880.0, run=None, **more):
        """Return the outcome of one run."""
        self.run += 1
        transport = httpx2.MockTransport(self.answer)
        owner = batch.Owner(URL, "gpt", run or f"run-{self.run}")
        settings = Batch(wait_minutes=wait, direct_after_minutes=direct_after)
        client = openai.AsyncOpenAI(
            api_key="k", base_url=URL, max_retries=0, http_client=httpx2.AsyncClient(transport=transport)
        )
        async with client:
            return await batch.ask(client, self.store, IDS, owner, requests, settings, self.save, now=self.now,
                                   sleep=self.sleep, **more)  # fmt: skip

    def ask(self, requests, **more):
        return asyncio.run(self.asked(requests, **more))

    def rows(self, query):
        return self.store.connect().sql(query).fetchall()

    @property
    def steps_taken(self):
        return [step for (step,) in self.rows("select step from batch order by recorded_at, event_id")]


def request(number, text="how was the soup?", size=0):
    body = {"model": "m", "messages": [{"role": "user", "content": f"{number}: {text}{' ' * size}"}], "max_tokens": 16}
    return {"reply_id": IDS.id("reply", URL, canonical(body)), "item_id": f"item-{number}", "body": body}


def many(count, **more):
    return [request(number, **more) for number in range(count)]


def split(outcome):
    """Return the sizes of the five parts, which share nothing: answered, set aside, direct, unaffordable, pending."""
    parts = [outcome.answered, outcome.set_aside, {one["reply_id"] for one in outcome.direct},
             {one["reply_id"] for one in outcome.unaffordable}, set(outcome.pending)]  # fmt: skip
    assert len(set().union(*parts)) == sum(map(len, parts))
    return tuple(map(len, parts))


def balanced(world):
    """Return whether every batch that ended says so of all its requests."""
    query = """
        select e.answered + e.failed, p.requests
        from batch e join batch p using (batch_key)
        where e.step = 'ended' and p.step = 'planned'
    """
    return all(total == len(json.loads(requests)) for total, requests in world.rows(query))


def test_a_batch_is_answered_matched_by_id_and_leaves_no_text_at_the_endpoint(tmp_path):
    world = World(tmp_path / "s")
    outcome = world.ask(many(7))
    assert split(outcome) == (7, 0, 0, 0, 0)
    assert world.steps_taken == ["planned", "submitted", "ended", "cleared"]
    assert world.batches.left == [] and not list((tmp_path / "s" / "outbox").glob("*.jsonl"))
    found = dict(world.rows("select reply_id, item_id from reply"))
    assert found == {one["reply_id"]: one["item_id"] for one in many(7)}
    again = world.ask(many(7))  # all of it is remembered
    assert split(again) == (7, 0, 0, 0, 0) and again.counts == {}
    assert world.batches.submitted.total() == world.batches.answered.total() == 7


# What befalls the first batch of eight; then: outcome of the eight, times a row is executed, rows passed over.
#   half of the eight are executed in a batch that expires, is cancelled, or loses rows; the other half go again
FAULTS = {
    None: ((8, 0, 0, 0, 0), 8, {}),
    "duplicated": ((8, 0, 0, 0, 0), 8, {"repeated": 8}),
    "reordered": ((8, 0, 0, 0, 0), 8, {}),
    "missing": ((8, 0, 0, 0, 0), 8, {"missing": 4}),
    "foreign": ((8, 0, 0, 0, 0), 8, {"foreign": 3}),
    "garbled": ((8, 0, 0, 0, 0), 8, {}),
    "expired": ((8, 0, 0, 0, 0), 8, {"failed": 4}),
    "cancelled": ((8, 0, 0, 0, 0), 8, {"failed": 4}),
    "error_only": ((8, 0, 0, 0, 0), 8, {"failed": 8}),
    "all_errors": ((8, 0, 0, 0, 0), 8, {"failed": 8}),
    "invalid": ((0, 0, 8, 0, 0), 0, {"missing": 8}),
    "unsaid_files": ((8, 0, 0, 0, 0), 8, {}),
    "lost": ((0, 0, 8, 0, 0), 0, {"missing": 8}),
    "stuck": ((0, 0, 8, 0, 0), 0, {}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_befalls_a_batch_its_requests_are_answered_or_handed_back(tmp_path, fault):
    world = World(tmp_path / "s", batch={"in_turn": [fault]})
    outcome = world.ask(many(8), wait=200, direct_after=120)
    expected, executed, passed_over = FAULTS[fault]
    if fault == "stuck":  # asked to stop, half of it has been executed
        expected, executed, passed_over = (4, 0, 4, 0, 0), 4, {"failed": 4}
    assert split(outcome) == expected
    assert world.batches.answered.total() == executed
    odd = ("failed", "missing", "foreign", "repeated")
    assert {key: outcome.counts[key] for key in odd if outcome.counts[key]} == passed_over
    assert balanced(world) and world.batches.left == ([] if fault != "lost" else [f"{job(world)}.jsonl"])


def job(world):
    return world.rows("select batch_key from batch where step = 'planned'")[0][0]


def test_a_batch_that_completed_without_a_row_is_not_waited_for(tmp_path):
    world = World(tmp_path / "s", batch={"in_turn": ["missing"]})
    assert split(world.ask(many(1), wait=60)) == (1, 0, 0, 0, 0)  # half of one is none: no file at all, and again


def test_what_fails_in_two_batches_is_handed_back(tmp_path):
    world = World(tmp_path / "s", batch={"in_turn": ["error_only", "all_errors"]})
    assert split(world.ask(many(3))) == (0, 0, 3, 0, 0)
    assert world.steps_taken.count("ended") == 2


def test_what_is_refused_for_its_own_sake_is_saved_as_refused_and_not_sent_again(tmp_path):
    world = World(tmp_path / "s", fault_rate=1.0, faults=("content_filter_400", "context_length"))
    assert split(world.ask(many(3))) == (0, 3, 0, 0, 0)
    assert set(world.rows("select finish_reason from reply")) == {("400",)}
    assert set(world.batches.submitted.values()) == {1}


def test_a_row_that_turns_out_to_be_no_reply_is_sent_again(tmp_path):
    world = World(tmp_path / "s")
    real, first = world.save, [True]

    def save(rows):
        if first.pop() if first else False:
            return {rows[0][0]} | set(real(rows[1:]))
        return real(rows)

    world.save = save
    assert split(world.ask(many(3))) == (3, 0, 0, 0, 0)
    assert sorted(world.batches.answered.values()) == [1, 1, 2]


@pytest.mark.parametrize(("fault", "error"), [("quota", BudgetStop), ("unauthorised", RequestError)])
def test_a_used_up_account_or_a_wrong_key_stops_with_what_came_kept(tmp_path, fault, error):
    world = World(tmp_path / "s", batch={"refused_as": fault, "refused_after": 2})
    with pytest.raises(error, match="gpt: "):
        world.ask(many(5))
    assert world.rows("select count(*) from reply") == [(2,)]
    assert world.steps_taken == ["planned", "submitted", "ended", "cleared"]


def test_a_quota_told_when_a_batch_is_looked_at_stops_too_and_leaves_nothing_pending(tmp_path):
    world = World(tmp_path / "s", batch={"in_turn": ["quota"]})
    with pytest.raises(BudgetStop):
        world.ask(many(5))
    assert pending(world.store) == set()
    assert split(world.ask(many(5))) == (5, 0, 0, 0, 0)


def test_an_endpoint_without_the_batch_api_is_named_as_such(tmp_path):
    world = World(tmp_path / "s")
    world.batches.reply = lambda asked: Reply(404, b"{}")
    with pytest.raises(RequestError, match="whether the endpoint has a Batch API"):
        world.ask(many(2))
    assert pending(world.store) == set()


def test_requests_are_split_at_the_count_and_the_bytes_one_batch_may_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "MAX_REQUESTS", 4)
    assert split(World(tmp_path / "a").ask(many(10))) == (10, 0, 0, 0, 0)  # 4 + 4 + 2
    line = len(plan.line(request(0), "chat"))
    monkeypatch.setattr(plan, "MAX_BYTES", 3 * line)
    world = World(tmp_path / "b")
    outcome = world.ask([*many(10), request(11, size=3 * line)])  # 3 + 3 + 3 + 1, and one too long for any batch
    assert split(outcome) == (10, 0, 1, 0, 0)
    assert outcome.counts["submitted"] == 4


def test_a_file_of_requests_can_be_read_by_its_owner_alone(tmp_path):
    world, seen = World(tmp_path / "s"), []
    real = world.batches.reply

    def reply(asked):
        seen.extend(stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "s" / "outbox").glob("*.jsonl"))
        return real(asked)

    world.batches.reply = reply
    world.ask(many(2))
    assert set(seen) == {0o600}


def test_a_run_may_stop_while_a_batch_is_pending_and_the_next_takes_it_up(tmp_path):
    world = World(tmp_path / "s", batch={"polls": 3})
    first = world.ask(many(5), wait=0, usd_at_most=lambda body: 0.01)
    assert split(first) == (0, 0, 0, 0, 5)
    assert pending(world.store) == {one["reply_id"] for one in many(5)}
    assert pending_usd(world.store) == pytest.approx(0.05)
    second = world.ask(many(7))  # two more have come
    assert split(second) == (7, 0, 0, 0, 0)
    assert set(world.batches.submitted.values()) == {1}
    assert pending(world.store) == set() and pending_usd(world.store) == 0.0


def test_rows_of_an_earlier_run_are_saved_though_nobody_asks_for_them_now(tmp_path):
    world = World(tmp_path / "s")
    world.ask(many(5), wait=0)
    assert split(world.ask([], wait=10)) == (0, 0, 0, 0, 0)
    assert world.rows("select count(*) from reply") == [(5,)]


def test_a_batch_that_is_too_old_is_cancelled_its_rows_are_kept_and_the_rest_is_handed_back(tmp_path):
    world = World(tmp_path / "s", batch={"polls": 100})
    assert split(world.ask(many(8), wait=0, direct_after=60)) == (0, 0, 0, 0, 8)
    world.at += timedelta(minutes=61)
    # waits for the batch to stop although it is told to wait for nothing
    assert split(world.ask(many(8), wait=0, direct_after=60)) == (4, 0, 4, 0, 0)
    assert world.batches.answered.total() == 4


def test_requests_that_might_cost_more_than_there_is_are_not_sent(tmp_path):
    world = World(tmp_path / "s")
    outcome = world.ask(many(5), usd_at_most=lambda body: 0.1, room_usd=0.35)
    assert split(outcome) == (3, 0, 0, 2, 0)
    assert world.rows("select usd_at_most from batch where step = 'planned'") == [(pytest.approx(0.3),)]


def test_what_failed_gives_back_its_room_and_what_another_run_sent_does_not(tmp_path):
    world = World(tmp_path / "s", batch={"in_turn": ["error_only"]})
    assert split(world.ask(many(3), usd_at_most=lambda body: 0.1, room_usd=0.35)) == (3, 0, 0, 0, 0)  # sent twice each
    world = World(tmp_path / "t", batch={"in_turn": ["error_only"]})
    world.ask(many(3), wait=0, usd_at_most=lambda body: 0.1)
    assert split(world.ask(many(3), usd_at_most=lambda body: 0.1, room_usd=0.25)) == (2, 0, 0, 1, 0)


@pytest.mark.slow
def test_a_full_queue_is_waited_for_with_smaller_batches(tmp_path, monkeypatch):
    world = World(tmp_path / "s", batch={"queue": 5})
    outcome = world.ask(many(16))  # 16, then 8, are too many; batches of 4 pass
    assert split(outcome) == (16, 0, 0, 0, 0)
    assert set(world.batches.answered.values()) == {1}
    monkeypatch.setattr(plan, "MAX_REQUESTS", 5)
    world = World(tmp_path / "t", batch={"queue": 5})
    assert split(world.ask(many(15))) == (15, 0, 0, 0, 0)  # three batches: the second waits for the first
    assert set(world.batches.answered.values()) == {1}


@pytest.mark.parametrize("fault", CALL_FAULTS)
def test_calls_that_fail_are_tried_again_and_a_batch_made_unheard_is_found(tmp_path, fault):
    many_faults = {"call_faults": [fault], "call_fault_rate": 0.6, "max_call_faults": 4, "page": 1}
    world = World(tmp_path / "s", batch=many_faults, seed=3)
    assert split(world.ask(many(6))) == (6, 0, 0, 0, 0)
    assert set(world.batches.submitted.values()) == set(world.batches.answered.values()) == {1}
    assert world.batches.left == []


def test_two_runs_at_once_never_send_the_same_request(tmp_path):
    world = World(tmp_path / "s", batch={"polls": 3})

    async def both():
        return await asyncio.gather(world.asked(many(20)), world.asked(many(30)[10:]))

    one, other = asyncio.run(both())
    assert split(one) == (20, 0, 0, 0, 0) and split(other) == (20, 0, 0, 0, 0)
    assert len(world.batches.answered) == 30 and set(world.batches.submitted.values()) == {1}


def test_two_runs_at_once_share_the_batches_of_the_same_requests(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "MAX_REQUESTS", 4)
    world = World(tmp_path / "s", batch={"polls": 3})

    async def both():
        return await asyncio.gather(world.asked(many(12)), world.asked(many(12)))

    assert [split(outcome) for outcome in asyncio.run(both())] == [(12, 0, 0, 0, 0)] * 2
    assert set(world.batches.submitted.values()) == {1}


def test_a_run_that_is_cancelled_leaves_its_batches_to_the_next(tmp_path):
    world = World(tmp_path / "s", batch={"polls": 9})

    async def stopped():
        task = asyncio.create_task(world.asked(many(5)))
        while "submitted" not in world.steps_taken:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stopped())
    assert split(world.ask(many(5))) == (5, 0, 0, 0, 0)
    assert set(world.batches.answered.values()) == {1}


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=[pytest.mark.slow] * (seed >= 4)) for seed in range(60)])
def test_every_request_ends_and_is_paid_for_once_whatever_the_seed(tmp_path, seed):
    told = {"faults": [*JOB_FAULTS, "unsaid_files"], "fault_rate": 0.5, "call_fault_rate": 0.3, "polls": 2, "page": 2}
    rows = ("content_filter_400", "context_length", "status_500", "rate_limit", "truncated", "garbage_json")
    world = World(tmp_path / "s", seed=seed, batch=told, faults=rows, fault_rate=0.3)
    requests = many(12)
    first = world.ask(requests[:8], wait=3)
    outcome = world.ask(requests, wait=3000)
    answered, set_aside, direct, _, pending = split(outcome)
    assert answered + set_aside + direct == 12 and not pending
    assert first.answered <= outcome.answered  # those that an earlier run settled are in the store
    stored = dict(world.rows("select reply_id, finish_reason from reply"))
    billed = {key for key, times in world.batches.answered.items() if times}
    assert set(world.batches.answered.values()) <= {1}
    assert billed == {key for key, reason in stored.items() if reason != "400"}
    assert len(billed) == sum(record.billed for record in world.endpoint.bills.records.values())
    assert stored.keys() == outcome.answered | outcome.set_aside
    assert all(job.status in ENDED for job in world.batches.jobs.values())  # none goes on unheard
    assert balanced(world) and world.batches.left == []


# The first eight: planned, upload, create, submitted, look, download, replies, ended. What stands before step n is what
# stands after step n - 1, but for what is tidied up on the way out.
@pytest.mark.parametrize("which", [slice(8), pytest.param(slice(None), marks=pytest.mark.slow)])
def test_a_kill_at_any_write_or_call_loses_nothing_and_pays_for_nothing_twice(tmp_path, which):
    told = {"in_turn": ["missing"], "page": 1}
    whole = World(tmp_path / "whole", batch=told)
    whole.ask(many(4))
    assert whole.steps > 20
    for kill_at in range(1, whole.steps + 1)[which]:
        for is_after in (True,) if which.stop else (False, True):
            survives(World(tmp_path / f"{kill_at}-{is_after}", kill_at, is_after, batch=told))


def survives(world):
    with pytest.raises(Killed):
        world.ask(many(4))
    place = f"killed {'after' if world.is_after else 'before'} step {world.kill_at}"
    assert split(world.ask(many(4))) == (4, 0, 0, 0, 0), place
    assert world.batches.answered == Counter({one["reply_id"]: 1 for one in many(4)}), place
    assert {job.status for job in world.batches.jobs.values()} == {"completed"}, place  # none goes on unheard
    assert world.rows("select count(*) from reply") == [(4,)], place
    assert world.batches.left == [] and balanced(world), place
    assert not list((world.store.folder / "outbox").glob("*.jsonl")), place


def test_a_job_planned_by_a_run_that_died_is_given_up_where_its_texts_are_not_at_hand(tmp_path):
    world = World(tmp_path / "s", kill_at=2)  # the upload
    with pytest.raises(Killed):
        world.ask(many(4))
    assert split(world.ask(many(6)[2:])) == (4, 0, 0, 0, 0)
    assert world.rows("select status from batch where step = 'abandoned'") == [(jobs.UNSENT,)]
    assert pending(world.store) == set()


def test_nothing_of_a_text_or_a_message_of_the_endpoint_is_in_an_error(tmp_path):
    world = World(tmp_path / "s", batch={"refused_as": "unauthorised", "refused_after": 0})
    with pytest.raises(RequestError) as caught:
        world.ask(many(2, text="a secret"))
    assert "secret" not in str(caught.value) and "API key provided" not in str(caught.value)


PRICE = Price(input=1.0, output=2.0)


async def annotated(world, requests, board, direct_after=2880.0, one_price=PRICE):
    """Return the outcome of one run of an annotator that asks by batch, by the clock on the wall."""
    settings = Batch(wait_minutes=1440.0, direct_after_minutes=direct_after)
    told = {"name": "gpt", "kind": "llm", "model": "m", "base_url": URL, "price": one_price, "batch": settings}
    transport = httpx2.MockTransport(world.answer)
    http = httpx2.AsyncClient(transport=transport)
    async with openai.AsyncOpenAI(api_key="k", base_url=URL, max_retries=0, http_client=http) as client:
        model = Model(client, URL, "m", price=price.price_of("m", one_price))
        way = ByBatch(board, world.store, IDS, "run-1", LLMAnnotator(**told), model)
        return await way.ask([(one["reply_id"], one["item_id"], one["body"]) for one in requests])


def impatient():
    """Return a switchboard whose ending does not come, and is not waited for."""
    board = Switchboard(Purse(None))

    async def within(seconds):
        await asyncio.sleep(0.001)

    board.ending.within = within
    return board


def changing(world, *changes):
    """Let the bodies of a batch's first answers be others: each change is made to one of them."""
    real, changes = world.batches.reply, list(changes)

    def reply(asked):
        said = real(asked)
        if not asked.path.endswith("/content") or not changes:
            return said
        rows = [json.loads(line) for line in said.body.splitlines()]
        for row in rows[: len(changes)]:
            changes.pop(0)(row["response"]["body"])
        return replace(said, body=b"".join(json.dumps(row).encode() + b"\n" for row in rows))

    world.batches.reply = reply


def test_a_run_that_is_told_to_stop_waits_for_no_batch(tmp_path):
    world = World(tmp_path / "s", batch={"polls": 100})

    async def stopped():
        board = Switchboard(Purse(None))
        task = asyncio.create_task(annotated(world, many(5), board))
        while "submitted" not in world.steps_taken:
            await asyncio.sleep(0)
        board.ending.come()
        return await asyncio.wait_for(task, 10)

    assert split(asyncio.run(stopped())) == (0, 0, 0, 0, 5)
    assert world.steps_taken == ["planned", "submitted"]


def test_a_run_that_is_told_to_stop_sends_no_further_batch_and_tries_nothing_again(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "MAX_REQUESTS", 4)
    world = World(tmp_path / "s")
    is_sent = lambda: "submitted" in world.steps_taken  # noqa: E731
    assert split(world.ask(many(10), is_over=is_sent)) == (0, 0, 0, 0, 10)
    assert Counter(world.steps_taken) == {"planned": 3, "submitted": 1, "abandoned": 2}
    assert split(world.ask(many(10))) == (10, 0, 0, 0, 0)
    assert set(world.batches.submitted.values()) == {1}

    world = World(tmp_path / "t", batch={"call_faults": ["upload_500"], "call_fault_rate": 1.0, "max_call_faults": 99})
    assert split(world.ask(many(3), is_over=lambda: len(world.paths) > 0)) == (0, 0, 0, 0, 3)
    assert world.paths == ["POST /v1/files"]


def test_rows_that_do_not_tell_what_they_cost_and_rows_without_an_answer_are_booked(tmp_path):
    def empty(body):
        body["choices"][0]["message"] = {"role": "assistant", "content": None}

    def both(body):
        empty(body)
        del body["usage"]

    world = World(tmp_path / "s")
    changing(world, lambda body: body.pop("usage"), empty, both)
    requests = many(4)
    assert split(asyncio.run(annotated(world, requests, impatient()))) == (4, 0, 0, 0, 0)  # two of them asked again
    at_most = price.usd_at_most(price.price_of("m", PRICE), requests[0]["body"], batch=True)
    costs = dict(world.rows("select item_id, usd from reply"))
    assert costs["item-0"] is None and 0 < costs["item-3"] < at_most
    lost = {kind: (item, usd) for kind, item, usd in world.rows("select kind, item_id, usd_at_most from lost_call")}
    assert lost.keys() == {"no_usage", "no_content", "broken_body"}
    assert lost["no_usage"] == ("item-0", at_most) and lost["broken_body"] == ("item-2", at_most)
    assert lost["no_content"][0] == "item-1" and 0 < lost["no_content"][1] < at_most


def test_what_is_free_stays_free_though_it_does_not_tell_its_tokens(tmp_path):
    world = World(tmp_path / "s")
    changing(world, lambda body: body.pop("usage"))
    asyncio.run(annotated(world, many(1), impatient(), one_price=Price(input=0.0, output=0.0)))
    assert world.rows("select usd from reply") == [(0.0,)] and world.rows("select * from lost_call") == []


# a batch that the endpoint has forgotten, one that never ends, and one whose file is never there; rows that came of eight
@pytest.mark.parametrize(("fault", "rows"), [("lost", 0), ("stuck", 0), ("no_file", 0), (None, 8), ("expired", 4)])
@pytest.mark.parametrize("usd", [0.01, pytest.param(None, marks=pytest.mark.slow)])
def test_a_batch_that_is_given_up_may_have_cost_its_share_for_each_request_without_a_row(
    tmp_path, monkeypatch, fault, rows, usd
):
    monkeypatch.setattr(sys.modules[batch.ask.__module__], "STUCK", timedelta(hours=1))
    world, lost = World(tmp_path / "s", batch={"in_turn": [None if fault == "no_file" else fault]}), []
    real = world.batches.reply

    def reply(asked):
        if fault == "stuck" and asked.path.endswith("/cancel"):
            asked = replace(asked, method="GET", path=asked.path.removesuffix("/cancel"))  # it goes on
        return Reply(404, b"{}") if fault == "no_file" and asked.path.endswith("/content") else real(asked)

    world.batches.reply = reply
    outcome = world.ask(many(8), wait=300, direct_after=120, usd_at_most=lambda body: usd, lose=lost.extend)
    if rows:
        assert lost == [] and len(outcome.answered) == 8
        return
    assert split(outcome) == (0, 0, 8, 0, 0) and world.steps_taken.count("ended") == 1
    assert {item for _, item, _ in lost} == {one["item_id"] for one in many(8)}
    assert len({name for name, _, _ in lost}) == 8
    assert [share for _, _, share in lost] == [usd and pytest.approx(usd)] * 8


def test_a_batch_that_is_lost_is_in_the_books(tmp_path):
    world = World(tmp_path / "s", batch={"in_turn": ["lost"]})
    requests = many(3)
    asyncio.run(annotated(world, requests, impatient(), direct_after=1e-6))
    at_most = price.usd_at_most(price.price_of("m", PRICE), requests[0]["body"], batch=True)
    found = world.rows("select kind, item_id, usd_at_most from lost_call order by item_id")
    assert found == [("batch_lost", f"item-{n}", pytest.approx(at_most)) for n in range(3)]
    assert pending_usd(world.store) == 0.0
