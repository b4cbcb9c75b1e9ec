"""Stepping through the moments at which a socket changes: by key on a terminal, as blocks in a pipe."""

from __future__ import annotations

from collections.abc import Iterator

import click
from rich.console import Console, Group
from rich.text import Text

from tcpscope.diagnose.facts import times
from tcpscope.errors import UsageError
from tcpscope.report.ladder import label, notes
from tcpscope.report.sockets import HEAD, RIGHT, cells, endpoint, line, what_it_is, when, widths
from tcpscope.report.text import safe
from tcpscope.tables.changes import Step, Story
from tcpscope.tables.moments import bounds
from tcpscope.tables.rows import Row

NEXT = {"n", " ", "\r", "\n", "j", "\x1b[C", "\x1b[B", "\x1bOC", "\x1bOB"}
PREVIOUS = {"p", "k", "\x7f", "\x08", "\x1b[D", "\x1b[A", "\x1bOD", "\x1bOA"}
PAGE_NEXT, PAGE_PREVIOUS = {"\x1b[6~"}, {"\x1b[5~"}
FIRST, LAST = {"\x1b[H", "\x1bOH", "\x1b[1~"}, {"\x1b[F", "\x1bOF", "\x1b[4~"}
QUIT = {"q", "Q", "\x1b", "\x04"}
PAGE = 10
KEYS = "n next  p previous  PgDn PgUp by ten  Home End  g go to a time  q quit"
CHANGED = "bold reverse"
ROOM = (10, 8, 8, 20, 20)  # least widths of a block's columns, so that most blocks align


def _key(row: Row) -> tuple[object, ...]:
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
        mine = (events["connection"] == step.connection) & (events["frame"] == 0) & (events["time_ns"] == step.time_ns)
        return "no packet: 2 MSL are over" if mine.any() else "no packet of its own: what was under way has arrived"
    ends = f"{endpoint(packet['src'], packet['sport'])} → {endpoint(packet['dst'], packet['dport'])}"
    said = notes(packet)
    return safe(f"frame {packet['frame']}  {ends}  {label(packet)}") + (f"  ({said})" if said else "")


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


def _tables(story: Story, rows: list[Row], gone: list[Row], moved: dict[tuple[object, ...], tuple[Row | None, Row | None]],
            connection: int, most: int) -> list[Text]:  # fmt: skip
    """The hosts' tables; where they do not fit, the changed connection's and as many others as do, counted."""
    parts = story.past.parts(story.wanted)
    room = widths([*rows, *gone])
    hosts = [it for it in parts if any(row["local_ip"] == it for row in [*rows, *gone])]
    first = [it for it in hosts if any(r["local_ip"] == it and r["connection"] == connection for r in [*rows, *gone])]
    if len(rows) + len(gone) + 3 * len(hosts) > most:
        hosts = [*first, *(it for it in hosts if it not in first)]
    out: list[Text] = []
    left_out = 0
    for host in hosts:
        mine = [row for row in [*rows, *gone] if row["local_ip"] == host]
        share = most - len(out) - 3 - 1 - (4 if host in first and host != first[-1] else 0)
        if share < 1:
            left_out += len(mine)
            continue
        if len(mine) > share:
            mine.sort(key=lambda row: row["connection"] != connection)
            left_out += len(mine) - share
            mine = mine[:share]
        out.append(Text(safe(host), style="bold").append(f"  {what_it_is(host, parts)}", style="not bold"))
        out.append(line(HEAD, room, "dim"))
        out += [_line(row, room, moved) for row in mine]
        out.append(Text())
    if left_out:
        out.append(Text(f"… {times(left_out, 'socket')} more; --host, --port, -c choose", style="dim"))
    return out


def _line(row: Row, room: list[int], moved: dict[tuple[object, ...], tuple[Row | None, Row | None]]) -> Text:
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
    with out.screen(hide_cursor=True) as screen:
        while True:
            screen.update(page(story, number, out.width, out.height, utc, message))
            message = ""
            key = click.getchar()
            if key in QUIT:
                return
            if key in NEXT | PREVIOUS | PAGE_NEXT | PAGE_PREVIOUS | FIRST | LAST:
                number, message = _moved(key, number, len(story.steps))
            elif key == "g":
                text = _asked(out)
                if text:
                    try:
                        number = story.nearest(text)
                    except UsageError as error:
                        message = safe(str(error))
            else:
                message = KEYS


def _moved(key: str, number: int, count: int) -> tuple[int, str]:
    by = {**dict.fromkeys(NEXT, 1), **dict.fromkeys(PREVIOUS, -1), **dict.fromkeys(PAGE_NEXT, PAGE),
          **dict.fromkeys(PAGE_PREVIOUS, -PAGE), **dict.fromkeys(FIRST, -count), **dict.fromkeys(LAST, count)}[key]  # fmt: skip
    to = min(max(number + by, 0), count - 1)
    return to, "" if to != number else ("this is the last change" if by > 0 else "this is the first change")


def _asked(out: Console) -> str:
    """A line typed at the bottom of the screen; empty if it was given up."""
    text = ""
    while True:
        shown = Text(f"go to (+SECONDS, frame:N, time): {text}", style="yellow")
        out.file.write(f"\x1b[{out.height};1H\x1b[2K")
        out.file.flush()
        out.print(shown, end="", soft_wrap=True)
        out.file.flush()
        key = click.getchar()
        if key in ("\r", "\n"):
            return text.strip()
        if key.startswith("\x1b"):
            return ""
        if key in ("\x7f", "\x08"):
            text = text[:-1]
        else:
            text += "".join(it for it in key if it.isprintable())[:64]
