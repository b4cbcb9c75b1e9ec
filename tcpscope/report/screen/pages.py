"""Pages of text: help, and the findings in full."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Static

from tcpscope.report.screen import head
from tcpscope.report.screen.model import Look
from tcpscope.report.screen.widgets import Line, Lines
from tcpscope.report.terminal import COLOURS, place_of, some
from tcpscope.report.text import clock, safe

if TYPE_CHECKING:
    from tcpscope.report.screen.app import Live

HELP = (
    ("", "Moving"),
    ("↑ ↓ PgUp PgDn Home End", "through the connections; the cursor stays on its connection, at the top with the top"),
    ("← →", "further columns, where the terminal is narrow"),
    ("Enter", "open the connection: its ladder, which grows; Escape closes it"),
    ("", "Choosing"),
    ("s  S  r", "sort by the next, by the one before; turn the order"),
    ("/", "filter as you type: part of an address, :port, service, state, last event, #number; several words must all "
     "match, !word must not; Escape clears it"),
    ("e", "open connections, ended ones, all"),
    ("p", "pause: the table stands still, the capture goes on and what comes is counted above"),
    ("", "Keeping"),
    ("w", "write the connection's packets, as far as they are in memory, to a new file (.pcap, .pcapng)"),
    ("f", "findings in full"),
    ("q  Ctrl-C", "end the capture and print what analyze prints"),
    ("", "Reading"),
    ("received, dropped", "packets that came; that the kernel, or the interface, dropped before they could be "
     "analysed; how far the analyser is behind (lag). Where it says DEGRADED, losses shown may be the capture's own"),
    ("client is, server is", "states as far as packets show them by now; what later packets contradict is corrected"),
    ("RTT", "smoothed round trip, the longer of both sides'; before data the handshake's"),
    ("again", "packets sent again, both sides together"),
    ("→ B/s  ← B/s", "bytes a second from the client, from the server; a mean of the last looks"),
    ("→ B  ← B", "payload, without repetitions"),
    ("c win  s win", "largest window that client, server have advertised"),
    ("-", "not known"),
)  # fmt: skip


class Ask(ModalScreen[str | None]):
    """A line at the bottom; what was typed, None for Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "back", priority=True)]

    def __init__(self, what: str, value: str) -> None:
        super().__init__()
        self._what, self._value = what, value

    def compose(self) -> ComposeResult:
        with Horizontal(id="line"):
            yield Static(self._what, id="what", markup=False)
            yield Input(self._value, id="input", compact=True, select_on_focus=False)

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())


class Page(Screen[None]):
    """Text that scrolls; any of Escape, Enter, q goes back."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter,question_mark,f", "app.pop_screen", "back")]
    KEYS = (("Escape", "back"), ("↑↓ PgUp PgDn", "scroll"), ("Ctrl-C", "quit"))

    def compose(self) -> ComposeResult:
        yield Lines(id="text")
        yield Line(id="keys", markup=False)

    def on_mount(self) -> None:
        self.query_one("#text", Lines).focus()
        self.draw()

    def on_resize(self) -> None:
        self.draw()

    def draw(self) -> None:
        if self.size.width and self.query("#text"):
            self.query_one("#text", Lines).show(self.text(self.size.width - 2))
            self.query_one("#keys", Line).put(head.keys(self.KEYS, self.size.width))

    def text(self, width: int) -> list[Text]:
        raise NotImplementedError


class Help(Page):
    def text(self, width: int) -> list[Text]:
        lines = [Text("tcpscope live", style="bold", end="")]
        indent = 26
        for key, what in HELP:
            if not key:
                lines += [Text("", end=""), Text(what, style="bold underline", end="")]
                continue
            told = wrap(what, max(width - indent, 30))
            lines.append(Text(f"  {key:<{indent - 2}}", style="bold", end="").append(told[0], style="not bold"))
            lines += [Text(" " * indent + it, end="") for it in told[1:]]
        return lines


class Findings(Page):
    """All that is odd, with what proves it and what to do."""

    def __init__(self, live: Live) -> None:
        super().__init__()
        self.live = live

    def text(self, width: int) -> list[Text]:
        look = self.live.last
        lines = [Text("What is odd, worst first", style="bold", end="")]
        found = look.findings if look is not None else []
        if not found:
            lines.append(Text("nothing odd so far", style="green", end=""))
        for told in found:
            it = told.finding
            lines.append(Text("", end=""))
            for number, line in enumerate(wrap(safe(it.text), max(width - 9, 20))):
                head_ = Text(f"{it.severity if number == 0 else '':<9}", style=COLOURS[it.severity], end="")
                lines.append(head_.append(line, style="not bold default"))
            where = f"{it.id}, since {_time(told.since, self.live.utc)}"
            where += place_of(it)
            if it.confidence != "certain":
                where += f" ({it.confidence}: {safe('; '.join(it.doubts))})"
            lines += [Text(" " * 9 + line, style="dim", end="") for part in (where, safe(it.advice))
                      for line in wrap(part, max(width - 9, 20))]  # fmt: skip
        for notice in reversed(look.notices if look is not None else []):
            lines.append(Text("", end=""))
            said = f"{_time(notice.time, self.live.utc)}  {notice.id}: {safe(notice.text)}"
            lines += [Text(line, style="magenta", end="") for line in wrap(said, width)]
        return lines


def _time(when: float, utc: bool) -> str:
    return clock(when, utc).partition(" ")[2].partition(".")[0]


def finding_lines(look: Look | None, utc: bool, width: int) -> list[Text]:
    """A line for each finding, then for each notice, the latest first."""
    if look is None:
        return []
    lines = []
    for told in look.findings:
        it = told.finding
        line = Text(f"{it.severity:<8} ", style=COLOURS[it.severity], no_wrap=True, end="")
        line.append(safe(it.text), style="not bold default")
        if it.connections:
            line.append(f"  #{some(it.connections, it.count)}", style="not bold dim")
        lines.append(line)
    for notice in reversed(look.notices):
        text = f"{_time(notice.time, utc)} {notice.id}: {safe(notice.text)}"
        lines.append(Text(text, style="magenta", no_wrap=True, end=""))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines
