"""A curation is read strictly: what is wrong is told with its line, what was expected, and the nearest key."""

from datetime import date

import pytest

from schemas.curation import find, load
from schemas.curation.reading import MAX_BYTES
from schemas.errors import RequestError
from schemas.run import started

LINES = """\
name: reviews
labels:
  kind: choice
  values:
    good: The reviewer is happy.
    bad: The reviewer is not.
sources:
  - path: data.jsonl
annotators:
  - {name: zero-shot, kind: llm, model: embedded}
  - {name: crowd, kind: human, path: labels.csv}
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        file = tmp_path / "curation.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(file)

    return read


@pytest.fixture
def complaint(read):
    """Return what is said of a text that is no curation."""

    def complaint(text):
        with pytest.raises(RequestError) as stop:
            read(text)
        return str(stop.value)

    return complaint


def test_a_curation_says_the_least_and_gets_the_rest(read):
    curation = read(LINES)
    assert curation.sources[0].format == "jsonl"
    assert [model.prompt for model in curation.models] == ["zero_shot"]
    assert [people.fields.item for people in curation.people] == ["item_id"]


@pytest.mark.parametrize("key", ["yes", "no", "on", "off", "null", "~", "1", "1.5", "true", "2026-01-01", "<<"])
def test_a_label_is_the_text_it_is_written_as(read, key):
    assert list(read(LINES.replace("good:", f"{key}:")).labels.values) == [key, "bad"]


def test_labels_keep_their_order_and_meanings(read):
    labels = read(LINES.replace("good:", "yes:").replace("bad:", '"no":')).labels
    assert labels.values == {"yes": "The reviewer is happy.", "no": "The reviewer is not."}


LABELS = [
    ("good:", "bad:", "line 6: `bad` stands here a second time"),
    ("good:", '"bad":', "line 6: `bad` stands here a second time"),
    ("good:", "'':", "line 4: `labels.values`: labels may not be empty or padded with spaces"),
    ("good:", '" bad":', "labels may not be empty or padded with spaces"),
    ("good:", '"b\\0d":', "labels may not hold line ends or characters that cannot be seen"),
    ("good:", '"\\ud800":', "labels may not hold line ends or characters that cannot be seen"),
    (
        "The reviewer is happy.",
        '"a \\udc00"',
        "a meaning holds half a surrogate pair, which is no character: that of ['good']",
    ),
    ("good:", "é: x\n    e\u0301:", "two labels are one text in two Unicode forms"),
    ("good:", "[a, b]:", "line 5: a key must be a word"),
    ("    good: The reviewer is happy.\n", "", "line 4: `labels.values`: at least two labels are needed"),
    ("The reviewer is happy.", "yes", "line 5: `labels.values.good`: a text expected, found True: put it in quotes"),
    ("The reviewer is happy.", "", "line 5: `labels.values.good`: a text expected, nothing found"),
    (
        "kind: choice",
        "kind: choices",
        "line 3: `labels.kind`: 'choice', 'rating' or 'preference' expected, found 'choices' (not in this",
    ),
    (
        "kind: choice",
        "kind: chioce",
        "line 3: `labels.kind`: 'choice', 'rating' or 'preference' expected, found 'chioce'",
    ),
    ("  values:", "  guidelines: s3://b/g.md\n  values:", "line 4: `labels.guidelines`: only local paths"),
]


def test_the_steps_of_a_rating_stand_upwards(read, complaint):
    def scale(*steps):
        values = "".join(f"    {step}: So good.\n" for step in steps)
        return LINES.replace("kind: choice", "kind: rating").replace(
            "    good: The reviewer is happy.\n    bad: The reviewer is not.\n", values
        )

    assert read(scale("-1", "0", "2.5")).labels.scores == [-1, 0, 2.5]
    assert read(scale("bad", "so so", "good")).labels.scores == [1, 2, 3]  # words stand for their places
    assert "the steps of a rating stand upwards, from the lowest to the highest" in complaint(scale(2, 1))


@pytest.mark.parametrize("written, instead, said", LABELS)
def test_labels_that_cannot_be_labels(complaint, written, instead, said):
    assert said in complaint(LINES.replace(written, instead, 1))


KEYS = [
    ("nmae: x", "unknown key `nmae`: did you mean `name`?"),
    ("gates: {min_alpah: 0.4}", "unknown key `gates.min_alpah`: did you mean `min_alpha`?"),
    ("clean: {colour: red}", "unknown key `clean.colour`: known here are max_chars, min_chars"),
    ("name: again", "`name` stands here a second time"),
    ("budget: {usd_per_run: -5}", "`budget.usd_per_run`"),
    ("budget: {usd_a_run: 5}", "did you mean `usd_per_run`?"),
    ("clean: {languages: [en]}", "`clean.languages` (language filtering) is not in this version yet"),
    ("clean: {contamination: []}", "`clean.contamination` (contamination checks) is not in this version yet"),
    ("clean: {min_chars: '2'}", "`clean.min_chars`: a whole number expected, found '2'"),
    ("clean: {min_chars: true}", "`clean.min_chars`: a whole number expected, found True"),
    ("clean: {near_duplicates: yes}", "`clean.near_duplicates`: a number expected, found True"),
    ("clean: {min_chars: 9, max_chars: 3}", "`clean`: min_chars (9) is greater than max_chars (3)"),
    ("clean: 5", "`clean`: a mapping of keys to values expected, found 5"),
    ("clean:", "`clean`: a mapping of keys to values expected, nothing found"),
    ("splits: {train: 0.5}", "train + validation + test must be 1, not 0.7"),
    ("splits: {train: .nan}", "`splits.train`"),
    ("splits: {key: 2026-01-01}", "`splits.key`: a text expected, found a date: put it in quotes"),
    ("review: {budget: -1}", "`review.budget`: input should be greater than or equal to 0, found -1"),
    ("consensus: {method: median}", "'glad' or 'ordinal' expected, found 'median'"),
    ("release: {path: s3://bucket}", "`release.path`: only local paths are read in this version"),
    ("release: {formats: messages}", "`release.formats`: a list expected, found 'messages'"),
]


@pytest.mark.parametrize("line, said", KEYS)
def test_a_wrong_key_is_told_with_its_line(complaint, line, said):
    text = complaint(LINES + line + "\n")
    assert "curation.yaml, line 12: " in text and said in text


ANNOTATORS = [
    ("{name: f, kind: function}", "a labelling function is either a `function` or `sql`"),
    ("{name: f, kind: function, function: 'a:b', sql: 'null'}", "either a `function` or `sql`"),
    ("{name: f, kind: function, function: a.b}", "`annotators.0.function`"),
    (
        "{name: f, kind: model}",
        "`annotators.0.kind`: llm, function or human expected, found 'model' (not in this version yet)",
    ),
    ("{name: f}", "`annotators.0.kind` is missing: llm, function or human"),
    ("{name: crowd, kind: llm, model: m}", "line 9: `annotators`: annotators share a name: crowd"),
    ("{name: x, kind: llm}", "line 10: `annotators.0.model` is missing"),
    ("{name: '', kind: llm, model: m}", "`annotators.0.name`: string should have at least 1 character"),
    ("{name: x, kind: llm, model: m, samples: 0}", "`annotators.0.samples`"),
    (
        "{name: x, kind: llm, model: m, only_where: {annotator: nobody}}",
        "names no model among the annotators: 'nobody'",
    ),
    ("{name: x, kind: llm, model: m, only_where: {annotator: x}}", "annotators wait for each other: x"),
    ("{name: x, kind: llm, model: m, price: {input: 1}}", "`annotators.0.price.output` is missing"),
    ("{name: x, kind: llm, model: m, shot: 3}", "unknown key `annotators.0.shot`: did you mean `shots`?"),
    ("{name: x, kind: llm, model: m, path: y}", "unknown key `annotators.0.path`: did you mean `batch`?"),
    ("{name: x, kind: llm, model: m, prompt: few}", "'zero_shot' or 'few_shot' expected, found 'few'"),
    ("{name: x, kind: llm, model: m, base_url: 'localhost:1/v1'}", "an address begins with http:// or https://"),
    ("{name: x, kind: human, path: l.txt}", "a label table is csv, jsonl or parquet, plain, .gz or .zst"),
    ("{name: x, kind: human, path: 's3://b/l.csv'}", "only local paths are read in this version"),
    ("{name: x, kind: human, path: l.csv, fields: {itme: a}}", "did you mean `time`?"),
    ("{name: x, kind: human, path: l.csv, fields: {item: a, label: a}}", "name one column"),
]


@pytest.mark.parametrize("annotator, said", ANNOTATORS)
def test_a_wrong_annotator_is_told(complaint, annotator, said):
    assert said in complaint(LINES.replace("annotators:\n", f"annotators:\n  - {annotator}\n"))


@pytest.mark.parametrize("url", ["https://u:hunter2@host/v1", "https://host/v1?key=hunter2", "https://host/#hunter2"])
def test_a_secret_in_an_address_is_refused_and_not_repeated(complaint, url):
    said = complaint(LINES.replace("model: embedded", f"model: m, base_url: '{url}'"))
    assert "a secret may not stand in the address" in said and "hunter2" not in said


SOURCES = [
    ("{path: s3://b/a.jsonl}", "`sources.0.path`: only local paths are read in this version"),
    ("{path: a.xyz}", "the format of 'a.xyz' cannot be told from its name"),
    ("{path: '{as_of}/{as_of}.csv'}", "{as_of} may stand in a path once"),
    ("{path: a.csv, fields: {context: aspect}}", "`sources.0.fields.context`: a list expected, found 'aspect'"),
    ("{path: a.csv, fields: {text: body, context: [text]}}", "annotators are shown the item itself as `text`"),
    ("{path: a.csv, fields: {text: body, context: [body]}}", "`body` cannot be both text and context"),
    ("a.csv", "`sources.0`: a mapping of keys to values expected, found 'a.csv'"),
]


@pytest.mark.parametrize("source, said", SOURCES)
def test_a_wrong_source_is_told(complaint, source, said):
    assert said in complaint(LINES.replace("path: data.jsonl", source))


NO_YAML = [
    ("", "line 1: a curation is a mapping of keys to values"),
    ("- name", "line 1: a curation is a mapping of keys to values"),
    (LINES + "x: {", "line 12: expected the node content"),
    (LINES + "\tx: 1", "line 12: a tab stands where YAML wants spaces"),
    (LINES + "---\nname: two", "line 12: but found another document"),
    (LINES + "x: \x07", "line 12: the character U+0007 may not stand in YAML"),
    (LINES.encode() + b"x: \xe9", "line 12: UTF-8 expected"),
    (LINES.encode("utf-16"), "line 1: UTF-8 expected"),
    (LINES + "x: !!python/object/apply:os.system [id]", "line 12: could not determine a constructor"),
    (LINES + "x: 2026-99-99", "line 12: this cannot be read as timestamp"),
    (LINES + "x: " + "9" * 5000, "line 12: this cannot be read as int"),
    ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", "line 2: aliases (*a) are not read"),
    ("x: " + "[" * 20_000, "nested too deeply"),
    ("#" * (MAX_BYTES + 1), "larger than 256,000 bytes"),
]


@pytest.mark.parametrize("text, said", NO_YAML, ids=range(len(NO_YAML)))
def test_what_is_no_yaml_of_ours_is_told(complaint, text, said):
    assert said in complaint(text)


def test_a_byte_order_mark_and_other_line_ends_are_fine(read):
    assert read(b"\xef\xbb\xbf" + LINES.replace("\n", "\r\n").encode()) == read(LINES)


def test_all_that_is_wrong_is_told_at_once_in_order(complaint):
    lines = complaint(LINES + "review: {budget: x}\nclean: {min_chars: 0}\nnmae: 1\n").splitlines()
    assert [line.split(":")[0] for line in lines] == [f"curation.yaml, line {number}" for number in (12, 13, 14)]


def test_a_curation_is_a_file_or_its_folder(tmp_path):
    (tmp_path / "curation.yaml").write_text(LINES)
    assert find(tmp_path) == find(tmp_path / "curation.yaml")
    with pytest.raises(RequestError, match="no curation at"):
        find(tmp_path / "elsewhere")


def test_a_mistyped_year_is_refused_before_anything_is_done_for_it(written, tmp_path):
    folder = written(tmp_path / "c", {}, {})
    with pytest.raises(RequestError, match="2062-11-20 lies more than ten years ahead: is the year mistyped"):
        started(str(folder), date(2062, 11, 20))


def test_what_several_keys_are_together_wrong_about_is_told_with_the_line_of_the_first(complaint):
    said = complaint(LINES + "accept: {max_error: 0.1, annotator: nobody}\n")  # the file's twelfth line
    assert (
        said
        == "curation.yaml, line 12: accept.annotator names no model among the annotators: 'nobody' (there are zero-shot)"
    )
