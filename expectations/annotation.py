"""Promises about annotations, and about how far people agree."""

from expectations.promise import between, every, figure, one_of, percent, suite, unique
from schemas.curation import Curation, Gates
from schemas.promise import Promise, Suite

SKEWED = 0.9
"""Share of votes from which one label has nearly all: of two people who each err 1 time in 20, alpha is 0.81 where two
labels are even and 0.61 where one has 90%."""


def annotation(curation: Curation) -> Suite:
    """Return the suite over the frame `annotation`: one row per label that counts."""
    return suite("annotation", "annotation", [
        between("any", "there are annotations", "count(*)", 1, None),
        unique("keys", "every annotation has an id and is counted once", "annotation_id"),
        every("of_items", "every annotation is of an item", "item_id is not null"),
        every("known_labels", "every label is one of the curation's", one_of("label", curation.labels.values)),
        every("whole_distributions", "every distribution sums to one",
              "distribution_sum is null or abs(distribution_sum - 1) <= 1e-6"),
        every("known_kinds", "annotators are people, models or functions",
              one_of("annotator_kind", ("human", "llm", "function"))),
    ])  # fmt: skip


def agreement(curation: Curation) -> Suite:
    """Return the suite over the one-row frame `agreement`: figures among people only."""
    gates = curation.gates
    return suite("agreement", "agreement", [
        *_floors(gates),
        between("mean_entropy", "the mean entropy of people's votes is in its band", figure("mean_entropy_nats"),
                gates.min_mean_entropy_nats, gates.max_mean_entropy_nats, "warning"),
        between("not_all_easy", f"people are of one mind on at most {percent(gates.max_unanimous_share)} of the items "
                "that several labelled", figure("coalesce(unanimous_share, 0)"), 0, gates.max_unanimous_share, "warning"),
        between("not_all_noise", f"people's votes are tied on at most {percent(gates.max_tied_share)} of the items "
                "that several labelled", figure("coalesce(tied_share, 0)"), 0, gates.max_tied_share, "warning"),
    ])  # fmt: skip


def _floors(gates: Gates) -> list[Promise]:
    """Return the floors of agreement; where AC1 has one, alpha may lie below its own where labels are skewed."""
    floors, low = [], "at the lower end of its interval"
    if gates.min_alpha is not None:
        severity = "critical" if gates.min_ac1 is None else "warning"
        what = f"people agree: alpha is at least {gates.min_alpha:g}, {low}"
        floors.append(between("min_alpha", what, figure("krippendorff_alpha_low"), gates.min_alpha, 1, severity))
    if gates.min_ac1 is not None:
        what = f"people agree: AC1 is at least {gates.min_ac1:g}, {low}"
        floors.append(between("min_ac1", what, figure("gwet_ac1_low"), gates.min_ac1, 1))
    if gates.min_alpha is not None and gates.min_ac1 is not None:
        what = f"alpha lies below {gates.min_alpha:g} only where one label has {percent(SKEWED)} of people's votes"
        condition = f"krippendorff_alpha_low >= {gates.min_alpha!r} or largest_vote_share >= {SKEWED}"
        floors.append(every("alpha_or_skew", what, condition))
    return floors
