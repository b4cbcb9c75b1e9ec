"""Which connections `analyze` shows: all where they are few, else the oddest, chosen as they end."""

from __future__ import annotations

from heapq import nsmallest
from typing import Any, NamedTuple

from tcpscope.diagnose.facts import endpoint
from tcpscope.replay import layout
from tcpscope.report.text import size, span

SHOWN = 25  # connections in the table of `analyze`

_FIELDS = ("connection", "client_addr", "client_port", "server_addr", "server_port", "ip_version", "client_state",
           "server_state", "start_ns", "end_ns", "client_unique_bytes", "server_unique_bytes", "initial_rtt_ns",
           "syn_rtt_ns", "close_kind", "closed_by", "client_retransmissions", "server_retransmissions")  # fmt: skip


class Line(NamedTuple):
    """What is said of one connection."""

    number: str
    client: str
    server: str
    states: tuple[str, str]
    duration: str
    sent: tuple[str, str]
    rtt: str
    again: int
    close: str


class Oddest:
    """The SHOWN oddest connections of those taken in, and the first ones; memory for no more than these."""

    def __init__(self) -> None:
        self.total = 0
        self._kept: list[tuple[int, int, bytes]] = []  # oddness negated, number, record

    def take(self, raw: bytes | bytearray) -> None:
        """More packed connection records, in any order."""
        length = layout.CONNECTION.size
        self.total += len(raw) // length
        ranks = enumerate(layout.CONNECTION.select(raw, ("odd", "connection")))
        worst = nsmallest(SHOWN, ((-odd, number, at * length) for at, (odd, number) in ranks))
        fresh = [(rank, number, bytes(raw[at : at + length])) for rank, number, at in worst]
        self._kept = nsmallest(SHOWN, self._kept + fresh)

    def lines(self) -> list[Line]:
        """All in order of number, or of more than SHOWN the oddest, worst first."""
        records = self._kept if self.total > SHOWN else sorted(self._kept, key=lambda it: it[1])
        return lines_of(b"".join(record for _, _, record in records))


def lines_of(raw: bytes) -> list[Line]:
    """A line for each packed connection record."""
    return [_line(dict(zip(_FIELDS, it, strict=True))) for it in layout.CONNECTION.select(raw, _FIELDS)]


def _line(c: dict[str, Any]) -> Line:
    rtt = c["initial_rtt_ns"] if c["initial_rtt_ns"] > 0 else c["syn_rtt_ns"]
    close = layout.CLOSE_KINDS[c["close_kind"]].replace("_", " ")
    who = layout.CLOSED_BY.get(c["closed_by"])
    return Line(
        str(c["connection"]),
        endpoint(c["client_addr"], c["ip_version"], c["client_port"]),
        endpoint(c["server_addr"], c["ip_version"], c["server_port"]),
        (layout.STATES[c["client_state"]], layout.STATES[c["server_state"]]),
        span((c["end_ns"] - c["start_ns"]) / 1e9),
        (size(c["client_unique_bytes"]), size(c["server_unique_bytes"])),
        span(rtt / 1e9 if rtt > 0 else None),
        c["client_retransmissions"] + c["server_retransmissions"],
        close + (f" by {who}" if who and close not in ("open", "unanswered", "refused") else ""),
    )
