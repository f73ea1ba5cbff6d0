"""The journal: what was written is found again, whatever kills the run; a living one's is left alone."""

import asyncio
import json
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.annotation import LostCall
from tasks.endpoint import journal
from tasks.endpoint.journal import Journal, left_behind

THEN = datetime(2026, 11, 15, 9, 30, tzinfo=UTC)


def reply(number):
    return {
        "reply_id": f"reply_{number}",
        "content": "Zoë\u2028\ud800",
        "usd": 0.25,
        "event_at": THEN,
        "recorded_at": THEN,
    }


def using(folder, act, is_stored=None):
    """Return what an act makes of a new journal, which is closed as told, or left as a crash leaves it."""

    async def used():
        one = Journal(folder, "model", "m", "run")
        found = act(one)
        if is_stored is None:
            os.close(one._file)
        else:
            await one.close(is_stored)
        return found

    return asyncio.run(used())


def recovered(folder):
    """Return what killed runs left behind, as if it were stored."""
    with left_behind(folder) as found:
        return found


def four_calls(one):
    """Make four calls: one answered, one refused, one lost, one that is cut short."""
    calls = [one.sent(f"item_{number}", 0.5) for number in range(4)]
    one.answered(calls[0], reply(0))
    one.refused(calls[1])
    one.lose(calls[2], "timeout", 0.5)
    return calls


def test_of_a_killed_run_the_replies_are_found_and_each_call_without_an_end_is_lost(tmp_path):
    calls = using(tmp_path, four_calls)
    replies, lost = recovered(tmp_path)
    assert replies == [reply(0)]
    assert [(row["call_id"], row["item_id"], row["kind"], row["usd_at_most"]) for row in lost] == [
        (calls[2], "item_2", "timeout", 0.5),
        (calls[3], "item_3", "killed", 0.5),
    ]
    assert all(LostCall(**row).run_id == "run" for row in lost)  # each is a row of its table
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_memory_is_what_is_on_disk(tmp_path):
    def act(one):
        *ended, _ = four_calls(one)
        return ended, one.replies, one.lost

    ended, replies, lost = using(tmp_path, act)
    found = recovered(tmp_path)
    assert (found[0], [row for row in found[1] if row["call_id"] in ended]) == (replies, lost)


def test_nothing_is_left_after_storing_and_nobody_else_may_read_what_is_there(tmp_path):
    folder = tmp_path / "journal"

    def act(one):
        *_, still_out = four_calls(one)
        one.refused(still_out)
        (path,) = folder.iterdir()
        return stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(folder.stat().st_mode)

    assert using(folder, act, is_stored=True) == (0o600, 0o700)
    assert list(folder.iterdir()) == []


def test_a_call_without_an_end_is_on_record_though_the_rest_is_stored(tmp_path):
    *_, still_out = using(tmp_path, four_calls, is_stored=True)
    assert still_out in {row["call_id"] for row in recovered(tmp_path)[1]}


def test_what_could_not_be_stored_is_found_by_the_next_run(tmp_path):
    using(tmp_path, four_calls, is_stored=False)
    with pytest.raises(RuntimeError), left_behind(tmp_path):
        raise RuntimeError("the store is locked")
    assert recovered(tmp_path)[0] == [reply(0)]
    assert recovered(tmp_path) == ([], [])


@pytest.mark.parametrize(
    "torn", [b"", b'{"answ', b'{"answered": "x", "reply": {"reply_id": "1", "content": "Zo\xc3', b"\x00" * 64]
)
def test_a_last_line_that_was_cut_short_costs_that_line_only(tmp_path, torn):
    using(tmp_path, four_calls)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes() + torn)
    replies, lost = recovered(tmp_path)
    assert (len(replies), len(lost)) == (1, 2)


def test_every_length_of_a_file_is_read_to_where_it_ends(tmp_path):
    """Each entry is one line: a reply is there as soon as its line is whole, and its call is lost until then."""
    using(tmp_path, four_calls)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        lines = [json.loads(line) for line in whole[:length].split(b"\n")[:-1]]
        sent, answered, refused = (sum(kind in line for line in lines) for kind in ("sent", "answered", "refused"))
        replies, lost = journal._read(path)
        # a line that lacks nothing but its end counts as well
        assert len(replies) - answered in (0, 1)
        assert len(replies) + len(lost) + refused - sent in (-1, 0, 1)


def test_a_living_journal_is_not_taken_over(tmp_path):
    def act(one):
        four_calls(one)
        found = recovered(tmp_path)
        return found, len(list(tmp_path.iterdir()))

    assert using(tmp_path, act) == (([], []), 1)


def test_a_journal_that_was_taken_for_a_dead_one_before_it_was_locked_begins_anew(tmp_path, monkeypatch):
    real, taken = journal.fcntl.flock, []

    def late(file, how):
        if not taken and how == journal.fcntl.LOCK_EX:  # between making the file and locking it
            taken.append(file)
            recovered(tmp_path)
        real(file, how)

    monkeypatch.setattr(journal.fcntl, "flock", late)
    using(tmp_path, four_calls)
    assert taken and recovered(tmp_path)[0] == [reply(0)]


def test_two_recoverers_at_once_take_each_file_once(tmp_path):
    for _ in range(30):
        using(tmp_path, four_calls)
    found, ready = [], threading.Barrier(4)

    def recover():
        ready.wait()
        with left_behind(tmp_path) as (_, lost):
            time.sleep(0.01)
            found.extend(row["call_id"] for row in lost)

    threads = [threading.Thread(target=recover) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(set(found)) == 60
    assert list(tmp_path.iterdir()) == []


WRITER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from tasks.endpoint.journal import Journal

async def main():
    one = Journal(Path(sys.argv[1]), "model", "m", "run")
    for number in range(10**9):
        call = one.sent(f"item_{number}", 0.5)
        print("sent", call, flush=True)
        await asyncio.sleep(0)
        if number % 3:
            then = datetime.now(UTC)
            one.answered(call, {"reply_id": call, "content": "x" * 500, "event_at": then, "recorded_at": then})
            print("answered", call, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("seed", range(3))
def test_kill_9_loses_nothing_that_was_written(tmp_path, seed):
    """What the process had said it wrote is there; one more entry at most may be, written and not yet said."""
    here = Path(__file__).parents[1]
    said = tmp_path / "said"
    with said.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path / "journal"], stdout=out, cwd=here)
        until = time.monotonic() + 60
        while not said.stat().st_size and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(random.Random(seed).uniform(0.0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
    lines = [line.split() for line in said.read_text().split("\n")[:-1]]
    sent, answered = ({call for what, call in lines if what == kind} for kind in ("sent", "answered"))
    replies, lost = recovered(tmp_path / "journal")
    heard, cut = {row["reply_id"] for row in replies}, {row["call_id"] for row in lost}
    assert sent and answered <= heard and len(heard - answered) <= 1
    assert sent <= heard | cut and not heard & cut and len((heard | cut) - sent) <= 1
    assert {(row["kind"], row["usd_at_most"]) for row in lost} == {("killed", 0.5)}
