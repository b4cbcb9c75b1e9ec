"""The application: what is where, the keys, and the loop that looks at the session."""

from __future__ import annotations

import asyncio
import copy
import os
import time
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Input, Static

from tcpscope.diagnose.facts import times
from tcpscope.errors import TcpscopeError
from tcpscope.report.screen import head
from tcpscope.report.screen.columns import SORTS, TITLES, arranged, matches
from tcpscope.report.screen.detail import Detail
from tcpscope.report.screen.model import Look, Model, Seen
from tcpscope.report.screen.pages import Ask, Findings, Help, finding_lines
from tcpscope.report.screen.widgets import Line, Lines, Table
from tcpscope.tables.recent import Own, Recent

LOOK = 0.5  # seconds between two looks
SHARE = 8  # a look may take at most one part in so many of the time
MESSAGE = 6.0  # seconds that a message stays
SHOWN = ("open", "ended", "all")
LOW = 14  # rows below which there is no place for findings
KEYS = (("s", "sort"), ("/", "filter"), ("p", "pause"), ("Enter", "open"), ("w", "write"), ("f", "findings"),
        ("?", "help"), ("q", "quit"), ("e", "ended too"), ("r", "reverse"), ("←→", "columns"))  # fmt: skip


class Main(Screen[None]):
    """The table and what is around it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort(1)", "sort"),
        Binding("S", "sort(-1)", "sort"),
        Binding("r", "reverse", "reverse"),
        Binding("slash", "filter", "filter"),
        Binding("p", "pause", "pause"),
        Binding("e", "ended", "ended"),
        Binding("enter", "open", "open"),
        Binding("w", "write", "write"),
        Binding("f", "findings", "findings"),
        Binding("question_mark,h,f1", "help", "help"),
        Binding("left", "shift(-1)", "left"),
        Binding("right", "shift(1)", "right"),
        Binding("escape", "clear", "clear", priority=True),
        Binding("q", "app.quit", "quit"),
    ]

    def __init__(self, live: Live) -> None:
        super().__init__()
        self.live = live
        self.words: list[str] = []
        self.which = 0  # of SHOWN
        self.frozen: Look | None = None  # what is shown while it is paused
        self.asking = False  # for the filter

    def compose(self) -> ComposeResult:
        yield Line(id="head", markup=False)
        yield Table(id="table")
        yield Line(id="rule", markup=False)
        yield Lines(id="findings")
        with Vertical(id="bottom"):
            yield Line(id="keys", markup=False)
            with Horizontal(id="line"):
                yield Static("filter: ", id="what", markup=False)
                yield Input(
                    id="input", compact=True, select_on_focus=False,
                    placeholder="address, :port, service, state, #number; !word excludes",
                )  # fmt: skip

    def on_mount(self) -> None:
        self.table.focus()
        self.query_one("#findings", Lines).can_focus = False
        self.table.empty = "no connection yet"
        self.draw()

    @property
    def table(self) -> Table:
        return self.query_one("#table", Table)

    @property
    def field(self) -> Input:
        return self.query_one("#input", Input)

    def on_resize(self) -> None:
        self.draw()

    # ------------------------------------------------------------ drawing

    def draw(self) -> None:
        """All of it, from what was found last, or when it was paused."""
        width, height = self.size.width, self.size.height
        look = self.live.last
        if not width or not self.query("#head"):  # before it is there, and when it is closed
            return
        paused = self._behind(look) if look is not None else ""
        lines = [
            head.title(look, self.live.name_of_it, self.live.filter_of_it, self.live.utc, width, paused),
            head.drops(look, width),
            head.states(self.frozen or look, width),
        ]
        self.query_one("#head", Line).put(Text("\n").join(lines))
        shown = self.frozen or look
        if shown is not None:
            found = self.chosen_of(shown)
            self.table.show(arranged(found, self.table.sort, self.table.reverse, shown.now_ns), shown.now_ns)
            self.table.empty = self._why_empty()
        self._draw_findings(shown, width, height)
        self._draw_keys(width)

    def chosen_of(self, look: Look) -> list[Seen]:
        """What passes the filter, of open ones with those that just ended, ended ones, or all."""
        just = look.ended[len(look.ended) - look.just_ended :] if look.just_ended else []
        found = {"open": [*look.open, *just], "ended": look.ended, "all": [*look.open, *look.ended]}[SHOWN[self.which]]
        return [it for it in found if matches(it, self.words)] if self.words else found

    def _why_empty(self) -> str:
        if self.words:
            return "no connection passes the filter"
        return "no connection has ended yet" if SHOWN[self.which] == "ended" else "no connection is open"

    def _behind(self, look: Look) -> str:
        """What has come since it was paused."""
        it = self.frozen
        if it is None:
            return ""
        more = len(look.findings) - len(it.findings)
        parts = [times(more, "finding")] if more > 0 else []
        parts += [
            f"{look.counters.connections - it.counters.connections:,} new",
            f"{look.total_ended - it.total_ended:,} ended",
            f"{look.counters.packets - it.counters.packets:,} packets",
        ]
        return "PAUSED, since: " + ", ".join(parts)

    def _draw_findings(self, look: Look | None, width: int, height: int) -> None:
        rule, pane = self.query_one("#rule", Line), self.query_one("#findings", Lines)
        rule.display = pane.display = height >= LOW
        found = finding_lines(look, self.live.utc, width - 1)
        most = max(2, height // 5)
        pane.styles.height = min(max(len(found), 1), most)
        told = len(look.findings) if look is not None else 0
        notes = len(look.notices) if look is not None else 0
        said = f"── findings {told}" if told else "── findings"
        if notes:
            said += f", notices {notes}"
        if len(found) > most:
            said += f", {len(found) - most} more: f"
        table = self._said_of_table(look)
        gap = width - len(said) - len(table) - 4
        rule.put(Text(f"{said} {'─' * max(gap, 1)} {table} ─"[:width], style="dim", end=""))
        pane.show(found or [Text("nothing odd so far", style="dim", end="")])

    def _said_of_table(self, look: Look | None) -> str:
        """How many of how many are listed, and in which order."""
        if look is None:
            return ""
        over = sum(it.ended is not None for it in self.table.found)
        still = len(self.table.found) - over
        parts = []
        if SHOWN[self.which] != "ended":
            total = look.counters.open
            parts.append(f"{still:,} of {total:,} open" if total > still else f"{still:,} open")
        if over or SHOWN[self.which] == "ended":
            total = look.total_ended if SHOWN[self.which] != "open" else 0
            parts.append(f"{over:,} of {total:,} ended" if total > over else
                         f"{over:,} {'just ' if SHOWN[self.which] == 'open' else ''}ended")  # fmt: skip
        if self.words:
            parts.append(f"filter {' '.join(self.words)}")
        parts.append(f"by {TITLES[self.table.sort]}" + (" reversed" if self.table.reverse else ""))
        return ", ".join(parts)

    def _draw_keys(self, width: int) -> None:
        message = self.live.message
        keys = self.query_one("#keys", Line)
        if message:
            keys.put(Text(message[:width], style="bold yellow", no_wrap=True, end=""))
        else:
            keys.put(head.keys(KEYS, width))

    # ------------------------------------------------------------ keys

    def action_sort(self, by: int) -> None:
        self.table.sort = SORTS[(SORTS.index(self.table.sort) + by) % len(SORTS)]
        self.table.reverse = False
        self.live.say(f"sorted by {TITLES[self.table.sort]}; r turns the order")

    def action_reverse(self) -> None:
        self.table.reverse = not self.table.reverse
        self.draw()

    def action_shift(self, by: int) -> None:
        self.table.shift(by)

    def action_pause(self) -> None:
        if self.frozen is not None:
            self.frozen = None
        elif (look := self.live.last) is not None:
            # connections go on changing behind it
            self.frozen = look._replace(open=list(map(copy.copy, look.open)), ended=list(map(copy.copy, look.ended)))
            self.table.stay()
        self.draw()

    def action_ended(self) -> None:
        self.which = (self.which + 1) % len(SHOWN)
        self.live.say({"open": "open connections, and those that have just ended", "ended": "ended connections",
                       "all": "open and ended connections"}[SHOWN[self.which]])  # fmt: skip

    def action_open(self) -> None:
        if (it := self.table.chosen) is not None:
            self.table.stay()
            self.app.push_screen(Detail(self.live, self.live.seen(it)))

    def action_findings(self) -> None:
        self.app.push_screen(Findings(self.live))

    def action_help(self) -> None:
        self.app.push_screen(Help())

    def action_clear(self) -> None:
        """Escape: out of the input, else away with the filter."""
        self.words = []
        if self.asking:
            self._asked()
        self.draw()

    def action_filter(self) -> None:
        self.asking = True
        self.query_one("#keys").display = False
        self.query_one("#line").display = True
        self.field.value = " ".join(self.words)
        self.field.cursor_position = len(self.field.value)
        self.field.focus()

    def _asked(self) -> None:
        self.asking = False
        self.query_one("#line").display = False
        self.query_one("#keys").display = True
        self.table.focus()

    def action_write(self) -> None:
        if (it := self.table.chosen) is not None:
            self.live.ask_to_write(self.live.seen(it))

    def on_input_changed(self, event: Input.Changed) -> None:
        self.words = event.value.lower().split()
        self.draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._asked()
        self.draw()

    def on_screen_resume(self) -> None:
        self.draw()


class Live(App[None]):
    """A session on the screen.  failure: what the session, or a look at it, raised."""

    CSS = """
    Screen { background: transparent; layers: base; }
    Static, Lines, Table { background: transparent; }
    #head { height: 3; }
    #table { height: 1fr; }
    #rule, #keys { height: 1; }
    #bottom { height: 1; dock: bottom; }
    #line { height: 1; display: none; }
    #line #what { width: auto; text-style: bold; }
    #input { width: 1fr; height: 1; border: none; padding: 0; background: transparent; }
    Ask { background: transparent; align: left bottom; }
    Ask #line { display: block; }
    #facts { height: auto; }
    #ladder, #text { height: 1fr; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", "quit", priority=True, show=False),
        Binding("ctrl+q", "quit", "quit", priority=True, show=False),
    ]

    def __init__(
        self, model: Model, *, name: str, filter: str = "", utc: bool = True, recent: Recent | None = None,
        msl: float = 30.0, stay: bool = False, look: float = LOOK,
    ) -> None:  # fmt: skip
        super().__init__(ansi_color=True)
        self.title = "tcpscope live"
        self.model, self.name_of_it, self.filter_of_it, self.utc = model, name, filter, utc
        self.recent, self.msl, self.stay = recent, msl, stay
        self.last: Look | None = None
        self.message, self.reason = "", ""
        self.failure: BaseException | None = None
        self._pace = look
        self._said = 0

    def on_mount(self) -> None:
        self.theme = "ansi-dark"
        self.main = Main(self)
        self.push_screen(self.main)
        self.run_worker(self._go_on(), exit_on_error=False)

    async def _go_on(self) -> None:
        """Look, show, wait; a look has at most a SHARE of the time."""
        try:
            while True:
                began = time.monotonic()
                look = await asyncio.to_thread(self.model.look)
                took = time.monotonic() - began  # with what it waited for the capture, which comes first
                self._show(look)
                if look.over and self.model.session.wait(0):
                    ended_well = not look.reason
                    if ended_well and not self.stay:
                        self.exit()
                        return
                elif look.reason:
                    self.reason = look.reason
                    self.exit()
                    return
                await asyncio.sleep(max(self._pace, SHARE * look.cost, took))
        except Exception as error:
            self.failure = error
            self.exit()

    def _show(self, look: Look) -> None:
        before = self.last
        self.last = look
        if look.over and look.reason and (before is None or not before.over):
            self.say(f"the capture has ended: {look.reason}; q quits", seconds=3600)
        self.redraw()

    def redraw(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, Main | Detail | Findings):
                screen.draw()

    def say(self, message: str, seconds: float = MESSAGE) -> None:
        """A line in place of the keys, for a while."""
        self.message = message
        self._said += 1
        number = self._said

        def forget() -> None:
            if self._said == number:
                self.message = ""
                self.redraw()

        self.set_timer(seconds, forget)
        self.redraw()

    def seen(self, it: Seen) -> Seen:
        """The connection as it goes on, of one that a pause has frozen."""
        look = self.last
        found = (a for a in (*look.open, *look.ended) if a.number == it.number) if look is not None else iter(())
        return next(found, it)

    def ask_to_write(self, it: Seen, own: Own | None = None) -> None:
        """Ask for a file's name, then write the connection's packets there."""
        if self.recent is None:
            self.say("packets are not kept here: nothing to write")
            return

        def answered(path: str | None) -> None:
            if path:
                self.write(it, path, own)

        self.push_screen(Ask(f"write connection {it.number} to: ", f"tcpscope-{it.number}.pcap"), answered)

    def write(self, it: Seen, path: str, own: Own | None = None) -> None:
        """Write a connection's packets, as far as they are held, into a new file; say how it went."""
        path = os.path.expanduser(path)
        if self.recent is None:
            return
        if os.path.exists(path):
            self.say(f"{path} exists: nothing was written; name another file")
            return

        async def work(recent: Recent) -> None:
            def do() -> tuple[int, int]:
                mine = own or Own(recent, it.row(), msl=self.msl)
                mine.grow(it.last_frame if it.ended is not None else None)
                return mine.write(path), it.packets

            try:
                count, total = await asyncio.to_thread(do)
            except (TcpscopeError, OSError) as error:
                self.say(str(error))
                return
            lost = f"; {total - count:,} older ones are no longer held" if total > count else ""
            self.say(f"{count:,} packets of connection {it.number} written to {path}{lost}")

        self.run_worker(work(self.recent))

    def action_help_quit(self) -> Any:
        self.exit()
