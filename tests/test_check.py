"""Checking: a curation is tried out and priced, and nothing is written or remembered."""

import math

import pytest
from loopback import Options, serving

from flows.check import check, story
from flows.plan import plan
from schemas.curation import LLMAnnotator, Price
from schemas.errors import RequestError
from schemas.run import started
from tasks.estimate import bodies, estimate
from tasks.text import canonical


@pytest.fixture
def endpoint(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    with serving(Options(latency_s=0.0, slow_share=0.0, fault_rate=0.0)) as server:
        yield server


@pytest.fixture
def checked(endpoint, twelve, tmp_path):
    """Return a function that checks the dozen, with one model of these settings."""

    def run(price="{input: 1, output: 2}", more="", **settings):
        model = f"  - {{name: m, kind: llm, model: stub, base_url: '{endpoint.address}', price: {price}{more}}}\n"
        return check(str(twelve(tmp_path / "a", model, **settings)), str(tmp_path / "home"))

    return run


def size(body):
    return len(canonical(body).encode())


def llm(**settings):
    return LLMAnnotator(name="m", kind="llm", model="stub", **settings)


def made(folder, annotator, texts):
    run = started(str(folder))
    return bodies(run, annotator, [{"text": text, "context": "{}"} for text in texts])


def test_what_labelling_costs_is_what_the_prompts_cost_by_the_tokens_an_endpoint_makes_of_them(twelve, tmp_path):
    annotator = llm(price=Price(input=1.0, output=2.0), max_answer_tokens=16)
    asked = made(twelve(tmp_path), annotator, ["soup", "a much longer text about the soup"])
    mean = sum(map(size, asked)) / 2
    # the endpoint made one token of every two bytes, and answered with five
    reply = {"prompt_tokens": size(asked[0]) / 2, "completion_tokens": 5}
    found = estimate(annotator, asked, 10, seen=(asked[0], reply))
    expected = [math.ceil(size(body) / 2) * 1.0 + 5 * 2.0 for body in asked]
    assert found["calls"] == 10
    assert found["usd"] == pytest.approx(10 * sum(expected) / 2 / 1e6, abs=1e-6)
    # at most every byte is a token, each of the two messages 64 more, and the answer 16
    assert found["usd_at_most"] == pytest.approx(10 * (mean + 128 + 16 * 2.0) / 1e6, abs=1e-6)


def test_samples_multiply_what_it_costs_and_a_batch_halves_it(twelve, tmp_path):
    price = Price(input=1000.0, output=2000.0)
    texts = ["soup", "cake", "tea"]
    folder = twelve(tmp_path)
    costs = {
        name: estimate(annotator, made(folder, annotator, texts), 7)
        for name, annotator in {
            "once": llm(price=price, temperature=1.0),
            "thrice": llm(price=price, samples=3),
            "batch": llm(price=price, temperature=1.0, batch={}),
        }.items()
    }
    assert (costs["once"]["calls"], costs["thrice"]["calls"]) == (7, 21)
    assert costs["thrice"]["usd"] == pytest.approx(3 * costs["once"]["usd"])
    for figure in ("usd", "usd_at_most"):
        assert costs["batch"][figure] == pytest.approx(costs["once"][figure] / 2)


def test_examples_that_are_shown_are_paid_for(twelve, tmp_path):
    folder, texts = twelve(tmp_path), ["soup", "cake", "tea"]
    zero, few = (made(folder, llm(prompt=kind, shots=2), texts) for kind in ("zero_shot", "few_shot"))
    assert [len(body["messages"]) for body in (*zero, *few)] == [2, 2, 2, 6, 6, 6]
    # a shot is a turn that was asked and one that was answered
    assert "cake" in few[0]["messages"][1]["content"]
    assert min(map(size, few)) > max(map(size, zero))


def test_no_price_and_no_text_make_no_cost_and_no_items_cost_nothing(twelve, tmp_path):
    folder = twelve(tmp_path)
    assert estimate(llm(), made(folder, llm(), ["soup"]), 7) == {"calls": 7, "usd": None, "usd_at_most": None}
    assert estimate(llm(), [], 0) == {"calls": 0, "usd": 0.0, "usd_at_most": 0.0}


def test_a_run_is_priced_from_its_own_texts_by_what_the_endpoint_says_of_one(checked, endpoint, tmp_path):
    found = checked(more=", samples: 2")
    (model,) = found["models"]
    assert (found["calls"], model["calls"], model["answers"], model["distribution"]) == (24, 24, True, "logprobs")
    # 24 calls like the probe's one, at $1 and $2 for a million tokens; other texts are a little longer or shorter
    probe = (model["prompt_tokens"] * 1.0 + model["completion_tokens"] * 2.0) / 1e6
    assert found["usd"] == pytest.approx(24 * probe, rel=0.1)
    assert found["usd"] < found["usd_at_most"]
    assert f"24 calls, about ${found['usd']:.3g}" in story(found)
    assert endpoint.stats()["delivered"] == 1
    assert not (tmp_path / "home").exists()


def test_a_model_without_a_known_price_is_named_with_the_key_that_gives_it_one(checked):
    found = checked(price="null")
    assert (found["usd"], found["usd_at_most"], found["unpriced"]) == (None, None, ["m"])
    assert "does not know what m costs: give `price: {input: …, output: …}`" in story(found)


def test_a_budget_that_would_not_do_is_told(checked):
    small, large = checked(budget="{usd_per_run: 0.0001}"), checked(budget="{usd_per_run: 5}")
    assert (small["usd_left"], small["budget_suffices"]) == (0.0001, False)
    assert "the budget leaves $0.0001: a run would stop before all is labelled" in story(small)
    assert (large["usd_left"], large["budget_suffices"]) == (5.0, True)
    assert "stop before" not in story(large)


def test_what_an_endpoint_refuses_is_told_and_not_priced(monkeypatch, twelve, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    with serving(Options(api_key="another", fault_rate=0.0)) as server:
        model = f"  - {{name: m, kind: llm, model: stub, base_url: '{server.address}'}}\n"
        with pytest.raises(RequestError, match=r"m: .* answered 401"):
            check(str(twelve(tmp_path / "a", model)), str(tmp_path / "home"))


def test_a_dry_run_says_what_labelling_would_cost(twelve, tmp_path):
    model = "  - {name: m, kind: llm, model: gpt-4.1-mini}\n"
    one = plan(str(twelve(tmp_path / "a", model)), None, str(tmp_path / "home"))
    # nothing has been read yet, so nothing is known that could be labelled
    assert (one["calls"], one["usd_by_annotator"], one["usd"]) == ({"m": 0}, {"m": 0.0}, 0.0)
