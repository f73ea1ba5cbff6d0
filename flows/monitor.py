"""New traffic is held against what people settled: is the model still as good on it, and may anyone say so?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.events import emit_event
from prefect.runtime import flow_run
from prefect.states import Completed, State

from flows.curate import folder_name
from flows.measure import MOST, cut, more
from flows.table import Table, looked_at, rows_of
from schemas.curation import Curation
from schemas.errors import RequestError
from schemas.run import Run, started
from tasks import monitor as monitoring
from tasks.annotation import versions
from tasks.known import known
from tasks.label_table.columns import shown
from tasks.release.folder import current
from tasks.release.shapes import SPLITS

CHUNK = 1_024  # rows in memory at once
WORDS = {
    "unseen_slice": "no settled item is in this slice",
    "too_few": "too few settled items, or too few rows",
    "scores_shifted": "the model is not as sure as it was on settled items",
    "texts_shifted": "the texts are not like those of settled items",
    "labels_shifted": "the model gives other labels than on settled items",
    "no_profiles": "no entropy profiles",
    "no_entropies": "no distributions",
    "labels_drifted": "labels have drifted since the release",
    "scores_drifted": "scores have drifted since the release",
    "slices_drifted": "the mix of slices has drifted since the release",
    "fallen": "accuracy is below that on settled items",
}


def _name() -> str:
    """Return the name of a run of the monitor: its curation and its file."""
    given = flow_run.parameters
    return f"{folder_name(given['curation'])} {Path(given['file']).name}"


@flow(name="monitor", flow_run_name=_name, persist_result=False)
def monitor(curation: str, file: str, home: str | None = None) -> State:
    """Estimate the model's accuracy on a file of new traffic, and say what has shifted.

    Each alarm is an event, `assay.monitor.shift` or `assay.monitor.accuracy`, of the resource `assay.curation.NAME`. The
    state's name is Quiet or Alarmed; its data is what `assay monitor --json` prints.
    """
    found = observed(curation, Path(file), home)
    resource = {
        "prefect.resource.id": f"assay.curation.{found['curation']}",
        "prefect.resource.name": found["curation"],
    }
    for alarm in found["alarms"]:
        told = {key: value for key, value in alarm.items() if key != "event"}
        emit_event(f"assay.monitor.{alarm['event']}", resource, payload=told | {"release": found["release"]})
    create_table_artifact(
        key=f"{found['curation']}-monitor",
        table=slice_rows(found),
        description=f"{found['curation']}: {_verdict(found)}",
    )
    return Completed(name="Alarmed" if found["alarms"] else "Quiet", message=_verdict(found), data=found)


def observed(curation: str, file: Path, home: str | None) -> dict[str, Any]:
    """Return what the monitor says of a file, ready for JSON.

    {curation, release, file, model, rows, accuracy, reference, slices, estimators, shift, drift, alarms, collect}.
    """
    run = started(curation, labels="now", home=home)
    model, release = monitoring.monitored(run.curation), current(run.releases)
    table = looked_at(file, run.curation.sources[0].fields.text)
    columns = _columns(run.curation, table)
    connection = known(run, versions.fn(run))
    rows = monitoring.labelled(connection, model, run.store / "derived" / "latest" / "consensus.parquet")
    settled = monitoring.reference(rows)
    new, reasons = monitoring.traffic(_rows(table), columns, set(run.curation.labels.values))
    files = _files(run, release)
    before = monitoring.released(rows, connection, files) if files else settled
    return {
        "curation": run.curation.name,
        "release": release if files else None,
        "file": str(file),
        "model": model,
        "rows": {
            "read": table.rows,
            "used": len(new.score),
            "set_aside": reasons.total(),
            "reasons": dict(sorted(reasons.items())),
        },
        **monitoring.figures(settled, new, before, run.curation),
    }


def _columns(curation: Curation, table: Table) -> monitoring.Columns:
    """Return what the file's columns are called: as the curation's first source names them, where they are there.

    Raise RequestError where the file says nothing of labels, or nothing of how sure the model was.
    """
    there = set(table.columns)
    if not there & {"label", "distribution"} or not there & {"confidence", "distribution"}:
        raise RequestError(
            f"{table.path.name}: each row needs the model's label and how sure it was: the columns `distribution`, or "
            f"`label` and `confidence`; there are {shown(sorted(there)) or 'none'}"
        )
    fields = curation.sources[0].fields
    named = fields.slice if fields.slice in there else "slice"
    return monitoring.Columns(named, fields.group if fields.group in there else "", fields.text)


def _rows(table: Table) -> Iterator[dict[str, Any]]:
    for chunk in table.chunks(CHUNK):
        yield from rows_of(chunk)


def _files(run: Run, release: str | None) -> list[Path]:
    """Return the files of the current release that are there."""
    if release is None:
        return []
    files = [run.releases / release / "data" / f"{split}.parquet" for split in SPLITS]
    return [file for file in files if file.exists()]


def slice_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row per slice, and one for all: what is said of it and why not; no text."""
    whole = {"slice": "(all)", "items": found["rows"]["used"]} | found["accuracy"]
    rows = [whole, *({"slice": name or "(none)"} | one for name, one in found["slices"].items())]
    return [{key: row[key] for key in ("slice", "items", "value", "low", "high", "method", "reason")} for row in rows]


def _verdict(found: dict[str, Any]) -> str:
    """Return what is said of all rows, in a line."""
    accuracy = found["accuracy"]
    if accuracy["value"] is None:
        return f"accuracy not estimated: {WORDS[accuracy['reason']]}"
    return f"accuracy {_ends(accuracy)} ({_worded(accuracy['method'])})"


def _ends(one: dict[str, Any]) -> str:
    return f"{one['value']:.3f}   {one['low']:.3f} to {one['high']:.3f}"


def _worded(name: str) -> str:
    return name.replace("_", " ").replace("atc", "ATC")


def story(found: dict[str, Any]) -> str:
    """Return what the monitor says as a person reads it on a terminal."""
    parts = [
        _head(found),
        _slice_lines(found),
        _estimator_lines(found),
        _drift_lines(found),
        _alarm_lines(found),
        _collect_lines(found),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _head(found: dict[str, Any]) -> list[str]:
    rows, reference = found["rows"], found["reference"]
    seen = "" if reference["accuracy"] is None else f", on which {found['model']} was right {reference['accuracy']:.3f}"
    lines = [
        f"{found['curation']}: {_verdict(found)}",
        f"  {rows['read']:,} rows read = {rows['used']:,} used + {rows['set_aside']:,} set aside",
        *(f"    {count:,} × {reason}" for reason, count in rows["reasons"].items()),
        f"  held against {reference['items']:,} items people settled{seen}; the file does not say which model made it",
    ]
    if found["accuracy"]["value"] is None and (raw := found["accuracy"]["unguarded"])["value"] is not None:
        lines.append(f"  were nothing to have shifted, it would be {_ends(raw)}: do not rely on it")
    return lines


def _slice_lines(found: dict[str, Any]) -> list[str]:
    if not found["slices"]:
        return []
    shown = sorted(found["slices"].items(), key=lambda pair: (-pair[1]["items"], pair[0]))
    width = max([5, *(len(cut(name or "(none)")) for name, _ in shown[:MOST])])
    lines = [f"{'slice':<{width}}        rows   accuracy (95 % interval), or why none"]
    for name, one in shown[:MOST]:
        said = f"–   {WORDS[one['reason']]}" if one["value"] is None else _ends(one)
        lines.append(f"{cut(name or '(none)'):<{width}}  {one['items']:10,}   {said}")
    return lines + more(len(shown), MOST)


def _estimator_lines(found: dict[str, Any]) -> list[str]:
    names = {name: _worded(name) for name in found["estimators"]}
    width = max(map(len, names.values()))
    lines = [f"{'estimator, whatever has shifted':<{width}}   value   95 % interval    off on slices held back"]
    for name, one in found["estimators"].items():
        error = "" if one["transfer_error"] is None else f"{one['transfer_error']:.3f}"
        said = f"–   {WORDS[one['reason']]}" if one["value"] is None else f"{_ends(one)}    {error}"
        lines.append(f"{names[name]:<{width}}   {said}")
    return lines


def _drift_lines(found: dict[str, Any]) -> list[str]:
    since = found["release"] or "the items people settled"
    lines = [f"{'since ' + since:<34}  stability index   Jensen–Shannon, nats   p"]
    for what, one in found["drift"].items():
        if one["psi"] is not None:
            lines.append(f"{what:<34}  {one['psi']:15.3f}   {one['jensen_shannon_nats']:20.3f}   {one['p']:.2g}")
    return lines


def _alarm_lines(found: dict[str, Any]) -> list[str]:
    if not found["alarms"]:
        return ["no alarm"]
    lines = ["alarms"]
    for alarm in found["alarms"][:MOST]:
        where = "all rows" if alarm["slice"] is None else cut(alarm["slice"] or "(none)")
        lines.append(f"  {alarm['event']:<9} {where}: {WORDS[alarm['reason']]}")
    return lines + more(len(found["alarms"]), MOST)


def _collect_lines(found: dict[str, Any]) -> list[str]:
    rows = [row for row in found["collect"] if row["labels"]]
    if not rows:
        return []
    names = ["all" if row["slice"] is None else cut(row["slice"] or "(none)") for row in rows[:MOST]]
    width = max([20, *map(len, names)])
    lines = [f"{'label these next':<{width}}  labels   half-width now   then"]
    for name, row in zip(names, rows, strict=False):
        now = "–" if row["half_width"] is None else f"{row['half_width']:.3f}"
        lines.append(f"{name:<{width}}  {row['labels']:6,}   {now:>14}   {row['expected_half_width']:.3f}")
    if (least := rows[0]["labels_to_certify"]) is not None:
        lines.append(f"a certificate takes {least:,} audits at least, none of them wrong")
    return lines + more(len(rows), MOST)
