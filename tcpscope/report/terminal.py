"""What `analyze` and the table format print: an overview, the connections, what is odd.

Everything goes through one rich console: colours on a terminal only, plain text in a pipe.
"""

from __future__ import annotations

import os
import sys
from io import StringIO
from typing import IO, Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tcpscope.diagnose.facts import times
from tcpscope.diagnose.finding import Finding
from tcpscope.report.oddest import SHOWN, Line, Oddest
from tcpscope.report.text import clock, named, safe, span
from tcpscope.tables.analysis import Analysis
from tcpscope.tables.overview import overview

PIPE_WIDTH = 132
HEADS = ("#", "client", "server", "client state", "server state", "time", "sent →", "← sent", "RTT", "again", "close")
RIGHT = ("#", "time", "sent →", "← sent", "RTT", "again")
GAP = 2  # between columns
SERVICE = 8  # columns that a server's name needs at least
LONGEST = 40
COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}
STATE_COLOURS = {"ESTABLISHED": "green", "CLOSED": "dim", "TIME_WAIT": "blue", "UNKNOWN": "dim", "CLOSE_WAIT": "yellow",
                 "SYN_SENT": "magenta", "SYN_RECEIVED": "magenta"}  # fmt: skip


def console(stream: IO[str] | None = None) -> Console:
    """For a terminal as wide as it is; for a pipe plain and PIPE_WIDTH wide (COLUMNS overrides)."""
    stream = stream or sys.stdout
    if stream.isatty():
        return Console(file=stream, highlight=False, soft_wrap=False)
    width = os.environ.get("COLUMNS", "")
    return Console(file=stream, highlight=False, width=int(width) if width.isdigit() else PIPE_WIDTH, no_color=True)


def state(word: str) -> Text:
    return Text(word, style=STATE_COLOURS.get(word, ""))


# ---------------------------------------------------------------- overview


def print_overview(out: Console, facts: dict[str, Any], utc: bool) -> None:
    names = [safe(named(name)) for name in facts["files"]]
    title = names[0] if len(names) == 1 else f"{len(names)} captures, {names[0]} … {names[-1]}"
    kind = f" ({', '.join(map(_format, facts['formats']))})" if facts["formats"] else ""
    out.print(Text(title, style="bold") + Text(kind))
    if facts["first"] is None:
        out.print("no packets")
        return
    out.print(
        f"{clock(facts['first'], utc)}, {span(facts['duration'])}: {times(facts['packets'], 'packet')}, "
        f"{times(facts['tcp_packets'], 'TCP packet')}, {times(facts['connections'])}"
    )
    if facts["not_tcp"]:
        listed = [f"{count:,} {safe(kind)}" for kind, count in facts["not_tcp"].items()]
        out.print(
            "not TCP: " + ", ".join(listed[:8]) + (f" and {len(listed) - 8} kinds more" if len(listed) > 8 else "")
        )
    notes = []
    if facts["cut_packets"]:
        notes.append(f"{times(facts['cut_packets'], 'packet')} cut by the snaplen (lengths come from IP)")
    if facts["dropped"]:
        notes.append(f"{times(facts['dropped'], 'packet')} dropped while capturing")
    if facts["clock_steps"]:
        notes.append(f"the clock went back {times(facts['clock_steps'], 'time')}")
    if facts["judged_in_part"]:
        notes.append(f"{times(facts['judged_in_part'], 'packet')} judged in part: each concerns thousands of others")
    if facts["skipped_files"]:
        notes.append(f"{times(len(facts['skipped_files']), 'file')} skipped: not a capture")
    if notes:
        out.print("; ".join(notes))


def _format(name: str) -> str:
    """`pcap (nanoseconds)` without brackets of its own."""
    return "nanosecond pcap" if name == "pcap (nanoseconds)" else name


# ---------------------------------------------------------------- connections


def print_connections(out: Console, found: Oddest) -> None:
    """A line for each connection where the width allows it, else two; of very many the worst.  Names alone are cut."""
    if found.total == 0:
        return
    lines = found.lines()
    out.print()
    needed = _width(lines)
    longest = min(max(len(it.name or it.service) for it in lines), LONGEST)
    service = longest + GAP if longest else 0
    if needed <= out.width < needed + service and not out.is_terminal and not os.environ.get("COLUMNS", ""):
        width, out.width = out.width, needed + service  # a pipe is as wide as it needs to be
        _print_wide(out, lines, longest)
        out.width = width
    elif needed <= out.width:
        _print_wide(out, lines, min(longest, out.width - needed - GAP))
    else:
        _print_narrow(out, lines)
    if found.total > SHOWN:
        out.print(
            f"… the {SHOWN} oddest of {found.total:,} connections; "
            "all: tcpscope connections FILE (--format csv, json, …)"
        )


def print_spent(out: Console, found: Oddest) -> None:
    """Where the time of the oddest slow connection went."""
    slowest = found.slowest()
    if slowest is None or not slowest[1]:
        return
    out.print()
    out.print(Text(f"Where the time of connection {slowest[0]} went: ", style="bold") + Text(slowest[1], style=""))


def _cells(it: Line) -> list[str]:
    """A connection's cells, as HEADS names them."""
    again = str(it.again) if it.again else ""
    return [it.number, it.client, it.server, *it.states, it.duration, *it.sent, it.rtt, again, it.close]


def _width(lines: list[Line]) -> int:
    """Columns that the table takes without what connections are for."""
    columns = zip(HEADS, *map(_cells, lines), strict=True)
    return sum(max(map(len, column)) for column in columns) + GAP * (len(HEADS) - 1)


def _print_wide(out: Console, lines: list[Line], longest: int) -> None:
    """longest: columns for what a connection is for; too few, and it is not said."""
    services = [it.name or it.service for it in lines]
    shown = any(services) and longest >= min(max(map(len, services)), SERVICE)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for head in [*HEADS[:3], "service", *HEADS[3:]] if shown else HEADS:
        table.add_column(head, justify="right" if head in RIGHT else "left", no_wrap=True)
    for it, service in zip(lines, services, strict=True):
        cells: list[Text | str] = list(_cells(it))
        cells[3:5] = map(state, it.states)
        cells[9] = Text(str(cells[9]), style="yellow")
        if shown:
            cells.insert(3, service if len(service) <= longest else service[: longest - 1] + "…")
        table.add_row(*cells)
    out.print(table)


def _print_narrow(out: Console, lines: list[Line]) -> None:
    """Who with whom, then, indented, what became of it; for 80 columns and fewer."""
    indent = max(len(it.number) for it in lines) + 2
    for it in lines:
        about = " ".join(filter(None, ("", it.service, it.name)))
        out.print(Text(f"{it.number:>{indent - 2}}  {it.client} → {it.server}{about and ' ' + about}"))
        facts = [it.duration, f"→ {it.sent[0]}", f"← {it.sent[1]}"]
        if it.rtt != "-":
            facts.append(f"RTT {it.rtt}")
        if it.again:
            facts.append(f"{it.again} sent again")
        states = state(it.states[0]) + Text(" / ") + state(it.states[1])
        out.print(Padding(states + Text("; " + ", ".join([it.close, *facts])), (0, 0, 0, indent)))


# ---------------------------------------------------------------- findings


def some(numbers: list[int], count: int) -> str:
    """The first few, and a sign that there are more."""
    return ", ".join(map(str, numbers[:5])) + (" …" if count > 5 else "")


def files_of(finding: Finding) -> str:
    """` of a.pcap`, ` of a.pcap, b.pcap …`; empty with one capture."""
    names = [safe(named(it)) for it in finding.files]
    return f" of {', '.join(names[:3])}{' …' if len(names) > 3 else ''}" if names else ""


def print_findings(out: Console, findings: list[Finding], most: int = 20) -> None:
    out.print()
    if not findings:
        out.print(Text("nothing odd", style="green"))
        return
    out.print(Text("What is odd, worst first", style="bold"))
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for f in findings[:most]:
        table.add_row(Text(f.severity, style=COLOURS[f.severity]), Text(safe(f.text)))
        where = f.id
        if f.connections:
            frames = "frame" if len(f.frames) == 1 else "frames"
            noun = "connection" if f.count == 1 else "connections"
            where += f", {noun} {some(f.connections, f.count)}, {frames} {some(f.frames, len(f.frames))}{files_of(f)}"
        if f.confidence != "certain":
            where += f" ({f.confidence}: {safe('; '.join(f.doubts))})"
        table.add_row("", Text(f"{where}: {safe(f.advice)}", style="dim"))
    out.print(table)
    out.print(Text("tcpscope explain ID tells what a finding means", style="dim"))
    if len(findings) > most:
        out.print(f"… and {len(findings) - most} findings more (--format json has all)")


def print_analysis(
    result: Analysis, found: Oddest, findings: list[Finding], utc: bool, stream: IO[str] | None = None
) -> None:
    """The whole of `tcpscope analyze` for a person; in a pipe without trailing blanks."""
    stream = stream or sys.stdout
    page = stream if stream.isatty() else StringIO()
    out = console(page)
    facts = overview(result)
    print_overview(out, facts, utc)
    print_connections(out, found)
    print_spent(out, found)
    if findings or found.total:
        print_findings(out, findings)
    elif facts["first"] is not None:
        out.print(Text("\nno TCP connection: nothing to look at", style="yellow"))
    if isinstance(page, StringIO):
        stream.writelines(line.rstrip() + "\n" for line in page.getvalue().splitlines())
