"""How far each label-free estimator is off on slices it has not seen, and whether the monitor was silent where it was wrong."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tasks.annotator.profile import statistics
from tasks.monitor.estimators import NAMES, estimates, signals
from tasks.monitor.scored import Scored, scored
from tasks.monitor.shift import shift

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SHORT = {
    "average_confidence": "AC",
    "calibrated_average_confidence": "CAC",
    "difference_of_confidences": "DoC",
    "atc_max_probability": "ATC",
    "reference_mean": "const",
}
PROFILED = {"atc_max_token_entropy": "ATC[max H]", "entropy_profile_model": "ES", "reference_mean": "const"}
LEAST = 50  # items of a slice that is held out
HALVES = 20  # random halves of a set, for false alarms
MOST = 2_500  # items of a half
Rows = list[dict[str, Any]]


def figures() -> Iterator[str]:
    """Yield the tables: real slices held out, planted shifts, false alarms, and simulated traces."""
    if not DATA.is_dir():
        yield "monitor: the public sets are not here"
        return
    told = []
    yield "each slice held out, and sent as traffic without its name; |estimate - truth|, and what the monitor says"
    yield _head(SHORT)
    for name, rows, key in _sliced():
        for line, outcome in _held_out(name, rows, key):
            told.append(outcome)
            yield line
    yield from _means("mean, slices of real data", told)
    yield ""
    yield from _planted()
    yield ""
    yield from _false_alarms()
    yield ""
    yield from _traces()


def _head(names: dict[str, str]) -> str:
    return (
        f"  {'data':<14}{'held out':<20}{'items':>6}{'true':>7}"
        + "".join(f"{one:>11}" for one in names.values())
        + "   said"
    )


def _held_out(name: str, rows: Rows, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for value, count in Counter(row[key] for row in rows).most_common():
        if value and count >= LEAST:
            others, held = ([row for row in rows if (row[key] == value) == side] for side in (False, True))
            yield _judged(name, value, scored(others), scored(held), SHORT)


def _judged(name: str, value: str, known: Scored, new: Scored, names: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Return a line on one estimate of a whole, and what it came to."""
    places = np.zeros(len(known.score), dtype=int), np.zeros(len(new.score), dtype=int)
    found = dict(zip(NAMES, estimates(signals(known, places[0]), signals(new, places[1]), 1)[:, 0], strict=True))
    truth = float(new.correct.mean())
    errors = {short: abs(found[long] - truth) for long, short in names.items()}
    reason = shift(known, places[0], new, places[1], 1).reasons[0]
    cells = "".join(f"{error:11.3f}" for error in errors.values())
    line = f"  {name:<14}{value:<20}{len(new.score):>6,}{truth:7.3f}{cells}   {reason or 'an estimate'}"
    return line, {"errors": errors, "is_silent": reason is not None}


def _means(what: str, told: list[dict[str, Any]], is_tested: bool = True) -> Iterator[str]:
    """Yield the mean errors, and of each estimator how often it was wrong, and wrong without the monitor's silence."""
    names = list(told[0]["errors"])
    yield f"  {what:<47}" + "".join(f"{np.mean([one['errors'][name] for one in told]):11.3f}" for name in names)
    for bound in (0.05, 0.10) if is_tested else ():
        wrong = [sum(one["errors"][name] > bound for one in told) for name in names]
        unsaid = [sum(one["errors"][name] > bound and not one["is_silent"] for one in told) for name in names]
        cells = "".join(f"{f'{most} | {some}':>11}" for most, some in zip(wrong, unsaid, strict=True))
        yield f"  {f'of {len(told)}: off by > {bound:.2f} | and not silent':<47}{cells}   silent on {sum(one['is_silent'] for one in told)}"


def _planted() -> Iterator[str]:
    """Yield shifts of our own making, in sets without slices: of scores, of texts, and of correctness alone."""
    told = []
    yield "shifts planted in halves of sets without slices"
    yield _head(SHORT)
    stream = np.random.default_rng(0)
    for name, rows in (("mmlu", _mmlu()), ("politeness", _labelled("politeness_gpt4o"))):
        order = stream.permutation(len(rows))[: 2 * MOST]
        first, second = ([rows[place] for place in part] for part in np.array_split(order, 2))
        unsure = sorted(second, key=lambda row: (row["score"], row["unit"]))[: len(second) // 2]
        mixed = unsure[: len(second) // 10] + second[: len(second) // 2]
        kinds = {
            "none": second,
            "less sure half": unsure,
            "a tenth unsure": mixed,
            "flipped unseen": _flipped(second, stream),
        }
        if rows[0].get("text"):
            kinds["long texts"] = sorted(second, key=lambda row: -len(row["text"]))[: len(second) // 3]
        for kind, new in kinds.items():
            line, outcome = _judged(name, kind, scored(first), scored(new), SHORT)
            told.append(outcome)
            yield line
    yield from _means("mean, planted", told)


def _flipped(rows: Rows, stream: np.random.Generator) -> Rows:
    """Return rows of which a quarter of the right labels are wrong, all else as it was: nothing without labels shows it."""
    return [row | {"correct": row["correct"] * float(stream.random() > 0.25)} for row in rows]


def _false_alarms() -> Iterator[str]:
    """Yield how often the monitor finds a shift between random halves of one set."""
    yield f"false alarms: random halves of a set, {HALVES} times each (at most 1 % is aimed at)"
    stream = np.random.default_rng(1)
    for name, rows, key in [*_sliced(), ("mmlu", _mmlu(), None), ("politeness", _labelled("politeness_gpt4o"), None)]:
        rows = [row | {"slice": row[key] if key else ""} for row in rows]
        alarms = sum(_is_alarmed(rows, stream) for _ in range(HALVES))
        yield f"  {name:<14}{'by ' + key if key else 'no slices':<20}{len(rows):>6,} items  {alarms} of {HALVES}"


def _is_alarmed(rows: Rows, stream: np.random.Generator) -> bool:
    order = stream.permutation(len(rows))[: 2 * MOST]
    known, new = (scored([rows[place] for place in part]) for part in np.array_split(order, 2))
    names = {name: place for place, name in enumerate(sorted(set(known.slice)))}
    seen = new.where(np.isin(new.slice, list(names)))
    parts = [np.array([names[one] for one in side.slice]) for side in (known, seen)]
    found = shift(known, parts[0], seen, parts[1], len(names))
    return any(reason not in (None, "too_few") for reason in found.reasons)


def _traces() -> Iterator[str]:
    """Yield errors on simulated traces of tokens' entropies, ten slices from easy to hard, each held out in turn.

    No real traces are published. Here we know the truth because we made it: so this says how the estimators behave, and
    nothing about how good they are on a model.
    """
    yield "entropy profiles: simulated traces (none are published), ten slices from easy to hard, each held out in turn"
    yield f"  {'mean |estimate - truth|':<47}" + "".join(f"{name:>11}" for name in PROFILED.values())
    for world, traces in {"one bad token": _spike, "unsure all along": _spread}.items():
        stream, told = np.random.default_rng(7), []
        rows = [row for place in range(10) for row in _slice_of_traces(place, traces, stream)]
        for place in range(10):
            known, new = ([row for row in rows if (row["place"] == place) == side] for side in (False, True))
            told.append(_judged(world, str(place), scored(known), scored(new), PROFILED)[1])
        yield from _means(world, told, is_tested=False)


def _slice_of_traces(place: int, traces: Callable, stream: np.random.Generator) -> Rows:
    hardness = stream.normal((place - 5) / 3, 1.0, 300)
    right = stream.random(300) < 1 / (1 + np.exp(1.5 * hardness - 1))
    return [
        {"label": "a", "score": 0.5, "unit": f"{place} {number}", "place": place, "correct": float(ok),
         "profile": statistics(traces(bool(ok), hard, stream).tolist())}
        for number, (hard, ok) in enumerate(zip(hardness, right, strict=True))
    ]  # fmt: skip


def _spike(ok: bool, hard: float, stream: np.random.Generator) -> np.ndarray:
    """Return a trace in which a wrong answer has one token it was unsure of; the rest says how hard the question is."""
    tokens = stream.gamma(0.4, 0.2 * np.exp(0.2 * hard), stream.integers(20, 120))
    tokens[stream.integers(len(tokens))] += stream.gamma(4.0, 0.15 if ok else 0.35)
    return tokens


def _spread(ok: bool, hard: float, stream: np.random.Generator) -> np.ndarray:
    """Return a trace in which a wrong answer is a little less sure everywhere."""
    return stream.gamma(0.4, 0.2 * np.exp(0.2 * hard) * (1.0 if ok else 1.6), stream.integers(20, 120))


def _sliced() -> list[tuple[str, Rows, str]]:
    misinfo = _misinfo()
    return [
        ("misinfo", misinfo, "source"),
        ("misinfo", misinfo, "topic"),
        ("llm_conf_dev", _labelled("llm_conf_dev"), "dataset"),
    ]


def _misinfo() -> Rows:
    with (DATA / "pac_labels" / "misinfo.csv").open(encoding="utf-8") as file:
        return [
            {"label": row["Yhat (GPT4o)"], "score": float(row["confidence"]), "text": row["headline"],
             "unit": row["headline"], "source": row["source"], "topic": row["topic"],
             "correct": float(row["Y"] == row["Yhat (GPT4o)"])}
            for row in csv.DictReader(file)
        ]  # fmt: skip


def _mmlu() -> Rows:
    with (DATA / "mmlu_confidence" / "Qwen3-32B_mmlu.csv").open(encoding="utf-8") as file:
        return [
            {"label": row["Yhat"], "score": float(row["confidence"]), "unit": row[""], "correct": float(row["Y"] == row["Yhat"])}
            for row in csv.DictReader(file)
        ]  # fmt: skip


def _labelled(name: str) -> Rows:
    """Return a set's items that a model labelled with a confidence, and that have gold."""
    gold, items = ({row["item_id"]: row for row in _lines(name, noun)} for noun in ("gold", "items"))
    return [
        {"label": row["label"], "score": row["confidence"], "text": items[row["item_id"]].get("text"),
         "unit": items[row["item_id"]].get("text") or row["item_id"], "dataset": row["meta"].get("dataset"),
         "correct": float(row["label"] == gold[row["item_id"]]["label"])}
        for row in _lines(name, "annotations") if row["confidence"] is not None
    ]  # fmt: skip


def _lines(name: str, noun: str) -> Iterator[dict[str, Any]]:
    with (DATA / name / f"{noun}.jsonl").open(encoding="utf-8") as file:
        yield from map(json.loads, file)
