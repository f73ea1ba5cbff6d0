"""A call: however it ends, it is counted, its money is settled, its turn is given back, and its end is on record."""

import asyncio
import itertools
import time
from dataclasses import replace

import openai
import pytest
from loopback import FAULTS, Options, serving

from schemas.curation import Price
from schemas.errors import BudgetStop, RequestError
from tasks.annotator import profile
from tasks.endpoint import call as calls
from tasks.endpoint import client
from tasks.endpoint import ending as endings
from tasks.endpoint.call import Caller, Model, Patience, Unanswered
from tasks.endpoint.ending import Ending
from tasks.endpoint.failure import Do, Failure
from tasks.endpoint.journal import Journal
from tasks.endpoint.pace import Breaker, Pace
from tasks.endpoint.price import price_of, usd_at_most
from tasks.endpoint.purse import Purse

SCHEMA = {"type": "object", "properties": {"label": {"type": "string", "enum": ["good", "bad"]}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": SCHEMA}}
BODY = {"model": "m", "response_format": FORMAT, "temperature": 0.0, "seed": 0, "max_completion_tokens": 64,
        "logprobs": True, "top_logprobs": 5, "store": False}  # fmt: skip
PRICE = price_of("m", Price(input=1.0, output=4.0))
SECRET = "the soup was cold"
QUICK = Patience(attempts=3, first_wait_s=0.001, longest_wait_s=0.002, call_s=1.0, item_s=0.3)


def body(number=0):
    turns = [{"role": "system", "content": "Label."}, {"role": "user", "content": f"{SECRET} {number}"}]
    return BODY | {"messages": turns}


AT_MOST = usd_at_most(PRICE, body())


class Desk:
    """A caller with everything around it."""

    def __init__(self, address, folder, patience=QUICK, limit=None, at_once=8, price=PRICE):
        self.ending, self.pace, self.purse = Ending(), Pace(at_once, breaker=patience.breaker), Purse(limit)
        self.ending.tell(self.pace.wake)
        self.journal = Journal(folder, "a", "m", "run")
        self.model = Model(client(address), address, "m", price=price)
        stamp = {"annotator_id": "a", "run_id": "run"}
        self.caller = Caller(
            self.model, self.pace, self.purse, self.journal, self.ending, stamp, patience, profile.compact
        )

    async def ask(self, number=0):
        """Return the reply about an item, or what was raised in its place."""
        try:
            return await self.caller.ask(f"reply_{number}", f"item_{number}", body(number))
        except Exception as error:
            return error

    def is_settled(self):
        """Return whether no money is reserved, no turn is taken, and no call is without an end."""
        return (self.purse.in_flight, self.pace._in_flight, self.journal._calls) == (0.0, 0, {})


def at(desk_of, act):
    """Return the desk and what an act finds at it."""

    async def acted():
        desk = desk_of()
        try:
            return desk, await act(desk)
        finally:
            await desk.journal.close(is_stored=True)
            await desk.model.client.close()

    return asyncio.run(acted())


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")


@pytest.fixture(scope="module")
def endpoint():
    with serving() as there:
        yield there


def like(endpoint, *faults, **options):
    """Let the endpoint answer at once, and with these faults always."""
    kept = {"latency_s": 0.0, "slow_share": 0.0, "max_faults_per_key": None, "fault_rate": 1.0 if faults else 0.0}
    endpoint.reset(Options(**kept | {"faults": faults, "drip_s": 0.5} | options))
    return endpoint.address


def of_one_item(address, folder, **how):
    return at(lambda: Desk(address, folder, **how), Desk.ask)


NEVER = 0  # calls that may have been billed
ENDS = {  # a fault of every answer: calls made, those of them lost, and how the item ends
    "rate_limit": (None, NEVER, "rate_limited"),
    "rate_limit_bare": (None, NEVER, "rate_limited"),
    "status_408": (3, NEVER, "llm_unavailable"),
    "status_500": (3, NEVER, "llm_unavailable"),
    "status_502": (3, NEVER, "llm_unavailable"),
    "status_503": (3, NEVER, "llm_unavailable"),
    "status_529": (3, NEVER, "llm_unavailable"),
    "reset": (3, 3, "llm_unavailable"),
    "timeout": (3, 3, "llm_unavailable"),
    "slow_drip": (3, 3, "llm_unavailable"),
    "truncated": (3, 3, "llm_unavailable"),
    "garbage_html": (3, 3, "llm_unavailable"),
    "garbage_json": (3, 3, "llm_unavailable"),
    "error_body": (3, 3, "llm_unavailable"),
    "empty": (3, 3, "llm_unavailable"),
    "content_filter_400": (1, NEVER, "content_filter"),
    "context_length": (1, NEVER, "context_length"),
    "content_filter": (1, NEVER, "content_filter"),
    "length": (1, NEVER, "length"),
    **dict.fromkeys(["wrong_label", "refusal", "prose", "null_logprobs", "strange_logprobs"], (1, NEVER, "stop")),
}


def test_the_table_has_every_fault():
    assert set(FAULTS) == ENDS.keys()


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_goes_wrong_each_call_is_counted_settled_and_on_record(endpoint, tmp_path, fault):
    made, lost, end = ENDS[fault]
    patience = Patience(3, 0.001, 0.002, call_s=0.4 if fault in ("timeout", "slow_drip") else 2.0, item_s=0.3)
    if fault in ("timeout", "slow_drip"):
        patience = Patience(3, 0.001, 0.002, call_s=0.4, item_s=5.0)
    desk, found = of_one_item(like(endpoint, fault, retry_after_s=0.05), tmp_path / "j", patience=patience)
    assert desk.is_settled() and desk.ending.error is None
    assert (found.reason if isinstance(found, Unanswered) else found["finish_reason"]) == end
    assert made in (None, desk.caller.calls) and len(desk.journal.lost) == lost
    assert len(desk.journal.replies) == (not isinstance(found, Unanswered))
    # what is spent covers what the endpoint bills, to the cent where the reply came
    at_risk = sum(row["usd_at_most"] for row in desk.journal.lost)
    assert desk.purse.spent == pytest.approx(at_risk + sum(row["usd"] for row in desk.journal.replies))
    assert list((tmp_path / "j").iterdir()) == []


def test_a_reply_costs_what_its_tokens_cost(endpoint, tmp_path):
    desk, reply = of_one_item(like(endpoint), tmp_path)
    assert reply["prompt_tokens"] > 0 and desk.journal.replies == [reply]
    cost = (reply["prompt_tokens"] * 1.0 + reply["completion_tokens"] * 4.0) / 1e6
    assert desk.purse.spent == reply["usd"] == pytest.approx(cost)
    assert [reply[name] for name in ("reply_id", "item_id", "model", "annotator_id", "run_id")] == [
        "reply_0", "item_0", "m", "a", "run",
    ]  # fmt: skip


def test_a_429_takes_no_attempt_and_patience_with_an_item_still_ends(endpoint, tmp_path):
    began = time.monotonic()
    desk, found = of_one_item(like(endpoint, "rate_limit", retry_after_s=0.02), tmp_path)
    assert (found.reason, found.detail) == ("rate_limited", "status 429")
    assert desk.caller.calls > QUICK.attempts and time.monotonic() - began < 5


def test_a_thousand_waits_are_no_longer_than_the_longest(endpoint, tmp_path):
    """2¹⁰²⁴ s is no number."""

    async def act(desk):
        for waits in (1, 2, 1025, 10_000):
            began = time.monotonic()
            await desk.caller._wait(Failure("status 429", Do.WAIT), waits, time.monotonic() + 60)
            assert time.monotonic() - began < 1
        return True

    assert at(lambda: Desk(like(endpoint), tmp_path), act)[1]


def test_backoff_is_full_jitter_that_doubles_up_to_the_longest(endpoint, tmp_path, monkeypatch):
    drawn, patience = [], Patience(first_wait_s=1.0, longest_wait_s=60.0)
    monkeypatch.setattr(calls.random, "uniform", lambda low, high: drawn.append((low, high)) or 0.0)

    async def act(desk):
        for waits in range(1, 9):
            await desk.caller._wait(Failure("status 500", Do.RETRY), waits, time.monotonic() + 60)

    at(lambda: Desk(like(endpoint), tmp_path, patience), act)
    assert drawn == [(0.0, high) for high in (1, 2, 4, 8, 16, 32, 60, 60)]


def test_who_is_told_to_wait_longer_than_an_item_may_take_asks_no_more(endpoint, tmp_path):
    async def act(desk):
        return [await desk.ask(number) for number in range(3)]

    desk, found = at(lambda: Desk(like(endpoint, "rate_limit", retry_after_s=3600), tmp_path), act)
    assert [one.reason for one in found] == ["rate_limited", "llm_unavailable", "llm_unavailable"]
    assert desk.caller.calls == 1 and desk.is_settled()


def together(desk, count=30):
    return asyncio.gather(*map(desk.ask, range(count)))


ENDINGS = [({"quota_after": 5}, BudgetStop), ({"unauthorised_after": 5}, RequestError)]


@pytest.mark.parametrize(("options", "kind"), ENDINGS)
def test_what_meets_every_item_ends_the_run_and_keeps_what_was_paid_for(endpoint, tmp_path, options, kind):
    desk, found = at(lambda: Desk(like(endpoint, **options), tmp_path, at_once=2), together)
    assert isinstance(desk.ending.error, kind) and SECRET not in str(desk.ending.error)
    assert sum(isinstance(one, dict) for one in found) == 5 == len(desk.journal.replies)
    assert all(isinstance(one, kind) or one.reason == "stopped" for one in found if not isinstance(one, dict))
    assert desk.caller.calls <= 7 and desk.is_settled()  # of those in flight each has met it once


@pytest.mark.parametrize("affordable", [0, 1, 3])
def test_the_purse_stops_before_it_is_empty(endpoint, tmp_path, affordable):
    limit = AT_MOST * (affordable + 0.5)
    desk, found = at(lambda: Desk(like(endpoint), tmp_path, limit=limit), together)
    assert isinstance(desk.ending.error, BudgetStop) or all(isinstance(one, dict) for one in found)
    assert desk.purse.spent <= limit and desk.is_settled()
    assert len(desk.journal.replies) == desk.caller.calls >= affordable


def test_who_waits_for_the_purse_when_the_ending_comes_is_not_asked_about(endpoint, tmp_path):
    """There is money for one at a time, and the run is told to stop while the first is in flight."""

    async def act(desk):
        asked = asyncio.gather(*map(desk.ask, range(6)))
        while not desk.caller.calls:
            await asyncio.sleep(0.005)
        desk.ending.come()
        return await asked

    desk, found = at(lambda: Desk(like(endpoint, latency_s=0.1), tmp_path, limit=AT_MOST * 1.5), act)
    assert isinstance(found[0], dict) and [one.reason for one in found[1:]] == ["stopped"] * 5
    assert desk.caller.calls == 1 and desk.is_settled()


def test_an_endpoint_that_does_not_tell_its_tokens_costs_the_most_it_can(endpoint, tmp_path, monkeypatch):
    """Else a budget would never be used up there."""
    whole = calls.wire.reply
    nothing = {"prompt_tokens": 0, "cached_tokens": 0, "completion_tokens": 0}
    monkeypatch.setattr(calls.wire, "reply", lambda *said: whole(*said) | nothing)
    desk, reply = of_one_item(like(endpoint), tmp_path)
    assert reply["usd"] is None and desk.purse.spent == AT_MOST


@pytest.mark.parametrize("price", [None, price_of("m", Price(input=0.0, output=0.0))])
def test_without_a_price_nothing_is_spent(endpoint, tmp_path, price):
    desk, reply = of_one_item(like(endpoint), tmp_path, price=price)
    assert reply["usd"] == (0.0 if price else None)
    assert desk.purse.spent == 0 and desk.is_settled()


@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.03, 0.06])
def test_calls_that_are_cancelled_are_lost_and_leave_nothing_behind(endpoint, tmp_path, after_s):
    """Ten calls of 50 ms each, four at a time, cancelled at a moment of any kind."""

    async def act(desk):
        asked = [asyncio.create_task(desk.ask(number)) for number in range(10)]
        await asyncio.sleep(after_s)
        for one in asked:
            one.cancel()
        return await asyncio.gather(*asked, return_exceptions=True)

    desk, found = at(lambda: Desk(like(endpoint, latency_s=0.05), tmp_path, limit=AT_MOST * 6, at_once=4), act)
    assert desk.is_settled()
    assert desk.caller.calls == len(desk.journal.replies) + len(desk.journal.lost)
    assert {row["kind"] for row in desk.journal.lost} <= {"cancelled"}
    assert sum(isinstance(one, dict) for one in found) <= len(desk.journal.replies)


def test_requests_of_the_wrong_make_end_the_run_where_not_one_was_answered(endpoint, tmp_path, monkeypatch):
    async def bad(*_, **__):
        asked = calls.httpx2.Request("POST", "http://there")
        raise openai.BadRequestError(SECRET, response=calls.httpx2.Response(400, request=asked), body=None)

    async def act(desk):
        monkeypatch.setattr(desk.model.client, "post", bad)
        return [await desk.ask(number) for number in range(21)]

    desk, found = at(lambda: Desk(like(endpoint), tmp_path), act)
    assert [one.reason for one in found[:19]] == ["bad_request"] * 19
    assert isinstance(found[19], RequestError) and found[20].reason == "stopped"
    assert not any(SECRET in text for one in found for text in trail(one)) and desk.is_settled()


def trail(error):
    """Yield what an exception and all that it hangs together with say."""
    while error:
        yield f"{error} {error.args} {vars(error)}"
        error = error.__cause__ or error.__context__


RAISED = [
    ValueError(SECRET),
    LookupError(SECRET),
    RuntimeError(SECRET),
    UnicodeEncodeError("utf-8", SECRET, 0, 1, "surrogates not allowed"),
    openai.APIResponseValidationError(
        calls.httpx2.Response(200, request=calls.httpx2.Request("POST", "http://there")), body=SECRET
    ),
]


@pytest.mark.parametrize("raised", RAISED, ids=lambda error: type(error).__name__)
def test_no_other_error_of_the_client_gets_through_and_none_takes_a_text_along(endpoint, tmp_path, raised):
    async def broken(*_, **__):
        raise raised

    async def act(desk):
        desk.model.client.post = broken
        return await desk.ask()

    desk, found = at(lambda: Desk(like(endpoint), tmp_path), act)
    assert isinstance(found, Unanswered) and desk.is_settled()
    assert not any(SECRET in text for text in trail(found))


STRANGE = [
    b"SSH-2.0-OpenSSH\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nbad header\x00\r\n\r\n",
    b"HTTP/1.1 500 X\r\ncontent-type: text/html; charset=undefined\r\ncontent-length: 5\r\n\r\nabcde",
    b"HTTP/1.1 500 X\r\ncontent-type: text/html; charset=base64\r\ncontent-length: 5\r\n\r\nabcde",
    b"HTTP/1.1 200 OK\r\nx-ratelimit-limit-requests: \xb2\r\ncontent-length: 2\r\n\r\n{}",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 307 X\r\nlocation: http://[\r\ncontent-length: 0\r\n\r\n",
]


@pytest.mark.parametrize("said", STRANGE)
def test_whatever_an_endpoint_writes_the_item_is_unanswered_and_no_more(tmp_path, said):
    async def act(desk):
        async def handle(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said)
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        desk.model.client.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            return await desk.ask()
        finally:
            server.close()

    desk, found = at(lambda: Desk("http://127.0.0.1:9/v1", tmp_path), act)
    assert isinstance(found, Unanswered) and desk.is_settled()


def test_an_endpoint_that_is_not_there_is_asked_in_vain_and_costs_nothing(tmp_path):
    patience = Patience(3, 0.001, 0.002, breaker=Breaker(calls=4, pause_s=0.01, trips=2))
    desk, found = at(lambda: Desk("http://127.0.0.1:9/v1", tmp_path, patience), together)
    assert {one.reason for one in found} == {"llm_unavailable"}
    assert desk.purse.spent == 0 and desk.journal.lost == [] and desk.is_settled()
    assert desk.caller.calls < 30 * 3  # the breaker has tripped twice


@pytest.mark.parametrize("seed", range(3))
def test_a_hundred_items_of_every_fault_at_once(endpoint, tmp_path, seed):
    address = like(endpoint, *FAULTS, seed=seed, fault_rate=0.5, latency_s=0.01, max_faults_per_key=2)
    patience = Patience(5, 0.001, 0.01, call_s=1.0, item_s=60.0, breaker=Breaker(pause_s=0.05))
    desk, found = at(lambda: Desk(address, tmp_path, patience, at_once=32), lambda desk: together(desk, 100))
    assert desk.is_settled() and desk.ending.error is None
    answered = [one for one in found if isinstance(one, dict)]
    assert sorted(row["reply_id"] for row in desk.journal.replies) == sorted(one["reply_id"] for one in answered)
    assert len(answered) >= 90
    booked = itertools.chain((row["usd"] for row in answered), (row["usd_at_most"] for row in desk.journal.lost))
    assert desk.purse.spent == pytest.approx(sum(booked))


def test_a_call_in_flight_at_the_ending_is_waited_for_so_long_and_booked_as_lost_then(endpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(endings, "GRACE_S", 0.1)
    like(endpoint, "timeout")

    async def stopped(desk):
        asking = asyncio.create_task(desk.ask())
        while not desk.journal._calls:
            await asyncio.sleep(0.01)
        desk.ending.come()
        return await asyncio.wait_for(asking, 5)

    desk, found = at(lambda: Desk(endpoint.address, tmp_path, replace(QUICK, call_s=60.0)), stopped)
    assert found.reason == "stopped"
    assert [(lost["kind"], lost["usd_at_most"]) for lost in desk.journal.lost] == [("timeout", AT_MOST)]
    assert desk.is_settled()
