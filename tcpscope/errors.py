"""The errors a caller may see.

    TcpscopeError
    ├── CaptureError    the file: unreadable, not a capture, damaged at its start
    └── UsageError      the caller: a wrong option, filter, frame or connection

Nothing that stands in a packet raises: it becomes an annotation or a counter.
"""


class TcpscopeError(Exception):
    """Base of all; its text is one line that says what is wrong and what to do."""


class CaptureError(TcpscopeError):
    """The capture cannot be used."""


class UsageError(TcpscopeError):
    """The request cannot be met."""
