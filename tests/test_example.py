"""An example: a settled item that no split forbids, with where it came from."""

import json

import polars as pl
import pytest
from prefect.logging import disable_run_logger

from tasks.draft import figures
from tasks.example import choose_examples
from tests.test_consensus import DAY, TEXTS, consensus, known, read, votes


@pytest.fixture(autouse=True)
def _quiet():
    with disable_run_logger():
        yield


def examples(run):
    consensus(run)
    counts = choose_examples.fn(run)
    assert counts == figures(run, "chosen")
    return pl.read_parquet(run.drafts / "example.parquet").to_dicts(), counts


def test_only_settled_items_become_examples(written, tmp_path):
    run = read(written(tmp_path / "c", {DAY: TEXTS}, {DAY: votes("a good good bad", "b good bad", "c good")}), tmp_path)
    rows, counts = examples(run)
    assert [(row["text"], row["label"], row["status"], row["people"]) for row in rows] == [
        ("cold soup", "good", "human", 3)
    ]
    assert counts == {"examples": 1, "excluded": {"bridges_splits": 0}}
    # 2 of 3: -(2/3 ln 2/3 + 1/3 ln 1/3)
    assert round(rows[0]["entropy_nats"], 4) == 0.6365


def test_an_example_names_the_documents_known_by_the_date(written, tmp_path):
    folder = written(tmp_path / "c", {DAY: {"a": "cold soup", "b": "cold  soup"}, "2026-11-18": {"c": "cold soup "}}, {DAY: votes("a good good")})  # fmt: skip
    read(folder, tmp_path, "2026-11-18")
    for as_of, count in ((DAY, 2), ("2026-11-18", 3)):
        (row,), _ = examples(read(folder, tmp_path, as_of))
        named = json.loads(row["document_ids"])
        assert named == sorted(named)
        assert len(named) == count


def test_an_item_near_two_splits_is_kept_out(written, tmp_path):
    # groups are split by the key; b is the near-duplicate of a, in another group
    near = "the soup was cold and the waiter was rude to us"
    texts = {"a": {"text": near, "group": "g1"}, "b": {"text": near + "!", "group": "g2"}, "c": "loud music"}
    run = read(written(tmp_path / "c", {DAY: texts}, {DAY: votes("a good good", "b good good", "c bad bad")}), tmp_path)
    rows, counts = examples(run)
    assert (len(rows), counts["excluded"]) == (3, {"bridges_splits": 0})  # b went where a went
    # had b's group been divided before, b would stand apart from a
    folder = written(tmp_path / "d", {"2026-11-15": {"x": {"text": "far too loud", "group": "g2"}}, DAY: texts},
                     {DAY: votes("a good good", "b good good", "c bad bad")}, splits="{key: k3}")  # fmt: skip
    run = read(folder, tmp_path / "other", "2026-11-15")
    run = read(folder, tmp_path / "other")
    splits = dict(known(run).sql("select source_id, split from document join known_item using (item_id)").fetchall())
    rows, counts = examples(run)
    is_apart = splits["a"] != splits["b"]
    assert (splits["b"] == splits["x"], counts["excluded"]) == (True, {"bridges_splits": int(is_apart)})
    assert is_apart
