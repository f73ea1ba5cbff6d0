"""No two near-duplicates stand in a queue while others are left: what the one teaches the other cannot."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item", str, int)


def diverse(
    ranked: Iterable[Item], near: list[tuple[Item, Item]], places: int, beside: Sequence[Item] = ()
) -> list[Item]:
    """Return the first `places` items of a ranking, near-duplicates of one taken, or of those beside, after all others."""
    neighbours: dict[Item, set[Item]] = {}
    for one, other in near:
        neighbours.setdefault(one, set()).add(other)
        neighbours.setdefault(other, set()).add(one)
    taken: list[Item] = []
    passed_over: list[Item] = []
    barred = {near_item for item in beside for near_item in neighbours.get(item, ())}
    for item in ranked:
        if len(taken) >= places:
            break
        if item in barred:
            passed_over.append(item)
        else:
            taken.append(item)
            barred |= neighbours.get(item, set())
    return (taken + passed_over)[: max(places, 0)]
