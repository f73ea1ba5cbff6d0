"""What a release says of its files to people and machines: each figure that its files decide, compared with them."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tasks.published import part
from tasks.release.croissant.dataset import semantic
from tasks.release.manifest import as_json
from tasks.release.shapes import SPLITS, evals, llama_factory
from tasks.release.staging import rows_by_file
from tasks.report.front_matter import size_category, tables
from tasks.report.whole import printable
from tasks.report.wording import count, md, plural, share
from tasks.verify.fault import Fault, content, looked_at, parsed
from tasks.verify.rows import Table

PAGES = ("README.md", "certificate.json", "checks.json", "croissant.json", "dataset_info.json", "report.html")
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


def described(folder: Path, manifest: dict[str, Any], table: Table) -> Iterator[Fault]:
    """Yield where a page or a description tells of other files, rows or labels than there are."""
    rows = rows_by_file(manifest["curation"], manifest["formats"], manifest["splits"])
    listed = {file["path"]: file for file in manifest["files"]}
    for path in sorted({*rows, *PAGES} - listed.keys()):
        yield Fault(path, "is not listed in the manifest, and every release of these formats has it")
    for path, number in rows.items():
        if path in listed and listed[path]["rows"] != number:
            yield Fault(path, f"has {listed[path]['rows']} rows in the manifest, and its split makes {number:,}")
    looks = {
        "README.md": partial(_card, table=table),
        "croissant.json": _croissant,
        "report.html": _report,
        "dataset_info.json": _trainers,
        f"evals/{manifest['curation']}.yaml": _registry,
    }
    for path, look in looks.items():
        if path in listed and (folder / path).is_file():
            yield from looked_at(path, partial(look, folder / path, manifest, listed))


def _card(place: Path, manifest: dict[str, Any], listed: dict[str, Any], table: Table) -> Iterator[Fault]:
    """Yield what the data set card says otherwise."""
    text = content(place)
    told = [
        f"# {md(manifest['curation'])}, release {md(manifest['release'])}",
        f"- Content id: {manifest['content_id']}",
        f"- Parent: {md(manifest['parent'] or 'none, this is the first release')}",
    ]
    if statement := part(place.parent, "certificate.json").get("statement"):
        told.append(md(printable(statement)))
    if table.labels and sum(table.rows.values()):
        told += [_split_line(split, table, list(manifest["labels"]["values"])) for split in SPLITS]
    lines = text.splitlines()
    for line in told:
        if line not in lines:
            yield Fault("README.md", f"does not say: {line[:160]}")
    yield from _front_matter(yaml.safe_load(text.split("---\n")[1]), manifest, listed)


def _front_matter(front: dict[str, Any], manifest: dict[str, Any], listed: dict[str, Any]) -> Iterator[Fault]:
    """Yield what a hub would be told otherwise: the size, where the splits are, and how many examples they have."""
    filled = tables(manifest["splits"])
    told = {file["split"]: file["path"] for config in front.get("configs", []) for file in config["data_files"]}
    if told != filled:
        yield Fault("README.md", "its front matter names other files of the splits")
    info = front["dataset_info"]
    if {split["name"]: split["num_examples"] for split in info["splits"]} != {s: manifest["splits"][s] for s in filled}:
        yield Fault("README.md", "its front matter has other numbers of examples")
    if info["download_size"] != sum(listed[path]["bytes"] for path in filled.values()):
        yield Fault("README.md", "its front matter has another size of the files")
    if front["size_categories"] != [size_category(sum(manifest["splits"].values()))]:
        yield Fault("README.md", "its front matter has another size")


def _split_line(split: str, table: Table, order: list[str]) -> str:
    """Return the card's line of a split: its examples, and those of each label."""
    labels = sorted(table.labels[split].items(), key=lambda one: order.index(one[0]))
    parts = ", ".join(f"{md(printable(label))} {count(number)}" for label, number in labels)
    return f"| {split} | {count(table.rows[split])} | {parts or 'none'} |"


def _croissant(place: Path, manifest: dict[str, Any], listed: dict[str, Any]) -> Iterator[Fault]:
    """Yield what the Croissant description says otherwise."""
    told = parsed(place)
    named = {"name": "curation", "identifier": "release", "datePublished": "as_of"}
    for key, of_manifest in named.items():
        if told[key] != manifest[of_manifest]:
            yield Fault("croissant.json", f"its `{key}` is not the manifest's")
    if told["version"] != semantic(manifest["release"]):
        yield Fault("croissant.json", "its `version` is not the release's")
    described = {file["contentUrl"]: (file["sha256"], file["contentSize"]) for file in told["distribution"]}
    there = {path: (file["sha256"], f"{file['bytes']} B") for path, file in listed.items() if file["rows"] is not None}
    for path in sorted(described.keys() | there.keys()):
        if described.get(path) != there.get(path):
            yield Fault("croissant.json", f"tells another sha256 or size of {path[:80]}")


def _report(place: Path, manifest: dict[str, Any], listed: dict[str, Any]) -> Iterator[Fault]:
    """Yield what the report says otherwise."""
    text, total = content(place), sum(manifest["splits"].values())
    known = {file["sha256"] for file in listed.values()} | {manifest["content_id"]}
    if set(_DIGEST.findall(text)) - known:
        yield Fault("report.html", "tells a sha256 that no file of the release has")
    for path in (f"data/{split}.parquet" for split in SPLITS):
        if listed[path]["sha256"] not in text:
            yield Fault("report.html", f"does not tell the sha256 of {path}")
    for split, rows in manifest["splits"].items():
        if total and f"{plural(rows, 'example')}, {share(rows / total)}" not in text:
            yield Fault("report.html", f"does not say that {split} has {plural(rows, 'example')}")


def _trainers(place: Path, manifest: dict[str, Any], _: dict[str, Any]) -> Iterator[Fault]:
    if content(place) != as_json(llama_factory(manifest["curation"], manifest["formats"], manifest["splits"])):
        yield Fault("dataset_info.json", "does not describe the files that there are")


def _registry(place: Path, manifest: dict[str, Any], listed: dict[str, Any]) -> Iterator[Fault]:
    samples = f"evals/{manifest['curation']}/samples.jsonl"
    if content(place) != evals.registry(manifest["curation"], samples, listed[samples]["sha256"]):
        yield Fault(place.name, "does not name the samples that there are")
