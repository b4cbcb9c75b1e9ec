"""The full screen of a capture that goes on.

    shown = show(watch, name="eth0", recent=recent)   # returns when the user quits, or when the capture is over
    shown.oddest, shown.findings, shown.reason        # what analyze prints at the end

textual, which draws it, is loaded when it is shown.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from threading import Thread
from typing import NamedTuple

from tcpscope.diagnose.finding import Finding
from tcpscope.diagnose.watch import Watch
from tcpscope.report.oddest import Oddest
from tcpscope.report.screen.model import Ends, Model
from tcpscope.tables.analysis import DEFAULT_MSL
from tcpscope.tables.recent import Recent
from tcpscope.tables.session import Notice

__all__ = ["Shown", "preload", "show"]


class Shown(NamedTuple):
    """What is left when the screen is closed.  reason: why the capture ended, empty: the user has ended it."""

    oddest: Oddest
    findings: list[Finding]
    reason: str


def show(
    watch: Watch,
    *,
    name: str = "",
    filter: str = "",
    utc: bool = True,
    recent: Recent | None = None,
    msl: float = DEFAULT_MSL,
    ends: Ends | None = None,
    extra: Callable[[], list[Notice]] | None = None,
    stay: bool = False,
) -> Shown:
    """Show the watch's session on the terminal until the user quits; then end it and say what was odd.

    The session is stepped in a thread of its own.  name, filter: of what is captured, as the screen names it.
    recent: gets the capture's bytes (the stream's tee); without it no ladder is drawn and nothing written.  ends: asked
    at every look why the capture is to end.  extra: more notices, taken at every look.  stay: also when a stream has
    ended in order.  The terminal is restored however this ends; what the session raises is raised.
    """
    from tcpscope.report.screen.app import Live

    model = Model(watch, ends=ends, extra=extra)
    session = watch.session
    session.start()
    app = Live(model, name=name or session.name, filter=filter, utc=utc, recent=recent, msl=msl, stay=stay)
    try:
        with _no_color_kept():
            app.run(mouse=False)  # the mouse marks and copies, as it does elsewhere in a terminal
    finally:
        session.stop()
    if app.failure is not None:
        raise app.failure
    while not session.wait(0.1):
        pass
    return Shown(model.shown, model.finish(), app.reason)


def preload() -> None:
    """Load what draws the screen in the background, while a capturer starts."""
    from importlib import import_module

    Thread(target=import_module, args=("tcpscope.report.screen.app",), daemon=True).start()


@contextlib.contextmanager
def _no_color_kept() -> Iterator[None]:
    """textual takes NO_COLOR out of the environment, but what is printed afterwards honours it too."""
    before = os.environ.get("NO_COLOR")
    try:
        yield
    finally:
        if before is not None:
            os.environ["NO_COLOR"] = before
