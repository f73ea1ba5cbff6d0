"""How often the intervals of accuracy and prevalence hold, how wide they are, and how calibrated scores are."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from tasks.accuracy import Interval, Stratum, estimate, one_hot, prevalence, stratified
from tasks.calibration import KINDS, calibrator, expected_calibration_error

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
DRAWS = 1000  # coverage is known to ±0.013 at 95 %, ±0.019 at 90 %
AUDITS = (30, 50, 100, 300, 1000)
LEVELS = (0.9, 0.95)


class Labelled(NamedTuple):
    """Every item of a set: people's label, the model's, its confidence, and a slice where there is one."""

    truth: np.ndarray
    model: np.ndarray
    score: np.ndarray
    slice: np.ndarray | None = None

    @property
    def correct(self) -> np.ndarray:
        """Return whether each of the model's labels is right, as 0 or 1."""
        return (self.truth == self.model).astype(float)


def figures() -> Iterator[str]:
    """Yield the lines of every table."""
    if not DATA.is_dir():
        yield "intervals of accuracy and prevalence: the public sets are not here"
        return
    real = dict(sets())
    yield from _accuracy({**real, **simulated()})
    yield from _prevalence({**real, **rare()})
    yield from _apart(real)
    yield from _calibration(real)


def sets() -> Iterator[tuple[str, Labelled]]:
    """Yield the public sets on which a model gave a label and a confidence, and people the label."""
    yield "mmlu_confidence", _csv("mmlu_confidence/Qwen3-32B_mmlu.csv", "Yhat")
    yield "pac_labels stance", _csv("pac_labels/stance.csv", "Yhat (GPT4o)")
    yield "pac_labels misinfo", _csv("pac_labels/misinfo.csv", "Yhat (GPT4o)", "topic")
    yield "politeness_gpt4o", _jsonl("politeness_gpt4o")
    yield "llm_conf_dev global_warming", _jsonl("llm_conf_dev", "global_warming")
    yield "llm_conf_dev mrpc", _jsonl("llm_conf_dev", "mrpc")


def _csv(name: str, label: str, part: str | None = None) -> Labelled:
    with (DATA / name).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = (np.array([row[column] for row in rows]) for column in ("Y", label))
    score = np.array([float(row["confidence"]) for row in rows])
    return Labelled(*columns, score, np.array([row[part] for row in rows]) if part else None)


def _jsonl(name: str, of: str | None = None) -> Labelled:
    gold = {row["item_id"]: row["label"] for row in _rows(DATA / name / "gold.jsonl")}
    said = [row for row in _rows(DATA / name / "annotations.jsonl") if of in (None, row["meta"].get("dataset"))]
    truth = np.array([gold[row["item_id"]] for row in said])
    return Labelled(truth, np.array([row["label"] for row in said]), np.array([row["confidence"] for row in said]))


def _rows(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def simulated() -> dict[str, Labelled]:
    """Return models that are nearly always right, with a confidence that ranks their errors like a model's logits."""
    found = {}
    for share in (0.9, 0.95, 0.98, 0.995):
        rng = np.random.default_rng(int(1000 * share))
        is_right = rng.random(5_000) < share
        score = 1 / (1 + np.exp(-(2 + 1.5 * (is_right - share) + rng.normal(size=5_000))))
        found[f"simulated, {share:.1%} right"] = Labelled(np.ones(5_000), is_right.astype(float), score)
    return found


def rare() -> dict[str, Labelled]:
    """Return sets with a rare label, of which the model finds 80 % and which it gives to 1 % of the others."""
    found = {}
    for share in (0.01, 0.05):
        rng = np.random.default_rng(int(1000 * share))
        truth = rng.random(5_000) < share
        model = np.where(rng.random(5_000) < np.where(truth, 0.2, 0.01), ~truth, truth)
        found[f"simulated, {share:.0%} rare"] = Labelled(truth.astype(int).astype(str), model.astype(int).astype(str),
                                                         np.ones(5_000))  # fmt: skip
    return found


def _drawn(items: int, audits: int, seed: int = 7) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the places of the audited and of the rest, once per draw."""
    rng = np.random.default_rng(seed)
    for _ in range(DRAWS):
        is_audited = np.zeros(items, dtype=bool)
        is_audited[rng.choice(items, audits, replace=False, shuffle=False)] = True
        yield np.flatnonzero(is_audited), np.flatnonzero(~is_audited)


def _accuracy(every: dict[str, Labelled]) -> Iterator[str]:
    yield (f"{'share of intervals that hold (width): accuracy':<48}{'truth':>6}{'audits':>7}{'exact':>6}"
           + "".join(f"{f'{name} {level:.0%}':>17}" for level in LEVELS
                     for name in ("Assay", "Wilson", "λ = 1")))  # fmt: skip
    for name, given in every.items():
        for audits in AUDITS:
            if audits <= len(given.score) / 2:
                yield _accuracy_line(name, given, audits)


def _accuracy_line(name: str, given: Labelled, audits: int) -> str:
    correct, score, truth = given.correct, given.score, given.correct.mean()
    ends: list[list[tuple[float, float]]] = [[] for _ in range(3 * len(LEVELS))]
    is_exact = []
    for chosen, rest in _drawn(len(score), audits):
        given_correct, foretold, pool = correct[chosen], score[chosen], score[rest]
        for place, level in enumerate(LEVELS):
            found = estimate(given_correct, foretold, pool, confidence=level)
            ends[3 * place].append((found.low, found.high))
            ends[3 * place + 1].append(_wilson(given_correct, level))
            ends[3 * place + 2].append(_plain(given_correct, foretold, pool, level))
        is_exact.append(found.method == "exact")
    cells = [_cell(truth, each) for each in ends]
    return f"  {name:<46}{truth:6.3f}{audits:7,}{np.mean(is_exact):6.0%}" + "".join(f"{cell:>17}" for cell in cells)


def _wilson(correct: np.ndarray, level: float) -> tuple[float, float]:
    n, share, z = len(correct), correct.mean(), ndtri((1 + level) / 2)
    centre, reach = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return (centre - reach) / (1 + z**2 / n), (centre + reach) / (1 + z**2 / n)


def _plain(correct: np.ndarray, foretold: np.ndarray, pool: np.ndarray, level: float) -> tuple[float, float]:
    """Return the interval of prediction-powered inference as first published: λ = 1, normal."""
    value = pool.mean() + (correct - foretold).mean()
    reach = ndtri((1 + level) / 2) * np.sqrt(pool.var() / len(pool) + (correct - foretold).var() / len(correct))
    return value - reach, value + reach


def _cell(truth: float, ends: list[tuple[float, float]]) -> str:
    low, high = np.clip(np.array(ends).T, 0, 1)
    holds = (low <= truth + 1e-9) & (truth <= high + 1e-9)
    return f"{holds.mean():.3f} ({(high - low).mean():.3f})"


def _prevalence(every: dict[str, Labelled]) -> Iterator[str]:
    yield ""
    yield f"{'the same: prevalence of each label':<48}{'truth':>6}{'audits':>7}{'exact':>6}" + "".join(
        f"{f'{name} {level:.0%}':>17}" for level in LEVELS for name in ("Assay", "Wilson")
    )
    for name, given in every.items():
        labels = sorted(set(given.truth.tolist()))
        model, total = one_hot(given.model, labels), one_hot(given.truth, labels).mean(axis=0)
        for audits in AUDITS[1:]:
            if audits <= len(given.score) / 2:
                yield from _prevalence_lines(name, given, labels, model, total, audits)


def _prevalence_lines(
    name: str, given: Labelled, labels: list[str], model: np.ndarray, total: np.ndarray, audits: int
) -> Iterator[str]:
    """Yield a line for the rarest label and for the commonest."""
    shown = sorted({int(total.argmin()), int(total.argmax())}) if len(labels) > 2 else [int(total.argmin())]
    of_labels = [labels[column] for column in shown]
    ends: dict[tuple, list] = {}
    is_exact: dict[int, list[bool]] = {column: [] for column in shown}
    for level in LEVELS:
        for chosen, rest in _drawn(len(given.score), audits):
            truth = given.truth[chosen]
            found = prevalence(truth, model[chosen][:, shown], model[rest][:, shown], of_labels, confidence=level)
            for column, label in zip(shown, of_labels, strict=True):
                ends.setdefault((column, level, 0), []).append((found[label].low, found[label].high))
                ends.setdefault((column, level, 1), []).append(_wilson((truth == label).astype(float), level))
                is_exact[column].append(found[label].method != "ppi++")
    for column in shown:
        cells = [_cell(total[column], ends[column, level, way]) for level in LEVELS for way in (0, 1)]
        head = (
            f"  {f'{name}: {labels[column][:12]}':<46}{total[column]:6.3f}{audits:7,}{np.mean(is_exact[column]):6.0%}"
        )
        yield head + "".join(f"{cell:>17}" for cell in cells)


def _apart(every: dict[str, Labelled]) -> Iterator[str]:
    """Yield what audits drawn apart, unevenly, or not all answered give: accuracy, 300 audits."""
    yield ""
    yield f"{'the same: 300 audits drawn otherwise, accuracy':<54}" + "".join(
        f"{f'{name} {level:.0%}':>17}" for level in LEVELS for name in ("at random", "this way")
    )
    ways = {"by quartile of confidence": _quartiles, "likelier where unsure": _unsure, "30 unanswered": _unanswered}
    for name, given in every.items():
        for way, draws in (ways | ({"as many of each slice": _slices} if given.slice is not None else {})).items():
            yield f"  {f'{name}, {way}':<52}" + "".join(f"{cell:>17}" for cell in _compared(given, draws))
    near = simulated()["simulated, 98.0% right"]
    for way, draws in {"likelier where unsure": _unsure, "by quartile of confidence": _quartiles}.items():
        yield f"  {f'simulated, 98.0% right, {way}':<52}" + "".join(f"{cell:>17}" for cell in _compared(near, draws))


def _compared(given: Labelled, draws: Callable) -> Iterator[str]:
    truth = given.correct.mean()
    for level in LEVELS:
        random = [estimate(given.correct[a], given.score[a], given.score[b], confidence=level)
                  for a, b in _drawn(len(given.score), 300)]  # fmt: skip
        for found in (random, draws(given, level)):
            yield _cell(truth, [(one.low, one.high) for one in found])


def _quartiles(given: Labelled, level: float) -> list[Interval]:
    places = np.argsort(given.score, kind="stable")
    return _by_stratum(given, level, np.array_split(places, 4), [75] * 4)


def _slices(given: Labelled, level: float) -> list[Interval]:
    parts = [np.flatnonzero(given.slice == name) for name in np.unique(given.slice)]
    return _by_stratum(given, level, parts, [min(300 // len(parts), len(part)) for part in parts])


def _by_stratum(given: Labelled, level: float, parts: list[np.ndarray], audits: list[int]) -> list[Interval]:
    rng, found = np.random.default_rng(11), []
    for _ in range(DRAWS):
        mixed = [(rng.permutation(part), n) for part, n in zip(parts, audits, strict=True)]
        strata = [Stratum(given.correct[p[:n]], given.score[p[:n]], given.score[p[n:]]) for p, n in mixed]
        found.append(stratified(strata, confidence=level))
    return found


def _unsure(given: Labelled, level: float) -> list[Interval]:
    """Return intervals of audits drawn with a chance that grows with the doubt, half of it the same for all."""
    doubt = 1 - given.score + 1e-3
    chance = np.minimum(300 * (0.5 / len(doubt) + 0.5 * doubt / doubt.sum()), 1)
    rng, found = np.random.default_rng(13), []
    for _ in range(DRAWS):
        is_drawn = rng.random(len(chance)) < chance
        weights = 1 / chance[is_drawn]
        found.append(estimate(given.correct[is_drawn], given.score[is_drawn], given.score[~is_drawn], weights=weights,
                              confidence=level))  # fmt: skip
    return found


def _unanswered(given: Labelled, level: float) -> list[Interval]:
    """Return intervals where 30 of 300 audits have no answer, and wrong labels are left open five times as often."""
    rng, found = np.random.default_rng(17), []
    for chosen, rest in _drawn(len(given.score), 300):
        weight = np.where(given.correct[chosen] == 1, 1.0, 5.0)
        left = rng.choice(300, 30, replace=False, p=weight / weight.sum())
        told, open_ = np.delete(chosen, left), chosen[left]
        foretold = given.score[np.concatenate([told, open_])]
        found.append(estimate(given.correct[told], foretold, given.score[rest], confidence=level, pending=30))
    return found


def _calibration(every: dict[str, Labelled]) -> Iterator[str]:
    """Yield the calibration error of items not learnt from, mean of 100 draws."""
    yield ""
    yield f"{'calibration error of items not learnt from':<48}{'labels':>7}" + "".join(
        f"{name:>10}" for name in ("raw", "platt", "isotonic", "Assay", "chosen")
    )
    for name, given in every.items():
        for labels in (50, 100, 200, 500):
            yield _calibration_line(name, given, labels)


def _calibration_line(name: str, given: Labelled, labels: int) -> str:
    correct, errors, kinds = given.correct, [], []
    rng = np.random.default_rng(19)
    for _ in range(100):
        order = rng.permutation(len(correct))
        seen, unseen = order[:labels], order[labels:]
        curve = calibrator(given.score[seen], correct[seen])
        kinds.append(curve.kind if curve else "raw")
        curves = [None, *(fit(given.score[seen], correct[seen]) for fit in KINDS.values()), curve]
        scores = [given.score[unseen] if one is None else one.of(given.score[unseen]) for one in curves]
        errors.append([expected_calibration_error(one, correct[unseen]) for one in scores])
    chosen = max(sorted(set(kinds)), key=kinds.count)
    return f"  {name:<46}{labels:7,}" + "".join(f"{error:10.3f}" for error in np.mean(errors, axis=0)) + f"{chosen:>10}"
