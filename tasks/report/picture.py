"""The pictures of a release: SVG drawn here, so that a page needs nothing from outside."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from typing import Any

from markupsafe import Markup

Axis = tuple[float, float]


@dataclass(frozen=True)
class Node:
    """One block of a flow: what it counts, and the column it stands in."""

    key: str
    column: int
    name: str
    count: int
    colour: str


@dataclass(frozen=True)
class Link:
    """One ribbon of a flow, from the block `source` to the block `target`."""

    source: str
    target: str
    count: int


@dataclass(frozen=True)
class Part:
    """One segment of a stacked bar."""

    name: str
    count: int
    colour: str


@dataclass(frozen=True)
class Box:
    """Where a block of a flow stands, in pixels; `slot` is the height kept free for its label."""

    x: float
    y: float
    height: float
    slot: float


NAMES = {
    "percent": "Percent agreement",
    "krippendorff_alpha": "Krippendorff’s α",
    "fleiss_kappa": "Fleiss’ κ",
    "gwet_ac1": "Gwet’s AC1",
}
"""The coefficients of agreement that are shown everywhere, in their order."""
TITLES = NAMES | {
    "brennan_prediger": "Brennan–Prediger",
    "cohen_kappa": "Cohen’s κ",
    "percent_linear": "Percent, linear",
    "percent_quadratic": "Percent, quadratic",
    "gwet_ac2_linear": "Gwet’s AC2, linear",
    "gwet_ac2_quadratic": "AC2, quadratic",
    "cohen_kappa_linear": "Cohen’s κ, linear",
    "cohen_kappa_quadratic": "κ, quadratic",
}
"""All of them; a linear or quadratic one counts a pair of ratings by how near they are."""

FLOW_WIDTH = 1040
_LAST_LABEL = 178  # room for the text beside the last column
_BLOCK_WIDTH = 9
_LABEL_HEIGHT = 40  # two lines of text: no two labels of a column can meet
_GAP = 14
_TALLEST = 330
_THINNEST = 2  # a flow of one row in a million still shows


def element(tag: str, *children: Any, **attributes: Any) -> Markup:
    """Return one SVG element, with text and attribute values escaped and attributes that are None left out."""
    given = Markup("").join(
        Markup(' {}="{}"').format(_attribute(name), _short(value))
        for name, value in attributes.items()
        if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>").format(tag, given, Markup("").join(children))


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _short(value: Any) -> Any:
    # Two digits are a hundredth of a pixel, and the same on every machine.
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def strip(title: str, marks: Iterable[Markup], height: int, **more: Any) -> Markup:
    """Return a drawing as wide as its place: `marks` are laid out in per cent, so text keeps its size at any width."""
    return element("svg", element("title", title), *marks, role="img", width="100%", height=height, **more)


def axis(estimates: Iterable[Mapping[str, Any]]) -> Axis:
    """Return the range that shows every estimate: 0 to 1, or −1 to 1 where one is negative."""
    ends = [estimate[end] for estimate in estimates for end in ("value", "low") if estimate[end] is not None]
    return (-1.0, 1.0) if min(ends, default=0) < 0 else (0.0, 1.0)


def place(value: float, along: Axis) -> str:
    """Return where a value stands on an axis, in per cent of its width."""
    low, high = along
    share = (value - low) / ((high - low) or 1)
    return f"{100 * min(1, max(0, share)):.2f}%"


def ticks(along: Axis) -> list[float]:
    """Return the five values that an axis is ruled at."""
    low, high = along
    return [low + (high - low) * step / 4 for step in range(5)]


def tick_text(value: float) -> str:
    """Return a tick's value as it is printed, with a minus sign that is one."""
    return f"{value:g}".replace("-", "−")


def ruler(along: Axis) -> list[Markup]:
    """Return the numbers under an axis."""
    return [
        element("text", tick_text(v), x=place(v, along), y=13, class_="tick", text_anchor="middle")
        for v in ticks(along)
    ]


def interval(estimate: Mapping[str, Any], along: Axis) -> list[Markup]:
    """Return a dot at the value and a line over its interval, on a ruled axis; no dot where it is undefined."""
    rules = [
        element("line", x1=place(v, along), x2=place(v, along), y1="0%", y2="100%", class_="rule") for v in ticks(along)
    ]
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    if value is None:
        return rules
    line = [] if low is None or high is None else [_span(low, high, along)]
    return [*rules, *line, element("circle", cx=place(value, along), cy="50%", r=4.5, class_="dot")]


def _span(low: float, high: float, along: Axis) -> Markup:
    return element("line", x1=place(low, along), x2=place(high, along), y1="50%", y2="50%", class_="interval")


def stack(parts: Sequence[Part]) -> list[Markup]:
    """Return a stacked bar; a segment too thin to see is drawn as thin as can be seen."""
    total = sum(part.count for part in parts)
    seen = [part for part in parts if part.count > 0]
    ends = [sum(part.count for part in seen[:index]) / total for index in range(len(seen))] if total else []
    return [_segment(part, end, total) for part, end in zip(seen, ends, strict=True)]


def _segment(part: Part, start: float, total: int) -> Markup:
    share = part.count / total
    title = element("title", f"{part.name}: {part.count:,} ({100 * share:.1f} %)")
    width = f"{100 * max(share, 0.006):.2f}%"
    return element(
        "rect", title, x=f"{100 * start:.2f}%", y=0, width=width, height="100%", class_=f"part {part.colour}"
    )


def histogram(bins: Sequence[Mapping[str, Any]], mean: float | None, height: int) -> list[Markup]:
    """Return the bars of a histogram with their counts, a ruled base, and a mark at the mean."""
    if not bins:
        return []
    along = (float(bins[0]["low"]), float(bins[-1]["high"]))
    most = max(bar["items"] for bar in bins) or 1
    base, room = height - 22, height - 62  # under the bars the ruler, over them the counts and the mean
    bars = [mark for bar in bins for mark in _bar(bar, along, base, room * bar["items"] / most)]
    line = element("line", x1="0%", x2="100%", y1=base, y2=base, class_="base")
    return [*_mean(mean, along, base), *bars, line, *_edges(bins, along, height)]


def _bar(bar: Mapping[str, Any], along: Axis, base: float, tall: float) -> list[Markup]:
    count, start = bar["items"], place(bar["low"], along)
    width = (bar["high"] - bar["low"]) / ((along[1] - along[0]) or 1)
    tall = max(tall, _THINNEST + 1.0) if count else 0.0  # a pixel of it is the gap to the next
    middle = place((bar["low"] + bar["high"]) / 2, along)
    title = element("title", f"{bar['low']:.2f}–{bar['high']:.2f} nats: {count:,} items")
    block = element("rect", title, x=start, y=base - tall, width=f"{100 * width:.2f}%", height=tall, class_="bar")
    text = element("text", _compact(count), x=middle, y=base - tall - 6, class_="tick", text_anchor="middle")
    return [block, text] if count else []


def _compact(count: int) -> str:
    # Six digits over a bar of a tenth of a phone's width would run into the next.
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= 10 * size:
            return f"{count / size:.0f}{unit}" if count >= 100 * size else f"{count / size:.1f}{unit}"
    return f"{count:,}"


def _mean(mean: float | None, along: Axis, base: float) -> list[Markup]:
    if mean is None:
        return []
    x, is_late = place(mean, along), mean > sum(along) / 2
    line = element("line", x1=x, x2=x, y1=2, y2=base, class_="mean")
    text = element(
        "text",
        f"mean {mean:.3f}",
        x=x,
        y=12,
        dx=-6 if is_late else 6,
        class_="mean-text",
        text_anchor="end" if is_late else "start",
    )
    return [line, text]


def _edges(bins: Sequence[Mapping[str, Any]], along: Axis, height: int) -> list[Markup]:
    edges = [bins[0]["low"], *(bar["high"] for bar in bins)]
    shown = edges[:: max(1, ceil(len(edges) / 6))]
    return [
        element(
            "text",
            f"{edge:.2f}",
            x=place(edge, along),
            y=height - 5,
            class_="tick",
            text_anchor="start" if edge == edges[0] else "end" if edge == edges[-1] else "middle",
        )
        for edge in shown
    ]


def flow(nodes: Sequence[Node], links: Sequence[Link], title: str) -> Markup:
    """Return the flow of rows: a block per count, and ribbons between them as wide as the rows they carry."""
    most = max((node.count for node in nodes), default=0) or 1
    scale = _TALLEST / most
    boxes = _boxes(nodes, links, scale)
    height = max((box.y + box.slot for box in boxes.values()), default=0) + 4
    colours = {node.key: node.colour for node in nodes}
    ribbons = [_ribbon(link, span, boxes, colours) for link, span in _spans(links, boxes, scale)]
    blocks = [mark for node in nodes for mark in _block(node, boxes[node.key])]
    return element(
        "svg",
        element("title", title),
        *ribbons,
        *blocks,
        role="img",
        class_="flow",
        viewBox=f"0 0 {FLOW_WIDTH} {height:.0f}",
        width="100%",
    )


def _boxes(nodes: Sequence[Node], links: Sequence[Link], scale: float) -> dict[str, Box]:
    boxes: dict[str, Box] = {}
    columns = [list(standing) for _, standing in groupby(nodes, key=lambda node: node.column)]
    step = (FLOW_WIDTH - _LAST_LABEL) / max(1, len(columns) - 1)
    for index, standing in enumerate(columns):
        y = 0.0
        for node in standing:
            boxes[node.key] = box = _box(node, index * step, y, links, scale)
            y += box.slot + _GAP
    return boxes


def _box(node: Node, x: float, y: float, links: Sequence[Link], scale: float) -> Box:
    coming = sum(_thickness(link.count, scale) for link in links if link.target == node.key)
    going = sum(_thickness(link.count, scale) for link in links if link.source == node.key)
    height = max(_thickness(node.count, scale), coming, going)
    slot = max(height, _LABEL_HEIGHT)
    return Box(x, y + (slot - height) / 2, height, slot)


def _thickness(count: int, scale: float) -> float:
    return max(_THINNEST, count * scale)


def _spans(
    links: Sequence[Link], boxes: Mapping[str, Box], scale: float
) -> list[tuple[Link, tuple[float, float, float]]]:
    leaving = {key: box.y for key, box in boxes.items()}
    arriving = dict(leaving)
    spans = []
    for link in links:
        thick = _thickness(link.count, scale)
        spans.append((link, (leaving[link.source], arriving[link.target], thick)))
        leaving[link.source] += thick
        arriving[link.target] += thick
    return spans


def _ribbon(
    link: Link, span: tuple[float, float, float], boxes: Mapping[str, Box], colours: Mapping[str, str]
) -> Markup:
    start, end = boxes[link.source].x + _BLOCK_WIDTH, boxes[link.target].x
    y0, y1, thick = span
    middle = (start + end) / 2
    path = (
        f"M{start:.1f} {y0:.2f}C{middle:.1f} {y0:.2f} {middle:.1f} {y1:.2f} {end:.1f} {y1:.2f}"
        f"V{y1 + thick:.2f}C{middle:.1f} {y1 + thick:.2f} {middle:.1f} {y0 + thick:.2f} {start:.1f} {y0 + thick:.2f}Z"
    )
    return element("path", d=path, class_=f"ribbon {colours[link.target]}")


def _block(node: Node, box: Box) -> list[Markup]:
    is_tall = box.height > _LABEL_HEIGHT
    y = box.y + (18 if is_tall else box.height / 2 - 3)  # at the head of a tall block, else beside its middle
    x = box.x + _BLOCK_WIDTH + 9
    return [
        element("rect", x=box.x, y=box.y, width=_BLOCK_WIDTH, height=box.height, rx=1, class_=f"block {node.colour}"),
        element("text", node.name, x=x, y=y, class_="name"),
        element("text", f"{node.count:,}", x=x, y=y + 18, class_="count"),
    ]


_ALONE = Markup("""
text{font-family:"Helvetica Neue","Segoe UI",Roboto,"Liberation Sans",Arial,sans-serif;font-size:13px;fill:#23262b}
.paper{fill:#fff}.head{font-size:16px;font-weight:600}.note,.tick{fill:#5b6270}.tick{font-size:11px}
.rule{stroke:#e3e5e9}.base{stroke:#9aa1ad}.interval{stroke:#0b6b6b;stroke-width:7;stroke-linecap:round;stroke-opacity:.28}
.dot{fill:#0b6b6b}.bar{fill:#0b6b6b;stroke:#fff}
.mean{stroke:#a8431a;stroke-dasharray:3 3}.mean-text{fill:#a8431a;font-size:12px}
""")
_ALONE_WIDTH, _LEFT, _PLOT = 760, 28, 340


def measures(
    estimates: Mapping[str, Mapping[str, Any]], bins: Sequence[Mapping[str, Any]], mean: float | None, note: str
) -> str:
    """Return agreement and entropy as one picture that stands alone, on white and in its own style."""
    height = 176 + 30 * len(estimates) + (210 if bins else 40)
    paper = element("rect", width=_ALONE_WIDTH, height=height, class_="paper")
    title = element("title", "Agreement among people, and the entropy of their labels")
    marks = [*_measure_rows(estimates, note), *_measure_bins(bins, mean, 118 + 30 * len(estimates))]
    return str(
        element(
            "svg",
            title,
            element("style", _ALONE),
            paper,
            *marks,
            xmlns="http://www.w3.org/2000/svg",
            role="img",
            width=_ALONE_WIDTH,
            height=height,
            viewBox=f"0 0 {_ALONE_WIDTH} {height}",
        )
    )


def _measure_rows(estimates: Mapping[str, Mapping[str, Any]], note: str) -> list[Markup]:
    along = axis(estimates.values())
    head = [_line("How far people agree", 36, "head"), _line(note, 58, "note")]
    rows = [
        mark
        for index, (name, estimate) in enumerate(estimates.items())
        for mark in _measure_row(name, estimate, 74 + 30 * index, along)
    ]
    return [*head, *rows, _inset(ruler(along), 74 + 30 * len(estimates), 18)]


def _measure_row(name: str, estimate: Mapping[str, Any], y: int, along: Axis) -> list[Markup]:
    return [
        _line(TITLES.get(name, name), y + 20),
        _inset(interval(estimate, along), y, 30),
        _line(estimate_text(estimate), y + 20, x=_LEFT + 150 + _PLOT + 24),
    ]


def _measure_bins(bins: Sequence[Mapping[str, Any]], mean: float | None, y: int) -> list[Markup]:
    head = _line("How spread each item’s labels are: items by entropy, in nats", y + 26, "head")
    if not bins:
        return [head, _line("No item has labels from people yet.", y + 50, "note")]
    inside = element(
        "svg",
        *histogram(bins, mean, 200),
        x=_LEFT,
        y=y + 42,
        width=_ALONE_WIDTH - 2 * _LEFT,
        height=200,
        overflow="visible",
    )
    return [head, inside]


def _line(text: str, y: int, colour: str | None = None, x: int = _LEFT) -> Markup:
    return element("text", text, x=x, y=y, class_=colour)


def _inset(marks: Sequence[Markup], y: int, height: int) -> Markup:
    return element("svg", *marks, x=_LEFT + 150, y=y, width=_PLOT, height=height, overflow="visible")


def estimate_text(estimate: Mapping[str, Any]) -> str:
    """Return an estimate in three digits with its interval, or the words for why there is none."""
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    if value is None:
        return "undefined"
    signed = [f"{number:.3f}".replace("-", "−") for number in (value, low, high) if number is not None]
    return signed[0] if len(signed) < 3 else f"{signed[0]}  ({signed[1]} to {signed[2]})"
