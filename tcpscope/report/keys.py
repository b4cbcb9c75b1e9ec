"""Keys from a terminal, one by one; the terminal is as before when this ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
from collections.abc import Iterator

from tcpscope.errors import UsageError

ONE = re.compile(r"\x1b\[[0-9;]*[A-Za-z~]|\x1bO.|.", re.S)
END = ""  # nobody types any more


class Keys:
    """The keys typed on a terminal that is open as a file descriptor."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._typed: list[str] = []

    def next(self, seconds: float) -> str | None:
        """The next key (arrows as their escape sequences), END, or None if none came in that time."""
        if not self._typed:
            if not select.select([self._terminal], [], [], seconds)[0]:
                return None
            data = os.read(self._terminal, 64)
            if not data:
                return END
            self._typed = ONE.findall(data.decode("utf-8", "replace"))
        return self._typed.pop(0)


@contextlib.contextmanager
def keys() -> Iterator[Keys]:
    """Keys without waiting for Enter, from standard input, or from the terminal where that is a pipe.

    Ctrl-C raises KeyboardInterrupt, a request to end (SIGTERM) SystemExit; Ctrl-Z does nothing.
    """
    import termios
    import tty

    own = not (sys.stdin is not None and sys.stdin.isatty())
    try:
        terminal = os.open("/dev/tty", os.O_RDWR) if own else sys.stdin.fileno()
    except OSError:
        raise UsageError("--watch needs a terminal to read keys from; in a pipe it tells every change") from None
    modes = termios.tcgetattr(terminal)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGTSTP)}

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    try:
        signal.signal(signal.SIGTERM, leave)
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # it would leave the alternate screen to the shell
        tty.setcbreak(terminal)
        yield Keys(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, modes)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if own:
            os.close(terminal)
