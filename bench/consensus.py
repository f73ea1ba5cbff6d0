"""Consensus beside crowd-kit's, on the same table of labels, in one run: seconds, ratio and peak memory."""

import tempfile
from pathlib import Path

import duckdb

from bench.process import timed

ROUNDS = 20  # of each, whatever either would think of having settled
SIZES = {
    "dawid-skene": (100_000, 1_000_000, 10_000_000),
    "mace": (100_000, 1_000_000),
    "glad": (5_000,),  # theirs takes a minute for every few thousand
}
LARGE = 10_000_000  # labels from which one run must do

# Each runs in a process of its own, so that its peak memory is its own; both begin with the table of strings in memory.
OURS = """
import duckdb
from tasks.posterior import labels_in_use, posterior, votes
connection = duckdb.connect()
connection.execute(f"create table vote as select * from '{file}'")
def work():
    labels = labels_in_use(connection)
    return posterior(votes(connection), labels, method, smoothing=smoothing, tolerance=0, most_rounds=rounds)
def tell(found):
    return dict(zip(found.item_ids.slice(0, 1000).to_pylist(), found.matrix[:1000].tolist()))
"""
THEIRS = """
import duckdb, numpy
from crowdkit.aggregation import GLAD, MACE, DawidSkene
query = f"select item_id as task, annotator_id as worker, label from '{file}'"
frame = duckdb.sql(query).df()
model = {
    "dawid-skene": lambda: DawidSkene(n_iter=rounds, tol=-numpy.inf),
    "mace": lambda: MACE(n_iter=rounds, n_restarts=1),
    "glad": lambda: GLAD(n_iter=rounds, tol=-numpy.inf),
}[method]
def work():
    return model().fit(frame)
def tell(found):
    table = found.probas_.sort_index().sort_index(axis=1)[:1000]
    return dict(zip(table.index.tolist(), table.to_numpy().tolist()))
"""


def figures() -> list[str]:
    """Return one block per method: seconds of ours, coding of the strings included, and of crowd-kit's."""
    lines = []
    for method, sizes in SIZES.items():
        for size in sizes:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "labels.parquet"
                write(file, size)
                lines += _beside(file, size, method)
    return lines


def write(file: Path, size: int) -> None:
    """Write labels in no order: four annotators an item, any of 200, each right as often as befits them; five labels."""
    duckdb.connect().execute(f"""
        copy (
            select
                'item-' || n // 4 as item_id,
                'annotator-' || who as annotator_id,
                'label-' || case when hash(n, 1) % 100 < 55 + who % 40 then hash(n // 4) % 5 else hash(n, 2) % 5 end as label
            from (select n, (hash(n // 4, 3) + n % 4 * (1 + hash(n // 4, 4) % 49)) % 200 as who from range({size}) as rows (n))
            order by hash(n, 5)
        ) to '{file}' (format parquet)
    """)


def _beside(file: Path, size: int, method: str) -> list[str]:
    times = 1 if size >= LARGE else 3
    ours = _run(OURS, file, method, 3)
    theirs = _run(THEIRS, file, method, times if method == "dawid-skene" else 1)
    apart = max(
        abs(p - q) for item, row in ours["told"].items() for p, q in zip(row, theirs["told"][item], strict=True)
    )
    same = f"; probabilities apart by at most {apart:.0e}" if method == "dawid-skene" else ""
    return [
        f"{method}, {ROUNDS} rounds, {size:,} labels (strings, in no order){same}",
        f"  {'assay, coding of the strings included':<44}{_shown(ours)}   1.0 ×",
        f"  {'crowd-kit, from a pandas frame':<44}{_shown(theirs)} {theirs['seconds'] / ours['seconds']:5.1f} ×",
    ]


def _run(work: str, file: Path, method: str, times: int) -> dict:
    """Return what one of the two took."""
    smoothing = 0 if method == "dawid-skene" else 2  # theirs has no prior there
    return timed(work, times, file=str(file), method=method, rounds=ROUNDS, smoothing=smoothing)


def _shown(figure: dict) -> str:
    return f"{figure['seconds']:8.2f} s {figure['peak']:7,.0f} MB peak, {figure['beyond']:6,.0f} beyond the table"
