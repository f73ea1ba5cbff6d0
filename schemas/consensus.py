"""Consensus: the posterior over labels of one item, and how it was settled."""

from schemas.row import LabelProbability, Row


class Consensus(Row):
    """One row per item."""

    item_id: str
    """The item."""
    status: str
    """human, accepted, review or unresolved."""
    label: str | None
    """The settled label; null unless human or accepted."""
    posterior: list[LabelProbability] | None
    """People's posterior over the labels; null where no person has labelled it."""
    posterior_share: float | None
    """Probability of the most likely label in that posterior, 0–1."""
    posterior_entropy_nats: float | None
    """Entropy of that posterior, in nats."""
    posterior_mean: float | None
    """Mean of that posterior over the steps of a rating, as numbers; null for other kinds of label."""
    posterior_median: float | None
    """Median of that posterior: the lowest step with half the probability; null for other kinds."""
    posterior_sd: float | None
    """Standard deviation of that posterior; null for other kinds."""
    people: int
    """People who labelled it."""
    models: int
    """Models' labels counted."""
    is_tie: bool
    """Whether two labels have most votes."""
    entropy_nats: float | None
    """Entropy of people's votes, in nats; null without votes."""
    suggestion: str | None
    """The label the models lean to, for the queue; settles nothing."""
    suggestion_entropy_nats: float | None
    """Entropy of the models' mean distribution, in nats."""
    suggestion_disagreement_nats: float | None
    """The part of it that lies between the models, not in each of them: their Jensen–Shannon divergence."""
    reason: str | None
    """Why it is not settled: no_labels, too_few_labels, tie, low_posterior."""
