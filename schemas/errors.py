"""Why a command stops: each error is one exit status of the contract."""


class AssayError(Exception):
    """A stop with a reason a person can act on; never holds raw text."""

    status = 1


class RequestError(AssayError, ValueError):
    """The request is wrong: configuration, arguments or credentials."""

    status = 2


class SourceRefused(AssayError):
    """A source is unreadable, or too much of it was quarantined."""

    status = 5
