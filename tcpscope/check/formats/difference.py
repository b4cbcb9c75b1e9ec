"""How two captures differ, for a person."""

from __future__ import annotations

from io import StringIO
from typing import IO

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from tcpscope.check.difference import Change, Difference
from tcpscope.diagnose.facts import times
from tcpscope.report.terminal import console
from tcpscope.report.text import named, safe

SHOWN = 60  # differences
NUMBERS = 8  # connections named


def print_difference(it: Difference, stream: IO[str]) -> None:
    """All of it; in a pipe without trailing blanks."""
    page = stream if stream.isatty() else StringIO()
    _print(console(page), it)
    if isinstance(page, StringIO):
        stream.writelines(line.rstrip() + "\n" for line in page.getvalue().splitlines())


def _name(names: list[str]) -> str:
    first = safe(named(names[0]))
    return first if len(names) == 1 else f"{first} … ({len(names)} files)"


def _print(out: Console, it: Difference) -> None:
    first, second = map(_name, it.names)
    out.print(Text(f"{first}: {times(it.connections[0])}", style="bold"))
    out.print(Text(f"{second}: {times(it.connections[1])}", style="bold"))
    out.print(f"{it.matched:,} matched by hosts, service and order, of which {it.different:,} differ")
    for name, alone, style in ((first, it.only_first, "red"), (second, it.only_second, "green")):
        for service, numbers in alone.items():
            told = ", ".join(map(str, numbers[:NUMBERS])) + (" …" if len(numbers) > NUMBERS else "")
            out.print(Text(f"only in {name}: {times(len(numbers))} with {service} ({told})", style=style))
    service = ""
    for change in sorted(it.changes, key=lambda one: one.service)[:SHOWN]:
        if change.service != service:
            service = change.service
            out.print()
            out.print(Text(f"with {service}", style="bold"))
        _change(out, change)
    if len(it.changes) > SHOWN:
        out.print(f"… and {len(it.changes) - SHOWN} more (--format json has all)")
    if not it:
        out.print(Text("no difference beyond the tolerance", style="green"))


def _change(out: Console, change: Change) -> None:
    pairs = ", ".join(str(a) if a == b else f"{a}↔{b}" for a, b in change.pairs)
    more = " …" if change.count > len(change.pairs) else ""
    least = (
        "up to " if change.count > 1 and change.aspect not in ("states", "closing", "opening", "application") else ""
    )
    told = Text(f"{change.aspect:<11}") + Text(f"{change.measure}: ")
    if change.measure.endswith("_states"):
        told += (
            Text(safe(change.was), style="red")
            + Text("\n           now ")
            + Text(f"{safe(change.now)} ", style="green")
        )
    else:
        told += Text(safe(change.was), style="red") + Text(" → ") + Text(f"{least}{safe(change.now)} ", style="green")
    told += Text(f"({change.count:,} of {change.of:,}: {pairs}{more})", style="dim")
    out.print(Padding(told, (0, 0, 0, 2)))
