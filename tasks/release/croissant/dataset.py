"""The data set with its files and their fields, as `mlcroissant` validates and loads it."""

from typing import Any

from tasks.release.croissant.context import CONTEXT
from tasks.release.croissant.records import record_sets
from tasks.release.croissant.responsible import responsible

_ENCODINGS = {"parquet": "application/x-parquet", "jsonl": "application/jsonlines"}


def croissant(evidence: dict[str, Any], files: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the release as Croissant 1.0, with the responsible-AI terms that its own figures fill."""
    tables = [file for file in files if file["rows"] is not None]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": evidence["curation"],
        "description": evidence["description"] or f"Examples published by the curation {evidence['curation']}.",
        "identifier": evidence["release"],
        "version": semantic(evidence["release"]),
        "datePublished": evidence["as_of"],
        **({"license": evidence["license"]} if evidence["license"] else {}),
        "citeAs": evidence["attribution"] or f"{evidence['curation']}, release {evidence['release']}",
        **({"inLanguage": evidence["language"]} if evidence["language"] else {}),
        **responsible(evidence),
        "distribution": [_file(file) for file in tables],
        "recordSet": record_sets(evidence, tables),
    }


def semantic(release: str) -> str:
    """Return a release's name as the three numbers without leading zeros that Croissant asks for: 2026-01-09.2 is 2026.109.2."""
    day, number = release.split(".")
    year, month, of_month = map(int, day.split("-"))
    return f"{year}.{100 * month + of_month}.{number}"


def _file(file: dict[str, Any]) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": file["path"],
        "name": file["path"],
        "contentUrl": file["path"],
        "contentSize": f"{file['bytes']} B",
        "encodingFormat": _ENCODINGS[file["path"].rpartition(".")[2]],
        "sha256": file["sha256"],
    }
