"""Two releases, row by row: what came, what went, what moved, what is labelled otherwise, and by which versions."""

from pathlib import Path
from typing import Any

from flows.measure import MOST, cut, more
from schemas.errors import RequestError
from tasks import diff as changes
from tasks.published import part, read
from tasks.table_file import written_format

_CERTIFICATE = ("statement", "max_error", "confidence", "threshold", "accepted", "accepted_share", "audited", "errors")
_WORDS = {"is_text_changed": "text", "is_judged_anew": "posterior", "is_from_elsewhere": "origin"}
Rows = dict[str, Any]


def diff(older: str, newer: str, out: str | Path | None) -> dict[str, Any]:
    """Return what changed from one release to another, ready for JSON; write a row for each changed item to `out`."""
    if out is not None:
        written_format(out)
    folders = Path(older), Path(newer)
    before, after = (read(folder).manifest for folder in folders)
    if before.get("curation") != after.get("curation"):
        raise RequestError(f"{older} and {newer} are of two curations, whose items have nothing to do with each other")
    with changes.compared(*folders) as connection:
        rows = changes.counts(connection)
        first = {kind: changes.first(connection, kind) for kind in changes.CHANGES[:-1]}
        entropy = changes.mean_entropy(connection)
        if out is not None:
            changes.write_changes(connection, Path(out))
    return {
        "curation": before.get("curation"),
        "older": _named(before),
        "newer": _named(after),
        "is_next": after.get("parent") == before.get("release"),
        "counts": {kind: changes.total(rows, "change", kind) for kind in changes.CHANGES},
        "changed": {word: changes.total(rows, key) for key, word in _WORDS.items()} | {"status": _restated(rows)},
        "labels": changes.by("label", rows),
        "relabelled": changes.turned(rows),
        "splits": changes.by("split", rows),
        "statuses": changes.by("status", rows),
        "first": first,
        "figures": _differing(_figures(folders[0]) | entropy["older"], _figures(folders[1]) | entropy["newer"]),
        "certificate": _differing(*(_certificate(folder) for folder in folders)),
        "versions": _differing(_flat(before.get("versions")), _flat(after.get("versions"))),
    }


def _named(manifest: dict[str, Any]) -> dict[str, Any]:
    return {key: manifest.get(key) for key in ("release", "parent", "as_of", "splits")}


def _restated(rows: list[Rows]) -> int:
    """Return how many items that are in both were settled otherwise."""
    both = (row for row in rows if row["status_before"] and row["status_after"])
    return sum(row["items"] for row in both if row["status_before"] != row["status_after"])


def _figures(folder: Path) -> dict[str, Any]:
    """Return what the gate measured of a release, and what its description says of agreement."""
    suites = part(folder, "checks.json").get("suites", [])
    measured = {
        f"{suite['suite']}.{name}": value for suite in suites for name, value in suite.get("measures", {}).items()
    }
    return measured | {"agreement": part(folder, "croissant.json").get("rai:dataAnnotationAnalysis")}


def _certificate(folder: Path) -> dict[str, Any]:
    found = part(folder, "certificate.json")
    return {key: found.get(key) for key in _CERTIFICATE}


def _flat(value: Any, above: str = "") -> dict[str, Any]:
    """Return nested values by the path to each."""
    if not isinstance(value, dict):
        return {above: value}
    return {
        path: one
        for key, inner in value.items()
        for path, one in _flat(inner, f"{above}.{key}" if above else key).items()
    }


def _differing(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the values that are not the same in both, before and after."""
    return {
        key: {"before": before.get(key), "after": after.get(key)}
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    }


def story(found: dict[str, Any]) -> str:
    """Return what changed for people to read."""
    counts = found["counts"]
    lines = [
        f"{found['curation']}: {found['older']['release']} → {found['newer']['release']}"
        + ("" if found["is_next"] else "  (the later one does not follow the other directly)"),
        "  " + ", ".join(f"{number:,} {kind}" for kind, number in counts.items()),
    ]
    if counts["moved"]:
        lines.append(
            "  MOVED between train, validation and test: a model tested on the later release may have trained on them"
        )
    if counts["changed"]:
        what = ", ".join(f"{name} {number:,}" for name, number in found["changed"].items() if number)
        lines.append(f"  changed: {what}")
    lines += [
        f"  {row['items']:,} from {cut(row['before'])} to {cut(row['after'])}" for row in found["relabelled"][:MOST]
    ]
    lines += more(len(found["relabelled"]), MOST)
    for noun in ("splits", "labels", "statuses"):
        lines += _table(noun, found[noun])
    for noun, title in (
        ("figures", "what the gate measured"),
        ("certificate", "certificate"),
        ("versions", "versions"),
    ):
        told = {key: one for key, one in found[noun].items() if not isinstance(one["before"] or one["after"], list)}
        lines += [f"  {title}"] if told else []
        lines += [f"    {key}: {_shown(one['before'])} → {_shown(one['after'])}" for key, one in told.items()]
    return "\n".join(lines)


def _table(noun: str, rows: dict[str, dict[str, int]]) -> list[str]:
    changed = {name: row for name, row in rows.items() if row["came"] or row["left"]}
    if not changed:
        return []
    width = max(len(noun), *(len(cut(name)) for name in changed))
    head = f"  {noun:<{width}}" + "".join(f"{key:>10}" for key in ("before", "after", "came", "left"))
    shown = list(changed.items())[:MOST]
    return [head, *(f"  {cut(name):<{width}}" + "".join(f"{row[key]:>10,}" for key in ("before", "after", "came", "left"))
                    for name, row in shown), *more(len(changed), MOST)]  # fmt: skip


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "none" if value is None else cut(str(value))
