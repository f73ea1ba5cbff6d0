"""Why a command stops: each error is one exit status of the contract."""

import signal


class AssayError(Exception):
    """A stop with a reason a person can act on; never holds raw text."""

    status = 1


class RequestError(AssayError, ValueError):
    """The request is wrong: configuration, arguments or credentials."""

    status = 2


class BudgetStop(AssayError):
    """The budget, or the account's quota, is used up; all that was paid for is kept."""

    status = 4


class SourceRefused(AssayError):
    """A source is unreadable, or too much of it was quarantined."""

    status = 5


class Interrupted(AssayError):
    """A signal stopped it; its exit status is 128 and the signal's number, as shells have it."""

    def __init__(self, message: str, number: int = signal.SIGTERM) -> None:
        super().__init__(message)
        self.status = 128 + number
