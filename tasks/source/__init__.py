"""Sources: files of records, as they arrive from outside."""

from tasks.source.files import File, find
from tasks.source.intake import Intake, intake
from tasks.source.records import Record
from tasks.source.rejected import Rejected
from tasks.source.trust import trust
from tasks.source.values import instant, name

__all__ = ["File", "Intake", "Record", "Rejected", "find", "instant", "intake", "name", "trust"]
