"""A consensus: each item has exactly one status, and only people settle."""

from datetime import date

import polars as pl
import pytest
from prefect.logging import disable_run_logger

from schemas.run import started
from tasks.annotation import import_labels
from tasks.consensus import measure_agreement, settle, settled_for_training
from tasks.document import read_documents
from tasks.item import find_neighbours, make_items
from tasks.known import known
from tasks.split import assign_splits
from tasks.store import Store

DAY = "2026-11-17"
TEXTS = {"a": "cold soup", "b": "good cake", "c": "loud music", "d": "fair prices"}


def read(folder, home, as_of=DAY, labels="then"):
    """Return a run of the curation with its documents and labels in the store."""
    run = started(str(folder), date.fromisoformat(as_of), labels, str(home))
    read_documents.fn(run, run.curation.sources[0])
    for stage in (make_items, find_neighbours, assign_splits):
        stage.fn(run)
    import_labels.fn(run, run.curation.people[0])
    return run


def consensus(run, versions=None):
    """Return {document: its item's row of the consensus}."""
    settle.fn(run, versions or {})
    named = dict(known(run).sql("select item_id, source_id from document").fetchall())
    rows = pl.read_parquet(run.drafts / "consensus.parquet").to_dicts()
    assert len(rows) == len({row["item_id"] for row in rows})
    return {named[row["item_id"]]: row for row in rows}


def seen(run, *columns):
    return {item: tuple(row[column] for column in columns) for item, row in sorted(consensus(run).items())}


@pytest.fixture(autouse=True)
def _quiet():
    with disable_run_logger():
        yield


def votes(*items):
    """Return one row per vote from `item labels…`: annotators are numbered."""
    return [f"{item} w{number} {label}" for item, *given in map(str.split, items) for number, label in enumerate(given)]


def test_every_item_has_one_status_and_a_reason_where_it_is_not_settled(written, tmp_path):
    labels = votes("a good good bad", "b good", "c good bad")
    run = read(written(tmp_path / "c", {DAY: TEXTS}, {DAY: labels}), tmp_path)
    assert seen(run, "status", "label", "people", "reason") == {
        "a": ("human", "good", 3, None),  # 2/3 ≥ .6
        "b": ("unresolved", None, 1, "too_few_labels"),  # of 2
        "c": ("unresolved", None, 2, "tie"),
        "d": ("unresolved", None, 0, "no_labels"),
    }
    assert [row["posterior"] for _, row in sorted(consensus(run).items())][3] is None


def test_a_label_that_is_not_probable_enough_settles_nothing(written, tmp_path):
    settings = "{method: majority, min_labels: 2, min_posterior: 0.67}"
    run = read(written(tmp_path / "c", {DAY: TEXTS}, {DAY: votes("a good good bad")}, consensus=settings), tmp_path)
    assert seen(run, "status", "reason", "posterior_share")["a"] == ("unresolved", "low_posterior", 2 / 3)


def test_a_rating_has_a_mean_and_a_median(written, tmp_path):
    folder = written(tmp_path / "c", {DAY: TEXTS}, {DAY: votes("a 4 4 1", "b 2")},
                     consensus="{method: majority, min_labels: 2, min_posterior: 0.6}")  # fmt: skip
    scale = "labels: {kind: rating, values: {1: Bad., 2: Fair., 4: Good.}}"
    text = (folder / "curation.yaml").read_text().splitlines()
    (folder / "curation.yaml").write_text("\n".join(scale if line.startswith("labels:") else line for line in text))
    run = read(folder, tmp_path)
    found = seen(run, "label", "posterior_mean", "posterior_median")
    assert found["a"] == ("4", 3, 4)  # two thirds at 4, one at 1
    assert found["b"] == (None, 2, 2)
    assert found["c"] == (None, None, None)
    # H(2/3, 1/3) = ln 3 - 2/3 ln 2; the variance 2/3 * 1² + 1/3 * 2² = 2
    assert seen(run, "posterior_entropy_nats", "posterior_sd")["a"] == (pytest.approx(0.6365142), pytest.approx(2**0.5))


@pytest.mark.parametrize("method", ["majority", "one-coin", "dawid-skene"])
def test_a_tie_of_votes_is_never_human_whatever_the_method_makes_of_it(method, written, tmp_path):
    # w0 always agrees with the others, w1 never does: a method that weighs people would believe w0
    labels = votes("a good bad good good", "b bad good bad bad", "c good bad good good", "d good bad")
    settings = f"{{method: {method}, min_labels: 2, min_posterior: 0.5}}"
    run = read(written(tmp_path / "c", {DAY: TEXTS}, {DAY: labels}, consensus=settings), tmp_path)
    assert seen(run, "status", "label", "reason")["d"] == ("unresolved", None, "tie")


def test_two_equally_probable_labels_are_a_tie_though_one_has_more_votes(tmp_path):
    # such posteriors are rare, so the query is given one
    from tasks.sql import relation

    connection = Store(tmp_path).connect()
    connection.execute("create view known_item as select 'i' as item_id")
    connection.execute("create view vote as select 'i' as item_id, unnest(['ann', 'bob', 'cy']) as annotator_id")
    connection.execute("create view item_entropy as select 'i' as item_id, false as is_tie, 0.6 as entropy_nats")  # fmt: skip
    connection.execute("create view posterior as select 'i' as item_id, null as posterior, null as label, 0.5 as posterior_share, 0.7 as posterior_entropy_nats, null as posterior_mean, null as posterior_median, null as posterior_sd")  # fmt: skip
    connection.execute("create view suggestion as select '' as item_id, 0 as models, '' as label, 0.0 as entropy_nats, 0.0 as disagreement_nats")  # fmt: skip
    connection.execute("create view certified as select '' as item_id, '' as label")
    row = relation(connection, "consensus", min_labels=2, min_posterior=0.5).pl().to_dicts()[0]
    assert (row["status"], row["label"], row["reason"]) == ("unresolved", None, "tie")


def test_models_suggest_and_never_settle(written, tmp_path):
    run = read(written(tmp_path / "c", {DAY: TEXTS}, {DAY: votes("a good", "b good bad")}), tmp_path)
    ids = dict(known(run).sql("select source_id, item_id from document").fetchall())
    rows = [annotation(run, ids[item], model, share) for item, model, share in
            [("a", "m1", 0.9), ("a", "m2", 0.5), ("b", "m1", 0.9), ("d", "m1", 0.9), ("d", "m2", None)]]  # fmt: skip
    Store(run.store).merge("annotation", rows)
    found = consensus(run, {"m1": "v-m1", "m2": "v-m2"})
    assert [found[item]["status"] for item in "abd"] == ["unresolved"] * 3
    assert [found[item]["reason"] for item in "abd"] == ["too_few_labels", "tie", "no_labels"]
    assert [found[item]["models"] for item in "abcd"] == [2, 1, 0, 2]
    # the mean of (.9, .5) is .7, that of (.9, and a certain label) .95: -(.7 ln .7 + .3 ln .3) and -(.95 ln .95 + .05 ln .05)
    assert [found[item]["suggestion"] for item in "ad"] == ["good", "good"]
    assert [round(found[item]["suggestion_entropy_nats"], 4) for item in "ad"] == [0.6109, 0.1985]
    # less the mean of the models' own: .6109 - (.3251 + .6931) / 2 and .1985 - (.3251 + 0) / 2; one model agrees with itself
    assert [round(found[item]["suggestion_disagreement_nats"], 4) for item in "adb"] == [0.1017, 0.036, 0]


def annotation(run, item_id, model, share):
    """Return a model's annotation: `good`, with that probability, or without any distribution."""
    shares = [{"label": "good", "probability": share}, {"label": "bad", "probability": 1 - share}] if share else None
    empty = ("document_id", "off_label_share", "entropy_nats", "reason", "reply_id", "path", "position", "event_at")
    return dict.fromkeys(empty) | {
        "annotation_id": f"{item_id}-{model}", "item_id": item_id, "annotator_id": model, "annotator_kind": "llm",
        "annotator_version": f"v-{model}", "label": "good", "distribution": shares, "distribution_source": "none",
        "guideline_version": "none", "recorded_at": run.started_at, "available_on": run.as_of, "run_id": run.run_id,
    }  # fmt: skip


# --- which labels count


def test_the_later_label_of_a_person_counts_in_whatever_order_they_arrive(written, tmp_path):
    early, late = "a ann bad 2026-11-17T08:00:00Z", "a ann good 2026-11-17T09:00:00+00:00"
    for name, days in {"in order": (early, late), "out of order": (late, early)}.items():
        folder = written(tmp_path / name, {DAY: TEXTS}, {"2026-11-15": [days[0]], "2026-11-16": [days[1]]})
        run = read(folder, tmp_path / f"home of {name}", "2026-11-15")
        run = read(folder, tmp_path / f"home of {name}")
        assert known(run).sql("select label from vote").fetchall() == [("good",)]


def test_an_empty_label_withdraws_the_one_before(written, tmp_path):
    labels = {DAY: votes("a good good"), "2026-11-18": ["a w1  2026-11-18T08:00:00Z"]}
    folder = written(tmp_path / "c", {DAY: TEXTS}, labels)
    assert seen(read(folder, tmp_path), "status", "people")["a"] == ("human", 2)
    assert seen(read(folder, tmp_path, "2026-11-18"), "status", "people")["a"] == ("unresolved", 1)


def test_a_label_given_again_after_it_was_withdrawn_counts(written, tmp_path):
    times = [f"a ann {label} 2026-11-17T0{hour}:00:00Z" for hour, label in enumerate(["good", "", "bad"], start=1)]
    run = read(written(tmp_path / "c", {DAY: TEXTS}, {DAY: times}), tmp_path)
    assert known(run).sql("select label from vote").fetchall() == [("bad",)]


def test_a_label_for_a_document_not_seen_yet_waits_and_joins_later(written, tmp_path):
    folder = written(tmp_path / "c", {"2026-11-18": TEXTS, DAY: {"z": "first of all"}}, {DAY: votes("a good good")})
    assert seen(read(folder, tmp_path), "people") == {"z": (0,)}
    assert seen(read(folder, tmp_path, "2026-11-18"), "status", "people")["a"] == ("human", 2)


def test_a_late_label_is_seen_by_an_old_date_only_with_labels_now(written, tmp_path):
    folder = written(tmp_path / "c", {DAY: TEXTS}, {DAY: votes("a good"), "2026-11-19": ["a w1 good"]})
    read(folder, tmp_path, "2026-11-19")
    assert seen(read(folder, tmp_path, DAY, "then"), "people")["a"] == (1,)
    assert seen(read(folder, tmp_path, DAY, "now"), "people")["a"] == (2,)


def test_the_labels_of_every_document_of_an_item_are_its_votes(written, tmp_path):
    folder = written(tmp_path / "c", {DAY: {"a": "cold soup", "b": "cold  soup"}}, {DAY: ["a ann good", "b bob good"]})
    assert list(seen(read(folder, tmp_path), "status", "people").values()) == [("human", 2)]


def test_one_person_is_one_person_however_many_documents_an_item_has(written, tmp_path):
    folder = written(tmp_path / "c", {DAY: {"a": "cold soup", "b": "cold  soup"}}, {DAY: ["a ann good", "b ann good"]})
    assert list(seen(read(folder, tmp_path), "status", "reason").values()) == [("unresolved", "too_few_labels")]


# --- what rests on it


def test_only_settled_items_of_the_training_split_can_be_shown_as_examples(written, tmp_path):
    labels = votes("a good good", "b bad bad", "c good")
    splits = "{train: 1, validation: 0, test: 0}"
    run = read(written(tmp_path / "c", {DAY: TEXTS}, {DAY: labels}, splits=splits), tmp_path)
    assert sorted(settled_for_training.fn(run).values()) == ["bad", "good"]
    splits = "{train: 0, validation: 0, test: 1}"
    run = read(written(tmp_path / "t", {DAY: TEXTS}, {DAY: labels}, splits=splits), tmp_path / "other")
    assert settled_for_training.fn(run) == {}


def test_agreement_is_among_people_and_models_have_figures_of_their_own(written, tmp_path):
    run = read(written(tmp_path / "c", {DAY: TEXTS}, {DAY: votes("a good good", "b bad bad")}), tmp_path)
    ids = dict(known(run).sql("select source_id, item_id from document").fetchall())
    Store(run.store).merge("annotation", [annotation(run, ids[item], "m1", 0.9) for item in "ab"])
    settle.fn(run, {"m1": "v-m1"})
    figures = measure_agreement.fn(run, {"m1": "v-m1"})
    assert figures["people"]["agreement"]["krippendorff_alpha"]["value"] == 1  # though the model contradicts on b
    assert figures["confusion"]["m1"]["accuracy"]["value"] == 0.5
