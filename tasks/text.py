"""Texts and contexts in their one canonical form, which an item's identity rests on."""

import json
import re
import unicodedata

_LINE_END = re.compile(r"\r\n?|[\x85\u2028\u2029]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SPACE = re.compile(r"[^\S\n]+")
_SPACE_AROUND_LINE_END = re.compile(r" ?\n ?")
_BLANK_LINES = re.compile(r"\n{3,}")


def clean(text: str) -> str:
    """Return the text in Unicode NFC, without control characters, with single spaces and at most one blank line."""
    text = _CONTROL.sub("", _LINE_END.sub("\n", text))
    text = unicodedata.normalize("NFC", text)  # once nothing stands between a letter and its accent any more
    text = _SPACE_AROUND_LINE_END.sub("\n", _SPACE.sub(" ", text))
    return _BLANK_LINES.sub("\n\n", text).strip()


def canonical(values: dict) -> str:
    """Return a JSON object with sorted keys and no needless spaces."""
    return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
