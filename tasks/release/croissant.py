"""A release as Croissant, which describes a data set to machines."""

from pathlib import Path
from typing import Any


def croissant(evidence: dict[str, Any], files: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the release as Croissant 1.0, with the responsible-AI terms that its own figures fill."""
    splits = [file for file in files if file["path"].startswith("data/") and file["rows"] is not None]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": evidence["curation"],
        "description": evidence["description"] or f"Examples published by the curation {evidence['curation']}.",
        "identifier": evidence["release"],
        "version": _semantic(evidence["release"]),
        "datePublished": evidence["as_of"],
        **({"license": evidence["license"]} if evidence["license"] else {}),
        **({"citeAs": evidence["attribution"]} if evidence["attribution"] else {}),
        "rai:dataAnnotationProtocol": "; ".join(
            f"{label}: {meaning}" for label, meaning in evidence["labels"]["values"].items()
        ),
        "rai:dataAnnotationAnalysis": _agreement(evidence),
        "rai:machineAnnotationTools": [
            f"{row['annotator_id']}: {row['model']} ({row['prompt']})"
            for row in evidence["annotations"]["by_annotator"]
            if row["annotator_kind"] == "llm"
        ],
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": file["path"],
                "name": file["path"],
                "contentUrl": file["path"],
                "contentSize": f"{file['bytes']} B",
                "encodingFormat": "application/x-parquet",
                "sha256": file["sha256"],
            }
            for file in splits
        ],
        "recordSet": [_record_set(Path(file["path"]).stem, file["path"]) for file in splits],
    }


def _semantic(release: str) -> str:
    """Return a release's name as the three numbers without leading zeros that Croissant asks for: 2026-01-09.2 is 2026.109.2."""
    day, number = release.split(".")
    year, month, of_month = map(int, day.split("-"))
    return f"{year}.{100 * month + of_month}.{number}"


def _agreement(evidence: dict[str, Any]) -> str:
    alpha = evidence["agreement"]["krippendorff_alpha"]
    if alpha["value"] is None:
        return f"Krippendorff's alpha among people is undefined: {alpha['reason']}"
    interval = "" if alpha["low"] is None else f" (95 %: {alpha['low']:.3f} to {alpha['high']:.3f})"
    return f"Krippendorff's alpha among people {alpha['value']:.3f}{interval}"


def _record_set(split: str, path: str) -> dict[str, Any]:
    columns = {"item_id": "sc:Text", "text": "sc:Text", "context": "sc:Text", "label": "sc:Text",
               "status": "sc:Text", "posterior_share": "sc:Float", "entropy_nats": "sc:Float"}  # fmt: skip
    return {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": split,
        "key": {"@id": f"{split}/item_id"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{split}/{column}",
                "name": f"{split}/{column}",
                "dataType": kind,
                "source": {"fileObject": {"@id": path}, "extract": {"column": column}},
            }
            for column, kind in columns.items()
        ],
    }


_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
