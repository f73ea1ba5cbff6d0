"""The switchboard: one for all calls of a run, opened by the first and closed by the last."""

import asyncio

import pytest

from schemas.curation import LLMAnnotator, Price
from tasks.endpoint import switchboard as boards
from tasks.endpoint.switchboard import switchboard


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OTHER_KEY", "o")


def annotator(**keys):
    return LLMAnnotator(**{"name": "a", "kind": "llm", "model": "m", "base_url": "http://there/v1"} | keys)


def at_a_board(act):
    async def acted():
        async with switchboard("run", lambda: 1.0) as board:
            return act(board)

    return asyncio.run(acted())


def test_it_is_opened_once_and_closed_by_the_last_to_leave():
    asked, seen = [], []

    def limit():
        asked.append(1)
        return 2.5

    async def user(moments):
        async with switchboard("run", limit) as board:
            board.model(annotator())
            seen.append(board)
            await asyncio.sleep(moments * 0.01)
            assert not any(one.is_closed() for one in board._clients.values())

    async def used():
        await asyncio.gather(*map(user, (3, 1, 2)))
        await user(0)

    asyncio.run(used())
    first, second, third, later = seen
    assert first is second is third is not later and first.purse.limit == 2.5
    assert len(asked) == 2 and boards._OPEN == {}
    assert all(one.is_closed() for board in seen for one in board._clients.values())


def test_runs_share_nothing():
    async def two():
        async with switchboard("one", lambda: 1.0) as one, switchboard("two", lambda: 2.0) as other:
            return one is not other and one.purse is not other.purse and one.ending is not other.ending

    assert asyncio.run(two())


def test_it_is_closed_for_whoever_fails_too():
    async def failing():
        with pytest.raises(RuntimeError):
            async with switchboard("run", lambda: 1.0) as board:
                board.model(annotator())
                raise RuntimeError("of the work, not of the board")
        return board

    board = asyncio.run(failing())
    assert boards._OPEN == {} and all(one.is_closed() for one in board._clients.values())


SHARED = [  # how a second annotator differs, and whether it shares the model, its pace and the client
    ({"name": "b"}, True, True, True),
    ({"samples": 5, "temperature": 1.0}, True, True, True),
    ({"model": "n"}, False, False, True),
    ({"api": "responses"}, False, True, True),
    ({"price": Price(input=1.0, output=2.0)}, False, True, True),
    ({"api_key_env": "OTHER_KEY"}, False, False, False),
    ({"base_url": "http://elsewhere/v1"}, False, False, False),
    ({"base_url": "http://there/v1/"}, True, True, True),
]


@pytest.mark.parametrize(("differs", "model", "pace", "client"), SHARED)
def test_what_two_annotators_share(differs, model, pace, client):
    def act(board):
        one, other = annotator(), annotator(**differs)
        return (
            board.model(one) is board.model(other),
            board.pace(one) is board.pace(other),
            board.model(one).client is board.model(other).client,
        )

    assert at_a_board(act) == (model, pace, client)


def test_the_most_generous_of_those_that_share_a_pace_counts():
    def act(board):
        board.pace(annotator(concurrency=8))
        return board.pace(annotator(concurrency=32)), board.pace(annotator(concurrency=4))

    one, other = at_a_board(act)
    assert one is other and one._most == 32


def test_the_ending_wakes_who_waits_at_any_of_its_paces():
    async def woken():
        async with switchboard("run", lambda: 1.0) as board:
            paces = [board.pace(annotator(model=model, concurrency=1)) for model in ("m", "n")]
            for pace in paces:
                await pace.begin(0.0, board.ending)
            waiting = [asyncio.create_task(pace.begin(0.0, board.ending)) for pace in paces]
            await asyncio.sleep(0)
            board.ending.come()
            async with asyncio.timeout(5):
                await asyncio.gather(*waiting)
            return board.ending.has_come

    assert asyncio.run(woken())
