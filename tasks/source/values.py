"""Values of a record: read strictly, refused with a reason."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.source.rejected import Rejected

MAX_NAME_CHARS = 512
_LEAP_SECOND = re.compile(r"(:\d\d:)60(?=[.,Zz+-]|$)")
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def name(value: Any, field: str, reason: str = "bad_id") -> str:
    """Return an id in Unicode NFC; whole numbers become their digits; raise Rejected for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Rejected(reason, f"`{field}`: a text or a whole number expected")
    text = unicodedata.normalize("NFC", checked(str(value), field)).strip()
    if not text or len(text) > MAX_NAME_CHARS:
        raise Rejected(reason, f"`{field}`: 1 to {MAX_NAME_CHARS} characters expected")
    return text


def checked(text: str, field: str) -> str:
    """Return the text; raise Rejected where it holds a character that no file should."""
    if "\x00" in text:
        raise Rejected("nul_char", f"`{field}`")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Rejected("lone_surrogate", f"`{field}`") from None
    return text


def instant(value: Any, field: str, now: datetime) -> datetime | None:
    """Return an instant in UTC, or None for null or empty; raise Rejected without a zone or outside 1970–tomorrow."""
    if value is None or value == "":
        return None
    moment = value if isinstance(value, datetime) else _parsed(value, field)
    if moment.tzinfo is None:
        raise Rejected("naive_timestamp", f"`{field}`: a time zone expected")
    # compared before it is moved to UTC, which the first and last hours of the calendar cannot be
    if not _EARLIEST <= moment <= now + timedelta(days=1):
        raise Rejected("bad_timestamp", f"`{field}`: between 1970 and tomorrow expected")
    return moment.astimezone(UTC)


def _parsed(value: Any, field: str) -> datetime:
    try:
        return datetime.fromisoformat(_LEAP_SECOND.sub(r"\g<1>59", str(value)))  # it is the second before it
    except ValueError:
        raise Rejected("bad_timestamp", f"`{field}`: ISO 8601 expected") from None
