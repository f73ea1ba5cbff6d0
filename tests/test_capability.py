"""Capabilities: what an endpoint lacks is found by asking, named or not, and is never asked for again."""

import asyncio
import json

import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import Options, serving

from tasks.annotator import profile
from tasks.endpoint import wire
from tasks.endpoint.capability import Capabilities, probe

SCHEMA = {"type": "object", "properties": {"label": {"type": "string", "enum": ["good", "bad"]}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": SCHEMA}}
MESSAGES = [{"role": "system", "content": "Label."}, {"role": "user", "content": "It was good."}]
BODY = {"model": "m", "messages": MESSAGES, "response_format": FORMAT, "temperature": 0.0, "seed": 0,
        "max_completion_tokens": 64, "logprobs": True, "top_logprobs": 20, "store": False}  # fmt: skip
ALL = Capabilities()


def without(*parts, **kept):
    return Capabilities(**dict.fromkeys(parts, False) | kept)


def less(*parts, **changed):
    return {key: value for key, value in BODY.items() if key not in parts} | changed


FITTED = [  # what an endpoint supports, and what becomes of the body
    (ALL, BODY),
    (without("seed"), less("seed")),
    (without("store", "temperature"), less("store", "temperature")),
    (without("logprobs"), less("logprobs", "top_logprobs")),
    (without(max_top_logprobs=5), less(top_logprobs=5)),
    (without("max_completion_tokens"), less("max_completion_tokens", max_tokens=64)),
    (without(response_format="json_object"), less(response_format={"type": "json_object"})),
    (without(response_format="none"), less("response_format")),
    (without("gives_logprobs"), BODY),
]


@pytest.mark.parametrize(("capabilities", "fitted"), FITTED)
def test_a_body_keeps_what_the_endpoint_takes(capabilities, fitted):
    assert capabilities.fit(BODY) == fitted
    assert capabilities.fit(fitted) == fitted


def test_what_was_not_asked_for_is_not_added():
    least = {"model": "m", "messages": MESSAGES}
    assert Capabilities(max_top_logprobs=5, response_format="json_object").fit(least) == least


def found_of(ask, body=BODY):
    return asyncio.run(probe(ask, body))


def found_at(api="chat", body=BODY, **options):
    """Return what is found of the loopback endpoint with such options."""
    with serving(Options(latency_s=0.0, slow_share=0.0, fault_rate=0.0, **options)) as there:

        async def found():
            async with openai.AsyncOpenAI(api_key="k", base_url=there.address, max_retries=0) as one:

                async def ask(body):
                    spelled = wire.spelled(api, body)
                    answer = await one.post(wire.PATHS[api], cast_to=httpx2.Response, body=spelled)
                    return wire.reply(api, answer.content, profile.compact)

                return await probe(ask, body)

        return asyncio.run(found())


LACKING = [  # what a chat endpoint is like, and what is found of it
    ({}, ALL),
    ({"lacks": ("logprobs",)}, without("logprobs", "gives_logprobs")),
    ({"lacks": ("seed",)}, without("seed")),
    ({"lacks": ("temperature",)}, without("temperature")),
    ({"lacks": ("max_completion_tokens",)}, without("max_completion_tokens")),
    ({"lacks": ("json_schema",)}, without(response_format="json_object")),
    ({"max_top_logprobs": 5}, without(max_top_logprobs=5)),
    ({"max_top_logprobs": 6}, without(max_top_logprobs=5)),
    ({"ignores": ("logprobs",)}, without("gives_logprobs")),
    ({"lacks": ("logprobs", "temperature", "seed")}, without("logprobs", "gives_logprobs", "temperature", "seed")),
]  # fmt: skip


@pytest.mark.parametrize(("options", "found"), LACKING)
def test_what_an_endpoint_lacks_is_found(options, found):
    assert found_at(**options) == found


@pytest.mark.parametrize(("options", "found"), [
    ({}, ALL),
    ({"lacks": ("logprobs",)}, without("logprobs", "gives_logprobs")),
    ({"lacks": ("temperature",)}, without("temperature")),
])  # fmt: skip
def test_and_by_the_other_protocol(options, found):
    assert found_at("responses", **options) == found


def refusal(status=400, message="The request is not valid.", param=None, body=None):
    """Return the error the client makes of a refusal."""
    said = body or {"error": {"message": message, "param": param, "code": None}}
    asked = httpx2.Request("POST", "http://there/v1/chat/completions")
    answer = httpx2.Response(status, content=json.dumps(said).encode(), request=asked)
    return openai.AsyncOpenAI(api_key="k", base_url="http://there/v1")._make_status_error_from_response(answer)


def endpoint(takes, refuse):
    """Return what asks an endpoint that takes such bodies only, and the bodies it was asked with."""
    bodies = []

    async def ask(body):
        bodies.append(body)
        if not takes(body):
            raise refuse(body)
        return {"logprobs": "[]" if body.get("logprobs") else None}

    return ask, bodies


SAID = [  # a refusal as endpoints word it, and what is given up for it
    ({"param": "logprobs"}, without("logprobs")),
    ({"message": "Unsupported parameter: 'logprobs' is not supported with this model."}, without("logprobs")),
    ({"message": "Unrecognized request argument supplied: seed"}, without("seed")),
    ({"param": "response_format.json_schema"}, without(response_format="json_object")),
    ({"message": "Invalid parameter: 'response_format' of type 'json_schema' is not supported"}, without(response_format="json_object")),
    ({"param": "include[0]"}, without("logprobs")),
    ({"param": "text.format"}, without(response_format="json_object")),
    ({"param": "temperature", "message": "Only the default (1) value is supported."}, without("temperature")),
    ({"param": "top_logprobs", "message": "must be <= 5"}, without(max_top_logprobs=8)),
    ({"message": "Requested sample logprobs of 20, which is greater than max allowed: 5"}, without(max_top_logprobs=8)),
    ({"status": 422, "body": {"detail": [{"loc": ["body", "store"], "msg": "Extra inputs are not permitted"}]}}, without("store")),
    ({"status": 422, "body": {"object": "error", "message": "[{'loc': ('body', 'seed')}]", "code": 422}}, without("seed")),
]  # fmt: skip


@pytest.mark.parametrize(("said", "found"), SAID)
def test_what_a_refusal_names_is_given_up_at_once(said, found):
    ask, bodies = endpoint(lambda body: len(bodies) > 1, lambda body: refusal(**said))
    assert found_of(ask) == Capabilities(**found.row | {"gives_logprobs": found.logprobs})
    assert bodies[:2] == [BODY, found.fit(BODY)]


def test_fewer_alternatives_are_asked_for_until_there_are_few_enough():
    said = "Requested sample logprobs of {}, which is greater than max allowed: 5"
    ask, bodies = endpoint(
        lambda body: body["top_logprobs"] <= 5, lambda body: refusal(message=said.format(body["top_logprobs"]))
    )
    assert found_of(ask) == without(max_top_logprobs=5)
    assert [body["top_logprobs"] for body in bodies] == [20, 8, 5]


def test_a_reasoning_model_refuses_one_parameter_after_the_other():
    banned = ("temperature", "logprobs", "top_logprobs")
    ask, bodies = endpoint(
        lambda body: not any(part in body for part in banned),
        lambda body: refusal(param=next(part for part in banned if part in body)),
    )
    assert found_of(ask) == without("temperature", "logprobs", "gives_logprobs")
    assert len(bodies) == 3


@pytest.mark.parametrize("part", ["logprobs", "response_format", "seed", "store", "temperature", "max_completion_tokens"])  # fmt: skip
@pytest.mark.parametrize("status", [400, 422])
def test_where_no_part_is_named_only_the_one_that_is_refused_is_given_up(part, status):
    ask, _ = endpoint(
        lambda body: part not in body or body[part] == {"type": "json_object"}, lambda body: refusal(status)
    )
    expected = without(response_format="json_object") if part == "response_format" else without(part)
    assert found_of(ask) == Capabilities(**expected.row | {"gives_logprobs": part != "logprobs"})


def test_where_several_are_refused_and_none_is_named_they_are_given_up_one_after_the_other():
    ask, _ = endpoint(lambda body: not {"seed", "store"} & body.keys(), lambda body: refusal())
    found = found_of(ask)
    assert not (found.seed or found.store)
    assert found.temperature and found.max_completion_tokens  # they stand further down the list


@pytest.mark.parametrize("said", [{}, {"param": "messages"}, {"param": "logprobs"}, {"message": "Say max_tokens"}])
def test_a_request_with_nothing_left_to_give_up_is_refused(said):
    ask, bodies = endpoint(lambda body: False, lambda body: refusal(**said))
    with pytest.raises(openai.BadRequestError):
        found_of(ask)
    assert {"model": "m", "messages": MESSAGES, "max_tokens": 64} in bodies  # the least there is


@settings(deadline=None, max_examples=12)
@given(st.frozensets(st.sampled_from(["logprobs", "response_format", "seed", "store", "temperature", "max_completion_tokens"])), st.booleans())  # fmt: skip
def test_whatever_an_endpoint_lacks_what_is_found_is_taken(lacks, names_it):
    def param(body):
        return next(part for part in sorted(lacks) if part in body) if names_it else None

    ask, bodies = endpoint(lambda body: not lacks & body.keys(), lambda body: refusal(param=param(body)))
    found = found_of(ask)
    assert not lacks & found.fit(BODY).keys()
    assert len(bodies) <= 20
    assert not names_it or found.fit(BODY).keys() >= BODY.keys() - lacks - {"top_logprobs"}


def test_logprobs_that_do_not_come_once_are_asked_for_again():
    asked = []

    async def ask(body):
        asked.append(body)
        return {"logprobs": "[]" if len(asked) == 3 else None}

    assert found_of(ask) == ALL and len(asked) == 3


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_no_other_refusal_says_what_an_endpoint_supports(status):
    ask, bodies = endpoint(lambda body: False, lambda body: refusal(status, param="logprobs"))
    with pytest.raises(openai.APIStatusError):
        found_of(ask)
    assert len(bodies) == 1
