"""Promises about annotations."""

from great_expectations import ExpectationSuite

from expectations.promise import between, promise, suite
from schemas.curation import Curation


def annotation(curation: Curation) -> ExpectationSuite:
    """Return the suite over the frame `annotation`: one row per label that counts."""
    labels = list(curation.labels.values)
    return suite("annotation", [
        promise("ExpectTableRowCountToBeBetween", "there are annotations", min_value=1),
        promise("ExpectColumnValuesToBeUnique", "every annotation is counted once", column="annotation_id"),
        promise("ExpectColumnValuesToNotBeNull", "every annotation is of an item", column="item_id"),
        promise("ExpectColumnValuesToBeInSet", "every label is one of the curation's", column="label", value_set=labels),
        promise("ExpectColumnValuesToBeBetween", "every distribution sums to one",
                column="distribution_sum", min_value=1 - 1e-6, max_value=1 + 1e-6),
        promise("ExpectColumnValuesToBeInSet", "annotators are people, models or functions",
                column="annotator_kind", value_set=["human", "llm", "function"]),
    ])  # fmt: skip


def agreement(curation: Curation) -> ExpectationSuite:
    """Return the suite over the one-row frame `agreement`: figures among people only."""
    gates = curation.gates
    floor = [] if gates.min_alpha is None else [
        between("krippendorff_alpha_low", f"people agree: alpha is at least {gates.min_alpha:g}, "
                "at the lower end of its interval", gates.min_alpha, 1),
    ]  # fmt: skip
    return suite("agreement", [
        *floor,
        between("mean_entropy_nats", "the mean entropy of people's votes is in its band",
                gates.min_mean_entropy_nats, gates.max_mean_entropy_nats, "warning"),
    ])  # fmt: skip
