"""One connection opened: what is known of it, and its ladder, which grows."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from tcpscope.errors import UsageError
from tcpscope.replay.layout import EVENT, PACKET, STATES
from tcpscope.report.ladder import COLUMNS, Options, ladder, render
from tcpscope.report.screen import head
from tcpscope.report.screen.columns import amount, lasting
from tcpscope.report.screen.model import Seen
from tcpscope.report.screen.widgets import Line, Lines
from tcpscope.report.terminal import STATE_COLOURS, state
from tcpscope.report.text import safe, size
from tcpscope.tables.recent import Own
from tcpscope.tables.rows import by_time, rows

if TYPE_CHECKING:
    from tcpscope.report.screen.app import Live

DRAW = 1.0  # seconds between two drawings of a ladder that grows
SHARE = 5  # a drawing may take one part in so many of the time
MOST_ROWS = 1_500  # of a ladder: the most telling ones
_STATE = re.compile(r"\b(" + "|".join([*STATES, "SYN_RCVD", "ESTAB"]) + r")\b")
_ODD = re.compile(
    r"retransmi\w+|sent again|lost|zero window|window closed|out of order|duplicate ACK|RST|time-?out|probe"
)
KEYS = (("Escape", "back"), ("↑↓ PgUp PgDn", "scroll"), ("End", "follow"), ("u", "unfold"), ("p", "pause"),
        ("w", "write"), ("q", "quit"))  # fmt: skip


class Drawn:
    """The ladder of a connection as far as its packets are held.  Belongs into one thread at a time."""

    def __init__(self, own: Own) -> None:
        self.own = own
        self.lines: list[str] = []
        self._last: tuple[Any, ...] = ()

    def draw(self, it: Seen, width: int, fold: bool) -> bool:
        """Take in what has come; whether there is anything new to be shown."""
        self.own.grow(it.last_frame if it.ended is not None else None)
        asked = (self.own.seen, width, fold, it.ended is not None)
        if asked == self._last:
            return False
        self._last = asked
        connection = self.own.row()
        if connection is None or not self.own.seen:
            self.lines = ["none of its packets are held in memory any more; those that come are drawn here"]
            return True
        events = _standing(self.own.events)
        packets = rows("packets", self.own.packets, COLUMNS)
        try:
            drawing = ladder(connection, packets, events, Options(fold=fold, max_rows=MOST_ROWS))
        except UsageError as error:
            self.lines = [str(error)]
            return True
        lines = render(drawing, "text", width=width).splitlines()
        end = next((at for at in range(len(lines), 0, -1) if "│" in lines[at - 1]), 0)
        self.lines = [*lines[end + 1 :], "", *lines[:end]]  # the legend first: what is new is at the end
        return True

    def gaps(self, it: Seen) -> str:
        """What is not in the drawing."""
        own, parts = self.own, []
        missing = max(it.packets - own.seen, 0) if own.first and own.first > it.first_frame else 0
        if missing:
            parts.append(f"the first {missing:,} packets were no longer held: begins with frame {own.first}")
        if own.undrawn:
            parts.append(f"{own.undrawn:,} older packets are no longer drawn")
        return "; ".join(parts)

    def windows(self) -> tuple[int | None, int | None]:
        """What client and server advertise now."""
        found: dict[int, int] = {}
        raw = self.own.packets[-200 * PACKET.size :]
        for sender, window, flags in PACKET.select(raw, ("sender", "window", "flags")):
            if not flags & 4:  # a reset advertises nothing
                found[sender] = window
        return found.get(0), found.get(1)


def _standing(raw: bytes) -> list[dict[str, Any]]:
    """The changes of state that have not been taken back."""
    told: list[bytes] = []
    for at in range(0, len(raw), EVENT.size):
        record = raw[at : at + EVENT.size]
        if record[EVENT.offset("kind")]:  # a correction: the changes of this end from that state on are void
            ((end, back_to),) = EVENT.select(record, ("endpoint", "new"))
            while told:
                mine = [i for i, it in enumerate(told) if it[EVENT.offset("endpoint")] == end]
                if not mine:
                    break
                gone = told.pop(mine[-1])
                if gone[EVENT.offset("old")] == back_to:
                    break
        else:
            told.append(record)
    return list(rows("events", by_time(b"".join(told))))


class Detail(Screen[None]):
    """The connection, the drops above it always in sight."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,enter", "app.pop_screen", "back"),
        Binding("u", "unfold", "unfold"),
        Binding("p", "pause", "pause"),
        Binding("w", "write", "write"),
        Binding("question_mark", "help", "help"),
        Binding("q", "app.quit", "quit"),
    ]

    def __init__(self, live: Live, it: Seen) -> None:
        super().__init__()
        self.live, self.it = live, it
        self.fold, self.paused = True, False
        self.drawn = Drawn(Own(live.recent, it.row(), msl=live.msl)) if live.recent is not None else None
        self._asked = asyncio.Event()  # for another drawing, at once

    def compose(self) -> ComposeResult:
        yield Line(id="head", markup=False)
        yield Line(id="facts", markup=False)
        yield Lines(id="ladder", follow=True)
        yield Line(id="keys", markup=False)

    def on_mount(self) -> None:
        self.query_one("#ladder", Lines).focus()
        self.query_one("#head").styles.height = 2
        self.draw()
        self.run_worker(self._go_on())

    def on_resize(self) -> None:
        self._asked.set()
        self.draw()

    async def _go_on(self) -> None:
        pane = self.query_one("#ladder", Lines)
        if self.drawn is None:
            pane.show([Text("packets are not kept here: there is no ladder", style="dim", end="")])
            return
        while True:
            began = time.monotonic()
            width = max(self.size.width - 1, 60)
            if not self.paused and await asyncio.to_thread(self.drawn.draw, self.it, width, self.fold):
                pane.show(self.drawn.lines, coloured)
                self.draw()
            cost = time.monotonic() - began
            self._asked.clear()
            if width == max(self.size.width - 1, 60):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._asked.wait(), max(DRAW, SHARE * cost))

    def draw(self) -> None:
        width = self.size.width
        if not width or not self.query("#head"):
            return
        look = self.live.last
        behind = "the ladder is PAUSED" if self.paused else ""
        lines = [head.title(look, self.live.name_of_it, self.live.filter_of_it, self.live.utc, width, behind),
                 head.drops(look, width)]  # fmt: skip
        self.query_one("#head", Line).put(Text("\n").join(lines))
        self.query_one("#facts", Line).put(Text("\n").join(self._facts(width)))
        keys = self.query_one("#keys", Line)
        if self.live.message:
            keys.put(Text(self.live.message[:width], style="bold yellow", no_wrap=True, end=""))
        else:
            keys.put(head.keys(KEYS, width))

    def _facts(self, width: int) -> list[Text]:
        it, look = self.it, self.live.last
        now = look.now_ns if look is not None else it.last_ns
        first = [(f"#{it.number}", "bold"), (f"{it.client} → {it.server}", "bold")]
        if it.service:
            first.append((safe(it.service), "dim"))
        states = Text.assemble(*state(it.states[0]), " / ", *state(it.states[1]))
        states.append(
            f"  {'lasted' if it.ended is not None else 'age'} {lasting(it.age(now))}, RTT {lasting(it.rtt)}, {it.close}"
        )
        windows = self.drawn.windows() if self.drawn is not None else (None, None)
        numbers = [
            (f"{it.packets:,} packets", ""),
            (f"→ {size(it.sent[0])} ({amount(it.rates[0])}/s)", ""),
            (f"← {size(it.sent[1])} ({amount(it.rates[1])}/s)", ""),
            (f"{it.resent:,} sent again", "yellow" if it.resent else "dim"),
            ("window " + ", ".join(f"{who} {'-' if win is None else f'{win:,}'}"
                                   for who, win in zip(("client", "server"), windows, strict=True)),
             "bold red" if 0 in windows else ""),
        ]  # fmt: skip
        if it.mark:
            numbers.append((f"last: {it.mark}", ""))
        lines = [head.joined(first, width), states, head.joined(numbers, width)]
        gaps = self.drawn.gaps(it) if self.drawn is not None else ""
        if gaps:
            lines.append(Text(gaps[:width], style="yellow"))
        for line in lines:
            line.no_wrap, line.end = True, ""
            line.truncate(width, overflow="ellipsis")
        return [*lines, Text("─" * width, style="dim", end="")]

    def action_unfold(self) -> None:
        self.fold = not self.fold
        self._asked.set()

    def action_pause(self) -> None:
        self.paused = not self.paused
        self._asked.set()
        self.draw()

    def action_write(self) -> None:
        self.live.ask_to_write(self.it)

    def action_help(self) -> None:
        from tcpscope.report.screen.pages import Help

        self.app.push_screen(Help())


def coloured(line: str) -> Text:
    """A line of the ladder with its states and oddities in the colours that they have elsewhere."""
    text = Text(line, no_wrap=True, end="")
    for found in _STATE.finditer(line):
        name = {"SYN_RCVD": "SYN_RECEIVED", "ESTAB": "ESTABLISHED"}.get(found[0], found[0])
        text.stylize(STATE_COLOURS.get(name, ""), *found.span())
    for found in _ODD.finditer(line):
        text.stylize("yellow", *found.span())
    return text
