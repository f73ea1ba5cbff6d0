"""The file command `measure`: any table of labels in, figures and tables of them out."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from pytest import approx
from tables import TABLE, lines, saved, written

from flows.__main__ import main
from flows.measure import measure, story
from schemas.errors import RequestError
from tasks.label_table import Columns

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
RATINGS = "item_id,annotator_id,label\n" + "".join(
    f"i{n},{who},{1 + (n + step) % 4}\n" for n in range(12) for who, step in (("A", 0), ("B", n % 3 == 0), ("C", 0))
)


def test_a_csv_is_measured(tmp_path):
    result = measure(saved(tmp_path, "labels.csv", TABLE))
    assert (result["items"], result["annotations"], result["annotators"]) == (2, 4, 2)
    assert result["labels"] == {"no": 1, "yes": 3}
    assert result["agreement"]["percent"]["value"] == 0.5
    json.dumps(result, allow_nan=False)


def test_slices_are_told_apart(tmp_path):
    path = saved(tmp_path, "labels.csv", "item_id,annotator_id,label,part\nX,A,a,s\nX,B,a,s\nY,A,a,t\nY,B,b,t\n")
    result = measure(path, Columns(slice="part"))
    assert {name: one["agreement"]["percent"]["value"] for name, one in result["by_slice"].items()} == {"s": 1, "t": 0}


def test_headline_figures_are_those_of_people(tmp_path):
    text = """item_id,annotator_id,annotator_kind,label
X,A,human,yes
X,B,,yes
X,gpt,llm,no
Y,A,human,no
Y,B,,no
Y,gpt,LLM,no
"""
    result = measure(saved(tmp_path, "labels.csv", text))
    assert (result["annotations"], result["agreement"]["percent"]["value"]) == (4, 1)
    assert result["machines"]["annotations"] == 2
    # on X the machine agrees with nobody, on Y with both
    assert result["machines_against_people"]["percent"]["value"] == 0.5
    assert "agreement among people" in story(result)


def test_where_nobody_is_a_person_the_figures_are_those_of_machines(tmp_path):
    text = (
        "item_id,annotator_id,annotator_kind,label\nX,gpt,llm,yes\nX,bert,model,yes\nY,gpt,llm,no\nY,bert,model,yes\n"
    )
    result = measure(saved(tmp_path, "labels.csv", text))
    assert (result["among"], result["annotations"], result["agreement"]["percent"]["value"]) == ("machines", 4, 0.5)
    assert "agreement among machines" in story(result)


def test_a_table_of_counts_says_nothing_of_annotators(tmp_path):
    path = saved(tmp_path, "counts.csv", "item_id,label,n\nX,yes,2\nY,yes,1\nY,no,1\nZ,no,0\n")
    result = measure(path, Columns(count="n"))
    assert (result["items"], result["annotations"], result["agreement"]["percent"]["value"]) == (2, 4, 0.5)
    assert (result["annotators"], result["by_annotator"], result["repeated"]) == (None, [], 0)
    assert story(result).startswith("2 items, 4 labels\n")
    with pytest.raises(RequestError, match="does not say who"):
        measure(path, Columns(count="n"), annotators_out=tmp_path / "out.csv")


def test_a_ratings_labels_may_be_words_in_their_order(tmp_path):
    named = {str(n): word for n, word in enumerate(("bad", "fair", "good", "best"), 1)}
    head, *rows = RATINGS.splitlines()
    text = "\n".join([head, *(row[:-1] + named[row[-1]] for row in rows)]) + "\n"
    numbers = measure(saved(tmp_path, "numbers.csv", RATINGS), kind="rating")
    order = ("bad", "fair", "good", "best")
    result = measure(saved(tmp_path, "words.csv", text), kind="rating", labels=order)
    assert tuple(result["labels"]) == order
    assert result["agreement"]["krippendorff_alpha"]["value"] == numbers["agreement"]["krippendorff_alpha"]["value"]
    with pytest.raises(RequestError, match="a rating needs labels that are numbers"):
        measure(tmp_path / "words.csv", kind="rating")


def test_labels_that_are_strangers_are_refused(tmp_path):
    with pytest.raises(RequestError, match="3 labels are not among those of --labels: no, maybe"):
        measure(saved(tmp_path, "labels.csv", TABLE), labels=("no", "maybe"))


def test_an_unknown_kind_or_metric_is_refused_with_the_known_ones(tmp_path):
    path = saved(tmp_path, "labels.csv", TABLE)
    with pytest.raises(RequestError, match="choice, preference, rating, choices"):
        measure(path, kind="spans")
    with pytest.raises(RequestError, match="nominal, ordinal, interval, ratio, masi, jaccard"):
        measure(path, metric="euclidean")


@pytest.mark.parametrize("name", ["items.csv", "items.jsonl", "items.jsonl.gz", "items.parquet"])
def test_items_are_written_one_a_row(tmp_path, name):
    measure(saved(tmp_path, "labels.csv", TABLE), items_out=tmp_path / name)
    rows = written(tmp_path / name, "item_id, annotations::int, label, is_tie::boolean, round(entropy_nats::double, 4)")
    assert rows == [("X", 2, "yes", False, 0.0), ("Y", 2, None, True, 0.6931)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["labels.csv", name])


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_annotators_and_pairs_are_written_one_a_row(tmp_path, form):
    annotators, pairs = tmp_path / f"annotators.{form}", tmp_path / f"pairs.{form}"
    measure(saved(tmp_path, "labels.csv", RATINGS), kind="rating", annotators_out=annotators, pairs_out=pairs)
    assert written(annotators, "annotator_id, annotations::int") == [("A", 12), ("B", 12), ("C", 12)]
    # A and C always agree; B says one more on every third item
    agreement = "annotator_a, annotator_b, items::int, round(percent::double, 3), percent_low::double < 1"
    assert written(pairs, agreement) == [
        ("A", "B", 12, 0.667, True),
        ("A", "C", 12, 1, False),
        ("B", "C", 12, 0.667, True),
    ]


def test_no_cell_of_a_csv_is_a_formula(tmp_path):
    text = "item_id,annotator_id,label\n=cmd(),A,+1\n=cmd(),B,+1\nX,A,-2\nX,B,-2\n"
    measure(saved(tmp_path, "labels.csv", text), items_out=tmp_path / "items.csv")
    rows = (tmp_path / "items.csv").read_text().splitlines()
    assert rows[1].startswith("'=cmd(),2,'+1,")
    assert rows[2].startswith("X,2,-2,")  # a number below zero is none


def test_a_story_tells_the_figures_in_lines(tmp_path):
    told = story(measure(saved(tmp_path, "labels.csv", TABLE)))
    assert told.startswith("2 items, 4 labels, 2 annotators")
    assert "percent agreement      0.500" in told
    assert max(map(len, told.splitlines())) <= 100
    empty = story(measure(saved(tmp_path, "empty.csv", TABLE.splitlines()[0] + "\n")))
    assert "no item has two labels" in empty


def test_a_story_cuts_long_lists_and_long_names(tmp_path):
    rows = [
        {
            "item_id": n,
            "annotator_id": f"{'a' * 50} {n % 30}",
            "label": f"{'long ' * 20}{n % 40}",
            "part": f"{'s' * 60}{n % 25}",
        }
        for n in range(600)
    ]
    told = story(measure(saved(tmp_path, "labels.jsonl", lines(*rows)), Columns(slice="part")))
    assert max(map(len, told.splitlines())) <= 100
    assert told.count("… and 20 more") == 2  # of 40 labels 20 are told, of 30 annotators 10
    assert "… and 5 more" in told  # slices


def test_the_order_of_rows_changes_no_byte(tmp_path):
    head, *rows = RATINGS.splitlines()
    outs = []
    for n, ordered in enumerate((rows, rows[::-1])):
        path, out = saved(tmp_path, f"labels{n}.csv", "\n".join([head, *ordered])), tmp_path / f"items{n}.csv"
        figures = measure(path, kind="rating", items_out=out, pairs_out=tmp_path / f"pairs{n}.parquet")
        outs.append((figures, out.read_bytes(), (tmp_path / f"pairs{n}.parquet").read_bytes()))
    assert outs[0] == outs[1]


def test_the_command_takes_columns_shapes_and_outputs(tmp_path, capsys):
    wide = saved(tmp_path, "wide.csv", 'item,anna,"b, c",note\nX,yes,yes,hm\nY,no,yes,\n')
    assert main(["measure", str(wide), "--item", "item", "--wide", 'anna,"b, c"', "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["annotators"] == 2
    assert main(["measure", str(wide), "--item", "item", "--memory-limit", "1 lot"]) == 2
    assert "as 4GB" in capsys.readouterr().err


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared data")
def test_six_machines_against_ten_people_on_stars():
    result = measure(SHARED / "alttest_cebab_stars" / "annotations.jsonl", kind="rating")
    assert (result["annotators"], result["machines"]["annotators"]) == (10, 6)
    assert len(result["machines_against_people"]["by_annotator"]) == 6
    assert max(map(len, story(result).splitlines())) <= 100


def test_the_command_starts_without_what_is_slow_to_import(tmp_path):
    path = saved(tmp_path, "labels.csv", TABLE)
    program = f"""
import sys
from flows.measure import measure
measure({str(path)!r}, items_out={str(tmp_path / "items.csv")!r}, pairs_out={str(tmp_path / "pairs.jsonl")!r})
slow = ("pandas", "pyarrow", "polars", "scipy", "prefect", "great_expectations")
print([name for name in slow if name in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
    assert duckdb.read_csv(str(tmp_path / "items.csv")).fetchall()


@pytest.mark.parametrize("people", [[], [{"item_id": "X", "annotator_id": "A", "label": "yes"}]])
def test_what_machines_disagree_about_is_told_apart_from_what_each_leaves_open(tmp_path, people):
    # both leave nothing open by themselves, and say the opposite: all of ln 2 lies between them
    machines = [
        {"item_id": "X", "annotator_id": name, "annotator_kind": "llm", "label": label, "distribution": {label: 1.0}}
        for name, label in (("m", "yes"), ("n", "no"))
    ]
    found = measure(saved(tmp_path, "a.jsonl", lines(*machines, *people)))
    parts = (found["machines"] if people else found)["entropy"]["decomposition"]
    assert (parts["items"], parts["mean_shared_nats"]) == (1, 0)
    assert parts["mean_nats"] == parts["mean_disagreement_nats"] == approx(0.693147, abs=1e-6)
    assert not people or "decomposition" not in found["entropy"]
