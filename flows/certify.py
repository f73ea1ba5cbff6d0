"""A table of a model's labels, some audited by people, becomes a certificate: which labels need no person."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from flows.measure import MOST, cut, more
from schemas.errors import RequestError
from tasks.audit_table import USUAL, AuditColumns, Audited, read, write_status
from tasks.certificate import Claim, Found, certify_slices, statement, statement_of_slices, thresholds
from tasks.certificate import certify as certified
from tasks.label_table import opened
from tasks.table_file import apart, written_format

SMALLEST = 1e-6  # of a share that may be asked for: below it no audit that anybody could do proves anything
COUNTS = ("items", "accepted", "audited", "answered", "errors", "audited_accepted", "errors_accepted")


def certify(
    path: str | Path,
    max_error: float,
    confidence: float,
    columns: AuditColumns = USUAL,
    total: int | None = None,
    out: str | Path | None = None,
) -> dict[str, Any]:
    """Return the certificate of a file, ready for JSON; write each item's status to `out`."""
    path = Path(path)
    _possible(path, max_error, confidence, out)
    with opened() as connection:
        audited = read(connection, path, columns)
        claim = _claim(max_error, confidence, len(audited.sample.score), total, bool(columns.slice))
        if columns.slice:
            by_slice = certify_slices(audited.samples(), claim)
            result = _together(by_slice, claim)
            limits = {name: found.threshold for name, found in by_slice.items()}
        else:
            found = _alone(audited, claim, total)
            result, limits = _told(claim, found), {"": found.threshold}
            result["slices"] = {}
        if out is not None:
            write_status(connection, limits, Path(out))
    told = {"rows": len(audited.sample.score), "undrawn": audited.undrawn, "drawn_assumed": audited.is_assumed}
    return result | told


def _possible(path: Path, max_error: float, confidence: float, out: str | Path | None) -> None:
    """Raise RequestError for what no table can be asked."""
    for flag, share, usual in (("--max-error", max_error, 0.05), ("--confidence", confidence, 0.95)):
        if not SMALLEST <= share <= 1 - SMALLEST:
            raise RequestError(f"{flag} {share:g}: a number between 0 and 1 is expected, as {usual}")
    apart(path, out)
    if out is not None:
        written_format(out)


def _claim(max_error: float, confidence: float, rows: int, total: int | None, has_slices: bool) -> Claim:
    """Return the promise: of the batch where its size is known, else of the source that the table comes from."""
    if total is not None and total < rows:
        raise RequestError(
            f"--total {total:,}: the table has {rows:,} rows, and the batch it comes from cannot have less"
        )
    # of a part of the batch one does not know how large the slices of the rest are
    is_batch = total is not None and (total == rows or not has_slices)
    return Claim(max_error, confidence, "hypergeometric" if is_batch else "binomial")


def _alone(audited: Audited, claim: Claim, total: int | None) -> Found:
    sample = audited.sample
    grid = thresholds(sample.score, claim, int((sample.place > 0).sum()))
    return certified(sample, grid, claim, total=total)


def _told(claim: Claim, found: Found, name: str | None = None) -> dict[str, Any]:
    """Return a certificate: what it says, or why there is none, and the counts it rests on."""
    said, has_any = statement(claim, found, name), found.threshold is not None
    return (
        {"statement": said if has_any else None, "reason": None if has_any else said}
        | {key: value for key, value in asdict(found).items() if key not in ("reason", "slices")}
        | {"max_error": claim.max_error, "confidence": claim.confidence, "seed": None}
    )


def _together(by_slice: dict[str, Found], claim: Claim) -> dict[str, Any]:
    """Return the certificates of slices, and what they come to: each holds, so their whole does."""
    kept = {name: found for name, found in by_slice.items() if found.threshold is not None}
    counts = {key: sum(getattr(found, key) for found in by_slice.values()) for key in COUNTS}
    upper = sum(found.upper * found.accepted for found in kept.values()) / counts["accepted"] if kept else None
    told = {name: _told(claim, found, name) for name, found in by_slice.items()}
    none = f"No label of any of the {len(by_slice)} slices may be accepted without a person."
    return {
        "statement": statement_of_slices(claim, len(kept), len(by_slice)) if kept else None,
        "reason": None if kept else none,
        "threshold": min((found.threshold for found in kept.values()), default=None),
        **counts,
        "accepted_share": counts["accepted"] / counts["items"],
        "upper": upper,
        "max_error": claim.max_error,
        "confidence": claim.confidence,
        "method": claim.method,
        "seed": None,
        "tests": [],
        "slices": told,
    }


def story(result: dict[str, Any]) -> str:
    """Return the certificate as a person reads it on a terminal."""
    parts = [_size_lines(result), _slice_lines(result["slices"]), [result["statement"] or result["reason"]]]
    if result["slices"]:
        refused = [one["reason"] for one in result["slices"].values() if one["reason"]]
        promised = [result["statement"]] if result["statement"] else []
        parts[-1:] = [refused[:MOST] + more(len(refused), MOST), promised]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _size_lines(result: dict[str, Any]) -> list[str]:
    pending = result["audited"] - result["answered"]
    unanswered = f", {pending:,} of them not answered" if pending else ""
    in_batch = f"   {rows:,} of them in the table" if (rows := result["rows"]) != result["items"] else ""
    assumed = (
        "; no column says who was drawn: all answered are taken as drawn at random" if result["drawn_assumed"] else ""
    )
    lines = [
        f"items     {result['items']:11,}{in_batch}",
        f"audited   {result['audited']:11,}   {result['errors']:,} wrong{unanswered}{assumed}",
    ]
    if result["undrawn"]:
        lines.append(f"left out  {result['undrawn']:11,}   labels of people on items that were not drawn for the audit")
    share = f"{result['accepted_share']:.1%}" + (" of the table" if in_batch else "")
    lines.append(f"accepted  {result['accepted']:11,}   {share}{_accepted(result)}")
    return lines


def _accepted(result: dict[str, Any]) -> str:
    if result["threshold"] is None:
        return ""
    least = "" if result["slices"] else f", with a confidence of {result['threshold']:.6g} or more"
    return f"{least}; {result['audited_accepted']:,} of them audited, {result['errors_accepted']:,} wrong"


def _slice_lines(slices: dict[str, dict[str, Any]]) -> list[str]:
    if not slices:
        return []
    ranked = sorted(slices, key=lambda name: -slices[name]["items"])
    names = {name: cut(name) for name in ranked[:MOST]}
    width = max([5, *map(len, names.values())])
    lines = [f"{'slice':<{width}}        items   audited     wrong   from confidence    accepted"]
    for name, cell in names.items():
        one = slices[name]
        least = "–" if one["threshold"] is None else f"{one['threshold']:.6g}"
        counts = f"{one['items']:11,}  {one['audited']:8,}  {one['errors']:8,}"
        lines.append(f"{cell:<{width}}  {counts}  {least:>16}  {one['accepted']:10,}")
    return lines + more(len(slices), MOST)
