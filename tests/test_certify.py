"""The file command `certify`: a table of a model's labels and of an audit in, a certificate out."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from pytest import approx
from tables import saved, stored, written

from flows.__main__ import main
from flows.certify import certify, story
from schemas.errors import RequestError, SourceRefused
from tasks.audit_table import AuditColumns

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
HEAD = "item_id,label,confidence,audited_label,part\n"


def rows(*parts: tuple[int, str, float, str, str]) -> list[dict]:
    """Return rows of a table: how many of each, the model's label, how sure it is, the audit's label, and the slice."""
    said = [part[1:] for part in parts for _ in range(part[0])]
    names = ("label", "confidence", "audited_label", "part")
    return [{"item_id": f"i{n:03}"} | dict(zip(names, one, strict=True)) for n, one in enumerate(said)]


# 60 sure labels were audited, none of them wrong; of 20 unsure ones half were
TABLE = rows((60, "yes", 0.9, "yes", "s"), (40, "yes", 0.9, "", "s"), (10, "no", 0.4, "yes", "t"), (10, "no", 0.4, "no", "t"), (80, "no", 0.4, "", "t"))  # fmt: skip


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "t.jsonl", "t.jsonl.zst", "t.parquet", "t.parquet.gz"])
def test_a_table_in_any_format_is_certified(tmp_path, name):
    result = certify(stored(tmp_path, name, TABLE), 0.1, 0.95)
    assert (result["threshold"], result["accepted"], result["accepted_share"]) == (0.9, 100, 0.5)
    assert (result["audited"], result["errors"], result["audited_accepted"], result["errors_accepted"]) == (
        80,
        10,
        60,
        0,
    )
    assert (result["max_error"], result["confidence"], result["method"], result["seed"]) == (
        0.1,
        0.95,
        "binomial",
        None,
    )
    assert (result["slices"], result["reason"]) == ({}, None)
    json.dumps(result, allow_nan=False)


def test_the_statement_has_the_counts_the_confidence_and_what_it_is_about(tmp_path):
    path = stored(tmp_path, "t.csv", TABLE)
    assert certify(path, 0.1, 0.95)["statement"] == (
        "Of the 100 labels accepted without a person (score 0.9 or more, 50.0 % of 200), at most 10 % are wrong, with 95 %"
        " confidence: 60 of them were drawn at random and audited, none wrong (exact binomial test). This is about the source"
        " that the audited ones were drawn from, these labels being a part of it. Audited ones are among them, as they were"
        " before any correction; wrong is what differs from the audit's label."
    )
    assert "This is about these labels and no others." in certify(path, 0.1, 0.95, total=200)["statement"]


@pytest.mark.parametrize(
    ("total", "audited", "threshold", "accepted", "method"),
    [
        (None, 58, None, 0, "binomial"),  # 59 would be needed
        (None, 59, 0.9, 100, "binomial"),
        (
            100,
            38,
            None,
            0,
            "hypergeometric",
        ),  # were 6 of 100 wrong, 38 audits would find none with 0.0516, 39 with 0.0466
        (100, 39, 0.9, 100, "hypergeometric"),
        (1000, 55, None, 0, "hypergeometric"),  # the table is a part of the batch, all of which would be accepted
        (1000, 56, 0.9, 1000, "hypergeometric"),  # 51 of 1,000 and none of 56: 0.0489
    ],
)
def test_a_batch_of_known_size_needs_fewer_audits(tmp_path, total, audited, threshold, accepted, method):
    path = stored(tmp_path, "t.csv", rows((audited, "a", 0.9, "a", ""), (100 - audited, "a", 0.9, "", "")))
    result = certify(path, 0.05, 0.95, total=total)
    assert (result["threshold"], result["accepted"], result["method"]) == (threshold, accepted, method)


def test_slices_are_certified_all_at_once(tmp_path):
    result = certify(stored(tmp_path, "t.csv", TABLE), 0.1, 0.95, AuditColumns(slice="part"))
    first, second = result["slices"]["s"], result["slices"]["t"]
    assert (first["threshold"], first["accepted"]) == (0.9, 100)
    assert (second["threshold"], second["statement"]) == (None, None)
    # 20 are too few even if they were all right, so that s is tested as if it were alone; 36 = ln 0.025 / ln 0.9
    assert second["reason"].endswith("20 labels audited, 36 needed even without an error: 16 lacking.")
    assert (result["accepted"], result["audited"], result["errors"], result["threshold"]) == (100, 80, 10, 0.9)
    assert first["statement"].startswith("In slice s: Of the 100 labels")
    assert result["statement"].startswith(
        "In each of 1 of 2 slices at most 10 % of the labels accepted without a person"
    )


def test_what_was_drawn_and_not_answered_counts_as_wrong(tmp_path):
    table = rows((38, "a", 0.9, "a", ""), (62, "a", 0.9, "", ""))
    drawn = [row | {"drawn": str(n < 39).lower()} for n, row in enumerate(table)]
    assert certify(stored(tmp_path, "t.csv", table), 0.1, 0.9)["errors"] == 0
    result = certify(stored(tmp_path, "drawn.csv", drawn), 0.1, 0.9)
    assert (result["audited"], result["answered"], result["errors"]) == (39, 38, 1)
    assert "1 of all drawn not answered yet" in result["statement"]


def test_labels_of_people_on_items_that_were_not_drawn_are_no_audit(tmp_path):
    table = [row | {"mine": "1" if row["confidence"] == 0.9 else "0"} for row in TABLE]
    result = certify(stored(tmp_path, "t.csv", table), 0.1, 0.95, AuditColumns(drawn="mine"))
    assert (result["audited"], result["answered"], result["undrawn"]) == (100, 60, 20)
    assert "20   labels of people on items that were not drawn" in story(result)


def test_columns_go_by_any_name(tmp_path, capsys):
    names = {"item_id": "id", "label": "gpt", "confidence": "p", "audited_label": "ann", "part": "topic"}
    path = stored(tmp_path, "t.csv", [{names[key]: value for key, value in row.items()} for row in TABLE])
    flags = "--item id --label gpt --score p --audited ann --slice topic --max-error 0.1 --confidence 0.95 --json"
    assert main(["certify", str(path), *flags.split()]) == 0
    assert json.loads(capsys.readouterr().out)["slices"]["s"]["threshold"] == 0.9
    assert main(["certify", str(path), "--max-error", "0.1", "--label", "gtp"]) == 2
    assert "Did you mean --label gpt?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("item_id,label,confidence\na,x,0.5\n", "has no column audited_label"),
        (HEAD, "there is no row in it"),
        (HEAD + "a,x,0.5,x,\na,x,0.5,x,\n", "1 rows repeat an item"),
        (HEAD + ",x,0.5,x,\n", "1 rows have nothing in the column item_id"),
        (HEAD + "a,x,1.5,x,\nb,x,sure,x,\nc,x,,x,\nd,x,nan,,\ne,x,0.1,,\n", "in 4 rows the column confidence holds no"),
        (HEAD.replace("part", "drawn") + "a,x,0.5,x,maybe\n", "in 1 rows the column drawn says neither"),
    ],
)
def test_what_is_no_table_of_an_audit_is_refused(tmp_path, text, said):
    with pytest.raises(RequestError, match=said):
        certify(saved(tmp_path, "t.csv", text), 0.1, 0.9)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"max_error": 0}, "--max-error 0: a number between 0 and 1"),
        ({"max_error": float("nan")}, "--max-error nan"),
        ({"confidence": 95}, "--confidence 95: a number between 0 and 1"),
        ({"total": 199}, "--total 199: the table has 200 rows"),
        ({"out": "out.xlsx"}, "cannot tell the format"),
        ({"out": "t.csv"}, "would be written over"),
    ],
)
def test_a_wrong_request_is_refused(tmp_path, monkeypatch, how, said):
    monkeypatch.chdir(tmp_path)
    stored(tmp_path, "t.csv", TABLE)
    with pytest.raises(RequestError, match=said):
        certify("t.csv", **({"max_error": 0.1, "confidence": 0.95} | how))


def test_a_broken_file_is_a_source_that_is_refused(tmp_path, capsys):
    with pytest.raises(SourceRefused):
        certify(saved(tmp_path, "t.parquet", "no parquet"), 0.1, 0.9)
    assert main(["certify", str(saved(tmp_path, "t.csv", "")), "--max-error", "0.1", "--confidence", "0.9"]) == 5
    assert main(["certify", str(tmp_path / "none.csv"), "--max-error", "0.1", "--confidence", "0.9"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_without_audits_there_is_no_statement(tmp_path, capsys):
    path = stored(tmp_path, "t.csv", rows((5, "a", 0.9, "", "")))
    assert main(["certify", str(path), "--max-error", "0.1", "--confidence", "0.9", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["statement"], result["threshold"], result["upper"]) == (None, None, None)
    assert result["reason"] == "No label may be accepted without a person: none was drawn for people to audit."


def test_what_the_model_gave_no_label_is_never_accepted(tmp_path):
    table = [*TABLE, {"item_id": "z", "label": "", "confidence": "", "audited_label": "yes", "part": "s"}]
    result = certify(stored(tmp_path, "t.csv", table), 0.1, 0.95, out=tmp_path / "out.csv")
    assert (result["items"], result["accepted"]) == (201, 100)
    assert written(tmp_path / "out.csv", "item_id, label, status")[-1] == ("z", None, "audited")


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet"])
def test_each_item_is_written_with_its_status(tmp_path, name):
    path = stored(tmp_path, "t.csv", rows((40, "a", 0.9, "a", "s"), (2, "b", 0.3, "", "t"), (1, "b", 0.95, "", "t")))
    certify(path, 0.1, 0.95, AuditColumns(slice="part"), out=tmp_path / name)
    found = written(tmp_path / name, "item_id, label, confidence::double, slice, status, audited_label")
    assert len(found) == 43
    assert found[39:] == [
        ("i039", "a", 0.9, "s", "audited", "a"),
        ("i040", "b", 0.3, "t", "person", None),
        ("i041", "b", 0.3, "t", "person", None),
        ("i042", "b", 0.95, "t", "person", None),  # sure, but nobody audited its slice
    ]


def test_the_order_of_rows_changes_nothing(tmp_path):
    results = [
        certify(
            stored(tmp_path, f"{n}.csv", table), 0.1, 0.95, AuditColumns(slice="part"), out=tmp_path / f"out{n}.csv"
        )
        for n, table in enumerate((TABLE, TABLE[::-1]))
    ]
    assert results[0] == results[1]
    assert (tmp_path / "out0.csv").read_bytes() == (tmp_path / "out1.csv").read_bytes()


def test_numbers_of_a_column_with_gaps_are_the_same_labels(tmp_path):
    # as pandas writes them: 1 where every row has a label, 1.0 where some have none
    query = (
        "select n::varchar as item_id, 1 as label, 0.9 as confidence, if(n < 60, 1.0, null)::double as audited_label"
    )
    duckdb.sql(f"{query} from range(100) t(n)").write_parquet(str(tmp_path / "t.parquet"))
    assert certify(tmp_path / "t.parquet", 0.1, 0.95)["errors"] == 0


def test_a_story_tells_counts_and_promise_in_lines(tmp_path):
    path = stored(tmp_path, "t.csv", TABLE)
    told = story(certify(path, 0.1, 0.95))
    assert told.splitlines()[:3] == [
        "items             200",
        "audited            80   10 wrong; no column says who was drawn: all answered are taken as drawn at random",
        "accepted          100   50.0%, with a confidence of 0.9 or more; 60 of them audited, 0 wrong",
    ]
    by_slice = story(certify(path, 0.1, 0.95, AuditColumns(slice="part")))
    assert "In each of 1 of 2 slices at most 10 % of the labels" in by_slice
    assert "16 lacking" in by_slice


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared data")
def test_labels_whose_confidence_says_nothing_are_refused(tmp_path):
    # GPT-4o on misinformation: sure of nearly all it says, and wrong in 19 %
    table, path = SHARED / "pac_labels" / "misinfo.csv", tmp_path / "misinfo.csv"
    duckdb.sql(f"""
        select column0 as id, "Yhat (GPT4o)" as gpt, confidence, if(hash(column0) % 4 = 0, Y, null) as audited, source
        from '{table}'
    """).write_csv(str(path))
    columns = AuditColumns("id", "gpt", audited="audited", slice="source")
    assert certify(path, 0.05, 0.9, AuditColumns("id", "gpt", audited="audited"))["threshold"] is None
    result = certify(path, 0.15, 0.9, columns, total=1923)
    assert result["slices"]["theindependent"]["threshold"] is None  # 43 % of its labels are wrong
    truth = dict(duckdb.sql(f"select column0::varchar, Y <> \"Yhat (GPT4o)\" from '{table}'").fetchall())
    assert sum(truth.values()) / len(truth) == approx(0.186, abs=1e-3)


def test_the_command_starts_without_what_is_slow_to_import(tmp_path):
    path = stored(tmp_path, "t.csv", TABLE)
    program = f"""
import sys
from flows.certify import certify
certify({str(path)!r}, 0.1, 0.9, out={str(tmp_path / "out.parquet")!r}, total=200)
slow = ("pandas", "pyarrow", "polars", "scipy.stats", "prefect", "great_expectations")
print([name for name in slow if name in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
