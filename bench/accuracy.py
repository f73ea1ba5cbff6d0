"""How often each method finds the gold label, beside crowd-kit's method of the same name on the same rows."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
from crowdkit import aggregation
from crowdkit.aggregation import GLAD, MACE, DawidSkene, MajorityVote, OneCoinDawidSkene

from tasks.posterior import labels_in_use, posterior, votes

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
METHODS = ("majority", "weighted-majority", "one-coin", "dawid-skene", "mace", "glad")  # the sets have no ratings
ROUNDS = 50
SLOW = 5_500  # labels beyond which crowd-kit's GLAD takes many minutes


def figures() -> list[str]:
    """Return one line per set: accuracy in per cent of each method, ours and then crowd-kit's; a tie counts in part."""
    if not DATA.is_dir():
        return ["accuracy against gold: the public sets are not here"]
    head = f"{'accuracy against gold, ours | crowd-kit, %':<36}{'gold':>6}" + "".join(f"{m[:13]:>15}" for m in METHODS)
    lines, ours, theirs = [head], [], []
    for name, connection in sets():
        ours.append([_ours(connection, method) for method in METHODS])
        theirs.append([_theirs(connection, method) for method in METHODS])
        count = connection.sql("select count(*) from gold").fetchall()[0][0]
        lines.append(f"  {name:<34}{count:6,}" + _cells(ours[-1], theirs[-1]))
    return [*lines, f"  {'mean (sets where both answer)':<40}" + _cells(*_means(np.array(ours), np.array(theirs)))]


def sets() -> Iterator[tuple[str, duckdb.DuckDBPyConnection]]:
    """Yield the name of each set with gold, and a connection with its `vote` and `gold`."""
    suite = DATA / "agg_suite_dev"
    names = duckdb.sql(f"select distinct dataset from '{suite}/gold.parquet' order by dataset").fetchall()
    for (name,) in names:
        where = f"where dataset = '{name}'"
        yield name, _opened(f"'{suite}/annotations.parquet' {where}", f"'{suite}/gold.parquet' {where}")
    rte = DATA / "snow_rte"
    yield "snow_rte", _opened(f"'{rte}/annotations.jsonl'", f"'{rte}/gold.jsonl'")


def _opened(votes: str, gold: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(f"""
        create table vote as select item_id, annotator_id, label from {votes};
        create table gold as select item_id, label from {gold};
    """)
    return connection


def _ours(connection: duckdb.DuckDBPyConnection, method: str) -> float:
    labels = labels_in_use(connection)
    found = posterior(votes(connection), labels, method)
    return _accuracy(connection, found.item_ids.to_pylist(), labels, found.matrix)


def _theirs(connection: duckdb.DuckDBPyConnection, method: str) -> float:
    frame = connection.sql("select item_id as task, annotator_id as worker, label from vote order by all").df()
    if method == "glad" and len(frame) > SLOW:
        return np.nan
    found = _probabilities(frame, method)
    return _accuracy(connection, found.index.tolist(), found.columns.tolist(), found.to_numpy())


def _probabilities(frame, method: str):
    if method == "weighted-majority":  # its own class fails with scikit-learn 1.7 and later, so its two steps
        majority = MajorityVote().fit(frame).labels_
        skill = aggregation.utils.get_accuracy(frame, true_labels=majority, by="worker")
        return MajorityVote().fit(frame, skills=skill).probas_.fillna(0)
    models = {
        "majority": MajorityVote(),
        "one-coin": OneCoinDawidSkene(n_iter=ROUNDS),
        "dawid-skene": DawidSkene(n_iter=ROUNDS),
        "mace": MACE(n_iter=ROUNDS, n_restarts=10),
        "glad": GLAD(n_iter=ROUNDS),
    }
    return models[method].fit(frame).probas_.fillna(0)


def _accuracy(connection: duckdb.DuckDBPyConnection, items: list, labels: list, matrix: np.ndarray) -> float:
    """Return the share of gold items whose most probable label is right; one of two equally probable is half right."""
    gold = dict(connection.sql("select item_id, label from gold").fetchall())
    place = {label: column for column, label in enumerate(labels)}
    known = [(row, place.get(gold[item], -1)) for row, item in enumerate(items) if item in gold]
    best = matrix >= matrix.max(axis=1, keepdims=True) - 1e-9
    right = [best[row, column] / best[row].sum() if column >= 0 else 0.0 for row, column in known]
    return 100 * float(np.mean(right))


def _cells(ours: list[float], theirs: list[float]) -> str:
    pairs = [f"{one:.1f} | {'–' if np.isnan(two) else f'{two:.1f}'}" for one, two in zip(ours, theirs, strict=True)]
    return "".join(f"{cell:>15}" for cell in pairs)


def _means(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each method over the sets that both answer for."""
    return np.nanmean(np.where(np.isnan(theirs), np.nan, ours), axis=0), np.nanmean(theirs, axis=0)
