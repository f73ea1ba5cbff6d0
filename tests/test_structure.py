"""The project itself: who imports whom, what every room holds to, what is deployed."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from schemas.curation import settings
from tasks.store import TABLES

ROOT = Path(__file__).resolve().parent.parent
QUERIES = sorted((ROOT / "tasks" / "sql").rglob("*.sql"))
MODULES = [
    file for room in ("flows", "tasks", "schemas", "expectations") for file in sorted((ROOT / room).rglob("*.py"))
]


def test_imports_go_only_where_the_design_allows():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: file.stem)
def test_every_query_says_what_it_returns_its_grain_and_what_it_reads(file):
    name, *rest = file.read_text(encoding="utf-8").splitlines()
    header = [line for line in rest if line.startswith("--")]
    assert name.startswith(f"-- {file.stem}: ")
    assert any(line.startswith("-- grain:") for line in header)
    assert any(line.startswith("-- reads:") for line in header)


def test_every_query_is_used():
    code = "\n".join(file.read_text(encoding="utf-8") for file in MODULES)
    used = {file for file in QUERIES if f'"{file.stem}"' in code}
    assert {file.name for file in set(QUERIES) - used} == set()


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_every_module_says_where_it_stands(file):
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize("noun", TABLES.values(), ids=lambda noun: noun.__name__)
def test_every_column_of_the_store_is_documented_once_on_its_field(noun):
    assert [name for name, field in noun.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("part", settings.Settings.__subclasses__(), ids=lambda part: part.__name__)
def test_every_key_of_a_curation_is_documented(part):
    assert [name for name, field in part.model_fields.items() if not field.description] == []


def test_no_flow_hides_a_module_of_the_standard_library():
    # Prefect may put the folder of an entry point first on sys.path
    assert {file.stem for file in (ROOT / "flows").glob("*.py")} & (sys.stdlib_module_names - {"__main__"}) == set()


def test_what_is_installed_is_pinned_and_names_no_index():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.match(r"[a-z0-9-]+==\S+( ; .+)?$", line) for line in lines)


def test_the_deployments_are_a_nightly_that_runs_alone_a_backfill_with_a_form_and_the_monitor():
    from flows.backfill import backfill
    from flows.curate import curate
    from flows.monitor import monitor

    nightly, form, watch = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    assert (nightly["entrypoint"], form["entrypoint"]) == ("flows.curate.curate", "flows.backfill.backfill")
    assert nightly["schedules"] == [{"cron": "0 2 * * *", "timezone": "Europe/Berlin", "active": True}]
    assert nightly["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    assert set(nightly["parameters"]) <= set(inspect.signature(curate.fn).parameters)
    assert set(form["parameters"]) <= set(inspect.signature(backfill.fn).parameters)
    fields = backfill.parameters.properties
    assert fields["start"]["format"] == fields["end"]["format"] == "date"
    assert fields["labels"]["enum"] == ["then", "now"]
    assert backfill.parameters.required == ["curation", "start", "end"]
    assert watch["entrypoint"] == "flows.monitor.monitor"
    assert set(watch["parameters"]) <= set(inspect.signature(monitor.fn).parameters)
    assert monitor.parameters.required == ["curation", "file"]


def test_nothing_is_sent_home():
    import os

    import flows  # noqa: F401  sets them

    assert os.environ["DO_NOT_TRACK"] == "1"
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
