"""Shapes: examples as the lines a trainer reads, format by format; and the table, whose bytes are the same anywhere."""

import json
import tracemalloc
from contextlib import closing
from datetime import date
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from schemas.curation import Curation, load
from schemas.errors import RequestError
from schemas.example import Example
from schemas.row import columns
from schemas.run import started
from tasks.annotator import prompt
from tasks.annotator.llm import Asking
from tasks.release import staging
from tasks.release.shapes import FORMATS, SPLITS, TableFile, asking, llama_factory, places, rounded, table
from tasks.release.shapes.asked import ZERO_SHOT

CHOICE = """\
name: tiny
labels: {kind: choice, values: {good: It is good., bad: It is bad.}}
sources: [{path: 'data/*.jsonl', fields: {context: [aspect]}}]
annotators: [{name: model, kind: llm, model: m}]
"""
PAIRS = """\
name: pairs
labels: {kind: preference}
sources: [{path: 'data/*.jsonl', fields: {text: prompt, a: one, b: other}}]
annotators: [{name: model, kind: llm, model: m}]
"""


def example(number=1, split="train", **columns):
    """Return an example of an item that two of three people called good."""
    posterior = [{"label": "good", "probability": 2 / 3}, {"label": "bad", "probability": 1 / 3}]
    return {
        "item_id": f"item_{number:03}", "split": split, "text": 'The "soup" was\ncold.', "context": '{"aspect":"food"}',
        "label": "good", "status": "human", "posterior": posterior, "posterior_share": 2 / 3, "entropy_nats": 0.6,
        "people": 3, "models": 1, "group_id": None, "slice": None, "document_ids": '["d1"]',
    } | columns  # fmt: skip


def preferred(label, number=1):
    """Return an example of a prompt with two answers."""
    context = '{"a":"Paris.","b":"I do not know."}'
    return example(number, text="Capital of France?", context=context, label=label, posterior=None)


def shaped(name, row, curation=CHOICE):
    """Return the rows that an example becomes in a format."""
    return FORMATS[name].shaped(asking(Curation(**yaml.safe_load(curation)), "Be kind.")(row))


@pytest.fixture(scope="module")
def asked():
    return asking(Curation(**yaml.safe_load(CHOICE)), "Be kind.")(example())


# --- formats


def test_what_is_asked_is_the_instructions_and_the_item_and_what_is_answered_its_label(asked):
    assert (
        asked.system.startswith("You label items")
        and "Be kind." in asked.system
        and "- good: It is good." in asked.system
    )
    sign = prompt.mark("item_001")
    assert asked.user == f'<item {sign}>\n{{"aspect": "food", "text": "The \\"soup\\" was\\ncold."}}\n</item {sign}>'
    assert asked.answer == '{"label": "good"}'


def test_the_formats_of_one_answer_say_the_same_in_their_own_words(asked):
    system, user, answer = asked.system, asked.user, asked.answer
    said = {name: FORMATS[name].shaped(asked) for name in FORMATS if name not in ("dpo", "openai-dpo", "kto")}
    chat = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    turns = [{"from": "human", "value": user}, {"from": "gpt", "value": answer}]
    soft = {"item_id": "item_001", "text": asked.row["text"], "context": '{"aspect":"food"}', "label": "good",
            "distribution": {"good": 2 / 3, "bad": 1 / 3}, "distribution_source": "people"}  # fmt: skip
    assert said == {
        "messages": [{"messages": [*chat, {"role": "assistant", "content": answer}]}],
        "prompt-completion": [{"prompt": f"{system}\n\n{user}\n\n", "completion": answer}],
        "alpaca": [{"instruction": system, "input": user, "output": answer}],
        "sharegpt": [{"conversations": turns, "system": system}],
        "evals": [{"input": chat, "ideal": answer}],
        "soft-labels": [soft],
    }


@pytest.mark.parametrize(
    "label, chosen, rejected", [("a", "Paris.", "I do not know."), ("b", "I do not know.", "Paris.")]
)
def test_a_preference_is_the_prompt_the_answer_preferred_and_the_other(label, chosen, rejected):
    row = preferred(label)
    assert shaped("dpo", row, PAIRS) == [{"prompt": "Capital of France?", "chosen": chosen, "rejected": rejected}]
    assert shaped("openai-dpo", row, PAIRS) == [
        {
            "input": {
                "messages": [{"role": "user", "content": "Capital of France?"}],
                "tools": [],
                "parallel_tool_calls": True,
            },
            "preferred_output": [{"role": "assistant", "content": chosen}],
            "non_preferred_output": [{"role": "assistant", "content": rejected}],
        }
    ]
    assert shaped("kto", row, PAIRS) == [
        {"prompt": "Capital of France?", "completion": chosen, "label": True},
        {"prompt": "Capital of France?", "completion": rejected, "label": False},
    ]


def test_a_soft_label_names_every_label_and_is_all_on_one_where_no_person_gave_any():
    accepted = shaped("soft-labels", example(status="accepted", label="bad", posterior=None))[0]
    assert (accepted["distribution"], accepted["distribution_source"]) == ({"good": 0.0, "bad": 1.0}, "label")
    unanimous = shaped("soft-labels", example(posterior=[{"label": "bad", "probability": 1.0}], label="bad"))[0]
    assert (unanimous["distribution"], unanimous["distribution_source"]) == ({"good": 0.0, "bad": 1.0}, "people")
    assert list(shaped("soft-labels", preferred("b"), PAIRS)[0]["distribution"]) == ["a", "b", "tie"]


@pytest.mark.parametrize("curation, row", [(CHOICE, example), (PAIRS, lambda number: preferred("b", number))])
def test_a_model_trained_on_messages_is_asked_in_the_curation_as_it_was_trained(curation, row):
    curation = Curation(**yaml.safe_load(curation))
    asks, annotator = asking(curation, "Be kind."), Asking(None, None, None, "", ZERO_SHOT, curation.labels, "Be kind.")
    for one in map(row, range(8)):  # labels and answers stand in several orders
        item = prompt.Example(one["item_id"], one["text"], one["context"])
        (chat,) = FORMATS["messages"].shaped(asks(one))
        (body,) = annotator.bodies(item, [])
        assert chat["messages"][:-1] == body["messages"]
        wanted = body["response_format"]["json_schema"]["schema"]["properties"]["label"]["enum"]
        assert json.loads(chat["messages"][-1]["content"])["label"] in wanted


# --- files


def test_the_first_format_stands_beside_the_manifest_and_each_other_in_a_folder():
    assert places("tiny", ["alpaca", "messages", "evals"]) == {
        "alpaca": {split: f"{split}.jsonl" for split in SPLITS},
        "messages": {split: f"messages/{split}.jsonl" for split in SPLITS},
        "evals": {"test": "evals/tiny/samples.jsonl"},
    }
    rows = staging.rows_by_file("tiny", ["kto", "evals"], {"train": 5, "validation": 1, "test": 2})
    assert {path: rows[path] for path in ("train.jsonl", "evals/tiny/samples.jsonl", "data/train.parquet")} == {
        "train.jsonl": 10,  # two lines of one example
        "evals/tiny/samples.jsonl": 2,
        "data/train.parquet": 5,
    }


def test_llama_factory_is_told_of_every_file_it_can_read_and_of_no_empty_one():
    told = llama_factory("tiny", ["dpo", "openai-dpo", "messages"], {"train": 5, "validation": 0, "test": 2})
    assert {name: entry["file_name"] for name, entry in told.items()} == {
        "dpo-train": "train.jsonl",
        "dpo-test": "test.jsonl",
        "messages-train": "messages/train.jsonl",
        "messages-test": "messages/test.jsonl",
    }
    assert told["dpo-train"]["ranking"] and "ranking" not in told["messages-train"]


def drafted(folder, rows, formats=("messages",), curation=CHOICE):
    """Return a run whose examples are these rows."""
    (folder / "curation.yaml").write_text(curation + f"release: {{formats: [{', '.join(formats)}]}}\n")
    run = started(str(folder), date(2026, 11, 17), home=str(folder / "home"))
    run.drafts.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=columns(Example)), run.drafts / "example.parquet")
    return run


def test_every_split_is_written_in_every_format_in_the_order_of_the_examples(tmp_path, monkeypatch):
    monkeypatch.setattr(staging, "_ROWS", 3)  # batches end within splits
    rows = [example(number, split=SPLITS[number % 3], text=f"text {number}") for number in range(20)]
    run, staged = drafted(tmp_path, rows, ["soft-labels", "messages", "evals"]), tmp_path / "staged"
    assert staging.write_examples(run, staged) == {"train": 7, "validation": 7, "test": 6}
    for place, split in enumerate(SPLITS):
        ids = [row["item_id"] for row in rows[place::3]]
        assert pq.read_table(staged / "data" / f"{split}.parquet")["item_id"].to_pylist() == ids
        assert [json.loads(line)["item_id"] for line in (staged / f"{split}.jsonl").read_text().splitlines()] == ids
        assert len((staged / "messages" / f"{split}.jsonl").read_text().splitlines()) == len(ids)
    registry = yaml.safe_load((staged / "evals" / "tiny.yaml").read_text())
    samples = registry[registry["tiny"]["id"]]["args"]["samples_jsonl"]
    assert len((staged / "data" / samples).read_text().splitlines()) == 6  # where the reader looks for it
    assert json.loads((staged / "dataset_info.json").read_text()).keys() == {f"messages-{split}" for split in SPLITS}


def test_the_same_examples_are_the_same_bytes_however_they_come(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "ROWS_PER_GROUP", 8)
    rows = rounded(pa.Table.from_pylist([example(number) for number in range(30)], schema=columns(Example)))
    written = set()
    for size in (1, 7, 30):
        with BytesIO() as file:
            with closing(TableFile(file)) as one:
                for start in range(0, 30, size):
                    one.write(rows.slice(start, size))
            written.add(file.getvalue())
    assert len(written) == 1
    groups = pq.ParquetFile(BytesIO(written.pop())).metadata
    assert [groups.row_group(group).num_rows for group in range(groups.num_row_groups)] == [8, 8, 8, 6]


def test_numbers_are_rounded_to_nine_digits_wherever_they_stand():
    rows = [
        example(0),
        example(1, posterior=None, posterior_share=None, entropy_nats=None),
        example(2, entropy_nats=1 / 7),
    ]
    given = pa.Table.from_pylist(rows, schema=columns(Example))
    found = rounded(given.slice(1)).to_pylist()  # a slice, as a batch may be
    assert found[0] == rows[1]
    assert [part["probability"] for part in found[1]["posterior"]] == [0.666666667, 0.333333333]
    assert (found[1]["posterior_share"], found[1]["entropy_nats"]) == (0.666666667, 0.142857143)
    assert rounded(given.slice(0, 0)).num_rows == 0


def test_ten_times_the_examples_take_no_more_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(staging, "_ROWS", 50)
    peaks = []
    for number in (150, 1500):
        (folder := tmp_path / str(number)).mkdir()
        run = drafted(folder, [example(row, text="x" * 500) for row in range(number)])
        tracemalloc.start()
        staging.write_examples(run, folder / "staged")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]


# --- rules


@pytest.mark.parametrize("name", ["dpo", "openai-dpo", "kto"])
def test_a_format_of_pairs_is_refused_where_there_are_none_with_its_line(name, tmp_path):
    place = tmp_path / "curation.yaml"
    place.write_text(CHOICE + f"release:\n  formats: [messages, {name}]\n")
    with pytest.raises(
        RequestError, match=rf"line 6: release.formats: only `kind: preference` has pairs .* for {name}"
    ):
        load(place)
    place.write_text(PAIRS + f"release:\n  formats: [messages, {name}]\n")
    assert load(place).release.formats == ("messages", name)


def test_evals_alone_or_first_is_refused(tmp_path):
    place = tmp_path / "curation.yaml"
    place.write_text(CHOICE + "release:\n  formats: [evals, messages]\n")
    with pytest.raises(RequestError, match=r"line 6: .*another format comes first"):
        load(place)
