"""The table of connections and plain lines that scroll: only what is visible is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Static

from tcpscope.report.screen.columns import COLUMNS, FIXED, HEADS, IPV4_END, SORTS, Plan, fitted, plan
from tcpscope.report.screen.model import Seen

CURSOR = Style(reverse=True)
DIM = Style(dim=True)
HEAD = Style(bold=True, underline=True)
_styles: dict[str, Style] = {"": Style()}


def style(text: str) -> Style:
    """Parsed once."""
    if text not in _styles:
        _styles[text] = Style.parse(text)
    return _styles[text]


class Line(Static):
    """Text that is drawn again only where it has changed."""

    _now: Text | None = None

    def put(self, text: Text) -> None:
        before = self._now
        if before is None or (before.plain, before.spans, before.style) != (text.plain, text.spans, text.style):
            self._now = text
            self.update(text)


class Listed(ScrollView, can_focus=True):
    """Rows with a cursor, below `head` rows that stay."""

    DEFAULT_CSS = """
    Listed { scrollbar-size-horizontal: 0; scrollbar-size-vertical: 1; overflow-x: hidden; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
        Binding("home,g", "edge(0)", show=False),
        Binding("end,G", "edge(1)", show=False),
    ]
    head = 0

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.cursor = 0

    def count(self) -> int:
        raise NotImplementedError

    def resized(self) -> None:
        """The number of rows, or of columns, has changed."""
        self.virtual_size = Size(self.size.width, self.count() + self.head)
        self.cursor = max(0, min(self.cursor, self.count() - 1))
        self.refresh()

    def on_resize(self) -> None:
        self.resized()
        self._show_cursor()

    def _rows(self) -> int:
        return max(self.size.height - self.head, 1)

    def _show_cursor(self) -> None:
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= top + self._rows():
            self.scroll_to(y=self.cursor - self._rows() + 1, animate=False, force=True)

    def place(self, cursor: int) -> None:
        self.cursor = max(0, min(cursor, self.count() - 1))
        self._show_cursor()
        self.refresh()

    def action_move(self, by: int) -> None:
        self.place(self.cursor + by)

    def action_page(self, by: int) -> None:
        self.place(self.cursor + by * self._rows())

    def action_edge(self, end: int) -> None:
        self.place(self.count() - 1 if end else 0)


class Table(Listed):
    """Connections in the order they are given in.  The cursor stays on its connection when they are sorted anew."""

    head = 1

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.found: Sequence[Seen] = ()
        self.now = 0
        self.sort, self.reverse = SORTS[0], False
        self.first = 0  # of the columns after the fixed ones
        self.plan: Plan = plan(80, (IPV4_END, IPV4_END))
        self._ends = (0, 0)
        self._chosen: int | None = None  # the connection that the cursor is on; None: whatever comes first
        self.empty = ""

    def count(self) -> int:
        return len(self.found)

    def show(self, found: Sequence[Seen], now: int) -> None:
        self.found, self.now = found, now
        # they only grow, so that columns do not jump
        self._ends = (
            max(self._ends[0], max((len(it.client) for it in found), default=0)),
            max(self._ends[1], max((len(it.server) for it in found), default=0)),
        )
        if self._chosen is not None:
            at = next((at for at, it in enumerate(found) if it.number == self._chosen), None)
            if at is not None and at != self.cursor:
                by = self.cursor - self.scroll_offset.y
                self.cursor = at
                self.virtual_size = Size(self.size.width, len(found) + self.head)
                self.scroll_to(y=max(at - by, 0), animate=False, force=True)
        self.resized()

    def resized(self) -> None:
        self.plan = plan(self.size.width - 1, self._ends, self.first)
        super().resized()

    def on_resize(self) -> None:
        self._ends = (0, 0)
        self.show(self.found, self.now)
        self._show_cursor()

    def place(self, cursor: int) -> None:
        super().place(cursor)
        # at the top the cursor stays with the top, elsewhere with its connection
        self._chosen = self.found[self.cursor].number if self.cursor and self.found else None

    def stay(self) -> None:
        """Keep the cursor on this connection, the first one too."""
        if self.found:
            self._chosen = self.found[self.cursor].number

    @property
    def chosen(self) -> Seen | None:
        return self.found[self.cursor] if 0 <= self.cursor < len(self.found) else None

    def shift(self, by: int) -> None:
        """Move to further columns."""
        if by > 0 and not self.plan.left_out:
            return
        self.first = max(0, min(self.first + by, len(COLUMNS) - FIXED - 1))
        self.resized()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            return self._heads(width)
        at = y - 1 + self.scroll_offset.y
        if at >= len(self.found):
            text = self.empty if not self.found and y == 2 else ""
            return Strip([Segment(text[:width].ljust(width), DIM)])
        it = self.found[at]
        marked = at == self.cursor
        base = CURSOR if marked and self.has_focus else Style(bold=True) if marked else style("")
        if it.ended is not None and not marked:
            base = DIM
        segments = []
        for column, room in zip(self.plan.columns, self.plan.widths, strict=True):
            text, look = column.cell(it, self.now, self.plan.short)
            text = fitted(text, room, column.right, column.name in ("client", "server"))
            segments.append(Segment(text, base if marked else base + style(look)))
            segments.append(Segment(" ", base))
        return Strip(segments).adjust_cell_length(width, base).simplify()

    def _heads(self, width: int) -> Strip:
        segments = []
        bears = HEADS.get(self.sort, (self.sort,))
        for column, room in zip(self.plan.columns, self.plan.widths, strict=True):
            sign = ("▴" if self.reverse else "▾") if column.name in bears else ""
            text = column.head[: room - len(sign)] + sign
            segments += [Segment(text.rjust(room) if column.right else text.ljust(room), HEAD), Segment(" ", HEAD)]
        return Strip(segments).adjust_cell_length(width, HEAD)


class Lines(Listed):
    """Lines of text; follow: the last one is kept in sight while the reader is there."""

    def __init__(self, *, follow: bool = False, pointed: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.lines: Sequence[Text | str] = ()
        self.paint: Callable[[str], Text] = Text
        self.follow, self.pointed = follow, pointed

    def count(self) -> int:
        return len(self.lines)

    def show(self, lines: Sequence[Text | str], paint: Callable[[str], Text] = Text) -> None:
        """paint: what makes a Text of the lines that are visible."""
        at_end = self.follow and self.at_end
        self.lines, self.paint = lines, paint
        self.resized()
        if at_end:
            self.virtual_size = Size(self.size.width, self.count())
            self.scroll_to(y=max(self.count() - self._rows(), 0), animate=False, force=True)

    @property
    def at_end(self) -> bool:
        return self.scroll_offset.y >= self.count() - self._rows()

    def place(self, cursor: int) -> None:
        if self.pointed:
            super().place(cursor)

    def action_move(self, by: int) -> None:
        if self.pointed:
            super().action_move(by)
        else:
            self.scroll_to(y=self.scroll_offset.y + by, animate=False)

    def action_page(self, by: int) -> None:
        if self.pointed:
            super().action_page(by)
        else:
            self.scroll_to(y=self.scroll_offset.y + by * self._rows(), animate=False)

    def action_edge(self, end: int) -> None:
        if self.pointed:
            super().action_edge(end)
        else:
            self.scroll_to(y=self.count() if end else 0, animate=False)

    def render_line(self, y: int) -> Strip:
        width, at = self.size.width, y + self.scroll_offset.y
        if at >= len(self.lines):
            return Strip.blank(width)
        line = self.lines[at]
        text = line if isinstance(line, Text) else self.paint(line)
        base = text.style if isinstance(text.style, Style) else style(text.style)  # which plain text would lose
        segments = list(Segment.apply_style(text.render(self.app.console), base))
        marked = self.pointed and at == self.cursor and self.has_focus
        strip = Strip(segments).adjust_cell_length(width)
        return strip.apply_style(CURSOR) if marked else strip
