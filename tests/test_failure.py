"""Failures: every way a call can go wrong, what is done about it, and whether it may have been billed."""

import asyncio
import json
import socket
import struct
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from schemas.errors import RequestError
from tasks.endpoint import address, client, failure
from tasks.endpoint.failure import Do, Failure, NoReply, complaint, duration_s, refused_unseen, wait_s

SECRET = "the soup was cold"  # what no word of ours may repeat


def refused(status, code=None, param=None, **headers):
    """Return the error the client makes of a refusal whose message quotes what it was sent."""
    said = {"error": {"message": f"No: {SECRET}", "type": None, "param": param, "code": code}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    asked = httpx2.Request("POST", "http://there/v1/chat/completions")
    answer = httpx2.Response(status, headers=named, content=json.dumps(said).encode(), request=asked)
    return openai.AsyncOpenAI(api_key="k", base_url="http://there/v1")._make_status_error_from_response(answer)


FAILED = [  # an error; its kind, what is done, seconds to wait, may it be billed, does the endpoint have too much to do
    (refused(429, "insufficient_quota"), "status 429", Do.QUOTA, 0, False, False),
    (refused(429, "billing_hard_limit_reached", retry_after="9"), "status 429", Do.QUOTA, 0, False, False),
    (refused(402), "status 402", Do.QUOTA, 0, False, False),
    (refused(429, "rate_limit_exceeded"), "status 429", Do.WAIT, 0, False, True),
    (refused(429, "rate_limit_exceeded", retry_after="2"), "status 429", Do.WAIT, 2, False, True),
    (refused(429, x_ratelimit_remaining_tokens="0", x_ratelimit_reset_tokens="6m0s"), "status 429", Do.WAIT, 360, False, True),
    (refused(408), "status 408", Do.RETRY, 0, False, False),
    (refused(409), "status 409", Do.RETRY, 0, False, False),
    (refused(500), "status 500", Do.RETRY, 0, False, False),
    (refused(502), "status 502", Do.RETRY, 0, False, False),
    (refused(503, retry_after="1.5"), "status 503", Do.RETRY, 1.5, False, True),
    (refused(529), "status 529", Do.RETRY, 0, False, True),
    (refused(503, "model_not_installed"), "status 503", Do.STOP, 0, False, False),
    (refused(401), "status 401", Do.STOP, 0, False, False),
    (refused(403), "status 403", Do.STOP, 0, False, False),
    (refused(404, "model_not_found"), "status 404", Do.STOP, 0, False, False),
    (refused(400, "unsupported_parameter", "logprobs"), "status 400", Do.STOP, 0, False, False),
    (refused(400), "status 400", Do.SET_ASIDE, 0, False, False),
    (refused(400, 400), "status 400", Do.SET_ASIDE, 0, False, False),  # vLLM writes the status where a code belongs
    (refused(422), "status 422", Do.SET_ASIDE, 0, False, False),
    (NoReply("what came is no completion"), "broken_body", Do.RETRY, 0, True, False),
    (openai.APITimeoutError(request=None), "timeout", Do.RETRY, 0, True, False),
    (openai.APIConnectionError(request=None), "connection", Do.RETRY, 0, True, False),
]  # fmt: skip


@pytest.mark.parametrize(("error", "kind", "do", "wait", "billed", "overload"), FAILED)
def test_the_policy(error, kind, do, wait, billed, overload):
    assert failure.failure(error) == Failure(kind, do, wait, billed, overload)


UNSEEN = [  # what an endpoint will not look at, and would not the second time: the reason an item gets
    (refused(400, "content_filter", "prompt"), "content_filter"),
    (refused(400, "content_policy_violation"), "content_filter"),
    (refused(400, "context_length_exceeded", "messages"), "context_length"),
    (refused(400, "string_above_max_length"), "context_length"),
    (refused(413), "context_length"),
    (refused(400), None),
    (refused(429, "context_length_exceeded"), None),
    (openai.APITimeoutError(request=None), None),
]


@pytest.mark.parametrize(("error", "reason"), UNSEEN)
def test_what_an_endpoint_will_not_look_at_is_an_answer_about_the_item(error, reason):
    assert refused_unseen(error) == reason


WAITS = [  # headers, seconds: the longest of what they say
    ({}, 0),
    ({"retry-after": "7"}, 7),
    ({"retry-after": "0.5"}, 0.5),
    ({"retry-after-ms": "1500"}, 1.5),
    ({"retry-after-ms": "1500", "retry-after": "2"}, 2),
    ({"retry-after": "1", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "7.66s"}, 7.66),
    ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "120ms"}, 0.12),
    ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "120ms"}, 0),  # it is not used up
    ({"retry-after": "-3"}, 0),
    ({"retry-after": "soon"}, 0),
    ({"retry-after": "nan"}, 0),
    ({"retry-after": "inf"}, 0),
    ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),  # long gone
]


@pytest.mark.parametrize(("headers", "seconds"), WAITS)
def test_how_long_an_endpoint_asks_to_wait(headers, seconds):
    assert wait_s(httpx2.Headers(headers)) == approx(seconds)


def test_a_date_to_wait_for_is_as_far_away_as_it_is():
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 58 < wait_s(httpx2.Headers({"retry-after": in_a_minute})) <= 60


@pytest.mark.parametrize(("written", "seconds"), [("6m0s", 360), ("1s", 1), ("120ms", 0.12), ("1h2m3.5s", 3723.5), ("", 0), (None, 0), ("30", 0)])  # fmt: skip
def test_durations(written, seconds):
    assert duration_s(written) == approx(seconds)


@settings(deadline=None)
@given(st.dictionaries(
    st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]),
    st.text(st.characters(max_codepoint=255)) | st.from_regex(r"(\w{3}, )?\d+ \w{3} \d+ [\d:]+ ?[-+\w]*", fullmatch=True)
    | st.from_regex(r"\d+(ms|h|m|s)?", fullmatch=True),
))  # fmt: skip
def test_no_header_breaks_the_reading_of_headers(headers):
    assert wait_s(headers) >= 0


def complaints():
    return [complaint(error, "http://me:pass@there/v1?key=k", "m", "THE_KEY") for error, *_ in FAILED]


def test_no_complaint_repeats_a_message_a_password_or_a_query():
    assert all("http://there/v1" in said for said in complaints())
    assert not any(word in said for said in complaints() for word in (SECRET, "pass", "key=k"))


def test_a_complaint_names_the_part_of_a_request_that_is_refused_and_nothing_that_only_looks_like_one():
    named, other = (complaint(refused(400, None, param), "http://there/v1", "m") for param in ("logprobs", SECRET))
    assert "`logprobs`" in named and SECRET not in other


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def reset(writer):
    """Close a connection as a crash does: with RST."""
    peer = writer.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def sends(answer):
    """Return what writes an answer and closes."""

    def act(writer):
        writer.write(answer)
        writer.close()

    return act


@asynccontextmanager
async def endpoint(act):
    """Yield the address of an endpoint that reads a request to its end and then acts."""

    async def handle(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = (line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        await reader.readexactly(int(length))
        act(writer)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()


async def asked(base_url):
    """Return the failure that asking an address ends with, as the real client and its transport raise it."""
    async with client(base_url) as one:
        try:
            await one.post("/chat/completions", cast_to=httpx2.Response, body={"model": "m"})
        except openai.OpenAIError as error:
            return failure.failure(error)


@pytest.mark.parametrize(
    "act",
    [
        reset,
        lambda writer: writer.close(),
        sends(HEAD + b'content-length: 100\r\n\r\n{"choices"'),
        sends(HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nab"),
        sends(HEAD + b"content-encoding: gzip\r\ncontent-length: 5\r\n\r\nabcde"),
    ],
    ids=["reset", "closed", "cut", "cut in a chunk", "garbled"],
)
def test_a_connection_that_breaks_once_the_request_is_out_may_be_billed(monkeypatch, act):
    monkeypatch.setenv("OPENAI_API_KEY", "k")

    async def broken():
        async with endpoint(act) as base_url:
            return await asked(base_url)

    assert asyncio.run(broken()) == Failure("connection", Do.RETRY, may_be_billed=True)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_connection_that_never_came_about_is_not_billed(monkeypatch, scheme):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # taken, and nobody listens
        base_url = f"{scheme}://127.0.0.1:{free.getsockname()[1]}/v1"
        assert asyncio.run(asked(base_url)) == Failure("connection", Do.RETRY)


def test_a_connection_that_takes_too_long_to_come_about_is_not_billed(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setattr("tasks.endpoint.CONNECT_S", 0.2)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        there = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:  # whoever comes after these is left waiting
            one.setblocking(False)
            one.connect_ex(there)
        assert asyncio.run(asked(f"http://127.0.0.1:{there[1]}/v1")) == Failure("timeout", Do.RETRY)
        for one in waiting:
            one.close()


@pytest.mark.parametrize("url", ["there/v1", "ftp://there", "http://", "http://[", "http://there:99999/v1", "http://there:x/v1", "http://me:pass@there/v1"])  # fmt: skip
def test_an_address_that_cannot_be_called_is_refused_before_anything_is_asked(monkeypatch, url):
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(RequestError, match="OPENAI_BASE_URL") as refusal:
        address("m", None)
    assert "pass@" not in str(refusal.value)
