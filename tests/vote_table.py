"""Tables of votes, written so that a test shows them."""

import random

import duckdb
import numpy as np
import pyarrow as pa

from tasks.agreement.patterns import Patterns, PatternVotes


def connected(rows, columns="item_id, annotator_id, label"):
    """Return a connection whose `vote` holds the rows."""
    connection = duckdb.connect()
    names = columns.split(", ")
    frame = pa.table({name: pa.array([row[n] for row in rows], pa.string()) for n, name in enumerate(names)})
    connection.from_arrow(frame).create("vote")
    return connection


def votes(*lines):
    """Return rows from lines such as `X A yes`."""
    return [tuple(line.split()) for line in lines]


def matrix(*observers):
    """Return rows from one string of labels per observer; a dot is no label."""
    return [
        (f"{item:03}", f"observer {n}", label)
        for n, labels in enumerate(observers)
        for item, label in enumerate(labels.split() if " " in labels else labels)
        if label != "."
    ]


def counted(table):
    """Return rows from items × labels counts; who gave which label does not matter."""
    return [
        (f"{item:03}", f"{item}-{label}-{n}", str(label))
        for item, row in enumerate(table)
        for label, count in enumerate(row)
        for n in range(count)
    ]


def random_rows(items=300, seed=1):
    draw = random.Random(seed)
    return [
        (f"i{item}", f"a{person}", draw.choice("aabc"), draw.choice("st") if item % 9 else None, f"g{item % 40}")
        for item in range(items)
        for person in draw.sample(range(12), draw.randint(1, 5))
    ]


WITH_SLICES = "item_id, annotator_id, label, slice"
WITH_GROUPS = "item_id, annotator_id, label, slice, group_id"

EXAMPLE_C = matrix(
    "1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 ."
)


def patterned(*rows):
    """Return patterns, and their votes, of rows such as ("aab", "b", 3): people's labels, machines', and how many items."""
    rows = [(*row, 1)[:3] for row in rows]
    names = sorted({"".join(sorted(said)) for row in rows for said in row[:2] if said})
    entries = [(n, "abc".index(one), name.count(one)) for n, name in enumerate(names) for one in sorted(set(name))]
    numbers = [[names.index("".join(sorted(row[kind]))) if row[kind] else -1 for row in rows] for kind in (0, 1)]
    sizes = [np.array([len(row[kind]) for row in rows]) for kind in (0, 1)]
    items, ones = np.array([row[2] for row in rows]), np.ones(len(rows), dtype=int)
    patterns = Patterns(
        slices=np.full(len(rows), None), units=np.arange(len(rows)).astype(np.uint64), is_grouped=ones < 1,
        numbers=np.array(numbers[0]), ratings=sizes[0], items=items, drawn=ones, expected=items,
        machine_numbers=np.array(numbers[1]), machine_ratings=sizes[1],
    )  # fmt: skip
    numbers, codes, counts = (np.array(column) for column in zip(*entries, strict=True))
    return patterns, PatternVotes(numbers, codes, counts.astype(float))
