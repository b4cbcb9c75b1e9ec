"""The exchanges of a connection as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tcpscope.report.named import endpoint_of, service_of
from tcpscope.report.text import safe, size, span
from tcpscope.tables.rows import Row

HEADS = ("#", "at", "frames", "request", "→", "wait", "network", "server", "response", "←", "again")


def lines(connection: Mapping[str, Any], rows: Iterable[Row]) -> Iterator[str]:
    """A head, a line for each exchange, and what it comes to."""
    yield heading(connection)
    yield line(HEADS)
    count, unasked, waits, servers = 0, False, [], []
    for it in rows:
        count += 1
        unasked |= not it["response_frame"] and it["response_bytes"] > 0
        yield line(
            (
                str(it["exchange"]), f"+{it['time'] - connection['start']:.6f}",
                frames(it),
                size(it["request_bytes"]) if it["request_frame"] else "-",
                span(it["request_time"]) if it["request_frame"] else "-",
                span(it["wait"]), span(it["network"]) if it["wait"] is not None else "-", span(it["server_time"]),
                _response(it),
                span(it["response_time"]) if it["response_frame"] else "-",
                str(it["repeated"] or ""),
            )
        )  # fmt: skip
        if it["wait"] is not None:
            waits.append(it["wait"])
        if it["server_time"] is not None:
            servers.append(it["server_time"])
    if not count:
        yield "no data was exchanged"
        return
    text = f"{count} exchange" + ("s" if count > 1 else "")
    if waits:
        text += f"; wait for the answer {span(sum(waits) / len(waits))} on average, {span(max(waits))} at most"
    if servers:
        text += f"; the server's part {span(sum(servers) / len(servers))}, {span(max(servers))} at most"
    yield text
    if unasked:
        yield "+: so much the server said without having heard the request; there was no answer"


def _response(it: Row) -> str:
    if it["response_frame"]:
        return size(it["response_bytes"])
    return f"+{size(it['response_bytes'])}" if it["response_bytes"] else "no answer"


def frames(it: Row) -> str:
    """`7, 9–12`: the request's first, and the response's first and last; `4–35` where there is no response."""
    first, answer, last = it["request_frame"], it["response_frame"], it["last_frame"]
    parts = [[first], [answer, last]] if first and answer else [[first or answer, last]]
    return ", ".join("–".join(map(str, dict.fromkeys(part))) for part in parts)


def heading(connection: Mapping[str, Any]) -> str:
    """Who with whom, and what the first bytes say."""
    about = service_of(connection)
    ends = f"{endpoint_of(connection, 'client')} → {endpoint_of(connection, 'server')}"
    return f"connection {connection['connection']}: {ends}" + (f"  {safe(about)}" if about else "")


def line(cells: Iterable[str]) -> str:
    """Cells to the right, in columns."""
    widths = (4, 12, 16, 9, 8, 8, 8, 8, 9, 8, 5)
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
