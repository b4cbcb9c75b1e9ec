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


def no_connection(number: int | None, total: int) -> UsageError:
    """What to say of a connection that is not there, of so many that are."""
    if not total:
        return UsageError("the capture has no TCP connection; tcpscope analyze tells what it has")
    return UsageError(f"no connection {number}: the capture has {total}, counted from 0")
