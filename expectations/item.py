"""Promises about items and the records they come from."""

from expectations.promise import between, every, figure, one_of, suite, unique
from schemas.curation import Curation
from schemas.promise import Suite

SPLITS = ("train", "validation", "test")


def item(curation: Curation) -> Suite:
    """Return the suite over the frame `item`: one row per item known by the date."""
    clean = curation.clean
    return suite("item", "item", [
        between("any", "there are items", "count(*)", 1, None),
        unique("keys", "every item has an id and one row", "item_id"),
        every("length", "every text is as long as the curation allows",
              f"chars between {clean.min_chars} and {clean.max_chars}"),
        every("splits", "every item is in train, validation or test", one_of("split", SPLITS)),
    ])  # fmt: skip


def source(curation: Curation) -> Suite:
    """Return the suite over the one-row frame `source`: where the records went."""
    return suite("source", "source", [
        between("accounted", "every record read is an item, a duplicate or in quarantine", figure("unaccounted"), 0, 0),
        between("whole_files", "every file could be read to its end", figure("damaged_files"), 0, 0, "warning"),
    ])  # fmt: skip
