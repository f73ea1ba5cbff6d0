"""Log-probabilities of an answer's tokens become a distribution over the labels."""

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest import approx

from tasks.annotator.distribution import entropy_nats, from_logprobs, from_samples, from_stated, value_tokens

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


def test_an_alternative_may_begin_the_value_otherwise_than_the_token_that_was_chosen():
    # a space before the quote, or none: both say no. A bare quote says nothing yet
    tokens = [token('{"label":'), token('"yes', 0.5, **{' "no': 0.2, '"no"}': 0.1, '"': 0.15, " yes": 0.05}), END]
    shares, off_label = from_logprobs(tokens, ["yes", "no"])
    assert shares == approx({"yes": 5 / 8, "no": 3 / 8}) and off_label == approx(0.2)


def test_the_value_may_begin_and_end_inside_one_token():
    tokens = [token("{"), token('"label":"yes"}', 0.75, **{'"label":"no"}': 0.2, '"other":"no"}': 0.05})]
    shares, off_label = from_logprobs(tokens, ["yes", "no"])
    assert shares == approx({"yes": 0.75 / 0.95, "no": 0.2 / 0.95}) and off_label == approx(0.05)


def test_a_label_merged_with_the_closing_brace_is_that_label_alone():
    tokens = [START, token('yes"}', 0.6, yes_but=0.4)]
    assert from_logprobs(tokens, ["yes", "yes_but"])[0] == approx({"yes": 0.6, "yes_but": 0.4})


def test_a_forced_token_is_certain_whatever_the_schema_forbade():
    # as OpenAI lists them: the forced token at 0, and beside it what could not have come
    forced = token("rating_", 1.0, maybe=0.6, rating=0.3)
    tokens = [START, forced, token("high", 0.75, low=0.25), END]
    assert from_logprobs(tokens, ["rating_high", "rating_low"]) == (
        {"rating_high": approx(0.75), "rating_low": approx(0.25)}, approx(0))  # fmt: skip


def test_a_reason_that_holds_the_letters_of_a_label_is_not_the_label():
    reason = token(json.dumps('It says "label": "no", and {"label": "no"}.'))
    tokens = [token('{"reason": '), reason, token(', "label": "'), token("yes", 0.9, no=0.1), END]
    assert from_logprobs(tokens, ["yes", "no"])[0] == approx({"yes": 0.9, "no": 0.1})
    assert list(value_tokens(tokens)) == [3, 4]


@pytest.mark.parametrize(
    "written",
    [
        '{"more": {"label": "no"}, "label": "',
        '{"label": "no", "label": "',
        '{"list": ["label"], "a": "label", "label": "',
    ],
    ids=["inside another object", "given twice", "a value of the same name"],
)
def test_the_label_is_the_one_that_json_reads(written):
    tokens = [token(written), token("yes", 0.9, no=0.1), END]
    assert json.loads(written + 'yes"}')["label"] == "yes"
    assert from_logprobs(tokens, ["yes", "no"])[0] == approx({"yes": 0.9, "no": 0.1})


def bytes_token(raw, share, **others):
    """Return a token that is part of a character, as OpenAI and as compatible endpoints write it."""
    made = token("".join(f"\\x{byte:02x}" for byte in raw), share)
    listed = [made, *({"token": "\ufffd", "bytes": list(bytes.fromhex(other)), "logprob": math.log(p)}
                      for other, p in others.items())]  # fmt: skip
    return made | {"top_logprobs": listed}


def test_a_label_split_within_a_character_is_put_together():
    # ä is c3 a4 and ö is c3 b6: the first byte is shared, the second tells them apart
    tokens = [START, bytes_token(b"\xc3", 0.8, e1=0.2), bytes_token(b"\xa4", 0.75, b6=0.25), END]
    shares, off_label = from_logprobs(tokens, ["ä", "ö"])
    assert shares == approx({"ä": 0.75, "ö": 0.25}) and off_label == approx(0.2)


@pytest.mark.parametrize("spelled", ["\\u00e4", "\\u00E4", "ä"])
def test_a_label_may_be_spelled_with_escapes(spelled):
    tokens = [START, token(spelled, 0.7, ö=0.2, **{"\\u00f6": 0.1}), END]
    assert from_logprobs(tokens, ["ä", "ö"])[0] == approx({"ä": 0.7, "ö": 0.3})


def test_an_escape_that_is_not_complete_says_nothing_yet():
    tokens = [START, token("\\u00", 0.9, ö=0.1), token("e4", 0.5, f6=0.5), END]
    assert from_logprobs(tokens, ["ä", "ö"])[0] == approx({"ä": 0.45, "ö": 0.55})
    tokens = [START, token("\\ud83d", 0.9), token("\\ude00", 0.9, **{"\\ude01": 0.1}), END]
    assert from_logprobs(tokens, ["😀", "😁"])[0] == approx({"😀": 0.9, "😁": 0.1})


SLOWLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
LETTERS = st.lists(st.sampled_from(["{", "}", '"', "label", ":", "yes", "no", "maybe", " ", "\\", "\\u00", "é", "[", ","]), max_size=4)  # fmt: skip
PIECE = LETTERS.map("".join) | ANY
LOGPROB = st.floats(-20, 0) | st.just(OUTSIDE) | ANY
ALTERNATIVE = st.fixed_dictionaries({"token": PIECE, "logprob": LOGPROB}, optional={"bytes": st.lists(st.integers(-1, 256), max_size=4) | ANY})  # fmt: skip
TOKEN = st.fixed_dictionaries({"token": PIECE, "logprob": LOGPROB}, optional={"top_logprobs": st.lists(ALTERNATIVE | ANY, max_size=4) | ANY})  # fmt: skip
STREAM = st.lists(TOKEN | st.sampled_from([START, END]), max_size=12)


@SLOWLY
@given(STREAM, st.booleans())
def test_any_stream_of_tokens_gives_a_distribution_or_none(tokens, begins):
    labels = ["yes", "no", "yes_but", "é", 'a"b']
    if found := from_logprobs([START, *tokens] if begins else tokens, labels):
        shares, off_label = found
        assert list(shares) == labels
        assert math.fsum(shares.values()) == approx(1, abs=1e-9)
        assert all(0 <= share <= 1 for share in shares.values()) and 0 <= off_label <= 1


@SLOWLY
@given(st.lists(st.sampled_from(["yes", "no", "yes_but"]), min_size=1, max_size=64))
def test_samples_give_a_distribution_that_is_never_certain(samples):
    shares = from_samples(samples, ["yes", "no", "yes_but"])
    assert math.fsum(shares.values()) == approx(1, abs=1e-9)
    assert min(shares.values()) > 0 and max(shares.values()) < 1


def test_samples_are_counted_from_half_of_one_each():
    # five samples, three labels: (4 + .5) / 6.5, (1 + .5) / 6.5, (0 + .5) / 6.5
    samples = ["yes", "no", "yes", "yes", "yes"]
    assert from_samples(samples, ["yes", "no", "maybe"]) == approx({"yes": 9 / 13, "no": 3 / 13, "maybe": 1 / 13})


@pytest.mark.parametrize("stated, share", [(80, 0.8), (100, 1.0), (0, 0.0), (140, 1.0), (-3, 0.0)])
def test_a_stated_confidence_goes_to_the_label_and_the_rest_to_the_others_evenly(stated, share):
    found = from_stated("yes", stated, ["yes", "no", "maybe"])
    assert found == approx({"yes": share, "no": (1 - share) / 2, "maybe": (1 - share) / 2})


def test_entropy_runs_from_nothing_to_the_logarithm_of_the_labels():
    assert entropy_nats({"yes": 1.0, "no": 0.0}) == 0
    assert entropy_nats({"yes": 0.5, "no": 0.5}) == approx(math.log(2))
