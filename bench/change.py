"""How soon a certificate ends once scores or errors change, and how often without a cause."""

import csv
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

from tasks.certificate.change import FALSE_ALARM, risk_change, score_change

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
STREAMS, PLANTED = 10_000, 200
NEVER = np.inf
BEFORE = 30  # nights without a change, before it
SLICE = 55  # items of a source that make it a night; smaller ones are left out


def figures() -> list[str]:
    """Return the lines of what was measured."""
    lines = [*false_alarms(), *risk_delays(), *seconds()]
    if not DATA.is_dir():
        return [*lines, "changes of real scores: the public sets are not here"]
    return [*lines, *mmlu_delays(), *misinfo_sources()]


def false_alarms() -> list[str]:
    """Return the share of streams without a change that ever alarm."""
    draw = np.random.default_rng(1)
    kinds: dict[str, Callable[[], bool]] = {
        "scores, all distinct": lambda: _scores(draw.beta(8, 2, 360)),
        "scores, 15 distinct": lambda: _scores(draw.choice(np.linspace(0.3, 1, 15), 360)),
        "audits, error just allowed (.05)": lambda: risk_change(draw.random(300) < 0.05, 0.05).alarm,
        "audits, error just allowed (.20)": lambda: risk_change(draw.random(300) < 0.20, 0.20).alarm,
    }
    lines = [f"streams without a change that ever alarm, of {STREAMS:,}; promised: {FALSE_ALARM:.1%} at most"]
    for name, alarm in kinds.items():
        lines.append(f"  {name:<40}{np.mean([alarm() for _ in range(STREAMS)]):>9.2%}")
    return lines


def _scores(scores: np.ndarray) -> bool:
    """Return whether a reference of 60 and 15 nights of 20 alarm."""
    return score_change(np.split(scores[60:], 15), scores[:60]).alarm


def risk_delays() -> list[str]:
    """Return how many audits it takes until errors beyond the promised ones are known."""
    draw = np.random.default_rng(2)
    lines = [
        "audits until an alarm, error promised .05: median (nine tenths), at once | after 300 audits with .02 wrong"
    ]
    for error in (0.1, 0.15, 0.2, 0.3, 0.5):
        cells = []
        for before in (0, 300):
            streams = (np.append(draw.random(before) < 0.02, draw.random(1_500) < error) for _ in range(PLANTED))
            cells.append(_delays([risk_change(stream, 0.05).at for stream in streams], before))
        lines.append(f"  error {error:<34.2f}{cells[0]:>16} |{cells[1]:>16}")
    return lines


def _delays(places: list[int | None], before: int) -> str:
    """Return median and nine tenths of how long it took, counted from 1; `never` beyond what was tried."""
    waits = [NEVER if place is None else place - before + 1 for place in places]
    found = np.quantile(waits, [0.5, 0.9], method="higher")
    return "{} ({})".format(*("never" if wait == NEVER else f"{wait:.0f}" for wait in found))


def seconds() -> list[str]:
    """Return what it costs."""
    draw, lines = np.random.default_rng(3), ["seconds of a million scores"]
    for nights in (1, 20, 365):
        stream, reference = [draw.random(500_000 // nights) for _ in range(nights)], draw.random(500_000)
        start = time.perf_counter()
        score_change(stream, reference)
        lines.append(f"  half of them in {nights:>3} nights {time.perf_counter() - start:>22.2f}")
    return lines


def mmlu_delays() -> list[str]:
    """Return the nights until a change of real confidences is seen: nights of 100, after BEFORE nights like the opening."""
    with (DATA / "mmlu_confidence" / "Qwen3-32B_mmlu.csv").open() as file:
        rows = [(float(row["confidence"]), row["is_correct"] == "True") for row in csv.DictReader(file)]
    score, right = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    lines = [
        f"nights until an alarm, real confidences (MMLU), nights of 100: median (nine tenths), at once | after {BEFORE} nights"
    ]
    draw = np.random.default_rng(4)
    for name, pool in {"items that are wrong": score[~right], "items that are right": score[right]}.items():
        for share in (0.1, 0.2, 0.5, 1.0):
            cells = [_delays([_mixed(draw, score, pool, share, n) for _ in range(40)], n) for n in (0, BEFORE)]
            lines.append(f"  {share:>4.0%} more {name:<29}{cells[0]:>16} |{cells[1]:>16}")
    return lines


def _mixed(draw: np.random.Generator, score: np.ndarray, pool: np.ndarray, share: float, before: int) -> int | None:
    """Return the night of the alarm: an opening of 1,000, nights like it, then 20 with a share of another pool."""
    items = draw.permutation(score)
    nights = np.split(items[1_000 : 1_000 + 100 * (before + 20)], before + 20)
    for night in nights[before:]:
        night[: int(100 * share)] = draw.choice(pool, int(100 * share))
    return score_change(nights, items[:1_000]).at


def misinfo_sources() -> list[str]:
    """Return after which source an alarm comes where sources of real headlines join one night after the other."""
    with (DATA / "pac_labels" / "misinfo.csv").open() as file:
        rows = list(csv.DictReader(file))
    score = np.array([float(row["confidence"]) for row in rows])
    wrong = np.array([row["Y"] != row["Yhat (GPT4o)"] for row in rows])
    source = np.array([row["source"] for row in rows])
    names = [name for name in dict.fromkeys(source) if (source == name).sum() >= SLICE]
    parts = {
        name: np.flatnonzero(source == name) for name in sorted(names, key=lambda name: wrong[source == name].mean())
    }
    lines = [
        "real headlines, the opening of one source and one night of another: nats of scores | of errors (promised .10)"
    ]
    for opening, joining in pairwise(parts):
        first, then = parts[opening], parts[joining]
        told = score_change([score[then]], score[first]), risk_change(wrong[then], 0.1)
        cells = " |".join(f"{found.evidence:>6.1f}{' alarm' if found.alarm else '':<6}" for found in told)
        errors = f"{wrong[first].mean():.0%} wrong, then {wrong[then].mean():.0%}"
        lines.append(f"  {opening[:16]:<17}{joining[:16]:<17}{errors:>24}{cells}")
    return lines
