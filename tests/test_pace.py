"""Pace: never more than the limit, nearly all of it, slower when told, first come first served, and no turn is lost."""

import asyncio
import time
from types import SimpleNamespace

import pytest
from pytest import approx

from tasks.endpoint import pace
from tasks.endpoint.ending import Ending
from tasks.endpoint.failure import Do, Failure
from tasks.endpoint.pace import Breaker, GivenUp, Pace

OVERLOAD = Failure("status 429", Do.WAIT, is_overload=True)
BROKEN = Failure("status 500", Do.RETRY)


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that goes only when told, in the place of the real one."""
    now = [1000.0]
    monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: now[0]))  # the event loop keeps the real one

    def go(seconds):
        now[0] += seconds

    return go


def admits(one, tokens=0.0):
    """Return whether a call may go out at once; one that may is in flight."""

    async def tried():
        turn = asyncio.ensure_future(one.begin(tokens, Ending()))
        await asyncio.sleep(0)
        if turn.done():
            return turn.result() is None
        turn.cancel()
        await asyncio.wait([turn])
        return False

    return asyncio.run(tried())


def admitted(one, most=1000):
    """Return how many calls may go out at once."""
    return next(number for number in range(most) if not admits(one))


def ended(one, failure=None, headers=None, tokens=0.0, used=0.0):
    one.end(tokens, used, failure, headers)


def sent_in_simulated_time(minutes, per_minute, tokens, used=None, limits=None):
    """Return when calls went out, in seconds, where each ends at once and time passes only in waiting."""
    now, times = [0.0], []
    limits = limits or {"requests_per_minute": per_minute}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: now[0]))
        one = Pace(1000, **limits)
        while now[0] < minutes * 60:
            if (wait := one._wait_s(tokens)) > 0:
                now[0] += wait + 1e-6
                continue
            assert admits(one, tokens)
            times.append(now[0])
            one.end(tokens, tokens if used is None else used, None, None)
    return times


def busiest_minute(times, amount=1):
    """Return the most that went out in any 60 seconds."""
    return max(sum(then <= other < then + 60 for other in times) for then in times) * amount


@pytest.mark.parametrize("limit", [3, 60, 500])
def test_no_sliding_minute_holds_more_requests_than_the_limit_and_nine_tenths_of_it_are_used(limit):
    times = sent_in_simulated_time(4, limit, 0.0)
    assert busiest_minute(times) <= limit
    assert len(times) / 4 >= 0.9 * limit


def test_no_sliding_minute_holds_more_tokens_than_the_limit_and_nine_tenths_of_it_are_used():
    """100 of 10,000 tokens a call: at most 95 + 2 of 100 calls a minute."""
    times = sent_in_simulated_time(4, None, 100.0, limits={"tokens_per_minute": 10_000})
    assert busiest_minute(times, 100) <= 10_000
    assert len(times) * 100 / 4 >= 0.9 * 10_000


def test_tokens_that_a_call_did_not_use_are_given_back():
    """1000 of 10,000 tokens are set aside for a call that uses 100: about a hundred calls a minute, not ten."""
    times = sent_in_simulated_time(2, None, 1000.0, used=100.0, limits={"tokens_per_minute": 10_000})
    assert len(times) / 2 >= 90
    assert busiest_minute(times, 100) <= 10_000


def test_a_call_larger_than_the_limit_of_a_minute_goes_out_when_nothing_else_does():
    times = sent_in_simulated_time(10, None, 20_000.0, limits={"tokens_per_minute": 10_000})
    assert [round(then) for then in times[:3]] == [0, 126, 253]  # 20,000 tokens / (9,500 / 60 s) = 126.3 s


def test_a_minute_of_real_time(monkeypatch):
    """A minute of one second, 200 requests: the bucket lends 4, then one goes every 1/190 s."""
    monkeypatch.setattr(pace, "MINUTE_S", 1.0)

    async def sent():
        one, begun, times = Pace(50, 200), time.monotonic(), []
        while time.monotonic() - begun < 2.0:
            await one.begin(0.0, Ending())
            times.append(time.monotonic())
            one.end(0.0, 0.0, None, None)
        return times

    times = asyncio.run(sent())
    assert max(sum(then <= other < then + 1.0 for other in times) for then in times) <= 200
    assert len(times) >= 0.9 * 200  # of 400: a busy machine wakes late


def test_the_window_doubles_each_round_trip_then_grows_by_one_and_halves_once_a_second(clock):
    """16 at first; each good answer adds one, so a round trip of 16 makes 32, and one of 32 makes 64."""
    one = Pace(1000)
    for window in (16, 32, 64):
        assert admitted(one) == window
        for _ in range(window):
            ended(one)
    assert admitted(one) == 128
    for _ in range(100):  # one moment's objections are one
        ended(one, OVERLOAD)
    assert (admitted(one), one._window) == (64 - 28, 64)  # 28 are still in flight
    for _ in range(64):
        ended(one)
    # each good answer adds 1/window: 64 of them add a little less than 1, and the next one makes it up
    assert one._window == approx(65, abs=0.01)
    clock(1.01)
    assert admits(one)
    ended(one, OVERLOAD)
    assert one._window == approx(32.5, abs=0.01)


def test_the_window_never_falls_below_one_nor_grows_beyond_what_is_allowed(clock):
    one = Pace(4)
    assert admitted(one) == 4
    for _ in range(4):
        clock(2)
        ended(one, OVERLOAD)
    assert admitted(one) == 1
    one.allow(2, None, None)  # the most generous counts
    for _ in range(20):
        ended(one)
        assert admits(one)
    assert admitted(one) + 1 == 4


def test_everyone_waits_as_long_as_one_was_told(clock):
    one = Pace(8)
    assert admits(one)
    ended(one, Failure("status 429", Do.WAIT, wait_s=30.0, is_overload=True))
    clock(29)
    assert not admits(one)
    clock(1.1)
    assert admits(one)


LIMITS = [  # what is given, what headers say, the limit that is kept
    (None, {}, 0),
    (None, {"x-ratelimit-limit-requests": "300"}, 300),
    (100, {"x-ratelimit-limit-requests": "300"}, 100),
    (500, {"x-ratelimit-limit-requests": "300"}, 300),
    (500, {"x-ratelimit-limit-requests": "0"}, 500),
    (500, {"x-ratelimit-limit-requests": "-1"}, 500),
    (500, {"x-ratelimit-limit-requests": "²"}, 500),
    (500, {"x-ratelimit-limit-requests": "9" * 5000}, 500),
    (500, {"x-ratelimit-limit-requests": "unlimited"}, 500),
]


@pytest.mark.parametrize(("given", "headers", "limit"), LIMITS)
def test_the_lower_of_two_limits_is_kept_and_junk_is_none(given, headers, limit):
    one = Pace(8, given)
    assert admits(one)
    ended(one, headers=headers)
    assert one._requests.limit == limit


def test_what_an_endpoint_says_is_left_is_all_that_is_left(clock):
    """600 requests a minute lend 12 at once; two are left of it."""
    one = Pace(100, 600)
    assert admits(one)
    ended(one, headers={"x-ratelimit-limit-requests": "600", "x-ratelimit-remaining-requests": "2"})
    assert admitted(one) == 2


def test_what_a_request_takes_is_learnt():
    """At first 0.3 tokens a byte and the answer's cap; then a twentieth of what is new, and half an answer more."""
    one = Pace(8)
    assert one.tokens(1000, 256) == 0.3 * 1000 + 256
    one.learn(1000, 500, 10)
    assert one.tokens(1000, 256) == approx((0.3 + 0.2 / 20) * 1000 + 1.5 * 10 + 8)
    one.learn(1000, 500, 1000)
    assert one.tokens(1000, 16) == approx((0.31 + 0.19 / 20) * 1000 + 16)


def tell(one, outcomes):
    """Let calls end as told: + well, - broken."""
    for outcome in outcomes:
        one._in_flight += 1
        ended(one, BROKEN if outcome == "-" else None)


def test_half_of_fifty_calls_broken_is_a_pause_of_a_minute(clock):
    one = Pace(64)
    tell(one, "+-" * 24 + "+")
    assert admits(one)
    tell(one, "-")  # 25 of 50
    assert not admits(one)
    clock(59)
    assert not admits(one)
    clock(1.1)
    assert admits(one)


def test_calls_in_flight_when_the_breaker_trips_trip_it_no_more(clock):
    one = Pace(512)
    tell(one, "-" * 400)
    clock(61)
    assert admits(one)


def test_the_third_pause_in_a_row_is_for_good(clock):
    one = Pace(64)
    for _ in range(3):
        tell(one, "-" * 50)
        clock(61)
    with pytest.raises(GivenUp):
        admits(one)
    tell(one, "+" * 100)
    with pytest.raises(GivenUp):
        admits(one)


def test_a_good_stretch_makes_up_for_the_pauses_before_it(clock):
    one = Pace(64)
    for stretch in ("-" * 50, "-" * 50, "+" * 26 + "-" * 24, "-" * 50, "-" * 50):
        tell(one, stretch)
        clock(61)
    assert admits(one)


@pytest.mark.parametrize(
    ("failure", "is_paused"),
    [
        (BROKEN, True),
        (Failure("timeout", Do.RETRY, may_be_billed=True), True),
        (Failure("status 503", Do.RETRY, is_overload=True), True),
        (OVERLOAD, False),
        (Failure("status 400", Do.SET_ASIDE), False),
    ],
    ids=lambda value: value.kind if isinstance(value, Failure) else str(value),
)
def test_only_what_says_that_an_endpoint_is_out_of_order_trips_the_breaker(clock, failure, is_paused):
    one = Pace(64)
    for _ in range(60):
        one._in_flight += 1
        ended(one, failure)
    assert admits(one) is not is_paused


def test_given_up_once_is_given_up_for_those_who_wait_too():
    async def given_up():
        one = Pace(1, breaker=Breaker())
        await one.begin(0.0, Ending())
        waiting = [asyncio.create_task(one.begin(0.0, Ending())) for _ in range(3)]
        await asyncio.sleep(0)
        one.give_up()
        one.end(0.0, 0.0, None, None)
        async with asyncio.timeout(5):
            return await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(found) for found in asyncio.run(given_up())] == [GivenUp] * 3


def test_first_come_first_served():
    async def served():
        one, order = Pace(1), []

        async def call(number):
            await one.begin(0.0, Ending())
            order.append(number)
            await asyncio.sleep(0)
            one.end(0.0, 0.0, None, None)

        await asyncio.gather(*map(call, range(20)))
        return order, one._in_flight

    assert asyncio.run(served()) == (list(range(20)), 0)


def test_the_ending_wakes_whoever_waits_at_once():
    async def woken():
        one, ending = Pace(1, 1), Ending()  # one call a minute
        ending.tell(one.wake)
        await one.begin(0.0, ending)
        waiting = [asyncio.create_task(one.begin(0.0, ending)) for _ in range(5)]
        await asyncio.sleep(0)
        ending.come()
        async with asyncio.timeout(5):
            await asyncio.gather(*waiting)
        for _ in waiting:
            one.leave(0.0)
        return one._in_flight

    assert asyncio.run(woken()) == 1


@pytest.mark.parametrize("steps", range(12))
def test_whoever_is_cancelled_in_waiting_leaves_no_turn_behind(steps):
    """Of ten that share one turn every other one is cancelled, at each moment of their waiting."""

    async def cancelled():
        one, served = Pace(1), []

        async def call(number):
            await one.begin(1.0, Ending())
            try:
                served.append(number)
                await asyncio.sleep(0)
            finally:
                one.end(1.0, 1.0, None, None)

        calls = [asyncio.create_task(call(number)) for number in range(10)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for one_of_them in calls[::2]:
            one_of_them.cancel()
        async with asyncio.timeout(5):
            await asyncio.gather(*calls, return_exceptions=True)
        return set(served) >= set(range(1, 10, 2)), one._in_flight, one._door.locked()

    assert asyncio.run(cancelled()) == (True, 0, False)


def test_a_turn_that_was_not_used_is_given_back_whole(clock):
    """60 a minute lend 1.2 at once: the second call waits unless the first gives its turn back."""
    one = Pace(8, 60, 6000)
    assert admits(one, 100.0) and not admits(one, 100.0)
    one.leave(100.0)
    assert admits(one, 100.0) and one._in_flight == 1
