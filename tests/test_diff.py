"""Two releases compared: what came, what went, what moved and what is labelled otherwise, by ids alone."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.__main__ import main
from flows.diff import diff, story
from schemas.errors import RequestError
from schemas.example import Example
from schemas.row import columns

SPLITS = ("train", "validation", "test")
# item split label status people entropy text
BEFORE = """
    a train good human    2 0.0 cold soup
    b train bad  human    2 0.0 warm cake
    c train good human    2 0.0 loud music
    d test  good accepted 0 -   far away
    e test  bad  human    3 0.6 too dear
    f train bad  human    2 0.0 no seats
"""
# a stays; b is good now; c went to test; d has people now; e is gone; f has another text; g is new
AFTER = """
    a train good human    2 0.0 cold soup
    b train good human    3 0.6 warm cake
    c test  bad  human    2 0.0 loud music
    d test  good human    2 0.0 far away
    f train bad  human    2 0.0 no chairs
    g train bad  human    2 0.0 nice staff
"""
CHANGED = {
    "a": "unchanged",
    "b": "relabelled",
    "c": "moved",
    "d": "changed",
    "e": "removed",
    "f": "changed",
    "g": "added",
}


def released(folder, rows, name, curation="tiny", **more):
    """Return the folder of a release with these rows, one a line, and the parts that `diff` reads."""
    table = [line.split(maxsplit=6) for line in rows.strip().splitlines()]
    for split in SPLITS:
        chosen = [example(*cells) for cells in table if cells[1] == split]
        (folder / "data").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(chosen, schema=columns(Example)), folder / "data" / f"{split}.parquet")
    parts = {
        "manifest.json": {"curation": curation, "release": name, "as_of": name[:-2], "parent": None, "versions": {}},
        "certificate.json": {"statement": None, "reason": "None."},
        "checks.json": {"suites": [{"suite": "agreement", "measures": {"alpha": 0.5, "rows": 1}}]},
    }
    for part, value in parts.items():
        (folder / part).write_text(json.dumps(value | more.get(part.removesuffix(".json"), {})))
    return folder


def example(item, split, label, status, people, entropy, text):
    return dict.fromkeys(Example.model_fields) | {
        "item_id": item, "split": split, "label": label, "status": status, "people": int(people), "models": 0,
        "text": text, "context": "{}", "document_ids": "[]", "entropy_nats": None if entropy == "-" else float(entropy),
    }  # fmt: skip


@pytest.fixture
def two(tmp_path):
    """Return the folders of two releases, the later one after the earlier."""
    versions = [{"assay": "1", "models": {"m": "x"}}, {"assay": "1", "models": {"m": "y"}, "prompts": {"m": "v2"}}]
    manifests = [{"versions": versions[0]}, {"versions": versions[1], "parent": "2026-11-16.1"}]
    checks = {"suites": [{"suite": "agreement", "measures": {"alpha": 0.6, "rows": 1}}]}
    return (
        released(tmp_path / "one", BEFORE, "2026-11-16.1", manifest=manifests[0]),
        released(tmp_path / "two", AFTER, "2026-11-17.1", manifest=manifests[1], checks=checks,
                 certificate={"statement": "Few are wrong.", "threshold": 0.9}),
    )  # fmt: skip


def test_each_item_is_added_removed_moved_relabelled_changed_or_as_it_was(two):
    found = diff(*two, None)
    kinds = list(CHANGED.values())
    assert found["counts"] == {kind: kinds.count(kind) for kind in ("added", "removed", "moved", "relabelled", "changed", "unchanged")}  # fmt: skip
    assert found["first"] == {"added": ["g"], "removed": ["e"], "moved": ["c"], "relabelled": ["b"], "changed": ["d", "f"]}  # fmt: skip
    assert found["is_next"]
    # f's text; b and d were judged anew; d alone has another status
    assert found["changed"] == {"text": 1, "posterior": 2, "origin": 0, "status": 1}


def test_labels_and_splits_are_counted_before_and_after(two):
    found = diff(*two, None)
    # before: a c d are good, b e f bad; after: a b d good, c f g bad. good loses c and gets b; bad loses b e, gets c g
    assert found["labels"] == {
        "bad": {"before": 3, "after": 3, "came": 2, "left": 2},
        "good": {"before": 3, "after": 3, "came": 1, "left": 1},
    }
    assert found["splits"] == {
        "test": {"before": 2, "after": 2, "came": 1, "left": 1},  # c came, e left
        "train": {"before": 4, "after": 4, "came": 1, "left": 1},  # g came, c left
    }
    assert found["statuses"]["accepted"] == {"before": 1, "after": 0, "came": 0, "left": 1}
    assert found["relabelled"] == [
        {"before": "bad", "after": "good", "items": 1}, {"before": "good", "after": "bad", "items": 1},
    ]  # fmt: skip


def test_figures_certificate_and_versions_that_differ_are_told(two):
    found = diff(*two, None)
    assert found["figures"] == {
        "agreement.alpha": {"before": 0.5, "after": 0.6},
        "mean_entropy_nats": {"before": 0.12, "after": 0.1},  # 0.6 / 5 and 0.6 / 6
    }
    assert found["certificate"] == {
        "statement": {"before": None, "after": "Few are wrong."}, "threshold": {"before": None, "after": 0.9},
    }  # fmt: skip
    assert found["versions"] == {
        "models.m": {"before": "x", "after": "y"},
        "prompts.m": {"before": None, "after": "v2"},
    }


def test_a_release_and_itself_differ_in_nothing(two):
    found = diff(two[0], two[0], None)
    assert [number for kind, number in found["counts"].items() if kind != "unchanged"] == [0] * 5
    assert (found["counts"]["unchanged"], found["figures"], found["certificate"], found["versions"]) == (6, {}, {}, {})


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl.gz", "out.parquet"])
def test_a_row_is_written_for_each_item_that_changed(name, two, tmp_path):
    diff(*two, tmp_path / name)
    if name == "out.csv":
        with (tmp_path / name).open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["item_id"]: row["change"] for row in rows} == {item: kind for item, kind in CHANGED.items() if kind != "unchanged"}  # fmt: skip
        assert rows[1] == {"item_id": "c", "change": "moved", "split_before": "train", "split_after": "test",
                           "label_before": "good", "label_after": "bad", "status_before": "human", "status_after": "human"}  # fmt: skip
    assert (tmp_path / name).stat().st_size > 0


def test_no_text_is_told(two, capsys, tmp_path):
    assert main(["diff", *map(str, two), "--json", "-o", str(tmp_path / "out.csv")]) == 0
    told = capsys.readouterr().out + story(diff(*two, None)) + (tmp_path / "out.csv").read_text()
    texts = [line.split(maxsplit=6)[6] for line in (BEFORE.strip() + AFTER.rstrip()).splitlines()]
    assert not [text for text in texts if text in told]


def test_the_story_warns_of_what_moved(two):
    assert "MOVED between train, validation and test" in story(diff(*two, None))
    assert "MOVED" not in story(diff(two[0], two[0], None))


def test_only_the_first_twenty_ids_are_listed(tmp_path):
    rows = "\n".join(f"i{n:03} train good human 2 0.0 text {n}" for n in range(100))
    one, other = released(tmp_path / "one", "a train good human 2 0.0 x", "2026-11-16.1"), released(tmp_path / "two", rows, "2026-11-17.1")  # fmt: skip
    found = diff(one, other, None)
    assert (found["counts"]["added"], len(found["first"]["added"])) == (100, 20)


def test_what_cannot_be_compared_is_a_wrong_request(two, tmp_path):
    other = released(tmp_path / "other", AFTER, "2026-11-17.1", curation="another")
    with pytest.raises(RequestError, match="two curations"):
        diff(two[0], other, None)
    with pytest.raises(RequestError, match="is no folder"):
        diff(tmp_path / "none", two[1], None)
    with pytest.raises(RequestError, match="format"):
        diff(*two, tmp_path / "out.txt")
    (two[1] / "data" / "test.parquet").write_bytes(b"PAR1")
    with pytest.raises(RequestError, match="cannot be compared: `assay verify`"):
        diff(*two, None)
