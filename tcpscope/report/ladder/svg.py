"""The ladder as SVG: slanted arrows, states as bars, light and dark.

Parts know how far they reach from top to bottom, so that the HTML page can cut the drawing at its folds.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import atan, degrees

from tcpscope.report.ladder import words
from tcpscope.report.ladder.layout import BETWEEN, LINE, MARGIN, SMALL_CHAR, Layout, Place, lay_out
from tcpscope.report.ladder.model import (
    CLIENT,
    ENDS,
    SERVER,
    UNSEEN,
    Bar,
    Fold,
    Happening,
    Idle,
    Ladder,
    Link,
    Segment,
)
from tcpscope.report.ladder.style import STYLE
from tcpscope.report.ladder.text import short, wrapped
from tcpscope.report.text import safe, span

BAR_NEAR, BAR_FAR = 18.0, 27.0  # a state's bar, from the lifeline
LANES = (5.0, 9.0, 13.0)  # links, from the lifeline
HEAD_LONG, HEAD_WIDE = 9.0, 3.6  # of an arrow
DOT = 2.4
PHASES = {
    "SYN_SENT": "open", "SYN_RECEIVED": "open", "ESTABLISHED": "est", "FIN_WAIT_1": "close", "FIN_WAIT_2": "close",
    "CLOSE_WAIT": "close", "CLOSING": "close", "LAST_ACK": "close", "TIME_WAIT": "wait",
}  # fmt: skip

Part = tuple[float, float, str]  # from, to, markup


def svg(ladder: Ladder, raw: bool = False, name: str | None = None, tips: bool = True) -> str:
    """A picture that stands alone.

    raw: numbers as in the header.  name: tells the ids of several on one page apart.  tips: each row tells all that
    is known of it when the pointer rests on it; without them the file is half as large.
    """
    drawing = Drawing(ladder, raw, name, tips=tips)
    return drawing.piece(0, drawing.height) + "\n"


def text(x: float, y: float, said: str, css: str, anchor: str = "", turn: float = 0.0) -> str:
    """A text element; `said` may hold anything."""
    where = {"end": ' text-anchor="end"', "middle": ' text-anchor="middle"'}.get(anchor, "")
    turned = f' transform="rotate({turn:.2f} {x:.1f} {y:.1f})"' if abs(turn) > 0.01 else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{css}"{where}{turned}>{markup(said)}</text>'


def markup(said: str) -> str:
    """Escaped for text and attributes; control characters made visible (XML forbids most)."""
    return escape(safe(said), quote=True)


class Drawing:
    """All parts of one drawing."""

    def __init__(
        self, ladder: Ladder, raw: bool = False, name: str | None = None, live: bool = False, tips: bool = True
    ) -> None:
        self.ladder, self.live, self.tips = ladder, live, tips
        self.name = name or f"c{ladder.connection}"
        self.at: Layout = lay_out(ladder, raw)
        self.width = self.at.width
        timing = ladder.timing
        self.tap: float | None = None  # where the capture was taken, if between the ends
        if timing.capture_point == "middle" and timing.to_client and timing.to_server:
            share = timing.to_client / (timing.to_client + timing.to_server)
            self.tap = self.at.client_x + BETWEEN * share
        self.footer = self._footer_lines()
        self.height = self.at.bottom + 12 + LINE * len(self.footer) + (24 if self._legend() else 0) + MARGIN
        self.parts: list[Part] = [
            *self._frame(), *self._spans(), *self._bars(), *self._links(), *self._rows(), *self._bottom(),
        ]  # fmt: skip

    def piece(self, top: float, bottom: float) -> str:
        """The drawing from one y to another, as an element of its own."""
        lad = self.ladder
        title = f"TCP connection {lad.connection}: {words.ends(lad)}"
        told = " ".join([words.summary(lad), words.footer(lad.timing), *lad.notes])
        inside = "".join(part for start, end, part in self.parts if start < bottom and end > top)
        ids = f"{self.name}-{top:.0f}"
        label = f'role="{"group" if self.live else "img"}" aria-labelledby="t{ids} d{ids}"'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="tl" viewBox="0 {top:.0f} {self.width:.0f} '
            f'{bottom - top:.0f}" width="{self.width:.0f}" height="{bottom - top:.0f}" {label}>'
            f'<title id="t{ids}">{markup(title)}</title><desc id="d{ids}">{markup(told)}</desc>'
            f"<style>{STYLE.replace('HATCH', f'h{ids}')}</style>"
            f'<defs><pattern id="h{ids}" width="6" height="6" patternUnits="userSpaceOnUse" '
            f'patternTransform="rotate(45)"><path d="M0 0V6" class="tl-hatch"/></pattern></defs>'
            f'<rect class="tl-paper" y="{top:.0f}" width="{self.width:.0f}" height="{bottom - top:.0f}"/>{inside}</svg>'
        )

    # ------------------------------------------------------------ frame

    def _frame(self) -> Iterator[Part]:
        at, lad = self.at, self.ladder
        for end, address in ((CLIENT, lad.client), (SERVER, lad.server)):
            x = at.line(end)
            yield at.top, at.bottom, f'<path class="tl-line" d="M{x:.1f} {at.top:.1f}V{at.bottom:.1f}"/>'
            here = lad.timing.measured(end)
            yield 0, 30, text(x, 16, end + (" (captured here)" if here else ""), "tl-end", "middle")
            yield 0, 40, text(x, 31, str(address), "tl-addr", "middle")
        if lad.about:
            yield 0, 46, text(at.server_x, 44, self._about(), "tl-small", "middle")
        if self.tap is not None:
            x = self.tap
            yield at.top, at.bottom, f'<path class="tl-tap" d="M{x:.1f} {at.top:.1f}V{at.bottom:.1f}"/>'
            yield 0, 44, text(x, 42, "captured here", "tl-small", "middle")
        y = at.top + 4
        yield 0, y + 4, text(at.time_x, y, "time", "tl-small", "end")
        yield 0, y + 4, text(at.frame_x, y, "#", "tl-small", "end")
        yield 0, y + 4, text(self.width - MARGIN, y, "Δ", "tl-small", "end")

    def _about(self) -> str:
        """The service and its name, as far as there is room below the server's address."""
        said = safe(self.ladder.about)
        most = int(2 * (self.width - MARGIN - self.at.server_x) / SMALL_CHAR)
        return said if len(said) <= most else said[: most - 1] + "…"

    # ------------------------------------------------------------ what lasts

    def _spans(self) -> Iterator[Part]:
        for it in self.at.names:
            side = -1 if it.endpoint == CLIENT else 1
            x = self.at.line(it.endpoint)
            phase = PHASES.get(it.state)
            if phase:
                left = min(x + side * BAR_NEAR, x + side * BAR_FAR)
                wide, high = BAR_FAR - BAR_NEAR, it.bottom - it.top
                box = f'x="{left:.1f}" y="{it.top:.1f}" width="{wide:.1f}" height="{high:.1f}"'
                hatch = f'<rect {box} class="tl-over"/>' if phase == "wait" else ""
                yield it.top, it.bottom, f'<rect {box} class="tl-{phase}"/>{hatch}'
            css = "tl-state" + (" tl-dim" if it.state in UNSEEN else "")
            anchor = "end" if side < 0 else ""
            yield it.text_y - 12, it.text_y + 4, text(x + side * (BAR_FAR + 6), it.text_y, it.state, css, anchor)

    def _bars(self) -> Iterator[Part]:
        for bar in self.ladder.bars:
            if bar.what == "time_wait":
                continue  # drawn as the state's bar
            x = self.at.line(bar.endpoint)
            top = self.at.places[bar.first_row].end(bar.endpoint)
            bottom = self.at.bottom if bar.last_row is None else self.at.places[bar.last_row].end(bar.endpoint)
            if bar.what == "zero_window":
                shape = f'<rect class="tl-shut" x="{x - 4:.1f}" y="{top:.1f}" width="8" height="{bottom - top:.1f}">'
            else:
                shape = f'<path class="tl-persist" d="M{x:.1f} {top:.1f}V{bottom:.1f}">'
            tag = shape[1 : shape.index(" ")]
            yield top, bottom, f"{shape}<title>{markup(_bar_words(bar))}</title></{tag}>"

    def _links(self) -> Iterator[Part]:
        taken: dict[str, list[float]] = {end: [0.0] * len(LANES) for end in ENDS}
        for link in sorted(self.ladder.links, key=lambda it: it.original_row):
            row = self.ladder.rows[link.row]
            assert isinstance(row, Segment)
            start = self.at.places[link.original_row].end(row.sender)
            end = self.at.places[link.row].end(row.sender)
            lanes = taken[row.sender]
            lane = next((it for it, until in enumerate(lanes) if until < start), lanes.index(min(lanes)))
            lanes[lane] = max(lanes[lane], end)
            yield start, end, self._link(link, row.sender, start, end, LANES[lane])

    def _link(self, link: Link, sender: str, start: float, end: float, out: float) -> str:
        side = -1 if sender == CLIENT else 1
        x = self.at.line(sender)
        edge, lane = x + side * 2, x + side * out
        return (
            f'<path class="tl-link" d="M{edge:.1f} {start:.1f}H{lane:.1f}V{end:.1f}H{edge:.1f}">'
            f"<title>sent again after {markup(span(link.seconds))}</title></path>"
        )

    # ------------------------------------------------------------ rows

    def _rows(self) -> Iterator[Part]:
        """All lines, then all texts: no arrow runs through another one's label."""
        rows = list(zip(self.ladder.rows, self.at.places, strict=True))
        for at, (row, place) in enumerate(rows):
            if isinstance(row, Segment):
                tip = "; ".join(f"{name}: {said}" for name, said in words.details(self.ladder, row))
                yield place.top, place.bottom, self._group(at, tip, "".join(self._arrow(row, place)))
            else:
                yield place.top, place.bottom, self._group(at, words.across(row), "".join(self._across(row, place)))
        for row, place in rows:
            told = self._label(row, place) if isinstance(row, Segment) else self._told(row, place)
            yield place.top, place.bottom, "".join(told)

    def _group(self, at: int, tip: str, inside: str) -> str:
        if self.live:
            place = self.at.places[at]
            hit = (
                f'<rect class="tl-hit" y="{place.top:.1f}" width="{self.width:.0f}" '
                f'height="{place.bottom - place.top:.1f}"/>'
            )
            label = f'tabindex="0" role="img" aria-label="{markup(tip)}"'
            return f'<g class="tl-row" data-row="{at}" {label}>{hit}{inside}</g>'
        return f"<g><title>{markup(tip)}</title>{inside}</g>" if self.tips else inside

    def _ends(self, it: Segment, place: Place) -> tuple[tuple[float, float], tuple[float, float], int, float]:
        """Where it leaves and where it would arrive, to which side it goes, its slope."""
        near, far = (CLIENT, SERVER) if it.sender == CLIENT else (SERVER, CLIENT)
        start, end = (self.at.line(near), place.end(near)), (self.at.line(far), place.end(far))
        return start, end, 1 if near == CLIENT else -1, (end[1] - start[1]) / (end[0] - start[0])

    def _arrow(self, it: Segment, place: Place) -> Iterator[str]:
        start, end, side, slope = self._ends(it, place)
        measured = self.ladder.timing.measured
        css = f"tl-arrow tl-{it.style}" + (" tl-reset" if "RST" in it.flags else "")
        share = {"lost": 0.55, "rejected": 0.55, "unanswered": 0.75}.get(it.fate, 1.0)
        stop = (start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share)
        yield f'<path class="{css}" d="M{start[0]:.1f} {start[1]:.1f}L{stop[0]:.1f} {stop[1]:.1f}"/>'
        yield self._dot(start, measured(it.sender))
        if self.tap is not None and (stop[0] - self.tap) * side > 0:
            yield self._dot((self.tap, start[1] + (self.tap - start[0]) * slope), True)
        if it.fate in ("lost", "rejected"):
            yield f'<path class="tl-cross" d="M{stop[0] - 5:.1f} {stop[1] - 5:.1f}l10 10m0 -10l-10 10"/>'
        elif it.fate == "unanswered":
            yield text(stop[0] + side * 8, stop[1] + 4, "?", "tl-query", "middle")
        else:
            yield self._head(end, side, slope, measured(SERVER if it.sender == CLIENT else CLIENT), css)

    def _label(self, it: Segment, place: Place) -> Iterator[str]:
        start, _, side, slope = self._ends(it, place)
        yield text(self.at.time_x, place.y + 4, f"{it.time - self.ladder.start:.6f}", "tl-num", "end")
        yield text(self.at.frame_x, place.y + 4, str(it.frame), "tl-num tl-dim", "end")
        if it.delta is not None:
            yield text(self.width - MARGIN, place.y + 4, short(it.delta), "tl-num tl-dim", "end")
        anchor = "" if side > 0 else "end"
        x, y, turn = start[0] + side * 12, start[1] + slope * side * 12, degrees(atan(slope))
        yield text(x, y - 4.5, place.label, "tl-label", anchor, turn)
        for number, line in enumerate(place.lines):
            yield text(x, y + LINE * (number + 1) - 1, line, "tl-note", anchor, turn)

    def _dot(self, where: tuple[float, float], measured: bool) -> str:
        css = "tl-known" if measured else "tl-guess"
        return f'<circle class="{css}" cx="{where[0]:.1f}" cy="{where[1]:.1f}" r="{DOT}"/>'

    def _head(self, tip: tuple[float, float], side: int, slope: float, measured: bool, css: str) -> str:
        """The arrow's head: solid where the capture saw it arrive, hollow where that is an estimate."""
        x, y = tip[0] - side * 1.5, tip[1]
        back = x - side * HEAD_LONG, y - side * slope * HEAD_LONG
        points = f"{x:.1f},{y:.1f} {back[0]:.1f},{back[1] - HEAD_WIDE:.1f} {back[0]:.1f},{back[1] + HEAD_WIDE:.1f}"
        shade = css.replace("tl-arrow", "tl-head") + ("" if measured else " tl-hollow")
        return f'<polygon class="{shade}" points="{points}"/>'

    def _across(self, row: Happening | Idle | Fold, place: Place) -> Iterator[str]:
        left, right = self.at.client_x, self.at.server_x
        kind = "tl-timer" if isinstance(row, Happening) else "tl-fold" if isinstance(row, Fold) else "tl-idle"
        top, height = place.top + 2, place.bottom - place.top - 4
        yield (f'<rect class="{kind}" x="{left + 14:.1f}" y="{top:.1f}" width="{right - left - 28:.1f}" '
               f'height="{height:.1f}" rx="4"/>')  # fmt: skip
        if not isinstance(row, Happening):
            for x in (left, right):  # the axis is broken here
                yield f'<path class="tl-break" d="M{x:.1f} {top:.1f}V{top + height:.1f}"/>'
                yield f'<path class="tl-zig" d="M{x - 5:.1f} {place.y + 3:.1f}l10 -6m-10 10l10 -6"/>'

    def _told(self, row: Happening | Idle | Fold, place: Place) -> Iterator[str]:
        middle = (self.at.client_x + self.at.server_x) / 2
        first = place.y - LINE * (len(place.lines) - 1) / 2 + 3.5
        for number, line in enumerate(place.lines):
            yield text(middle, first + LINE * number, line, "tl-note tl-mid", "middle")
        if isinstance(row, Happening):
            yield text(self.at.time_x, place.y + 4, f"{row.time - self.ladder.start:.6f}", "tl-num", "end")
            if row.delta is not None:
                yield text(self.width - MARGIN, place.y + 4, short(row.delta), "tl-num tl-dim", "end")

    # ------------------------------------------------------------ below

    def _legend(self) -> list[tuple[str, str]]:
        """What needs explaining, of what is drawn: a kind and its words."""
        rows = [row for row in self.ladder.rows if isinstance(row, Segment)]
        styles, fates = {row.style for row in rows}, {row.fate for row in rows}
        bars = {bar.what for bar in self.ladder.bars}
        known = self.tap is not None or any(map(self.ladder.timing.measured, ENDS))
        told = [
            ("known", "measured", known), ("guess", "estimated", True), ("again", "sent again", "again" in styles),
            ("probe", "probe", "probe" in styles), ("cross", "lost", "lost" in fates),
            ("cross", "rejected", "rejected" in fates and "lost" not in fates),
            ("query", "no answer", "unanswered" in fates), ("shut", "window closed", "zero_window" in bars),
            ("persist", "persist timer", "persist" in bars), ("wait", "TIME_WAIT", "time_wait" in bars),
        ]  # fmt: skip
        return [(kind, said) for kind, said, there in told if there]

    def _footer_lines(self) -> list[str]:
        slants = "Rows are in order, not to scale; a steeper arrow takes longer."
        rows = zip(self.ladder.rows, self.at.places, strict=True)
        bare = any(
            isinstance(row, Segment) and words.lacks_window(" ".join([place.label, *place.lines]))
            for row, place in rows
        )
        less = [words.WITHOUT_WINDOW] if bare else []
        said = " ".join([words.footer(self.ladder.timing), slants, *less, *self.ladder.notes])
        return wrapped(said, int((self.width - 2 * MARGIN) / SMALL_CHAR))

    def _bottom(self) -> Iterator[Part]:
        y = self.at.bottom + 18
        x = MARGIN
        marks = []
        for kind, said in self._legend():
            marks.append(_sample(kind, x, y - 4, f"h{self.name}"))
            marks.append(text(x + 26, y, said, "tl-small"))
            x += 26 + len(said) * SMALL_CHAR + 16
        for number, line in enumerate(self.footer):
            marks.append(text(MARGIN, y + 22 + LINE * number, line, "tl-small"))
        yield y - 18, self.height, "".join(marks)


def _bar_words(bar: Bar) -> str:
    what = {"zero_window": "window closed", "persist": "persist timer runs"}[bar.what]
    lasting = "to the capture's end" if bar.end is None else f"for {span(bar.end - bar.start)}"
    return f"{bar.endpoint}: {what} {lasting}"


def _sample(kind: str, x: float, y: float, name: str) -> str:
    """A small picture for the legend."""
    if kind in ("known", "guess"):
        return f'<circle class="tl-{kind}" cx="{x + 14:.1f}" cy="{y:.1f}" r="3"/>'
    if kind == "cross":
        return f'<path class="tl-cross" d="M{x + 9:.1f} {y - 5:.1f}l10 10m0 -10l-10 10"/>'
    if kind == "query":
        return text(x + 14, y + 4, "?", "tl-query", "middle")
    if kind in ("shut", "wait"):
        box = f'x="{x + 4:.1f}" y="{y - 5:.1f}" width="18" height="9"'
        return f'<rect {box} class="tl-{kind}"/>' + (f'<rect {box} class="tl-over"/>' if kind == "wait" else "")
    css = "tl-persist" if kind == "persist" else f"tl-arrow tl-{kind}"
    return f'<path class="{css}" d="M{x + 1:.1f} {y:.1f}h22"/>'
