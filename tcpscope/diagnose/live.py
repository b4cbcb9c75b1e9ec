"""The Python interface to a live capture: `for event in tcpscope.live("eth0", "tcp port 443"): …`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tcpscope.capture.capturer import HEADERS, WHOLE, Wish
from tcpscope.capture.rotate import Files
from tcpscope.diagnose import Finding
from tcpscope.diagnose.watch import Until, Watch
from tcpscope.tables.analysis import DEFAULT_MSL, check_msl
from tcpscope.tables.rows import rows
from tcpscope.tables.session import MAX_CONNECTIONS, Counters, Turn
from tcpscope.tables.session import live as session_on

if TYPE_CHECKING:
    import pandas

TURN = 0.1  # seconds between two turns


class Live:
    """A capture that runs.  Iterating gives its events, a dict each, as they become known, until it is stopped.

    `kind` tells what an event is: state, correction (what was told is taken back: sent, but not delivered),
    connection (one has ended: its row), finding, notice (drops, connections retired).  Leave it through `with`, or call
    `stop` and iterate to the end, or `close`.
    """

    def __init__(self, wish: Wish, files: Files | None, limits: dict[str, Any], settings: dict[str, Any]) -> None:
        self._limits, self._files = limits, files
        self._until = Until(limits["until"]) if limits["until"] else None
        try:
            self.session, self._stream = session_on(wish, tee=files, **settings)
        except BaseException:
            if files is not None:
                files.close()
            raise
        self._watch = Watch(self.session)
        self._finished = False

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        session = self.session
        began = told = time.monotonic()
        while not session.over:
            session.step()
            now = time.monotonic()
            if now - told >= TURN or session.full:
                told = now
                yield from self._events(session.turn())
                if self._reached(now - began, None):
                    session.stop()
            if self._watch.due():
                for it in self._watch.fresh():
                    yield {"kind": "finding", **it.as_dict()}
                if self._until is not None and self._until.is_finding and self._reached(0, self._watch.latest):
                    session.stop()
        if not self._finished:
            self._finished = True
            yield from self._events(session.turn())
            for turn in session.finish():
                yield from self._events(turn)

    def _events(self, turn: Turn) -> Iterator[dict[str, Any]]:
        self._watch.take(turn)
        yield from rows("events", turn.events)
        missed = set(self.session.missed(turn.connections))
        for at, row in enumerate(rows("connections", turn.connections)):
            yield {"kind": "connection", "missed_by_capture": at in missed, **row}
        for notice in turn.notices:
            yield {"kind": "notice", "time": notice.time, "id": notice.id, "text": notice.text, **notice.numbers}

    def _reached(self, seconds: float, found: list[Finding] | None) -> bool:
        limits = self._limits
        if limits["duration"] is not None and seconds >= limits["duration"]:
            return True
        if limits["packets"] is not None and self.session.counters().packets >= limits["packets"]:
            return True
        return self._until is not None and self._until.holds(self._watch, found)

    @property
    def connections(self) -> pandas.DataFrame:
        """The open connections as they are now, a row each."""
        from tcpscope.tables.frames import frame

        return frame("connections", [self.session.open_connections(MAX_CONNECTIONS)[0]])

    @property
    def findings(self) -> list[Finding]:
        """What is odd so far, worst first."""
        return self._watch.final() if self._finished else self._watch.findings()

    @property
    def states(self) -> dict[tuple[str, str], int]:
        """How many open connections are in which states: (client's, server's) → count."""
        return self.session.states()

    @property
    def counters(self) -> Counters:
        """Packets received, dropped by the kernel and by the interface, the analyser's lag, and more."""
        return self.session.counters()

    @property
    def damage(self) -> str | None:
        """Why the capture ended though nobody had stopped it; None: it did not."""
        return self._stream.damage

    def stop(self) -> None:
        """Stop capturing; may be called from any thread.  What was sent before still comes, then the events end."""
        self.session.stop()

    def close(self) -> None:
        """Give it up at once."""
        self._stream.close()
        if self._files is not None:
            self._files.close()


def live(
    interface: str | Iterable[str] = "any",
    filter: str = "",
    *,
    duration: float | None = None,
    packets: int | None = None,
    until: str | None = None,
    write: str | os.PathLike[str] | None = None,
    immediate: bool = True,
    promiscuous: bool = False,
    snaplen: int | None = None,
    msl: float = DEFAULT_MSL,
    by_tunnel: bool = False,
    max_connections: int = MAX_CONNECTIONS,
) -> Live:
    """Capture on an interface, several, or any, and analyse what passes; docs/live.md tells more.

    When this returns the capture is running.  filter: pcap-filter's language.  duration (seconds), packets and until
    (as `--until`) end it.  write: keep the packets in this file as well.  immediate: a packet is told at once, not
    within a second; costs more where there are very many.  snaplen: bytes kept of a packet; None: the headers, or all
    with `write`.

    Raises CaptureError, in one line that says what to do: no right, no such interface, filter not understood.
    """
    check_msl(msl)
    names = (interface,) if isinstance(interface, str) else tuple(interface)
    kept = snaplen or (HEADERS if write is None else WHOLE)
    program = "dumpcap" if write is not None and os.fspath(write).lower().endswith(".pcapng") else None
    files = None if write is None else Files(os.fspath(write))
    return Live(
        Wish(names, filter, kept, promiscuous, immediate=immediate, program=program), files,
        {"duration": duration, "packets": packets, "until": until},
        {"msl": msl, "by_tunnel": by_tunnel, "max_connections": max_connections},
    )  # fmt: skip
