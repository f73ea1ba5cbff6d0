"""Promises about the consensus."""

from expectations.promise import between, every, figure, one_of, percent, suite, unique
from schemas.curation import Curation
from schemas.promise import Suite


def consensus(curation: Curation) -> Suite:
    """Return the suite over the frame `consensus`: one row per item."""
    settings = curation.consensus
    return suite("consensus", "consensus", [
        unique("keys", "every item has an id and is settled once", "item_id"),
        every("known_statuses", "every item has exactly one known status",
              one_of("status", ("human", "accepted", "review", "unresolved"))),
        every("enough_people", f"a settled item has at least {settings.min_labels} people's labels",
              f"status <> 'human' or people >= {settings.min_labels}"),
        every("sure_enough", f"a settled item's posterior is at least {settings.min_posterior:g}",
              f"status <> 'human' or posterior_share between {settings.min_posterior - 1e-9!r} and {1 + 1e-9!r}"),
        every("no_ties", "no tie is settled", "status <> 'human' or not is_tie"),
        every("entropy_range", "entropy lies between 0 and that of a fair draw",
              f"entropy_share is null or entropy_share between 0 and {1 + 1e-9!r}"),
    ])  # fmt: skip


def coverage(curation: Curation) -> Suite:
    """Return the suite over the one-row frame `coverage`."""
    limit = curation.gates.max_unresolved_share
    return suite("coverage", "coverage", [
        between("counted", "every item known by the date has a consensus row", figure("uncounted_items"), 0, 0),
        between("unresolved", f"at most {percent(limit)} of items are neither settled nor in the queue",
                figure("unresolved_share"), 0, limit),
    ])  # fmt: skip
