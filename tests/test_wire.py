"""The wire: both protocols say the same, and whatever comes back is a reply's columns or no reply."""

import asyncio
import json
import math

import httpx2
import openai
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from loopback import Options, serving

from tasks.annotator import chat, profile
from tasks.endpoint import wire
from tasks.endpoint.failure import NoReply

FORMAT = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": {"type": "object"}}}
MESSAGES = [{"role": "system", "content": "Label."}, {"role": "user", "content": "Cold soup."}]
BODY = {"model": "m", "messages": MESSAGES, "response_format": FORMAT, "temperature": 0.0, "seed": 3,
        "max_completion_tokens": 64, "logprobs": True, "top_logprobs": 20, "store": False, "service_tier": "flex"}  # fmt: skip


def what_the_client_sends(create):
    """Return the body that openai's own client sends for a call of its."""
    sent = []

    def answer(request):
        sent.append((request.url.path, json.loads(request.content)))
        return httpx2.Response(500)

    async def called():
        there = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
        async with openai.AsyncOpenAI(api_key="k", base_url="http://there/v1", max_retries=0, http_client=there) as one:
            with pytest.raises(openai.InternalServerError):
                await create(one)

    asyncio.run(called())
    return sent[0]


def test_chat_sends_what_the_client_itself_would_send():
    path, body = what_the_client_sends(lambda one: one.chat.completions.create(**BODY))
    assert (path, body) == ("/v1" + wire.PATHS["chat"], wire.spelled("chat", BODY))


def test_responses_sends_what_the_client_itself_would_send_for_the_same_request():
    """The Responses protocol has no seed; all else has another name or place there."""
    path, body = what_the_client_sends(
        lambda one: one.responses.create(
            model="m", input=MESSAGES, temperature=0.0, max_output_tokens=64, top_logprobs=20, store=False,
            service_tier="flex", include=["message.output_text.logprobs"],
            text={"format": {"type": "json_schema", "name": "a", "strict": True, "schema": {"type": "object"}}},
        )
    )  # fmt: skip
    assert (path, body) == ("/v1" + wire.PATHS["responses"], wire.spelled("responses", BODY))


SPELLED = [  # what a body holds, and what the Responses protocol makes of it
    ({}, {}),
    ({"max_tokens": 64}, {"max_output_tokens": 64}),
    ({"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}),
    ({"logprobs": False}, {}),
    ({"seed": 1}, {}),
]


@pytest.mark.parametrize(("given", "made"), SPELLED)
def test_what_an_endpoint_lacks_stays_away_in_the_other_protocol_too(given, made):
    least = {"model": "m", "messages": MESSAGES}
    assert wire.spelled("responses", least | given) == {"model": "m", "input": MESSAGES} | made


SCHEMA = {"type": "object", "properties": {"label": {"type": "string", "enum": ["good", "bad"]}}}
ASKED = BODY | {
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": SCHEMA}}
}


def answered(api, **options):
    """Return the columns of what the loopback endpoint answers by one protocol."""
    with serving(Options(latency_s=0.0, slow_share=0.0, **{"fault_rate": 0.0} | options)) as there:
        url = there.address + wire.PATHS[api]
        content = httpx2.post(url, json=wire.spelled(api, ASKED | {"temperature": 0.0})).content
        return wire.reply(api, content, profile.compact)


SAME = ("service_tier", "finish_reason", "content", "refusal", "logprobs", "completion_tokens")


@pytest.mark.parametrize("fault", [None, "wrong_label", "refusal", "length", "content_filter", "prose", "null_logprobs", "strange_logprobs"])  # fmt: skip
def test_both_protocols_answer_with_the_same_columns(fault):
    options = {"fault_rate": 1.0, "faults": (fault,), "max_faults_per_key": None} if fault else {}
    by_chat, by_responses = (answered(api, **options) for api in ("chat", "responses"))
    different = {"refusal": ("content", "logprobs"), "strange_logprobs": ("logprobs",)}.get(fault, ())
    assert [by_chat[name] for name in SAME if name not in different] == [
        by_responses[name] for name in SAME if name not in different
    ]
    assert by_chat.keys() == by_responses.keys() and by_chat["prompt_tokens"] > 0 < by_responses["prompt_tokens"]


ANSWER = {"role": "assistant", "content": "{}", "refusal": None}
CHOICE = {"finish_reason": "stop", "message": ANSWER, "logprobs": None}
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 5}}
CHAT = {"model": "m-1", "system_fingerprint": "fp", "service_tier": "flex", "choices": [CHOICE], "usage": USAGE}
PART = {"type": "output_text", "text": "{}", "logprobs": []}
COUNTED = {"input_tokens": 9, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 5}}
RESPONSE = {"model": "m-1", "service_tier": "flex", "status": "completed", "usage": COUNTED,
            "output": [{"type": "reasoning"}, {"type": "message", "content": [PART]}]}  # fmt: skip


def of(api, said, compact=profile.compact):
    return wire.reply(api, json.dumps(said).encode(), compact)


def test_a_reply_of_either_protocol():
    whole = {"model_served": "m-1@fp", "service_tier": "flex", "finish_reason": "stop", "content": "{}", "refusal": None,
             "logprobs": None, "prompt_tokens": 9, "cached_tokens": 5, "completion_tokens": 4}  # fmt: skip
    assert of("chat", CHAT) == whole
    assert of("responses", RESPONSE) == whole | {"model_served": "m-1"}


CUT = [  # how a Responses answer says that it is not whole, and what Chat Completions calls it
    ("max_output_tokens", "length"),
    ("content_filter", "content_filter"),
]


@pytest.mark.parametrize(("reason", "finish"), CUT)
def test_an_incomplete_response_is_a_reply_even_without_a_text(reason, finish):
    cut = RESPONSE | {"status": "incomplete", "incomplete_details": {"reason": reason}, "output": []}
    found = of("responses", cut)
    assert (found["finish_reason"], found["content"]) == (finish, None)


NO_REPLIES = [
    ("chat", b"<!DOCTYPE html>"),
    ("chat", b""),
    ("chat", b'{"choices": [{"finish_re'),
    ("chat", b"[" * 100_000),
    ("chat", b'{"error": {"message": "x"}}'),
    ("chat", json.dumps(CHAT | {"choices": []}).encode()),
    ("chat", json.dumps(CHAT | {"choices": [CHOICE | {"finish_reason": None}]}).encode()),
    ("chat", json.dumps(CHAT | {"choices": [CHOICE | {"finish_reason": "error"}]}).encode()),
    ("chat", json.dumps(CHAT | {"choices": [CHOICE | {"message": ANSWER | {"content": None}}]}).encode()),
    ("responses", json.dumps(RESPONSE | {"status": "failed", "incomplete_details": None}).encode()),
    ("responses", json.dumps(RESPONSE | {"status": "in_progress"}).encode()),
    ("responses", json.dumps(RESPONSE | {"output": [{"type": "reasoning"}]}).encode()),
]


@pytest.mark.parametrize(("api", "content"), NO_REPLIES)
def test_what_is_no_whole_completion_is_no_reply_and_takes_no_text_along(api, content):
    with pytest.raises(NoReply) as raised:
        wire.reply(api, content, profile.compact)
    assert raised.value.__context__ is None  # a decoder's error holds all that came


def test_an_answer_without_a_content_is_no_reply_and_its_tokens_are_known():
    with pytest.raises(NoReply) as raised:
        of("chat", CHAT | {"choices": [CHOICE | {"message": ANSWER | {"content": None}}]})
    assert [raised.value.usage[name] for name in ("prompt_tokens", "cached_tokens", "completion_tokens")] == [9, 5, 4]


COUNTS = [  # usage, and the tokens read from it: asked with, remembered, answered with
    (USAGE, (9, 5, 4)),
    (USAGE | {"prompt_tokens_details": {"cached_tokens": 50}}, (9, 9, 4)),  # no more than there were
    (USAGE | {"prompt_tokens_details": None}, (9, 0, 4)),
    (USAGE | {"prompt_tokens_details": ["cached_tokens"]}, (9, 0, 4)),
    (USAGE | {"completion_tokens": -4}, (9, 5, 0)),
    (USAGE | {"prompt_tokens": 2**31}, (0, 0, 4)),  # more than a column holds
    (USAGE | {"prompt_tokens": "9", "completion_tokens": True}, (0, 0, 0)),
    ({}, (0, 0, 0)),
    (None, (0, 0, 0)),
    ([USAGE], (0, 0, 0)),
]


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize(("usage", "tokens"), COUNTS)
def test_junk_where_tokens_are_counted_counts_nothing_and_costs_no_answer(api, usage, tokens):
    if api == "responses" and isinstance(usage, dict):
        renamed = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens",
                   "prompt_tokens_details": "input_tokens_details"}  # fmt: skip
        usage = {renamed[name]: value for name, value in usage.items()}
    found = of(api, (CHAT if api == "chat" else RESPONSE) | {"usage": usage})
    assert (found["prompt_tokens"], found["cached_tokens"], found["completion_tokens"]) == tokens


def test_half_a_surrogate_pair_becomes_a_question_mark():
    assert of("chat", CHAT | {"choices": [CHOICE | {"message": ANSWER | {"content": "a\ud800"}}]})["content"] == "a?"


def listed(*tokens):
    return CHAT | {"choices": [CHOICE | {"logprobs": {"content": list(tokens)}}]}


def test_a_token_is_kept_with_the_bytes_that_no_text_can_say():
    half = {"token": "\ufffd", "logprob": -0.5, "bytes": [0xF0, 0x9F]}
    found = of("chat", listed(half | {"top_logprobs": [half, {"token": "a", "logprob": -1, "bytes": None}]}))
    (token,) = json.loads(found["logprobs"])
    assert (token["token"], token["logprob"], token["bytes"]) == ("\ufffd", -0.5, [0xF0, 0x9F])


STRANGE = [
    [{"token": "a"}],
    ["a"],
    [{"token": "a", "logprob": -1, "top_logprobs": 7}],
    [{"token": "a", "logprob": -1, "bytes": [999]}],
    [{"token": "a", "logprob": -1, "bytes": ["\ud800"]}],
    {"token": "a"},
    7,
]


@pytest.mark.parametrize("tokens", STRANGE)
def test_tokens_of_another_make_give_no_distribution_and_the_answer_stands(tokens):
    message = ANSWER | {"content": '{"label": "good"}'}
    found = of("chat", CHAT | {"choices": [CHOICE | {"message": message, "logprobs": {"content": tokens}}]})
    assert chat.read(found, ["good", "bad"]) == chat.Answer("good")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*CHAT, *CHOICE, *ANSWER, *RESPONSE, *PART, "token", "top_logprobs"]), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def changed(said, path, value):
    """Return what was said with the value at a path, as far as there is one, put in the place of another."""
    if not path:
        return value
    keys = range(len(said)) if isinstance(said, list) else list(said) if isinstance(said, dict) else []
    if not keys:
        return value
    key = keys[path[0] % len(keys)]
    copy = list(said) if isinstance(said, list) else dict(said)
    copy[key] = changed(said[key], path[1:], value)
    return copy


TOKEN = {"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -2.0}]}


@pytest.mark.parametrize(
    ("api", "whole"),
    [("chat", listed(TOKEN)), ("responses", RESPONSE | {"output": [{"type": "message", "content": [PART | {"logprobs": [TOKEN]}]}]})],
)  # fmt: skip
@settings(deadline=None)
@given(path=st.lists(st.integers(0, 9), max_size=8), value=JSON)
@example(path=[], value=None)
@example(path=[], value=[])
def test_whatever_comes_is_a_reply_that_can_be_stored_or_no_reply(api, whole, path, value):
    try:
        found = of(api, changed(whole, path, value), profile.compact)
    except NoReply:
        return
    texts = ("service_tier", "finish_reason", "content", "refusal", "logprobs", "model_served")
    assert all(found[name] is None or found[name].encode() is not None for name in texts)
    assert all(0 <= found[name] < 2**31 for name in ("prompt_tokens", "cached_tokens", "completion_tokens"))
    assert all(
        token["logprob"] is None or math.isfinite(token["logprob"]) for token in json.loads(found["logprobs"] or "[]")
    )


@settings(deadline=None)
@given(st.binary())
def test_whatever_bytes_come(content):
    for api in wire.PATHS:
        with pytest.raises(NoReply):
            wire.reply(api, content, profile.compact)
