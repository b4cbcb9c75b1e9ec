"""Messages against segments, a line for each segment: how many end in it, and whether it ends inside one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tcpscope.diagnose.facts import times
from tcpscope.report.exchanges import heading
from tcpscope.report.text import safe
from tcpscope.tables.framing import Framed
from tcpscope.tables.rows import Row

WIDTHS = (7, 12, 8, 20, 8)
HEADS = ("side", "at", "frame", "bytes", "length")


def lines(connection: Mapping[str, Any], framed: Framed) -> Iterator[str]:
    """A head, a line for each segment, and what it comes to."""
    yield heading(connection)
    yield "  ".join(head.rjust(width) for head, width in zip(HEADS, WIDTHS, strict=True)) + "  messages"
    for it in framed.rows():
        if it["kind"] == "segment":
            cells = (
                it["side"], f"+{it['time'] - connection['start']:.6f}", str(it["frame"]),
                f"{it['offset']}–{it['offset'] + it['length'] - 1}", str(it["length"]),
            )  # fmt: skip
            drawn = "  ".join(cell.rjust(width) for cell, width in zip(cells, WIDTHS, strict=True))
            yield f"{drawn}  {words(it)}"
    for name, side in framed.summary().items():
        yield from summary(name, side)


def words(it: Row) -> str:
    """`1 to 3`, `end of 4, then 5`, `end of 4, then 5 and 6, start of 7`, `middle of 4`."""
    if it["ended"] is None:
        return "?"
    first, ended = it["first_message"], it["ended"]
    parts = []
    if it["starts_inside"]:
        if not ended:
            return f"middle of {first}" if it["ends_inside"] else f"part of {first}"
        parts.append(f"end of {first}")
        first, ended = first + 1, ended - 1
    if ended:
        last = first + ended - 1
        parts.append(str(first) if ended == 1 else f"{first} and {last}" if ended == 2 else f"{first} to {last}")
        first = last + 1
    if it["ends_inside"]:
        parts.append(f"start of {first}")
    return ", ".join(parts)


def summary(name: str, side: Mapping[str, Any]) -> Iterable[str]:
    """What one side's messages come to."""
    text = f"{name}: {times(side['messages'], 'message')} in {times(side['segments'], 'segment')}"
    if side["split"]:
        text += f"; {times(side['split'], 'message')} in several segments"
    if side["sticky"]:
        text += f"; {times(side['sticky'], 'segment')} with several messages or parts of them"
    if side["inside"]:
        text += f"; {times(side['inside'], 'segment')} that end{'s' if side['inside'] == 1 else ''} inside a message"
    yield text
    if side["lost"]:
        yield f"  from there on it is not known where messages begin: {safe(side['lost'])}"
    elif side["unfinished"]:
        yield f"  the last message is not complete: {times(side['unfinished'], 'byte')}"
