"""Trust: how much of what a source brings may be bad."""

from datetime import date

from schemas.errors import SourceRefused
from schemas.run import Run
from tasks.source.files import find
from tasks.source.intake import present
from tasks.sql import relation
from tasks.store import Store


def trust(run: Run, noun: str, pattern: str, limit: float, until: date) -> None:
    """Raise SourceRefused where the files of one date hold too many bad records; it stays so until they are mended.

    What counts is what the store knows of the files that are there now, so a second run does not let them pass.
    """
    connection, paths = Store(run.store).connect(until), [file.path for file in find(run.folder, pattern)]
    file_ids = present(run, noun, pattern)
    for day, read, quarantined in relation(connection, "source_health", noun=noun, file_ids=file_ids).fetchall():
        if quarantined > limit * read:
            faults = relation(connection, "source_fault", noun=noun, paths=paths, day=day).fetchall()
            reasons = ", ".join(
                " ".join(filter(None, (f"{count:,} {reason}", detail))) for reason, detail, count in faults
            )
            raise SourceRefused(
                f"{pattern}, {day}: {quarantined:,} of {read:,} records are in quarantine ({reasons}), more than "
                f"{limit:.0%}: mend the files or what the curation says of their fields, or raise "
                'trust.max_quarantined_share; `assay sql "select * from quarantine"` shows each'
            )
