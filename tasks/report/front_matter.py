"""The front matter of a data set card: what the Hugging Face hub and `datasets` read of a release's folder."""

import re
from typing import Any

import pyarrow as pa

from schemas.example import Example
from schemas.row import columns
from tasks.report.whole import Evidence

_LICENSES = {
    "apache-2.0",
    "mit",
    "cc0-1.0",
    "cc-by-4.0",
    "cc-by-3.0",
    "cc-by-sa-4.0",
    "cc-by-sa-3.0",
    "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0",
    "odc-by",
    "odbl",
    "pddl",
    "bsd-3-clause",
    "gpl-3.0",
    "cdla-permissive-2.0",
    "unknown",
    "other",
}
_TASKS = {"choice": ["multi-class-classification"], "rating": ["text-scoring"]}
_DTYPES = {pa.string(): "string", pa.int64(): "int64", pa.float64(): "float64"}


def front_matter(evidence: Evidence) -> dict[str, Any]:
    """Return what a hub reads of a card: licence, languages, size, where the splits are and what they hold.

    What nobody has told, such as whose words the texts are, is left out.
    """
    kind = evidence["labels"]["kind"]
    fields = {
        "pretty_name": evidence["curation"].replace("-", " ").capitalize() or None,
        **_license(evidence["license"]),
        "language": [code for code in evidence["language"] if re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", code)],
        "annotations_creators": _creators(evidence),
        "task_categories": ["text-generation" if kind == "preference" else "text-classification"],
        "task_ids": _TASKS.get(kind),
        "size_categories": [size_category(sum(evidence["splits"].values()))],
        "tags": [
            "assay",
            "inter-annotator-agreement",
            "data-curation",
            *(["preference"] if kind == "preference" else []),
        ],
        "configs": _configs(evidence),
        "dataset_info": _dataset_info(evidence) if _tables(evidence) else None,
    }
    return {name: value for name, value in fields.items() if value}


def _license(name: str | None) -> dict[str, str]:
    if not name:
        return {}
    known = name.lower()
    return {"license": known} if known in _LICENSES else {"license": "other", "license_name": name}


def _creators(evidence: Evidence) -> list[str]:
    # What was published decides: a model whose labels nobody accepted made none of them.
    made = {"crowdsourced": evidence["consensus"]["human"], "machine-generated": evidence["consensus"]["accepted"]}
    return [creator for creator, labels in made.items() if labels] or ["no-annotation"]


def _configs(evidence: Evidence) -> list[dict[str, Any]]:
    """Return where the table of each split is. A hub reads every config of a folder alike, so the lines are none."""
    files = [{"split": split, "path": file["path"]} for split, file in _tables(evidence).items()]
    return [{"config_name": "default", "data_files": files}] if files else []


def _dataset_info(evidence: Evidence) -> dict[str, Any]:
    """Return the columns and the size of the table: examples, bytes in memory, and bytes of its files."""
    files = _tables(evidence)
    splits = [
        {"name": split, "num_bytes": evidence["arrow_bytes"].get(split, 0), "num_examples": file["rows"]}
        for split, file in files.items()
    ]
    return {
        "features": [_feature(field) for field in columns(Example)],
        "splits": splits,
        "download_size": sum(file["bytes"] for file in files.values()),
        "dataset_size": sum(split["num_bytes"] for split in splits),
    }


def tables(splits: dict[str, int]) -> dict[str, str]:
    """Return the table of each split that a card names: one without a row is left out, as readers fail on it.

    Of a release that has lost every row the first stays, so that the card still names a file of it.
    """
    named = [split for split, rows in splits.items() if rows] or list(splits)[:1]
    return {split: f"data/{split}.parquet" for split in named}


def _tables(evidence: Evidence) -> dict[str, Any]:
    files = {file["path"]: file for file in evidence["files"]}
    paths = {split: f"data/{split}.parquet" for split in evidence["splits"]}
    rows = {split: files[path]["rows"] for split, path in paths.items() if path in files}
    return {split: files[path] for split, path in tables(rows).items()}


def _feature(field: pa.Field) -> dict[str, Any]:
    if pa.types.is_list(field.type):
        return {"name": field.name, "list": [_feature(part) for part in field.type.value_type]}
    return {"name": field.name, "dtype": _DTYPES[field.type]}


def size_category(rows: int) -> str:
    """Return the hub's name for a number of examples."""
    steps = ["1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T"]
    above = [index for index in range(len(steps)) if rows >= 1000 * 10**index]
    if not above:
        return "n<1K"
    return "n>1T" if above[-1] == len(steps) - 1 else f"{steps[above[-1]]}<n<{steps[above[-1] + 1]}"
