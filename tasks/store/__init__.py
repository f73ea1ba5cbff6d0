"""The facts: Delta tables that only grow, but for what is erased; each row keyed by its content."""

from tasks.store.ids import Ids
from tasks.store.locks import ERASURE, alone, at_work
from tasks.store.tables import KEYS, TABLES, Store

__all__ = ["ERASURE", "KEYS", "TABLES", "Ids", "Store", "alone", "at_work"]
