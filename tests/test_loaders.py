"""What a release's files are to those who read them: `datasets`, the rules of TRL, OpenAI's validator, LLaMA-Factory."""

import json
from collections import Counter
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from schemas.example import Example
from schemas.row import columns
from schemas.run import started
from tasks.release import staging
from tests.test_shapes import PAIRS, preferred

PAIRED = ("dpo", "openai-dpo", "kto", "messages")


@pytest.fixture(scope="module", autouse=True)
def offline(tmp_path_factory):
    """Let `datasets` keep what it caches here, and reach for no network."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        patched.setenv("HF_HUB_OFFLINE", "1")
        patched.setenv("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
        yield


@pytest.fixture(scope="module")
def release(in_every_format):
    return in_every_format


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Return the staged files of ten preferences in every format of pairs; to be read only."""
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "curation.yaml").write_text(PAIRS + f"release: {{formats: [{', '.join(PAIRED)}]}}\n")
    run = started(str(folder), date(2026, 11, 17), home=str(folder / "home"))
    run.drafts.mkdir(parents=True)
    rows = pa.Table.from_pylist([preferred("ab"[number % 2], number) for number in range(10)], schema=columns(Example))
    pq.write_table(rows, run.drafts / "example.parquet")
    staging.write_examples(run, folder / "staged")
    return folder / "staged"


def lines(place):
    return [json.loads(line) for line in place.read_text().splitlines()]


def loaded(place):
    """Return a file of lines as `datasets` loads it: {column: type}, rows."""
    from datasets import load_dataset

    found = load_dataset("json", data_files=str(place), split="train", cache_dir=str(place.parent.parent / "cache"))
    return found.features, found.to_list()


# --- the folder, as the hub's own library reads it


def test_a_release_is_a_data_set_row_for_row_and_its_card_says_of_it_what_the_library_counts(release):
    from datasets import load_dataset

    found = load_dataset(str(release), cache_dir=str(release.parent / "cache"))
    for split in ("train", "validation", "test"):
        assert found[split].to_list() == pq.read_table(release / "data" / f"{split}.parquet").to_pylist()
    front = yaml.safe_load((release / "README.md").read_text().split("---\n")[1])
    assert found["train"].features._to_yaml_list() == front["dataset_info"]["features"]
    bare = load_dataset(str(release / "data"), cache_dir=str(release.parent / "cache"))["train"].info  # without a card
    sizes = [{"name": split.name, "num_bytes": split.num_bytes, "num_examples": split.num_examples}
             for split in bare.splits.values()]  # fmt: skip
    assert sizes == front["dataset_info"]["splits"]
    assert (bare.download_size, bare.dataset_size) == tuple(
        front["dataset_info"][name] for name in ("download_size", "dataset_size")
    )


# --- TRL, by the rules of its page on data set formats


def trl_type(row):
    """Return the type of data set that TRL takes a row for, and whether it is conversational."""
    types = {
        frozenset({"messages"}): "language modeling",
        frozenset({"prompt", "completion"}): "prompt-completion",
        frozenset({"prompt", "chosen", "rejected"}): "preference",
        frozenset({"prompt", "completion", "label"}): "unpaired preference",
    }
    texts = [value for key, value in row.items() if key != "label"]
    is_chat = all(isinstance(text, list) and {"role", "content"} <= text[0].keys() for text in texts)
    assert is_chat or all(isinstance(text, str) for text in texts)
    return types[frozenset(row)], is_chat


@pytest.mark.parametrize(
    "fixture, path, wanted",
    [
        ("release", "train.jsonl", ("language modeling", True)),
        ("release", "prompt-completion/train.jsonl", ("prompt-completion", False)),
        ("pairs", "train.jsonl", ("preference", False)),
        ("pairs", "kto/train.jsonl", ("unpaired preference", False)),
        ("pairs", "messages/train.jsonl", ("language modeling", True)),
    ],
)
def test_trl_knows_each_file_for_what_it_is(fixture, path, wanted, request):
    place = request.getfixturevalue(fixture) / path
    features, rows = loaded(place)
    assert rows == lines(place)
    assert {trl_type(row) for row in rows} == {wanted}
    if wanted[0] == "unpaired preference":
        assert features["label"].dtype == "bool"
        assert Counter(row["label"] for row in rows) == {True: 10, False: 10}


def test_soft_labels_load_as_one_number_a_label_that_sum_to_one(release):
    features, rows = loaded(release / "soft-labels" / "train.jsonl")
    assert {name: feature.dtype for name, feature in features["distribution"].items()} == {"good": "float64", "bad": "float64"}  # fmt: skip
    assert all(abs(sum(row["distribution"].values()) - 1) < 1e-8 for row in rows)


# --- OpenAI, by the checks of its cookbook, with their names


def cookbook_errors(rows):
    """Return the errors that the cookbook's validator of chats counts, by name."""
    errors = Counter()
    for row in rows:
        if not isinstance(row, dict):
            errors["data_type"] += 1
            continue
        messages = row.get("messages")
        if not messages:
            errors["missing_messages_list"] += 1
            continue
        for message in messages:
            errors["message_missing_key"] += not {"role", "content"} <= message.keys()
            errors["message_unrecognized_key"] += bool(
                message.keys() - {"role", "content", "name", "function_call", "weight"}
            )
            errors["unrecognized_role"] += message.get("role") not in ("system", "user", "assistant", "function")
            errors["missing_content"] += not isinstance(message.get("content"), str) or not message["content"]
        errors["example_missing_assistant_message"] += not any(one.get("role") == "assistant" for one in messages)
    return +errors


def test_openai_finds_no_error_in_the_chats(release):
    for split in ("train", "validation", "test"):
        assert cookbook_errors(lines(release / f"{split}.jsonl")) == Counter()
    broken = [{}, {"messages": [{"role": "robot", "content": ""}]}]  # what the checks find
    assert cookbook_errors(broken) == {
        "missing_messages_list": 1, "unrecognized_role": 1, "missing_content": 1, "example_missing_assistant_message": 1,
    }  # fmt: skip
    train, validation = (
        set((release / f"{split}.jsonl").read_text().splitlines()) for split in ("train", "validation")
    )
    assert not train & validation  # which OpenAI asks for


def test_openai_reads_each_preference_as_one_message_of_the_assistant_against_one_other(pairs):
    for row in lines(pairs / "openai-dpo" / "train.jsonl"):
        assert row.keys() == {"input", "preferred_output", "non_preferred_output"}
        assert row["input"]["messages"][-1]["role"] == "user"
        for name in ("preferred_output", "non_preferred_output"):
            (message,) = row[name]
            assert message.keys() == {"role", "content"} and message["role"] == "assistant"


# --- OpenAI's evals


def test_a_sample_of_evals_asks_what_a_chat_asks_and_its_ideal_answer_is_json(release):
    chats = [row["messages"] for row in lines(release / "test.jsonl")]
    registry = yaml.safe_load((release / "evals" / "tiny.yaml").read_text())
    name = registry["tiny"]["id"]
    assert name.split(".")[:2] == ["tiny", "test"]  # <eval>.<split>.<version>
    samples = lines(release / "data" / registry[name]["args"]["samples_jsonl"])
    assert [[*sample["input"], {"role": "assistant", "content": sample["ideal"]}] for sample in samples] == chats
    assert all(json.loads(sample["ideal"]).keys() == {"label"} for sample in samples)


# --- LLaMA-Factory, by the logic of its parser and its converters


def llama_factory(row, entry):
    """Return (system, prompt, responses) as LLaMA-Factory's converters make them of a row; a key not named is no column."""
    columns, tags = entry["columns"], entry.get("tags", {})
    if entry.get("formatting", "alpaca") == "alpaca":
        asked = [row[columns[name]] for name in ("prompt", "query") if name in columns and row[columns[name]]]
        if "kto_tag" in columns:
            said = row[columns["response"]]
            return "", "\n".join(asked), [said, ""] if row[columns["kto_tag"]] else ["", said]
        names = ("chosen", "rejected") if entry.get("ranking") else ("response",)
        return "", "\n".join(asked), [row[columns[name]] for name in names]
    turns = row[columns["messages"]]
    system = row[columns["system"]] if "system" in columns else ""
    if turns[0][tags["role_tag"]] == tags.get("system_tag"):
        system, turns = turns[0][tags["content_tag"]], turns[1:]
    assert [turn[tags["role_tag"]] for turn in turns] == [tags["user_tag"], tags["assistant_tag"]]
    return system, turns[0][tags["content_tag"]], [turns[1][tags["content_tag"]]]


def test_llama_factory_reads_the_same_from_each_format(release):
    info = json.loads((release / "dataset_info.json").read_text())
    read = {
        name.removesuffix("-train"): [llama_factory(row, entry) for row in lines(release / entry["file_name"])]
        for name, entry in info.items()
        if name.endswith("-train")
    }
    assert read["messages"] == read["sharegpt"] and len(read["messages"]) == 7
    for one, alpaca, plain in zip(read["messages"], read["alpaca"], read["prompt-completion"], strict=True):
        system, user, answer = one
        assert alpaca == ("", f"{system}\n{user}", answer)
        assert plain == ("", f"{system}\n\n{user}\n\n", answer)


def test_llama_factory_reads_preferences_as_ranked_and_as_wanted_or_not(pairs):
    info = json.loads((pairs / "dataset_info.json").read_text())
    ranked, wanted = (
        [llama_factory(row, info[name]) for row in lines(pairs / info[name]["file_name"])]
        for name in ("dpo-train", "kto-train")
    )
    assert ranked[0] == ("", "Capital of France?", ["Paris.", "I do not know."])
    assert wanted[:2] == [
        ("", "Capital of France?", ["Paris.", ""]),
        ("", "Capital of France?", ["", "I do not know."]),
    ]
