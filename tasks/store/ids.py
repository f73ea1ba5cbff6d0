"""Ids: keyed hashes, so that the same facts get the same ids on every machine and none can be guessed from a text."""

import hmac
import os
from hashlib import sha256

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SEPARATOR = b"\x1f"


class Ids:
    """The ids of one curation: HMAC-SHA-256 under ASSAY_KEY, else under the curation's name."""

    def __init__(self, curation: str) -> None:
        self._hmac = hmac.new((os.environ.get("ASSAY_KEY") or curation).encode(), digestmod=sha256)

    def id(self, noun: str, *parts: object) -> str:
        """Return `noun_` and 26 letters: 128 bits of the keyed hash of the parts, in Crockford's base 32."""
        keyed = self._hmac.copy()
        keyed.update(_SEPARATOR.join([noun.encode(), *(_bytes(part) for part in parts)]))
        number = int.from_bytes(keyed.digest()[:16])
        return f"{noun}_" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -5, -5))

    def signature(self, text: str) -> str:
        """Return the keyed hash of a text, as 64 hex digits: nobody without the key can make it."""
        keyed = self._hmac.copy()
        keyed.update(text.encode())
        return keyed.hexdigest()


def share(key: str, name: str) -> float:
    """Return a number in [0, 1), uniform over names and fixed by key and name."""
    digest = hmac.new(key.encode(), name.encode(), sha256).digest()
    return int.from_bytes(digest[:7]) / 2**56


def _bytes(part: object) -> bytes:
    # lengths keep ("ab", "c") and ("a", "bc") apart; null is not the empty string
    text = b"\x00" if part is None else b"\x01" + str(part).encode()
    return len(text).to_bytes(8) + text
