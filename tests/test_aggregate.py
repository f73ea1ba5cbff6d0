"""The file command `aggregate`: any table of labels in, one label per item out."""

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pytest import approx
from tables import TABLE, lines, saved, stored, written

from flows.__main__ import main
from flows.aggregate import aggregate, story
from schemas.errors import RequestError
from tasks import consensus_table
from tasks.label_table import Columns
from tasks.posterior import METHODS

ROOT = Path(__file__).resolve().parents[1]
SIX = TABLE + "".join(f"Z{n},{who},{'yes' if n % 2 else 'no'}\n" for n in range(6) for who in "AB")
OUTS = ["out.csv", "out.tsv", "out.jsonl", "out.jsonl.gz", "out.parquet"]


def rows_of(path):
    """Return the rows of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def crowd(seed=1, items=60):
    """Return rows of three people, each right four times of five, and of a machine that knows."""
    draw, rows = random.Random(seed), []
    for n in range(items):
        truth = draw.choice(["no", "yes"])
        for who in "ABC":
            said = truth if draw.random() < 0.8 else draw.choice(["no", "yes"])
            rows.append({"item_id": f"i{n:03}", "annotator_id": who, "annotator_kind": "human", "label": said})
        share = {"yes": 0.95, "no": 0.05} if truth == "yes" else {"yes": 0.1, "no": 0.9}
        machine = {"annotator_id": "gpt", "annotator_kind": "llm", "label": truth, "distribution": share}
        rows.append({"item_id": f"i{n:03}"} | machine)
    return rows


@pytest.mark.parametrize("name", OUTS)
@pytest.mark.parametrize("method", ["majority", "one-coin", "dawid-skene"])
def test_aggregate_writes_one_label_per_item(tmp_path, name, method):
    result = aggregate(saved(tmp_path, "labels.csv", SIX), tmp_path / name, method)
    if name.endswith(".tsv"):
        rows = [line.split("\t")[0] for line in (tmp_path / name).read_text().splitlines()[1:]]
    else:
        table = written(tmp_path / name, "item_id, label, is_tie::boolean, annotations::int")
        assert table[0] == ("X", "yes", False, 2)
        rows = [row[0] for row in table]
    assert rows == ["X", "Y", "Z0", "Z1", "Z2", "Z3", "Z4", "Z5"]
    assert (result["items"], result["ties"], result["method"]) == (8, 1, method)
    assert story(result).startswith("8 items settled by")
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_settles_a_table_with_people_and_a_machine(tmp_path, method):
    kind = "rating" if method == "ordinal" else "choice"
    rows = [row | {"label": "1" if row["label"] == "yes" else "0"} if kind == "rating" else row for row in crowd()]
    rows = [{key: value for key, value in row.items() if kind == "choice" or key != "distribution"} for row in rows]
    result = aggregate(saved(tmp_path, "a.jsonl", lines(*rows)), tmp_path / "out.jsonl", method, kind=kind)
    assert (result["method"], result["items"]) == (method, 60)
    for row in rows_of(tmp_path / "out.jsonl"):
        assert sum(row["posterior"].values()) == approx(1)


def test_a_tied_item_has_a_posterior_and_no_majority_label(tmp_path):
    result = aggregate(saved(tmp_path, "labels.csv", TABLE), tmp_path / "out.jsonl", "majority")
    rows = rows_of(tmp_path / "out.jsonl")
    assert list(rows[0]) == ["item_id", "label", "posterior", "entropy_nats", "annotations", "is_tie"]
    assert [tuple(row.values()) for row in rows] == [
        ("X", "yes", {"no": 0, "yes": 1}, 0, 2, False),
        ("Y", None, {"no": 0.5, "yes": 0.5}, approx(0.693147180560), 2, True),
    ]
    assert (result["unlabelled"], result["labels"]) == (1, {"no": 0, "yes": 1})


def test_a_csv_holds_the_posterior_as_json_and_no_formula(tmp_path):
    text = 'item_id,annotator_id,label\n=cmd(),A,"say ""a"", b"\nX,A,-1\n'
    aggregate(saved(tmp_path, "labels.csv", text), tmp_path / "out.csv", "majority")
    rows = written(tmp_path / "out.csv", "item_id, label, posterior")
    assert [(item, label) for item, label, _ in rows] == [("'=cmd()", 'say "a", b'), ("X", "-1")]
    assert json.loads(rows[0][2]) == {"-1": 0, 'say "a", b': 1}


def test_parquet_holds_the_posterior_as_a_map(tmp_path):
    aggregate(saved(tmp_path, "labels.csv", TABLE), tmp_path / "out.parquet", "majority")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column("posterior").to_pylist(maps_as_pydicts="strict")[1] == {"no": 0.5, "yes": 0.5}
    assert table.column("label").to_pylist() == ["yes", None]


def test_many_items_are_written_in_parts_and_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(consensus_table, "CHUNK", 7)
    whole = saved(
        tmp_path, "labels.csv", "item_id,annotator_id,label\n" + "".join(f"i{n:03},A,{n % 3}\n" for n in range(50))
    )
    for name in ("out.parquet", "out.csv", "out.jsonl"):
        aggregate(whole, tmp_path / name, "majority")
        rows = written(tmp_path / name, "item_id, label")
        assert rows == [(f"i{n:03}", str(n % 3)) for n in range(50)]


def test_a_table_without_a_vote_gives_a_file_without_a_row(tmp_path):
    path = saved(tmp_path, "labels.csv", "item_id,annotator_id,label\n")
    for name in OUTS:
        result = aggregate(path, tmp_path / name)
        assert (result["items"], result["entropy"]["mean_nats"]) == (0, None)
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_ratings_have_a_mean_a_median_and_a_spread(tmp_path):
    text = "item_id,annotator_id,label\nX,A,1\nX,B,1\nX,C,4\nY,A,2\nY,B,2\nY,C,2\n"
    path = saved(tmp_path, "labels.csv", text)
    aggregate(path, tmp_path / "out.jsonl", "majority", kind="rating")
    names = ("posterior_mean", "posterior_median", "posterior_sd")
    # X: (1 + 1 + 4) / 3; half of the probability is reached at 1; spread sqrt((1 + 1 + 4) / 3)
    assert [[row[name] for name in names] for row in rows_of(tmp_path / "out.jsonl")] == [
        [2, 1, approx(2**0.5)],
        [2, 2, 0],
    ]
    assert aggregate(path, tmp_path / "out.csv", kind="rating")["method"] == "ordinal"


def test_the_words_of_a_rating_count_from_one(tmp_path):
    path = saved(tmp_path, "labels.csv", "item_id,annotator_id,label\nX,A,bad\nX,B,good\n")
    aggregate(path, tmp_path / "out.jsonl", "majority", kind="rating", labels=("bad", "fair", "good"))
    (row,) = rows_of(tmp_path / "out.jsonl")
    assert (list(row["posterior"]), row["posterior_mean"]) == (["bad", "fair", "good"], 2)


def test_gold_settles_its_items(tmp_path):
    text = "item_id,annotator_id,label,known\nX,A,yes,maybe\nX,B,yes,maybe\nY,A,no,\nY,B,no,\n"
    aggregate(saved(tmp_path, "labels.csv", text), tmp_path / "out.jsonl", columns=Columns(gold="known"))
    rows = rows_of(tmp_path / "out.jsonl")
    assert [row["label"] for row in rows] == ["maybe", "no"]
    assert rows[0]["posterior"] == {"maybe": 1, "no": 0, "yes": 0}


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_result_is_a_start_that_is_soon_at_its_end(tmp_path, form):
    path, first = saved(tmp_path, "labels.jsonl", lines(*crowd())), tmp_path / f"first.{form}"
    cold = aggregate(path, first)
    warm = aggregate(path, tmp_path / "second.parquet", start=first)
    assert warm["rounds"] < cold["rounds"] / 2
    matrices = [
        np.array([list(dict(row).values()) for row in pq.read_table(tmp_path / name).column("posterior").to_pylist()])
        for name in ("second.parquet", "cold.parquet")
        if (tmp_path / name).exists() or aggregate(path, tmp_path / "cold.parquet")
    ]
    assert np.abs(matrices[0] - matrices[1]).max() < 1e-4
    with pytest.raises(RequestError, match="--start is a file that `assay aggregate` wrote"):
        aggregate(path, tmp_path / "out.csv", start=path)


def test_a_start_may_hold_other_items_and_labels(tmp_path):
    first = saved(
        tmp_path,
        "first.jsonl",
        lines({"item_id": "X", "posterior": {"gone": 0.5, "yes": 0.5}}, {"item_id": "W", "posterior": {"no": 1}}),
    )
    assert aggregate(saved(tmp_path, "labels.csv", TABLE), tmp_path / "out.csv", start=first)["items"] == 2


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_annotators_are_written_with_their_quality(tmp_path, form):
    out = tmp_path / f"annotators.{form}"
    result = aggregate(saved(tmp_path, "a.jsonl", lines(*crowd())), tmp_path / "out.csv", annotators_out=out)
    rows = written(out, "annotator_id, annotations::int, accuracy::double, accuracy_low::double, accuracy_high::double")
    assert [row[:2] for row in rows] == [("A", 60), ("B", 60), ("C", 60), ("gpt", 60)]
    assert all(low < accuracy < high for *_, accuracy, low, high in rows)
    assert [one["accuracy"] for one in result["by_annotator"]] == [row[2] for row in rows]


def test_peoples_labels_that_a_machine_contradicts_are_ranked(tmp_path):
    rows, out = crowd(items=80), tmp_path / "errors.jsonl"
    people = {"annotator_kind": "human", "label": "no"}
    rows += [{"item_id": "wrong", "annotator_id": who, **people} for who in "ABC"]
    rows.append(
        {"item_id": "wrong", "annotator_id": "gpt", "annotator_kind": "llm", "distribution": {"yes": 0.99, "no": 0.01}}
    )
    path = saved(tmp_path, "a.jsonl", lines(*rows))
    aggregate(path, tmp_path / "out.csv", errors_out=out)
    first = rows_of(out)[0]
    assert (first["item_id"], first["label"], first["suggested_label"]) == ("wrong", "no", "yes")


@pytest.mark.parametrize("method", ["crowdlab", "log-pool"])
def test_methods_with_machines_need_some(tmp_path, method):
    path = saved(tmp_path, "labels.csv", TABLE)
    with pytest.raises(RequestError, match="needs labels of machines"):
        aggregate(path, tmp_path / "out.csv", method)
    with pytest.raises(RequestError, match="needs labels of machines"):
        aggregate(path, tmp_path / "out.csv", errors_out=tmp_path / "errors.csv")


def test_counts_have_a_majority_and_nothing_else(tmp_path):
    path = saved(tmp_path, "counts.csv", "item_id,label,n\nX,yes,2\nX,no,1\n")
    result = aggregate(path, tmp_path / "out.jsonl", columns=Columns(count="n"))
    assert (result["method"], result["annotators"], result["by_annotator"]) == ("majority", None, [])
    assert rows_of(tmp_path / "out.jsonl")[0]["posterior"] == {"no": approx(1 / 3), "yes": approx(2 / 3)}
    with pytest.raises(RequestError, match="--method majority"):
        aggregate(path, tmp_path / "out.csv", "dawid-skene", Columns(count="n"))


@pytest.mark.parametrize("method", ["majority", "dawid-skene"])
def test_every_shape_gives_the_same_bytes(tmp_path, method):
    wide = [{"item_id": f"i{n}", "A": "ab"[n % 2], "B": "ab"[n % 3 > 0]} for n in range(12)]
    long = [{"item_id": row["item_id"], "annotator_id": who, "label": row[who]} for row in wide for who in "BA"]
    outs = []
    for n, (rows, columns) in enumerate(((wide, Columns(wide=())), (long, Columns()), (long[::-1], Columns()))):
        for form in ("csv", "parquet"):
            out = tmp_path / f"out{n}.{form}.parquet"
            aggregate(stored(tmp_path, f"{n}.{form}", rows), out, method, columns)
            outs.append(out.read_bytes())
    assert len(set(outs)) == 1


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    outs = [saved(tmp_path, "out.parquet", "old"), saved(tmp_path, "out.jsonl", "old")]

    def failing(found):
        yield from ()
        raise OSError("no space left")

    monkeypatch.setattr(consensus_table, "_batches", failing)
    for out in outs:
        with pytest.raises(OSError, match="no space"):
            aggregate(saved(tmp_path, "labels.csv", TABLE), out)
        assert out.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.csv", "out.jsonl", "out.parquet"]


def test_what_cannot_be_is_refused_before_the_work(tmp_path):
    with pytest.raises(RequestError, match="cannot tell the format"):
        aggregate(tmp_path / "nothing.csv", tmp_path / "out.xlsx")
    with pytest.raises(RequestError, match="no folder"):
        aggregate(tmp_path / "nothing.csv", tmp_path / "nowhere" / "out.csv")
    with pytest.raises(RequestError, match="no method 'vote'; methods: majority, "):
        aggregate(tmp_path / "nothing.csv", tmp_path / "out.csv", "vote")
    with pytest.raises(RequestError, match="--kind rating"):
        aggregate(tmp_path / "nothing.csv", tmp_path / "out.csv", "ordinal")


def test_the_command_takes_methods_and_outputs(tmp_path, capsys):
    path, out = saved(tmp_path, "labels.csv", SIX), tmp_path / "out.csv"
    assert main(["aggregate", str(path), "-o", str(out), "--annotators", str(tmp_path / "a.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["method"] == "dawid-skene"
    assert main(["aggregate", str(path), "-o", str(out), "--method", "mace", "--memory-limit", "1GB"]) == 0
    assert "settled by mace" in capsys.readouterr().out


def test_the_command_starts_without_what_is_slow_to_import(tmp_path):
    path = saved(tmp_path, "labels.csv", TABLE)
    program = f"""
import sys
from flows.aggregate import aggregate
for form in ("csv", "jsonl", "parquet"):
    aggregate({str(path)!r}, {str(tmp_path)!r} + "/out." + form, "dawid-skene")
slow = ("pandas", "polars", "prefect", "great_expectations")
print([name for name in slow if name in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize("outs", [{"out": "a.csv"}, {"out": "b.csv", "annotators_out": "b.csv"}])
def test_nothing_is_written_over_what_is_read_or_written(tmp_path, outs):
    path = saved(tmp_path, "a.csv", TABLE)
    with pytest.raises(RequestError, match=r"a\.csv is to be read|b\.csv would be written twice"):
        aggregate(path, method="majority", **{name: tmp_path / out for name, out in outs.items()})
    assert path.read_text() == TABLE and not (tmp_path / "b.csv").exists()


def test_a_start_that_knows_nothing_of_the_table_is_refused(tmp_path):
    aggregate(saved(tmp_path, "other.csv", TABLE.replace("X", "V").replace("Y", "W")), tmp_path / "other.jsonl")
    with pytest.raises(RequestError, match=r"other\.jsonl knows none of the items"):
        aggregate(saved(tmp_path, "a.csv", TABLE), tmp_path / "out.csv", start=tmp_path / "other.jsonl")


def test_the_story_says_whose_labels_were_counted(tmp_path):
    path = saved(tmp_path, "a.jsonl", lines(*crowd()))
    for method in ("dawid-skene", "crowdlab"):
        told = story(aggregate(path, tmp_path / "out.csv", method)).splitlines()[0]
        assert told == f"60 items settled by {method} from 180 labels of 3 people and 60 of 1 machines"


def test_times_that_are_only_text_are_told(tmp_path):
    text = "item_id,annotator_id,label,time\nX,A,old,9/30/2026 10:00\nX,A,new,10/1/2026 9:00\n"
    told = story(aggregate(saved(tmp_path, "a.csv", text), tmp_path / "out.csv"))
    assert "the times are neither dates (ISO 8601) nor numbers" in told


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("crowdlab", "log-pool", "ordinal")])
def test_a_header_alone_is_a_table_without_a_row(tmp_path, method):
    path = saved(tmp_path, "a.csv", "item_id,annotator_id,label\n")
    assert aggregate(path, tmp_path / "out.jsonl", method)["items"] == 0
    assert aggregate(path, tmp_path / "out.jsonl", kind="rating")["labels"] == {}


def test_a_start_in_csv_knows_the_names_that_had_an_apostrophe(tmp_path):
    path = saved(tmp_path, "a.csv", TABLE.replace("X", "@X").replace("Y", "=Y"))
    aggregate(path, tmp_path / "first.csv", "one-coin")
    assert aggregate(path, tmp_path / "out.csv", "one-coin", start=tmp_path / "first.csv")["rounds"] == 1


@pytest.mark.parametrize("name", ["x" * 300 + ".csv", "folder/" + "x" * 250 + ".csv"])
def test_a_file_that_cannot_be_written_is_told_by_its_name(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(RequestError, match="cannot be written: File name too long"):
        aggregate(saved(tmp_path, "a.csv", TABLE), tmp_path / name)


def test_ratings_too_great_to_be_squared_are_refused(tmp_path):
    path = saved(tmp_path, "a.csv", "item_id,annotator_id,label\nX,A,1e300\nX,B,1\n")
    with pytest.raises(RequestError, match="a rating needs labels that are numbers"):
        aggregate(path, tmp_path / "out.csv", kind="rating")
