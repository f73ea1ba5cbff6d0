"""Promises about the examples and their splits: what is about to be published."""

from great_expectations import ExpectationSuite

from expectations.promise import between, promise, suite
from schemas.curation import Curation


def split(curation: Curation) -> ExpectationSuite:
    """Return the suite over the frame `split`: one row per example, read back from the files to be published."""
    labels, gates = list(curation.labels.values), curation.gates
    return suite("split", [
        promise("ExpectTableRowCountToBeBetween", f"there are at least {gates.min_examples:,} examples",
                min_value=gates.min_examples),
        promise("ExpectColumnValuesToBeUnique", "no item is published twice", column="item_id"),
        promise("ExpectColumnValuesToBeInSet", "every example's label is one of the curation's",
                column="label", value_set=labels),
        promise("ExpectColumnValuesToBeInSet", "every example was settled by people or under a certificate",
                column="status", value_set=["human", "accepted"]),
        promise("ExpectColumnValuesToBeInSet", "every label taken from a model stands under the certificate",
                column="is_certified", value_set=[True]),
        promise("ExpectColumnValuesToBeInSet", "every example stands in the split it was given for good",
                column="is_in_its_split", value_set=[True]),
        promise("ExpectColumnValuesToBeInSet", "every example's message answers with its label",
                column="is_as_labelled", value_set=[True]),
    ])  # fmt: skip


def leakage(curation: Curation) -> ExpectationSuite:
    """Return the suite over the one-row frame `leakage`: what stands in two splits, and how labels are spread."""
    gates = curation.gates
    return suite("leakage", [
        between("groups_in_two_splits", "no group stands in two splits", 0, 0),
        between("near_duplicates_in_two_splits", "no two near-duplicates stand in different splits", 0, 0),
        between("texts_in_two_splits", "no text stands in two splits", 0, 0),
        between("empty_splits", "every split has examples", 0, 0, "warning"),
        between("largest_label_share", f"no label has more than {gates.max_label_share:.0%} of the examples",
                0, gates.max_label_share, "warning"),
        between("largest_label_drift", f"in no split a label's share is {gates.max_label_drift:.0%} off the whole",
                0, gates.max_label_drift, "warning"),
    ])  # fmt: skip
