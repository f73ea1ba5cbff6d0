"""The gate: every promise can be broken, what is broken is named, and what raises has failed."""

import duckdb
import pytest
from prefect.logging import disable_run_logger

from expectations.suites import suites
from schemas.curation import Curation
from tasks.gate import judge

CURATION = Curation.model_validate({
    "name": "tiny",
    "labels": {"kind": "choice", "values": {"good": "It is good.", "bad": "It is bad."}},
    "sources": [{"path": "data.jsonl"}],
    "annotators": [{"name": "crowd", "kind": "human", "path": "labels.csv"}],
    "clean": {"min_chars": 2, "max_chars": 9},
    "consensus": {"method": "majority", "min_labels": 2, "min_posterior": 0.9},
    "gates": {"min_alpha": 0.4, "max_unresolved_share": 0.5, "min_examples": 2, "max_label_share": 0.8,
              "max_label_drift": 0.2, "min_mean_entropy_nats": 0.1, "max_mean_entropy_nats": 0.6},
})  # fmt: skip

# Frames in which every promise holds.
FRAMES = {
    "item": "(values ('i1', 5, 'train'), ('i2', 9, 'test')) as f(item_id, chars, split)",
    "source": "(values (0, 0)) as f(unaccounted, damaged_files)",
    "annotation": "(values ('a1', 'i1', 'human', 'good', null::double), ('a2', 'i1', 'llm', 'bad', 1.0)) "
                  "as f(annotation_id, item_id, annotator_kind, label, distribution_sum)",
    "agreement": "(values (0.5::double, 0.3::double)) as f(krippendorff_alpha_low, mean_entropy_nats)",
    "consensus": "(values ('i1', 'human', 2, 0.9::double, false, 1.0::double), ('i2', 'unresolved', null, null, null, null)) "
                 "as f(item_id, status, settled_people, settled_posterior_share, settled_is_tie, entropy_share)",
    "coverage": "(values (0, 0.5::double)) as f(uncounted_items, unresolved_share)",
    "split": "(values ('i1', 'good', 'human', null, true, true), ('i2', 'bad', 'accepted', true, true, true)) "
             "as f(item_id, label, status, is_certified, is_in_its_split, is_as_labelled)",
    "leakage": "(values (0, 0, 0, 0, 0.8::double, 0.2::double)) as f(groups_in_two_splits, near_duplicates_in_two_splits, "
               "texts_in_two_splits, empty_splits, largest_label_share, largest_label_drift)",
}  # fmt: skip

# What is done to a frame, and the promise it breaks.
BROKEN = [
    ("item", "delete from item", "there are items"),
    ("item", "update item set item_id = 'i1'", "every item has one row"),
    ("item", "update item set item_id = null where item_id = 'i1'", "every item has an id"),
    ("item", "update item set chars = 10 where item_id = 'i1'", "every text is as long as the curation allows"),
    ("item", "update item set split = null where item_id = 'i1'", "every item is in a split"),
    ("item", "update item set split = 'dev' where item_id = 'i1'", "every split is train, validation or test"),
    ("source", "update source set unaccounted = 1", "every record read is an item, a duplicate or in quarantine"),
    ("source", "update source set damaged_files = 1", "every file could be read to its end"),
    ("annotation", "delete from annotation", "there are annotations"),
    ("annotation", "update annotation set annotation_id = 'a1'", "every annotation is counted once"),
    ("annotation", "update annotation set item_id = null", "every annotation is of an item"),
    ("annotation", "update annotation set label = 'ugly'", "every label is one of the curation's"),
    ("annotation", "update annotation set distribution_sum = 0.99", "every distribution sums to one"),
    ("annotation", "update annotation set annotator_kind = 'oracle'", "annotators are people, models or functions"),
    ("agreement", "update agreement set krippendorff_alpha_low = 0.39", "people agree: alpha is at least 0.4"),
    ("agreement", "update agreement set krippendorff_alpha_low = null", "people agree: alpha is at least 0.4"),
    ("agreement", "update agreement set mean_entropy_nats = 0.05", "the mean entropy of people's votes is in its band"),
    ("agreement", "update agreement set mean_entropy_nats = 0.65", "the mean entropy of people's votes is in its band"),
    ("consensus", "update consensus set item_id = 'i1'", "every item is settled once"),
    ("consensus", "update consensus set status = 'lost'", "every item has exactly one known status"),
    ("consensus", "update consensus set settled_people = 1", "a settled item has at least 2 people's labels"),
    ("consensus", "update consensus set settled_posterior_share = 0.89", "a settled item's posterior is at least 0.9"),
    ("consensus", "update consensus set settled_is_tie = true", "no tie is settled"),
    ("consensus", "update consensus set entropy_share = 1.01", "entropy lies between 0 and that of a fair draw"),
    ("coverage", "update coverage set uncounted_items = 1", "every item known by the date has a consensus row"),
    ("coverage", "update coverage set unresolved_share = 0.51", "at most 50% of items are neither settled nor in the queue"),
    ("split", "delete from split where item_id = 'i1'", "there are at least 2 examples"),
    ("split", "update split set item_id = 'i1'", "no item is published twice"),
    ("split", "update split set label = 'ugly'", "every example's label is one of the curation's"),
    ("split", "update split set status = 'review'", "every example was settled by people or under a certificate"),
    ("split", "update split set is_certified = false", "every label taken from a model stands under the certificate"),
    ("split", "update split set is_in_its_split = false", "every example stands in the split it was given for good"),
    ("split", "update split set is_as_labelled = false", "every example's message answers with its label"),
    ("leakage", "update leakage set groups_in_two_splits = 1", "no group stands in two splits"),
    ("leakage", "update leakage set near_duplicates_in_two_splits = 1", "no two near-duplicates stand in different splits"),
    ("leakage", "update leakage set texts_in_two_splits = 1", "no text stands in two splits"),
    ("leakage", "update leakage set empty_splits = 1", "every split has examples"),
    ("leakage", "update leakage set largest_label_share = 0.81", "no label has more than 80% of the examples"),
    ("leakage", "update leakage set largest_label_drift = 0.21", "in no split a label's share is 20% off the whole"),
]  # fmt: skip
WARNINGS = {
    "every file could be read to its end", "the mean entropy of people's votes is in its band",
    "every split has examples", "no label has more than 80% of the examples",
    "in no split a label's share is 20% off the whole",
}  # fmt: skip


def verdict(tmp_path, change=None, only=None):
    """Return the gate's verdict on the frames, one of them changed."""
    place = tmp_path / "frames.duckdb"
    with duckdb.connect(str(place)) as frames:
        for name, rows in FRAMES.items():
            frames.execute(f"create table {name} as select * from {rows}")
        if change:
            frames.execute(change)
    with disable_run_logger():
        return judge.fn(place, [suite for suite in suites(CURATION) if only in (None, suite.name)])


def test_where_every_promise_holds_the_gate_passes(tmp_path):
    found = verdict(tmp_path)
    assert (found["passed"], found["failed"]) == (True, [])
    promised = [(suite["suite"], check["what"]) for suite in found["suites"] for check in suite["checks"]]
    broken = {(suite, what) for suite, _, what in BROKEN}
    # every promise there is stands in the table above
    assert [
        one for one in promised if not any(suite == one[0] and one[1].startswith(what) for suite, what in broken)
    ] == []


@pytest.mark.parametrize(("suite", "change", "what"), BROKEN, ids=[change for _, change, _ in BROKEN])
def test_a_promise_that_is_broken_fails_and_is_named(suite, change, what, tmp_path):
    found = verdict(tmp_path, change, suite)
    failed = [check["what"] for check in found["suites"][0]["checks"] if not check["success"]]
    assert any(one.startswith(what) for one in failed)
    assert found["passed"] == (what in WARNINGS)
    assert any(one.startswith(f"{suite}: {what}") for one in found["failed"]) == (what not in WARNINGS)


def test_an_expectation_that_raises_has_failed(tmp_path):
    found = verdict(tmp_path, "alter table leakage drop column texts_in_two_splits", "leakage")
    assert found["failed"] == ["leakage: no text stands in two splits (observed: could not be judged)"]
    assert [check["observed"] for check in found["suites"][0]["checks"] if not check["success"]] == [
        "could not be judged"
    ]


def test_a_verdict_holds_figures_and_never_a_value_of_a_row(tmp_path):
    marker = "A-CELL-THAT-NOBODY-MAY-SEE"
    for suite, change in [
        ("split", f"update split set label = '{marker}', item_id = '{marker}', status = '{marker}'"),
        ("item", f"update item set split = '{marker}'"),
        ("annotation", f"update annotation set label = '{marker}', annotator_kind = '{marker}'"),
        ("leakage", f"alter table leakage alter largest_label_share type varchar; update leakage set largest_label_share = '{marker}'"),
    ]:  # fmt: skip
        (tmp_path / suite).mkdir()
        assert marker not in str(verdict(tmp_path / suite, change, suite))


# --- the whole line


def test_a_refused_release_leaves_the_one_before_current_and_its_evidence_behind(twelve, line, tmp_path):
    folder, home = twelve(tmp_path / "a"), tmp_path / "home"
    assert line(folder, "2026-11-16", home)["status"] == "published"
    twelve(folder, gates="{min_examples: 13}")
    refused = line(folder, "2026-11-17", home)
    assert refused["failed"] == ["split: there are at least 13 examples (observed: 12)"]
    assert sorted(place.name for place in (folder / "releases" / "tiny").glob("[!.]*")) == ["2026-11-16.1", "LATEST"]
    assert (folder / "releases" / "tiny" / "LATEST").read_text() == "2026-11-16.1\n"
    assert (home / "tiny" / "evidence" / f"{refused['content']}.json").is_file()
    again = line(folder, "2026-11-17", home)
    assert (again["status"], "failed" in again) == ("refused", False)  # at once: nothing was judged
    assert not refused["run"].drafts.exists()


@pytest.mark.slow
def test_one_label_only_has_no_alpha_so_a_floor_refuses_and_no_floor_warns(written, line, tmp_path):
    documents = {"2026-11-17": {"d0": "cold soup", "d1": "good cake"}}
    labels = {"2026-11-17": [f"{item} {who} good" for item in documents["2026-11-17"] for who in ("ann", "bob")]}
    folder = written(tmp_path / "a", documents, labels, gates="{min_alpha: 0.0}")
    refused = line(folder, "2026-11-17", tmp_path / "home")
    assert refused["failed"] == [
        "agreement: people agree: alpha is at least 0, at the lower end of its interval (observed: undefined)"
    ]
    written(folder, documents, labels)
    assert line(folder, "2026-11-17", tmp_path / "home")["status"] == "published"


@pytest.mark.slow
def test_without_any_label_of_a_person_there_is_nothing_to_publish(written, line, tmp_path):
    folder = written(tmp_path / "a", {"2026-11-17": {"d0": "cold soup"}}, {})
    refused = line(folder, "2026-11-17", tmp_path / "home")
    assert refused["failed"] == [
        "annotation: there are annotations (observed: 0)",
        "split: there are at least 1 examples (observed: 0)",
    ]


def test_before_the_first_document_there_is_nothing_to_do(twelve, line, tmp_path):
    ended = line(twelve(tmp_path / "a"), "2026-11-14", tmp_path / "home")
    assert (ended["status"], ended["release"]) == ("unchanged", None)
