"""A model's answer: what is asked for, what a reply is read as, and what several samples say together."""

import json
import math

import pytest
from pytest import approx

from schemas.annotation import Annotation
from schemas.curation import LLMAnnotator
from schemas.row import columns
from tasks.annotator import chat, profile, prompt
from tasks.annotator.chat import Answer
from tasks.endpoint import wire

LABELS = ["yes", "no", "maybe"]
ANSWER = {"role": "assistant", "content": '{"label": "no"}', "refusal": None}
CHOICE = {"index": 0, "finish_reason": "stop", "message": ANSWER, "logprobs": None}


def annotator(**changed):
    return LLMAnnotator(**{"name": "a", "kind": "llm", "model": "m"} | changed)


def body(sample=0, **changed):
    asked = annotator(**changed)
    chat_of = prompt.messages("Label.", [], prompt.Example("1", "Cold soup.", "{}"))
    return chat.request(asked, chat_of, prompt.answer_format(asked, LABELS), sample)


def reply(content=None, **changed):
    """Return the stored reply of an endpoint whose choice is changed, or that says so."""
    said = {"message": ANSWER | {"content": content}} if content is not None else {}
    completion = {"model": "m-1", "choices": [CHOICE | said | changed]}
    return wire.reply("chat", json.dumps(completion).encode(), profile.compact)


def test_one_sample_is_asked_for_without_chance_and_more_with_it():
    assert [body()[key] for key in ("temperature", "seed", "max_completion_tokens")] == [0, 0, 256]
    assert [body(3, samples=5)[key] for key in ("temperature", "seed")] == [1, 3]
    assert [body(3, samples=5, temperature=0.5, max_answer_tokens=64)[key]
            for key in ("temperature", "seed", "max_completion_tokens")] == [0.5, 3, 64]  # fmt: skip


def test_an_endpoint_is_asked_not_to_keep_what_it_is_sent_and_for_a_tier_only_where_one_is_named():
    assert body()["store"] is False and "service_tier" not in body()
    assert body(service_tier="flex")["service_tier"] == "flex"


READ = [  # a choice, the label read from it, and why there is none
    ({}, "no", None),
    ({"message": ANSWER | {"content": '{"label": "perhaps"}'}}, None, "not_a_label"),
    ({"message": ANSWER | {"content": '{"label": ["no"]}'}}, None, "not_a_label"),
    ({"message": ANSWER | {"content": '{"label": null}'}}, None, "not_a_label"),
    ({"message": ANSWER | {"content": '{"label": "n'}}, None, "not_json"),
    ({"message": ANSWER | {"content": '{"reason": "Cold."}'}}, None, "not_json"),
    ({"message": ANSWER | {"content": "no"}}, None, "not_json"),
    ({"message": ANSWER | {"content": "[]"}}, None, "not_json"),
    ({"message": ANSWER | {"content": ""}}, None, "not_json"),
    ({"message": ANSWER | {"content": "[" * 100_000}}, None, "not_json"),
    ({"message": ANSWER | {"content": '{"label": "no"} or {"label": "yes"}'}}, None, "not_json"),
    ({"message": ANSWER | {"content": '```json\n{"label": "no"}\n```'}}, "no", None),
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
    answer = chat.read(reply(**choice), LABELS)
    assert (answer.label, answer.reason, answer.source) == (label, reason, "none")


def tokens(before, **shares):
    """Return tokens of an answer that begins so, with the label's probabilities, the chosen one first."""
    ways = [{"token": label, "logprob": math.log(share)} for label, share in shares.items()]
    spaced = [{"token": word, "logprob": 0.0, "top_logprobs": [{"token": word, "logprob": 0.0}]} for word in before]
    return {"content": [*spaced, ways[0] | {"top_logprobs": ways}, {"token": '"}', "logprob": 0.0}]}


def test_log_probabilities_become_the_distribution():
    answer = chat.read(reply(logprobs=tokens(['{"label": "'], no=0.9, yes=0.08, nay=0.02)), LABELS)
    assert (answer.label, answer.source, answer.profile) == ("no", "logprobs", None)
    assert answer.distribution == approx({"yes": 0.08 / 0.98, "no": 0.9 / 0.98, "maybe": 0})
    assert answer.off_label_share == approx(0.02)


def test_a_reply_with_a_reason_has_a_profile():
    words = ['{"reason": "', *[" word"] * 14, '", "label": "']
    said = json.dumps({"reason": " word" * 14, "label": "no"})
    answer = chat.read(reply(said, logprobs=tokens(words, no=0.5, yes=0.5)), LABELS)
    # 17 tokens are known with their alternatives, all certain but one, of ln 2
    assert (answer.label, answer.distribution["yes"]) == ("no", 0.5)
    assert answer.profile["sum"] == answer.profile["max"] == approx(math.log(2))
    assert answer.profile["mean"] == approx(math.log(2) / 17)
    assert set(answer.columns) < set(columns(Annotation).names)


STATED = [  # what is stated, and the probability of `no`: half of the rest goes to each of the others
    ("70", 0.7), ("100", 1.0), ("140", 1.0), ("-5", 0.0), ("62.5", 0.625), ("1" * 400, 1.0),
]  # fmt: skip


@pytest.mark.parametrize("stated, share", STATED)
def test_a_stated_confidence_counts_where_there_are_no_log_probabilities(stated, share):
    answer = chat.read(reply(f'{{"label": "no", "confidence": {stated}}}'), LABELS)
    assert answer.source == "verbalised"
    assert answer.distribution == approx({"no": share, "yes": (1 - share) / 2, "maybe": (1 - share) / 2})
    assert answer.off_label_share is None


def test_log_probabilities_come_before_a_stated_confidence():
    answer = chat.read(reply('{"label": "no", "confidence": 70}', logprobs=tokens(['{"label": "'], no=0.9, yes=0.1)), LABELS)  # fmt: skip
    assert (answer.source, answer.distribution["no"]) == ("logprobs", approx(0.9))


@pytest.mark.parametrize("stated", ['"70"', "null", "true", "[70]", "NaN"])
def test_a_confidence_that_is_no_number_is_none(stated):
    answer = chat.read(reply(f'{{"label": "no", "confidence": {stated}}}'), LABELS)
    assert (answer.label, answer.source, answer.distribution) == ("no", "none", None)


def sure(label, yes, no, **more):
    return Answer(label, {"yes": yes, "no": no, "maybe": 1 - yes - no}, "logprobs", 0.1, **more)


def test_one_sample_is_the_answer():
    assert chat.settled([sure("no", 0.4, 0.6)], LABELS) == sure("no", 0.4, 0.6)


def test_the_most_frequent_label_stands_with_the_mean_of_the_distributions():
    answers = [sure("yes", 0.6, 0.4), sure("no", 0.0, 1.0), sure("yes", 0.9, 0.1), Answer(reason="refusal")]
    found = chat.settled(answers, LABELS)
    # (.6 + 0 + .9) / 3 and (.4 + 1 + .1) / 3
    assert (found.label, found.source, found.off_label_share) == ("yes", "logprobs", approx(0.1))
    assert found.distribution == approx({"yes": 0.5, "no": 0.5, "maybe": 0})


def test_of_labels_given_as_often_the_more_probable_stands_then_the_first():
    assert chat.settled([sure("yes", 0.6, 0.4), sure("no", 0.1, 0.9)], LABELS).label == "no"
    assert chat.settled([Answer("maybe"), Answer("no")], LABELS).label == "no"


def test_samples_without_log_probabilities_are_counted():
    stated = Answer("no", {"yes": 0.1, "no": 0.8, "maybe": 0.1}, "verbalised")
    found = chat.settled([stated, sure("no", 0.1, 0.9), Answer("yes"), Answer(reason="not_json")], LABELS)
    # two of three: (2 + .5) / (3 + 1.5); what one of them stated and what another's tokens said is not mixed in
    assert (found.label, found.source, found.off_label_share) == ("no", "samples", None)
    assert found.distribution == approx({"no": 5 / 9, "yes": 3 / 9, "maybe": 1 / 9})


def test_where_all_abstain_the_most_frequent_reason_stands():
    reasons = ["not_json", "refusal", "refusal"]
    assert chat.settled([Answer(reason=reason) for reason in reasons], LABELS) == Answer(reason="refusal")


def test_the_profile_is_of_the_first_sample_with_the_label():
    answers = [sure("no", 0, 1, profile={"max": 1.0}), sure("yes", 1, 0, profile={"max": 2.0}), sure("yes", 1, 0)]
    assert chat.settled(answers, LABELS).profile == {"max": 2.0}


def test_a_cut_answer_is_asked_for_with_twice_the_room():
    assert chat.again(body(max_answer_tokens=64), Answer(reason="length")) == body(max_answer_tokens=128)
    fitted = {"max_tokens": 64, "messages": []}
    assert chat.again(fitted, Answer(reason="length")) == {"max_tokens": 128, "messages": []}


@pytest.mark.parametrize("reason", ["not_json", "not_a_label"])
def test_an_answer_that_is_none_is_asked_for_with_a_reminder_and_is_not_sent_back(reason):
    first, item = body()["messages"]
    asked = chat.again(body(), Answer(reason=reason))
    assert asked["messages"] == [{"role": "system", "content": f"{first['content']}\n{chat.REMINDER}"}, item]
    assert asked | {"messages": []} == body() | {"messages": []}


@pytest.mark.parametrize("answer", [Answer("no"), *(Answer(reason=reason) for reason in ("refusal", "content_filter", "context_length", "tool_calls"))])  # fmt: skip
def test_nothing_else_is_asked_for_again(answer):
    assert chat.again(body(), answer) is None


def test_only_what_was_not_seen_to_the_end_sets_an_item_aside():
    assert frozenset({"content_filter", "context_length", "length"}) == chat.QUARANTINED
