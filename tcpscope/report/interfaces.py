"""The interfaces as a table, and who may capture on them."""

from __future__ import annotations

from tcpscope.capture.interfaces import Capability, Interface
from tcpscope.report.printer import Printer, Words, words
from tcpscope.report.text import safe

HEADS = ("interface", "state", "addresses", "MAC", "MTU", "speed", "packets")
RIGHT = ("MTU", "speed", "packets")
COLOURS = {"up": "green", "down": "dim", "no carrier": "yellow"}


def print_interfaces(found: list[Interface], able: list[Capability]) -> None:
    """A line each, addresses wrapped where there is no room for them."""
    out = Printer()
    rows: list[list[Words | str]] = [[words(head, "bold") for head in HEADS]]
    for it in found:
        addresses = "all interfaces at once" if it.name == "any" else ", ".join(it.addresses) or "-"
        rows.append([
            safe(it.name), words(it.state, COLOURS[it.state]), safe(addresses), it.mac or "-",
            "-" if it.mtu is None else str(it.mtu), "-" if it.speed is None else f"{it.speed} Mbit/s",
            "-" if it.packets is None else f"{it.packets:,}",
        ])  # fmt: skip
    out.columns(rows, right=[HEADS.index(name) for name in RIGHT], wrapped=HEADS.index("addresses"))
    out.line()
    for program in able:
        if program.allowed:
            out.line(f"{program.program} may capture ({program.path})", "green")
        else:
            out.whole(f"{program.program}: {program.missing}", "yellow")
    if not any(it.allowed for it in able):
        out.whole("or run tcpscope live through sudo; docs/live.md has macOS and Windows")
