"""`assay measure` beside what one would use instead, on the same table, in one run."""

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import krippendorff
import numpy as np

from flows.measure import measure

LABELS, SIZES = 5, (100_000, 1_000_000)


def figures() -> list[str]:
    """Return one block per size: seconds of each, and the ratio to a bare group-by of the same file."""
    lines = []
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "labels.parquet"
            _write(file, size)
            bare = best(lambda file=file: _group(file))
            lines.append(f"agreement and entropy of {size:,} labels (Parquet, text keys), best of three")
            lines.append(f"  {'bare DuckDB group by item, label':<44}{bare:8.3f} s   1.0 ×")
            ours = best(
                lambda file=file: measure(file, "item_id", "annotator_id", "label", "time", "choice", None, None)
            )
            lines.append(f"  {'assay measure (four coefficients, intervals)':<44}{ours:8.3f} s {ours / bare:5.1f} ×")
            if size <= 100_000:
                theirs = best(lambda file=file: _krippendorff(file))
                lines.append(f"  {'krippendorff (alpha alone, no interval)':<44}{theirs:8.3f} s {theirs / bare:5.1f} ×")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [*lines, f"  peak memory of all of it {peak:,.0f} MB"]


def best(work: Callable[[], object], times: int = 3) -> float:
    """Return the seconds of the fastest of several runs."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _write(file: Path, size: int) -> None:
    """Write labels of four annotators an item, each right four times of five."""
    duckdb.connect().execute(f"""
        copy (
            select
                'item-' || (n // 4) as item_id,
                'annotator-' || (hash(n // 4) + n % 4) % 50 as annotator_id,
                'label-' || case when hash(n, 1) % 5 > 0 then hash(n // 4) % {LABELS} else hash(n, 2) % {LABELS} end as label
            from range({size}) as rows (n)
        ) to '{file}' (format parquet)
    """)


def _group(file: Path) -> None:
    duckdb.connect().sql(f"select item_id, label, count(*) as n from '{file}' group by item_id, label").fetchnumpy()


def _krippendorff(file: Path) -> float:
    table = (
        duckdb.connect()
        .sql(f"""
        select
            dense_rank() over (order by item_id) - 1 as item,
            dense_rank() over (order by label) - 1 as label
        from '{file}'
    """)
        .fetchnumpy()
    )
    counts = np.zeros((table["item"].max() + 1, LABELS), int)
    np.add.at(counts, (table["item"], table["label"]), 1)
    return krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
