"""Suites of a curation's own: promises in YAML, each told with file and name where it cannot be judged."""

import pytest

from expectations.suites import suites
from flows.__main__ import main
from schemas.curation import Curation
from schemas.errors import RequestError
from schemas.frame import FRAMES
from tests.test_gate import GIVEN, broken, curation, expected, frames, judge, measures

OWN = """
suite: slices
frame: example
promises:
  - {name: known, what: "every slice is one we sell in", every: "slice in ('de', 'fr', 's')"}
  - {name: german, what: "at least 30 % of the examples are German", severity: warning,
     measure: "avg((slice = 'de')::int)", min: 0.3}
  - {name: items, what: "no item is there twice", unique: item_id}
"""


def own(folder, text, **gates):
    """Return the suites of a curation whose folder holds one file of its own, `own.yaml`."""
    (folder / "own.yaml").write_text(text)
    return suites(curation(suites=["*.yaml"], **gates), folder)


def promise(text, frame="example"):
    return f"suite: mine\nframe: {frame}\npromises:\n  - {{name: one, what: it holds, {text}}}\n"


def judged(promised, change=None):
    from prefect.logging import disable_run_logger

    mine = promised[-1:]
    with disable_run_logger():
        return judge.fn(measures(frames(change), mine), expected(mine))


def test_a_file_of_promises_is_judged_as_those_that_ship(tmp_path):
    # both examples are of slice s, so none is German: 0 < 0.3
    found = judged(own(tmp_path, OWN))
    assert (found["passed"], broken(found)) == (True, {"slices.german"})
    assert [(check["name"], check["observed"], check["expected"]) for check in found["suites"][0]["checks"]] == [
        ("slices.known", "0 of 2 rows otherwise", "every row"),
        ("slices.german", "0", "at least 0.3"),
        ("slices.items", "0 of 2 rows otherwise", "every row"),
    ]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("update frame.example set slice = 'it' where item_id = 'i1'", "slices.known"),
        ("update frame.example set slice = null where item_id = 'i1'", "slices.known"),
        ("update frame.example set item_id = 'i1'", "slices.items"),
    ],
)
def test_a_promise_of_ones_own_that_is_broken_refuses(change, name, tmp_path):
    found = judged(own(tmp_path, OWN), change)
    assert [one.partition(":")[0] for one in found["failed"]] == [name]


def test_what_only_the_rows_show_to_be_wrong_fails_closed(tmp_path):
    # the cast holds for no row and for every empty frame
    found = judged(own(tmp_path, promise("every: item_id::int > 0")))
    assert found["failed"] == ["mine.one: it holds (observed: could not be judged)"]


@pytest.mark.parametrize("measure", ["null::int", "max(posterior_share) / 0", "max('nan'::double)"])
def test_a_figure_that_is_none_does_not_hold(measure, tmp_path):
    found = judged(own(tmp_path, promise(f'measure: "{measure}", min: 0')))
    assert found["failed"] == ["mine.one: it holds (observed: undefined)"]


def of_its_frame(found):
    return f"is_near_other_split) expected, of its columns and of frames named in full; found {found}"


WRONG = [
    (promise("every: \"(select max(text) from query('select text from published')) > ''\""), of_its_frame("table function")),
    (promise("measure: (select count(*) from range(100000000000)), min: 1"), of_its_frame("table function")),
    (promise("measure: (select count(*) from published), min: 1"), of_its_frame("the table 'published'")),
    (promise("measure: (select count(*) from memory.frame.item), min: 1"), of_its_frame("the table 'item'")),
    (promise("measure: (with a as (select 1 as b) select max(b) from a), min: 1"), of_its_frame("`with`")),
    (promise("measure: (select count(*) from frame.item tablesample 10%), min: 1"), of_its_frame("a sample")),
    (promise("every: (show tables) is null"), of_its_frame("show ref")),
    (promise("every: getvariable('as_of') is null"), of_its_frame("the function 'getvariable'")),
    (promise("every: random() > 0.5"), of_its_frame("the function 'random'")),
    (promise("every: current_date > '2026-11-17'"), of_its_frame("the function 'current_date'")),
    (promise("every: now() is null"), of_its_frame("the function 'now'")),
    (promise("every: ago('1 day'::interval) is null"), of_its_frame("the function 'ago'")),
    (promise("every: '" + "nullif(" * 9 + "chars" + ", 0)" * 9 + " > 1'"), of_its_frame("more than 8 calls of macros")),
    (promise("measure: 1" + "+1" * 900 + ", min: 1"), of_its_frame("an expression nested that deeply")),
    (promise("every: chars < (select max(chars) from frame.example), policy: drop"), "own.yaml, promise one: policy `drop`: a condition on the row's own columns expected, found a query"),
    (promise("every: slcie = 'de'"), "own.yaml, promise one: SQL over the frame example (item_id, split, "),
    (promise("every: slice"), "own.yaml, promise one: `every`: a condition, true or false, expected, found VARCHAR"),
    (promise("measure: max(slice), min: 1"), "own.yaml, promise one: `measure`: a number expected, found VARCHAR"),
    (promise("every: count(*) > 3"), "own.yaml, promise one: SQL over the frame example"),
    (promise("measure: 'count(*), 1', min: 1"), "own.yaml, promise one: one SQL expression expected, found 2"),
    (promise("every: 'true) or (true'"), "own.yaml, promise one: SQL over the frame example"),
    (promise("every: 'true; drop table x'"), "own.yaml, promise one: SQL over the frame example"),
    (promise("every: \"(select count(*) from read_text('/etc/passwd')) = 0\""), of_its_frame("table function")),
    (promise("every: \"(select max(text) from document) = 'x'\""), of_its_frame("the table 'document'")),
    (promise("every: 'true', policy: drop", "item"), "own.yaml, promise one: policy `drop` is for `every` promises of the frame example; refuse expected"),
    (promise("measure: count(*), min: 1, policy: drop"), "own.yaml, promise one: policy `drop` is for"),
    (promise("every: 'true'").replace("mine", "split"), "own.yaml: a suite is called split already"),
    (promise("evry: 'true'"), "own.yaml, line 4: unknown key `promises.0.evry`: did you mean `every`?"),
    (promise("every: 'true', severity: fatal"), "own.yaml, line 4: `promises.0.severity`: 'critical', 'warning' or 'info' expected, found 'fatal'"),
    (promise("measure: count(*)"), "`promises.0`: one: `min`, `max` or both expected with `measure`"),
    (promise("every: 'true', measure: count(*), min: 1"), "one: one of `every`, `unique` and `measure` expected"),
    (promise("measure: count(*), min: 2, max: 1"), "one: min (2) is greater than max (1)"),
    (promise("every: 'true'", "examples"), "own.yaml, line 2: `frame`: 'item', 'source'"),
    ("- a\n", "own.yaml, line 1: a suite is a mapping of keys to values"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "fault"), WRONG, ids=[fault[-60:] for _, fault in WRONG])
def test_a_fault_is_told_with_the_file_the_promise_and_what_was_expected(text, fault, tmp_path):
    with pytest.raises(RequestError) as told:
        own(tmp_path, text)
    assert fault in str(told.value)
    assert told.value.status == 2


SOUND = [
    "quantile_cont(chars, 0.9) filter (where label = 'good')",
    "avg((slice like 'd%' and people between 1 and 3)::int) / nullif(count(distinct item_id), 0)",
    "max(list_sum([x for x in [people, models] if x > 1]))",
    "max(split_part(item_id, '-', 1)::int)",
    "(select count(*) from frame.item i where exists (from frame.consensus c where c.item_id = i.item_id))",
    "(select max(n) from (select label, count(*) as n from frame.example group by label order by n desc limit 3))",
]


@pytest.mark.parametrize("measure", SOUND)
def test_what_duckdb_computes_of_frames_alone_is_sound(measure, tmp_path):
    assert own(tmp_path, promise(f'measure: "{measure}", min: 0'))[-1].promises[0].measure == measure


def test_what_does_not_end_on_empty_frames_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr("expectations.own.TRIAL_SECONDS", 0.2)
    ten = "(values " + ", ".join(f"({n})" for n in range(10)) + ")"
    rows = ", ".join(f"{ten} t{n}" for n in range(14))  # 10 ** 14
    with pytest.raises(RequestError, match="this takes more than"):
        own(tmp_path, promise(f'measure: "(select count(*) from {rows})", min: 0'))


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("no/*.yaml", "gates.suites: no file is named by 'no/*.yaml'"),
        ("../*.yaml", "a path below the curation's folder"),
    ],
)
def test_a_pattern_that_names_no_file_of_the_curation_is_refused(pattern, fault, tmp_path):
    with pytest.raises(RequestError, match=None) as told:
        suites(curation(suites=[pattern]), tmp_path)
    assert fault in str(told.value)


POLICIES = [
    ({"split.known_label": "drop"}, "gates.policy: there is no promise 'split.known_label': did you mean split.known_labels?"),
    ({"split.min_examples": "drop"}, "gates.policy: split.min_examples cannot drop: it is not about single rows of examples"),
    ({"item.length": "drop"}, "gates.policy: item.length cannot drop"),
    ({"split.keys": "drop"}, "gates.policy: split.keys cannot drop"),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "fault"), POLICIES, ids=[next(iter(policy)) for policy, _ in POLICIES])
def test_a_policy_names_a_promise_about_rows_of_examples(policy, fault, tmp_path):
    with pytest.raises(RequestError) as told:
        suites(curation(policy=policy), tmp_path)
    assert str(told.value).startswith(fault)


def test_the_curation_has_the_last_word_on_a_policy(tmp_path):
    text = promise("every: people > 1, policy: drop")
    assert own(tmp_path, text)[-1].promises[0].policy == "drop"
    assert own(tmp_path, text, policy={"mine.one": "refuse"})[-1].promises[0].policy == "refuse"


def test_the_curation_cannot_let_a_promise_drop_that_asks_for_other_rows(tmp_path):
    # what is dropped would change what is asked: one row a round, to the last
    text = promise("every: chars < (select max(chars) from frame.example)")
    assert own(tmp_path, text)[-1].promises[0].policy == "refuse"
    with pytest.raises(RequestError, match="found a query"):
        own(tmp_path, text, policy={"mine.one": "drop"})


def test_promises_that_ship_are_sound_on_every_kind_of_curation(tmp_path):
    # what ships is tried as a user's own is: on empty frames, by itself
    from expectations import own as own_room

    labels = {"it's": "A quote in it.", "b": "B."}
    given = Curation.model_validate(GIVEN | {"labels": {"kind": "choice", "values": labels}, "gates": {"min_alpha": 0, "min_ac1": 0, "max_usd": 1}})  # fmt: skip
    shipped = suites(given, tmp_path)
    own_room.try_out({suite.suite: suite for suite in shipped}, taken=set())
    assert {suite.frame for suite in shipped} == set(FRAMES)


def test_check_tells_of_a_fault_before_anything_is_spent(twelve, tmp_path, capsys):
    folder = twelve(tmp_path / "a", gates="{suites: [own.yaml]}")
    (folder / "own.yaml").write_text(promise("every: slcie = 'de'"))
    for command in ("check", "run"):
        assert main([command, str(folder), "--home", str(tmp_path / "home")]) == 2
        assert "own.yaml, promise one: SQL over the frame example" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_what_a_suite_says_is_part_of_what_a_release_is_made_from(twelve, line, tmp_path):
    from tasks.release.content import content_id

    folder = twelve(tmp_path / "a", gates="{suites: [own.yaml]}")
    (folder / "own.yaml").write_text(promise("every: people > 1"))
    run = line(folder, "2026-11-14", tmp_path / "home")["run"]
    before = content_id(run, {})
    (folder / "own.yaml").write_text("# a remark\n" + promise("every: people > 1"))
    assert content_id(run, {}) == before
    (folder / "own.yaml").write_text(promise("every: people > 2"))
    assert content_id(run, {}) != before
