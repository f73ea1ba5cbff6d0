"""Documents become items: one for each distinct cleaned text and context, with its near-duplicates."""

from typing import Any

from prefect import get_run_logger

from schemas.run import Run
from tasks.sql import relation
from tasks.stage import stage
from tasks.store import Ids, Store
from tasks.text import clean


@stage
def make_items(run: Run) -> int:
    """Return how many items are new: one for each item that documents name and the store does not hold."""
    store = Store(run.store)
    rows = relation(store.connect(run.as_of), "document_without_item").fetchall()
    stamp = {"recorded_at": run.started_at, "run_id": run.run_id}
    names = ("item_id", "text", "context", "group_id", "slice", "available_on")
    new = store.merge("item", [_item(dict(zip(names, row, strict=True))) | stamp for row in rows])
    get_run_logger().info("%d new items", new)
    return new


def _item(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"text": clean(row["text"])}


@stage
def find_neighbours(run: Run) -> int:
    """Return how many near-duplicate pairs are new, among the items not yet in a split and between them and the others."""
    store, ids = Store(run.store), Ids(run.curation.name)
    connection = store.connect(run.as_of)
    connection.execute("create temp table new_item as select item_id from item anti join split using (item_id)")
    pairs = relation(connection, "near_duplicate", threshold=run.curation.clean.near_duplicates).fetchall()
    new = store.merge("neighbour", [{
        "neighbour_id": ids.id("neighbour", item, near), "item_id": item, "near_item_id": near,
        "similarity": similarity, "recorded_at": run.started_at, "run_id": run.run_id,
    } for item, near, similarity in pairs])  # fmt: skip
    get_run_logger().info("%d near-duplicate pairs", new)
    return new
