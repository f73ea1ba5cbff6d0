"""The facts: Delta tables that only grow, each row keyed by its content."""

from tasks.store.ids import Ids
from tasks.store.locks import alone
from tasks.store.tables import KEYS, TABLES, Store

__all__ = ["KEYS", "TABLES", "Ids", "Store", "alone"]
