"""`assay measure` beside what one would use instead, on the same table, in one run: seconds, ratio and peak memory."""

import tempfile
from pathlib import Path

import duckdb

from bench.process import timed

LABELS, SIZES = 5, (100_000, 1_000_000, 10_000_000)
LARGE, LARGE_LIMIT = 100_000_000, "3GB"  # beyond memory: what DuckDB may hold, so that the whole stays below 4 GB

BARE = """
import duckdb
def work():
    return duckdb.connect().sql(
        f"select count(*) from (select item_id, label, count(*) as n from '{file}' group by item_id, label)"
    ).fetchone()
"""
POINTS = """
import duckdb
from tasks.agreement.coefficients import coefficients
from tasks.agreement.patterns import Weights, pattern_votes, patterns_of
from tasks.sql import keep, relation
import numpy
def work():
    connection = duckdb.connect()
    connection.execute(f"create view vote as from '{file}'")
    for table in ("label_mark", "item_pattern", "item_part", "pattern_count", "pattern_label"):
        keep(connection, table)
    labels = [label for (label,) in relation(connection, "label_set").fetchall()]
    patterns = patterns_of(connection)
    units, first = numpy.unique(patterns.units, return_index=True)
    sample = Weights(units, patterns.expected[first][:, None])  # no replicates
    return coefficients(patterns, pattern_votes(connection, labels), sample, labels, "nominal")
"""
ALL = """
from flows.measure import measure
def work():
    return measure(file)
"""
LIMITED = """
from flows.measure import measure
def work():
    return measure(file, memory_limit=limit)
def tell(found):
    return found["annotations"]
"""
FRAME = """
import duckdb
frame = duckdb.sql(f"select item_id as task, annotator_id as worker, label from '{file}'").df()
"""
CROWDKIT_ALPHA = (
    FRAME
    + """
from crowdkit.metrics.data import alpha_krippendorff
def work():
    return alpha_krippendorff(frame)
"""
)
CROWDKIT_UNCERTAINTY = (
    FRAME
    + """
from crowdkit.metrics.data import uncertainty
def work():
    return uncertainty(frame, compute_by="task", aggregate=False)
"""
)
KRIPPENDORFF = """
import duckdb, krippendorff, numpy
def work():
    codes = duckdb.sql(f'''
        select dense_rank() over (order by item_id) - 1 as item, dense_rank() over (order by label) - 1 as label
        from '{file}'
    ''').fetchnumpy()
    counts = numpy.zeros((codes["item"].max() + 1, codes["label"].max() + 1), int)
    numpy.add.at(counts, (codes["item"], codes["label"]), 1)
    return krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
"""
CLEANLAB = (
    FRAME
    + """
import numpy
from cleanlab.multiannotator import get_label_quality_multiannotator
frame["label"] = frame["label"].astype("category").cat.codes
wide = frame.drop_duplicates(["task", "worker"]).pivot(index="task", columns="worker", values="label")
given = numpy.full((len(wide), int(frame["label"].max()) + 1), 1 / (frame["label"].max() + 1))
def work():
    return get_label_quality_multiannotator(wide, given, verbose=False)
"""
)
OTHERS = (
    ("crowd-kit (alpha alone, no interval)", CROWDKIT_ALPHA, 10_000_000),
    ("crowd-kit (entropy of an item alone)", CROWDKIT_UNCERTAINTY, 100_000),
    ("krippendorff (alpha alone, no interval)", KRIPPENDORFF, 1_000_000),
    ("cleanlab multiannotator (agreement, quality)", CLEANLAB, 1_000_000),
)
"""What one would use instead, and the most labels it is asked about: beyond, it takes minutes or all memory."""


def figures() -> list[str]:
    """Return one block per size: seconds and peak memory of each, and the ratio to a bare group-by of the same file."""
    with tempfile.TemporaryDirectory() as folder:
        lines = [line for size in SIZES for line in _beside(Path(folder), size)]
        return lines + _large(Path(folder))


def _beside(folder: Path, size: int) -> list[str]:
    file = str(written(folder, size))
    bare, points, ours = (timed(code, 5, file=file) for code in (BARE, POINTS, ALL))
    lines = [
        f"agreement and entropy of {size:,} labels (Parquet, text keys, in no order), best of five",
        _line("bare DuckDB group by item, label", bare, bare),
        _line("assay, the five coefficients, no interval", points, bare),
        _line("assay measure, all of it, 1,000 replicates", ours, bare),
    ]
    for name, code, most in OTHERS:
        if size <= most:
            lines.append(_line(name, timed(code, 1 if size > 100_000 else 2, file=file), bare))
    return lines


def _large(folder: Path) -> list[str]:
    file = str(written(folder, LARGE))
    bare, ours = timed(BARE, 1, file=file), timed(LIMITED, 1, file=file, limit=LARGE_LIMIT)
    return [
        f"{LARGE:,} labels, with `--memory-limit {LARGE_LIMIT}`, once: {ours['told']:,} measured",
        _line("bare DuckDB group by item, label, no limit", bare, bare),
        _line("assay measure, all of it", ours, bare),
    ]


def _line(name: str, figure: dict, bare: dict) -> str:
    ratio = figure["seconds"] / bare["seconds"]
    return f"  {name:<46}{figure['seconds']:9.3f} s {ratio:8.1f} × {figure['peak']:8,.0f} MB peak"


def written(folder: Path, size: int) -> Path:
    """Return a file of labels in no order: four annotators an item, each right four times of five."""
    file = folder / f"{size}.parquet"
    duckdb.connect(config={"memory_limit": "12GB", "temp_directory": str(folder)}).execute(f"""
        copy (
            select
                'item-' || (n // 4) as item_id,
                'annotator-' || (hash(n // 4) + n % 4) % 50 as annotator_id,
                'label-' || case when hash(n, 1) % 5 > 0 then hash(n // 4) % {LABELS} else hash(n, 2) % {LABELS} end as label
            from range({size}) as rows (n)
            order by hash(n, 3)
        ) to '{file}' (format parquet)
    """)
    return file
