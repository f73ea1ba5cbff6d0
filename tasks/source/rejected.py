"""Why a record cannot be used."""


class Rejected(Exception):
    """A record cannot be used: a reason code, and what was expected."""

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail

    def bare(self) -> "Rejected":
        """Return the reason alone: once raised, this one holds on to the text it was raised over."""
        return Rejected(self.reason, self.detail)
