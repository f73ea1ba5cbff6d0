"""Items are divided into train, validation and test, once and for good."""

from prefect import get_run_logger

from schemas.curation import Splits
from schemas.run import Run
from tasks.sql import relation
from tasks.stage import stage
from tasks.store import Store
from tasks.store.ids import share


@stage
def assign_splits(run: Run) -> int:
    """Return how many items were divided: those that were in no split yet, the earliest first."""
    store = Store(run.store)
    connection = store.connect(run.as_of)
    divided = dict(connection.sql("select item_id, split from split").fetchall())
    groups = dict(connection.sql("select group_id, min(split) from item join split using (item_id) where group_id is not null group by group_id").fetchall())  # fmt: skip
    rows = []
    for item_id, group_id, near_item_id in relation(connection, "item_without_split").fetchall():
        group_id = group_id if run.curation.splits.by == "group" else None
        split, rule = decide(run.curation.splits, item_id, group_id, groups.get(group_id), divided.get(near_item_id))
        divided[item_id] = split
        groups.setdefault(group_id, split)
        rows.append({"item_id": item_id, "split": split, "rule": rule, "recorded_at": run.started_at, "run_id": run.run_id})  # fmt: skip
    get_run_logger().info("%d items divided", len(rows))
    return store.merge("split", rows)


def decide(
    splits: Splits, item_id: str, group_id: str | None, of_group: str | None, of_near: str | None
) -> tuple[str, str]:
    """Return an item's split and the rule that decided: its group's, else its nearest near-duplicate's, else a hash."""
    if group_id is not None and of_group:
        return of_group, "group"
    if of_near:
        return of_near, "near_duplicate"
    return drawn(splits, group_id or item_id), "hash"


def drawn(splits: Splits, name: str) -> str:
    """Return the split that the keyed hash of a group or an item falls into."""
    point = share(splits.key, name)
    if point < splits.train:
        return "train"
    return "validation" if point < splits.train + splits.validation else "test"
