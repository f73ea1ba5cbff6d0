"""Items become annotations: whatever an endpoint does, an item ends labelled, abstained, or asked again next run."""

import asyncio
import logging
import math
from dataclasses import replace

import pytest
from prefect.logging import disable_run_logger
from scripted import KEY, QUICK, Bench, at_first, breaks_off, hangs, refuses, says, sends, settle

from flows.sql import sql
from schemas.errors import BudgetStop, RequestError
from tasks.annotation import apply_function, label_items, unlabelled, versions
from tasks.annotator.embedded import minilm
from tasks.endpoint import switchboard
from tasks.endpoint.pace import Breaker
from tasks.known import known
from tasks.store import Store

OUTCOMES = {  # what an endpoint does to an item: the label, why there is none, or (None, None, why it is asked again)
    "labels it": (says('{"label": "bad"}'), ("bad", None)),
    "labels it at the second try": (at_first(refuses(500), says('{"label": "bad"}')), ("bad", None)),
    "is busy for a moment": (at_first(refuses(429), says('{"label": "bad"}')), ("bad", None)),
    "rambles at first": (at_first(says("It is bad."), says('{"label": "bad"}')), ("bad", None)),
    "is cut at first": (at_first(says('{"la', finish_reason="length"), says('{"label": "bad"}')), ("bad", None)),
    "declines": (says(None, message={"content": None, "refusal": "I cannot."}), (None, "refusal")),
    "runs out of tokens": (says('{"label": "ba', finish_reason="length"), (None, "length")),
    "filters its answer": (says(None, finish_reason="content_filter"), (None, "content_filter")),
    "filters the question": (refuses(400, "content_filter"), (None, "content_filter")),
    "finds it too long": (refuses(400, "context_length_exceeded"), (None, "context_length")),
    "answers in prose": (says("It is bad."), (None, "not_json")),
    "invents a label": (says('{"label": "so-so"}'), (None, "not_a_label")),
    "answers half a character": (says('{"label": "\ud83d"}'), (None, "not_a_label")),
    "is busy": (refuses(429), ("rate_limited", "status 429")),
    "is broken": (refuses(500), ("llm_unavailable", "status 500")),
    "breaks off": (breaks_off(), ("llm_unavailable", "connection")),
    "hangs": (hangs(), ("llm_unavailable", "timeout")),
    "cannot read the request": (refuses(400), ("bad_request", "status 400")),
    "sends an error as an answer": (
        sends({"error": {"message": "upstream", "code": 502}}),
        ("llm_unavailable", "broken_body"),
    ),
    "sends no choice": (sends({"choices": []}), ("llm_unavailable", "broken_body")),
    "sends nothing in a choice": (says(None), ("llm_unavailable", "no_content")),
}
UNANSWERED = ("rate_limited", "llm_unavailable", "bad_request")


def test_every_item_ends_labelled_abstained_or_quarantined_with_its_reason(bench, stub, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(switchboard, "PATIENCE", replace(QUICK, item_s=2.0))
    stub.script = {text: script for text, (script, _) in OUTCOMES.items()}
    bench.arrive(1, *OUTCOMES)
    first = bench.label()
    ended = {text: outcome for text, (_, outcome) in OUTCOMES.items() if outcome[0] not in UNANSWERED}
    assert {text: (label, reason) for text, label, reason in bench.said()} == ended
    set_aside = bench.sql("select text, reason, detail from unanswered join item using (item_id)")
    assert {text: why for text, *why in set_aside} == {
        text: list(outcome) for text, (_, outcome) in OUTCOMES.items() if text not in ended
    }
    # 5 labelled; declined, prose, two invented labels; cut, filtered twice, too long and the 8 without an answer
    assert (first.asked, first.labelled, first.abstained, first.quarantined, first.failed) == (21, 5, 4, 12, 8)

    stub.script, stub.asked = {}, []
    second = bench.label()
    assert sorted(stub.asked) == sorted(OUTCOMES.keys() - ended)
    assert (second.asked, second.labelled, second.annotations, second.failed) == (8, 8, 8, 0)

    stored = str(bench.sql("select * exclude (content) from reply"))
    assert KEY not in caplog.text and KEY not in stored
    assert not any(text in caplog.text for text in OUTCOMES if text not in ("hangs", "declines", "is busy"))


FATAL = [
    (401, None, RequestError, "OPENAI_API_KEY"),
    pytest.param(403, None, RequestError, "OPENAI_API_KEY", marks=pytest.mark.slow),
    pytest.param(404, None, RequestError, "no such model", marks=pytest.mark.slow),
    (400, "unsupported_parameter", RequestError, "does not take such a request"),
    (429, "insufficient_quota", BudgetStop, "quota"),
    pytest.param(402, None, BudgetStop, "nothing left", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("status, code, kind, said", FATAL)
def test_what_fails_for_every_item_stops_the_run_and_keeps_what_was_answered(bench, stub, status, code, kind, said):
    bench.change(models=["{name: zero, kind: llm, model: m, concurrency: 1}"])
    texts = [f"The waiter dropped {n} plates." for n in range(5)]
    bench.arrive(1, *texts)
    stop = refuses(status, code, message=f"{KEY} may not say {texts[0]}")
    turn = iter(range(99))

    async def third_is_refused():
        return await (stop if next(turn) >= 2 else says('{"label": "good"}'))()

    stub.script = dict.fromkeys(texts, third_is_refused)
    with pytest.raises(kind) as stopped:
        bench.label()
    message = str(stopped.value)
    assert said in message and f"answered {status} for model 'm'" in message
    assert KEY not in message and "plates" not in message
    assert stopped.value.__context__ is None  # the client's own error would quote what it was sent
    assert bench.sql("select count(*) from reply where item_id <> 'probe'") == [(2,)]

    stub.script, stub.asked = {}, []
    assert (bench.label().labelled, len(stub.asked)) == (3, 3)


def test_an_address_that_never_answered_is_a_wrong_request(bench, stub, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    bench.arrive(1, "Fine.")
    with pytest.raises(
        RequestError, match=r"zero: http://127.0.0.1:9/v1 gives no answer \(connection\): check the address"
    ):
        bench.label()


@pytest.mark.slow
def test_an_endpoint_that_answered_once_and_is_down_is_not_asked_for_every_item(bench, stub, monkeypatch):
    bench.arrive(0, "Awful.")
    bench.label()
    down = {"base_url": "http://127.0.0.1:9/v1", "capability_id": "down"}
    (row,) = Store(bench.run().store).connect().sql("select * from capability").pl().to_dicts()
    Store(bench.run().store).merge("capability", [row | down])
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    quick = replace(QUICK, breaker=Breaker(calls=10, pause_s=0.05))
    monkeypatch.setattr(switchboard, "PATIENCE", quick)
    bench.arrive(1, *(f"Review number {n}" for n in range(200)))
    usage = bench.label()
    # the breaker trips three times, after ten failed calls each; up to 16 more were out when it did
    assert 30 <= usage.calls < 30 + 3 * 16
    assert (usage.failed, usage.quarantined, usage.annotations, usage.usd) == (200, 200, 0, 0.0)
    assert bench.sql("select count(*) from lost_call") == [(0,)]  # nothing reached the endpoint: nothing can be billed


def test_replies_are_facts_so_a_second_run_asks_nothing(bench, stub):
    bench.arrive(1, "Fine.", "Awful.")
    assert bench.label().labelled == 2
    assert bench.label().calls == 0
    assert len(stub.asked) == 2


def test_a_run_that_was_stopped_asks_only_for_what_it_had_not_heard(bench, stub):
    bench.arrive(1, "Fine.", "Awful.", "Slow.")
    stub.script = {"Slow.": hangs()}
    run = bench.run()
    present = versions.fn(run)

    async def stopped():
        with disable_run_logger():
            (model,) = run.curation.models
            work = label_items.fn(run, model, present["zero"], unlabelled.fn(run, model, present))
            await asyncio.wait_for(work, 0.7)

    with pytest.raises(TimeoutError):
        asyncio.run(stopped())
    stub.script, stub.asked = {}, []
    usage = bench.label()
    assert (stub.asked, usage.cached, usage.annotations) == (["Slow."], 2, 3)


CHANGES = {
    "labels": {"labels": {"good": "Happy.", "bad": "Unhappy.", "none": "Says nothing."}},
    "a label's meaning": {"labels": {"good": "Very happy.", "bad": "Unhappy."}},
    "guidelines": {"guidelines": "Sarcasm is bad."},
    "the model": {"models": ["{name: zero, kind: llm, model: m-2}"]},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_question_is_another_version_and_is_asked(bench, stub, change):
    bench.arrive(1, "Fine.")
    bench.label()
    bench.change(**change)
    assert bench.label().labelled == 1 and len(stub.asked) == 2
    assert bench.sql("select count(distinct annotator_version) from annotation") == [(2,)]


def test_another_source_with_another_context_asks_nothing_anew(bench, stub):
    bench.arrive(1, "Fine.")
    bench.label()
    other = "{path: more.jsonl, fields: {context: [aspect]}}"
    file = bench.folder / "curation.yaml"
    file.write_text(file.read_text().replace("group: group}}]", f"group: group}}}}, {other}]"))
    (bench.folder / "more.jsonl").write_text("")
    assert bench.label().calls == 0


def test_two_annotators_that_ask_the_same_share_the_reply(bench, stub):
    bench.change(models=["{name: zero, kind: llm, model: m}", "{name: twin, kind: llm, model: m}"])
    bench.arrive(1, "Fine.")
    assert (bench.label("zero").labelled, bench.label("twin").cached, len(stub.asked)) == (1, 1, 1)
    assert bench.sql("select count(*), count(distinct reply_id), count(distinct annotation_id) from annotation") == [(2, 1, 2)]  # fmt: skip


def test_ids_do_not_depend_on_the_run(bench, stub, tmp_path_factory):
    other = Bench(tmp_path_factory.mktemp("other"))
    for one in (bench, other):
        one.arrive(1, "Fine.", "Awful.")
        one.label()
    query = "select annotation_id, annotator_version, reply_id, label from annotation order by annotation_id"
    assert bench.sql(query) == other.sql(query)


def test_no_more_calls_are_out_at_once_than_the_curation_says(bench, stub):
    bench.change(models=["{name: zero, kind: llm, model: m, concurrency: 3}"])
    bench.arrive(1, *(f"Review number {n}" for n in range(20)))
    bench.label()
    assert 1 < stub.most_at_once <= 3


def test_a_missing_guideline_stops_the_run_in_words(bench, stub):
    bench.arrive(1, "Fine.")
    bench.change(guidelines="Be kind.")
    (bench.folder / "guide.md").unlink()
    with pytest.raises(RequestError, match=r"guide\.md cannot be read"):
        bench.label()


@pytest.fixture
def no_weights(monkeypatch):
    monkeypatch.setattr(minilm, "WEIGHTS", "weights_that_are_not_there")
    minilm.weights.cache_clear()
    yield
    minilm.weights.cache_clear()


@pytest.mark.parametrize("prompt", ["zero_shot", "few_shot"])
def test_without_the_embedded_model_the_run_stops_and_says_how_to_install_it(bench, no_weights, prompt):
    bench.change(models=[f"{{name: zero, kind: llm, model: embedded, prompt: {prompt}, shots: 1}}"])
    settle(bench, *(f"Review number {n}" for n in range(8)))
    if prompt == "few_shot":
        bench.freeze("zero")
    with pytest.raises(RequestError, match="pip install --no-deps"):
        bench.label()


def test_a_persons_later_label_replaces_an_earlier_one_whatever_the_order_of_arrival(bench):
    bench.arrive(1, "Fine.", "Awful.")
    bench.people("a", "Fine. ann bad 2026-11-02T00:00:00Z", "Awful. ann bad 2026-11-02T00:00:00Z")
    bench.people("b", "Fine. ann good 2026-11-01T00:00:00Z", "Awful. ann - 2026-11-03T00:00:00Z")
    # Fine.: good on the 1st, bad on the 2nd; Awful.: withdrawn on the 3rd
    assert known(bench.run()).sql("select annotator_id, label from vote").fetchall() == [("ann", "bad")]


def sure(label, share):
    """Return a script: an answer with that label, and its probability among the two."""
    ways = [{"token": label, "logprob": math.log(share)}, {"token": OTHER[label], "logprob": math.log(1 - share)}]
    tokens = [
        {"token": '{"label": "', "logprob": 0.0},
        ways[0] | {"top_logprobs": ways},
        {"token": '"}', "logprob": 0.0},
    ]
    return says(f'{{"label": "{label}"}}', logprobs={"content": tokens})


OTHER = {"good": "bad", "bad": "good"}
CASCADE = [
    "{name: cheap, kind: llm, model: m}",
    "{name: strong, kind: llm, model: m-2, only_where: {annotator: cheap, min_entropy_nats: 0.5}}",
]


def test_a_cascade_asks_the_strong_model_only_where_the_cheap_one_is_unsure(bench, stub):
    bench.change(models=CASCADE)
    # entropies: .9 → 0.325 nats, .7 → 0.611 nats; without a distribution, or without a label, nothing says it is sure
    stub.script = {
        "Fine.": sure("good", 0.9),
        "Awful.": sure("bad", 0.7),
        "Well.": says('{"label": "good"}'),
        "Hm.": says(None, message={"content": None, "refusal": "I cannot."}),
    }
    bench.arrive(1, *stub.script)
    assert bench.label("strong").asked == 0  # it waits for the cheap one
    assert bench.label("cheap").asked == 4
    stub.script, stub.asked = {}, []
    assert bench.label("strong").asked == 3
    assert sorted(stub.asked) == ["Awful.", "Hm.", "Well."]
    assert bench.label("strong").asked == 0


def test_what_a_model_could_not_label_is_in_quarantine_until_it_can(bench, stub):
    stub.script = {"Fine.": refuses(400, "content_filter"), "Awful.": refuses(500)}
    bench.arrive(1, *stub.script)
    bench.label()
    query = "select text, noun, annotator_id, reason, detail from quarantine join items using (item_id) order by text"
    assert sql(query, str(bench.folder), str(bench.folder / "home"))["rows"] == [
        ["Awful.", "item", "zero", "llm_unavailable", "status 500"],
        ["Fine.", "item", "zero", "content_filter", None],
    ]
    stub.script = {}
    bench.label()
    assert [row[0] for row in sql(query, str(bench.folder), str(bench.folder / "home"))["rows"]] == ["Fine."]


def test_a_functions_votes_are_annotations_and_another_rule_is_another_version(bench):
    bench.change(models=["{name: loud, kind: function, sql: \"case when text ilike '%fine%' then 'good' end\"}"])
    bench.arrive(1, "Fine.", "Awful.")

    def apply():
        run = bench.run()
        (function,) = run.curation.functions
        with disable_run_logger():
            present = versions.fn(run)
            return apply_function.fn(run, function, present["loud"], unlabelled.fn(run, function, present))

    assert (apply(), apply()) == (2, 0)
    assert bench.said() == [("Awful.", None, "abstained"), ("Fine.", "good", None)]
    bench.change(models=["{name: loud, kind: function, sql: \"case when text ilike '%awful%' then 'bad' end\"}"])
    assert apply() == 2
