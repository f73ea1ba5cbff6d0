"""Promises about items."""

from great_expectations import ExpectationSuite

from expectations.promise import between, promise, suite
from schemas.curation import Curation


def item(curation: Curation) -> ExpectationSuite:
    """Return the suite over the frame `item`: item_id, chars, split, and the one-row measures it needs."""
    clean = curation.clean
    return suite("item", [
        promise("ExpectTableRowCountToBeBetween", "there are items", min_value=1),
        promise("ExpectColumnValuesToBeUnique", "every item has one row", column="item_id"),
        promise("ExpectColumnValuesToNotBeNull", "every item has an id", column="item_id"),
        promise("ExpectColumnValuesToBeBetween", "every text is as long as the curation allows",
                column="chars", min_value=clean.min_chars, max_value=clean.max_chars),
        promise("ExpectColumnValuesToNotBeNull", "every item is in a split", column="split"),
        promise("ExpectColumnValuesToBeInSet", "every split is train, validation or test",
                column="split", value_set=["train", "validation", "test"]),
    ])  # fmt: skip


def source(curation: Curation) -> ExpectationSuite:
    """Return the suite over the one-row frame `source`: where the records went."""
    return suite("source", [
        between("unaccounted", "every record read is an item, a duplicate or in quarantine", 0, 0),
        between("damaged_files", "every file could be read to its end", 0, 0, "warning"),
    ])  # fmt: skip
