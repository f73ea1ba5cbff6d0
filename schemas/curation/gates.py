"""What the gate holds a release to: the thresholds of the expectation suites, and what becomes of what breaks them."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.curation.settings import Listed, Name, Settings, Share


class Gates(Settings):
    """Thresholds of the expectation suites."""

    min_alpha: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Least Krippendorff's alpha among people, at the lower end of its interval; without it there is no floor."""
    min_ac1: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Least Gwet's AC1 among people, at the lower end of its interval; without it there is no floor. Where one label has
    nearly all votes, alpha falls at unchanged quality, and this is what tells: then alpha only warns."""
    min_people_share: Share = 0.0
    """Least share of examples that a person has labelled."""
    max_unresolved_share: Share = 1.0
    """Largest share of items neither settled nor in the review queue."""
    min_examples: Annotated[int, Field(ge=1)] = 1
    """Fewest examples a release may hold."""
    max_shrink_share: Share = 0.1
    """Largest share by which a release may be smaller than its parent."""
    shrink_reason: Name | None = None
    """Why a release may be smaller than that: then it only warns, with this reason."""
    max_parent_drift: Share = 0.2
    """Largest change of a label's share against the parent release (a warning)."""
    max_label_share: Share = 0.95
    """Largest share of examples one label may have (a warning)."""
    max_label_drift: Share = 0.25
    """Largest difference of a label's share between a split and the whole (a warning)."""
    max_slice_label_gap: Share | None = None
    """Largest difference of a label's share between two slices, beyond chance; without it, it is only told."""
    max_slice_disagreement_gap: Share | None = None
    """Largest difference, between two slices, of how often models contradict people, beyond chance; without it, it is
    only told."""
    min_mean_entropy_nats: Annotated[float, Field(ge=0)] = 0.0
    """Least mean entropy of people's votes (a warning)."""
    max_mean_entropy_nats: Annotated[float, Field(ge=0)] = 10.0
    """Greatest mean entropy of people's votes (a warning)."""
    max_unanimous_share: Share = 0.99
    """Largest share of items on which all of several people agree (a warning): above it there is nothing to learn of where
    the line runs, or people copy."""
    max_tied_share: Share = 0.25
    """Largest share of items on which the votes of several people are tied (a warning): above it labels are noise."""
    max_usd: Annotated[float, Field(ge=0)] | None = None
    """What the models' labels a release rests on may have cost, in US dollars; without it there is no limit."""
    policy: dict[Name, Literal["drop", "refuse"]] = Field(default_factory=dict)
    """What a promise about rows does where it is broken, by the promise's name: `drop` keeps the rows out, listed in the
    view `quarantine`, and publishes the rest; `refuse`, as where it is not named, publishes nothing."""
    suites: Listed[Name] = ()
    """Files of suites of your own, relative to the curation: globs."""
