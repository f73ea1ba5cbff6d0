"""The file commands `measure` and `aggregate`: any table of labels in, figures or one label per item out."""

import gzip
import json
import random
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from pytest import approx

from flows import aggregate as aggregates
from flows import measure as measures
from flows.aggregate import aggregate
from flows.measure import measure
from schemas.errors import RequestError, SourceRefused

ROOT = Path(__file__).resolve().parents[1]
TABLE = "item_id,annotator_id,label\nX,A,yes\nX,B,yes\nY,A,no\nY,B,yes\n"


def saved(folder, name, text):
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def written(path, columns):
    """Return these columns of a table that was written."""
    table = duckdb.read_csv(str(path), all_varchar=True) if path.suffix == ".csv" else duckdb.sql(f"from '{path}'")
    return table.project(columns).fetchall()


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_a_csv_is_measured(tmp_path):
    result = measure(saved(tmp_path, "labels.csv", TABLE))
    assert (result["items"], result["annotations"], result["annotators"]) == (2, 4, 2)
    assert result["labels"] == {"no": 1, "yes": 3}
    assert result["agreement"]["percent"]["value"] == 0.5
    json.dumps(result, allow_nan=False)


def test_every_format_gives_the_same_figures(tmp_path):
    csv = saved(tmp_path, "labels.csv", TABLE)
    rows = [dict(zip(("item_id", "annotator_id", "label"), line.split(","), strict=True)) for line in TABLE.split()[1:]]
    others = [
        saved(tmp_path, "labels.csv.gz", TABLE),
        saved(tmp_path, "labels.tsv", TABLE.replace(",", "\t")),
        saved(tmp_path, "labels.jsonl", lines(*rows)),
        saved(tmp_path, "labels.jsonl.gz", lines(*rows)),
        tmp_path / "labels.parquet",
        tmp_path / "labels.csv.zst",
        tmp_path / "labels [1]*.csv",
    ]
    table = duckdb.read_csv(str(csv), all_varchar=True)
    table.write_parquet(str(tmp_path / "labels.parquet"))
    table.write_csv(str(tmp_path / "labels.csv.zst"), compression="zstd")
    others[-1].write_text(TABLE)
    expected = measure(csv)
    for path in others:
        assert measure(path) == expected, path.name


def test_labels_stay_the_text_they_are(tmp_path):
    text = "item_id,annotator_id,label\n1,A,01\n1,B,1\n2,A,true\n2,B,1.0\n"
    assert measure(saved(tmp_path, "a.csv", text))["labels"] == {"01": 1, "1": 1, "1.0": 1, "true": 1}
    rows = [{"item_id": 1, "annotator_id": "A", "label": 1}, {"item_id": 1, "annotator_id": "B", "label": "1"}]
    assert measure(saved(tmp_path, "a.jsonl", lines(*rows)))["labels"] == {"1": 2}


def test_the_latest_label_of_an_annotator_counts(tmp_path):
    text = """item_id,annotator_id,label,time
X,A,no,2026-01-10T09:00:00Z
X,A,yes,2026-01-10T09:30:00+01:00
X,B,yes,2026-01-09
"""
    result = measure(saved(tmp_path, "labels.csv", text))
    # 09:30 in +01:00 is 08:30 in UTC, before 09:00
    assert (result["labels"], result["superseded"]) == ({"no": 1, "yes": 1}, 1)


def test_times_may_be_numbers(tmp_path):
    text = "item_id,annotator_id,label,at\nX,A,no,9\nX,A,yes,10\n"
    assert measure(saved(tmp_path, "labels.csv", text), time="at")["labels"] == {"yes": 1}


def test_without_a_time_every_label_counts_and_repeats_are_told(tmp_path):
    result = measure(saved(tmp_path, "labels.csv", TABLE + "X,A,no\n"))
    assert (result["annotations"], result["repeated"]) == (5, 1)


def test_rows_without_a_label_are_counted_and_left_out(tmp_path):
    text = TABLE + 'Z,A,\nZ,B,""\nZ,C,  \n,D,yes\n'
    result = measure(saved(tmp_path, "labels.csv", text))
    assert (result["rows"], result["missing"], result["incomplete"], result["annotations"]) == (8, 3, 1, 4)
    rows = [{"item_id": "X", "annotator_id": "A", "label": None}, {"item_id": "X", "annotator_id": "B", "label": "yes"}]
    assert measure(saved(tmp_path, "labels.jsonl", lines(*rows)))["missing"] == 1


def test_columns_may_have_any_name(tmp_path):
    text = 'the "item",worker.id,answer,part\nX,A,yes,s\nX,B,yes,s\nY,A,no,t\nY,B,yes,t\n'
    path = saved(tmp_path, "labels.csv", text.replace('the "item"', '"the ""item"""'))
    result = measure(path, item='the "item"', annotator="worker.id", label="answer", slice="part")
    assert {name: one["agreement"]["percent"]["value"] for name, one in result["by_slice"].items()} == {"s": 1, "t": 0}


def test_a_missing_column_is_named_with_the_nearest(tmp_path):
    path = saved(tmp_path, "labels.csv", TABLE.replace("annotator_id", "annotator"))
    with pytest.raises(
        RequestError, match=r"no column annotator_id; it has: item_id, annotator, label.*--annotator annotator"
    ):
        measure(path)


def test_a_missing_time_column_matters_only_when_asked_for(tmp_path):
    path = saved(tmp_path, "labels.csv", TABLE)
    assert measure(path)["items"] == 2
    with pytest.raises(RequestError, match="submitted_at"):
        measure(path, time="submitted_at")


def test_a_wide_table_is_recognised(tmp_path):
    path = saved(tmp_path, "wide.csv", "item_id,anna,ben\nX,yes,yes\nY,no,yes\n")
    with pytest.raises(RequestError, match="one column per annotator"):
        measure(path)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(RequestError, match="no file"):
        measure(tmp_path / "nothing.csv")


def test_an_unknown_format_is_told(tmp_path):
    with pytest.raises(RequestError, match=r"\.jsonl"):
        measure(saved(tmp_path, "labels.xlsx", "x"))


def test_a_damaged_file_is_refused_without_quoting_it(tmp_path):
    path = saved(tmp_path, "labels.jsonl", '{"item_id": "X", "annotator_id": "A", "label": "secret\n')
    with pytest.raises(SourceRefused) as refusal:
        measure(path)
    assert "labels.jsonl cannot be read as jsonl" in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_an_unknown_kind_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(RequestError, match="choice, preference, rating, choices"):
        measure(saved(tmp_path, "labels.csv", TABLE), kind="spans")


@pytest.mark.parametrize("name", ["items.csv", "items.jsonl", "items.jsonl.gz", "items.parquet"])
def test_items_are_written_one_a_row(tmp_path, name):
    measure(saved(tmp_path, "labels.csv", TABLE), items_out=tmp_path / name)
    rows = written(tmp_path / name, "item_id, annotators::int, label, is_tie::boolean, round(entropy_nats::double, 4)")
    assert rows == [("X", 2, "yes", False, 0.0), ("Y", 2, None, True, 0.6931)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["labels.csv", name])


def test_no_cell_of_a_csv_is_a_formula(tmp_path):
    text = "item_id,annotator_id,label\n=cmd(),A,+1\n=cmd(),B,+1\n"
    measure(saved(tmp_path, "labels.csv", text), items_out=tmp_path / "items.csv")
    assert (tmp_path / "items.csv").read_text().splitlines()[1].startswith("'=cmd(),2,'+1,")


def test_a_story_tells_the_figures_in_lines(tmp_path):
    told = measures.story(measure(saved(tmp_path, "labels.csv", TABLE)))
    assert told.startswith("2 items, 4 labels, 2 annotators")
    assert "percent agreement      0.500" in told
    assert max(map(len, told.splitlines())) <= 100
    empty = measures.story(measure(saved(tmp_path, "empty.csv", TABLE.splitlines()[0] + "\n")))
    assert "no item has two labels" in empty


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.jsonl.gz", "out.parquet"])
@pytest.mark.parametrize("method", ["majority", "one-coin", "dawid-skene"])
def test_aggregate_writes_one_label_per_item(tmp_path, name, method):
    text = TABLE + "".join(f"Z{n},{who},{'yes' if n % 2 else 'no'}\n" for n in range(6) for who in "AB")
    result = aggregate(saved(tmp_path, "labels.csv", text), method, tmp_path / name)
    rows = written(tmp_path / name, "item_id, label, is_tie::boolean, annotators::int")
    assert rows[0] == ("X", "yes", False, 2)
    assert [row[0] for row in rows] == ["X", "Y", "Z0", "Z1", "Z2", "Z3", "Z4", "Z5"]
    assert (result["items"], result["ties"], result["method"]) == (8, 1, method)
    assert aggregates.story(result).startswith("8 items settled by")
    json.dumps(result, allow_nan=False)


def test_a_tied_item_has_a_posterior_and_no_majority_label(tmp_path):
    result = aggregate(saved(tmp_path, "labels.csv", TABLE), "majority", tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert list(rows[0]) == ["item_id", "label", "posterior", "entropy_nats", "annotators", "is_tie"]
    assert [tuple(row.values()) for row in rows] == [
        ("X", "yes", {"no": 0, "yes": 1}, 0, 2, False),
        ("Y", None, {"no": 0.5, "yes": 0.5}, approx(0.693147180560), 2, True),
    ]
    assert (result["unlabelled"], result["labels"]) == (1, {"no": 0, "yes": 1})


def test_the_order_of_rows_changes_no_byte(tmp_path):
    draw = random.Random(4)
    rows = [f"i{n},{who},{draw.choice('aab')}" for n in range(50) for who in "ABC"]
    for n in range(2):
        draw.shuffle(rows)
        path = saved(tmp_path, f"labels{n}.csv", "item_id,annotator_id,label\n" + "\n".join(rows))
        aggregate(path, "dawid-skene", tmp_path / f"out{n}.parquet")
        measure(path, items_out=tmp_path / f"items{n}.csv")
    for name in ("out{}.parquet", "items{}.csv"):
        assert (tmp_path / name.format(0)).read_bytes() == (tmp_path / name.format(1)).read_bytes()


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    out = saved(tmp_path, "out.jsonl", "old")

    def failing(found):
        yield {"item_id": "X"}
        raise OSError("no space left")

    monkeypatch.setattr(aggregates, "rows", failing)
    with pytest.raises(OSError, match="no space"):
        aggregate(saved(tmp_path, "labels.csv", TABLE), "majority", out)
    assert out.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.csv", "out.jsonl"]


def test_an_output_that_cannot_be_is_refused_before_the_work(tmp_path):
    with pytest.raises(RequestError, match="cannot tell the format"):
        aggregate(tmp_path / "nothing.csv", "majority", tmp_path / "out.xlsx")
    with pytest.raises(RequestError, match="no folder"):
        aggregate(saved(tmp_path, "labels.csv", TABLE), "majority", tmp_path / "nowhere" / "out.csv")


def test_the_commands_start_without_what_is_slow_to_import(tmp_path):
    path = saved(tmp_path, "labels.csv", TABLE)
    program = f"""
import sys
from flows.aggregate import aggregate
from flows.measure import measure
measure({str(path)!r}, items_out={str(tmp_path / "items.csv")!r})
aggregate({str(path)!r}, "dawid-skene", {str(tmp_path / "out.parquet")!r})
slow = ("pandas", "pyarrow", "polars", "scipy", "prefect", "great_expectations")
print([name for name in slow if name in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
