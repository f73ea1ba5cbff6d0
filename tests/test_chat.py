"""A model's answer over the wire: what is sent, what is kept of the answer, and what it is read as."""

import asyncio
import json
import logging

import httpx2
import openai
import pytest

from tasks.annotator import chat, endpoint, prompt

TEXT = "The soup was cold."
BODY = chat.request(
    "m",
    prompt.messages("Label.", [prompt.Example("1", "Lovely ☕", "{}", "yes")], prompt.Example("2", TEXT, "{}")),
    prompt.answer_format(["yes", "no"]),
)
ANSWER = {"role": "assistant", "content": '{"label": "no"}', "refusal": None}
CHOICE = {"index": 0, "finish_reason": "stop", "message": ANSWER, "logprobs": None}
COMPLETION = {"model": "m-1", "system_fingerprint": "fp", "choices": [CHOICE], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}  # fmt: skip


def endpoint_saying(answer, status=200, kind="application/json", seen=None):
    """Return a client of an endpoint that always answers so, and keeps what it was sent in `seen`."""

    async def app(scope, receive, send):
        body = (await receive())["body"]
        if seen is not None:
            seen.append((scope["path"], body, dict(scope["headers"])))
        said = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        headers = [(b"content-type", kind.encode()), (b"x-should-retry", b"false")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": said})

    inside = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))
    return openai.AsyncOpenAI(api_key="key-1", base_url="http://stub/v1", http_client=inside)


def ask(answer, **how):
    return asyncio.run(chat.ask(endpoint_saying(answer, **how), BODY))


def completion(**changed):
    """Return a completion whose choice is changed."""
    return COMPLETION | {"choices": [CHOICE | changed]}


def test_what_goes_over_the_wire_is_what_the_client_itself_would_send():
    ours, theirs = [], []
    ask(COMPLETION, seen=ours)
    asyncio.run(endpoint_saying(COMPLETION, seen=theirs).chat.completions.create(**BODY))
    ((path, body, headers),), ((their_path, their_body, their_headers),) = ours, theirs
    assert json.loads(body) == json.loads(their_body) == BODY
    assert (path, headers) == (their_path, their_headers)
    assert headers[b"authorization"] == b"Bearer key-1"


def test_a_reply_is_kept_with_what_it_took():
    reply = ask(COMPLETION)
    assert reply["content"] == '{"label": "no"}'
    assert (reply["model"], reply["model_served"], reply["finish_reason"]) == ("m", "m-1@fp", "stop")
    assert (reply["prompt_tokens"], reply["completion_tokens"], reply["usd"]) == (9, 4, None)


READ = [  # a choice, the label read from it, and why there is none
    ({}, "no", None),
    ({"message": ANSWER | {"content": '{"label": "maybe"}'}}, None, "not_a_label"),
    ({"message": ANSWER | {"content": '{"label": ["no"]}'}}, None, "not_a_label"),
    ({"message": ANSWER | {"content": '{"label": "n'}}, None, "not_json"),
    ({"message": ANSWER | {"content": "no"}}, None, "not_json"),
    ({"message": ANSWER | {"content": "[]"}}, None, "not_json"),
    ({"message": ANSWER | {"content": ""}}, None, "not_json"),
    ({"message": ANSWER | {"content": "[" * 100_000}}, None, "not_json"),
    ({"message": ANSWER | {"content": '{"label": "\ud83d"}'}}, None, "not_a_label"),
    ({"message": {"content": None, "refusal": "I cannot."}}, None, "refusal"),
    ({"finish_reason": "length"}, None, "length"),
    ({"finish_reason": "length", "message": {"content": None}}, None, "length"),
    ({"finish_reason": "content_filter", "message": None}, None, "content_filter"),
    ({"finish_reason": "tool_calls"}, None, "tool_calls"),
    ({"logprobs": {"content": None}}, "no", None),
    ({"logprobs": {"content": []}}, "no", None),
    ({"logprobs": {"tokens": ["no"], "token_logprobs": [-0.1]}}, "no", None),
    ({"logprobs": {"content": [None]}}, "no", None),
    ({"logprobs": {"content": [{"token": None, "logprob": None, "top_logprobs": None}]}}, "no", None),
]


@pytest.mark.parametrize("choice, label, reason", READ, ids=range(len(READ)))
def test_every_answer_is_a_label_or_a_reason(choice, label, reason):
    answer = chat.read(ask(completion(**choice)), ["yes", "no"])
    assert (answer.label, answer.reason) == (label, reason)


def test_log_probabilities_become_the_distribution():
    ways = [{"token": "no", "logprob": -0.105361}, {"token": "yes", "logprob": -2.302585}]
    tokens = [
        {"token": '{"label": "', "logprob": 0.0},
        ways[0] | {"top_logprobs": ways},
        {"token": '"}', "logprob": 0.0},
    ]
    answer = chat.read(ask(completion(logprobs={"content": tokens})), ["yes", "no"])
    assert answer.source == "logprobs"
    assert answer.distribution == {"yes": pytest.approx(0.1, abs=1e-6), "no": pytest.approx(0.9, abs=1e-6)}


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": None}, "?", {"prompt_tokens": -1}, {"prompt_tokens": 2**70}]
)
def test_tokens_that_were_not_counted_are_none(usage):
    assert ask(COMPLETION | {"usage": usage})["prompt_tokens"] == 0


NO_COMPLETION = [
    {"error": {"message": TEXT, "code": 502}},
    {"choices": []},
    {"choices": None},
    {"choices": [None]},
    [],
    None,
    completion(message=None),
    completion(message={"content": None}),
    completion(message={"content": [{"type": "text", "text": "no"}]}),
    completion(finish_reason=None),
    completion(finish_reason="error"),
    b'{"choices": [',
    b"<html>busy</html>",
    b"[" * 100_000,
    b"\xff\xff",
    b"",
]


@pytest.mark.parametrize("answer", NO_COMPLETION, ids=range(len(NO_COMPLETION)))
@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_what_is_no_completion_is_a_failure_and_is_not_quoted(answer, kind):
    with pytest.raises(chat.NoReply) as failure:
        ask(answer, kind=kind)
    assert TEXT not in str(failure.value)


@pytest.mark.parametrize(
    "code, reason", [("content_filter", "content_filter"), ("context_length_exceeded", "context_length")]
)
def test_an_item_an_endpoint_will_not_look_at_is_an_abstention(code, reason):
    reply = ask({"error": {"message": TEXT, "code": code}}, status=400)
    assert chat.read(reply, ["yes", "no"]).reason == reason
    assert TEXT not in str(reply)


FATAL = [
    (401, None, None, "the key in OPENAI_API_KEY is missing or refused"),
    (403, None, None, "the key in OPENAI_API_KEY may not use it"),
    (404, "model_not_found", None, "there is no such model or address"),
    (429, "insufficient_quota", None, "the account's quota"),
    (400, "unsupported_parameter", "logprobs", "it does not take `logprobs`: choose another model"),
    (400, "unsupported_value", TEXT, "it does not take such a request"),
]


@pytest.mark.parametrize("status, code, param, said", FATAL)
def test_what_fails_for_every_item_is_told_in_words_of_ours(status, code, param, said):
    with pytest.raises(openai.APIStatusError) as failure:
        ask({"error": {"message": f"key-1 may not say {TEXT}", "code": code, "param": param}}, status=status)
    assert endpoint.is_fatal(failure.value)
    complaint = endpoint.complaint(failure.value, "https://me:key-1@stub/v1?k=key-1", "m")
    assert said in complaint and f"https://stub/v1 answered {status} for model 'm'" in complaint
    assert "key-1" not in complaint and TEXT not in complaint


@pytest.mark.parametrize("status, code", [(429, "rate_limit_exceeded"), (500, None), (400, None), (400, ["odd"])])
def test_what_may_go_better_with_another_item_or_later_stops_nothing(status, code):
    with pytest.raises(openai.APIStatusError) as failure:
        ask({"error": {"message": "", "code": code}}, status=status)
    assert not endpoint.is_fatal(failure.value)


def test_no_log_quotes_what_is_sent(caplog):
    caplog.set_level(logging.DEBUG)
    ask(COMPLETION)
    assert TEXT not in caplog.text and "key-1" not in caplog.text


def test_an_address_comes_from_the_curation_the_model_or_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", " http://mine:8000/v1/\n")
    assert endpoint.address("m", "http://h/v1/") == "http://h/v1"
    assert endpoint.address("embedded", None) == endpoint.EMBEDDED_URL
    assert endpoint.address("m", None) == "http://mine:8000/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "mine:8000")
    with pytest.raises(endpoint.RequestError, match="must begin with http"):
        endpoint.address("m", None)


def test_a_key_that_cannot_be_sent_is_refused_and_not_repeated(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret…")
    with pytest.raises(endpoint.RequestError) as stop:
        endpoint.client("http://h/v1")
    assert "secret" not in str(stop.value)
