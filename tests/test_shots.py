"""Few-shot examples: near, of the same context, and never the item's own answer."""

import numpy as np
import polars as pl

from tasks.annotator.shots import nearest

DEGREES = {"a": 0, "b": 10, "c": 20, "d": 30, "e": 40}  # the nearer, the closer in meaning
VECTORS = {text: np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))]) for text, angle in DEGREES.items()}
COLUMNS = ["item_id", "text", "context", "group_id"]


def rows(*lines):
    """Return items from lines of `item_id text context group_id`."""
    return pl.DataFrame([line.split() for line in lines], schema=COLUMNS, orient="row")


def chosen(items, pool, shots=2, near=frozenset()):
    return nearest(items, pool.with_columns(label=pl.lit("yes")), VECTORS, set(near), shots)


def test_the_nearest_example_comes_last():
    pool = rows("2 b food G2", "3 c food G3", "4 d food G4")
    assert chosen(rows("1 a food G1"), pool) == {"1": ["3", "2"]}


def test_an_item_is_never_shown_itself_its_group_or_its_near_duplicates():
    pool = rows("1 a food G1", "2 a food G1", "3 a food G3", "4 e food G4")
    near = {frozenset({"3", "1"})}
    assert chosen(rows("1 a food G1"), pool, near=near) == {"1": ["4"]}


def test_items_without_a_group_are_not_one_group():
    items = rows("1 a food -", "2 b food -").with_columns(group_id=pl.lit(None, pl.String))
    assert chosen(items, items) == {"1": ["2"], "2": ["1"]}


def test_another_context_is_asked_only_when_its_own_runs_out():
    pool = rows("2 a noise G2", "3 b noise G3", "4 d food G4", "5 e food G5")
    assert chosen(rows("1 a food G1"), pool, shots=2) == {"1": ["5", "4"]}
    assert chosen(rows("1 a food G1"), pool, shots=3) == {"1": ["2", "5", "4"]}


def test_equally_near_examples_go_by_id_whatever_their_order():
    pool = rows("4 b food G4", "2 b food G2", "3 b food G3")
    assert chosen(rows("1 a food G1"), pool) == {"1": ["3", "2"]}
    assert chosen(rows("1 a food G1"), pool.reverse()) == {"1": ["3", "2"]}


def test_an_empty_pool_gives_no_examples():
    assert chosen(rows("1 a food G1"), rows("2 b food G2").clear()) == {"1": []}
