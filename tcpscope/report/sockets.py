"""Sockets as `ss -tan -o` prints them, a table a host; and their states through time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from tcpscope.diagnose.facts import times
from tcpscope.report.terminal import STATE_COLOURS
from tcpscope.report.text import clock, named, safe
from tcpscope.tables.analysis import Analysis
from tcpscope.tables.moments import Moment
from tcpscope.tables.rows import Row
from tcpscope.tables.socket_counts import COUNTED
from tcpscope.tables.sockets import SS_NAMES

STYLES = {SS_NAMES[state]: style for state, style in STATE_COLOURS.items()}
HEAD = ("State", "Recv-Q", "Send-Q", "Local Address:Port", "Peer Address:Port", "")
RIGHT = (1, 2)  # columns of numbers
FEW = 4  # hosts without a socket that are named
SIGNS = {
    "~": "~ an estimate",
    "-": "- not known",
    "*": "* not on the wire",
    "?": "? a timer whose time is not known",
}


def left(seconds: float | None) -> str:
    """`204ms`, `1.2sec`, `53sec`, `1min59sec`, `119min`, as `ss -o` writes what is left of a timer; ? if not known."""
    if seconds is None:
        return "?"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + "sec"
    minutes, rest = divmod(int(seconds), 60)
    if not minutes:
        return f"{rest}sec"
    return f"{minutes}min{rest}sec" if rest and minutes < 10 else f"{minutes}min"


def endpoint(ip: str | None, port: int | None) -> str:
    """`10.0.0.1:80`, `[2001:db8::1]:80`."""
    text = safe(ip) if ip is not None else "0.0.0.0"
    return f"{f'[{text}]' if ':' in text else text}:{'*' if port is None else port}"


def cells(row: Row) -> tuple[str, ...]:
    """A socket's columns as text, as `HEAD` names them."""
    any_ip = ("::" if ":" in row["local_ip"] else "0.0.0.0") if row["peer_ip"] is None else row["peer_ip"]
    recv_q = "-" if row["recv_q"] is None else f"{'~' if row['recv_q_estimated'] else ''}{row['recv_q']}"
    unseen = "*" if row["state"] == "LISTEN" else "-"
    send_q = unseen if row["send_q"] is None else str(row["send_q"])
    last = []
    if row["timer"]:
        last.append(f"timer:({row['timer']},{left(row['timer_expires'])},{row['timer_retries']})")
    if row["inferred"]:
        last.append("inferred")
    local = endpoint(row["local_ip"], row["local_port"])
    return (row["state"], recv_q, send_q, local, endpoint(any_ip, row["peer_port"]), " ".join(last))


def widths(rows: Iterable[Row]) -> list[int]:
    """Room for the columns of these sockets, the last left out."""
    found = [len(head) for head in HEAD[:-1]]
    for row in rows:
        found = [max(width, len(text)) for width, text in zip(found, cells(row), strict=False)]
    return found


def line(texts: tuple[str, ...], room: list[int], style: str | None = None) -> Text:
    """One line of the table; the first column in the state's colour."""
    padded = [
        text.rjust(width) if at in RIGHT else text.ljust(width)
        for at, (text, width) in enumerate(zip(texts, [*room, 0], strict=True))
    ]
    out = Text(padded[0], style=STYLES.get(texts[0], "") if style is None else style)
    return out.append("  " + "  ".join(padded[1:]), style=style or "")


def by_host(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The sockets of each local address, in order of appearance."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["local_ip"], []).append(row)
    return found


def what_it_is(host: str, parts: dict[str, tuple[int, int, bool]]) -> str:
    """`client of 3 connections, server of 1; the capture was taken there`."""
    client, server, here = parts.get(host, (0, 0, False))
    words = [f"client of {times(client)}"] if client else []
    if server:
        words.append(f"server of {server if words else times(server)}")
    return ", ".join(words) + ("; the capture was taken here" if here else "")


def when(moment: Moment, start_ns: int, names: list[str], utc: bool) -> str:
    """`2026-… UTC, +1.250000 s, after frame 12`."""
    text = f"{clock(moment.seconds, utc)}, +{(moment.time_ns - start_ns) / 1e9:.6f} s"
    if moment.frame:
        text += f", after frame {moment.frame}"
        if len(names) > 1:
            text += f" of {safe(named(names[moment.file]))}"
    return text + (", the end of the capture" if moment.end else "")


def heading(moment: Moment, start_ns: int, result: Analysis, utc: bool) -> list[Text]:
    """Which capture, and when."""
    names = [safe(named(name)) for name in result.names]
    title = names[0] if len(names) == 1 else f"{len(names)} captures"
    out = [Text(title, style="bold").append(f"  {when(moment, start_ns, result.names, utc)}", style="not bold")]
    if result.counters.get("clock_steps"):
        steps = times(result.counters["clock_steps"], "time")
        out.append(Text(f"the clock went back {steps}: a time is where it is first reached", style="yellow"))
    return out


def lines(rows: list[Row], parts: dict[str, tuple[int, int, bool]], room: list[int] | None = None) -> Iterator[Text]:
    """A table for each host, and what the signs in it mean.  parts: of `Past.parts`."""
    found = by_host(rows)
    hosts = {host: found[host] for host in [*parts, *found] if host in found}
    room = room or widths(rows)
    for host, mine in hosts.items():
        yield Text()
        yield Text(safe(host), style="bold").append(f"  {what_it_is(host, parts)}", style="not bold")
        yield line(HEAD, room, "dim")
        yield from (line(cells(row), room) for row in mine)
    without = [host for host in parts if host not in hosts]
    if without:
        yield Text()
    for host in without[:FEW]:
        yield Text(safe(host), style="bold").append(f"  {what_it_is(host, parts)}", style="not bold")
        yield Text("none", style="dim")
    if len(without) > FEW:
        yield Text(f"{times(len(without) - FEW, 'host')} more without one", style="dim")
    said = "".join("".join(cells(row)[1:3]) + cells(row)[5] for row in rows)
    if not rows and not parts:
        yield Text("no sockets: the capture has no TCP connection", style="dim")
    signs = [meaning for sign, meaning in SIGNS.items() if sign in said]
    if signs:
        yield Text()
        yield Text("; ".join(signs), style="dim")


def write(found: Iterable[Text], stream: IO[str], width: int | None = None) -> None:
    """Lines to a terminal in colour, to anything else plain; none is wrapped."""
    if stream.isatty():
        out = Console(file=stream, highlight=False, soft_wrap=True, width=width)
        for it in found:
            out.print(it)
        return
    stream.writelines(it.plain.rstrip() + "\n" for it in found)


def count_lines(rows: Iterable[Row], start_ns: int, utc: bool) -> Iterator[Text]:
    """A line a time, a column a state that ever occurs; a table for each host where rows name hosts."""
    hosts: dict[str | None, list[Row]] = {}
    for row in rows:
        hosts.setdefault(row["host"], []).append(row)
    if not any(row["total"] for mine in hosts.values() for row in mine):
        yield Text("no sockets at any time", style="dim")
        return
    for number, (host, mine) in enumerate(hosts.items()):
        if number:
            yield Text()
        yield Text(safe(host) if host is not None else "sockets of both hosts of every connection", style="bold")
        shown = [name for name in COUNTED if any(row[name] for row in mine)]
        table: list[list[Any]] = [["time (UTC)" if utc else "time (local)", "after", *shown, "total"]]
        for row in mine:
            numbers = [row[name] or "" for name in shown]
            table.append([clock(row["time"], utc).removesuffix(" UTC"), f"{row['time'] - start_ns / 1e9:.6f}",
                          *numbers, row["total"]])  # fmt: skip
        room = [max(len(str(cell)) for cell in column) for column in zip(*table, strict=True)]
        for at, cols in enumerate(table):
            text = "  ".join(str(cell).rjust(width) for cell, width in zip(cols, room, strict=True))
            yield Text(text, style="dim" if at == 0 else "")
