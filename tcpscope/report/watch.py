"""Stepping through the moments at which a socket changes: by key on a terminal, as blocks in a pipe."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, Group
from rich.control import Control
from rich.text import Text

from tcpscope.diagnose.facts import times
from tcpscope.errors import UsageError
from tcpscope.report.keys import END, keys
from tcpscope.report.ladder.build import COLUMNS, segment
from tcpscope.report.ladder.words import label, notes
from tcpscope.report.sockets import HEAD, RIGHT, cells, endpoint, line, what_it_is, when, widths
from tcpscope.report.text import safe
from tcpscope.tables.changes import Step, Story
from tcpscope.tables.moments import bounds
from tcpscope.tables.rows import Row

PAGE, ALL = 10, 1 << 62
STEPS = {  # by how many changes a key moves
    **dict.fromkeys(["n", " ", "\r", "\n", "j", "\x1b[C", "\x1b[B", "\x1bOC", "\x1bOB"], 1),
    **dict.fromkeys(["p", "k", "\x7f", "\x08", "\x1b[D", "\x1b[A", "\x1bOD", "\x1bOA"], -1),
    "\x1b[6~": PAGE, "\x1b[5~": -PAGE,
    **dict.fromkeys(["\x1b[F", "\x1bOF", "\x1b[4~", "G"], ALL),
    **dict.fromkeys(["\x1b[H", "\x1bOH", "\x1b[1~"], -ALL),
}  # fmt: skip
QUIT = {"q", "Q", "\x1b", "\x04"}
REDRAW = 0.3  # seconds between looks at the terminal's size
KEYS = "n next  p previous  PgDn PgUp by ten  Home End  g go to a time  q quit"
CHANGED = "bold reverse"
ROOM = (10, 8, 8, 20, 20)  # least widths of a block's columns, so that most blocks align


Key = tuple[object, object]  # connection and endpoint
Moved = tuple[Row | None, Row | None]  # a socket before and after


def _key(row: Row) -> Key:
    return (row["connection"], row["endpoint"])


def _seen(row: Row) -> tuple[str, ...]:
    """What of a socket makes a change: not the time that is left of its timer."""
    state, recv_q, send_q, *_ = cells(row)
    return (state, recv_q, send_q, f"{row['timer'] or ''} {row['timer_retries'] or ''}".strip())


def cause(story: Story, step: Step) -> str:
    """The packet that made the change, or what else did."""
    packet = story.packet(step)
    if packet is None:
        events = story.past.events
        here = (events["connection"] == step.connection) & (events["time_ns"] == step.time_ns)
        mine = here & (events["frame"] == 0)
        quoted = here & story.past.quoted
        if quoted.any():
            return f"frame {events['frame'][quoted][0]}  ICMP error: unreachable"
        return "no packet: 2 MSL are over" if mine.any() else "no packet of its own: what was under way has arrived"
    ends = f"{endpoint(packet['src'], packet['sport'])} → {endpoint(packet['dst'], packet['dport'])}"
    arrow = segment(dict.fromkeys(COLUMNS) | packet)
    said = notes(arrow)
    return safe(f"frame {packet['frame']}  {ends}  {label(arrow)}") + (f"  ({said})" if said else "")


def changes(story: Story, step: Step) -> list[tuple[Row, Row | None, Row | None]]:
    """Of each socket of the step's connection that has changed: a row to name it, before, after (None: none)."""
    old = {_key(row): row for row in story.before(step)}
    new = {_key(row): row for row in story.sockets(step, step.connection)}
    found = []
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        either = after or before
        if either is not None and (before is None or after is None or _seen(before) != _seen(after)):
            found.append((either, before, after))
    return found


def blocks(story: Story) -> Iterator[Text]:
    """For a pipe: of each change when, the packet that made it, and the connection's sockets, changed ones marked."""
    start = bounds(story.result)[0]
    for step in story.steps:
        moved = changes(story, step)
        if not moved:
            continue
        marked = {_key(row): before for row, before, _ in moved}
        yield Text(f"+{(step.time_ns - start) / 1e9:.6f} s  {cause(story, step)}", style="bold")
        rows = [*story.sockets(step, step.connection), *(row for row, _, after in moved if after is None)]
        room = [max(both) for both in zip(widths(rows), ROOM, strict=True)]
        for row in rows:
            closed = any(row is it and after is None for it, _, after in moved)
            texts = ("closed", "", "", *cells(row)[3:5], "") if closed else cells(row)
            was = _was(marked[_key(row)], row, closed) if _key(row) in marked else ""
            mark = Text("* " if _key(row) in marked else "  ")
            yield mark + line((*texts[:5], f"{texts[5]}  {was}".strip()), room)
        yield Text()


def _was(before: Row | None, row: Row, closed: bool) -> str:
    """`was ESTAB, Send-Q 1024`: what changed, as it was."""
    if before is None:
        return "new"
    if closed:
        return f"was {before['state']}"
    old, new = _seen(before), _seen(row)
    words = [old[0]] if old[0] != new[0] else []
    words += [f"{head} {a}" for head, a, b in zip(HEAD[1:3], old[1:3], new[1:3], strict=True) if a != b]
    if not words:
        words = [f"timer {old[3] or 'off'}"]
    return "was " + ", ".join(words)


# ---------------------------------------------------------------- a terminal


def page(story: Story, number: int, width: int, height: int, utc: bool, message: str = "") -> Group:
    """One screen: the moment, what made the change, every host's sockets, changes standing out."""
    step = story.steps[number]
    moved = {_key(row): (before, after) for row, before, after in changes(story, step)}
    rows = story.sockets(step)
    gone = [row for row, _, after in changes(story, step) if after is None]
    start = bounds(story.result)[0]
    top = [
        Text(f"change {number + 1} of {len(story.steps)}  ", style="dim").append(
            when(story.moment(step), start, story.result.names, utc), style="not dim bold"
        ),
        Text(cause(story, step), style="cyan"),
        Text(),
    ]
    body = _tables(story, rows, gone, moved, step.connection, max(height - len(top) - 2, 4))
    foot = [Text(), Text(message or KEYS, style="yellow" if message else "dim")]
    out = [*top, *body, *foot]
    for it in out:
        it.truncate(width, overflow="ellipsis")
        it.no_wrap = True
    return Group(*out)


def _tables(story: Story, rows: list[Row], gone: list[Row], moved: dict[Key, Moved], connection: int,
            most: int) -> list[Text]:  # fmt: skip
    """A table for each host; where they do not fit, one for all, the changed connection's sockets first."""
    shown = [*gone, *rows]
    room = widths(shown)
    parts = story.hosts
    out: list[Text] = []
    for host in parts:
        mine = [row for row in shown if row["local_ip"] == host]
        if mine:
            out.append(Text(safe(host), style="bold").append(f"  {what_it_is(host, parts)}", style="not bold"))
            out += [line(HEAD, room, "dim"), *(_line(row, room, moved) for row in mine), Text()]
        if len(out) > most:
            break
    else:
        return out[:-1]
    shown.sort(key=lambda row: row["connection"] != connection)
    fit = most - 2
    left_out = f"… {times(len(shown) - fit, 'socket')} more; --host, --port, -c choose"
    return [line(HEAD, room, "dim"), *(_line(row, room, moved) for row in shown[:fit]),
            *([Text(left_out, style="dim")] if len(shown) > fit else [])]  # fmt: skip


def _line(row: Row, room: list[int], moved: dict[Key, Moved]) -> Text:
    """A socket; the cells that changed stand out."""
    before, after = moved.get(_key(row), (row, row))
    if after is None:
        return line(("closed", "", "", *cells(row)[3:5], f"was {row['state']}"), room, CHANGED)
    text = line(cells(row), room)
    if row["connection"] is None or _key(row) not in moved:
        return text
    if before is None:
        text.stylize(CHANGED)
        return text
    old, new = _seen(before), _seen(row)
    at = 0
    for column, width in enumerate(room):
        if column in (0, *RIGHT) and old[column] != new[column]:
            text.stylize(CHANGED, at, at + width)
        at += width + 2
    if old[3] != new[3]:
        text.stylize("bold", at)
    return text


def watch(story: Story, utc: bool, start: int = 0) -> None:
    """Step by keys through the changes on a terminal, which is restored however this ends."""
    out = Console(highlight=False)
    number, message = start, ""
    typed: str | None = None  # what was typed after g
    with keys() as typist, out.screen(hide_cursor=True) as screen:  # which draws where the cursor is
        while True:
            size = out.size
            said = f"go to (+SECONDS, frame:N, time): {typed}_" if typed is not None else message
            out.control(Control.home())
            screen.update(page(story, number, out.width, out.height, utc, said))
            while (key := typist.next(REDRAW)) is None and out.size == size:
                pass
            message = ""
            if key is None:
                continue
            if typed is not None:
                typed, asked_for = _typed(key, typed)
                if asked_for:
                    try:
                        number = story.nearest(asked_for)
                    except UsageError as error:
                        message = safe(str(error))
            elif key in QUIT or key == END:
                return
            elif key in STEPS:
                number, message = _moved(STEPS[key], number, len(story.steps))
            elif key == "g":
                typed = ""


def _typed(key: str, text: str) -> tuple[str | None, str]:
    """The line as typed so far, None when it is done; and what it asks for when Enter ends it."""
    if key in ("\r", "\n"):
        return None, text.strip()
    if key.startswith("\x1b") or key == END:
        return None, ""
    if key in ("\x7f", "\x08"):
        return text[:-1], ""
    return (text + key if key.isprintable() and len(text) < 64 else text), ""


def _moved(by: int, number: int, count: int) -> tuple[int, str]:
    to = min(max(number + by, 0), count - 1)
    return to, "" if to != number else ("this is the last change" if by > 0 else "this is the first change")
