"""Promises about a release as a whole: against its parent, what stands for it, what it took, and its files."""

from expectations.promise import between, figure, percent, suite
from schemas.curation import Curation
from schemas.promise import Suite


def parent(curation: Curation) -> Suite:
    """Return the suite over the one-row frame `parent`: what changed against the release before."""
    gates = curation.gates
    shrunk, why = f"there are at most {percent(gates.max_shrink_share)} fewer examples than in the parent", ""
    if gates.shrink_reason:
        why = f" (or else: {gates.shrink_reason})"
    return suite("parent", "parent", [
        between("size", shrunk + why, figure("shrink_share"), 0, gates.max_shrink_share, "warning" if why else "critical"),
        between("label_drift", f"no label's share is {percent(gates.max_parent_drift)} off that in the parent",
                figure("largest_label_drift"), 0, gates.max_parent_drift, "warning"),
    ])  # fmt: skip


def certificate(curation: Curation) -> Suite:
    """Return the suite over the one-row frame `certificate`: what stands for labels taken from models."""
    return suite("certificate", "certificate", [
        between("present", "where models' labels are published, a certificate in force stands for them",
                figure("case when certified_slices > 0 then 0 else accepted end"), 0, 0),
    ])  # fmt: skip


def cost(curation: Curation) -> Suite:
    """Return the suite over the one-row frame `cost`: what the models' labels took."""
    limit = curation.gates.max_usd
    return suite("cost", "cost", [] if limit is None else [
        between("within_budget", f"the models' labels took at most ${limit:,.2f}", figure("usd"), 0, limit),
    ])  # fmt: skip


def file(curation: Curation) -> Suite:
    """Return the suite over the one-row frame `file`: whether every shape holds what the table holds."""
    return suite("file", "file", [
        between("rows", "every file of a split has its rows", figure("differing_rows"), 0, 0),
        between("chats", "every chat is an example's text, answered with its label", figure("differing_chats"), 0, 0),
    ])  # fmt: skip
