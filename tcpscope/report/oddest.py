"""Which connections `analyze` shows: all where they are few, else the oddest, chosen as they end."""

from __future__ import annotations

from typing import Any, NamedTuple

from tcpscope.diagnose.facts import endpoint, told
from tcpscope.replay import layout
from tcpscope.replay.oddness import oddest
from tcpscope.report.named import ending
from tcpscope.report.spent import of_record
from tcpscope.report.text import size, span
from tcpscope.tables import trip

SHOWN = 25  # connections in the table of `analyze`
SLOW_NS = 200_000_000  # a connection over which a person may wonder where the time went

_FIELDS = ("connection", "client_addr", "client_port", "server_addr", "server_port", "ip_version", "client_state",
           "server_state", "start_ns", "end_ns", "client_unique_bytes", "server_unique_bytes", "close_kind",
           "closed_by", "reset_by", "service", "server_name", *trip.FIELDS, *layout.SENT_AGAIN)  # fmt: skip


_TIMES = ("connection", "odd", "one_direction", "start_ns", "end_ns", *(f"time_{name}_ns" for name in layout.TIMES))


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
    service: str  # in words; empty where not known
    name: str


class Oddest:
    """The SHOWN oddest connections of those taken in, and the first ones; memory for no more than these."""

    def __init__(self) -> None:
        self.total = 0
        self._kept: list[tuple[int, int, bytes]] = []  # oddness negated, number, record

    def take(self, raw: bytes | bytearray) -> None:
        """More packed connection records, in any order."""
        length = layout.CONNECTION.size
        self.total += len(raw) // length
        worst = oddest(raw, SHOWN)
        fresh = [(-odd, number, bytes(raw[at * length : (at + 1) * length])) for odd, number, at in worst]
        self._kept = sorted(self._kept + fresh)[:SHOWN]

    def lines(self) -> list[Line]:
        """All in order of number, or of more than SHOWN the oddest, worst first."""
        records = self._kept if self.total > SHOWN else sorted(self._kept, key=lambda it: it[1])
        return lines_of(b"".join(record for _, _, record in records))

    def slowest(self) -> tuple[int, str] | None:
        """Of those kept the oddest that took its time, or the longest of several: its number, where its time went."""
        raw = b"".join(record for _, _, record in self._kept)
        records = [dict(zip(_TIMES, it, strict=True)) for it in layout.CONNECTION.select(raw, _TIMES)]
        slow = [it for it in records if it["odd"] and it["end_ns"] - it["start_ns"] >= SLOW_NS]
        if not slow:
            return None
        it = max(slow, key=lambda it: (it["odd"], it["end_ns"] - it["start_ns"], -it["connection"]))
        return it["connection"], of_record(it)


def lines_of(raw: bytes) -> list[Line]:
    """A line for each packed connection record."""
    return [_line(dict(zip(_FIELDS, it, strict=True))) for it in layout.CONNECTION.select(raw, _FIELDS)]


def _line(c: dict[str, Any]) -> Line:
    rtt = trip.round_trip(c)
    return Line(
        str(c["connection"]),
        endpoint(c["client_addr"], c["ip_version"], c["client_port"]),
        endpoint(c["server_addr"], c["ip_version"], c["server_port"]),
        (layout.STATES[c["client_state"]], layout.STATES[c["server_state"]]),
        span((c["end_ns"] - c["start_ns"]) / 1e9),
        (size(c["client_unique_bytes"]), size(c["server_unique_bytes"])),
        span(rtt / 1e9 if rtt > 0 else None),
        sum(c[name] for name in layout.SENT_AGAIN),
        ending(layout.CLOSE_KINDS[c["close_kind"]], *(layout.CLOSED_BY.get(c[it]) for it in ("closed_by", "reset_by"))),
        *reversed(told(c["service"], c["server_name"])),
    )
