"""The table format of connections, packets and events: aligned lines, written as they come."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import IO, Any

from tcpscope.report.text import clock, safe
from tcpscope.tables.rows import Raw, columns

GAP = 2  # between columns
LONGEST = 45  # columns that a value is given; longer ones push the others on
# What a narrow terminal can do without, the most useful first; packets and events are all needed, and wrap.
OPTIONAL = {
    "connections": ("client_port", "duration", "close", "service", "server_unique_bytes", "client_unique_bytes",
                    "server_name", "closed_by", "server_retransmissions", "client_retransmissions", "conn_state",
                    "history"),
}  # fmt: skip


def short(value: Any) -> str:
    """A value as a cell: nothing for None, lists with commas, control characters made harmless."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    if isinstance(value, list):
        return ",".join("-".join(map(str, it)) if isinstance(it, list) else str(it) for it in value)
    return safe(str(value))


def widened(table: str, records: Raw, widths: dict[str, int]) -> dict[str, int]:
    """The widths with room for the longest values of the first of these records (IPv6 addresses, names)."""
    names = [name for name in widths if name != "time"]
    wide = dict(widths)
    for found in islice(columns(table, records, names), 1):
        for name, values in zip(names, found, strict=True):
            needed = min(max(map(len, map(short, values)), default=0), LONGEST)
            if needed > abs(wide[name]):
                wide[name] = needed if widths[name] > 0 else -needed
    return wide


def fitted(table: str, widths: dict[str, int], room: int) -> dict[str, int]:
    """Of these columns those for which a terminal so wide has room: OPTIONAL ones as far as they fit."""
    optional = OPTIONAL.get(table, ())
    kept = set(widths) - set(optional)
    left = room + GAP - sum(abs(widths[name]) + GAP for name in kept)
    for name in optional:
        if name in widths and abs(widths[name]) + GAP <= left:
            left -= abs(widths[name]) + GAP
            kept.add(name)
    return {name: width for name, width in widths.items() if name in kept}


def print_lines(table: str, chunks: Iterable[Raw], widths: dict[str, int], utc: bool, stream: IO[str]) -> None:
    """The columns that `widths` names, so wide (negative: to the right); longer values push the others on."""
    cells = [str.ljust if width > 0 else str.rjust for width in widths.values()]
    room = [abs(width) for width in widths.values()]
    shown = [(_clock(utc) if name == "time" else short) for name in widths]

    def line(texts: Iterable[str]) -> str:
        return (" " * GAP).join(
            pad(it, width) for pad, it, width in zip(cells, texts, room, strict=True)
        ).rstrip() + "\n"

    zone = "time (UTC)" if utc else "time (local)"
    stream.write(line(zone if name == "time" else name for name in widths))
    for chunk in chunks:
        for found in columns(table, chunk, list(widths)):
            texts = [map(show, values) for show, values in zip(shown, found, strict=True)]
            stream.writelines(line(row) for row in zip(*texts, strict=True))


def _clock(utc: bool) -> Any:
    return lambda seconds: clock(seconds, utc).removesuffix(" UTC")
