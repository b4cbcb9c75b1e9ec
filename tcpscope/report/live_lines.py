"""A capture that goes on, a line an event: for programs (JSON Lines) and for people (in a pipe).

Every line is complete when it is written, and flushed with its turn.
"""

from __future__ import annotations

import time
from io import BytesIO
from typing import Any, BinaryIO

from tcpscope.diagnose import Finding
from tcpscope.diagnose.facts import times
from tcpscope.replay.layout import CONNECTION, EVENT
from tcpscope.report.oddest import lines_of
from tcpscope.report.text import clock, safe
from tcpscope.tables.address import with_port
from tcpscope.tables.json_text import dumps
from tcpscope.tables.rows import by_time, columns
from tcpscope.tables.session import Counters, Notice, Turn
from tcpscope.tables.write import Records, write_lines

MOST = 1_000  # lines a turn that a person may read, or not
_EVENT = ("time", "connection", "endpoint", "ip", "port", "kind", "old", "new", "frame", "event")


def counters_row(counters: Counters) -> dict[str, Any]:
    """As JSON has them."""
    row = counters._asdict()
    for name in ("first", "last"):
        ns = row.pop(f"{name}_ns")
        row[name] = None if ns is None else ns / 1e9
    return row


class JsonLines:
    """An object a line; `kind` tells what: start, state, correction, connection, finding, notice, counters, end."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def say(self, kind: str, **fields: Any) -> None:
        self._stream.write(dumps({"kind": kind, **fields}, newline=True))

    def turn(self, turn: Turn, missed: list[int]) -> None:
        if turn.events:
            write_lines(Records("events", [turn.events]), "jsonl", self._stream)
        if turn.connections:
            held = BytesIO()
            write_lines(Records("connections", [turn.connections]), "jsonl", held)
            lines = b"\n" + held.getvalue()[:-1]
            if not missed:
                self._stream.write(lines.replace(b"\n{", b'\n{"kind":"connection",')[1:] + b"\n")
            for at, line in enumerate(lines[1:].split(b"\n") if missed else ()):
                mark = b'"missed_by_capture":true,' if at in missed else b""
                self._stream.write(b'{"kind":"connection",' + mark + line[1:] + b"\n")
        for notice in turn.notices:
            self.notice(notice)

    def notice(self, it: Notice) -> None:
        self.say("notice", time=it.time, id=it.id, text=it.text, **it.numbers)

    def findings(self, found: list[Finding]) -> None:
        for it in found:
            self.say("finding", time=time.time(), **it.as_dict())

    def counters(self, counters: Counters) -> None:
        self.say("counters", time=time.time(), **counters_row(counters))


class TextLines:
    """A short line for each change, ended connection, finding and notice; at most MOST changes and ends a turn."""

    def __init__(self, stream: BinaryIO, utc: bool) -> None:
        self._stream, self._utc = stream, utc

    def line(self, when: float, text: str) -> None:
        self._stream.write(f"{self._clock(when)}  {text}\n".encode("utf-8", "backslashreplace"))

    def say(self, kind: str, **fields: Any) -> None:
        """start and end are told by others."""

    def turn(self, turn: Turn, missed: list[int]) -> None:
        most = MOST * EVENT.size
        for found in columns("events", _by_time(turn.events[:most]), _EVENT):
            for when, number, role, ip, port, kind, old, new, frame, event in zip(*found, strict=True):
                place = with_port(ip, port)
                if kind == "state":
                    shown = f"{old} → {new}"
                    why = f"frame {frame}" if frame is not None else event.lower()
                else:
                    shown = f"{new}, not {old}"
                    why = f"correction: frame {frame} was not delivered, or not taken in" if frame else "correction"
                self.line(when, f"{number:>5}  {role} {place:<21}  {shown}  ({why})")
        if turn.connections:
            now = time.time()
            for at, it in enumerate(lines_of(turn.connections[: MOST * CONNECTION.size])):
                again = f", {it.again} sent again" if it.again else ""
                hole = ", holes are the capture's" if at in missed else ""
                states, sent = "/".join(it.states), f"→ {it.sent[0]}, ← {it.sent[1]}"
                text = f"{it.close}, {states}, {it.duration}, {sent}, RTT {it.rtt}{again}{hole}"
                self.line(now, f"{it.number:>5}  {it.client} → {it.server} over: {text}")
        changes, ends = len(turn.events) // EVENT.size - MOST, len(turn.connections) // CONNECTION.size - MOST
        if changes > 0 or ends > 0:
            more = f"{max(changes, 0):,} changes and {max(ends, 0):,} ends more, not shown"
            self.line(time.time(), f"… {more}; --format jsonl has all")
        for notice in turn.notices:
            self.notice(notice)

    def notice(self, it: Notice) -> None:
        self.line(it.time, f"{it.id}: {safe(it.text)}")

    def findings(self, found: list[Finding]) -> None:
        for it in found:
            self.line(time.time(), f"{it.severity}: {safe(it.text)}")

    def counters(self, counters: Counters) -> None:
        """The end tells them."""

    def _clock(self, when: float) -> str:
        return clock(when, self._utc).removesuffix(" UTC").partition(" ")[2] or clock(when, self._utc)


def _by_time(events: bytes) -> bytes:
    """In order of time; as they came where something is taken back, since what follows it may be older."""
    kinds = memoryview(events)[EVENT.offset("kind") :: EVENT.size]
    return events if any(kinds) else by_time(events)


def received(counters: Counters, program: str) -> str:
    """How much came, and how much did not: `12 packets received, 0 dropped by the kernel, …`."""

    def told(count: int | None) -> str:
        return "unknown" if count is None else f"{count:,}"

    held = f", {counters.held:,} bytes ({counters.lag:.1f} s) behind" if counters.held else ""
    if counters.dropped_by_kernel is None and counters.dropped_by_interface is None:
        drops = f"drops not told by {program}"
    else:
        drops = (
            f"{told(counters.dropped_by_kernel)} dropped by the kernel, "
            f"{told(counters.dropped_by_interface)} by the interface"
        )
    return f"{times(counters.packets, 'packet')} received, {drops}{held}"
