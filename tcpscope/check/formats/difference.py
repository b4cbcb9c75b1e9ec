"""How two captures differ, for a person."""

from __future__ import annotations

from typing import IO

from tcpscope.check.difference import Change, Difference
from tcpscope.diagnose.facts import times
from tcpscope.report.printer import Printer, words
from tcpscope.report.text import named, safe

SHOWN = 60  # differences
NUMBERS = 8  # connections named


def print_difference(it: Difference, stream: IO[str]) -> None:
    """All of it."""
    _print(Printer(stream), it)


def _name(names: list[str]) -> str:
    first = safe(named(names[0]))
    return first if len(names) == 1 else f"{first} … ({len(names)} files)"


def _print(out: Printer, it: Difference) -> None:
    first, second = map(_name, it.names)
    out.line(f"{first}: {times(it.connections[0])}", "bold")
    out.line(f"{second}: {times(it.connections[1])}", "bold")
    out.line(f"{it.matched:,} matched by hosts, service and order, of which {it.different:,} differ")
    for name, alone, style in ((first, it.only_first, "red"), (second, it.only_second, "green")):
        for service, numbers in alone.items():
            told = ", ".join(map(str, numbers[:NUMBERS])) + (" …" if len(numbers) > NUMBERS else "")
            out.line(f"only in {name}: {times(len(numbers))} with {service} ({told})", style)
    service = ""
    for change in sorted(it.changes, key=lambda one: one.service)[:SHOWN]:
        if change.service != service:
            service = change.service
            out.line()
            out.line(f"with {service}", "bold")
        _change(out, change)
    if len(it.changes) > SHOWN:
        out.line(f"… and {len(it.changes) - SHOWN} more (--format json has all)")
    if not it:
        out.line("no difference beyond the tolerance", "green")


def _change(out: Printer, change: Change) -> None:
    pairs = ", ".join(str(a) if a == b else f"{a}↔{b}" for a, b in change.pairs)
    more = " …" if change.count > len(change.pairs) else ""
    least = (
        "up to " if change.count > 1 and change.aspect not in ("states", "closing", "opening", "application") else ""
    )
    told = words(f"{change.aspect:<12}{change.measure}: ") + words(safe(change.was), "red")
    if change.measure.endswith("_states"):
        told += words("\n            now ") + words(f"{safe(change.now)} ", "green")
    else:
        told += words(" → ") + words(f"{least}{safe(change.now)} ", "green")
    told += words(f"({change.count:,} of {change.of:,}: {pairs}{more})", "dim")
    out.line(told, indent=2)
