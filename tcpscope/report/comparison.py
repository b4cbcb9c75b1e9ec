"""`tcpscope compare` for a person: a table of agreement, then the differences with their reasons."""

from __future__ import annotations

from collections import Counter
from io import StringIO
from typing import Any, BinaryIO, Protocol

from rich.table import Table

from tcpscope.diagnose.facts import times
from tcpscope.replay.layout import WIRESHARK
from tcpscope.report.terminal import console


class Compared(Protocol):
    """What is printed: see wireshark.compare.Comparison."""

    packets: int
    only_wireshark: int
    only_tcpscope: int
    streams: int
    rules: dict[str, Counter[str]]
    own: dict[str, Counter[str]]

    @property
    def agrees(self) -> bool: ...


def print_comparison(found: Compared, version: str, shown: list[dict[str, Any]], most: int, stream: BinaryIO) -> None:
    page = StringIO()
    out = console(page)
    out.print(
        f"tshark {version}: {times(found.packets, 'TCP packet')} in {times(found.streams, 'stream')} seen by both, "
        f"{found.only_wireshark} only by tshark, {found.only_tcpscope} only by tcpscope"
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("", "Wireshark", "by its rules", "tcpscope's own", "both", "only W", "only t"):
        table.add_column(head, justify="left" if not head else "right")
    for mark in WIRESHARK:
        rules, own = found.rules.get(mark, Counter()), found.own.get(mark, Counter())
        if not rules and not own:
            continue
        theirs = rules["both"] + rules["Wireshark"]
        same = "all" if rules["Wireshark"] == rules["tcpscope"] == 0 else f"{rules['both']} of {theirs}"
        ours = own["both"] + own["tcpscope"]
        cells = [theirs, same, ours, own["both"], own["Wireshark"] or "", own["tcpscope"] or ""]
        table.add_row(mark, *map(str, cells))
    if table.row_count:
        out.print()
        out.print(table)
    out.print()
    out.print("the column `wireshark` agrees with tshark" if found.agrees else "the column `wireshark` does NOT agree")
    if shown:
        out.print()
    for entry in shown[:most]:
        who = f"only {entry['only']}: " if "only" in entry else ""
        out.print(f"frame {entry['frame']}: {entry['what']}, {who}{entry['reason']}")
    if len(shown) > most:
        out.print(f"… and {len(shown) - most} differences more (--most, or --format jsonl)")
    stream.write("".join(line.rstrip() + "\n" for line in page.getvalue().splitlines()).encode())
