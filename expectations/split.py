"""Promises about the examples and their splits: what is about to be published."""

from expectations.promise import between, every, figure, one_of, percent, suite, unique
from schemas.curation import Curation
from schemas.promise import Suite


def split(curation: Curation) -> Suite:
    """Return the suite over the frame `example`: one row per example, read back from the files to be published."""
    gates = curation.gates
    return suite("split", "example", [
        between("min_examples", f"there are at least {gates.min_examples:,} examples", "count(*)", gates.min_examples, None),
        unique("keys", "every example has an item, and no item is published twice", "item_id"),
        every("known_labels", "every example's label is one of the curation's", one_of("label", curation.labels.values)),
        every("settled", "every example was settled by people or under a certificate",
              one_of("status", ("human", "accepted"))),
        every("certified", "every label taken from a model stands under the certificate",
              "status <> 'accepted' or is_certified"),
        every("in_their_splits", "every example stands in the split it was given for good", "is_in_its_split"),
        between("people", f"a person has labelled at least {percent(gates.min_people_share)} of the examples",
                "coalesce(avg((people > 0)::int), 0)", gates.min_people_share, 1),
    ])  # fmt: skip


def leakage(curation: Curation) -> Suite:
    """Return the suite over the frame `example` that keeps splits apart; every pair of examples is looked at."""
    return suite("leakage", "example", [
        every("groups", "no group stands in two splits", "not is_group_in_two_splits"),
        every("near_duplicates", "no two near-duplicates stand in different splits", "not is_near_other_split"),
        every("texts", "no text stands in two splits", "not is_text_in_two_splits"),
    ])  # fmt: skip


def balance(curation: Curation) -> Suite:
    """Return the suite over the one-row frame `balance`: how labels are spread."""
    gates = curation.gates
    return suite("balance", "balance", [
        between("empty_splits", "every split has examples", figure("empty_splits"), 0, 0, "warning"),
        between("label_share", f"no label has more than {percent(gates.max_label_share)} of the examples",
                figure("largest_label_share"), 0, gates.max_label_share, "warning"),
        between("label_drift", f"in no split a label's share is {percent(gates.max_label_drift)} off the whole",
                figure("largest_label_drift"), 0, gates.max_label_drift, "warning"),
    ])  # fmt: skip


def slices(curation: Curation) -> Suite:
    """Return the suite over the one-row frame `slice`: how far slices differ beyond chance."""
    gates = curation.gates
    rates, against = gates.max_slice_label_gap, gates.max_slice_disagreement_gap
    return suite("slice", "slice", [
        between("label_gap", "labels are as frequent in one slice as in another" + _within(rates), figure("label_gap"),
                0, 1 if rates is None else rates, "info" if rates is None else "critical"),
        between("disagreement_gap", "models contradict people as often in one slice as in another" + _within(against),
                figure("disagreement_gap"), 0, 1 if against is None else against,
                "info" if against is None else "critical"),
    ])  # fmt: skip


def _within(limit: float | None) -> str:
    return ", beyond chance" if limit is None else f", within {percent(limit)} beyond chance"
