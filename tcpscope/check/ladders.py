"""The ladder around a violation: the captures are read again for the connections that are shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from tcpscope.check.observed import Observed
from tcpscope.check.verdict import Violation
from tcpscope.errors import TcpscopeError, UsageError
from tcpscope.replay.layout import CONNECTION, EVENT, PACKET
from tcpscope.report.ladder import COLUMNS, Options, ladder, render
from tcpscope.tables.analysis import packets_again, readable_once, stream
from tcpscope.tables.one import belonging, packet_rows
from tcpscope.tables.rows import Raw, by_time, rows

ROWS = 24  # of a ladder
CONNECTIONS = 100  # drawn at most
MOST = 20_000  # packets of a connection that are kept for its ladder: its first, and those around the frame


@dataclass
class Shown:
    """One connection, ready to be drawn."""

    row: dict[str, Any]
    packets: list[bytes]
    events: list[dict[str, Any]]


class Ladders:
    """Ladders of the violations of one capture.

        drawn = Ladders(observed, verdict.violations[:3])
        drawn.render(violation)              # text; or "mermaid", "svg" …

    The captures are read again when these are made; a pipe that was not kept has no ladders.
    """

    def __init__(self, observed: Observed, violations: Iterable[Violation]) -> None:
        self._wanted: dict[int, int] = {}  # connection → the frame that matters most
        for it in violations:
            number = _connection(it)
            if number is not None and len(self._wanted) < CONNECTIONS:
                self._wanted.setdefault(number, it.frames[0] if it.frames else 0)
        self._shown = _read(observed, self._wanted) if self._wanted else {}

    def render(self, violation: Violation, form: str = "text", max_rows: int = ROWS, **how: Any) -> str:
        """The ladder as text (width, ascii_only), mermaid, svg or html; "" where there is none to show."""
        number = _connection(violation)
        shown = self._shown.get(number) if number is not None else None
        if shown is None:
            return ""
        for options in _options(violation, max_rows):
            try:
                drawing = ladder(shown.row, packet_rows(shown.packets, COLUMNS), shown.events, options)
            except TcpscopeError:
                continue  # there is no such part: the next best
            return render(drawing, form, **how)
        return ""


def _connection(violation: Violation) -> int | None:
    if violation.connection is not None:
        return violation.connection
    return violation.connections[0] if violation.connections else None


def _options(violation: Violation, rows: int) -> Iterable[Options]:
    """What to show, the best first."""
    whole = Options(max_rows=rows)
    if violation.part == "handshake":
        yield replace(whole, handshake=True)
    elif violation.frames:
        yield replace(whole, around=violation.frames[0])
    if violation.part == "close":
        yield replace(whole, close=True)
    yield whole


def _read(observed: Observed, wanted: dict[int, int]) -> dict[int, Shown]:
    """The rows of these connections."""
    result, early = observed.result, observed.early
    options: dict[str, Any] = {"msl": observed.msl, "by_tunnel": observed.by_tunnel}
    if readable_once(observed.found) and early is None and not observed.again:
        return {}
    if observed.whole:
        records, events = _own(wanted, [result.connections], [result.events])
    else:
        result, chunks = stream(observed.found, keep_past=True, **options)
        records, events = {}, {}
        for ended in chunks:
            more = _own(wanted, [ended.connections], [ended.events])
            records.update(more[0])
            for number, raw in more[1].items():
                events[number] = events.get(number, b"") + raw
    kept: dict[int, _Kept] = {number: _Kept(frame) for number, frame in wanted.items()}
    for chunk in early if early is not None else packets_again(observed.found, result, **options):
        _take(kept, chunk)
    return {
        number: Shown(
            next(rows("connections", raw)), kept[number].parts, list(rows("events", by_time(events.get(number, b""))))
        )
        for number, raw in records.items()
        if kept[number].parts
    }


def _own(
    wanted: dict[int, int], connections: Iterable[Raw], events: Iterable[Raw]
) -> tuple[dict[int, bytes], dict[int, bytes]]:
    import numpy

    numbers = numpy.array(list(wanted), dtype=numpy.int64)

    def picked(layout: Any, chunks: Iterable[Raw]) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for chunk in chunks:
            here = numpy.frombuffer(chunk, layout.dtype())["connection"]
            for number in numpy.unique(here[numpy.isin(here, numbers)]).tolist():
                found[number] = found.get(number, b"") + belonging(layout, chunk, number)
        return found

    return picked(CONNECTION, connections), picked(EVENT, events)


class _Kept:
    """Packets of one connection: all of few; of many the first, and the last MOST before and some after the frame."""

    def __init__(self, frame: int) -> None:
        self.frame, self.parts, self._count, self._over = frame, [], 0, False  # type: ignore[var-annotated]

    def take(self, raw: bytes, last_frame: int) -> None:
        if self._over:
            return
        self.parts.append(raw)
        self._count += len(raw) // PACKET.size
        if self._count > MOST:
            if last_frame > self.frame:
                self._over = True  # what comes after is far away
            elif len(self.parts) > 2:
                self._count -= len(self.parts.pop(1)) // PACKET.size


def _take(kept: dict[int, _Kept], chunk: Raw) -> None:
    import numpy

    records = numpy.frombuffer(chunk, PACKET.dtype())
    numbers = numpy.array(list(kept), dtype=numpy.int64)
    here = records["connection"]
    for number in numpy.unique(here[numpy.isin(here, numbers)]).tolist():
        mine = records[here == number]
        kept[number].take(mine.tobytes(), int(mine["frame"][-1]))


def rendered(capture: Any, violation: Violation, form: str = "text", **how: Any) -> str:
    """One violation in full: its message, its frames, and its ladder.

    capture: what `judge` was given.  form: text (with width, ascii_only), mermaid.  Reads the capture again.
    """
    from tcpscope.check.observed import of_capture
    from tcpscope.check.policy import load_policy

    if form not in ("text", "mermaid"):
        raise UsageError(f"no format {form!r}; there are: text, mermaid")
    observed = capture if isinstance(capture, Observed) else of_capture(capture, load_policy(None))
    drawn = Ladders(observed, [violation]).render(violation, form, **how)
    plural = "s" if len(violation.frames) != 1 else ""
    frames = f"frame{plural} {', '.join(map(str, violation.frames))}"
    return safe_lines(f"{violation.rule}: {violation.title}\n{violation.message}\n{frames}\n") + (
        "\n" + drawn if drawn else ""
    )


def safe_lines(text: str) -> str:
    """Each line without what a terminal would obey."""
    from tcpscope.report.text import safe

    return "".join(safe(line) + "\n" for line in text.splitlines())
