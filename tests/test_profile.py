"""The output-entropy profile of a reply: eleven statistics of the entropies of its tokens."""

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from pytest import approx
from test_distribution import STREAM

from schemas.annotation import EntropyProfile
from tasks.annotator.distribution import OUTSIDE, from_logprobs
from tasks.annotator.profile import MIN_TOKENS, TOP, compact, profile, statistics, trace

STEPS = [[0.7, 0.2, 0.05], [0.99, 0.005, 0.001], [0.4, 0.3, 0.2], [0.9, 0.05, 0.03], [0.6, 0.25, 0.1]]


def token(shares, chosen=0, text="t"):
    listed = [{"token": f"{text}{place}", "logprob": math.log(share)} for place, share in enumerate(shares)]
    return listed[chosen] | {"top_logprobs": listed}


def test_a_tokens_entropy_counts_what_is_not_listed_as_one_alternative():
    # .7, .2, .05 and a rest of .05: .2497 + .3219 + .1498 + .1498 = .8711
    assert trace([token(shares) for shares in STEPS]) == approx(
        [0.871133, 0.065435, 1.279854, 0.428048, 1.033114], abs=5e-7
    )


def test_the_statistics_are_those_of_the_entropy_sentinel():
    # the published code's trace, which leaves the rest out, and what it makes of it
    entropies = [-sum(share * math.log(share) for share in shares) for shares in STEPS]
    assert entropies == approx([0.721347, 0.043349, 1.049596, 0.349808, 0.883327], abs=5e-7)
    assert statistics(entropies) == {
        "mean": approx(0.6094854, abs=5e-8),
        "std": approx(0.4090056, abs=5e-8),
        "max": approx(1.0495957, abs=5e-8),
        "q10": approx(0.1659326, abs=5e-8),
        "q25": approx(0.3498078, abs=5e-8),  # of five values the second: -(.9 ln .9 + .05 ln .05 + .03 ln .03)
        "q50": approx(0.7213467, abs=5e-8),
        "q75": approx(0.8833275, abs=5e-8),
        "q90": approx(0.9830884, abs=5e-8),
        "skewness": approx(-0.2682813, abs=5e-8),
        "kurtosis": approx(1.0761148, abs=5e-8),
        "sum": approx(3.0474268, abs=5e-8),
    }


def test_the_statistics_are_the_columns_of_an_annotation():
    assert list(EntropyProfile.model_fields) == list(statistics([0.1, 0.2]))


def test_one_token_or_a_trace_that_never_changes_has_no_spread_and_no_shape():
    for entropies in ([0.5], [0.5] * 20):
        found = statistics(entropies)
        assert (found["std"], found["skewness"], found["kurtosis"], found["q10"]) == (0, 0, 0, 0.5)


def test_a_reply_of_few_tokens_has_no_profile():
    assert profile([token([0.5, 0.5])] * (MIN_TOKENS - 1)) is None
    assert profile([token([0.5, 0.5])] * MIN_TOKENS)["mean"] == approx(math.log(2))


def test_tokens_without_alternatives_are_not_in_the_trace():
    bare = {"token": "t", "logprob": -0.1, "top_logprobs": []}
    assert len(trace([bare, token([0.5, 0.5]), {"token": "t", "logprob": -0.1}])) == 1
    assert profile([bare] * 100) is None


ODD = [  # a token's log-probabilities, the chosen one first, and its entropy
    ([0.0, math.log(0.3)], 0.0),  # forced: what the schema forbids is no alternative
    ([math.log(0.5), OUTSIDE], math.log(2)),  # .5, and a rest of .5
    ([OUTSIDE, math.log(0.5)], math.log(2)),
    ([math.log(0.5), math.nan, None, "x"], math.log(2)),
    ([math.log(0.5 + 1e-7), math.log(0.5 + 1e-7)], math.log(2)),  # a little over 1: as if it were 1
    ([math.log(1 / 25)] * 25, math.log(25) * 0.8 - 0.2 * math.log(0.2)),  # 20 of .04 each, and a rest of .2
]


@pytest.mark.parametrize("logprobs, entropy", ODD, ids=range(len(ODD)))
def test_odd_log_probabilities_leave_an_entropy(logprobs, entropy):
    listed = [{"token": f"t{place}", "logprob": logprob} for place, logprob in enumerate(logprobs)]
    assert TOP == 20
    assert trace([listed[0] | {"top_logprobs": listed}]) == [approx(entropy, abs=1e-6)]


def reply(words=30):
    """Return the tokens of a reply with a reason of so many words before the label."""
    shares = [0.5, *[0.45 / 19] * 19]
    label = token([0.9, 0.06], text="yes") | {"token": "yes", "logprob": math.log(0.9)}
    label["top_logprobs"] = [{"token": "yes", "logprob": math.log(0.9)}, {"token": "no", "logprob": math.log(0.06)}]
    reason = [token([*shares[:1], *shares[1:]], text=" word") for _ in range(words)]
    return [token([1.0], text='{"reason":"') | {"token": '{"reason":"'}, *reason,
            {"token": '","label":"', "logprob": 0.0, "top_logprobs": []}, label, {"token": '"}', "logprob": 0.0}]  # fmt: skip


def test_a_stored_reply_says_the_same_and_takes_a_hundred_bytes_a_token():
    tokens = reply()
    stored = json.loads(json.dumps(compact(tokens)))
    assert trace(stored) == trace(tokens) and profile(stored) == profile(tokens) is not None
    assert from_logprobs(stored, ["yes", "no"]) == from_logprobs(tokens, ["yes", "no"])
    assert [token["token"] for token in stored if "top_logprobs" in token] == ["yes", '"}']
    assert len(json.dumps(stored)) / len(stored) < 110 < len(json.dumps(tokens)) / len(tokens) / 5


def test_of_a_reply_too_short_for_a_profile_only_the_labels_alternatives_are_stored():
    tokens = reply(words=3)
    stored = compact(tokens)
    assert from_logprobs(stored, ["yes", "no"]) == from_logprobs(tokens, ["yes", "no"])
    assert [token["token"] for token in stored if "top_logprobs" in token] == ["yes", '"}']
    assert not any("entropy_nats" in token for token in stored)


def test_a_token_keeps_its_bytes_where_its_text_does_not_say_them():
    half = {"token": "\\xc3", "bytes": [195], "logprob": -0.1, "top_logprobs": []}
    whole = {"token": "ä", "bytes": [195, 164], "logprob": -0.1, "top_logprobs": []}
    assert [token.get("bytes") for token in compact([half, whole])] == [[195], None]


@pytest.mark.parametrize("tokens", [None, [None], ["t"], {}, "tokens", [1, 2]])
def test_what_are_no_tokens_is_stored_as_none(tokens):
    assert compact(tokens) == []


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STREAM)
def test_any_stream_of_tokens_can_be_stored_and_read(tokens):
    tokens = tokens * 2
    stored = json.loads(json.dumps(compact(tokens)))
    assert trace(stored) == trace(tokens) or len(tokens) < MIN_TOKENS
    assert profile(stored) == profile(tokens)
    assert all(0 <= entropy <= math.log(TOP + 1) + 1e-9 for entropy in trace(stored))
    assert json.dumps(stored, allow_nan=False).encode()
    if found := profile(stored):
        assert all(map(math.isfinite, found.values()))
