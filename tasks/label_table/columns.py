"""Which column of a table holds what, as named or by its usual name; and what to type where it is not there."""

import difflib
import shlex
from dataclasses import dataclass, fields

SHOWN = 30  # names of columns an error lists
LONGEST, MOST_WORDS = 60, 5  # of a name that is one
REQUIRED = ("item", "annotator", "label")


@dataclass(frozen=True)
class Columns:
    """Names of a table's columns; an empty name is a column that is not used, even if it is there.

    What is called as it usually is may be missing, but for item, annotator and label (or distribution); what is named
    otherwise may not.
    """

    item: str = "item_id"
    """What was labelled."""
    annotator: str = "annotator_id"
    """Who labelled it."""
    label: str = "label"
    """What was said."""
    annotator_kind: str = "annotator_kind"
    """human, or else a machine: llm, function or model."""
    time: str = "time"
    """When it was said: the latest label of an annotator on an item counts."""
    seconds: str = "seconds"
    """How long it took, in seconds."""
    distribution: str = "distribution"
    """A machine's probability of each label."""
    slice: str = ""
    """What figures are reported by."""
    group: str = ""
    """What items belong together, and are drawn together by the bootstrap."""
    gold: str = ""
    """The item's label that is known."""
    count: str = ""
    """How many said so, in a table of counts, which has no annotators."""
    wide: tuple[str, ...] | None = None
    """Columns that are an annotator each; none named: all but those named otherwise."""

    def name(self, role: str) -> str:
        """Return the name of a role's column."""
        return getattr(self, role)

    def named(self) -> dict[str, str]:
        """Return roles with the names of their columns, for the roles this table may have."""
        roles = {field.name: self.name(field.name) for field in fields(self) if field.name != "wide"}
        if self.wide is not None:
            one_a_row = ("annotator", "label", "annotator_kind", "time", "seconds", "distribution", "count")
            roles = {role: name for role, name in roles.items() if role not in one_a_row}
        elif self.count:
            beside_one_label = ("annotator", "annotator_kind", "time", "seconds", "distribution")
            roles = {role: name for role, name in roles.items() if role not in beside_one_label}
        return {role: name for role, name in roles.items() if name}

    def found(self, there: list[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the roles that are there, with their columns, and those that are not, but must be."""
        named = self.named()
        found = {role: name for role, name in named.items() if name in there}
        required = set(REQUIRED) - ({"label"} if "distribution" in found else set())
        absent = {
            role: name
            for role, name in named.items()
            if name not in there and (role in required or name != USUAL.name(role))
        }
        return found, absent


USUAL = Columns()


def flag(role: str) -> str:
    """Return the flag that names a role's column."""
    return "--" + role.replace("_", "-")


def absence(file: str, absent: dict[str, str], there: list[str]) -> str:
    """Return what is missing of a file's columns, and the flags that name the nearest ones."""
    near = [f"{flag(role)} {shlex.quote(one)}" for role, name in absent.items() if (one := nearest(name, there))]
    said = f"{file} has no column {' and no column '.join(absent.values())}; it has: {shown(there)}."
    return said + (f" Did you mean {' '.join(near)}?" if near else "")


def nearest(name: str, there: list[str]) -> str | None:
    """Return the column whose name is most like one that is not there, whatever its case."""
    folded = {one.lower(): one for one in reversed(there)}
    near = difflib.get_close_matches(name.lower(), folded, n=1)
    return folded[near[0]] if near else None


def shown(names: list[str]) -> str:
    """Return names for an error, the first few of many; none where they look like a row of data: that may be a text."""
    if any(len(name) > LONGEST or len(name.split()) > MOST_WORDS for name in names):
        return f"{len(names):,} columns whose names look like data (is the line of names missing?)"
    rest = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest
