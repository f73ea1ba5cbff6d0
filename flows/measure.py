"""A table of labels, in any file, becomes figures of agreement and entropy."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schemas.errors import RequestError
from tasks import agreement
from tasks.figure_table import pair_table, scorecard_table
from tasks.label_table import MACHINES, PEOPLE, USUAL, Columns, has_worded_times, kinds, opened, read, reading
from tasks.table_file import apart, write, written_format

NAMES = {
    "percent": "percent agreement",
    "krippendorff_alpha": "Krippendorff's alpha",
    "fleiss_kappa": "Fleiss' kappa",
    "cohen_kappa": "Cohen's kappa",
    "gwet_ac1": "Gwet's AC1",
    "brennan_prediger": "Brennan–Prediger",
    "percent_linear": "percent, linear",
    "percent_quadratic": "percent, quadratic",
    "cohen_kappa_linear": "Cohen's kappa, linear",
    "cohen_kappa_quadratic": "Cohen's kappa, quadratic",
    "gwet_ac2_linear": "Gwet's AC2, linear",
    "gwet_ac2_quadratic": "Gwet's AC2, quadratic",
    "kappa": "kappa",
}
AGAINST = "machines_against_people"
ON_IT = "specific_agreement"
MOST = 20  # labels, members or slices told on a terminal
LOWEST = 10  # annotators
WIDEST = 30  # characters of a name that are shown


def measure(
    path: str | Path,
    columns: Columns = USUAL,
    kind: str = "choice",
    metric: str | None = None,
    labels: Sequence[str] | None = None,
    items_out: str | Path | None = None,
    annotators_out: str | Path | None = None,
    pairs_out: str | Path | None = None,
    memory_limit: str | None = None,
) -> dict[str, Any]:
    """Return agreement and entropy of a file of labels, ready for JSON.

    Write one row per item to `items_out`, one per annotator to `annotators_out`, one per pair of them to `pairs_out`.
    """
    _possible(path, columns, kind, (items_out, annotators_out, pairs_out))  # refuse before the work, not after
    with opened(memory_limit) as connection, reading(path):
        counts = read(connection, path, columns, kind, labels)
        order = None if labels is None or kind == "choices" else list(labels)
        among = kinds(connection)
        if len(among) == 2:
            figures = agreement.measure_kinds(connection, PEOPLE, MACHINES, kind, order, metric)
        else:
            figures = agreement.measure(connection, kind, order, metric)
        figures["has_worded_times"] = has_worded_times(connection)
        figures["among"] = "machines" if among == {"machines"} else "people"
        if items_out is not None:
            write(connection, agreement.item_entropy(connection, order, is_counted=True), items_out)
        if annotators_out is not None:
            write(connection, scorecard_table(connection, order, kind), annotators_out)
        if pairs_out is not None:
            write(connection, pair_table(connection, order, figures["metric"]), pairs_out)
    return counts | (_of_nobody(figures) if columns.count else figures)


def _of_nobody(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a table that does not say who gave a label."""
    known = {name: one for name, one in figures["agreement"].items() if not name.startswith("cohen_kappa")}
    return figures | {"agreement": known, "annotators": None, "repeated": 0, "by_annotator": []}


def _possible(path: str | Path, columns: Columns, kind: str, outs: tuple[str | Path | None, ...]) -> None:
    """Raise RequestError for what no table can be asked."""
    if kind not in agreement.METRICS:
        raise RequestError(f"agreement is not defined for {kind!r}; kinds: {', '.join(agreement.METRICS)}")
    if columns.count and any(outs[1:]):
        raise RequestError("a table of counts does not say who gave a label: leave out --annotators and --pairs")
    apart(path, *outs)
    for out in filter(None, outs):
        written_format(out)


def story(result: dict[str, Any]) -> str:
    """Return the figures as a person reads them on a terminal."""
    parts = [
        [_size(result), *asides(result)],
        _coefficient_lines(result),
        _machine_lines(result),
        _ranked_lines(result.get(AGAINST, {}).get("by_annotator", []), "machine", "agreement with people", "value"),
        _entropy_lines(result["entropy"]),
        _label_lines(result),
        _member_lines(result),
        _slice_lines(result["by_slice"]),
        _ranked_lines(result["by_annotator"], "annotator", "agreement with others", "agreement_with_others"),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _size(result: dict[str, Any]) -> str:
    who = "" if result["annotators"] is None else f", {result['annotators']:,} annotators"
    machines = result.get("machines")
    beside = f"; and {machines['annotations']:,} labels of {machines['annotators']:,} machines" if machines else ""
    return f"{result['items']:,} items, {result['annotations']:,} labels{who}{beside}"


def asides(result: dict[str, Any]) -> list[str]:
    """Return what became of the rows that count for nothing, or more than once."""
    said = [
        ("missing", "rows without a label left out"),
        ("incomplete", "rows without an item or annotator left out"),
        ("superseded", "earlier labels superseded"),
        ("repeated", "labels beyond an annotator's first on an item, each counted"),
    ]
    lines = [f"  {result[key]:,} {what}" for key, what in said if result.get(key)]
    if result["has_worded_times"]:
        lines.append("  the times are neither dates (ISO 8601) nor numbers: the later in the alphabet counts as later")
    return lines


def _coefficient_lines(result: dict[str, Any]) -> list[str]:
    found, metric = result["agreement"], result["metric"]
    names = {key: NAMES.get(key, key) for key in found}
    if metric != "nominal":
        names["krippendorff_alpha"] += f" ({metric})"
    is_told = "machines" in result or result["among"] == "machines"
    among = f"agreement among {result['among']}" if is_told else "agreement"
    width = max(len(among), *map(len, names.values()))
    head = f"{among:<{width}}   value   95 % interval, resampling {result['intervals']}"
    return [head, *(f"{name:<{width}}  {shown(found[key])}" for key, name in names.items())]


def _machine_lines(result: dict[str, Any]) -> list[str]:
    """Return how machines agree with people, and among themselves."""
    against, machines = result.get(AGAINST, {}), result.get("machines", {})
    figures = [(f"{NAMES[key]}, a person and a machine", against.get(key)) for key in ("percent", "kappa")]
    alpha = machines.get("agreement", {}).get("krippendorff_alpha")
    figures = [(name, one) for name, one in [*figures, ("Krippendorff's alpha among machines", alpha)] if one]
    if not figures:
        return []
    width = max(len(name) for name, _ in figures)
    lines = [f"{'machines':<{width}}   value   95 % interval"]
    lines += [f"{name:<{width}}  {shown(one)}" for name, one in figures]
    return lines


def shown(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None:
        return f"     –   {estimate['reason']}"
    reach = f"{estimate['low']:.3f} to {estimate['high']:.3f}" if estimate["low"] is not None else estimate["reason"]
    return f"{estimate['value']:6.3f}   {reach}"


def _entropy_lines(entropy: dict[str, Any]) -> list[str]:
    if entropy["mean_nats"] is None:
        return ["entropy of an item  –  no labels"]
    share = entropy["mean_normalised"]
    most = "" if share is None else f", {share:.0%} of the most there can be"
    lines = [
        f"entropy of an item  {entropy['mean_nats']:.3f} nats on average{most}",
        f"                    {entropy['mean_dirichlet_nats']:.3f} nats allowing for how few labels there are",
    ]
    if entropy["unanimous_share"] is not None:
        lines.append(f"                    {entropy['unanimous_share']:.1%} of items with several labels are unanimous")
    return lines


def _label_lines(result: dict[str, Any]) -> list[str]:
    """Return how often each label is used, and how far those who use it agree on it; of sets, on each member."""
    counts, by_label = result["labels"], result.get("by_label", {})
    total, names = sum(counts.values()) or 1, {name: cut(name) for name in list(counts)[:MOST]}
    width = max([5, *map(len, names.values())])
    is_told = any(name in by_label for name in names)
    lines = [f"{'label':<{width}}       labels" + ("         agreement on it (95 % interval)" if is_told else "")]
    for name, cell in names.items():
        figure = by_label.get(name, {}).get(ON_IT)
        agreement = f"  {shown(figure)}" if figure else ""
        lines.append(f"{cell:<{width}}  {counts[name]:11,}  {counts[name] / total:6.1%}{agreement}")
    return lines + more(len(counts), MOST)


def _member_lines(result: dict[str, Any]) -> list[str]:
    """Return how far annotators agree on each member of their sets; nothing where labels are no sets."""
    members = {name: one[ON_IT] for name, one in result.get("by_label", {}).items() if name not in result["labels"]}
    if not members:
        return []
    width = max([6, *(len(cut(name)) for name in list(members)[:MOST])])
    lines = [f"{'member':<{width}}  agreement on it (95 % interval)"]
    lines += [f"{cut(name):<{width}}  {shown(one)}" for name, one in list(members.items())[:MOST]]
    return lines + more(len(members), MOST)


def _slice_lines(slices: dict[str, dict]) -> list[str]:
    if not slices:
        return []
    names = {name: cut(name) for name in list(slices)[:MOST]}
    width = max([5, *map(len, names.values())])
    lines = [f"{'slice':<{width}}        items   alpha   95 % interval"]
    for name, cell in names.items():
        figures = slices[name]
        lines.append(f"{cell:<{width}}  {figures['items']:11,}  {shown(figures['agreement']['krippendorff_alpha'])}")
    return lines + more(len(slices), MOST)


def _ranked_lines(annotators: list[dict], noun: str, figure: str, key: str) -> list[str]:
    """Return those who agree least, first: they are who a person wants to see."""
    if not annotators:
        return []
    ranked = sorted(annotators, key=lambda one: 2 if one[key] is None else one[key])
    width = max([len(noun), *(len(cut(one["annotator_id"])) for one in ranked[:LOWEST])])
    has_ends = any(one.get("low") is not None for one in ranked)
    lines = [f"{noun:<{width}}       labels  {figure} (lowest first{', 95 % interval' if has_ends else ''})"]
    for one in ranked[:LOWEST]:
        share = "–" if one[key] is None else f"{one[key]:.3f}"
        reach = "" if one.get("low") is None else f"   {one['low']:.3f} to {one['high']:.3f}"
        lines.append(f"{cut(one['annotator_id']):<{width}}  {one['annotations']:11,}  {share}{reach}")
    return lines + more(len(annotators), LOWEST)


def cut(name: str) -> str:
    """Return a name short enough for a line of a terminal, on one line."""
    name = " ".join(name.split())
    return name if len(name) <= WIDEST else name[: WIDEST - 1] + "…"


def more(count: int, most: int) -> list[str]:
    return [f"… and {count - most:,} more"] if count > most else []
