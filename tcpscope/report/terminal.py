"""What `analyze` and the table format print: an overview, the connections, what is odd.

Everything goes through one rich console: colours on a terminal only, plain text in a pipe.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from io import StringIO
from operator import itemgetter
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tcpscope.diagnose.facts import endpoint, times
from tcpscope.diagnose.finding import Finding
from tcpscope.replay import layout
from tcpscope.report.text import clock, safe, size, span
from tcpscope.tables.analysis import Analysis
from tcpscope.tables.overview import overview

SHOWN = 25  # connections in the table of `analyze`
PIPE_WIDTH = 132
NARROW = 100  # below this width the table leaves out what matters least
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
    names = [safe(os.path.basename(name) or name) for name in facts["files"]]
    title = names[0] if len(names) == 1 else f"{len(names)} captures, {names[0]} … {names[-1]}"
    kind = f" ({', '.join(facts['formats'])})" if facts["formats"] else ""
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
    if facts["skipped_files"]:
        notes.append(f"{times(len(facts['skipped_files']), 'file')} skipped: not a capture")
    if notes:
        out.print("; ".join(notes))


# ---------------------------------------------------------------- connections

_FIELDS = ("connection", "client_addr", "client_port", "server_addr", "server_port", "ip_version", "client_state",
           "server_state", "start_ns", "end_ns", "client_unique_bytes", "server_unique_bytes", "initial_rtt_ns",
           "syn_rtt_ns", "client_retransmissions", "server_retransmissions", "close_kind", "closed_by",
           "client_timeout_retransmissions", "server_timeout_retransmissions", "client_zero_window_ns",
           "server_zero_window_ns")  # fmt: skip
_BADNESS = {
    "refused": 50,
    "unanswered": 60,
    "unreachable": 60,
    "timeout": 70,
    "reset": 40,
    "half_open": 30,
    "half_closed": 10,
}


def _again(c: dict[str, Any]) -> int:
    return int(c["client_retransmissions"] + c["server_retransmissions"])


def badness(c: dict[str, Any]) -> float:
    """How much a connection deserves to be looked at; 0: nothing odd."""
    found = float(_BADNESS.get(layout.CLOSE_KINDS[c["close_kind"]], 0))
    found += min(_again(c), 50) + 5 * min(c["client_timeout_retransmissions"] + c["server_timeout_retransmissions"], 10)
    return float(found + min((c["client_zero_window_ns"] + c["server_zero_window_ns"]) / 1e9, 10) * 5)


def print_connections(out: Console, raw: bytes) -> None:
    """All connections in order; of very many the worst, and how to see the rest."""
    found = [dict(zip(_FIELDS, values, strict=True)) for values in layout.CONNECTION.select(raw, _FIELDS)]
    total = len(found)
    if total == 0:
        return
    if total > SHOWN:
        found.sort(key=lambda c: (-badness(c), c["connection"]))
        found = found[:SHOWN]
    else:
        found.sort(key=itemgetter("connection"))
    wide = out.width >= NARROW
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0) if not wide else (0, 2, 0, 0))
    table.add_column("#", justify="right")
    for head in ("client", "server"):
        table.add_column(head, overflow="fold")
    for head in ("client state", "server state"):
        table.add_column(head, no_wrap=wide, overflow="fold")
    if wide:
        table.add_column("time", justify="right", no_wrap=True)
    table.add_column("sent →" if wide else "→", justify="right", no_wrap=True)
    table.add_column("← sent" if wide else "←", justify="right", no_wrap=True)
    if wide:
        table.add_column("RTT", justify="right", no_wrap=True)
    table.add_column("again", justify="right", no_wrap=True)
    table.add_column("close", overflow="fold")
    for c in found:
        rtt = c["initial_rtt_ns"] if c["initial_rtt_ns"] > 0 else c["syn_rtt_ns"]
        who = layout.CLOSED_BY.get(c["closed_by"])
        close = layout.CLOSE_KINDS[c["close_kind"]].replace("_", " ")
        again = _again(c)
        cells: list[Any] = [
            str(c["connection"]),
            endpoint(c["client_addr"], c["ip_version"], c["client_port"]),
            endpoint(c["server_addr"], c["ip_version"], c["server_port"]),
            state(layout.STATES[c["client_state"]]),
            state(layout.STATES[c["server_state"]]),
            span((c["end_ns"] - c["start_ns"]) / 1e9),
            size(c["client_unique_bytes"]),
            size(c["server_unique_bytes"]),
            span(rtt / 1e9 if rtt > 0 else None),
            Text(str(again) if again else "", style="yellow"),
            close + (f" by {who}" if who and close not in ("open", "unanswered", "refused") else ""),
        ]
        table.add_row(*(cells if wide else [cell for i, cell in enumerate(cells) if i not in (5, 8)]))
    out.print()
    out.print(table)
    if total > SHOWN:
        out.print(
            f"… the {SHOWN} oddest of {total:,} connections; all: tcpscope connections FILE (--format csv, json, …)"
        )


# ---------------------------------------------------------------- findings


def some(numbers: list[int], count: int) -> str:
    """The first few, and a sign that there are more."""
    return ", ".join(map(str, numbers[:5])) + (" …" if count > 5 else "")


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
        where = ""
        if f.connections:
            where = f"connection {some(f.connections, f.count)}, frame {some(f.frames, f.count)}: "
        table.add_row("", Text(where + safe(f.advice), style="dim"))
    out.print(table)
    if len(findings) > most:
        out.print(f"… and {len(findings) - most} findings more (--format json has all)")


def print_analysis(result: Analysis, findings: list[Finding], utc: bool, stream: IO[str] | None = None) -> None:
    """The whole of `tcpscope analyze` for a person; in a pipe without trailing blanks."""
    stream = stream or sys.stdout
    page = stream if stream.isatty() else StringIO()
    out = console(page)
    print_overview(out, overview(result), utc)
    print_connections(out, result.connections)
    print_findings(out, findings)
    if isinstance(page, StringIO):
        stream.writelines(line.rstrip() + "\n" for line in page.getvalue().splitlines())


# ---------------------------------------------------------------- the table format of the other commands


def short(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".") if abs(value) < 1e6 else f"{value:.6f}"
    if isinstance(value, list):
        return ",".join("-".join(map(str, it)) if isinstance(it, list) else str(it) for it in value)
    return safe(str(value))


def print_lines(rows: Iterable[dict[str, Any]], widths: dict[str, int], stream: IO[str]) -> None:
    """Rows as aligned lines, streaming: a column is as wide as `widths` says, longer values push on."""
    head = "  ".join(name.ljust(width) if width > 0 else name.rjust(-width) for name, width in widths.items())
    stream.write(head.rstrip() + "\n")
    for row in rows:
        cells = []
        for name, width in widths.items():
            text = short(row[name])
            cells.append(text.ljust(width) if width > 0 else text.rjust(-width))
        stream.write("  ".join(cells).rstrip() + "\n")
