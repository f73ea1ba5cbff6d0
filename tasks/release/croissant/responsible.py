"""What a data set should say of how it came to be: Croissant's responsible-AI terms, from the release's own figures.

What is not recorded is said not to be.
"""

from typing import Any


def responsible(evidence: dict[str, Any]) -> dict[str, Any]:
    """Return the terms by their names in Croissant."""
    documents, labels = evidence["documents"], evidence["labels"]
    told = {
        "dataCollection": _collection(evidence),
        "dataCollectionMissingData": _counted(documents["quarantined"], documents["reasons"], "records were set aside"),
        "dataImputationProtocol": "No value is imputed: an item without a settled label is left out.",
        "dataPreprocessingProtocol": _preprocessing(evidence),
        "dataManipulationProtocol": _manipulation(evidence),
        "dataAnnotationProtocol": _protocol(evidence),
        "dataAnnotationPlatform": "People's labels are read from tables; the platform they were given on is not recorded.",
        "dataAnnotationAnalysis": _analysis(evidence),
        "annotationsPerItem": _per_item(evidence),
        "annotatorDemographics": f"{_people(evidence)} labelled; who they are is not recorded.",
        "machineAnnotationTools": _machines(evidence),
        "personalSensitiveInformation": "What personal data the texts hold is not recorded: they are kept as they came.",
        "dataBiases": _biases(evidence),
        "dataLimitations": _limitations(evidence),
        "dataUseCases": _uses(labels),
        "dataSocialImpact": "Not recorded.",
        "dataReleaseMaintenancePlan": _maintenance(evidence),
    }
    return {f"rai:{name}": value for name, value in told.items() if value}


def _collection(evidence: dict[str, Any]) -> str:
    read = [
        f"{source['path']} ({source['format']}, {source['documents']} documents from {source['files']} files, "
        f"{source['license'] or 'licence not recorded'})"
        for source in evidence["sources"]
    ]
    return f"Texts read from {'; '.join(read)}."


def _counted(count: int, reasons: dict[str, int], what: str) -> str:
    said = ", ".join(f"{reason} {number}" for reason, number in reasons.items() if number)
    return f"{count} {what}" + (f": {said}." if said else ".")


def _preprocessing(evidence: dict[str, Any]) -> list[str]:
    clean, documents = evidence["clean"], evidence["documents"]
    return [
        "Texts are brought into Unicode NFC, without control characters and needless spaces; those shorter than "
        f"{clean['min_chars']} or longer than {clean['max_chars']} characters are set aside.",
        f"{documents['duplicate']} documents were duplicates and are counted once.",
    ]


def _manipulation(evidence: dict[str, Any]) -> str:
    dividing = evidence["dividing"]
    shares = ", ".join(f"{split} {dividing[split]:g}" for split in ("train", "validation", "test"))
    kept_out = _counted(sum(evidence["excluded"].values()), evidence["excluded"], "settled items were kept out")
    return (
        f"A keyed hash of each {dividing['by']} divides the items ({shares}); near-duplicates, from a similarity of "
        f"{evidence['clean']['near_duplicates']:g}, share a split. {kept_out}"
    )


def _protocol(evidence: dict[str, Any]) -> list[str]:
    settling, guideline = evidence["settling"], evidence["versions"]["guideline"]
    return [
        *(f"{label}: {meaning}" for label, meaning in evidence["labels"]["values"].items()),
        f"People settle an item with {settling['min_labels']} labels or more and a posterior of at least "
        f"{settling['min_posterior']:g} ({settling['method']}).",
        "No guidelines were given." if guideline == "none" else f"The guidelines are those of version {guideline}.",
    ]


def _analysis(evidence: dict[str, Any]) -> list[str]:
    certificate = evidence["certificate"]
    return [_agreement(evidence), certificate["statement"] or f"Nothing is certified: {certificate['reason']}"]


def _agreement(evidence: dict[str, Any]) -> str:
    alpha = evidence["agreement"]["krippendorff_alpha"]
    if alpha["value"] is None:
        return f"Krippendorff's alpha among people is undefined: {alpha['reason']}"
    interval = "" if alpha["low"] is None else f" (95 %: {alpha['low']:.3f} to {alpha['high']:.3f})"
    return f"Krippendorff's alpha among people {alpha['value']:.3f}{interval}"


def _per_item(evidence: dict[str, Any]) -> str:
    given, items = evidence["annotations"], evidence["items"]["total"]
    return f"{given['people'] / items:.2f} by people and {given['models'] / items:.2f} by models, on average over {items} items."


def _people(evidence: dict[str, Any]) -> str:
    count = sum(row["annotator_kind"] == "human" for row in evidence["annotations"]["by_annotator"])
    return "1 person" if count == 1 else f"{count} people"


def _machines(evidence: dict[str, Any]) -> list[str]:
    rows = evidence["annotations"]["by_annotator"]
    models = [
        f"{row['annotator_id']}: {row['model']} ({row['prompt']})" for row in rows if row["annotator_kind"] == "llm"
    ]
    return models + [f"{row['annotator_id']}: a function" for row in rows if row["annotator_kind"] == "function"]


def _biases(evidence: dict[str, Any]) -> list[str]:
    left_out = evidence["consensus"]["review"] + evidence["consensus"]["unresolved"]
    shares = evidence["split_labels"].get("train", {})
    said = [f"Labels in training: {', '.join(f'{label} {rows}' for label, rows in shares.items())}."] if shares else []
    if left_out:
        said.append(
            f"{left_out} items that people disagree on or have not reached are left out, so what is published is "
            "easier than the texts it comes from."
        )
    return said


def _limitations(evidence: dict[str, Any]) -> list[str]:
    said = list(evidence["limits"])
    if not evidence["certificate"]["statement"]:
        said.append("No error rate is certified for labels given by models.")
    return said


def _uses(labels: dict[str, Any]) -> str:
    if labels["kind"] == "preference":
        return "Training models to answer as people prefer, and models that judge answers."
    return f"Training and testing models that give a text one of the labels {', '.join(labels['values'])}."


def _maintenance(evidence: dict[str, Any]) -> str:
    parent = f"it follows {evidence['parent']}" if evidence["parent"] else "it is the first"
    return (
        f"Release {evidence['release']} stays as it is, unless texts must be erased from it; {parent}. "
        "What changes becomes another release."
    )
