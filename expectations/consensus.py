"""Promises about the consensus."""

from great_expectations import ExpectationSuite

from expectations.promise import between, promise, suite
from schemas.curation import Curation


def consensus(curation: Curation) -> ExpectationSuite:
    """Return the suite over the frame `consensus`: one row per item."""
    settings = curation.consensus
    return suite("consensus", [
        promise("ExpectColumnValuesToBeUnique", "every item is settled once", column="item_id"),
        promise("ExpectColumnValuesToBeInSet", "every item has exactly one known status",
                column="status", value_set=["human", "accepted", "review", "unresolved"]),
        promise("ExpectColumnValuesToBeBetween", f"a settled item has at least {settings.min_labels} people's labels",
                column="settled_people", min_value=settings.min_labels),
        promise("ExpectColumnValuesToBeBetween", f"a settled item's posterior is at least {settings.min_posterior:g}",
                column="settled_posterior_share", min_value=settings.min_posterior - 1e-9, max_value=1 + 1e-9),
        promise("ExpectColumnValuesToBeInSet", "no tie is settled", column="settled_is_tie", value_set=[False]),
        promise("ExpectColumnValuesToBeBetween", "entropy lies between 0 and that of a fair draw",
                column="entropy_share", min_value=0, max_value=1 + 1e-9),
    ])  # fmt: skip


def coverage(curation: Curation) -> ExpectationSuite:
    """Return the suite over the one-row frame `coverage`."""
    limit = curation.gates.max_unresolved_share
    return suite("coverage", [
        between("uncounted_items", "every item known by the date has a consensus row", 0, 0),
        between("unresolved_share", f"at most {limit:.0%} of items are neither settled nor in the queue", 0, limit),
    ])  # fmt: skip
