"""The reliability diagram: how often a model's labels are right, score by score, beside how sure it was of them."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from markupsafe import Markup

from tasks.report.picture import Axis, element, place, ruler, strip, tick_text, ticks

HEIGHT = 250
_TOP, _BASE = 8, 226  # under the base stands the ruler
_LEAST, _MOST = 3.0, 7.0  # radius of a dot: its area is as the items it stands for
_ALONG: Axis = (0.0, 1.0)


def diagram(rows: Sequence[Mapping[str, Any]], title: str) -> Markup:
    """Return the share right of each bin over its mean score, with its interval; on the dashed line a score is what it says."""
    most = max((row["items"] for row in rows), default=0) or 1
    marks = [*_grid(), _ideal(), *(mark for row in rows for mark in _bin(row, most)), *_shifted(ruler(_ALONG))]
    return strip(title, marks, HEIGHT, class_="reliability")


def _grid() -> list[Markup]:
    across = [
        element("line", x1="0%", x2="100%", y1=_height(tick), y2=_height(tick), class_="rule") for tick in ticks(_ALONG)
    ]
    # Beside the axis a number would need room that a narrow page has not; above its line it needs none.
    numbers = [element("text", tick_text(tick), x=4, y=_height(tick) - 4, class_="tick") for tick in ticks(_ALONG)[1:]]
    return [*across, *numbers]


def _ideal() -> Markup:
    return element("line", x1="0%", y1=_height(0), x2="100%", y2=_height(1), class_="mean ideal")


def _bin(row: Mapping[str, Any], most: int) -> list[Markup]:
    x, share = place(row["mean_score"], _ALONG), row["accuracy"]
    if share is None:
        return []
    said = f"score {row['low']:.3f}–{row['high']:.3f}: {100 * share:.1f} % of {row['items']:,} right"
    low, high = _height(row["accuracy_low"]), _height(row["accuracy_high"])
    radius = max(_LEAST, _MOST * sqrt(row["items"] / most))
    return [
        element("line", x1=x, x2=x, y1=low, y2=high, class_="reach"),
        element("circle", element("title", said), cx=x, cy=_height(share), r=radius, class_="dot"),
    ]


def _height(share: float) -> float:
    return _BASE - (_BASE - _TOP) * min(1.0, max(0.0, share))


def _shifted(marks: Sequence[Markup]) -> list[Markup]:
    return [element("svg", *marks, y=_BASE + 4, width="100%", height=18, overflow="visible")]
