"""The loopback endpoint: every fault looks as it should, a seed decides, limits hold and bills add up."""

import http.client
import json
import math
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import openai
import pytest
from loopback import FAULTS, Options, answers, serving
from loopback.endpoint import Endpoint
from loopback.limits import Limits, duration
from pytest import approx

LABELS = ["very good", "very bad", "ok"]


def schema(**more):
    return {"type": "object", "properties": {"label": {"type": "string", "enum": LABELS}} | more}


def chat(text="The soup was cold.", fields=None, **changed):
    """Return the body of a Chat Completions request about a text."""
    written = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": fields or schema()}}
    turns = [{"role": "system", "content": "Label the text. " * 8}, {"role": "user", "content": text}]
    return {"model": "m", "messages": turns, "response_format": written, "temperature": 0} | changed


def response(text="The soup was cold.", **changed):
    """Return the body of a Responses request about a text."""
    written = {"format": {"type": "json_schema", "name": "a", "strict": True, "schema": schema()}}
    return {"model": "m", "instructions": "Label.", "input": text, "text": written, "temperature": 0} | changed


LOGPROBS = {"logprobs": True, "top_logprobs": 5}
INCLUDED = {"include": ["message.output_text.logprobs"], "top_logprobs": 5}


def quick(**changed):
    """Return options of an endpoint that answers at once and without faults."""
    return Options(**({"latency_s": 0.0, "fault_rate": 0.0, "slow_share": 0.0} | changed))


def faulty(kind, **changed):
    """Return options of an endpoint whose every answer is faulty in one way."""
    return quick(fault_rate=1.0, faults=(kind,), max_faults_per_key=None, **changed)


def sent(server, body, path="/v1/chat/completions", timeout=2.0, method="POST"):
    """Return (status, headers, body) as the standard library's client reads them."""
    there = urlsplit(server.address)
    connection = http.client.HTTPConnection(there.netloc, timeout=timeout)
    try:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, path, data)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def choice(server, **changed):
    """Return the one choice of the answer to a body that asks for logprobs."""
    return json.loads(sent(server, chat(**LOGPROBS | changed))[2])["choices"][0]


def client(server, **how):
    return openai.OpenAI(api_key="k", base_url=server.address, max_retries=0, **how)


def settled(server, name, value, timeout=2.0):
    """Return the stats once one of them has a value: a cut connection is noticed a moment later."""
    until = time.monotonic() + timeout
    while (stats := server.stats())[name] != value and time.monotonic() < until:
        time.sleep(0.01)
    return stats


STATUSES = [
    # kind, status, error.code, error.type
    ("rate_limit", 429, "rate_limit_exceeded", "requests"),
    ("rate_limit_bare", 429, "rate_limit_exceeded", "requests"),
    ("quota", 429, "insufficient_quota", "insufficient_quota"),
    ("unauthorised", 401, "invalid_api_key", "invalid_request_error"),
    ("status_408", 408, None, "timeout"),
    ("status_500", 500, None, "server_error"),
    ("status_502", 502, None, "server_error"),
    ("status_503", 503, None, "server_error"),
    ("status_529", 529, None, "overloaded_error"),
    ("content_filter_400", 400, "content_filter", None),
    ("context_length", 400, "context_length_exceeded", "invalid_request_error"),
]


@pytest.mark.parametrize("kind, status, code, type_", STATUSES, ids=[row[0] for row in STATUSES])
def test_a_status_fault_has_its_status_and_code_and_costs_nothing(kind, status, code, type_):
    with serving(faulty(kind)) as server:
        got, headers, body = sent(server, chat())
        said = json.loads(body)["error"]
        stats = server.stats()
    assert (got, said["code"], said["type"]) == (status, code, type_)
    assert headers.get("retry-after") == ("0.05" if kind == "rate_limit" else None)
    assert (stats["asked"], stats["billed"], stats["delivered"], stats["usd"]) == (1, 0, 0, 0)
    assert stats["faults"] == {kind: 1}


def test_azures_filter_names_its_policy_and_quotes_the_text():
    with serving(faulty("content_filter_400")) as server:
        said = json.loads(sent(server, chat())[2])["error"]
    assert said["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    assert "The soup was cold." in said["message"]


BROKEN = [
    # kind, what the standard library's client raises, times billed
    ("reset", ConnectionResetError, 0),
    ("timeout", TimeoutError, 1),
    ("truncated", http.client.IncompleteRead, 1),
    ("slow_drip", TimeoutError, 1),
]


@pytest.mark.parametrize("kind, error, billed", BROKEN, ids=[row[0] for row in BROKEN])
def test_a_broken_answer_is_billed_and_not_delivered_unless_nothing_was_made(kind, error, billed):
    with serving(faulty(kind, drip_s=10)) as server:
        with pytest.raises(error):
            sent(server, chat(), timeout=0.3)
        stats = settled(server, "billed", billed)
    assert (stats["billed"], stats["billed_undelivered"], stats["delivered"]) == (billed, billed, 0)
    assert stats["usd_undelivered"] == stats["usd"]


def test_a_slow_drip_that_is_waited_for_is_whole_and_delivered():
    with serving(faulty("slow_drip", drip_s=0.0001)) as server:
        started = time.monotonic()
        _, _, body = sent(server, chat(), timeout=10)
        took_s = time.monotonic() - started
        stats = settled(server, "delivered", 1)
    assert json.loads(body)["choices"][0]["finish_reason"] == "stop"
    assert took_s > (len(body) - 1) * 0.0001
    assert (stats["delivered"], stats["billed_undelivered"]) == (1, 0)


def test_garbage_is_a_200_that_is_no_completion_and_is_billed():
    for kind in ("garbage_html", "garbage_json", "error_body"):
        with serving(faulty(kind)) as server:
            status, headers, body = sent(server, chat())
            stats = server.stats()
        assert status == 200
        if kind == "error_body":
            assert list(json.loads(body)) == ["error"]
        else:
            with pytest.raises(ValueError):
                json.loads(body)
        assert (headers["content-type"] == "text/html") == (kind == "garbage_html")
        assert (stats["billed_undelivered"], stats["delivered"]) == (1, 0)


SAID = [
    # kind, finish_reason, the answer's label or why there is none
    ("wrong_label", "stop", "unheard-of"),
    ("refusal", "stop", "refused"),
    ("length", "length", "cut"),
    ("content_filter", "content_filter", "cut"),
    ("empty", "stop", "none"),
    ("prose", "stop", "cut"),
    ("null_logprobs", "stop", "a label"),
    ("strange_logprobs", "stop", "a label"),
]


def label_of(content, refusal):
    """Return the label that a content gives, or why it gives none."""
    if content is None:
        return "refused" if refusal else "none"
    try:
        label = json.loads(content)["label"]
    except ValueError:
        return "cut"
    return "a label" if label in LABELS else label


@pytest.mark.parametrize("kind, finish, label", SAID, ids=[row[0] for row in SAID])
def test_a_whole_answer_that_says_something_else_is_delivered_and_billed(kind, finish, label):
    with serving(faulty(kind)) as server:
        said = choice(server)
        stats = server.stats()
    assert (said["finish_reason"], label_of(said["message"]["content"], said["message"]["refusal"])) == (finish, label)
    assert (stats["delivered"], stats["billed"], stats["billed_undelivered"]) == (1, 1, 0)
    assert said["logprobs"] is None or kind not in ("null_logprobs", "refusal", "empty")


@pytest.mark.parametrize("kind, finish, label", SAID, ids=[row[0] for row in SAID])
def test_the_responses_api_says_the_same_in_its_own_shape(kind, finish, label):
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    with serving(faulty(kind)) as server:
        said = json.loads(sent(server, response(**INCLUDED), "/v1/responses")[2])
    parts = [part for message in said["output"] for part in message["content"]]
    contents = [part["text"] for part in parts if part["type"] == "output_text"] or [None]
    refusals = [part["refusal"] for part in parts if part["type"] == "refusal"] or [None]
    assert label_of(contents[0], refusals[0]) == label
    assert said["incomplete_details"] == ({"reason": reasons[finish]} if finish in reasons else None)
    assert said["status"] == ("incomplete" if finish in reasons else "completed")


def test_strange_logprobs_are_of_several_makes_and_none_is_the_right_one():
    with serving(faulty("strange_logprobs")) as server:
        made = [choice(server, text=f"item {n}")["logprobs"] for n in range(40)]
    right = [m for m in made if all(isinstance(t, dict) and isinstance(t.get("logprob"), float) for t in m.get("content", [0]))]  # fmt: skip
    assert right == []
    assert len({str(m)[:40] for m in made}) >= 3


RAISED = [
    ("rate_limit", openai.RateLimitError),
    ("unauthorised", openai.AuthenticationError),
    ("context_length", openai.BadRequestError),
    ("status_503", openai.InternalServerError),
    ("timeout", openai.APITimeoutError),
    ("reset", openai.APIConnectionError),
    ("truncated", openai.APIConnectionError),
]


@pytest.mark.parametrize("kind, error", RAISED, ids=[row[0] for row in RAISED])
def test_the_openai_client_meets_the_error_of_each_kind(kind, error):
    with serving(faulty(kind)) as server, client(server, timeout=0.3) as asking, pytest.raises(error):
        asking.chat.completions.create(**chat())


def faults_met(endpoint, texts):
    """Return the fault of each text's three calls."""
    met = {}
    for text in texts:
        met.setdefault(text, []).append(endpoint.plan("chat", json.dumps(chat(text)).encode(), 0.0).fault)
    return met


def test_a_seed_decides_the_faults_whatever_the_order():
    texts = [f"item {n}" for n in range(50)] * 3
    first = faults_met(Endpoint(Options(seed=7)), texts)
    assert faults_met(Endpoint(Options(seed=7)), reversed(texts)) == first
    assert faults_met(Endpoint(Options(seed=8)), texts) != first


def test_limits_do_not_change_which_faults_a_seed_decides():
    texts = [f"item {n}" for n in range(20)]
    limited = Endpoint(Options(requests_per_minute=10, enforcement="window"))
    first = [fault for text in texts[:10] for fault in faults_met(limited, [text])[text]]
    turned_away = [limited.plan("chat", json.dumps(chat(text)).encode(), 0.0).status for text in texts[10:]]
    later = [limited.plan("chat", json.dumps(chat(text)).encode(), 61.0).fault for text in texts[10:]]
    free = faults_met(Endpoint(Options()), texts)
    assert turned_away == [429] * 10
    assert first + later == [free[text][0] for text in texts]


def test_faults_come_at_their_rate_and_every_kind_comes():
    met = faults_met(Endpoint(Options()), [f"item {n}" for n in range(3000)])
    counted = Counter(fault for (fault,) in met.values() if fault)
    # 3000 calls at 0.3: 900 ± 25 (one standard deviation), so 800 to 1000 is four
    assert 800 < counted.total() < 1000
    assert set(counted) == set(FAULTS)


def test_a_request_that_had_its_share_of_faults_is_answered_well():
    endpoint = Endpoint(quick(fault_rate=1.0, faults=("status_500", "refusal"), max_faults_per_key=2))
    met = faults_met(endpoint, ["a"] * 4 + ["b"])
    assert [bool(fault) for fault in met["a"]] == [True, True, False, False]
    assert bool(met["b"][0])


def test_a_key_may_be_revoked_and_a_quota_end_midway():
    with serving(quick(unauthorised_after=2)) as server:
        assert [sent(server, chat(f"{n}"))[0] for n in range(4)] == [200, 200, 401, 401]
        server.reset(quick(quota_after=1))
        last = [sent(server, chat(f"{n}")) for n in range(2)][1]
    assert (last[0], json.loads(last[2])["error"]["code"]) == (429, "insufficient_quota")


def test_bills_add_up_to_what_the_answers_say():
    options = quick(fault_rate=0.5, faults=("status_500", "refusal", "garbage_json", "reset"), seed=3)
    took = Counter()
    with serving(options) as server:
        for n in range(80):
            try:
                status, _, body = sent(server, chat(f"item {n % 60}"))
            except (ConnectionResetError, http.client.RemoteDisconnected):
                continue
            try:
                usage = json.loads(body)["usage"] if status == 200 else None
            except ValueError:
                usage = None
            if usage:
                details = usage["prompt_tokens_details"]
                took += Counter(answers=1, prompt=usage["prompt_tokens"], cached=details["cached_tokens"],
                                completion=usage["completion_tokens"])  # fmt: skip
        stats = server.stats(keys=True)
    rows = stats["per_key"].values()
    # dollars a million: 0.15 a prompt token, 0.075 a cached one, 0.6 a completion token
    usd = ((took["prompt"] - took["cached"]) * 0.15 + took["cached"] * 0.075 + took["completion"] * 0.6) / 1e6
    assert took["answers"] == stats["delivered"] == stats["billed"] - stats["billed_undelivered"]
    assert stats["usd"] - stats["usd_undelivered"] == approx(usd)
    assert stats["billed_undelivered"] == stats["faults"]["garbage_json"] > 0
    assert stats["asked"] == 80 == stats["billed"] + stats["faults"]["status_500"] + stats["faults"]["reset"]
    assert (len(rows), stats["calls_per_key"]) == (60, {1: 40, 2: 20})
    assert stats["billed_again"] == sum(row["billed"] > 1 for row in rows)
    for name in ("asked", "delivered", "billed_prompt_tokens", "billed_completion_tokens"):
        assert sum(row[name] for row in rows) == stats[name]


def test_a_tier_has_its_price_and_the_tier_that_answers_may_be_another():
    with serving(quick(usd_cached=0.15)) as server:
        tiers = [json.loads(sent(server, chat(service_tier=tier))[2])["service_tier"] for tier in ("auto", "flex")]
        cost = [row["usd"] for row in server.stats(keys=True)["per_key"].values()]
        server.reset(quick(tier_served="default"))
        served = json.loads(sent(server, chat(service_tier="priority"))[2])["service_tier"]
    assert (tiers, served) == (["default", "flex"], "default")
    assert cost[1] == approx(cost[0] / 2, rel=0.01)  # same length, half the price


ADMITTED = [
    # enforcement, times asked in seconds, whether let in: 2 requests a minute, a minute of 10 s
    ("bucket", [0, 0, 0, 4.9, 5.0, 5.0], [1, 1, 0, 0, 1, 0]),  # one refills every 5 s
    ("window", [0, 1, 9, 9.9, 10, 10, 11], [1, 1, 0, 0, 1, 0, 1]),  # each leaves 10 s after it came
]


@pytest.mark.parametrize("enforcement, times, let_in", ADMITTED, ids=["bucket", "window"])
def test_a_request_is_turned_away_when_and_only_when_the_limit_is_passed(enforcement, times, let_in):
    limits = Limits(2, None, enforcement, 10.0)
    assert [limits.admit(float(at), 1)[0] == 0 for at in times] == [bool(flag) for flag in let_in]


@pytest.mark.parametrize("enforcement", ["bucket", "window"])
def test_what_is_told_to_wait_is_let_in_just_after(enforcement):
    limits = Limits(100, 1000, enforcement, 10.0)
    assert limits.admit(0.0, 600) == (0, "")
    assert limits.admit(1.0, 300) == (0, "")
    wait_s, limit = limits.admit(1.0, 500)
    # bucket: 100 tokens/s; 400 left at 0, 200 after the second; 300 lack: 3 s. window: 600 leave at 10: 9 s
    assert (wait_s, limit) == (approx({"bucket": 3.0, "window": 9.0}[enforcement]), "tokens")
    assert limits.admit(1.0 + wait_s - 0.01, 500)[0] > 0
    assert limits.admit(1.0 + wait_s, 500)[0] == 0


def test_limits_are_told_in_headers_of_every_answer():
    options = quick(requests_per_minute=2, tokens_per_minute=10_000, minute_s=60, enforcement="window")
    with serving(options) as server:
        first, second, third = (sent(server, chat()) for _ in range(3))
        stats = server.stats()
    assert [status for status, _, _ in (first, second, third)] == [200, 200, 429]
    assert [answer[1]["x-ratelimit-remaining-requests"] for answer in (first, second, third)] == ["1", "0", "0"]
    usage = json.loads(first[2])["usage"]["total_tokens"]
    assert int(first[1]["x-ratelimit-remaining-tokens"]) == 10_000 - usage
    assert first[1]["x-ratelimit-reset-requests"] == "1m0s"
    assert 59 <= int(third[1]["retry-after"]) <= 60
    assert (stats["limited"], stats["delivered"], stats["billed"], stats["admitted_tokens"]) == (1, 2, 2, 2 * usage)


def test_a_limit_may_count_the_most_an_answer_can_take():
    with serving(quick(tokens_per_minute=10_000, limit_counts="reserved")) as server:
        _, headers, body = sent(server, chat(max_completion_tokens=500))
    left = 10_000 - json.loads(body)["usage"]["prompt_tokens"] - 500
    assert int(headers["x-ratelimit-remaining-tokens"]) in (left, left + 1)


@pytest.mark.parametrize(
    "seconds, written",
    [(0.0, "0ms"), (0.0121, "13ms"), (1.0, "1s"), (7.66, "7.66s"), (60.0, "1m0s"), (360.0, "6m0s"), (90.5, "1m30.5s")],
)
def test_durations_are_written_as_endpoints_write_them(seconds, written):
    assert duration(seconds) == written


LACKING = [
    # feature, what is asked, error.code, error.param
    ("json_schema", {}, "unsupported_value", "response_format"),
    ("logprobs", LOGPROBS, "unsupported_parameter", "logprobs"),
    ("top_logprobs", LOGPROBS, "unsupported_parameter", "top_logprobs"),
    ("seed", {"seed": 0}, "unsupported_parameter", "seed"),
    ("temperature", {"temperature": 0}, "unsupported_value", "temperature"),
    ("max_completion_tokens", {"max_completion_tokens": 9}, "unsupported_parameter", "max_completion_tokens"),
]


@pytest.mark.parametrize("feature, asked, code, param", LACKING, ids=[row[0] for row in LACKING])
def test_what_a_model_lacks_is_refused_by_name_and_what_does_not_ask_for_it_is_not(feature, asked, code, param):
    with serving(quick(lacks=(feature,))) as server:
        status, _, body = sent(server, chat(**asked))
        without = chat(response_format={"type": "json_object"}) | {"temperature": 1}
        assert sent(server, without)[0] == 200
    said = json.loads(body)["error"]
    assert (status, said["code"], said["param"]) == (400, code, param)


def test_too_many_alternatives_too_many_answers_and_strangers_are_refused():
    asked = [chat(logprobs=True, top_logprobs=6), chat(logprobs=True, top_logprobs=21), chat(n=2)]
    with serving(quick(max_top_logprobs=5, models=("m",), api_key="k")) as server:
        assert sent(server, chat())[0] == 401
        server.reset(quick(max_top_logprobs=5, models=("m",)))
        params = [json.loads(sent(server, body)[2])["error"]["param"] for body in asked]
        assert sent(server, chat(model="other"))[0] == 404
        assert sent(server, b"{")[0] == sent(server, b"[1]")[0] == sent(server, {"model": "m"})[0] == 400
        unknown = json.loads(sent(server, response(seed=1), "/v1/responses")[2])["error"]
    assert params == ["top_logprobs", "top_logprobs", "n"]
    assert (unknown["code"], unknown["param"]) == ("unknown_parameter", "seed")


def test_what_is_ignored_is_dropped_without_a_word():
    system = {"role": "system", "content": "Choose one:\n- yes: It is.\n- no: It is not.\n"}
    with serving(quick(ignores=("logprobs", "json_schema"))) as server:
        said = choice(server, messages=[system, {"role": "user", "content": "x"}])
    assert said["logprobs"] is None
    assert json.loads(said["message"]["content"])["label"] in ("yes", "no")  # of the prompt, not of the schema


def test_logprobs_give_each_label_its_share():
    fields = schema(reason={"type": "string"}, confidence={"type": "number"})
    fields["properties"] = {key: fields["properties"][key] for key in ("reason", "label", "confidence")}
    with serving(quick()) as server:
        said = choice(server, fields=fields, top_logprobs=20)
    listed, content = said["logprobs"]["content"], said["message"]["content"]
    assert "".join(token["token"] for token in listed) == content
    answer = json.loads(content)
    assert list(answer) == ["reason", "label", "confidence"] and 0 <= answer["confidence"] <= 1
    assert len(listed) > 30 and all(len(token["top_logprobs"]) == 20 for token in listed)
    assert min(one["logprob"] for token in listed for one in token["top_logprobs"]) == -9999.0
    pick = answers.pick(answers.form_of(fields, ""), 0, "The soup was cold.", None, None)
    shares = answers.distribution(pick.form.labels, pick.mode, pick.variant)
    opened = next(n for n, token in enumerate(listed) if token["token"] == "label") + 2
    closed = next(n for n, token in enumerate(listed) if n > opened and token["token"] == '","')
    chosen = math.exp(sum(token["logprob"] for token in listed[opened : closed + 1]))
    assert chosen == approx(shares[answer["label"]], abs=1e-6)  # a product of the steps to it
    assert math.fsum(shares.values()) == approx(1 - answers.SHARES[pick.variant][1])


def test_above_temperature_nought_labels_are_drawn_from_the_distribution():
    endpoint = Endpoint(quick())
    plans = [endpoint.plan("chat", json.dumps(chat(temperature=1, seed=n)).encode(), 0.0) for n in range(1000)]
    drawn = Counter(
        json.loads(json.loads(plan.body)["choices"][0]["message"]["content"])["label"] for plan in plans
    )  # fmt: skip
    pick = answers.pick(answers.form_of(schema(), ""), 0, "The soup was cold.", None, None)
    shares = answers.distribution(pick.form.labels, pick.mode, pick.variant)
    # a share of 1000 draws has a standard deviation of at most 0.016: four of them
    assert {label: drawn[label] / 1000 for label in shares} == approx(
        {label: share / sum(shares.values()) for label, share in shares.items()}, abs=0.064
    )


def test_an_answer_longer_than_its_cap_is_cut():
    with serving(quick()) as server:
        said = json.loads(sent(server, chat(max_completion_tokens=3))[2])
    assert (said["choices"][0]["finish_reason"], said["usage"]["completion_tokens"]) == ("length", 3)


def test_a_system_message_seen_before_is_cached():
    with serving(quick()) as server:
        usage = [json.loads(sent(server, chat(text))[2])["usage"] for text in ("a", "b")]
    # "Label the text. " eight times is 128 characters, 32 tokens
    assert [part["prompt_tokens_details"]["cached_tokens"] for part in usage] == [0, 32]


def test_the_openai_client_reads_a_response_and_its_logprobs_only_where_included():
    with serving(quick()) as server, client(server) as asking:
        plain = asking.responses.create(**response())
        with_logprobs = asking.responses.create(**response(**INCLUDED))
        models = [model.id for model in asking.models.list()]
    assert json.loads(plain.output_text)["label"] in LABELS
    assert plain.output[0].content[0].logprobs == []
    assert len(with_logprobs.output[0].content[0].logprobs[0].top_logprobs) == 5
    assert plain.usage.total_tokens == plain.usage.input_tokens + plain.usage.output_tokens
    assert models == ["loopback"]


def test_requests_follow_each_other_on_one_connection_whole_chunked_or_in_pieces():
    body = json.dumps(chat()).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
    whole = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    with serving(quick()) as server:
        there = urlsplit(server.address)
        with socket.create_connection((there.hostname, there.port), timeout=2) as peer:
            peer.sendall(whole + chunked + whole[:50])
            time.sleep(0.05)
            peer.sendall(whole[50:])
            got = b""
            while got.count(b"total_tokens") < 3:
                got += peer.recv(65536)
        stats = server.stats()
    assert got.count(b"HTTP/1.1 200 OK") == 3
    assert (stats["delivered"], stats["connected"], stats["keys"]) == (3, 1, 1)


def test_without_keep_alive_a_connection_serves_once():
    with serving(quick(keep_alive=False)) as server, client(server) as asking:
        for _ in range(3):
            asking.chat.completions.create(**chat())
        assert server.stats()["connected"] == 3


def test_a_slow_answer_takes_its_factor():
    endpoint = Endpoint(Options(fault_rate=0.0))
    plans = [endpoint.plan("chat", json.dumps(chat(f"{n}")).encode(), 0.0) for n in range(2000)]
    delays = Counter(plan.delay_s for plan in plans)
    assert set(delays) == {0.1, 1.0}
    assert 5 <= delays[1.0] <= 40  # 20 ± 4.5


def test_stats_and_reset_are_had_over_the_wire():
    with serving(quick()) as server:
        sent(server, chat())
        keyed = json.loads(sent(server, None, "/stats?keys=1", method="GET")[2])
        sent(server, {"fault_rate": 1.0, "faults": ["status_500"]}, "/reset")
        status = sent(server, chat())[0]
        stats = json.loads(sent(server, None, "/stats", method="GET")[2])
    assert [row["delivered"] for row in keyed["per_key"].values()] == [1]
    assert (status, stats["asked"], stats["faults"], "per_key" in stats) == (500, 1, {"status_500": 1}, False)


def test_it_ends_within_a_second_while_connections_hang():
    with serving(faulty("timeout")) as server:
        there = urlsplit(server.address)
        hanging = [http.client.HTTPConnection(there.netloc, timeout=5) for _ in range(20)]
        for connection in hanging:
            connection.request("POST", "/v1/chat/completions", json.dumps(chat()))
        assert settled(server, "asked", 20)["most_at_once"] == 20
        started = time.monotonic()
    assert time.monotonic() - started < 1
    assert server.stats()["billed_undelivered"] == 20
    for connection in hanging:
        connection.close()


def test_a_process_of_its_own_says_where_it_is_and_ends_when_told():
    command = [
        sys.executable,
        "-m",
        "loopback",
        "--latency-s",
        "30",
        "--fault-rate",
        "0",
        "--faults",
        "status_500,reset",
    ]
    with subprocess.Popen(command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True) as process:
        there = urlsplit(json.loads(process.stdout.readline())["address"])
        assert there.path == "/v1"
        connection = http.client.HTTPConnection(there.netloc, timeout=5)
        connection.request("POST", "/v1/chat/completions", json.dumps(chat()))
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert time.monotonic() - started < 1
        connection.close()


def test_options_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="no such fault"):
        Options(faults=("flood",))
    with pytest.raises(ValueError, match="enforcement"):
        Options(enforcement="leaky")
