"""The table format of connections, packets and events: aligned lines, written as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import IO, Any

from tcpscope.report.text import clock, safe
from tcpscope.tables.address import with_port
from tcpscope.tables.rows import Raw, columns

GAP = 2  # between columns
LONGEST = 45  # columns that a value is given; longer ones push the others on
BRIEF = 15  # columns that a time takes without its date
# What a narrow terminal can do without, the most useful first.
OPTIONAL = {
    "connections": ("duration", "close", "service", "server_unique_bytes", "client_unique_bytes",
                    "server_name", "closed_by", "server_retransmissions", "client_retransmissions", "conn_state",
                    "history"),
    "packets": ("connection", "length", "seq", "ack", "window"),
    "events": ("connection", "event", "ip", "port"),
}  # fmt: skip
ENDS = {"client": ("client_ip", "client_port"), "server": ("server_ip", "server_port")}  # of connections; see `fitted`


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
    needed = _needed(table, records, widths)
    return {name: width if needed[name] <= abs(width) else _wide(needed[name], width) for name, width in widths.items()}


def fitted(table: str, widths: dict[str, int], room: int, records: Raw = b"") -> dict[str, int]:
    """Of these columns those for which a terminal so wide has room: OPTIONAL ones as far as they fit.

    Where not all do, each is only as wide as the first of the records need, addresses are written with ports, and times
    without the date.
    """
    optional = OPTIONAL.get(table, ())
    if not optional or _total(widths) <= room:
        return widths
    needed = _needed(table, records, {**widths, **dict.fromkeys(ENDS if "client_ip" in widths else (), 1)})
    needed |= {"time": BRIEF, "file": widths.get("file", 0), "annotations": 0}  # the last may go on
    addresses, ports = ({ends[at]: name for name, ends in ENDS.items()} for at in (0, 1))
    widths = {addresses.get(name, name): width for name, width in widths.items() if name not in ports}
    widths = {name: _wide(max(needed[name], len(name)), width) for name, width in widths.items()}
    kept = set(widths) - set(optional)
    left = room - _total({name: widths[name] for name in kept})
    for name in sorted(optional, key=lambda name: needed.get(name) == 0):  # what is empty last
        if name in widths and abs(widths[name]) + GAP <= left:
            left -= abs(widths[name]) + GAP
            kept.add(name)
    return {name: width for name, width in widths.items() if name in kept}


def left_out(widths: dict[str, int], shown: dict[str, int]) -> list[str]:
    """The columns that `fitted` did without."""
    within = {name for end in shown if end in ENDS for name in ENDS[end]}
    return [name for name in widths if name not in shown and name not in within]


def _total(widths: dict[str, int]) -> int:
    return sum(abs(width) + GAP for width in widths.values()) - GAP


def _wide(columns: int, like: int) -> int:
    return columns if like > 0 else -columns


def _needed(table: str, records: Raw, names: Iterable[str]) -> dict[str, int]:
    """Columns that the longest value of the first of these records takes, LONGEST at most."""
    asked = [name for name in names if name != "time"]
    needed = dict.fromkeys(names, 0)
    for found in islice(_texts(table, records, asked, {}), 1):
        needed |= {
            name: min(max(map(len, texts), default=0), LONGEST) for name, texts in zip(asked, found, strict=True)
        }
    return needed


def _texts(table: str, records: Raw, names: Sequence[str], show: dict[str, Any]) -> Iterator[list[list[str]]]:
    """The cells of each column, some thousand records at a time.  show: for a column, what makes its text."""
    parts = [part for name in names for part in ENDS.get(name, (name,))]
    for found in columns(table, records, parts):
        values = dict(zip(parts, found, strict=True))
        yield [
            [with_port(*ends) for ends in zip(*(values[part] for part in ENDS[name]), strict=True)]
            if name in ENDS
            else list(map(show.get(name, short), values[name]))
            for name in names
        ]


def print_lines(
    table: str, chunks: Iterable[Raw], widths: dict[str, int], utc: bool, stream: IO[str], names: Sequence[str] = ()
) -> None:
    """The columns that `widths` names, so wide (negative: to the right); longer values push the others on.

    names: of the captures, for the column `file`.
    """
    cells = [str.ljust if width > 0 else str.rjust for width in widths.values()]
    room = [abs(width) for width in widths.values()]

    def line(texts: Iterable[str]) -> str:
        return (" " * GAP).join(
            pad(it, width) for pad, it, width in zip(cells, texts, room, strict=True)
        ).rstrip() + "\n"

    zone, date = "UTC" if utc else "local", ""  # of the first time, where the others are told without it
    show = {"time": _clock(utc), "file": lambda at: safe(names[at])}
    found = (texts for chunk in chunks for texts in _texts(table, chunk, list(widths), show))
    first = next(found, [])
    times = list(widths).index("time") if widths.get("time") == BRIEF else None
    if times is not None and first and first[times]:
        date = first[times][0].partition(" ")[0] + " "
    heads = {"time": date + "UTC" * utc if date else f"time ({zone})"}
    stream.write(line(heads.get(name, name) for name in widths))
    for texts in chain([first], found):
        if times is not None and texts:
            texts[times] = [it.removeprefix(date) for it in texts[times]]  # another day's keep it
        stream.writelines(line(row) for row in zip(*texts, strict=True))


def _clock(utc: bool) -> Any:
    return lambda seconds: clock(seconds, utc).removesuffix(" UTC")
