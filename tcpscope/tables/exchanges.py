"""Requests and responses of one connection, with the time that the network took and the time that the server took.

A request is what the client sends until the server speaks, a response what the server sends until the client
speaks again.  Where requests are in flight together (HTTP/2, pipelining) several make one exchange.  The few bytes
by which a side of TLS or LDAP takes its leave are counted, and are neither.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any

from tcpscope.tables.nearer import acknowledged_nearer
from tcpscope.tables.rows import Row

COLUMNS = (
    "frame",
    "time_ns",
    "sender",
    "seq",
    "ack",
    "length",
    "flags",
    "annotations",
)  # of the packets table, read here

# Not what an application said: what its TCP asks the peer, and copies.
PROBES = frozenset({"duplicate_capture", "network_duplicate", "keep_alive", "zero_window_probe"})
PARTING = frozenset({"tls", "ldap"})  # services in which a side says so before it closes (close_notify, unbind)
FAREWELL = 64  # bytes that this takes at most
BEHIND_NS = 10_000_000  # a FIN or RST so soon behind the last words was meant when they were said
IN_FLIGHT = 4096  # packets of a request that may be on their way when the answer begins
HALF = 1 << 31
NS = 1_000_000_000  # an integer: a quotient of two is rounded once
FIELDS = (
    "exchange", "time", "request_frame", "request_packets", "request_bytes", "response_frame", "response_packets",
    "response_bytes", "last_frame", "request_time", "wait", "network", "server_time", "response_time", "first_byte",
    "last_byte", "repeated",
)  # fmt: skip
TIMES = ("time", "request_time", "wait", "network", "server_time", "response_time", "first_byte", "last_byte")  # s


class Stream:
    """Which bytes of a side have been seen."""

    def __init__(self) -> None:
        self._seen: list[tuple[int, int]] = []  # ascending, apart
        self.end = 0

    def take(self, seq: int, length: int) -> tuple[int, bool]:
        """How many of these bytes are new, and whether they go beyond all that was seen."""
        if self._seen:
            seq += (self.end - seq + HALF) // (2 * HALF) * (2 * HALF)  # of numbers modulo 2^32 the nearest
        ahead = not self._seen or seq >= self.end
        start, end = seq, seq + length
        first = bisect_left(self._seen, start, key=itemgetter(1))
        last = bisect_right(self._seen, end, key=itemgetter(0))
        touched = self._seen[first:last]
        known = sum(min(end, it[1]) - max(start, it[0]) for it in touched)
        if touched:
            start, end = min(start, touched[0][0]), max(end, touched[-1][1])
        self._seen[first:last] = [(start, end)]
        self.end = self._seen[-1][1]
        return length - known, ahead


class Run:
    """What one side sent without being answered."""

    def __init__(self) -> None:
        self.packets = self.bytes = self.repeated = 0
        self.first_ns = self.last_ns = 0
        self.first_frame: int | None = None
        self.first_seq: int | None = None
        self.last_frame: int | None = None
        self.heard_ns: int | None = None  # when the last of what the other side had heard passed, as it began to answer
        self._sent: deque[tuple[int, int]] = deque(maxlen=IN_FLIGHT)  # behind which number, when

    def take(self, packet: Mapping[str, Any], fresh: int, again: bool) -> None:
        if self.first_frame is None:
            self.first_ns, self.first_frame, self.first_seq = packet["time_ns"], packet["frame"], packet["seq"]
        self.last_ns, self.last_frame = packet["time_ns"], packet["frame"]
        self._sent.append((packet["seq"] + packet["length"], packet["time_ns"]))
        self.count(fresh, again)

    def answered(self, ack: int) -> None:
        """The other side begins to answer, and acknowledges so much."""
        heard = (ns for end, ns in reversed(self._sent) if (ack - end) % (2 * HALF) < HALF)
        self.heard_ns = next(heard, self.last_ns)
        self._sent.clear()

    def count(self, fresh: int, again: bool) -> None:
        """A packet with so many bytes that are new; of a straggler, which came when the other side had spoken, times
        do not count.
        """
        self.repeated += again
        self.packets += fresh > 0
        self.bytes += fresh

    @property
    def begun(self) -> bool:
        """Its first packet has come."""
        return self.first_frame is not None


def crosses(packet: Mapping[str, Any], asked: Run) -> bool:
    """The server had not heard of what was asked when it said this: it is no answer."""
    return asked.first_seq is not None and (packet["ack"] - asked.first_seq - 1) % (2 * HALF) >= HALF


def round_trip(connection: Mapping[str, Any]) -> float | None:
    """The shortest round trip from the capture point to the server and back, s; None where there was none."""
    opening, shortest, replies = (connection[name] for name in ("syn_rtt", "client_rtt_min", "server_reply_mean"))
    known: list[float] = [it for it in (opening, shortest) if it is not None]
    if len(known) == 2 and replies is not None and acknowledged_nearer(opening, shortest, replies):
        return float(opening)
    return min(known, default=None)


def turns(packets: Iterable[Mapping[str, Any]], parting: bool) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """The packets with data, and whether each is a farewell: a few bytes and the same side's FIN or RST behind them.

    parting: the service knows such.
    """
    held: Mapping[str, Any] | None = None
    for packet in packets:
        if not PROBES.isdisjoint(packet["annotations"]):
            continue
        closing = parting and not {"FIN", "RST"}.isdisjoint(packet["flags"].split(","))
        if held is not None:
            behind = closing and packet["sender"] == held["sender"]
            if behind or packet["length"]:
                yield held, behind and packet["time_ns"] - held["time_ns"] <= BEHIND_NS
                held = None
        if parting and 0 < packet["length"] <= FAREWELL and not closing:
            held = packet
        elif packet["length"]:
            yield packet, closing and packet["length"] <= FAREWELL
    if held is not None:
        yield held, False


def exchanges(packets: Iterable[Mapping[str, Any]], connection: Mapping[str, Any]) -> Iterator[Row]:
    """A row (FIELDS) for each exchange of a connection's packets (COLUMNS), in order; times in seconds.

    Where the server speaks first the first exchange has no request, where the last one has no answer it has no
    response; what is not known is None.  wait: from the last packet of the request that the response's first one
    acknowledges to that one, at the capture point; network: the shortest round trip from there to the server;
    server_time: what the wait is longer.  Of what the server says without having heard the request only the bytes
    count, and of farewells.
    """
    trip = round_trip(connection)
    asked, answered, number = Run(), Run(), 0
    streams = {"client": Stream(), "server": Stream()}
    for packet, farewell in turns(packets, connection["service"] in PARTING):
        again = "retransmission" in packet["annotations"]
        fresh, ahead = streams[packet["sender"]].take(packet["seq"], packet["length"])
        mine = answered if packet["sender"] == "server" else asked
        late = not ahead and (mine is answered) != answered.begun
        if late or farewell or (mine is answered and crosses(packet, asked)):  # takes no turn
            mine.count(fresh, again)
            continue
        if mine is asked and answered.begun:
            yield row(number, asked, answered, trip)
            asked, answered, number = Run(), Run(), number + 1
            mine = asked
        if mine is answered and not answered.begun and asked.begun:
            asked.answered(packet["ack"])
        mine.take(packet, fresh, again)
    if asked.begun or answered.begun:
        yield row(number, asked, answered, trip)


def row(number: int, asked: Run, answered: Run, trip: float | None) -> Row:
    """One exchange."""

    def since(start_ns: int, end_ns: int, known: bool = True) -> float | None:
        return max(end_ns - start_ns, 0) / NS if known else None

    request, response = asked.begun, answered.begun
    both = request and response
    wait = since(asked.last_ns if asked.heard_ns is None else asked.heard_ns, answered.first_ns, both)
    return {
        "exchange": number,
        "time": (asked.first_ns if request else answered.first_ns) / NS,
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
