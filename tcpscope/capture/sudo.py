"""Under sudo, everything but the start of the capture runs as the user who called it.

The capturer keeps the two capabilities that it needs (capabilities(7), ambient), and may so be signalled by its
caller; what reads the packets keeps none.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from typing import NamedTuple

CAPTURES = "+net_raw,+net_admin"


class Caller(NamedTuple):
    uid: int
    gid: int


def caller() -> Caller | None:
    """The user who called sudo; None without sudo, and where one cannot go on as that user.

    That is where programs cannot be started with single capabilities, or where the user may not read this program.
    """
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("setpriv") is None:
        return None
    try:
        found = Caller(int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))
    except (KeyError, ValueError):
        return None
    if found.uid <= 0 or found.gid <= 0:
        return None
    with acting_as(found):
        readable = all(os.access(it, os.R_OK, effective_ids=True) for it in (__file__, os.__file__))
    return found if readable else None


def capturing(command: list[str], who: Caller) -> list[str]:
    """The command, to run as that user with the right to capture."""
    return [
        "setpriv", f"--reuid={who.uid}", f"--regid={who.gid}", "--clear-groups", f"--inh-caps={CAPTURES}",
        f"--ambient-caps={CAPTURES}", "--", *command,
    ]  # fmt: skip


@contextlib.contextmanager
def acting_as(who: Caller | None) -> Iterator[None]:
    """Files are made with that user's rights, and belong to them."""
    if who is None:
        yield
        return
    os.setegid(who.gid)
    os.seteuid(who.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def become(who: Caller) -> None:
    """For good, in all threads."""
    os.setgroups([])
    os.setresgid(who.gid, who.gid, who.gid)
    os.setresuid(who.uid, who.uid, who.uid)
