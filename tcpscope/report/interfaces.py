"""The interfaces as a table, and who may capture on them."""

from __future__ import annotations

import sys
from io import StringIO

from rich.table import Table
from rich.text import Text

from tcpscope.capture.interfaces import Capability, Interface
from tcpscope.report.terminal import console
from tcpscope.report.text import safe

COLOURS = {"up": "green", "down": "dim", "no carrier": "yellow"}


def print_interfaces(found: list[Interface], able: list[Capability]) -> None:
    """In a pipe plain, without trailing blanks."""
    page = sys.stdout if sys.stdout.isatty() else StringIO()
    out = console(page)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("interface", "state", "addresses", "MAC", "MTU", "speed", "packets"):
        right = head in ("MTU", "speed", "packets")
        table.add_column(head, justify="right" if right else "left", overflow="fold")
    for it in found:
        addresses = "all interfaces at once" if it.name == "any" else ", ".join(it.addresses) or "-"
        table.add_row(
            safe(it.name), Text(it.state, style=COLOURS[it.state]), safe(addresses), it.mac or "-",
            "-" if it.mtu is None else str(it.mtu), "-" if it.speed is None else f"{it.speed} Mbit/s",
            "-" if it.packets is None else f"{it.packets:,}",
        )  # fmt: skip
    out.print(table)
    out.print()
    for program in able:
        if program.allowed:
            out.print(Text(f"{program.program} may capture ({program.path})", style="green"))
        else:
            out.print(Text(f"{program.program}: {program.missing}", style="yellow"), soft_wrap=True)
    if not any(it.allowed for it in able):
        out.print("or run tcpscope live through sudo; docs/live.md has macOS and Windows", soft_wrap=True)
    if isinstance(page, StringIO):
        sys.stdout.writelines(line.rstrip() + "\n" for line in page.getvalue().splitlines())
