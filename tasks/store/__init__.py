"""The facts: Delta tables that only grow, each row keyed by its content."""

from tasks.store.ids import Ids
from tasks.store.tables import TABLES, Store

__all__ = ["TABLES", "Ids", "Store"]
