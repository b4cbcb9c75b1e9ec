"""What `analyze` and the table format print: an overview, the connections, what is odd.

Everything goes through one printer: colours on a terminal only, plain text in a pipe.
"""

from __future__ import annotations

import os
from typing import IO, Any

from tcpscope.diagnose.facts import times
from tcpscope.diagnose.finding import Finding
from tcpscope.report.oddest import SHOWN, Line, Oddest
from tcpscope.report.printer import GAP, Printer, Words, words
from tcpscope.report.text import clock, named, safe, span
from tcpscope.tables.analysis import Analysis
from tcpscope.tables.overview import overview

HEADS = ("#", "client", "server", "client state", "server state", "time", "sent →", "← sent", "RTT", "again", "close")
RIGHT = ("#", "time", "sent →", "← sent", "RTT", "again")
SERVICE = 8  # columns that a server's name needs at least
LONGEST = 40
SOME = 5  # connections and frames that a finding names here
COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}
STATE_COLOURS = {"ESTABLISHED": "green", "CLOSED": "dim", "TIME_WAIT": "blue", "UNKNOWN": "dim", "CLOSE_WAIT": "yellow",
                 "SYN_SENT": "magenta", "SYN_RECEIVED": "magenta"}  # fmt: skip


def state(word: str) -> Words:
    return words(word, STATE_COLOURS.get(word, ""))


# ---------------------------------------------------------------- overview


def print_overview(out: Printer, facts: dict[str, Any], utc: bool) -> None:
    names = [safe(named(name)) for name in facts["files"]]
    title = names[0] if len(names) == 1 else f"{len(names)} captures, {names[0]} … {names[-1]}"
    kind = f" ({', '.join(map(_format, facts['formats']))})" if facts["formats"] else ""
    out.line(words(title, "bold") + words(kind))
    if facts["first"] is None:
        out.line("no packets")
        return
    out.line(
        f"{clock(facts['first'], utc)}, {span(facts['duration'])}: {times(facts['packets'], 'packet')}, "
        f"{times(facts['tcp_packets'], 'TCP packet')}, {times(facts['connections'])}"
    )
    if facts["not_tcp"]:
        listed = [f"{count:,} {safe(kind)}" for kind, count in facts["not_tcp"].items()]
        out.line(
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
        out.line("; ".join(notes))


def _format(name: str) -> str:
    """`pcap (nanoseconds)` without brackets of its own."""
    return "nanosecond pcap" if name == "pcap (nanoseconds)" else name


# ---------------------------------------------------------------- connections


def print_connections(out: Printer, found: Oddest) -> None:
    """A line for each connection where the width allows it, else two; of very many the worst.  Names alone are cut."""
    if found.total == 0:
        return
    lines = found.lines()
    out.line()
    needed = _width(lines)
    longest = min(max(len(it.name or it.service) for it in lines), LONGEST)
    service = longest + GAP if longest else 0
    if needed <= out.width < needed + service and not out.terminal and not os.environ.get("COLUMNS", ""):
        width, out.width = out.width, needed + service  # a pipe is as wide as it needs to be
        _print_wide(out, lines, longest)
        out.width = width
    elif needed <= out.width:
        _print_wide(out, lines, min(longest, out.width - needed - GAP))
    else:
        _print_narrow(out, lines)
    if found.total > SHOWN:
        out.line(
            f"… the {SHOWN} oddest of {found.total:,} connections; "
            "all: tcpscope connections FILE (--format csv, json, …)"
        )


def print_spent(out: Printer, found: Oddest) -> None:
    """Where the time of the oddest slow connection went."""
    slowest = found.slowest()
    if slowest is None or not slowest[1]:
        return
    out.line()
    out.line(words(f"Where the time of connection {slowest[0]} went: ", "bold") + words(slowest[1]))


def _cells(it: Line) -> list[str]:
    """A connection's cells, as HEADS names them."""
    again = str(it.again) if it.again else ""
    return [it.number, it.client, it.server, *it.states, it.duration, *it.sent, it.rtt, again, it.close]


def _width(lines: list[Line]) -> int:
    """Columns that the table takes without what connections are for."""
    columns = zip(HEADS, *map(_cells, lines), strict=True)
    return sum(max(map(len, column)) for column in columns) + GAP * (len(HEADS) - 1)


def _print_wide(out: Printer, lines: list[Line], longest: int) -> None:
    """longest: columns for what a connection is for; too few, and it is not said."""
    services = [it.name or it.service for it in lines]
    shown = any(services) and longest >= min(max(map(len, services)), SERVICE)
    heads = [*HEADS[:3], "service", *HEADS[3:]] if shown else list(HEADS)
    rows: list[list[Words | str]] = [[words(head, "bold") for head in heads]]
    for it, service in zip(lines, services, strict=True):
        row: list[Words | str] = list(_cells(it))
        row[3:5] = map(state, it.states)
        row[9] = words(str(row[9]), "yellow")
        if shown:
            row.insert(3, service if len(service) <= longest else service[: longest - 1] + "…")
        rows.append(row)
    out.columns(rows, right=[at for at, head in enumerate(heads) if head in RIGHT])


def _print_narrow(out: Printer, lines: list[Line]) -> None:
    """Who with whom, then, indented, what became of it; for 80 columns and fewer."""
    indent = max(len(it.number) for it in lines) + 2
    for it in lines:
        about = " ".join(filter(None, ("", it.service, it.name)))
        out.line(f"{it.number:>{indent - 2}}  {it.client} → {it.server}{about and ' ' + about}")
        facts = [it.duration, f"→ {it.sent[0]}", f"← {it.sent[1]}"]
        if it.rtt != "-":
            facts.append(f"RTT {it.rtt}")
        if it.again:
            facts.append(f"{it.again} sent again")
        states = state(it.states[0]) + words(" / ") + state(it.states[1])
        out.line(states + words("; " + ", ".join([it.close, *facts])), indent=indent)


# ---------------------------------------------------------------- findings


def some(numbers: list[int], count: int) -> str:
    """The first few, and a sign that there are more."""
    return ", ".join(map(str, numbers[:SOME])) + (" …" if count > SOME else "")


def place_of(finding: Finding) -> str:
    """`, connection 3, frame 7`; `, connections 3, 4, frames 7, 9 of a.pcap, 1 of b.pcap …`; "" without connections."""
    if not finding.connections:
        return ""
    groups = [some(them, 0) + (f" of {safe(named(file))}" if file else "") for file, them in finding.by_file(SOME)]
    of, noun = "s" if finding.count != 1 else "", "frame" if len(finding.frames) == 1 else "frames"
    frames = f"{noun} {', '.join(groups)}" + (" …" if len(finding.frames) > SOME else "")
    return f", connection{of} {some(finding.connections, finding.count)}, {frames}"


def print_findings(out: Printer, findings: list[Finding], most: int = 20) -> None:
    out.line()
    if not findings:
        out.line("nothing odd", "green")
        return
    out.line("What is odd, worst first", "bold")
    rows: list[tuple[Words | str, Words | str]] = []
    for f in findings[:most]:
        rows.append((words(f.severity, COLOURS[f.severity]), safe(f.text)))
        where = f.id
        where += place_of(f)
        if f.confidence != "certain":
            where += f" ({f.confidence}: {safe('; '.join(f.doubts))})"
        rows.append(("", words(f"{where}: {safe(f.advice)}", "dim")))
    out.columns(rows, wrapped=1)
    out.line("tcpscope explain ID tells what a finding means", "dim")
    if len(findings) > most:
        out.line(f"… and {len(findings) - most} findings more (--format json has all)")


def print_analysis(
    result: Analysis, found: Oddest, findings: list[Finding], utc: bool, stream: IO[str] | None = None
) -> None:
    """The whole of `tcpscope analyze` for a person."""
    out = Printer(stream)
    facts = overview(result)
    print_overview(out, facts, utc)
    print_connections(out, found)
    print_spent(out, found)
    if findings or found.total:
        print_findings(out, findings)
    elif facts["first"] is not None:
        out.line("\nno TCP connection: nothing to look at", "yellow")
