"""A release is verified: everything it says is worked out again, and whatever was tampered with is found."""

import json
import os
import re
import shutil
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import audited
import conftest
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prefect.logging import disable_run_logger

from flows.__main__ import main
from flows.verify import story, verify
from schemas.curation import load
from schemas.errors import RequestError
from tasks import release
from tasks.certificate import Claim, Grid, Sample, certify, statement
from tasks.known import known
from tasks.release import ledger
from tasks.release.certificate import certificate
from tasks.release.manifest import as_json
from tasks.release.shapes import FORMATS, SPLITS, asking, places
from tasks.release.shapes.table import SCHEMA
from tasks.report.wording import plural, share
from tasks.verify.arithmetic import differing

DAY, WRITTEN = "2026-11-17", "[messages, alpaca, sharegpt, evals, soft-labels]"
NOWHERE = "/nowhere"
GUIDELINES = 'Judge the text alone.\n"Quotes" and \\ stay as they are.\n'
NOT_PUBLISHED = "is not the one that was published"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Return the folder and the home of a release with people's labels, and a model's under a certificate."""
    folder, home = tmp_path_factory.mktemp("certified"), tmp_path_factory.mktemp("home")
    documents = {DAY: audited.stream("60 good 0.95 good", "40 bad 0.90 bad", "8 bad 0.60 good", "12 good 0.55 bad")}
    place = audited.curation(conftest.write, folder, documents, release=f"{{formats: {WRITTEN}}}") / "curation.yaml"
    place.write_text(place.read_text().replace("kind: choice,", "kind: choice, guidelines: guidelines.md,", 1))
    (folder / "guidelines.md").write_text(GUIDELINES)
    with disable_run_logger():
        run = audited.night(folder, home, DAY)
        audited.answer_all(run)
        two_people = list(audited.draws(run)["source_id"])[:9]
        audited.answer(run, {source: audited.truly(source) for source in two_people}, who="bob")
        content = release.identify.fn(run, audited.VERSIONS)
        ended = conftest.release_line(run, audited.VERSIONS, content)
    return Path(ended["release"]), home


@pytest.fixture
def copied(published, tmp_path):
    """Return the folder of a copy of the release, to tamper with, and the home of its store."""
    folder, home = published
    shutil.copytree(folder, tmp_path / folder.name)
    return tmp_path / folder.name, home


# --- what can be done to a release


def told(folder, name):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def tell(folder, name, change):
    """Change the JSON of a file, in place or by what the change returns."""
    found = told(folder, name)
    changed = change(found)
    (folder / name).write_text(as_json(found if changed is None else changed), encoding="utf-8")


def say(folder, name, old, new):
    """Write something else in a page; it must have stood there."""
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new), encoding="utf-8")


def sealed(folder):
    """Write the manifest anew, and every page that tells of a file: as one would who wants not to be found out."""
    before = {file["path"]: file for file in told(folder, "manifest.json")["files"]}
    for path in ("evals/tiny/samples.jsonl", *before):
        old, new = before[path], entry(folder, path)
        say_all(folder, "evals/tiny.yaml", {f"test.{old['sha256'][:8]}": f"test.{new['sha256'][:8]}"})
        say_all(folder, "report.html", {old["sha256"]: new["sha256"]})
    tell(folder, "croissant.json", lambda croissant: croissant | {"distribution": [
        file | {"sha256": new["sha256"], "contentSize": f"{new['bytes']} B"}
        for file in croissant["distribution"] for new in [entry(folder, file["contentUrl"])]
    ]})  # fmt: skip
    tables = {split: entry(folder, f"data/{split}.parquet") for split in SPLITS}
    text = (folder / "README.md").read_text()
    for split, table in tables.items():
        text = re.sub(rf"(- name: {split}\n.*\n    num_examples: )\d+", rf"\g<1>{table['rows']}", text)
    size = sum(table["bytes"] for table in tables.values())
    (folder / "README.md").write_text(re.sub(r"download_size: \d+", f"download_size: {size}", text))
    listed(folder)


def listed(folder):
    """Write the manifest anew, and nothing else."""
    tell(folder, "manifest.json", lambda manifest: manifest | {
        "splits": {split: entry(folder, f"data/{split}.parquet")["rows"] for split in SPLITS},
        "files": [entry(folder, file["path"]) for file in manifest["files"]],
    })  # fmt: skip


def say_all(folder, name, words):
    text = (folder / name).read_text(encoding="utf-8")
    for old, new in words.items():
        text = text.replace(old, new)
    (folder / name).write_text(text, encoding="utf-8")


def entry(folder, path):
    place, content = folder / path, (folder / path).read_bytes()
    rows = pq.read_metadata(place).num_rows if path.endswith(".parquet") else content.count(b"\n")
    return {"path": path, "sha256": sha256(content).hexdigest(), "bytes": len(content),
            "rows": rows if path.endswith((".parquet", ".jsonl")) else None}  # fmt: skip


def rows_of(folder):
    return {split: pq.read_table(folder / "data" / f"{split}.parquet").to_pylist() for split in SPLITS}


def rewritten(folder, change, formats=True):
    """Write the tables with other rows, and every format from them."""
    rows = rows_of(folder)
    change(rows)
    for split, some in rows.items():
        some.sort(key=lambda row: row["item_id"])
        pq.write_table(pa.Table.from_pylist(some, schema=SCHEMA), folder / "data" / f"{split}.parquet")
    if formats:
        manifest, curation = told(folder, "manifest.json"), load(CURATION[0])
        asked = asking(curation, GUIDELINES)
        for name, files in places("tiny", manifest["formats"]).items():
            for split, path in files.items():
                lines = [orjson.dumps(line) + b"\n" for row in rows[split] for line in FORMATS[name].shaped(asked(row))]
                (folder / path).write_bytes(b"".join(lines))


CURATION = []  # the file of the curation, for `rewritten`


@pytest.fixture(autouse=True)
def _curation(published):
    CURATION[:] = [published[0].parents[2] / "curation.yaml"]


def first(rows, split="train", **wanted):
    return next(row for row in rows[split] if all(row[key] == value for key, value in wanted.items()))


def flip(row):
    row["label"] = {"good": "bad", "bad": "good"}[row["label"]]


def flip_one_of_people(rows):
    flip(first(rows, status="human"))


def swap_two_of_the_model(rows):
    flip(first(rows, status="accepted", people=0, label="good"))
    flip(first(rows, status="accepted", people=0, label="bad"))


def move_to_train(rows):
    row = rows["test"].pop()
    rows["train"].append(row | {"split": "train"})


def move_with_pages(folder):
    """Move a row from test to train, in all that tells of it."""
    before = rows_of(folder)
    rewritten(folder, move_to_train)
    after, total = rows_of(folder), sum(map(len, before.values()))
    for split in ("train", "test"):
        say(folder, "README.md", *(card_line(rows, split) for rows in (before, after)))
        say(folder, "report.html", *(f"{plural(len(rows[split]), 'example')}, {share(len(rows[split]) / total)}"
                                     for rows in (before, after)))  # fmt: skip
    sealed(folder)


def card_line(rows, split):
    labels = [row["label"] for row in rows[split]]
    parts = ", ".join(f"{label} {labels.count(label)}" for label in ("good", "bad") if label in labels)
    return f"| {split} | {len(labels)} | {parts} |"


def lose_an_error(folder):
    """Take an error out of every count of the certificate, and do all its arithmetic again."""
    found = told(folder, "certificate.json")
    grid = Grid(**{key: tuple(value) for key, value in found["epochs"][0]["thresholds"][""].items()})
    claim = Claim(found["max_error"], found["confidence"], found["method"])
    best = certify(without_an_error(found["batches"][0]["tests"]), grid, claim)
    say(folder, "README.md", found["statement"], statement(claim, best))
    tell(folder, "certificate.json", lambda old: old | asdict(best) | {
        "statement": statement(claim, best), "reason": None, "slices": {}, "audited": best.answered,
        "batches": [asdict(best) | {"drawn": best.audited, "audited": best.answered}],
    })  # fmt: skip


def without_an_error(tests):
    """Return an audit of as many items at each score as the tests tell, one of the wrong ones right."""
    score, place, wrong, before = [], [], [], dict.fromkeys(("accepted", "audited", "errors"), 0)
    for test in tests:
        size, drawn, errors = (test[key] - before[key] for key in before)
        score += [test["threshold"]] * size
        place += [*range(before["audited"] + 1, test["audited"] + 1), *[0] * (size - drawn)]
        wrong += [*[True] * errors, *[False] * (size - errors)]
        before = {key: test[key] for key in before}
    wrong[wrong.index(True)] = False
    return Sample(np.array(score), np.array(place), np.array(wrong), np.array(place) > 0)


def change_check(folder, change, wanted=lambda check: check["severity"] == "critical"):
    def changed(verdict):
        change(next(check for suite in verdict["suites"] for check in suite["checks"] if wanted(check)))

    tell(folder, "checks.json", changed)


def as_link(folder, name):
    (folder / name).rename(folder.parent / "elsewhere")
    (folder / name).symlink_to(folder.parent / "elsewhere")


def as_pipe(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)


def in_lines(folder, name, change):
    lines = (folder / name).read_bytes().splitlines(keepends=True)
    (folder / name).write_bytes(b"".join(change(lines)))


def in_manifest(**values):
    return lambda folder: tell(folder, "manifest.json", lambda manifest: manifest | values)


def listed_as(folder, file, **values):
    def change(manifest):
        next(one for one in manifest["files"] if one["path"] == file).update(values)

    tell(folder, "manifest.json", change)


def without_format(folder):
    """Take a format out, files and descriptions and all."""
    shutil.rmtree(folder / "soft-labels")
    tell(folder, "manifest.json", lambda manifest: manifest | {
        "formats": manifest["formats"][:-1],
        "files": [file for file in manifest["files"] if not file["path"].startswith("soft-labels/")],
    })  # fmt: skip


def then(*steps):
    def all_of_them(folder):
        for step in steps:
            step(folder)

    return all_of_them


EARLIER = "2026-11-16.1"
# What was done; whether the release by itself shows it, or only its ledger (or a digest from elsewhere) does.
TAMPERED = {
    "a file is added": (lambda f: (f / "extra.jsonl").write_text("{}\n"), True),
    "a hidden file is added": (lambda f: (f / ".cache").write_text("x"), True),
    "an empty folder is added": (lambda f: (f / "more").mkdir(), True),
    "a file is removed": (lambda f: (f / "alpaca" / "test.jsonl").unlink(), True),
    "a file is renamed": (lambda f: (f / "test.jsonl").rename(f / "tests.jsonl"), True),
    "a file is cut short": (lambda f: os.truncate(f / "train.jsonl", 1000), True),
    "a bit of a table is turned": (lambda f: (f / "data" / "test.parquet").write_bytes(turned(f / "data" / "test.parquet")), True),
    "a file is replaced by a link to it": (lambda f: as_link(f, "train.jsonl"), True),
    "a folder is replaced by a link to it": (lambda f: as_link(f, "data"), True),
    "a file is replaced by a pipe": (lambda f: as_pipe(f, "README.md"), True),
    "a table is replaced by a pipe": (lambda f: as_pipe(f, "data/test.parquet"), True),
    "a line is added": (then(lambda f: in_lines(f, "train.jsonl", lambda lines: [*lines, lines[0]]), sealed), True),
    "a line is taken out": (then(lambda f: in_lines(f, "train.jsonl", lambda lines: lines[1:]), sealed), True),
    "two lines change places": (then(lambda f: in_lines(f, "alpaca/train.jsonl", lambda lines: [lines[1], lines[0], *lines[2:]]), sealed), True),
    "the instructions differ in one line": (then(lambda f: in_lines(f, "train.jsonl", lambda lines: [lines[0].replace(b"exactly one", b"any"), *lines[1:]]), sealed), True),
    "the guidelines differ in one line": (then(lambda f: in_lines(f, "train.jsonl", lambda lines: [*lines[:-1], lines[-1].replace(b"text alone", b"text")]), sealed), True),
    "a label is turned in one format": (then(lambda f: in_lines(f, "sharegpt/test.jsonl", lambda lines: [other_label(lines[0]), *lines[1:]]), sealed), True),
    "a label is turned in the table": (then(lambda f: rewritten(f, flip_one_of_people, formats=False), sealed), True),
    "a label of people's is turned everywhere": (then(lambda f: rewritten(f, flip_one_of_people), sealed), True),
    "two labels of the model's change places": (then(lambda f: rewritten(f, swap_two_of_the_model), sealed), False),
    "a text is changed everywhere": (then(lambda f: rewritten(f, lambda rows: rows["train"][0].update(text="another")), sealed), False),
    "an item is there twice": (then(lambda f: rewritten(f, lambda rows: rows["train"].append(rows["train"][0])), sealed), True),
    "a row moves from test to train": (then(lambda f: rewritten(f, move_to_train), sealed), True),
    "a row moves from test to train, pages and all": (move_with_pages, False),
    "a model's label passes for people's": (then(lambda f: rewritten(f, lambda rows: first(rows, status="accepted", people=0).update(status="human")), sealed), True),
    "a label that there is not": (then(lambda f: rewritten(f, lambda rows: first(rows, people=0).update(label="fine"), formats=False), sealed), True),
    "the certificate counts an error less": (then(lambda f: tell(f, "certificate.json", lambda one: one | {"errors_accepted": one["errors_accepted"] - 1}), sealed), True),
    "the certificate counts an error less, in one test": (then(lambda f: tell(f, "certificate.json", lambda one: one["batches"][0]["tests"][2].update(errors=1)), sealed), True),
    "the certificate counts an error less everywhere": (then(lose_an_error, sealed), False),
    "the certificate accepts more": (then(lambda f: tell(f, "certificate.json", lambda one: one | {"accepted": 120, "threshold": 0.55}), sealed), True),
    "the certificate promises more": (then(lambda f: tell(f, "certificate.json", lambda one: one | {"max_error": 0.01, "statement": one["statement"].replace("20 %", "1 %")}), sealed), True),
    "the certificate is taken away": (then(lambda f: tell(f, "certificate.json", lambda one: one | {"statement": None, "reason": "No reason."}), sealed), True),
    "the certificate is another release's": (then(lambda f: tell(f, "certificate.json", lambda one: one | {"release": EARLIER}), sealed), True),
    "a check that failed is said to hold": (then(lambda f: change_check(f, lambda check: check.update(observed="3", expected="0")), sealed), True),
    "the gate refused": (then(lambda f: tell(f, "checks.json", lambda verdict: verdict | {"passed": False}), sealed), True),
    "a check is taken out": (then(lambda f: tell(f, "checks.json", lambda verdict: verdict | {"suites": verdict["suites"][:-1]}), sealed), False),
    "the card counts other examples": (then(lambda f: say(f, "README.md", card_line(rows_of(f), "test"), "| test | 1,000 | good 500, bad 500 |"), sealed), True),
    "the card tells another agreement": (then(lambda f: (f / "README.md").write_text(re.sub(r"(Percent agreement: )\S+", r"\g<1>0.999", (f / "README.md").read_text())), sealed), False),
    "the report counts other examples": (then(lambda f: say(f, "report.html", f"{plural(len(rows_of(f)['test']), 'example')}, ", "900 examples, "), sealed), True),
    "Croissant tells another sha256": (then(lambda f: say(f, "croissant.json", entry(f, "data/test.parquet")["sha256"], "0" * 64), listed), True),
    "dataset_info.json names another file": (then(lambda f: say(f, "dataset_info.json", '"test.jsonl"', '"train.jsonl"'), sealed), True),
    "another parent": (in_manifest(parent=EARLIER), True),
    "another parent, on the card too": (then(in_manifest(parent=EARLIER), lambda f: say(f, "README.md", "none, this is the first release", EARLIER), sealed), False),
    "another name": (in_manifest(release="2026-11-17.2"), True),
    "another date": (in_manifest(as_of="2026-11-18"), True),
    "another content id": (in_manifest(content_id="0" * 64), True),
    "another version of the model": (in_manifest(versions={"assay": "0.4.0", "annotators": {"m1": "v-m2"}}), False),
    "another number of examples": (in_manifest(splits={"train": 1, "validation": 1, "test": 1}), True),
    "a label more in the manifest": (in_manifest(labels={"kind": "choice", "values": {"good": "It is good.", "bad": "It is bad.", "x": "y"}}), True),
    "a file's rows are not told": (lambda f: listed_as(f, "data/test.parquet", rows=None), True),
    "a file outside is listed": (lambda f: listed_as(f, "test.jsonl", path="../test.jsonl"), True),
    "the manifest is written otherwise": (lambda f: (f / "manifest.json").write_text(json.dumps(told(f, "manifest.json"))), True),
    "a format is taken out": (without_format, True),
}  # fmt: skip
QUICK = {
    "a hidden file is added", "a label of people's is turned everywhere", "two labels of the model's change places",
    "a row moves from test to train, pages and all", "the certificate counts an error less everywhere",
}  # fmt: skip


def turned(place):
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 1
    return bytes(content)


def other_label(line):
    return (
        line.replace(b'"good\\"', b'"bad\\"')
        if b'\\": \\"good\\"' in line
        else line.replace(b'\\"bad\\"}', b'\\"good\\"}')
    )


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in TAMPERED]
)
def test_whatever_is_tampered_with_is_found_beside_the_store(name, copied):
    folder, home = copied
    tamper, is_seen_alone = TAMPERED[name]
    tamper(folder)
    found = verify(str(folder), None, str(home))
    of_itself = [
        fault for fault in found["faults"] if NOT_PUBLISHED not in fault["what"] and "ledger" not in fault["what"]
    ]
    assert (found["verified"], bool(of_itself)) == (False, is_seen_alone), found["faults"]
    assert "text 00" not in json.dumps(found)  # the texts of the rows are in no fault


# --- what it is verified against


def test_a_release_is_verified_beside_its_store_against_a_digest_and_in_itself(published):
    folder, home = published
    digest = sha256((folder / "manifest.json").read_bytes()).hexdigest()
    found = [
        verify(str(folder), None, str(home)),
        verify(str(folder), digest.upper(), NOWHERE),
        verify(f"{folder}/", None, NOWHERE),
    ]
    assert [(one["verified"], one["against"], one["digest"]) for one in found] == [
        (True, "ledger", digest), (True, "digest", digest), (True, "itself", digest),
    ]  # fmt: skip
    manifest = told(folder, "manifest.json")
    counted = (len(manifest["files"]), sum(manifest["splits"].values()), [])
    assert (found[0]["files"], found[0]["rows"], found[0]["faults"]) == counted
    assert "no more" not in story(found[0])
    assert "in itself consistent, and no more" in story(found[2])


def test_another_digest_than_that_of_the_manifest_is_told(published):
    found = verify(str(published[0]), "0" * 64, NOWHERE)
    assert not found["verified"]
    assert NOT_PUBLISHED in story(found)


def test_the_home_is_the_one_of_the_environment_where_none_is_named(published, monkeypatch):
    monkeypatch.setenv("ASSAY_HOME", str(published[1]))
    assert verify(str(published[0]), None, None)["against"] == "ledger"


def test_a_release_that_its_store_does_not_know_is_not_verified(copied, tmp_path):
    folder, home = copied
    shutil.copytree(home, tmp_path / "home")
    shutil.rmtree(tmp_path / "home" / "tiny" / "ledger")
    assert verify(str(folder), None, str(tmp_path / "home"))["against"] == "itself"  # no ledger, no store
    (tmp_path / "home" / "tiny" / "ledger").mkdir()
    assert "knows of no such release" in story(verify(str(folder), None, str(tmp_path / "home")))


def test_a_release_in_anothers_place_is_a_fault_and_a_copy_of_any_other_name_is_none(published, tmp_path):
    folder, home = published
    for name, faults in [
        ("a copy", []),
        (EARLIER, ["is of the release 2026-11-17.1, and its folder is called 2026-11-16.1"]),
    ]:
        shutil.copytree(folder, tmp_path / name)
        assert [fault["what"] for fault in verify(f"{tmp_path / name}/", None, str(home))["faults"]] == faults


def test_of_an_earlier_versions_release_it_is_said_what_cannot_be_proven_and_its_files_are_compared(copied):
    folder, _ = copied
    tell(folder, "manifest.json", lambda manifest: {
        key: value for key, value in manifest.items() if key not in ("labels", "formats")
    } | {"versions": manifest["versions"] | {"assay": "0.4.0"}})  # fmt: skip
    (fault,) = verify(str(folder), None, NOWHERE)["faults"]
    assert "an earlier version of Assay (0.4.0)" in fault["what"]
    assert "rows, formats, card, report, Croissant, checks and certificate cannot be" in fault["what"]
    (folder / "more.txt").write_text("x")
    faults = verify(str(folder), "0" * 64, NOWHERE)["faults"]
    assert [one["file"] for one in faults] == ["manifest.json", "more.txt", "manifest.json"]
    assert NOT_PUBLISHED in faults[-1]["what"]


def test_a_release_that_was_withdrawn_is_said_to_be(published, monkeypatch):
    monkeypatch.setattr(ledger, "withdrawn", lambda _: {"2026-11-17.1"})
    found = verify(str(published[0]), None, str(published[1]))
    assert (found["verified"], found["withdrawn"]) == (True, True)
    assert "withdrawn" in story(found)


def test_the_status_tells_whether_it_is_verified(copied, capsys):
    folder, home = copied
    assert main(["verify", str(folder), "--home", str(home)]) == 0
    (folder / "more.txt").write_text("x")
    assert main(["verify", str(folder), "--home", str(home)]) == 3
    assert "more.txt: is not listed in the manifest" in capsys.readouterr().out
    assert main(["verify", str(folder), "--digest", "abc"]) == 2
    assert main(["verify", str(folder / "none")]) == 2


# --- what is no release


def deep(folder):
    (folder / "manifest.json").write_text("[" * 100_000)


def huge(folder):
    with (folder / "manifest.json").open("wb") as file:
        file.truncate(2**27)


def circular(folder):
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").symlink_to(folder / "manifest.json")


NO_RELEASE = {
    "nothing there": (lambda f: shutil.rmtree(f), "is no folder"),
    "a file": (lambda f: (shutil.rmtree(f), f.write_text("x")), "is no folder"),
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "holds no manifest.json"),
    "a manifest that is a folder": (lambda f: ((f / "manifest.json").unlink(), (f / "manifest.json").mkdir()), "holds no manifest.json"),
    "a manifest that is a link to itself": (circular, "holds no manifest.json"),
    "a manifest that is no JSON": (lambda f: (f / "manifest.json").write_bytes(b"\xff\xfe"), "is no manifest"),
    "a manifest that is a list": (lambda f: (f / "manifest.json").write_text("[]"), "is no manifest"),
    "a manifest nested too deep": (deep, "is no manifest"),
    "a manifest too large": (huge, "is no manifest"),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_RELEASE)
def test_what_is_no_release_is_a_wrong_request(name, copied):
    folder, home = copied
    spoil, words = NO_RELEASE[name]
    spoil(folder)
    with pytest.raises(RequestError, match=words):
        verify(str(folder), None, str(home))


STRANGE = [{}, {"curation": "../x", "release": 1}, {"curation": None}, {"files": {}, "splits": []}]


@pytest.mark.parametrize("manifest", STRANGE)
def test_a_manifest_of_another_form_is_a_fault_not_a_crash(manifest, copied):
    folder, home = copied
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert not verify(str(folder), None, str(home))["verified"]


PAGES = ["certificate.json", "checks.json", "croissant.json", "README.md", "dataset_info.json"]
SPOILED = ["[]", "", "{}", "null", "---\n---\n", "[" * 100_000, '{"suites": 1, "epochs": [], "distribution": [1]}']


@pytest.mark.parametrize("content", [SPOILED[0], *(pytest.param(one, marks=pytest.mark.slow) for one in SPOILED[1:])])
def test_pages_of_another_form_are_faults_not_a_crash(content, copied):
    folder, _ = copied
    for name in PAGES:
        (folder / name).write_text(content)
    listed(folder)
    assert {fault["file"] for fault in verify(str(folder), None, NOWHERE)["faults"]} >= set(PAGES)


def test_folders_linked_in_a_circle_are_told_and_not_followed(copied):
    folder, home = copied
    (folder / "round").symlink_to(folder)
    assert {"file": "round", "what": "is not listed in the manifest"} in verify(str(folder), None, str(home))["faults"]


# --- the certificate's arithmetic

KINDS = {
    "a stream": "{max_error: 0.2, confidence: 0.9, audit: 40}",
    "a stream of slices": "{max_error: 0.2, confidence: 0.9, audit: 40, by_slice: true}",
    "a batch": "{max_error: 0.2, confidence: 0.9, audit: 40, claim: batch}",
    "a batch of slices": "{max_error: 0.3, confidence: 0.8, audit: 20, claim: batch, by_slice: true}",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_arithmetic_of_every_kind_of_certificate_comes_out_again(kind, tmp_path):
    accepted, groups = [], ["60 good 0.95 good", "40 bad 0.90 bad", "8 bad 0.60 good", "12 good 0.55 bad"]
    for night, day in enumerate(("2026-11-15", "2026-11-16", "2026-11-17")):
        texts = audited.later(f"n{night}", *groups)
        rows = {id: {"text": text, "slice": f"s{place % 2}"} for place, (id, text) in enumerate(texts.items())}
        folder = audited.curation(conftest.write, tmp_path, {day: rows}, accept=KINDS[kind])
        with disable_run_logger():
            run = audited.night(folder, tmp_path / "home", day)
        if night < 2:  # the last night's audit waits for its answers
            audited.answer_all(run)
        found = certificate(known(run, audited.VERSIONS), run.curation.accept, ["good", "bad"])
        assert list(differing(found)) == []
        accepted.append(found["accepted"])
    assert max(accepted) > 0
