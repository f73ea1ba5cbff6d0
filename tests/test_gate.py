"""The gate: every promise can be broken, what is broken is named, and what cannot be judged has failed."""

import json

import duckdb
import pytest
from prefect.logging import disable_run_logger

from expectations.suites import expected, suites
from flows.sql import sql
from schemas.curation import Curation
from schemas.frame import FRAMES, sql_columns
from tasks.artifact import verdict_markdown
from tasks.gate import judge
from tasks.release.measure import failing, measures

GIVEN = {
    "name": "tiny",
    "labels": {"kind": "choice", "values": {"good": "It is good.", "bad": "It is bad."}},
    "sources": [{"path": "data.jsonl"}],
    "annotators": [{"name": "crowd", "kind": "human", "path": "labels.csv"}],
    "clean": {"min_chars": 2, "max_chars": 9},
    "consensus": {"method": "majority", "min_labels": 2, "min_posterior": 0.9},
}
GATES = {
    "min_alpha": 0.4, "max_unresolved_share": 0.5, "min_examples": 2, "min_people_share": 0.5, "max_label_share": 0.8,
    "max_label_drift": 0.2, "min_mean_entropy_nats": 0.1, "max_mean_entropy_nats": 0.6, "max_unanimous_share": 0.9,
    "max_tied_share": 0.2, "max_shrink_share": 0.1, "max_parent_drift": 0.2, "max_slice_label_gap": 0.1,
    "max_slice_disagreement_gap": 0.1, "max_usd": 5.0,
}  # fmt: skip

# Frames in which every promise holds, each figure on the bound it may just reach.
ROWS = {
    "item": "('i1', 'train', 's', 2), ('i2', 'test', null, 9)",
    "source": "(0, 0)",
    "annotation": "('a1', 'i1', 'ann', 'human', 'good', null, 's'), ('a2', 'i1', 'gpt', 'llm', 'bad', 1.0000009, 's')",
    "agreement": "(0.4, 0.3, 0.6, 0.1, 0.9, 0.2)",
    "consensus": "('i1', 'human', 'good', 2, 0, 0.9, false, 1.0), ('i2', 'unresolved', null, 0, 0, null, true, null)",
    "coverage": "(0, 0.5)",
    "example": "('i1', 'train', 'good', 'human', 2, 0, 0.9, 0.0, 's', 5, null, true, false, false, false),"
               "('i2', 'test', 'bad', 'accepted', 0, 1, null, null, 's', 5, true, true, false, false, false)",
    "balance": "(0.8, 0.2, 0)",
    "slice": "(0.1, 0.1)",
    "parent": "(10, 0.1, 0.2)",
    "certificate": "(1, 1)",
    "cost": "(5.0)",
    "file": "(0, 0)",
}  # fmt: skip

# What is done to a frame, and the promise it breaks.
BROKEN = [
    ("delete from frame.item", "item.any"),
    ("update frame.item set item_id = 'i1'", "item.keys"),
    ("update frame.item set item_id = null where item_id = 'i1'", "item.keys"),
    ("update frame.item set chars = 10 where item_id = 'i1'", "item.length"),
    ("update frame.item set chars = 1 where item_id = 'i1'", "item.length"),
    ("update frame.item set split = null where item_id = 'i1'", "item.splits"),
    ("update frame.item set split = 'dev' where item_id = 'i1'", "item.splits"),
    ("update frame.source set unaccounted = 1", "source.accounted"),
    ("update frame.source set damaged_files = 1", "source.whole_files"),
    ("delete from frame.annotation", "annotation.any"),
    ("update frame.annotation set annotation_id = 'a1'", "annotation.keys"),
    ("update frame.annotation set item_id = null", "annotation.of_items"),
    ("update frame.annotation set label = 'ugly'", "annotation.known_labels"),
    ("update frame.annotation set distribution_sum = 0.99", "annotation.whole_distributions"),
    ("update frame.annotation set annotator_kind = 'oracle'", "annotation.known_kinds"),
    ("update frame.agreement set krippendorff_alpha_low = 0.39", "agreement.min_alpha"),
    ("update frame.agreement set krippendorff_alpha_low = null", "agreement.min_alpha"),
    ("update frame.agreement set mean_entropy_nats = 0.05", "agreement.mean_entropy"),
    ("update frame.agreement set mean_entropy_nats = 0.65", "agreement.mean_entropy"),
    ("update frame.agreement set unanimous_share = 0.91", "agreement.not_all_easy"),
    ("update frame.agreement set tied_share = 0.21", "agreement.not_all_noise"),
    ("update frame.consensus set item_id = 'i1'", "consensus.keys"),
    ("update frame.consensus set status = 'lost'", "consensus.known_statuses"),
    ("update frame.consensus set people = 1", "consensus.enough_people"),
    ("update frame.consensus set posterior_share = 0.89", "consensus.sure_enough"),
    ("update frame.consensus set posterior_share = null", "consensus.sure_enough"),
    ("update frame.consensus set is_tie = true", "consensus.no_ties"),
    ("update frame.consensus set entropy_share = 1.01", "consensus.entropy_range"),
    ("update frame.coverage set uncounted_items = 1", "coverage.counted"),
    ("update frame.coverage set unresolved_share = 0.51", "coverage.unresolved"),
    ("update frame.certificate set certified_slices = 0", "certificate.present"),
    ("delete from frame.example where item_id = 'i2'", "split.min_examples"),
    ("update frame.example set item_id = 'i1'", "split.keys"),
    ("update frame.example set item_id = null", "split.keys"),
    ("update frame.example set label = 'ugly'", "split.known_labels"),
    ("update frame.example set status = 'review'", "split.settled"),
    ("update frame.example set is_certified = false", "split.certified"),
    ("update frame.example set is_in_its_split = false", "split.in_their_splits"),
    ("update frame.example set people = 0", "split.people"),
    ("update frame.example set is_group_in_two_splits = true", "leakage.groups"),
    ("update frame.example set is_near_other_split = true", "leakage.near_duplicates"),
    ("update frame.example set is_text_in_two_splits = true", "leakage.texts"),
    ("update frame.balance set empty_splits = 1", "balance.empty_splits"),
    ("update frame.balance set largest_label_share = 0.81", "balance.label_share"),
    ("update frame.balance set largest_label_drift = 0.21", "balance.label_drift"),
    ("update frame.slice set label_gap = 0.11", "slice.label_gap"),
    ("update frame.slice set disagreement_gap = 0.11", "slice.disagreement_gap"),
    ("update frame.parent set shrink_share = 0.11", "parent.size"),
    ("update frame.parent set largest_label_drift = 0.21", "parent.label_drift"),
    ("update frame.cost set usd = 5.01", "cost.within_budget"),
    ("update frame.cost set usd = null", "cost.within_budget"),
    ("update frame.file set differing_rows = 1", "file.rows"),
    ("update frame.file set differing_chats = 1", "file.chats"),
]  # fmt: skip
WARNINGS = {
    "source.whole_files", "agreement.mean_entropy", "agreement.not_all_easy", "agreement.not_all_noise",
    "balance.empty_splits", "balance.label_share", "balance.label_drift", "parent.label_drift",
}  # fmt: skip


def curation(**gates):
    return Curation.model_validate(GIVEN | {"gates": GATES | gates})


def frames(change=None):
    """Return a connection that holds the frames as tables, changed."""
    connection = duckdb.connect()
    connection.execute("create schema frame")
    for name, rows in ROWS.items():
        connection.execute(f"create table frame.{name} ({sql_columns(name)}); insert into frame.{name} values {rows}")
    if change:
        connection.execute(change)
    return connection


def verdict(change=None, frame=None, suite=None, **gates):
    """Return the gate's verdict on the frames, one of them changed, by all suites, those of a frame or one."""
    promised = [
        one for one in suites(curation(**gates), None) if frame in (None, one.frame) and suite in (None, one.suite)
    ]
    with disable_run_logger():
        return judge.fn(measures(frames(change), promised), expected(promised))


def broken(found):
    return {check["name"] for suite in found["suites"] for check in suite["checks"] if not check["success"]}


def test_where_every_promise_holds_at_its_bound_the_gate_passes():
    found = verdict()
    assert (found["passed"], found["failed"], broken(found)) == (True, [], set())
    promised = {check["name"] for suite in found["suites"] for check in suite["checks"]}
    assert promised == {name for _, name in BROKEN}  # every promise there is stands in the table above


def each_but_the_first_of_its_suite_is_slow():
    seen = set()
    for change, name in BROKEN:
        suite = name.partition(".")[0]
        yield pytest.param(change, name, id=change, marks=[pytest.mark.slow] if suite in seen else [])
        seen.add(suite)


@pytest.mark.parametrize(("change", "name"), each_but_the_first_of_its_suite_is_slow())
def test_a_promise_that_is_broken_fails_and_is_named(change, name):
    found = verdict(change, suite=name.partition(".")[0])
    assert name in broken(found)
    assert found["passed"] == (name in WARNINGS)
    assert [one.partition(":")[0] for one in found["failed"]] == sorted(
        broken(found) - WARNINGS, key=found_order(found)
    )


def found_order(found):
    names = [check["name"] for suite in found["suites"] for check in suite["checks"]]
    return names.index


def test_what_was_found_stands_beside_what_was_expected():
    found = verdict("update frame.example set label = 'ugly' where item_id = 'i2'", "example")
    check = next(check for suite in found["suites"] for check in suite["checks"] if not check["success"])
    assert check == {
        "name": "split.known_labels",
        "expectation": "expect_every_row_to_hold",
        "what": "every example's label is one of the curation's",
        "severity": "critical",
        "policy": "refuse",
        "success": False,
        "observed": "1 of 2 rows otherwise",
        "expected": "every row",
    }
    assert found["failed"] == [
        "split.known_labels: every example's label is one of the curation's (observed: 1 of 2 rows otherwise)"
    ]
    assert found["suites"][0]["measures"]["row count"] == 2


def test_alpha_only_warns_where_labels_are_skewed_and_ac1_has_a_floor():
    # votes 19:1 for one label: alpha falls at unchanged quality, AC1 does not
    low = "update frame.agreement set krippendorff_alpha_low = 0.1, largest_vote_share = {}, gwet_ac1_low = {}"
    assert verdict(low.format(0.95, 0.8), "agreement")["failed"] != []
    skewed = verdict(low.format(0.95, 0.8), "agreement", min_ac1=0.7)
    assert (skewed["passed"], broken(skewed)) == (True, {"agreement.min_alpha"})
    assert broken(verdict(low.format(0.95, 0.6), "agreement", min_ac1=0.7)) == {
        "agreement.min_alpha",
        "agreement.min_ac1",
    }
    even = verdict(low.format(0.6, 0.8), "agreement", min_ac1=0.7)
    assert [one.partition(":")[0] for one in even["failed"]] == ["agreement.alpha_or_skew"]


def test_a_release_may_be_much_smaller_where_a_reason_is_given():
    found = verdict("update frame.parent set shrink_share = 0.5", "parent", shrink_reason="one source was withdrawn")
    assert (found["passed"], broken(found)) == (True, {"parent.size"})
    assert "one source was withdrawn" in found["suites"][0]["checks"][0]["what"]


def test_a_gap_between_slices_without_a_threshold_is_told_and_refuses_nothing():
    found = verdict("update frame.slice set label_gap = 0.7", "slice", max_slice_label_gap=None)
    check = found["suites"][0]["checks"][0]
    assert (check["severity"], check["success"], check["observed"]) == ("info", True, "0.7")


def test_what_cannot_be_judged_has_failed_and_its_neighbours_are_judged():
    found = verdict("alter table frame.example drop column is_text_in_two_splits", "example")
    assert found["failed"] == ["leakage.texts: no text stands in two splits (observed: could not be judged)"]
    assert next(suite for suite in found["suites"] if suite["suite"] == "split")["measures"]["min_examples"] == 2


def test_what_cannot_be_judged_is_critical_whatever_its_severity():
    found = verdict("alter table frame.balance drop column empty_splits", "balance")
    assert found["failed"] == ["balance.empty_splits: every split has examples (observed: could not be judged)"]
    assert {check["severity"] for check in found["suites"][0]["checks"] if check["success"]} == {"warning"}


def test_what_takes_too_long_could_not_be_judged(monkeypatch):
    monkeypatch.setattr("tasks.release.measure.SCAN_SECONDS", 0.1)
    promised = [one for one in suites(curation(), None) if one.suite == "item"]
    endless = (
        "as select i::varchar as item_id, 'train' as split, 's' as slice, 5 as chars from range(1000000000000) a(i)"
    )
    found = measures(frames(f"drop table frame.item; create view frame.item {endless}"), promised)
    assert found == {"item": {}}


def test_a_suite_without_any_measure_has_failed():
    promised = [one for one in suites(curation(), None) if one.suite == "item"]
    with disable_run_logger():
        found = judge.fn({}, expected(promised))
    assert len(found["failed"]) == len(promised[0].promises)


def test_a_verdict_holds_figures_and_never_a_value_of_a_row():
    marker = "A-CELL-THAT-NOBODY-MAY-SEE"
    for frame, change in [
        ("example", f"update frame.example set label = '{marker}', item_id = '{marker}', status = '{marker}'"),
        ("item", f"update frame.item set split = '{marker}'"),
        ("annotation", f"update frame.annotation set label = '{marker}', annotator_kind = '{marker}'"),
        ("balance", "alter table frame.balance alter largest_label_share type varchar; "
                    f"update frame.balance set largest_label_share = '{marker}'"),
    ]:  # fmt: skip
        found = verdict(change, frame)
        assert marker not in json.dumps(found) + verdict_markdown(found)


def test_the_items_that_break_a_promise_are_listed():
    connection = frames("update frame.example set label = 'ugly', item_id = 'i1'")
    promised = [one for one in suites(curation(policy={"split.known_labels": "drop"}), None) if one.frame == "example"]
    rows = failing(connection, promised, measures(connection, promised)).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("split.keys", "critical", "refuse", "example", "i1"),
        ("split.known_labels", "critical", "drop", "example", "i1"),
    ]


def test_a_change_of_a_promise_is_another_suite():
    def digest(**gates):
        return {suite["suite"]: suite["sha256"] for suite in verdict(frame="example", **gates)["suites"]}

    before = digest()
    assert digest() == before
    assert {name for name, sha in digest(min_examples=1).items() if sha != before[name]} == {"split"}
    assert {name for name, sha in digest(policy={"leakage.texts": "drop"}).items() if sha != before[name]} == {
        "leakage"
    }


@pytest.mark.slow
def test_the_verdict_is_shown_without_anything_that_could_be_markup():
    found = verdict(frame="example")
    found["suites"][0]["checks"][0]["what"] = "<img src=x onerror=alert(1)> | `code` [link](http://x)"
    shown = verdict_markdown(found)
    assert "<img" not in shown
    assert "`" not in shown and "](" not in shown
    assert {line.count("|") for line in shown.splitlines()} == {8}  # seven cells a row


def test_every_frame_has_a_row_for_the_tests_and_documented_columns():
    assert set(ROWS) == set(FRAMES)
    assert [
        name for frame in FRAMES.values() for name, field in frame.model_fields.items() if not field.description
    ] == []


# --- the whole line


@pytest.mark.slow
def test_a_refused_release_leaves_the_one_before_current_and_its_evidence_behind(twelve, line, tmp_path):
    folder, home = twelve(tmp_path / "a"), tmp_path / "home"
    assert line(folder, "2026-11-16", home)["status"] == "published"
    twelve(folder, gates="{min_examples: 13}")
    refused = line(folder, "2026-11-17", home)
    assert refused["failed"] == ["split.min_examples: there are at least 13 examples (observed: 12)"]
    assert sorted(place.name for place in (folder / "releases" / "tiny").glob("[!.]*")) == ["2026-11-16.1", "LATEST"]
    assert (folder / "releases" / "tiny" / "LATEST").read_text() == "2026-11-16.1\n"
    assert (home / "tiny" / "evidence" / f"{refused['content']}.json").is_file()
    again = line(folder, "2026-11-17", home)
    assert (again["status"], "failed" in again) == ("refused", False)  # at once: nothing was judged
    assert not refused["run"].drafts.exists()


def test_what_is_dropped_is_kept_out_listed_and_counted(twelve, line, tmp_path):
    # of the dozen every third is not unanimous (2 of 3), so its posterior is no more than 2/3
    (tmp_path / "a" / "expectations").mkdir(parents=True)
    (tmp_path / "a" / "expectations" / "sure.yaml").write_text(
        "suite: sure\nframe: example\npromises:\n"
        "  - {name: unanimous, what: people are of one mind, every: entropy_nats = 0, policy: drop}\n"
    )
    folder = twelve(tmp_path / "a", gates="{suites: [expectations/*.yaml], max_shrink_share: 1}")
    ended = line(folder, "2026-11-17", tmp_path / "home")
    assert ended["status"] == "published"
    listed = sql(
        "select noun, reason, count(*), count(item_id) from quarantine group by all",
        str(folder),
        str(tmp_path / "home"),
    )
    assert listed["rows"] == [["example", "sure.unanimous", 4, 4]]
    assert sql("select promise, policy, count(*) from failing group by all", str(folder), str(tmp_path / "home"))["rows"] == [["sure.unanimous", "drop", 4]]  # fmt: skip
    evidence = json.loads((tmp_path / "home" / "tiny" / "evidence" / f"{ended['content']}.json").read_text())
    assert (evidence["excluded"], sum(evidence["splits"].values())) == ({"bridges_splits": 0, "sure.unanimous": 4}, 8)
    checks = json.loads((tmp_path / "a" / "releases" / "tiny" / "2026-11-17.1" / "checks.json").read_text())
    told = next(check for suite in checks["suites"] for check in suite["checks"] if check["name"] == "sure.unanimous")
    assert (told["success"], told["policy"], told["observed"]) == (True, "drop", "0 of 8 rows otherwise")


@pytest.mark.slow
def test_what_refuses_lists_the_items_that_break_it(twelve, line, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "own.yaml").write_text(
        "suite: sure\nframe: example\npromises:\n  - {name: unanimous, what: all agree, every: entropy_nats = 0}\n"
    )
    folder = twelve(tmp_path / "a", gates="{suites: [own.yaml]}")
    refused = line(folder, "2026-11-17", tmp_path / "home")
    assert refused["failed"] == ["sure.unanimous: all agree (observed: 4 of 12 rows otherwise)"]
    found = sql("select promise, severity, policy, frame, count(distinct item_id) from failing group by all", str(folder), str(tmp_path / "home"))  # fmt: skip
    assert found["rows"] == [["sure.unanimous", "critical", "refuse", "example", 4]]
    assert sql("select count(*) from quarantine", str(folder), str(tmp_path / "home"))["rows"] == [[0]]


@pytest.mark.slow
def test_one_label_only_has_no_alpha_so_a_floor_refuses_and_no_floor_warns(written, line, tmp_path):
    documents = {"2026-11-17": {"d0": "cold soup", "d1": "good cake"}}
    labels = {"2026-11-17": [f"{item} {who} good" for item in documents["2026-11-17"] for who in ("ann", "bob")]}
    folder = written(tmp_path / "a", documents, labels, gates="{min_alpha: 0.0}")
    refused = line(folder, "2026-11-17", tmp_path / "home")
    assert refused["failed"] == [
        "agreement.min_alpha: people agree: alpha is at least 0, at the lower end of its interval (observed: undefined)"
    ]
    written(folder, documents, labels)
    assert line(folder, "2026-11-17", tmp_path / "home")["status"] == "published"


@pytest.mark.slow
def test_without_any_label_of_a_person_there_is_nothing_to_publish(written, line, tmp_path):
    folder = written(tmp_path / "a", {"2026-11-17": {"d0": "cold soup"}}, {})
    refused = line(folder, "2026-11-17", tmp_path / "home")
    assert refused["failed"] == [
        "annotation.any: there are annotations (observed: 0)",
        "split.min_examples: there are at least 1 examples (observed: 0)",
    ]


@pytest.mark.slow
def test_a_release_that_shrinks_without_a_reason_is_refused(twelve, line, tmp_path):
    folder, home = twelve(tmp_path / "a"), tmp_path / "home"
    assert line(folder, "2026-11-16", home)["status"] == "published"
    # four people must agree now, and nobody asked more than three: 8 examples become none
    twelve(folder, consensus="{method: majority, min_labels: 4, min_posterior: 0.6}", gates="{}")
    refused = line(folder, "2026-11-17", home)
    assert "parent.size: there are at most 10% fewer examples than in the parent (observed: 1)" in refused["failed"]


@pytest.mark.slow
def test_before_the_first_document_there_is_nothing_to_do(twelve, line, tmp_path):
    ended = line(twelve(tmp_path / "a"), "2026-11-14", tmp_path / "home")
    assert (ended["status"], ended["release"]) == ("unchanged", None)
