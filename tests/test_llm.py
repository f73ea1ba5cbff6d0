"""A model as an annotator, asked over a real wire that breaks: nothing is lost, nothing is paid for twice, all is booked."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from loopback import Options, serving

from schemas.annotation import EntropyProfile
from schemas.curation import Labels, LLMAnnotator, Price
from schemas.errors import BudgetStop
from tasks.annotator import llm, prompt
from tasks.annotator.chat import QUARANTINED
from tasks.endpoint import switchboard
from tasks.endpoint.call import Patience
from tasks.endpoint.pace import Breaker
from tasks.store import Ids, Store

LABELS = Labels(kind="choice", values={"good": "Happy.", "bad": "Unhappy.", "none": "Says nothing."})
OPTIONS = Options(latency_s=0.005, slow_share=0.0, retry_after_s=0.02, drip_s=0.2)
PRICE = Price(input=OPTIONS.usd_input, cached=OPTIONS.usd_cached, output=OPTIONS.usd_output)
QUICK = Patience(first_wait_s=0.01, longest_wait_s=0.05, call_s=0.4, breaker=Breaker(pause_s=0.05))
RUNS = count()
ABSTAINED = {"refusal", "not_json", "not_a_label"}


@pytest.fixture(scope="module")
def endpoint():
    with serving(OPTIONS) as server:
        yield server


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(switchboard, "PATIENCE", QUICK)
    monkeypatch.setenv("OPENAI_API_KEY", "key")


def items(number):
    return [prompt.Example(f"item_{n}", f"Review number {n} was fine.", "{}") for n in range(number)]


def annotator(address, **keys):
    return LLMAnnotator(**{"name": "a", "kind": "llm", "model": "m", "base_url": address, "price": PRICE} | keys)


def ask(folder, one, some, limit=None):
    """Return what became of the items, the purse, and what ended the run."""

    run = f"run-{next(RUNS)}"

    async def asked():
        async with switchboard.switchboard(run, lambda: limit) as board:
            asking = llm.Asking(board, Store(folder), Ids("c"), run, one, LABELS, "Be kind.")
            return await asking.about(some), board.purse, board.ending.error

    return asyncio.run(asked())


def sql(folder, query):
    return Store(folder).connect().sql(query).fetchall()


@pytest.mark.parametrize("seed", range(8))
def test_labelled_abstained_and_quarantined_are_all_that_were_asked_whatever_the_faults(
    endpoint, tmp_path, monkeypatch, seed
):
    endpoint.reset(Options(**vars(OPTIONS) | {"seed": seed, "fault_rate": 0.3}))
    # a call that is given up while its answer is on the way is billed as delivered: here that takes a second
    monkeypatch.setattr(switchboard, "PATIENCE", replace(QUICK, call_s=1.0))
    found, _, error = ask(tmp_path / "s", annotator(endpoint.address), items(80))
    usage = found.usage
    assert error is None and usage.asked == 80
    assert usage.labelled + usage.abstained + usage.quarantined == 80
    assert found.answers.keys() | found.unanswered.keys() == {item.item_id for item in items(80)}
    reasons = {said.answer.reason for said in found.answers.values()}
    assert reasons <= {None} | ABSTAINED | QUARANTINED
    assert {why.reason for why in found.unanswered.values()} <= {"llm_unavailable", "rate_limited"}

    # what was delivered is booked to the cent; what was billed and not delivered is booked at the most it can be
    stats = endpoint.stats()
    ((prompt_tokens, usd),) = sql(tmp_path / "s", "select sum(prompt_tokens), sum(usd) from reply")
    lost = "select coalesce(sum(usd_at_most), 0), count(*) from lost_call where kind {} 'no_content'"
    ((empty, _),), ((at_risk, calls),) = (sql(tmp_path / "s", lost.format(sign)) for sign in ("=", "<>"))
    assert usd + empty == pytest.approx(stats["usd"] - stats["usd_undelivered"], abs=1e-12)
    assert (usage.usd, usage.usd_at_risk) == (pytest.approx(usd), pytest.approx(empty + at_risk))
    assert at_risk >= stats["usd_undelivered"] and calls >= stats["billed_undelivered"]
    assert prompt_tokens == usage.prompt_tokens and usage.calls >= stats["asked"]


def test_what_was_answered_is_never_asked_again(endpoint, tmp_path):
    endpoint.reset(Options(**vars(OPTIONS) | {"fault_rate": 0.3, "seed": 3}))
    first, *_ = ask(tmp_path / "s", annotator(endpoint.address), items(60))
    asked = endpoint.stats()["asked"]
    second, *_ = ask(tmp_path / "s", annotator(endpoint.address), items(60))
    assert {key: said.answer for key, said in second.answers.items() if key in first.answers} == {
        key: said.answer for key, said in first.answers.items()
    }
    assert endpoint.stats()["asked"] - asked == second.usage.calls <= 5 * first.usage.failed


def test_both_protocols_say_the_same(endpoint, tmp_path):
    endpoint.reset(Options(**vars(OPTIONS) | {"fault_rate": 0.0}))
    said = {
        api: ask(tmp_path / api, annotator(endpoint.address, api=api), items(10))[0].answers
        for api in ("chat", "responses")
    }
    assert [one.answer.source for one in said["responses"].values()] == ["logprobs"] * 10
    assert all(one.answer.label for answers in said.values() for one in answers.values())


LACKING = {  # what an endpoint lacks, and where the distributions come from then
    "nothing": ({}, {}, "logprobs"),
    "log-probabilities": ({"lacks": ("logprobs",)}, {}, "none"),
    "log-probabilities, without a word": ({"ignores": ("logprobs",)}, {}, "none"),
    "them, asked thrice": ({"ignores": ("logprobs",)}, {"samples": 3}, "samples"),
    "them, asked how sure": ({"lacks": ("logprobs",)}, {"stated_confidence": True}, "verbalised"),
    "nothing, asked thrice": ({}, {"samples": 3, "stated_confidence": True}, "logprobs"),
    "schemas": ({"lacks": ("json_schema",)}, {}, "logprobs"),
    "seeds, temperature, new caps": ({"lacks": ("seed", "temperature", "max_completion_tokens")}, {}, "logprobs"),
    "many alternatives": ({"max_top_logprobs": 5}, {}, "logprobs"),
}


@pytest.mark.parametrize("lacks, keys, source", LACKING.values(), ids=LACKING)
def test_the_run_uses_what_the_endpoint_has(endpoint, tmp_path, lacks, keys, source):
    endpoint.reset(Options(**vars(OPTIONS) | {"fault_rate": 0.0} | lacks))
    found, _, error = ask(tmp_path / "s", annotator(endpoint.address, **keys), items(5))
    assert error is None
    if "json_schema" in lacks.get("lacks", ()):  # this endpoint answers in prose then; a real one follows the prompt
        assert len(found.answers) == 5
        return
    assert [said.answer.source for said in found.answers.values()] == [source] * 5
    assert sql(tmp_path / "s", "select count(*) from capability") == [(1,)]
    # one probe, and two more where log-probabilities were asked for and did not come, found it all out
    assert endpoint.stats()["asked"] - found.usage.labelled * keys.get("samples", 1) <= 8


@pytest.mark.parametrize("seed", range(10))
def test_the_budget_is_never_overspent_and_used_to_the_last_call(endpoint, tmp_path, seed):
    endpoint.reset(Options(**vars(OPTIONS) | {"fault_rate": 0.2, "seed": seed}))
    limit = 0.0008
    found, purse, error = ask(tmp_path / "s", annotator(endpoint.address, concurrency=16), items(200), limit)
    assert isinstance(error, BudgetStop)
    assert purse.in_flight == 0 and purse.spent <= limit
    assert endpoint.stats()["usd"] <= limit
    # a call can cost 0.0003 at most: so near to the limit it comes
    assert limit - purse.spent < 0.0004
    assert 0 < len(found.answers) < 200
    # an item whose answer had to be asked for again has a reply and, where the second could not be paid, no answer
    replied = sql(tmp_path / "s", "select distinct item_id from reply where item_id <> 'probe'")
    assert found.answers.keys() <= {item_id for (item_id,) in replied}

    again, *_ = ask(tmp_path / "s", annotator(endpoint.address), items(200))
    assert len(again.answers) + len(again.unanswered) == 200
    assert again.usage.cached >= len(found.answers)  # all that was paid for is kept


CHILD = """
import asyncio, sys
from tests_of_llm import LABELS, QUICK, annotator, items
from pathlib import Path
from tasks.annotator import llm
from tasks.endpoint import switchboard
from tasks.store import Ids, Store
switchboard.PATIENCE = QUICK
async def main(address, folder):
    store = Store(Path(folder))
    llm.recover(store)
    async with switchboard.switchboard("run", lambda: None) as board:
        await llm.Asking(board, store, Ids("c"), "run", annotator(address, concurrency=16), LABELS, "").about(items(300))
asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_costs_the_calls_in_flight_and_nothing_more(endpoint, tmp_path):
    endpoint.reset(Options(**vars(OPTIONS) | {"fault_rate": 0.0, "latency_s": 0.05}))
    (tmp_path / "tests_of_llm.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    root = Path(__file__).resolve().parent.parent
    places = os.pathsep.join(map(str, (tmp_path, root, root / "tests")))
    command = [sys.executable, "-c", CHILD, endpoint.address, str(tmp_path / "s")]
    kills = 0
    for heard in (20, 120, 200):  # the child is killed once the endpoint has answered so often, wherever it is then
        child = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": places})
        deadline = time.monotonic() + 60
        while endpoint.stats()["delivered"] < heard and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        kills += child.wait() == -signal.SIGKILL
    subprocess.run(command, env=os.environ | {"PYTHONPATH": places}, check=True, timeout=60)
    assert kills == 3
    stats = endpoint.stats(keys=True)
    # a probe a start is asked anew; of the items none is paid for twice but those in flight at a kill, 16 at most
    probes = max(record["billed"] for record in stats["per_key"].values())
    assert stats["billed_again"] - (probes - 1) <= 16 * kills
    replies = sql(tmp_path / "s", "select count(distinct item_id), sum(usd) from reply where item_id <> 'probe'")
    assert replies[0][0] == 300
    ((usd, at_risk),) = sql(
        tmp_path / "s", "select (select sum(usd) from reply), (select coalesce(sum(usd_at_most), 0) from lost_call)"
    )
    assert usd <= stats["usd"] <= usd + at_risk  # what a kill left unheard is booked at the most it can be
    assert list((tmp_path / "s" / "journal").iterdir()) == []


def test_by_batch_a_run_may_end_while_it_waits_and_the_next_one_takes_it_up(endpoint, tmp_path):
    endpoint.reset(Options(**vars(OPTIONS) | {"fault_rate": 0.0}))
    by_batch = annotator(endpoint.address, batch={"wait_minutes": 0})
    first, purse, error = ask(tmp_path / "s", by_batch, items(30), 1.0)
    assert error is None
    assert (first.usage.asked, first.usage.pending, first.answers) == (0, 30, {})
    assert 0 < purse.spent < 0.01  # what the batch can cost is spent already
    found, turns = first, 0
    while found.usage.pending and turns < 20:  # the endpoint takes a job one step further each time it is looked at
        found, *_ = ask(tmp_path / "s", by_batch, items(30), 1.0)
        turns += 1
    assert (found.usage.labelled, found.usage.calls, found.usage.cached) == (30, 31, 0)  # and a probe
    assert {said.answer.source for said in found.answers.values()} == {"logprobs"}
    stats = endpoint.stats()
    ((usd, tiers),) = sql(
        tmp_path / "s", "select sum(usd), list(distinct service_tier) from reply where item_id <> 'probe'"
    )
    ((probes,),) = sql(tmp_path / "s", "select sum(usd) from reply where item_id = 'probe'")
    assert tiers == ["batch"] and usd + probes == pytest.approx(stats["usd"], abs=1e-12)

    direct, *_ = ask(tmp_path / "d", annotator(endpoint.address), items(30))
    assert {key: said.answer.label for key, said in direct.answers.items()} == {
        key: said.answer.label for key, said in found.answers.items()
    }


def test_a_reply_with_a_reason_keeps_its_entropy_profile(endpoint, tmp_path):
    endpoint.reset(Options(**vars(OPTIONS) | {"fault_rate": 0.0}))
    found, *_ = ask(tmp_path / "s", annotator(endpoint.address, reason=True), items(5))
    bare, *_ = ask(tmp_path / "b", annotator(endpoint.address), items(5))
    for said in found.answers.values():
        assert said.columns["profile"].keys() == EntropyProfile.model_fields.keys()
        assert said.columns["distribution_source"] == "logprobs"
    assert {said.answer.profile for said in bare.answers.values()} == {None}  # a bare label has none
