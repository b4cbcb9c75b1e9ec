"""A script's right half as tcpscope gives it: the packets are replayed, and the ladder printed again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tcpscope

from .build import write
from .script import Check, Item, Packet, Right, Script, in_order

# Ordinary on most ladders; shown only where the script says `show: all`.
QUIET = frozenset({"window_update", "delayed_ack", "piggybacked_ack"})
MISSING = "-"


def replay(script: Script, folder: Path) -> Script:
    """The script with what tcpscope says right of the bar and behind each `=>`."""
    path = folder / "ladder.pcap"
    write(script, path)
    capture = tcpscope.read(path)
    packets = {row["frame"]: row for row in capture.packets.to_dict("records")}
    connections = capture.connections.to_dict("records")
    quiet = frozenset() if script.setting("show") == "all" else QUIET
    items: list[Item] = []
    frame = 0
    for item in script.items:
        if isinstance(item, Packet):
            frame += 1
            items.append(replace(item, right=right_half(packets.get(frame), quiet)))
        elif isinstance(item, Check):
            items.append(replace(item, value=checked(item, packets, connections)))
        else:
            frame += hasattr(item, "time_us")
            items.append(item)
    return script.with_items(items)


def right_half(row: Mapping[str, Any] | None, quiet: frozenset[str]) -> Right | None:
    if row is None:
        return None
    names = tuple(name for name in row["annotations"] if name not in quiet)
    return Right(row["client_state"], row["server_state"], in_order(names))


def checked(check: Check, packets: Mapping[int, Mapping[str, Any]], connections: Sequence[Mapping[str, Any]]) -> str:
    """The value that stands behind this `=>`."""
    if check.column == "connections":
        return str(len(connections))
    if check.scope == "frame":
        row = packets.get(check.number)
    else:
        row = connections[check.number] if check.number < len(connections) else None
    if row is None:
        return f"(no such {check.scope})"
    if check.column not in row:
        return "(no such column)"
    if check.column == "close" and " by " in check.value:
        return f"{said(row['close'])} by {said(row['closed_by'])}"
    return said(row[check.column])


def said(value: Any) -> str:
    """A cell as a script writes it: whole numbers without a point, times to the microsecond."""
    if value is None or str(value) in ("", "nan", "NaT", "<NA>"):
        return MISSING
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    text = str(value)
    return text.lower() if text in ("True", "False") else text
