"""Requests and responses of one connection, with the time that the network took and the time that the server took.

A request is what the client sends until the server speaks, a response what the server sends until the client
speaks again.  Where requests are in flight together (HTTP/2, pipelining) several make one exchange.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tcpscope.tables.rows import Row

COLUMNS = ("frame", "time_ns", "sender", "length", "annotations")  # of the packets table, that are read

# Not what an application said: what its TCP asks the peer, and copies.
PROBES = frozenset({"duplicate_capture", "network_duplicate", "keep_alive", "zero_window_probe"})
FIELDS = (
    "exchange", "time", "request_frame", "request_packets", "request_bytes", "response_frame", "response_packets",
    "response_bytes", "last_frame", "request_time", "wait", "network", "server_time", "response_time", "first_byte",
    "last_byte", "repeated",
)  # fmt: skip


class Run:
    """What one side sent without being answered."""

    def __init__(self) -> None:
        self.packets = self.bytes = self.repeated = 0
        self.first_ns = self.last_ns = 0
        self.first_frame: int | None = None
        self.last_frame: int | None = None

    def take(self, packet: Mapping[str, Any], again: bool) -> None:
        if self.first_frame is None:
            self.first_ns, self.first_frame = packet["time_ns"], packet["frame"]
        self.last_ns, self.last_frame = packet["time_ns"], packet["frame"]
        self.straggler(packet, again)

    def straggler(self, packet: Mapping[str, Any], again: bool) -> None:
        """A packet of this run, or of the one before, that came when the other side had spoken: times stay."""
        if again:
            self.repeated += 1
        else:
            self.packets += 1
            self.bytes += packet["length"]

    @property
    def begun(self) -> bool:
        """Its first packet has come."""
        return self.first_frame is not None


def round_trip(connection: Mapping[str, Any]) -> float | None:
    """The shortest round trip from the capture point to the server and back, s; None where there was none."""
    seen = [connection[name] for name in ("syn_rtt", "client_rtt_min") if connection[name] is not None]
    return min(seen) if seen else None


def exchanges(packets: Iterable[Mapping[str, Any]], connection: Mapping[str, Any]) -> Iterator[Row]:
    """A row (FIELDS) for each exchange of a connection's packets (COLUMNS), in order; times in seconds.

    Where the server speaks first the first exchange has no request, where the last one has no answer it has no
    response; what is not known is None.  wait: from the request's last packet to the response's first, at the
    capture point; network: the shortest round trip from there to the server; server_time: what the wait is longer.
    """
    trip = round_trip(connection)
    asked, answered, number = Run(), Run(), 0
    for packet in packets:
        marks = packet["annotations"]
        if not packet["length"] or not PROBES.isdisjoint(marks):
            continue
        again = "retransmission" in marks
        late = again or "out_of_order" in marks  # turns.pxd: a late packet takes no turn
        mine = answered if packet["sender"] == "server" else asked
        if late and (mine is answered) != answered.begun:
            mine.straggler(packet, again)
            continue
        if mine is asked and answered.begun:
            yield row(number, asked, answered, trip)
            asked, answered, number = Run(), Run(), number + 1
            mine = asked
        mine.take(packet, again)
    if asked.begun or answered.begun:
        yield row(number, asked, answered, trip)


def row(number: int, asked: Run, answered: Run, trip: float | None) -> Row:
    """One exchange."""

    def since(start_ns: int, end_ns: int, known: bool = True) -> float | None:
        return max(end_ns - start_ns, 0) / 1e9 if known else None

    request, response = asked.begun, answered.begun
    both = request and response
    wait = since(asked.last_ns, answered.first_ns, both)
    return {
        "exchange": number,
        "time": (asked.first_ns if request else answered.first_ns) / 1e9,
        "request_frame": asked.first_frame,
        "request_packets": asked.packets,
        "request_bytes": asked.bytes,
        "response_frame": answered.first_frame,
        "response_packets": answered.packets,
        "response_bytes": answered.bytes,
        "last_frame": answered.last_frame if response else asked.last_frame,
        "request_time": since(asked.first_ns, asked.last_ns, request),
        "wait": wait,
        "network": trip,
        "server_time": None if wait is None or trip is None else max(wait - trip, 0.0),
        "response_time": since(answered.first_ns, answered.last_ns, response),
        "first_byte": since(asked.first_ns, answered.first_ns, both),
        "last_byte": since(asked.first_ns, answered.last_ns, both),
        "repeated": asked.repeated + answered.repeated,
    }
