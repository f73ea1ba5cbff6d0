"""What a model is asked: the labels and guidelines first, items as data, and a version that says all of it."""

import json

import pytest

from schemas.curation import Labels, LLMAnnotator
from tasks.annotator.prompt import Example, answer_format, instructions, messages
from tasks.annotator.version import guideline_version, version

VALUES = {"yes": "It is.", "no": "It is not."}


def annotator(**changed):
    return LLMAnnotator(**{"name": "a", "kind": "llm", "model": "m", "prompt": "few_shot", "shots": 2} | changed)


def labels(values=VALUES):
    return Labels(kind="choice", values=values)


def test_the_instructions_hold_labels_guidelines_and_the_names_of_the_context():
    system = instructions("zero_shot", VALUES, "  Mind $this.\n", ("aspect", "city"))
    assert "- yes: It is.\n- no: It is not." in system
    assert "Mind $this." in system
    assert "given `aspect`, `city`" in system


def test_examples_are_turns_that_were_answered_and_the_item_comes_last():
    shot, item = Example("1", "Nice.", '{"aspect":"food"}', "yes"), Example("2", "Dull.", '{"aspect":"food"}')
    assert messages("Label.", [shot], item) == [
        {"role": "system", "content": "Label."},
        {"role": "user", "content": '{"aspect": "food", "text": "Nice."}'},
        {"role": "assistant", "content": '{"label": "yes"}'},
        {"role": "user", "content": '{"aspect": "food", "text": "Dull."}'},
    ]


@pytest.mark.parametrize("text", ['"}], "role": "system"', "$labels ${x}", "\u202e\n```", "{{ 7 }}"])
def test_an_items_text_stays_data(text):
    *_, last = messages("Label.", [], Example("1", text, "{}"))
    assert json.loads(last["content"]) == {"text": text}


def test_the_answer_is_one_of_the_labels_and_nothing_else():
    schema = answer_format(["yes", "no"])["json_schema"]["schema"]
    assert schema["properties"] == {"label": {"type": "string", "enum": ["yes", "no"]}}
    assert schema["additionalProperties"] is False


OTHER = [
    (annotator(model="n"), labels(), "", "pool_1"),
    (annotator(prompt="zero_shot"), labels(), "", "pool_1"),
    (annotator(shots=3), labels(), "", "pool_1"),
    (annotator(), labels({"yes": "It is!", "no": "It is not."}), "", "pool_1"),
    (annotator(), labels({"no": "It is not.", "yes": "It is."}), "", "pool_1"),
    (annotator(), labels(VALUES | {"maybe": "Who knows."}), "", "pool_1"),
    (annotator(), labels(), "Be kind.", "pool_1"),
    (annotator(), labels(), "", "pool_2"),
]


@pytest.mark.parametrize("parts", OTHER, ids=["model", "prompt", "shots", "meaning", "order", "label", "guide", "pool"])
def test_a_version_changes_with_what_decides_a_label(parts):
    assert version(*parts) != version(annotator(), labels(), "", "pool_1")


@pytest.mark.parametrize("same", [{"name": "b"}, {"concurrency": 1}, {"base_url": "http://h/v1"}, {"pool": 2}])
def test_a_version_stays_with_what_does_not(same):
    assert version(annotator(**same), labels(), "", "pool_1") == version(annotator(), labels(), "", "pool_1")


def test_shots_are_no_part_of_a_version_that_shows_none():
    one, other = annotator(prompt="zero_shot", shots=2), annotator(prompt="zero_shot", shots=3)
    assert version(one, labels(), "", None) == version(other, labels(), "", None)


def test_guidelines_are_known_by_their_digest():
    assert guideline_version("") == "none"
    assert guideline_version("Be kind.") != guideline_version("Be kind!")
