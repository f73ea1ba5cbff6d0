"""Croissant: a release described to machines, as its own reader validates and loads it."""

import json

import pyarrow.parquet as pq
import pytest
from conftest import EVERY_FORMAT

from tasks.release.croissant import semantic
from tests.test_release import files

DAY = "2026-11-17"


@pytest.fixture(scope="module")
def folder(in_every_format):
    return in_every_format


@pytest.fixture(scope="module")
def dataset(folder):
    """Return the release as `mlcroissant` reads it."""
    from mlcroissant import Dataset

    return Dataset(folder / "croissant.json")


def told(folder):
    return json.loads((folder / "croissant.json").read_text())


def plain(value):
    """Return a value of the reader's without the paths that its names begin with, texts as text."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name.rpartition("/")[2]: plain(inner) for name, inner in value.items()}
    return value


def test_its_own_validator_finds_no_error_and_nothing_to_warn_of(dataset):
    assert dataset.metadata.issues.report() == ""


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_its_own_loader_returns_the_rows_of_the_table(split, dataset, folder):
    rows = pq.read_table(folder / "data" / f"{split}.parquet").to_pylist()
    assert [plain(row) for row in dataset.records(split)] == rows


@pytest.mark.parametrize("name", ["messages", "prompt-completion", "alpaca", "sharegpt"])
def test_its_own_loader_returns_the_lines_of_the_formats(name, dataset, folder):
    lines = (folder / ("" if name == EVERY_FORMAT[0] else name) / "train.jsonl").read_text().splitlines()
    assert [plain(row) for row in dataset.records(f"{name}/train")] == [json.loads(line) for line in lines]


def test_every_file_with_rows_is_described_by_its_digest_and_every_column_of_the_table_by_its_documentation(folder):
    found = told(folder)
    assert (found["@type"], found["conformsTo"]) == ("sc:Dataset", "http://mlcommons.org/croissant/1.0")
    assert (found["identifier"], found["version"], found["datePublished"]) == ("2026-11-17.1", "2026.1117.1", DAY)
    objects = {file["@id"]: file["sha256"] for file in found["distribution"]}
    assert objects == {path: digest for path, digest in files(folder).items() if path.endswith((".parquet", ".jsonl"))}
    for records in found["recordSet"][:3]:
        assert records["key"]["@id"] == f"{records['@id']}/item_id"
        columns = [field["@id"].rpartition("/")[2] for field in records["field"]]
        assert columns == pq.read_schema(folder / "data" / f"{records['@id']}.parquet").names
        assert all(field["description"] for field in records["field"])


def test_how_the_data_came_to_be_is_said_in_its_own_figures_and_what_is_not_recorded_is_said_not_to_be(folder):
    found = {name.removeprefix("rai:"): value for name, value in told(folder).items() if name.startswith("rai:")}
    assert found["annotationsPerItem"] == "3.00 by people and 0.00 by models, on average over 12 items."
    assert found["dataAnnotationProtocol"][:2] == ["good: It is good.", "bad: It is bad."]
    assert "2 labels or more and a posterior of at least 0.6 (majority)" in found["dataAnnotationProtocol"][2]
    assert "Krippendorff's alpha among people 0." in found["dataAnnotationAnalysis"][0]
    assert found["dataCollection"].startswith("Texts read from data/{as_of}.jsonl (jsonl, 12 documents from 3 files, ")
    assert found["annotatorDemographics"] == "3 people labelled; who they are is not recorded."
    for name in ("dataAnnotationPlatform", "personalSensitiveInformation", "dataSocialImpact"):
        assert "not recorded" in found[name].lower()
    assert found["dataReleaseMaintenancePlan"].startswith("Release 2026-11-17.1 stays as it is")


def test_a_version_has_no_leading_zeros_whatever_the_date():
    assert semantic("2026-01-09.2") == "2026.109.2"
