"""The ladder as text: Unicode or ASCII, in so many columns.

    time  frame  client's state │── label ──────────▶│ server's state  since the packet before

A state's name stands where it begins, a thin rail below it while it lasts.  What does not fit on an
arrow stands below it; nothing essential is cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from textwrap import wrap

from tcpscope.report.ladder import words
from tcpscope.report.ladder.model import CLIENT, ENDS, UNSEEN, Happening, Ladder, Row, Segment
from tcpscope.report.text import safe

LEAST = 60  # columns
NARROW = 76  # below this, states have short names and the time since the packet before is left out
LONGEST_TIME = 10  # columns; longer times have fewer decimals
LEAST_DECIMALS = 3
DELTA = 6  # columns
LEAST_INNER = 20
UNITS = re.compile(r"(\d) (µs|ms|s|min|h|B|kB|MB|GB|lost|idle|segments?)\b")
SHORT = {"SYN_RECEIVED": "SYN_RCVD", "ESTABLISHED": "ESTAB"}


@dataclass(frozen=True)
class Pen:
    """The characters of the drawing."""

    right: str = "▶"
    left: str = "◀"
    plain: str = "─"
    again: str = "╌"
    probe: str = "┈"
    line: str = "│"
    span: str = "╎"
    hatch: str = "░"
    shut: str = "█"
    wait: str = "┇"
    fold: str = "⋮"
    lost: str = "✗"
    unanswered: str = "?"
    delta: str = "Δ"


UNICODE = Pen()
ASCII = Pen(">", "<", "-", "~", ".", "|", "'", "%", "#", "!", ":", "x", "?", "delta")
TO_ASCII = str.maketrans({"µ": "u", "→": "->", "·": " ", "…": "...", "½": "half", "–": "-", "⋮": ":", "✗": "x"})


def short(seconds: float | None) -> str:
    """A duration in six characters at most: `312µs`, `48.2ms`, `3.21s`, `2m05s`, `1h02m`, `5.2d`."""
    if seconds is None:
        return ""
    if seconds < 0:
        return "-" + short(-seconds)
    if seconds < 0.0009995:
        return f"{seconds * 1e6:.0f}µs"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g}ms" if seconds < 0.09995 else f"{seconds * 1e3:.0f}ms"
    if seconds < 99.95:
        return f"{seconds:.3g}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours < 48 else f"{hours / 24:.1f}d" if hours < 2400 else f"{hours / 24:.0f}d"


def wrapped(said: str, width: int) -> list[str]:
    """The text in lines; a number stays with its unit."""
    tied = UNITS.sub("\\1\u00a0\\2", said)
    return [line.replace("\u00a0", " ") for line in wrap(tied, width, break_on_hyphens=False)]


def text(ladder: Ladder, width: int = 100, ascii_only: bool = False, raw: bool = False) -> str:
    """The drawing, a line feed at the end of each line.

    width: columns, 60 at least.  raw: numbers as in the header.
    """
    return "".join(line.rstrip() + "\n" for line in Drawing(ladder, width, ascii_only, raw).lines())


def segments(rows: Iterable[Segment], start: float, width: int = 76, raw: bool = False) -> Iterator[str]:
    """Bare arrows with time and frame, a line each: what a fold holds."""
    for it in rows:
        said = words.notes(it)
        drawn = arrow(it, width, UNICODE, words.fitted(words.words(it, raw), width - 6)[0])
        yield f"{it.time - start:12.6f} {it.frame:>7} │{drawn}│ {said}".rstrip()


def arrow(it: Segment, width: int, pen: Pen, label: str) -> str:
    """A line from the sender to the receiver with the label in it, cut where the segment was lost."""
    stroke = {"again": pen.again, "probe": pen.probe}.get(it.style, pen.plain)
    said = f" {label} "
    room = max(width - 3 - len(said), 0)
    rest = stroke * room + pen.right
    if it.fate != "delivered":
        rest = (stroke * (room // 3) + (pen.unanswered if it.fate == "unanswered" else pen.lost)).ljust(room + 1)
    if it.sender == CLIENT:
        return stroke * 2 + said + rest
    return rest[::-1].replace(pen.right, pen.left) + said + stroke * 2


class Drawing:
    """The columns of one drawing, and its lines."""

    def __init__(self, ladder: Ladder, width: int, ascii_only: bool, raw: bool) -> None:
        self.ladder, self.raw = ladder, raw
        self.width = max(width, LEAST)
        self.pen = ASCII if ascii_only else UNICODE
        self.narrow = self.width < NARROW
        times = [row.time - ladder.start for row in ladder.rows]
        self.decimals = 6
        while self.decimals > LEAST_DECIMALS and max(len(self._time(it)) for it in times) > LONGEST_TIME:
            self.decimals -= 1
        self.time_width = max(len(self._time(it)) for it in times)
        frames = [row.frame for row in ladder.rows if isinstance(row, Segment)]
        self.frame_width = len(str(max(frames, default=0)))
        self.delta_width = 0 if self.narrow else DELTA
        names = [{self._name(it.state) for it in ladder.spans if it.endpoint == end} for end in ENDS]
        self.left, self.right = (max(len(name) for name in it) if it else 0 for it in names)
        fixed = self.time_width + self.frame_width + self.left + self.right + self.delta_width + 7
        self.inner = max(self.width - fixed, LEAST_INNER)
        self.used: set[str] = set()  # what the legend explains

    def _time(self, seconds: float) -> str:
        return f"{seconds:.{self.decimals}f}"

    def _name(self, state: str) -> str:
        return SHORT.get(state, state) if self.narrow else state

    def lines(self) -> Iterator[str]:
        yield from self._header()
        for at, row in enumerate(self.ladder.rows):
            yield from self._row(at, row)
        yield ""
        for line in [*self._legend(), words.footer(self.ladder.timing), *self.ladder.notes]:
            yield from self._wrapped(line, self.width)

    def _plain(self, said: str) -> str:
        """The text in the characters that the drawing may use."""
        return said.translate(TO_ASCII).encode("ascii", "replace").decode() if self.pen is ASCII else said

    def _wrapped(self, said: str, width: int) -> list[str]:
        return wrapped(self._plain(said), width)

    # ------------------------------------------------------------ parts

    def _header(self) -> Iterator[str]:
        client, server = (self._plain(safe(str(end))) for end in (self.ladder.client, self.ladder.server))
        if self.inner >= len(client) + len(server) + 16:
            client, server = f"client {client}", f"server {server}"
        if self.ladder.about:
            server = f"{server} ({self._plain(safe(self.ladder.about))})"
        margin = " " * (self.time_width + self.frame_width + self.left + 3)
        gap = self.inner + 2 - len(client) - len(server)
        if gap > 0:
            yield margin + client + " " * gap + server
        else:
            yield margin[: max(self.width - len(client), 0)] + client[: self.width]
            yield f"{server:>{len(margin) + self.inner + 2}}"[: self.width]
        left, right = (self._name(state) if state != "UNKNOWN" else "" for state in self.ladder.before)
        titles = "time".rjust(self.time_width), "#".rjust(self.frame_width)
        line = f"{titles[0]} {titles[1]} {left:>{self.left}} {self.pen.line}{'':{self.inner}}{self.pen.line} {right}"
        delta = "" if self.narrow else self.pen.delta
        yield line.ljust(self.width - len(delta)) + delta

    def _line(self, at: int, middle: str, left: str, right: str, time: str = "", frame: str = "",
              delta: float | None = None) -> str:  # fmt: skip
        rails = [self._rail(at, end) for end in ENDS]
        line = (
            f"{time:>{self.time_width}} {frame:>{self.frame_width}} {left:>{self.left}} "
            f"{rails[0]}{middle}{rails[1]} {right:<{self.right}}"
        )
        if self.delta_width and delta is not None:
            line += f" {self._plain(short(delta)):>{self.delta_width}}"
        return line

    def _rail(self, at: int, endpoint: str) -> str:
        """The endpoint's line: filled while its window is closed, broken while it waits for the peer's."""
        for bar in self.ladder.bars_at(endpoint):
            if bar.covers(at) and bar.what in ("zero_window", "persist"):
                self.used.add(bar.what)
                return self.pen.shut if bar.what == "zero_window" else self.pen.wait
        return self.pen.line

    def _states(self, at: int) -> tuple[str, str]:
        """Names where they begin at this row, the rail of what lasts."""
        now, before = self.ladder.states(at), self.ladder.states(at - 1)
        return self._told(now[0], before[0]), self._told(now[1], before[1])

    def _told(self, state: str, before: str) -> str:
        return self._name(state) if state != before else self._lasting(state)

    def _lasting(self, state: str) -> str:
        if state == "TIME_WAIT":
            self.used.add("time_wait")
            return self.pen.hatch
        return "" if state in UNSEEN else self.pen.span

    def _row(self, at: int, row: Row) -> Iterator[str]:
        left, right = self._states(at)
        below, beside = (self._lasting(state) for state in self.ladder.states(at))
        if isinstance(row, Segment):
            parts = words.words(row, self.raw)
            label, rest = words.fitted(parts, self.inner - 6)
            self.used.add(row.style)
            self.used.add(row.fate)
            if words.lacks_window(f"{label} {rest}"):
                self.used.add("no_window")
            drawn = arrow(row, self.inner, self.pen, label)
            when = self._time(row.time - self.ladder.start)
            yield self._line(at, drawn, left, right, when, str(row.frame), row.delta)
            said = "; ".join(it for it in (rest, words.remarks(self.ladder, at)) if it)
            side = "<" if row.sender == CLIENT else ">"
            for line in self._wrapped(said, self.inner - 2):
                yield self._line(at, f" {line:{side}{self.inner - 2}} ", below, beside)
            return
        time, delta = (row.time - self.ladder.start, row.delta) if isinstance(row, Happening) else (None, None)
        for number, line in enumerate(self._wrapped(words.across(row), self.inner - 2)):
            middle = f"{line:^{self.inner}}"
            if number:
                yield self._line(at, middle, below, beside)
            else:
                yield self._line(at, middle, left, right, "" if time is None else self._time(time), "", delta)

    def _legend(self) -> list[str]:
        pen = self.pen
        told = [
            ("again", f"{pen.again * 2} sent again"), ("probe", f"{pen.probe * 2} probe"), ("lost", f"{pen.lost} lost"),
            ("rejected", f"{pen.lost} rejected"), ("unanswered", f"{pen.unanswered} no answer captured"),
            ("zero_window", f"{pen.shut} window closed"),
            ("persist", f"{pen.wait} persist timer runs"), ("time_wait", f"{pen.hatch} TIME_WAIT"),
        ]  # fmt: skip
        used = self.used - {"rejected"} if "lost" in self.used else self.used  # the same sign, and the row says why
        said = [text for name, text in told if name in used]
        lines = ["   ".join(said)] if said else []
        return [*lines, words.WITHOUT_WINDOW] if "no_window" in self.used else lines
