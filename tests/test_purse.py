"""The purse: never more than the limit, whatever the calls turn out to cost, and nothing of it held back for nothing."""

import asyncio
import random

import pytest

from schemas.errors import BudgetStop
from tasks.endpoint.purse import Purse


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 20))


def test_without_a_limit_nobody_waits_and_all_is_counted():
    async def calls():
        purse = Purse(None)
        for _ in range(3):
            await purse.reserve(5.0)
        in_flight = purse.in_flight
        for usd in (1.0, None, 2.0):  # a cost that is not known counts at its most
            purse.settle(5.0, usd)
        return in_flight, purse.spent, purse.in_flight

    assert run(calls()) == (15.0, 1.0 + 5.0 + 2.0, 0.0)


def test_a_call_waits_until_what_is_in_flight_has_turned_out_cheap_enough():
    async def calls():
        purse, order = Purse(1.0), []

        async def call(name, at_most):
            await purse.reserve(at_most)
            order.append(name)

        await call("first", 0.6)
        waiting = asyncio.create_task(call("second", 0.6))
        await asyncio.sleep(0)
        assert order == ["first"]  # 0.6 + 0.6 > 1
        purse.settle(0.6, 0.1)  # 0.1 + 0.6 ≤ 1
        await waiting
        return order, purse.spent, purse.in_flight

    assert run(calls()) == (["first", "second"], 0.1, 0.6)


def test_who_comes_first_goes_first_even_if_one_behind_would_fit():
    async def calls():
        purse, order = Purse(1.0), []

        async def call(name, at_most):
            await purse.reserve(at_most)
            order.append(name)
            purse.settle(at_most, 0.0)

        await purse.reserve(0.5)
        tasks = [asyncio.create_task(call(*one)) for one in (("dear", 0.9), ("cheap", 0.1), ("free", 0.0))]
        await asyncio.sleep(0)
        assert order == ["free"]
        purse.settle(0.5, 0.0)
        await asyncio.gather(*tasks)
        return order

    assert run(calls()) == ["free", "dear", "cheap"]


def test_all_that_wait_are_stopped_once_nothing_in_flight_can_make_room():
    async def calls():
        purse = Purse(1.0)
        await purse.reserve(0.8)
        tasks = [asyncio.create_task(purse.reserve(at_most)) for at_most in (0.5, 0.1, 0.5)]
        await asyncio.sleep(0)
        purse.settle(0.8, 0.7)
        stops = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(stop, BudgetStop) for stop in stops)
        with pytest.raises(BudgetStop, match=r"budget of \$1 is used up: \$0\.7 is spent"):
            await purse.reserve(0.1)  # it is over for whoever comes later too
        await purse.reserve(0.0)  # what costs nothing goes on
        return purse.spent, purse.in_flight

    assert run(calls()) == (0.7, 0.0)


def test_one_call_that_never_fits_is_stopped_at_once_and_so_is_one_without_a_price():
    async def calls(at_most):
        await Purse(1.0).reserve(at_most)

    for at_most in (1.01, None):
        with pytest.raises(BudgetStop):
            run(calls(at_most))


def test_a_limit_of_nothing_lets_through_what_costs_nothing():
    async def calls():
        purse = Purse(0.0)
        await purse.reserve(0.0)
        purse.settle(0.0, 0.0)
        with pytest.raises(BudgetStop):
            await purse.reserve(0.001)

    run(calls())


def test_who_is_cancelled_gives_its_place_and_its_money_back():
    async def calls():
        purse = Purse(1.0)
        await purse.reserve(0.6)
        dear, cheap = asyncio.create_task(purse.reserve(0.9)), asyncio.create_task(purse.reserve(0.4))
        await asyncio.sleep(0)
        dear.cancel()
        await cheap  # 0.6 + 0.4 ≤ 1, and nobody stands before it any more
        late = asyncio.create_task(purse.reserve(0.6))
        await asyncio.sleep(0)
        purse.settle(0.6, 0.0)
        late.cancel()  # in the moment that its turn has come
        await asyncio.gather(dear, late, return_exceptions=True)
        return late.cancelled(), purse.in_flight

    assert run(calls()) == (True, pytest.approx(0.4))


@pytest.mark.parametrize("seed", range(100))
def test_spent_stays_within_the_limit_and_comes_within_one_call_of_it(seed):
    chance = random.Random(seed)
    limit, concurrency = chance.uniform(0.0, 2.0), chance.randint(1, 64)
    dearest = chance.uniform(0.001, 0.5)
    calls = [chance.uniform(0.0, dearest) for _ in range(2000)]

    async def all_of_them():
        purse, billed, at_once = Purse(limit), [], asyncio.Semaphore(concurrency)

        async def call(at_most):
            async with at_once:
                await purse.reserve(at_most)
                assert purse.spent + purse.in_flight <= limit + 1e-9
                await asyncio.sleep(0)
                if chance.random() < 0.1:
                    purse.settle(at_most, 0.0)  # refused, and not billed
                    return
                usd = at_most * chance.choice((0.05, 0.5, 1.0))
                billed.append(usd)
                purse.settle(at_most, None if usd == at_most else usd)

        ends = await asyncio.gather(*map(call, calls), return_exceptions=True)
        return purse, sum(billed), [end for end in ends if end is not None]

    purse, billed, stops = run(all_of_them())
    assert purse.spent == pytest.approx(billed)
    assert purse.spent <= limit + 1e-9
    assert (purse.in_flight, {type(stop) for stop in stops} <= {BudgetStop}) == (0.0, True)
    if stops:
        assert purse.spent > limit - dearest
