"""Log-probabilities of an answer's tokens become a distribution over the labels."""

import math

import pytest
from pytest import approx

from tasks.annotator.distribution import entropy_nats, from_logprobs

OUTSIDE = -9999.0  # what the API writes for a token outside the top k


def token(text, share=1.0, **others):
    """Return a token with its probability, and those of its alternatives."""
    listed = [{"token": text, "logprob": math.log(share)}]
    listed += [{"token": other, "logprob": math.log(p)} for other, p in others.items()]
    return {"token": text, "logprob": math.log(share), "top_logprobs": listed}


START, END = token('{"label": "'), token('"}')


def test_each_label_gets_the_share_of_the_token_that_begins_it():
    found = from_logprobs([START, token("yes", 0.6, no=0.3, maybe=0.1), END], ["yes", "no"])
    # maybe is no label: 0.1 is off-label, and 0.6 of the 0.9 left is yes
    assert found == ({"yes": approx(2 / 3), "no": approx(1 / 3)}, approx(0.1))


def test_labels_that_begin_alike_are_told_apart_by_the_token_that_differs():
    tokens = [START, token("not", 0.8, fine=0.2), token("_good", 0.75, _bad=0.25), END]
    # not_good 0.8 * 0.75, not_bad 0.8 * 0.25, fine 0.2
    assert from_logprobs(tokens, ["not_good", "not_bad", "fine"])[0] == approx(
        {"not_good": 0.6, "not_bad": 0.2, "fine": 0.2}
    )


def test_a_label_that_begins_another_ends_with_the_quote():
    tokens = [START, token("yes", 0.9, no=0.1), token('"', 0.5, _but=0.5), token("}")]
    assert from_logprobs(tokens, ["yes", "yes_but", "no"])[0] == approx({"yes": 0.45, "yes_but": 0.45, "no": 0.1})


def test_a_beginning_the_model_did_not_choose_is_off_label_where_several_labels_share_it():
    tokens = [START, token("fine", 0.7, **{"not": 0.3}), END]
    shares, off_label = from_logprobs(tokens, ["not_good", "not_bad", "fine"])
    assert shares == {"not_good": 0, "not_bad": 0, "fine": 1} and off_label == approx(0.3)


def test_the_value_may_begin_inside_a_token():
    tokens = [token('{"label":'), token(' "yes', 0.75, **{' "no': 0.25}), END]
    assert from_logprobs(tokens, ["yes", "no"])[0] == approx({"yes": 0.75, "no": 0.25})


def test_a_label_that_json_escapes_is_found():
    tokens = [START, token('a\\"', 0.5, b=0.5), token('c"}')]
    assert from_logprobs(tokens, ['a"c', "b"])[0] == approx({'a"c': 0.5, "b": 0.5})


def test_a_token_outside_the_top_k_has_no_share():
    tokens = [START, {"token": "yes", "logprob": -0.1, "top_logprobs": [{"token": "no", "logprob": OUTSIDE}]}, END]
    assert from_logprobs(tokens, ["yes", "no"])[0] == {"yes": 1, "no": 0}


def test_a_chosen_token_outside_the_top_k_leaves_the_share_to_the_others():
    tokens = [START, {"token": "yes", "logprob": OUTSIDE, "top_logprobs": [{"token": "no", "logprob": -0.1}]}, END]
    assert from_logprobs(tokens, ["yes", "no"])[0] == {"yes": 0, "no": 1}


@pytest.mark.parametrize("broken", [None, "x", math.nan, -math.inf])
def test_what_is_no_log_probability_counts_as_none(broken):
    tokens = [START, {"token": "yes", "logprob": broken, "top_logprobs": [{"token": "no", "logprob": -1.0}]}, END]
    assert from_logprobs(tokens, ["yes", "no"])[0] == {"yes": 0, "no": 1}


def test_a_log_probability_above_nought_is_certainty():
    tokens = [START, {"token": "yes", "logprob": 1000.0, "top_logprobs": None}, END]
    assert from_logprobs(tokens, ["yes", "no"]) == ({"yes": 1, "no": 0}, 0)


@pytest.mark.parametrize(
    "tokens",
    [[], [token("yes")], [START], [START, END], [START, token("maybe"), END]],
    ids=["no token", "no JSON", "no value", "an empty value", "no label"],
)
def test_without_a_label_there_is_no_distribution(tokens):
    assert from_logprobs(tokens, ["yes", "no"]) is None


def test_entropy_runs_from_nothing_to_the_logarithm_of_the_labels():
    assert entropy_nats({"yes": 1.0, "no": 0.0}) == 0
    assert entropy_nats({"yes": 0.5, "no": 0.5}) == approx(math.log(2))
