"""Frames: what the gate sees of each noun, in typed columns without text; a user's own suites are written on them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from types import NoneType
from typing import get_args

from schemas.row import Row


class ItemFrame(Row):
    """One row per item known by the date."""

    item_id: str
    """The item."""
    split: str | None
    """train, validation or test."""
    slice: str | None
    """Slice of the item."""
    chars: int
    """Characters of its text."""


class SourceFrame(Row):
    """One row: where the records went."""

    unaccounted: int
    """Records and documents that are neither an item, a duplicate nor in quarantine."""
    damaged_files: int
    """Files that could not be read to their end."""


class AnnotationFrame(Row):
    """One row per label that counts."""

    annotation_id: str
    """The annotation."""
    item_id: str | None
    """The item it is of."""
    annotator_id: str
    """Who labelled it."""
    annotator_kind: str
    """human, llm or function."""
    label: str
    """The label."""
    distribution_sum: float | None
    """Sum of the probabilities of its distribution; null where it has none."""
    slice: str | None
    """Slice of the item."""


class AgreementFrame(Row):
    """One row: figures among people."""

    krippendorff_alpha_low: float | None
    """Lower end of the interval of Krippendorff's alpha; null where it is undefined."""
    gwet_ac1_low: float | None
    """Lower end of the interval of Gwet's AC1; null where it is undefined."""
    largest_vote_share: float | None
    """Share of people's votes that the most frequent label has, 0–1."""
    mean_entropy_nats: float | None
    """Mean entropy of people's votes on an item."""
    unanimous_share: float | None
    """Share of items with two labels or more on which all people agree, 0–1."""
    tied_share: float | None
    """Share of items with two people or more whose votes are tied, 0–1."""


class ConsensusFrame(Row):
    """One row per item known by the date."""

    item_id: str
    """The item."""
    status: str
    """human, accepted, review or unresolved."""
    label: str | None
    """The label it was settled on."""
    people: int
    """People who labelled it."""
    models: int
    """Models' labels counted."""
    posterior_share: float | None
    """Probability of the most likely label given people's votes, 0–1."""
    is_tie: bool
    """Whether people's votes are tied."""
    entropy_share: float | None
    """Entropy of people's votes as a share of the greatest there can be, 0–1."""


class CoverageFrame(Row):
    """One row: how much of what is known is settled."""

    uncounted_items: int
    """Items known by the date without a consensus."""
    unresolved_share: float
    """Share of items neither settled nor in the queue, 0–1."""


class ExampleFrame(Row):
    """One row per example, read back from the files that would be published."""

    item_id: str
    """The item."""
    split: str
    """The split whose file it stands in: train, validation or test."""
    label: str
    """The label."""
    status: str
    """How it was settled: human or accepted."""
    people: int
    """People who labelled it."""
    models: int
    """Models' labels counted."""
    posterior_share: float | None
    """Probability of the label in people's posterior, 0–1; null where no person has labelled it."""
    entropy_nats: float | None
    """Entropy of people's votes; null without votes."""
    slice: str | None
    """Slice of the item."""
    chars: int
    """Characters of its text."""
    is_certified: bool | None
    """Of a label taken from a model: whether the certificate covers it; null of people's."""
    is_in_its_split: bool
    """Whether its row, its file and the split it was given for good are one."""
    is_text_in_two_splits: bool
    """Whether its text stands in another split, too."""
    is_group_in_two_splits: bool
    """Whether its group stands in another split, too."""
    is_near_other_split: bool
    """Whether a near-duplicate of it stands in another split."""


class BalanceFrame(Row):
    """One row: how labels are spread over the examples and their splits."""

    largest_label_share: float | None
    """Share of examples the most frequent label has, 0–1."""
    largest_label_drift: float | None
    """Largest difference of a label's share between a split and the whole, 0–1."""
    empty_splits: int
    """Splits without an example."""


class SliceFrame(Row):
    """One row: how far slices differ beyond chance."""

    label_gap: float
    """Largest difference of a label's share between two slices that chance does not explain, 0–1."""
    disagreement_gap: float
    """Largest such difference of how often a model contradicts what people settled, 0–1."""


class ParentFrame(Row):
    """One row: what changed against the release before."""

    parent_examples: int | None
    """Examples of the parent release; null where there is none on disk."""
    shrink_share: float
    """Share by which there are fewer examples now, 0–1; 0 where there is no parent."""
    largest_label_drift: float
    """Largest change of a label's share against the parent, 0–1; 0 where there is none."""


class CertificateFrame(Row):
    """One row: what is taken from models, and what stands for it."""

    accepted: int
    """Examples whose label is a model's."""
    certified_slices: int
    """Slices (one, where the promise is of all items together) whose audit proves what was asked for."""


class CostFrame(Row):
    """One row: what the labels took."""

    usd: float | None
    """US dollars of all replies used; null where a price is not known."""


class FileFrame(Row):
    """One row: whether every shape holds what the table holds."""

    differing_rows: int
    """Rows that a file of another shape has more or fewer than its split."""
    differing_chats: int
    """Chats that are not of an example's text and label, and examples without a chat."""


FRAMES: dict[str, type[Row]] = {
    "item": ItemFrame,
    "source": SourceFrame,
    "annotation": AnnotationFrame,
    "agreement": AgreementFrame,
    "consensus": ConsensusFrame,
    "coverage": CoverageFrame,
    "example": ExampleFrame,
    "balance": BalanceFrame,
    "slice": SliceFrame,
    "parent": ParentFrame,
    "certificate": CertificateFrame,
    "cost": CostFrame,
    "file": FileFrame,
}
AGAIN_S = 0.1
_SQL_TYPES = {str: "varchar", int: "bigint", float: "double", bool: "boolean"}


def sql_columns(frame: str) -> str:
    """Return the columns of a frame with their SQL types, as `create table` wants them."""
    fields = FRAMES[frame].model_fields.items()
    return ", ".join(f"{name} {_sql_type(field.annotation)}" for name, field in fields)


@contextmanager
def at_most(seconds: float, interrupt: Callable[[], None]) -> Iterator[None]:
    """Interrupt what is asked of frames within the block once it has taken that long."""
    ended = Event()

    def watch() -> None:
        late = not ended.wait(seconds)
        while late and not ended.is_set():  # again and again: one that comes between two steps of DuckDB is lost
            interrupt()
            ended.wait(AGAIN_S)

    watcher = Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()  # it holds the connection: to be the last that does, at the end of the process, would abort it


def _sql_type(annotation: type) -> str:
    return _SQL_TYPES[next((option for option in get_args(annotation) if option is not NoneType), annotation)]
