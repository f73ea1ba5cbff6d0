"""What the review queue's order is worth: errors found, labels to a certified share, accuracy a label bought, and its time."""

import json
import tempfile
from collections.abc import Callable, Iterator

import duckdb
import numpy as np
import pyarrow as pa

from bench.estimate import DATA, Labelled, sets
from bench.process import timed
from tasks.certificate import Claim, Sample, certify, thresholds
from tasks.posterior import Votes, entropy_nats
from tasks.posterior.opinions import Opinions, mean, opinions, people
from tasks.posterior.votes import annotations, vote_counts
from tasks.review.activelab import weighed
from tasks.review.belief import pooled
from tasks.review.gain import UNKNOWN, accuracy, gain_nats

SETS = ("mmlu_confidence", "pac_labels stance", "politeness_gpt4o")
DRAWS = 100  # of audits, and of the order that equals come in
REVIEWED = (0.1, 0.2, 0.3, 0.5)
CLAIM, TARGETS, AUDITS = Claim(0.1, 0.9, "hypergeometric"), (0.8, 0.9), (300, 1_000, 2_000)
STEPS = 25  # sizes of an audit that is drawn on until it certifies enough
BUYERS, PART, PER_ITEM = 20, 0.05, (0.5, 1, 1.5, 2, 3)  # draws; of the items, bought at once; labels an item
WAYS = (
    "the queue, min_labels 2",
    "the queue, min_labels 1",
    "one belief for both, min_labels 1",
    "ActiveLab's belief for both, min_labels 2",
    "entropy of the belief",
    "fewest labels first",
    "at random",
)
SIZES = (100_000, 1_000_000)


def figures() -> Iterator[str]:
    """Yield the lines of every table."""
    if DATA.is_dir():
        real = {name: labelled for name, labelled in sets() if name in SETS}
        yield from _errors(real)
        yield from _certified(real)
        yield from _bought()
    else:
        yield "the worth of the queue's order: the public sets are not here"
    yield from _time()


def _errors(real: dict[str, Labelled]) -> Iterator[str]:
    yield f"errors of models found by reviewing {', '.join(f'{share:.0%}' for share in REVIEWED)} of the items, and the error left"
    trials = {name: (labelled.correct == 0, _orders(labelled)) for name, labelled in real.items()}
    trials["alttest_cebab_aspects, mean of six models"] = _several()
    for name, (wrong, orders) in trials.items():
        yield f"  {name}, {len(wrong):,} items, {wrong.mean():.3f} wrong"
        for order, worth in orders.items():
            found = np.mean([_found(wrong, worth, seed) for seed in range(DRAWS)], axis=0)
            left = "".join(f"{wrong.mean() * (1 - share):7.3f}" for share in found)
            yield f"    {order:<20}" + "".join(f"{share:>5.0%}" for share in found) + "  " + left


def _orders(labelled: Labelled) -> dict[str, np.ndarray]:
    """Return what each order ranks items by, the greatest first; a model shares what it leaves evenly."""
    labels, items = np.unique(labelled.truth), np.arange(len(labelled.truth))
    rest = (1 - labelled.score) / (len(labels) - 1)
    spread = np.where(labelled.model[:, None] == labels, labelled.score[:, None], rest[:, None])
    return _unlabelled(Opinions(items, np.zeros(len(items), int), spread, pa.array(["model"])), items)


def _unlabelled(said: Opinions, items: np.ndarray) -> dict[str, np.ndarray]:
    """Return the same of what models alone have labelled."""
    nobody = Votes(*(np.zeros(0, int),) * 3, pa.array(items), pa.array([], pa.string()))
    belief = pooled(nobody, said, said.probability.shape[1], UNKNOWN)
    return {
        "expected gain": gain_nats(belief.matrix, UNKNOWN, np.full(len(items), 2)),
        "entropy": entropy_nats(belief.models),
        "at random": np.zeros(len(items)),
    }


def _several() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return which items six models get wrong together, and what each order ranks them by."""
    votes, said, labels = _opened("alttest_cebab_aspects")
    truth = vote_counts(votes, len(labels)).argmax(axis=1)
    alone = mean(said, len(truth), np.ones(len(said.annotator_ids)))[0]
    return alone.argmax(axis=1) != truth, _unlabelled(said, np.arange(len(truth)))


def _found(wrong: np.ndarray, worth: np.ndarray, seed: int) -> list[float]:
    """Return the share of errors among the first of an order, equals in random order."""
    order = np.lexsort((np.random.default_rng(seed).random(len(worth)), -worth.round(9)))
    return [wrong[order[: round(share * len(wrong))]].sum() / wrong.sum() for share in REVIEWED]


def _certified(real: dict[str, Labelled]) -> Iterator[str]:
    yield f"people's labels until so many items are theirs, or accepted (at most {CLAIM.max_error:.0%} wrong, {CLAIM.confidence:.0%}); mean, 5–95 %"
    for name, labelled in real.items():
        head = "".join(f"{f'to {target:.0%}':>25}" for target in TARGETS)
        yield f"  {f'{name}, {len(labelled.truth):,} items':<44}{head}"
        for way, labels in _ways(labelled).items():
            found = np.array([labels(seed) for seed in range(DRAWS)])
            middle, low, high = found.mean(axis=0), *np.quantile(found, (0.05, 0.95), axis=0)
            cells = (f"{m:,.0f} ({a:,.0f}–{b:,.0f})" for m, a, b in zip(middle, low, high, strict=True))
            yield f"    {way:<42}" + "".join(f"{cell:>25}" for cell in cells)


def _ways(labelled: Labelled) -> dict[str, Callable[[int], np.ndarray]]:
    """Return, by the way people's labels are spent, how many it takes to each target, as functions of a seed."""
    wanted = np.round(np.array(TARGETS) * len(labelled.truth))
    sizes = np.unique(np.r_[np.geomspace(50, wanted.max(), STEPS), wanted].astype(int))

    def audit_alone(seed: int) -> np.ndarray:
        covered = np.array([_covered(labelled, seed, audit) for audit in sizes])
        return np.array([sizes[(covered >= want).argmax()] if (covered >= want).any() else want for want in wanted])

    def audit_first(audit: int) -> Callable[[int], np.ndarray]:
        return lambda seed: audit + np.maximum(wanted - _covered(labelled, seed, audit), 0)

    ways = {f"audit of {audit:,}, then the rest by the queue": audit_first(audit) for audit in AUDITS}
    return ways | {
        "audit alone, until it is enough": audit_alone,
        "most uncertain first, which certifies none": lambda seed: wanted,
    }


def _covered(labelled: Labelled, seed: int, audit: int) -> int:
    """Return how many items are accepted under the certificate of an audit, or were labelled in it."""
    place = np.zeros(len(labelled.truth), int)
    place[np.random.default_rng(seed).permutation(len(place))[:audit]] = np.arange(1, min(audit, len(place)) + 1)
    sample = Sample(labelled.score, place, (place > 0) & (labelled.correct == 0), place > 0)
    found = certify(sample, thresholds(labelled.score, CLAIM, audit), CLAIM)
    is_accepted = labelled.score >= (np.inf if found.threshold is None else found.threshold)
    return int((is_accepted | (place > 0)).sum())


def _bought() -> Iterator[str]:
    yield f"items right when so many labels an item were bought, {PART:.0%} of the items at a time, mean of {BUYERS} draws:"
    yield "by majority of what was bought, else by models (left); with two labels or more and no tie, as the default asks (right)"
    for name in ("alttest_cebab_aspects", "snow_rte"):
        votes, said, labels = _opened(name)
        head = "".join(f"{n:>7}" for n in PER_ITEM)
        yield f"  {f'{name}, {len(votes.item_ids):,} items, {len(said.annotator_ids)} models':<46}{head}   {head}"
        for way in WAYS:
            found = np.mean([_buying(votes, said, labels, way, name, seed) for seed in range(BUYERS)], axis=0)
            cells = ("".join(f"{share:7.3f}" for share in part) for part in found.T)
            yield f"    {way:<44}" + "   ".join(cells)


def _buying(votes: Votes, said: Opinions, labels: list[str], way: str, name: str, seed: int) -> list[list[float]]:
    """Return the shares right after each number of labels an item; an item's labels come in random order."""
    rng, items, truth = np.random.default_rng(seed), len(votes.item_ids), _truth(votes, labels, name)
    order = np.lexsort((rng.random(len(votes.item)), votes.item))
    age = np.arange(len(order)) - np.searchsorted(votes.item[order], votes.item[order])
    models = mean(said, items, np.ones(len(said.annotator_ids)))[0]
    has, bought, shares = np.bincount(votes.item, minlength=items), np.zeros(items, int), []
    while len(shares) < len(PER_ITEM):
        mine = order[age < bought[votes.item[order]]]
        seen = votes._replace(item=votes.item[mine], annotator=votes.annotator[mine], label=votes.label[mine])
        counts = vote_counts(seen, len(labels))
        if bought.sum() >= PER_ITEM[len(shares)] * items:
            shares.append([_right(counts + models / 2, truth), _right(counts, truth, is_settled=True)])
            continue
        worth = np.where(bought < has, _worth(way, seen, said, labels), -np.inf)
        bought[np.lexsort((rng.random(items), -worth))[: round(PART * items)]] += 1
    return shares


def _right(counts: np.ndarray, truth: np.ndarray, is_settled: bool = False) -> float:
    """Return the share of items whose greatest count is the truth's; one of two equal ones is half right, or settles none."""
    best = counts >= counts.max(axis=1, keepdims=True) - 1e-9
    right = best[np.arange(len(truth)), truth] / best.sum(axis=1)
    return float((right == 1)[counts.sum(axis=1) >= 2].sum() / len(truth) if is_settled else right.mean())


def _worth(way: str, seen: Votes, said: Opinions, labels: list[str]) -> np.ndarray:
    """Return what a way of buying ranks items by, the greatest first."""
    counts, bought = vote_counts(seen, len(labels)), annotations(seen)
    right = accuracy(counts)
    belief, one, missing = (
        pooled(seen, said, len(labels), right).matrix,
        np.ones(len(bought), int),
        (2 - bought).clip(1),
    )
    return {
        "the queue, min_labels 2": lambda: gain_nats(belief, right, missing),
        "the queue, min_labels 1": lambda: gain_nats(weighed(seen, said, labels).matrix, right, one),
        "one belief for both, min_labels 1": lambda: gain_nats(belief, right, one),
        "ActiveLab's belief for both, min_labels 2": lambda: gain_nats(
            weighed(seen, said, labels).matrix, right, missing
        ),
        "entropy of the belief": lambda: entropy_nats(belief),
        "fewest labels first": lambda: -bought.astype(float),
        "at random": lambda: np.zeros(len(bought)),
    }[way]().round(9)


def _truth(votes: Votes, labels: list[str], name: str) -> np.ndarray:
    """Return the place of each item's gold label; where there is none, of its people's majority."""
    gold = DATA / name / "gold.jsonl"
    if not gold.exists():
        return vote_counts(votes, len(labels)).argmax(axis=1)
    known = {row["item_id"]: str(row["label"]) for row in map(json.loads, gold.read_text().splitlines())}
    return np.array([labels.index(known[item]) for item in votes.item_ids.to_pylist()])


def _opened(name: str) -> tuple[Votes, Opinions, list[str]]:
    """Return people's votes and models' opinions of a set."""
    connection = duckdb.connect()
    connection.execute(f"""
        create table vote as
        select item_id, annotator_id, annotator_kind, label::varchar as label
        from read_json('{DATA / name / "annotations.jsonl"}')
    """)
    labels = [label for (label,) in connection.sql("select distinct label from vote order by label").fetchall()]
    votes = people(connection, labels)
    return votes, opinions(connection, votes, labels), labels


def _time() -> Iterator[str]:
    yield "seconds to draw the queue (everything: reading, ranking, writing both drafts); one item in twenty has people's labels"
    for items in SIZES:
        for models in (1, 0):
            with tempfile.TemporaryDirectory() as folder:
                found = timed(DRAWN, 3, folder=folder, items=items, models=models)
            who = "one model" if models else "no model"
            yield f"  {items:>9,} items, {who:<10} {found['seconds']:6.2f} s {found['peak']:7,.0f} MB peak   {found['told']}"


DRAWN = '''
import collections, datetime, pathlib
import duckdb, polars
import flows
from prefect.logging import disable_run_logger
from schemas.row import columns
from schemas.run import started
from tasks.consensus import settle
from tasks.review import draw_queue
from tasks.store import TABLES, Store

(pathlib.Path(folder) / "curation.yaml").write_text("""
name: big
labels: {kind: choice, values: {a: A., b: B., c: C.}}
sources: [{path: 'data/{as_of}.jsonl'}]
annotators:
  - {name: crowd, kind: human, path: 'labels/{as_of}.csv', fields: {item: item, annotator: who, label: label}}
review: {budget: 200}
consensus: {method: majority}
""")
run = started(folder, datetime.date(2026, 11, 17), "then", folder + "/home")
source, store = duckdb.connect(), Store(run.store)
stamp = "timestamptz '2026-11-17 00:00:00Z' as recorded_at, date '2026-11-17' as available_on, 'r' as run_id"
source.execute(f"create table n as select n, md5(n::varchar) as item_id from range({items}) as t (n)")
words = "list_aggregate(list_transform(range(18), lambda k: 'w' || (hash(n, k) % (20 + 300 * (k % 4))) || ' '), 'string_agg', '')"
made = {
    "item": f"select item_id, {words} as text, '' as context, {stamp} from n",
    "document": f"select 'd' || item_id as document_id, item_id, n::varchar as source_id, 'p' as path, n as position, '' as text, '' as context, {stamp} from n",
    "split": f"select item_id, 'train' as split, 'hash' as rule, {stamp} from n",
    "neighbour": f"select 'x' || item_id as neighbour_id, item_id, md5((n + 1)::varchar) as near_item_id, 0.9 as similarity, {stamp} from n where n % 20 = 0",
}
voted = f"""select 'h' || item_id || w as annotation_id, null as item_id, 'd' || item_id as document_id, 'p' || (n + w * 7) % 50 as annotator_id, 'human' as annotator_kind,
    case when hash(n, w) % 10 < 8 then 'a' else 'b' end as label, null::struct(label varchar, probability double)[] as distribution from n, (select unnest([0, 1]) as w) where hash(n, 9) % 20 = 0 and (w = 0 or hash(n, 11) % 2 = 0)"""
said = """select 'm' || item_id, item_id, null, 'gpt', 'llm', 'a', [{'label': 'a', 'probability': p}, {'label': 'b', 'probability': (1 - p) * 0.7},
    {'label': 'c', 'probability': (1 - p) * 0.3}] from (select *, 0.4 + 0.6 * (hash(n, 5) % 1000) / 1000 as p from n)"""
made["annotation"] = f"select *, 'v' as annotator_version, 'none' as distribution_source, 'g' as guideline_version, {stamp} from ({voted}" + (f" union all {said})" if models else ")")
for table, query in made.items():
    rows = source.sql(query).pl()
    store.merge(table, rows.with_columns(polars.lit(None).alias(name) for name in columns(TABLES[table]).names if name not in rows.columns))
versions = {"gpt": "v"} if models else {}
with disable_run_logger():
    settle.fn(run, versions)
def work():
    with disable_run_logger():
        return draw_queue.fn(run, versions)
def tell(found):
    counts = collections.Counter(polars.read_parquet(run.drafts / "queue.parquet")["policy"])
    return ", ".join(f"{count} {policy}" for policy, count in sorted(counts.items()))
'''
