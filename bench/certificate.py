"""How often a certificate promises too much, how much it accepts, and what looking each night costs."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np

from tasks.certificate import Claim, Sample, certify_slices, least_audits, thresholds
from tasks.certificate.evidence import WHOLE, binomial_p, hypergeometric_p, stream_evidence
from tasks.certificate.sequence import passed

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CONFIDENCE = 0.9
REDRAWS = 1000
MAX_ERRORS = (0.05, 0.10, 0.15, 0.20)
AUDITS = (100, 300, 500, 1000)
STREAMS = 10_000
METHODS = ("binomial", "hypergeometric", "stream")
NAIVE_STEPS = 20  # thresholds the naive rule chooses from: every 5 % of the items
AGREEMENT = ("alttest_cebab_aspects", "alttest_cebab_stars", "alttest_wax")


class Labelled(NamedTuple):
    """A set whose truth is known."""

    score: np.ndarray
    wrong: np.ndarray


class Drawn(NamedTuple):
    """Audits drawn again and again: redraws × thresholds."""

    audited: np.ndarray
    errors: np.ndarray
    evidence: np.ndarray
    """Greatest that a stream's evidence ever was."""


def figures() -> Iterator[str]:
    """Yield tables: promises broken and labels accepted, by set; slices; streams looked at each night; least audits."""
    yield from _least()
    yield from _nights()
    simulated, real = dict(_simulated()), dict(_real()) if DATA.is_dir() else {}
    if not real:
        yield "certificates on public sets: they are not here"
    yield (
        f"{'certificates, ' + str(REDRAWS) + ' draws of the audit':<34}{'error':>6}{'audit':>6}{'best':>7}"
        + "".join(f"{name:>17}" for name in (*METHODS, "naive"))
    )
    yield f"  {'share accepted, then promises broken, %':<51}"
    every = []
    for name, labelled in (simulated | real).items():
        for line, figure in _of_set(name, labelled):
            every.append(figure)
            yield line
    if every:
        yield from _overall(np.array(every))
    if real:
        yield from _slices()


def _of_set(name: str, labelled: Labelled) -> Iterator[tuple[str, np.ndarray]]:
    """Yield a line for each promise and audit; and its best share, then of each method share accepted and broken."""
    rng = np.random.default_rng(20261121)
    items = len(labelled.score)
    sizes = [size for size in AUDITS if size <= 0.7 * items and (size > 100 or items < 1000)]
    order = np.stack([rng.permutation(items)[: max(sizes)] for _ in range(REDRAWS)])
    for max_error in MAX_ERRORS:
        table = _evidence(max(sizes), max_error)
        for size in sizes:
            best = _best(labelled, max_error)
            cells = [_shares(labelled, order[:, :size], Claim(max_error, CONFIDENCE, one), table) for one in METHODS]
            cells.append(_naive(labelled, order[:, :size], max_error))
            told = "".join(f"{100 * share:10.1f} {100 * broken:6.1f}" for share, broken in cells)
            yield (
                f"  {name:<32}{max_error:6.2f}{size:6,}{100 * best:7.1f}{told}",
                np.array([best, *np.ravel(cells), max_error]),
            )


def _shares(labelled: Labelled, drawn: np.ndarray, claim: Claim, table: np.ndarray) -> tuple[float, float]:
    """Return the mean share accepted, and how often too many of the accepted are wrong."""
    grid = thresholds(labelled.score, claim, drawn.shape[1])
    values = np.array(grid.values)
    counts = _counts(labelled, drawn, values, table if claim.method == "stream" else None)
    population, wrong = _whole(labelled, values)
    p = binomial_p(counts.errors, counts.audited, claim.max_error)
    if claim.method == "hypergeometric":
        p = hypergeometric_p(counts.errors, counts.audited, np.broadcast_to(population, p.shape), claim.max_error)
    elif claim.method == "stream":
        p = np.minimum(p / WHOLE, np.exp(-counts.evidence) / (1 - WHOLE))
    holds, _ = passed(p, grid.starts, claim.delta, grid.parts)
    return _judged(holds, population, wrong, len(labelled.score), claim.max_error)


def _judged(
    holds: np.ndarray, population: np.ndarray, wrong: np.ndarray, items: int, max_error: float
) -> tuple[float, float]:
    last = holds.shape[1] - 1 - np.argmax(holds[:, ::-1], axis=1)
    has_any = holds.any(axis=1)
    broken = has_any & (wrong[last] > max_error * population[last] + 1e-9)
    return float(np.where(has_any, population[last], 0).mean() / items), float(broken.mean())


def _naive(labelled: Labelled, drawn: np.ndarray, max_error: float) -> tuple[float, float]:
    """Return the same of who takes the least threshold above which no more than `max_error` of the audit is wrong."""
    ordered = np.sort(labelled.score)[::-1]
    places = np.ceil(np.arange(1, NAIVE_STEPS + 1) / NAIVE_STEPS * len(ordered)).astype(int) - 1
    values = np.unique(ordered[places])[::-1]
    counts = _counts(labelled, drawn, values, None)
    holds = (counts.audited > 0) & (counts.errors <= max_error * counts.audited)
    return _judged(holds, *_whole(labelled, values), len(labelled.score), max_error)


def _counts(labelled: Labelled, drawn: np.ndarray, values: np.ndarray, table: np.ndarray | None) -> Drawn:
    score, wrong = labelled.score[drawn], labelled.wrong[drawn]
    audited, errors, evidence = (np.zeros((len(drawn), len(values))) for _ in range(3))
    for place, value in enumerate(values):
        above = score >= value
        if table is None:
            audited[:, place], errors[:, place] = above.sum(axis=1), (above & wrong).sum(axis=1)
            continue
        seen, missed = above.cumsum(axis=1, dtype=np.int32), (above & wrong).cumsum(axis=1, dtype=np.int32)
        audited[:, place], errors[:, place] = seen[:, -1], missed[:, -1]
        evidence[:, place] = np.maximum(table[seen, missed].max(axis=1), 0)
    return Drawn(audited.astype(int), errors.astype(int), evidence)


def _whole(labelled: Labelled, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return of each threshold how many items are above it, and how many of them are wrong."""
    above = labelled.score[:, None] >= values
    return above.sum(axis=0), (above & labelled.wrong[:, None]).sum(axis=0)


def _best(labelled: Labelled, max_error: float) -> float:
    """Return the largest share that could be accepted if the truth were known."""
    order = np.argsort(-labelled.score, kind="stable")
    ordered, count = labelled.score[order], np.arange(1, len(order) + 1)
    is_last = np.append(ordered[1:] != ordered[:-1], True)  # of equal scores all or none
    holds = is_last & (labelled.wrong[order].cumsum() <= max_error * count)
    return float(count[holds].max(initial=0) / len(order))


def _evidence(most: int, max_error: float) -> np.ndarray:
    """Return a stream's evidence of so many audits (rows) with so many errors (columns)."""
    audited, errors = np.meshgrid(np.arange(most + 1), np.arange(most + 1), indexing="ij")
    rows = [stream_evidence(np.minimum(k, n), n, max_error) for k, n in zip(errors, audited, strict=True)]
    return np.array(rows)


def _overall(every: np.ndarray) -> Iterator[str]:
    """Yield, of each method, how much of what could be accepted is, and how often promises are broken at most."""
    possible = every[every[:, 0] >= 0.05]  # of next to nothing a share says little
    for place, name in enumerate((*METHODS, "naive")):
        share, broken = every[:, 1 + 2 * place], every[:, 2 + 2 * place]
        of_best = possible[:, 1 + 2 * place] / possible[:, 0]
        yield (
            f"  {name:<17} of the best share {100 * of_best.mean():5.1f} %; accepted {100 * share.mean():5.1f} %;"
            f" promises broken {100 * broken.mean():5.2f} % on average, {100 * broken.max():5.1f} % at most,"
            f" over {100 * (1 - CONFIDENCE):.0f} % in {int((broken > 1 - CONFIDENCE).sum())} of {len(every)}"
        )


def _slices() -> Iterator[str]:
    """Yield what becomes of slices: misinformation by its source, certified by slice and as a whole."""
    labelled, slices = _misinfo()
    rng = np.random.default_rng(7)
    names = np.unique(slices)
    yield "slices of misinfo, 1,000 draws of 500 audits: share accepted, then draws with a slice that has too many errors, %"
    for max_error in MAX_ERRORS:
        claim = Claim(max_error, CONFIDENCE, "hypergeometric")
        ours = [_slice_draw(labelled, slices, names, claim, rng.permutation(len(slices))[:500]) for _ in range(1_000)]
        naive = [
            _naive_draw(labelled, slices, names, max_error, rng.permutation(len(slices))[:500]) for _ in range(1_000)
        ]
        cells = "".join(
            f"{100 * np.mean(one, axis=0)[0]:8.1f}{100 * np.mean(one, axis=0)[1]:7.1f}" for one in (ours, naive)
        )
        yield f"  error {max_error:4.2f}   by slice, then one naive threshold for all {cells}"


def _slice_draw(
    labelled: Labelled, slices: np.ndarray, names: np.ndarray, claim: Claim, drawn: np.ndarray
) -> tuple[float, bool]:
    place = np.zeros(len(slices), dtype=int)
    place[drawn] = np.arange(1, len(drawn) + 1)
    whole = Sample(labelled.score, place, labelled.wrong & (place > 0), place > 0)
    samples = {name: Sample(*(column[slices == name] for column in vars(whole).values())) for name in names}
    found = certify_slices(samples, claim)
    least = np.array([np.inf if found[name].threshold is None else found[name].threshold for name in names])
    return _accepted(labelled, slices, names, least[np.searchsorted(names, slices)], claim.max_error)


def _naive_draw(
    labelled: Labelled, slices: np.ndarray, names: np.ndarray, max_error: float, drawn: np.ndarray
) -> tuple[float, bool]:
    values = np.unique(labelled.score)
    counts = _counts(labelled, drawn[None], values, None)
    holds = values[(counts.audited[0] > 0) & (counts.errors[0] <= max_error * counts.audited[0])]
    return _accepted(labelled, slices, names, np.full(len(slices), holds.min(initial=np.inf)), max_error)


def _accepted(
    labelled: Labelled, slices: np.ndarray, names: np.ndarray, least: np.ndarray, max_error: float
) -> tuple[float, bool]:
    accepted, code = labelled.score >= least, np.searchsorted(names, slices)
    items = np.bincount(code[accepted], minlength=len(names))
    wrong = np.bincount(code[accepted], labelled.wrong[accepted], minlength=len(names))
    # what few items do is chance: a slice counts if it has 20 that are accepted
    return float(accepted.mean()), bool(((items >= 20) & (wrong > max_error * items)).any())


def _nights() -> Iterator[str]:
    """Yield how often a promise is ever broken where as many are wrong as must not be, and each night is looked at."""
    rng = np.random.default_rng(3)
    looks = np.append(np.arange(20, 301, 20), np.arange(305, 801, 5))  # 20 answers a night, then 5 to keep watch
    yield f"{STREAMS:,} streams with exactly as many errors as must not be, 300 audits and 500 more: ever certified, %"
    for max_error in (0.05, 0.10):
        errors = np.concatenate([
            (rng.random((1000, looks[-1])) < max_error).cumsum(axis=1, dtype=np.int32) for _ in range(STREAMS // 1000)
        ])  # fmt: skip
        at = errors[:, looks - 1]
        each_night = (binomial_p(at, np.broadcast_to(looks, at.shape), max_error) <= 1 - CONFIDENCE).any(axis=1)
        table = _evidence(looks[-1], max_error)
        ever = np.maximum(table[np.arange(1, looks[-1] + 1), errors].max(axis=1), 0)
        whole = binomial_p(errors[:, 299], np.full(STREAMS, 300), max_error) / WHOLE
        stream = np.minimum(whole, np.exp(-ever) / (1 - WHOLE)) <= 1 - CONFIDENCE
        yield (
            f"  error {max_error:4.2f}   Clopper–Pearson each night {100 * each_night.mean():5.1f}"
            f"   stream {100 * stream.mean():5.1f}   allowed {100 * (1 - CONFIDENCE):.0f}"
        )


def _least() -> Iterator[str]:
    errors = (0, 1, 2, 3, 5, 10, 20)
    yield f"{'least audits, 90 % confidence':<30}" + "".join(f"{count:>8}" for count in errors) + "  errors"
    for max_error in (0.05, 0.10):
        for method in ("binomial", "stream"):
            claim = Claim(max_error, CONFIDENCE, method)
            counts = "".join(f"{least_audits(claim, count):8,}" for count in errors)
            yield f"  error {max_error:4.2f}, {method:<15}{counts}"


def _simulated() -> Iterator[tuple[str, Labelled]]:
    """Yield sets of 20,000 items whose chance of being wrong is known."""
    rng = np.random.default_rng(1)
    score = rng.random(20_000)
    chances = {
        "calibrated": (1 - score) / 2,
        "10.5 % wrong": np.full_like(score, 0.105),
        "surest half wrong": np.where(score > 0.9, 0.5, 0.02),
        "five scores only": 0.5 * (1 - np.ceil(score * 5) / 5),
    }
    for name, chance in chances.items():
        seen = np.ceil(score * 5) / 5 if name == "five scores only" else score
        yield f"simulated: {name}"[:32], Labelled(seen, rng.random(len(score)) < chance)


def _real() -> Iterator[tuple[str, Labelled]]:
    stance = f"from '{DATA}/pac_labels/stance.csv'"
    yield (
        "mmlu_confidence",
        _read(f"confidence, not is_correct::boolean from '{DATA}/mmlu_confidence/Qwen3-32B_mmlu.csv'"),
    )
    yield "pac_labels stance", _read(f'confidence, Y <> "Yhat (GPT4o)" {stance}')
    yield "pac_labels misinfo", _misinfo()[0]
    for name, folder, where in (
        ("politeness_gpt4o", "politeness_gpt4o", "true"),
        ("llm_conf_dev global_warming", "llm_conf_dev", "item_id like 'gw-%'"),
        ("llm_conf_dev mrpc", "llm_conf_dev", "item_id not like 'gw-%'"),
    ):
        said, gold = f"'{DATA}/{folder}/annotations.jsonl' said", f"'{DATA}/{folder}/gold.jsonl' gold"
        yield name, _read(f"confidence, said.label <> gold.label from {said} join {gold} using (item_id) where {where}")
    for name in ("imdb", "20news"):
        file = f"'{DATA}/label_errors_text/{name}_pred_probs.parquet'"
        yield f"label_errors_text {name}", _read(f"list_max(pred_probs), given_label <> argmax from {file}")
    for name in AGREEMENT:
        yield name, _by_agreement(name, "gpt-4o")
    yield "pandalm_pref", _by_agreement("pandalm_pref", "pandalm-7b")


def _read(query: str) -> Labelled:
    score, wrong = zip(*duckdb.sql(f"select {query}").fetchall(), strict=True)
    return Labelled(np.array(score, dtype=float), np.array(wrong, dtype=bool))


def _misinfo() -> tuple[Labelled, np.ndarray]:
    rows = duckdb.sql(f"""
        select confidence, Y <> "Yhat (GPT4o)", coalesce(source, '') from '{DATA}/pac_labels/misinfo.csv'
    """).fetchall()
    score, wrong, source = zip(*rows, strict=True)
    return Labelled(np.array(score, dtype=float), np.array(wrong, dtype=bool)), np.array(source)


def _by_agreement(folder: str, annotator: str) -> Labelled:
    """Return one model's labels against most people's; its score is the share of models that say the same."""
    people, models = defaultdict(list), defaultdict(dict)
    for line in (DATA / folder / "annotations.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["annotator_kind"] == "human":
            people[row["item_id"]].append(row["label"])
        else:
            models[row["item_id"]][row["annotator_id"]] = row["label"]
    rows = []
    for item, said in models.items():
        most = Counter(people[item]).most_common(2)
        is_tie = not most or (len(most) > 1 and most[0][1] == most[1][1])
        if annotator in said and not is_tie:
            label = said[annotator]
            rows.append((np.mean([one == label for one in said.values()]), label != most[0][0]))
    score, wrong = zip(*rows, strict=True)
    return Labelled(np.array(score), np.array(wrong, dtype=bool))
