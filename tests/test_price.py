"""Prices: what a model costs, what a call cost, and what it can cost at most."""

import json
from datetime import date

import pytest

from schemas.curation import LLMAnnotator, Price
from tasks.endpoint.price import _table, price_of, table_date, unpriced, usd, usd_at_most


def used(prompt, cached, answered, tier=None):
    return {"prompt_tokens": prompt, "cached_tokens": cached, "completion_tokens": answered, "service_tier": tier}


def cost(model, *usage, price=None):
    return usd(price_of(model, price), used(*usage))


def llm(name="a", **settings):
    return LLMAnnotator(name=name, kind="llm", **settings)


@pytest.mark.parametrize(
    ("model", "input_price"),
    [
        ("gpt-4.1", 2.00),
        ("gpt-4.1-mini", 0.40),
        ("gpt-4.1-2025-04-14", 2.00),
        ("gpt-4.1-mini-2025-04-14", 0.40),
        ("gpt-4o-2024-05-13", 5.00),  # the one snapshot that costs more than its family
        ("gpt-4o-2024-11-20", 2.50),
        ("embedded", 0.0),
    ],
)
def test_a_snapshot_costs_what_its_family_costs(model, input_price):
    assert price_of(model, None).input == input_price


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4.1-micro", "gpt-4.1-mini-2025", "gpt-4.1-2025-04-14-x", "gpt-4", "o3-pro", "openai/gpt-4.1", "GPT-4.1",
        "ft:gpt-4.1-mini-2025-04-14:us::a1", "llama3.2", "",
    ],
)  # fmt: skip
def test_a_name_that_only_begins_like_a_known_one_has_no_known_price(model):
    assert price_of(model, None) is None


def test_a_given_price_overrules_the_table_and_stands_for_what_it_does_not_know():
    given = Price(input=3.0, output=9.0)
    assert [price_of(model, given).input for model in ("gpt-4.1", "ft:gpt-4.1:x", "embedded")] == [3.0] * 3


def test_every_price_of_the_table_is_in_order():
    models = _table()["models"]
    assert isinstance(table_date(), date)
    assert len(models) >= 20
    for price in models.values():
        for rates in filter(None, (price, price.priority)):
            assert 0 < (rates.cached or rates.input) <= rates.input <= (rates.written or rates.input) < rates.output
        assert price.priority is None or price.input < price.priority.input <= 2 * price.input


@pytest.mark.parametrize(
    ("model", "usage", "dollars"),
    [
        # (1,000 − 200) × 0.40 + 200 × 0.10 + 50 × 1.60 = 320 + 20 + 80, of a million
        ("gpt-4.1-mini", (1000, 200, 50), 420e-6),
        ("gpt-4.1-mini", (1000, 200, 50, "default"), 420e-6),
        # at priority 800 × 0.70 + 200 × 0.175 + 50 × 2.80 = 560 + 35 + 140
        ("gpt-4.1-mini", (1000, 200, 50, "priority"), 735e-6),
        # in a batch half, and remembered tokens are no cheaper: (1,000 × 0.40 + 80) / 2
        ("gpt-4.1-mini", (1000, 200, 50, "batch"), 240e-6),
        # where they are: (800 × 0.25 + 200 × 0.025 + 50 × 2.00) / 2 = (200 + 5 + 100) / 2
        ("gpt-5-mini", (1000, 200, 50, "batch"), 152.5e-6),
        ("gpt-5-mini", (1000, 200, 50, "flex"), 152.5e-6),
        # 1,000 tokens are too few to be put into memory: 1,000 × 0.10 + 100 × 0.50
        ("gpt-6-luna", (1000, 0, 100), 150e-6),
        # 2,000 are not: 1,000 × 0.125 + 1,000 × 0.01 + 100 × 0.50 = 125 + 10 + 50
        ("gpt-6-luna", (2000, 1000, 100), 185e-6),
        # a long request costs twice the input and one and a half times the output: 2 × 300,000 × 2.50 + 1.5 × 100 × 15
        ("gpt-5.4", (300_000, 0, 100), 1.50225),
        # a snapshot that has no price for remembered tokens: all at 5.00, and 15.00 for the answer
        ("gpt-4o-2024-05-13", (1000, 200, 50), 5750e-6),
        # no endpoint remembers more than it was asked with
        ("gpt-4.1-mini", (100, 200, 0), 10e-6),
        ("embedded", (1000, 0, 50), 0.0),
    ],
)
def test_a_call_costs_what_its_tokens_cost_at_the_tier_that_answered(model, usage, dollars):
    assert cost(model, *usage) == pytest.approx(dollars, rel=1e-12)


def test_what_has_no_known_price_costs_an_unknown_sum_and_not_nothing():
    assert cost("llama3.2", 1000, 0, 50) is None
    assert cost("gpt-5-nano", 1000, 0, 50, "priority") is None
    # 1,000 × 1 + 50 × 2; half of it in a batch; what is given holds at priority too
    given = Price(input=1.0, output=2.0)
    assert cost("llama3.2", 1000, 300, 50, price=given) == pytest.approx(1100e-6)
    assert cost("llama3.2", 1000, 300, 50, "batch", price=given) == pytest.approx(550e-6)
    assert cost("llama3.2", 1000, 300, 50, "priority", price=given) == pytest.approx(1100e-6)


def body(text="hello", **more):
    return {"messages": [{"role": "user", "content": text}], "max_completion_tokens": 100} | more


def size(request):
    """Return the bytes of a request in its shortest spelling, in UTF-8, and 64 for each of its messages."""
    spelled = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()
    return len(spelled) + 64 * len(request["messages"])


@pytest.mark.parametrize(
    ("request_", "rates", "answer"),
    [
        # nothing is said of the tier, so a project's setting may make it priority: 0.70 and 2.80
        (body(), (0.70, 2.80), 100),
        (body(service_tier="auto"), (0.70, 2.80), 100),
        (body(service_tier="priority"), (0.70, 2.80), 100),
        (body(service_tier="default"), (0.40, 1.60), 100),
        # flex may be answered at the plain price
        (body(service_tier="flex"), (0.40, 1.60), 100),
        (body("żółć 🙂", service_tier="default"), (0.40, 1.60), 100),
        (body(service_tier="default", n=3), (0.40, 1.60), 300),
        ({"messages": [], "max_tokens": 7, "service_tier": "default"}, (0.40, 1.60), 7),
    ],
)
def test_the_most_a_call_can_cost_takes_every_byte_for_a_token_and_the_answer_for_as_long_as_its_cap(
    request_, rates, answer
):
    at_most = (size(request_) * rates[0] + answer * rates[1]) / 1e6
    assert usd_at_most(price_of("gpt-4.1-mini", None), request_) == pytest.approx(at_most, rel=1e-12)


def test_the_most_a_call_can_cost_is_half_in_a_batch_and_counts_what_is_put_into_memory():
    plain = body(service_tier="default")
    assert usd_at_most(price_of("gpt-6-luna", None), plain) == pytest.approx((size(plain) * 0.125 + 100 * 0.50) / 1e6)
    assert usd_at_most(price_of("gpt-4.1-mini", None), body(), batch=True) == pytest.approx(
        (size(body()) * 0.40 + 100 * 1.60) / 2e6
    )


def test_what_has_no_price_or_no_end_has_no_most():
    assert usd_at_most(None, body()) is None
    assert usd_at_most(price_of("gpt-4.1", None), {"messages": []}) is None
    assert usd_at_most(price_of("gpt-5-nano", None), body(service_tier="priority")) is None
    assert usd_at_most(price_of("embedded", None), body()) == 0.0


def test_annotators_without_a_known_price_at_their_tier_are_named():
    models = [
        llm("known", model="gpt-4.1"),
        llm("unknown", model="llama3.2"),
        llm("given", model="llama3.2", price=Price(input=0.0, output=0.0)),
        llm("fast", model="gpt-5-nano", service_tier="priority"),
        llm("inside", model="embedded"),
    ]
    assert unpriced(models) == ["unknown", "fast"]
