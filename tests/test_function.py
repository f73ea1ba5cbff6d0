"""A labelling function labels or abstains; what it says is counted, and settles nothing."""

import asyncio
import json
import math
import os
import sys
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest
from prefect.exceptions import TerminationSignal
from prefect.logging import disable_run_logger

from schemas.annotation import Annotation
from schemas.curation import FunctionAnnotator, load
from schemas.errors import RequestError
from schemas.row import columns
from schemas.run import started
from tasks.annotation import import_labels
from tasks.annotator import function
from tasks.annotator.function import FIRST, rule
from tasks.consensus import measure_agreement, settle
from tasks.document import read_documents
from tasks.example import choose_examples
from tasks.item import find_neighbours, make_items
from tasks.release.evidence import evidence
from tasks.report import card, report
from tasks.review import draw_queue
from tasks.split import assign_splits
from tasks.sql import query, relation
from tasks.store import Store

DAY = "2026-11-17"
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Return a function that makes a rule, from Python source or from an SQL expression, in a curation of two labels."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "curation"
    folder.mkdir()

    def make(
        source="", function="rules:label", sql=None, labels="'yes': It is., 'no': It is not.", context="aspect, size"
    ):
        (folder / "curation.yaml").write_text(
            f"name: tiny\nlabels: {{kind: choice, values: {{{labels}}}}}\n"
            f"sources: [{{path: a.jsonl, fields: {{text: text, context: [{context}]}}}}]\n"
            "annotators: [{name: f, kind: function, sql: text}]\n"
        )
        (folder / "rules.py").write_text(source)
        kind = {"sql": sql} if sql is not None else {"function": function}
        return rule(FunctionAnnotator(name="f", kind="function", **kind), load(folder / "curation.yaml"), folder)

    return make


def items(*texts, **context):
    """Return a frame of items numbered from 0."""
    return pl.DataFrame(
        {"item_id": [str(n) for n in range(len(texts))], "text": texts, "context": [json.dumps(context)] * len(texts)},
        schema={"item_id": pl.String, "text": pl.String, "context": pl.String},
    )


# Python


def test_a_callable_labels_or_abstains_and_another_label_is_none(asked):
    source = 'def label(text): return {"a": "yes", "b": None, "c": "maybe", "d": ["yes"], "e": True}[text]'
    assert asked(source).labels(items("a", "b", "c", "d", "e")) == [
        ("0", "yes", None),
        ("1", None, "abstained"),
        ("2", None, "not_a_label"),
        ("3", None, "not_a_label"),
        ("4", None, "not_a_label"),
    ]


def test_a_member_of_an_enumeration_is_the_label_it_equals(asked):
    source = "from enum import Enum\nclass Say(str, Enum):\n    YES = 'yes'\ndef label(text):\n    return Say.YES\n"
    [(_, label, _)] = asked(source).labels(items("a"))
    assert type(label) is str and label == "yes"


@pytest.mark.parametrize(
    "signature, expected",
    [
        ("text", "cold soup"),
        ("review", "cold soup"),
        ("text, /", "cold soup"),
        ("text, aspect", "cold soup food"),
        ("aspect, text", "cold soup food"),
        ("text, *, aspect, other='-'", "cold soup food -"),
        ("text, size", "cold soup None"),  # the item has no such field
        ("text, **context", "cold soup {'aspect': 'food', 'size': None}"),
        ("**context", "{'text': 'cold soup', 'aspect': 'food', 'size': None}"),
    ],
)
def test_a_callable_is_given_the_text_and_those_fields_it_takes(signature, expected, asked):
    # it labels only when it was given what is expected
    source = (
        f"def label({signature}):\n"
        "    given = {k: v for k, v in locals().items()}\n"
        "    order = [given.pop(k) for k in ('text', 'review', 'aspect', 'size', 'other', 'context') if k in given]\n"
        f"    return 'yes' if ' '.join(map(str, order)) == {expected!r} else 'no'\n"
    )
    assert asked(source).labels(items("cold soup", aspect="food")) == [("0", "yes", None)]


@pytest.mark.parametrize(
    "source, function, said",
    [
        ("", "nowhere:label", "cannot be imported: there is no module 'nowhere'"),
        ("import missing_thing", "rules:label", "cannot be imported: there is no module 'missing_thing'"),
        ("def label(:", "rules:label", "cannot be imported: SyntaxError, line 1"),
        ("\nopen('no such secret')", "rules:label", "cannot be imported: FileNotFoundError, rules.py line 2"),
        ("raise SystemExit('secret')", "rules:label", "cannot be imported: SystemExit, rules.py line 1"),
        ("", "rules:label", "is not there: its module has no 'label'"),
        ("label = 'secret'", "rules:label", "cannot be called for a label"),
        ("async def label(text): return 'yes'", "rules:label", "cannot be called for a label"),
        ("def label(): return 'yes'", "rules:label", "takes other arguments than there are (text, aspect, size)"),
        ("def label(aspect): return 'yes'", "rules:label", "takes other arguments"),
        ("def label(text, colour): return 'yes'", "rules:label", "takes other arguments"),
        ("", "builtins:len", "cannot be imported: ImportError"),
    ],
)
def test_what_cannot_be_a_labelling_function_is_refused_in_words(source, function, said, asked):
    with pytest.raises(RequestError) as refused:
        asked(source, function)
    assert said in str(refused.value)
    assert str(refused.value).startswith(f"f: the function {function} ")
    assert "secret" not in str(refused.value)


def test_an_item_a_callable_fails_on_has_a_reason_and_the_others_their_labels(asked, caplog):
    made = asked("def label(text): return {'a': 'yes'}[text]")
    assert made.labels(items("secret", "a", "private")) == [
        ("0", None, "function_failed"),
        ("1", "yes", None),
        ("2", None, "function_failed"),
    ]
    assert "f failed on 2 of 3 items: 2 × KeyError, rules.py line 1" in caplog.text
    assert "secret" not in caplog.text and "private" not in caplog.text


@pytest.mark.parametrize(
    "raised",
    ["SystemExit(0)", "SystemExit(text)", "GeneratorExit(text)", "Own(text)", "BaseExceptionGroup(text, [Own(text)])"],
)
def test_whatever_a_callable_raises_is_its_failure_and_ends_nothing(raised, asked, caplog):
    made = asked(
        f"class Own(BaseException): pass\ndef label(text):\n    if text != 'a': raise {raised}\n    return 'yes'"
    )
    assert made.labels(items("secret", "a")) == [("0", None, "function_failed"), ("1", "yes", None)]
    assert f"f failed on 1 of 2 items: 1 × {raised.partition('(')[0]}, rules.py line 3" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("told", [KeyboardInterrupt(), asyncio.CancelledError(), TerminationSignal(signal=15)])
def test_a_run_told_to_stop_stops_within_a_callable_and_within_its_import(told, asked, monkeypatch):
    monkeypatch.setattr(sys, "told", told, raising=False)
    made = asked("import sys\ndef label(text): raise sys.told")
    with pytest.raises(type(told)):
        made.labels(items("a"))
    with pytest.raises(type(told)):
        asked("import sys\nraise sys.told")


def test_an_import_that_raises_what_is_no_exception_is_refused_in_words(asked):
    with pytest.raises(RequestError, match=r"cannot be imported: Own, rules.py line 2$"):
        asked("class Own(BaseException): pass\nraise Own('secret')")


def test_what_a_callable_prints_is_seen_nowhere(asked, capsys):
    source = (
        "import sys\nprint('imported')\n"
        "def label(text):\n    print(text, '\\ud800')\n    print(text, file=sys.stderr)\n    return 'yes'\n"
    )
    before = sys.stdout, sys.stderr
    assert asked(source).labels(items("secret", "private")) == [("0", "yes", None), ("1", "yes", None)]
    with pytest.raises(RequestError):  # and the streams are back afterwards, too
        asked("def label(text): print(text) or 1 / 0").labels(items(*["secret"] * FIRST))
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("", "")


def test_what_a_callable_changes_in_its_context_is_not_seen_by_the_next(asked):
    source = (
        "def label(text, size):\n    size['seen'].append(text)\n    return 'yes' if size['seen'] == [text] else 'no'"
    )
    assert asked(source).labels(items("a", "b", size={"seen": []})) == [("0", "yes", None), ("1", "yes", None)]


def test_a_callable_that_fails_on_each_of_the_first_items_is_refused_without_a_word_of_theirs(asked):
    made = asked("\ndef label(text):\n    if text != 'fine': raise ValueError(text)\n")
    with pytest.raises(RequestError) as refused:
        made.labels(items(*["secret"] * FIRST))
    assert str(refused.value) == (
        "f: the function rules:label fails on each of the first 20 items: 20 × ValueError, rules.py line 3"
    )
    assert refused.value.__context__ is None
    # one short of them proves nothing: a night may bring a few odd texts
    assert {reason for _, _, reason in made.labels(items(*["secret"] * (FIRST - 1)))} == {"function_failed"}
    last = made.labels(items(*["fine"], *["secret"] * FIRST))
    assert [reason for _, _, reason in last] == ["abstained"] + ["function_failed"] * FIRST


def test_the_curations_own_module_is_taken_and_nothing_of_it_stays_behind(asked, tmp_path, monkeypatch):
    stranger = type(sys)("rules")
    stranger.label = lambda text: "no"
    monkeypatch.setitem(sys.modules, "rules", stranger)
    before = list(sys.path)
    made = asked("import beside\ndef label(text): return beside.SAY", "rules:label") if _beside(tmp_path) else None
    assert made.labels(items("a")) == [("0", "yes", None)]
    assert sys.modules.pop("beside").__file__ == str(tmp_path / "curation" / "beside.py")
    assert sys.modules["rules"] is stranger
    assert sys.path == before
    assert not list(tmp_path.rglob("rules*.pyc"))


def _beside(tmp_path):
    return (tmp_path / "curation" / "beside.py").write_text("SAY = 'yes'")


def test_a_dotted_module_is_found_from_the_working_directory(asked, tmp_path):
    package = tmp_path / "my" / "rules"
    package.mkdir(parents=True)
    (package / "words.py").write_text("SAY = 'yes'")
    (package / "__init__.py").write_text("from .words import SAY\ndef label(text): return SAY")
    made = asked(function="my.rules:label")
    sys.modules.pop("my.rules.words")
    assert made.labels(items("a")) == [("0", "yes", None)]


def test_an_edit_starts_a_new_version_and_what_runs_is_what_was_hashed(asked, tmp_path):
    one = asked("def label(text): return 'yes'\ndef other(text): return 'no'")
    assert one.version == asked("def label(text): return 'yes'\ndef other(text): return 'no'").version
    assert len(one.version) == 16
    # the same length within the same second: a compiled file would be taken for it
    two = asked("def label(text): return 'no' \ndef other(text): return 'no'")
    assert two.labels(items("a")) == [("0", "no", None)]
    other = asked("def label(text): return 'yes'\ndef other(text): return 'no'", "rules:other")
    fewer = asked("def label(text): return 'yes'\ndef other(text): return 'no'", labels="'yes': It is., maybe: It may.")
    sql, spaced = asked(sql="'yes'"), asked(sql="'yes' ")
    assert len({made.version for made in (one, two, other, fewer, sql, spaced)}) == 6
    reworded = asked(sql="'yes'", labels="'no': No., 'yes': Yes.")
    assert reworded.version == sql.version  # only the names of the labels are a function's business


# SQL


def test_an_expression_labels_by_text_and_context_and_null_abstains(asked):
    made = asked(sql="case when aspect = 'food' and regexp_matches(text, '(?i)cold|raw') then 'no' else size end")
    food, other = (
        items("Cold soup", "nice", aspect="food", size="yes"),
        items("Cold", "nice", aspect="room", size="big"),
    )
    assert made.labels(food) == [("0", "no", None), ("1", "yes", None)]
    assert made.labels(other) == [("0", None, "not_a_label"), ("1", None, "not_a_label")]
    assert made.labels(items("nice")) == [("0", None, "abstained")]
    assert made.labels(items()) == []


def test_a_value_of_the_context_that_is_no_text_is_its_json(asked):
    assert asked(sql="if(size = '3', 'yes', 'no')").labels(items("a", size=3)) == [("0", "yes", None)]


def test_items_keep_their_labels_over_many_chunks_of_a_query(asked):
    texts = [("yes", "no")[n % 3 == 0] for n in range(300_000)]
    votes = asked(sql="text").labels(items(*texts))
    assert votes == [(str(n), text, None) for n, text in enumerate(texts)]


@pytest.mark.parametrize(
    "sql",
    [
        "(select content from read_text('{secret}'))",
        "(select any_value(column0) from read_csv('{secret}'))",
        "(from '{secret}')",
        "read_text('{secret}')",
        "read_csv('{secret}')",
        "text from read_text('{secret}')",
        "'yes') as label from read_text('{secret}') where ('a' = 'a'",
        "'yes'); copy (select 1) to '{target}'; select ('a'",
        "'yes'; copy (select 1) to '{target}'",
        "'yes'; attach '{target}'",
        "attach '{target}'",
        "copy item to '{target}'",
        "pragma database_list",
        "pragma_version()",
        "install httpfs",
        "load httpfs",
        "set threads = 1",
        "getenv('HOME')",
        "getvariable('labels')",
        "current_setting('threads')",
        "(select value from duckdb_settings() limit 1)",
        "(select text from item limit 1)",
        "exists (select 1)",
        "text in (select text from item)",
        "first(text) over ()",
        "max(text)",
        "count(*)::varchar",
        "unnest(['yes', 'no'])",
        "*",
        "columns('text')",
        "$1",
        "?",
        "'yes', 'no'",
        "text order by 1",
        "distinct text",
        "text union all select 'yes'",
        "random()::varchar",
        "uuid()",
        "now()::varchar",
        "current_date::varchar",
        "current_timestamp::varchar",
        "current_user",
        "current_localtime()::varchar",
        "current_localtimestamp()::varchar",
        "pg_postmaster_start_time()::varchar",
        "pg_conf_load_time()::varchar",
        "ago(interval 1 day)::varchar",
        "age(timestamp '2020-01-01')::varchar",
        "AGE(cast(text as timestamp))::varchar",
        "text.age()::varchar",
        "version()",
        "list_transform([text], lambda one: version())[1]",
        "nextval('s')::varchar",
        "write_log('yes')",
        "query('select 1')",
    ],
)
def test_an_expression_reads_nothing_but_its_item_and_writes_nothing(sql, asked, tmp_path):
    secret, target = tmp_path / "secret.csv", tmp_path / "written"
    secret.write_text("canary")
    with pytest.raises(RequestError) as refused:
        asked(sql=sql.format(secret=secret, target=target))
    assert str(refused.value).startswith("f: the SQL ")
    assert "canary" not in str(refused.value)
    assert not target.exists()


@pytest.mark.parametrize("source", ["read_text('{secret}')", "'{secret}'", "glob('{folder}/*')", '"table"'])
def test_the_connection_itself_reads_no_file_and_no_variable(source, tmp_path):
    (tmp_path / "secret.csv").write_text("content\ncanary\n")
    source = source.format(secret=tmp_path / "secret.csv", folder=tmp_path)
    table = pl.DataFrame({"assay item_id": ["0"], "text": ["canary"]})  # `table` is also a variable where it asks
    with pytest.raises(RequestError, match=r"Permission Error|Catalog Error"):
        function._bound("f", f"(select count(*)::varchar from {source})", table)


@pytest.mark.parametrize(
    "sql, said",
    [
        ("case when", "cannot be read: syntax error"),
        ("'yes", "cannot be read: unterminated quoted string"),
        ("colour", 'Referenced column "colour" not found'),
        ("text like 'a%'", "it gives BOOLEAN, not a label"),
        ("length(text)", "it gives BIGINT, not a label"),
    ],
)
def test_an_expression_that_gives_no_label_is_refused_in_words(sql, said, asked):
    with pytest.raises(RequestError, match=r"^f: the SQL expression ") as refused:
        asked(sql=sql)
    assert said in str(refused.value)


def test_an_expression_that_fails_on_a_text_is_refused_without_a_word_of_it(asked):
    made = asked(sql="if(cast(text as int) > 1, 'yes', 'no')")
    with pytest.raises(RequestError) as refused:
        made.labels(items("1", "secret"))
    assert str(refused.value) == (
        "f: the SQL expression fails on an item (ConversionException); try() gives null where a part fails"
    )
    assert refused.value.__context__ is None
    tried = asked(sql="if(try(cast(text as int)) > 1, 'yes', 'no')")
    assert [label for _, label, _ in tried.labels(items("1", "2"))] == ["no", "yes"]


def test_a_field_called_as_a_function_is_read_and_opens_no_way_to_the_function(asked):
    assert asked(sql="version", context="version, age").labels(items("a", version="yes")) == [("0", "yes", None)]
    for call in ("version()", "age(timestamp '2020-01-01')::varchar"):
        with pytest.raises(RequestError, match=r"rests on more than the item: (version|age)$"):
            asked(sql=call, context="version, age")


def test_the_span_between_two_times_and_a_time_itself_are_the_same_everywhere(asked, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    span = "if(age(timestamp '2020-01-03', timestamp '2020-01-01') = interval 2 day, 'yes', 'no')"
    zone = "if((timestamptz '2020-01-01 00:00:00')::varchar = '2020-01-01 00:00:00+00', 'yes', 'no')"
    assert [asked(sql=sql).labels(items("a"))[0][1] for sql in (span, zone)] == ["yes", "yes"]
    with pytest.raises(duckdb.Error, match="locked"):
        function._connection().execute("set TimeZone = 'America/New_York'")


def test_an_expression_may_end_in_a_comment(asked):
    assert asked(sql="'yes' -- always").labels(items("a")) == [("0", "yes", None)]


# What they say, counted


def counted(votes, items=5):
    """Return the rows of function_coverage for `item annotator label|reason` of functions, and `… llm` of a model."""
    connection = duckdb.connect()
    connection.execute("create table known_item (item_id text)")
    connection.executemany("insert into known_item values (?)", [[f"i{n}"] for n in range(1, items + 1)])
    connection.execute(
        "create table annotation (annotation_id text, annotator_kind text, item_id text, annotator_id text, label text,"
        " reason text)"
    )
    for number, vote in enumerate(map(str.split, votes)):
        item, annotator, said, *kind = vote
        label = said if said in ("0", "1") else None
        connection.execute(
            "insert into annotation values (?, ?, ?, ?, ?, ?)",
            [str(number), *(kind or ["function"]), item, annotator, label, None if label else said],
        )
    connection.execute(
        "create view model_vote as select annotation_id, annotator_kind, item_id, annotator_id, label from annotation"
    )
    found = relation(connection, "function_coverage")
    return {row[0]: dict(zip(found.columns, row, strict=True)) for row in found.fetchall()}


MATRIX = [  # the example in the documentation of Snorkel's LFAnalysis; - abstains
    "- 0 0",
    "- - -",
    "1 0 -",
    "- 0 -",
    "0 0 0",
]


def test_coverage_overlap_and_conflict_are_snorkels():
    votes = [
        f"i{row} f{column} {'abstained' if label == '-' else label}"
        for row, line in enumerate(MATRIX, 1)
        for column, label in enumerate(line.split(), 1)
    ]
    found = counted(reversed(votes))
    shares = [[one[f"{name}_share"] for name in ("coverage", "overlap", "conflict")] for one in found.values()]
    # f1 labels items 3, 5: 2/5; another labels both, too: 2/5; on 3 it says 1 and f2 says 0: 1/5
    # f2 labels 1, 3, 4, 5: 4/5; alone on 4: 3/5 overlap; parts on 3: 1/5
    # f3 labels 1, 5: 2/5; f2 is there both times: 2/5; and says the same: 0
    assert shares == [[0.4, 0.4, 0.2], [0.8, 0.6, 0.2], [0.4, 0.4, 0.0]]
    assert list(found) == ["f1", "f2", "f3"]
    assert [one["polarity"] for one in found.values()] == [["0", "1"], ["0"], ["0"]]
    assert [(one["labelled"], one["abstained"], one["failed"]) for one in found.values()] == [
        (2, 3, 0), (4, 1, 0), (2, 3, 0),
    ]  # fmt: skip


def test_each_of_three_that_do_not_agree_is_in_conflict():
    # f1 and f2 say the same and f3 not: each of them has another that says otherwise
    found = counted(["i1 f1 0", "i1 f2 0", "i1 f3 1"], items=4)
    assert [one["conflict_share"] for one in found.values()] == [0.25, 0.25, 0.25]


def test_models_are_no_functions_and_what_failed_is_no_abstention():
    votes = ["i1 f1 function_failed", "i2 f1 not_a_label", "i3 f1 abstained", "i1 m 0 llm", "i3 m 1 llm"]
    assert counted(votes, items=3) == {
        "f1": {
            "annotator_id": "f1", "items": 3, "labelled": 0, "abstained": 1, "failed": 2, "polarity": [],
            "coverage_share": 0.0, "overlap_share": 0.0, "conflict_share": 0.0,
        }
    }  # fmt: skip
    assert counted(["i1 m 0 llm"]) == {}


def test_a_functions_label_has_no_say_in_what_models_suggest():
    connection = duckdb.connect()
    connection.execute(
        "create table model_vote (item_id text, annotator_id text, annotator_kind text, label text,"
        " distribution struct(label text, probability double)[])"
    )
    connection.execute("""
        insert into model_vote values
            ('a', 'm', 'llm', 'no', [{'label': 'no', 'probability': 0.75}, {'label': 'yes', 'probability': 0.25}]),
            ('a', 'f', 'function', 'yes', null),
            ('b', 'f', 'function', 'yes', null)
    """)
    [(item, models, label, entropy, _)] = connection.sql(query("suggestion")).fetchall()
    assert (item, models, label) == ("a", 1, "no")
    # with the function's certain yes the mean would be .625 yes; without it 3/4 no, 1/4 yes
    assert entropy == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))


def test_the_evidence_and_its_pages_show_each_function(written, tmp_path):
    functions = (
        "  - {name: cold, kind: function, sql: \"if(contains(text, 'cold'), 'bad', null)\"}\n"
        "  - {name: never, kind: function, function: 'rules:never'}\n"
        "  - {name: good, kind: function, sql: \"'good'\"}\n"
    )
    texts = {"a": "cold soup", "b": "good cake", "c": "cold cake", "d": "fair prices"}
    votes = ["a ann bad", "a bob bad", "b ann good", "b bob good", "c ann good", "c bob good"]
    folder = written(tmp_path / "c", {DAY: texts}, {DAY: votes}, functions)
    (folder / "rules.py").write_text("def never(text): pass")
    shown = evidence(*labelled(folder, tmp_path))
    assert [
        (
            one["annotator_id"], one["labelled"], one["abstained"], one["coverage_share"], one["overlap_share"],
            one["conflict_share"], one["accuracy"]["value"], one["accuracy"]["n"], one["labels"],
        )
        for one in shown["functions"]
    ] == [
        # people settled a bad, b good, c good: cold is right on a and wrong on c, good on b and c of the three
        ("cold", 2, 2, 0.5, 0.5, 0.5, 0.5, 2, {"bad": 2}),
        ("never", 0, 4, 0.0, 0.0, 0.0, None, 0, {}),
        ("good", 4, 0, 1.0, 0.5, 0.5, pytest.approx(2 / 3), 3, {"good": 4}),
    ]  # fmt: skip
    assert shown["functions"][1]["rule"] == "rules:never"
    kinds = {row["annotator_id"]: row["annotator_kind"] for row in shown["annotations"]["by_annotator"]}
    assert kinds == {"ann": "human", "bob": "human", "cold": "function", "never": "function", "good": "function"}
    assert shown["consensus"]["human"] == 3  # as without them
    assert json.loads(json.dumps(shown))["functions"] == shown["functions"]
    row = "| cold | 2 | 2 | 0 | bad | 50.0 % | 50.0 % | 50.0 % | 0.500 (0.095–0.905) | 2 |"
    assert row in card(shown)
    assert "| never | 0 | 4 | 0 | none | 0 % | 0 % | 0 % | undefined | 0 |" in card(shown)
    assert "<h3>Labelling functions</h3>" in report(shown)
    assert "Labelling functions" not in report(shown | {"functions": []}) + card(shown | {"functions": []})


def labelled(folder, home):
    """Return a run of the curation, every item labelled by its functions, and their versions."""
    run = started(str(folder), date.fromisoformat(DAY), "then", str(home))
    with disable_run_logger():
        read_documents.fn(run, run.curation.sources[0])
        for stage in (make_items, find_neighbours, assign_splits):
            stage.fn(run)
        import_labels.fn(run, run.curation.people[0])
        rules = {one.name: rule(one, run.curation, run.folder) for one in run.curation.functions}
        versions = {name: made.version for name, made in rules.items()}
        frame = Store(run.store).connect().sql("select item_id, text, context from item").pl()
        rows = [
            dict.fromkeys(columns(Annotation).names) | {
                "annotation_id": f"{name} {item_id}", "item_id": item_id, "annotator_id": name,
                "annotator_kind": "function", "annotator_version": made.version, "label": label, "reason": reason,
                "distribution_source": "none", "guideline_version": "none", "recorded_at": run.started_at,
                "available_on": run.as_of, "run_id": run.run_id,
            }
            for name, made in rules.items()
            for item_id, label, reason in made.labels(frame)
        ]  # fmt: skip
        Store(run.store).merge("annotation", rows)
        settle.fn(run, versions)
        draw_queue.fn(run, versions)
        measure_agreement.fn(run, versions)
        choose_examples.fn(run)
    return run, versions


def test_the_demos_functions_label_or_abstain(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # they are found from the curation, wherever one stands
    folder = ROOT / "curations" / "restaurant_reviews"
    curation = load(folder / "curation.yaml")
    rules = {one.name: rule(one, curation, folder) for one in curation.functions}
    texts = (
        "The food was great, but our waiter was rude.", "We had a great time.", "The service wasn't good.",
        "Good service, bad service.",
    )  # fmt: skip
    said = {name: [vote[1:] for vote in made.labels(items(*texts, aspect="service"))] for name, made in rules.items()}
    assert said == {
        "keywords": [("negative", None), (None, "abstained"), ("negative", None), (None, "abstained")],
        # a waiter is service, and it does not know that
        "silence": [("unknown", None), ("unknown", None), (None, "abstained"), (None, "abstained")],
    }
    assert os.getcwd() == str(tmp_path)
