"""What the screen shows, gathered from a session: connections with their rates, counters, findings.

Nothing here knows of a terminal.  `Model.look` may take some ten milliseconds and belongs into a thread of its own;
what it gives is not changed any more, except that the `Seen` of a connection goes on from look to look.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, NamedTuple, Protocol

from tcpscope.diagnose.facts import endpoint, told
from tcpscope.diagnose.finding import Finding
from tcpscope.diagnose.watch import Watch
from tcpscope.replay.layout import CLOSE_KINDS, CLOSED_BY, CONNECTION, EVENT, SENT_AGAIN, STATES
from tcpscope.report.named import ending
from tcpscope.report.oddest import Oddest
from tcpscope.tables.address import address
from tcpscope.tables.rows import Row
from tcpscope.tables.session import Counters, Notice, Turn

MOST = 10_000  # open connections looked at; of more those that sent last
ENDED = 2_000  # ended connections that can still be listed
LINGER = 8.0  # seconds that one that has ended stays among the open
CLOSED = (STATES.index("CLOSED"),) * 2
STILL = (0.0, 0.0)
FINDINGS = 1.0  # seconds between two looks at findings, which may take one part in SHARE of the time
SHARE = 10
SPAN = 2.0  # seconds over which the rates of the whole are taken
OTHER_CLOCK = 60_000_000_000  # ns; packets that are further from now are of a recording
SMOOTH = 0.5  # weight of the latest look in a connection's rate

# What happened last to a connection, worst first: the counter that has grown, and its annotation.
MARKS = {
    "zero_windows": "zero window", "timeout_retransmissions": "timeout retransmission",
    "syn_retransmissions": "SYN sent again", "fin_retransmissions": "FIN sent again",
    "recovery_retransmissions": "RTO recovery", "fast_retransmissions": "fast retransmission",
    "tail_loss_probes": "tail loss probe", "spurious_retransmissions": "spurious retransmission",
    "sent_again": "retransmission", "lost_segments": "lost segment", "rst_packets": "reset",
    "bad_checksums": "bad checksum", "challenge_acks": "challenge ACK", "out_of_order": "out of order",
    "window_fulls": "window full", "zero_window_probes": "zero window probe", "nagle_stalls": "Nagle stall",
    "duplicate_acks": "duplicate ACK", "keep_alives": "keep-alive", "fin_packets": "FIN",
    "window_updates": "window update", "syn_packets": "SYN",
}  # fmt: skip
_ROLES = ("client", "server")
_SIDE = tuple(dict.fromkeys((*MARKS, "packets", "bytes", "unique_bytes", "max_window", "srtt_ns")))
_COMMON = ("connection", "start_ns", "end_ns", "first_frame", "last_frame", "client_state", "server_state",
           "close_kind", "closed_by", "reset_by", "initial_rtt_ns", "syn_rtt_ns", "client_addr", "client_port",
           "server_addr", "server_port", "ip_version", "service", "server_name")  # fmt: skip
_FIELDS = (*_COMMON, *(f"{role}_{name}" for role in _ROLES for name in _SIDE))
_AT = {name: at for at, name in enumerate(_FIELDS)}
_MARKS_AT = tuple((MARKS[name], _AT[f"client_{name}"], _AT[f"server_{name}"]) for name in MARKS)
_MARKED = tuple(
    slice(_AT[f"{role}_{next(iter(MARKS))}"], _AT[f"{role}_{next(reversed(MARKS))}"] + 1) for role in _ROLES
)
_BYTES = tuple(_AT[f"{role}_bytes"] for role in _ROLES)
_CHANGES = ("connection", "last_frame", "client_state", "server_state", "start_ns", "close_kind")


def _field(name: str) -> Any:
    """A property: this field of the record."""
    at = _AT[name]
    return property(lambda it: it.facts[at])


def _both(name: str) -> Any:
    """A property: this field of the client's side, and of the server's."""
    client, server = (_AT[f"{role}_{name}"] for role in _ROLES)
    return property(lambda it: (it.facts[client], it.facts[server]))


class Seen:
    """One connection as it is known now.

    rates: bytes a second of client and server, None: not seen for long enough.  mark: what happened last, and mark_ns
    when.  ended: when it was found that it has ended, or that both ends are closed (monotonic).
    Ten thousand may change from look to look, so that all else is worked out when it is asked for.
    """

    __slots__ = ("client", "ended", "facts", "key", "mark", "mark_ns", "number", "port_name", "rates", "server")

    def __init__(self, facts: tuple[Any, ...]) -> None:
        get, version = facts.__getitem__, facts[_AT["ip_version"]]
        self.number: int = facts[0]
        self.client = endpoint(get(_AT["client_addr"]), version, get(_AT["client_port"]))
        self.server = endpoint(get(_AT["server_addr"]), version, get(_AT["server_port"]))
        self.port_name = port_name(get(_AT["server_port"]))
        self.rates: tuple[float | None, float | None] = (None, None)
        self.mark, self.mark_ns = "", 0
        self.ended: float | None = None
        self.key: tuple[Any, ...] = ()
        self.facts: tuple[Any, ...] = (0,) * len(facts)
        self.take(facts)

    start_ns, last_ns = _field("start_ns"), _field("end_ns")
    first_frame, last_frame = _field("first_frame"), _field("last_frame")
    sent, windows = _both("unique_bytes"), _both("max_window")

    def take(self, facts: tuple[Any, ...]) -> None:
        """It has changed."""
        old = self.facts
        if any(facts[marked] != old[marked] for marked in _MARKED):
            for mark, client, server in _MARKS_AT:
                if facts[client] > old[client] or facts[server] > old[server]:
                    self.mark, self.mark_ns = mark, facts[_AT["end_ns"]]
                    break
        self.facts = facts

    @property
    def states(self) -> tuple[str, str]:
        return STATES[self.facts[_AT["client_state"]]], STATES[self.facts[_AT["server_state"]]]

    @property
    def service(self) -> str:
        """What the first bytes tell: server name, or service; else the port's name, with ? since it is a guess."""
        name, protocol = told(self.facts[_AT["service"]], self.facts[_AT["server_name"]])
        return name or protocol or (f"{self.port_name}?" if self.port_name else "")

    @property
    def packets(self) -> int:
        return int(self.facts[_AT["client_packets"]] + self.facts[_AT["server_packets"]])

    @property
    def resent(self) -> int:
        return int(sum(self.facts[_AT[name]] for name in SENT_AGAIN))

    @property
    def rtt(self) -> float | None:
        """Seconds to the end that is further away, smoothed; before there is data that of the handshake."""
        facts = self.facts
        smoothed = max(facts[_AT["client_srtt_ns"]], facts[_AT["server_srtt_ns"]])
        for it in (smoothed, facts[_AT["initial_rtt_ns"]], facts[_AT["syn_rtt_ns"]]):
            if it > 0:
                return float(it) / 1e9
        return None

    @property
    def close(self) -> str:
        """How it ended, and by whom."""
        closed, reset = (CLOSED_BY.get(self.facts[_AT[name]]) for name in ("closed_by", "reset_by"))
        return ending(CLOSE_KINDS[self.facts[_AT["close_kind"]]], closed, reset)

    def row(self) -> Row:
        """Of its row of the connections table what tells it from others."""
        number = self.facts[_AT["ip_version"]]
        ends = {f"{role}_ip": address(self.facts[_AT[f"{role}_addr"]], number) for role in _ROLES}
        ports = {f"{role}_port": self.facts[_AT[f"{role}_port"]] for role in _ROLES}
        return {"connection": self.number, "first_frame": self.first_frame, **ends, **ports}

    def age(self, now_ns: int) -> float:
        """Seconds since its first packet; of one that has ended, how long it lasted."""
        until = now_ns if self.ended is None else self.last_ns
        return float(max(0, until - self.start_ns)) / 1e9


class Told(NamedTuple):
    """A finding, and when it was first told (seconds since the epoch)."""

    finding: Finding
    since: float


class Look(NamedTuple):
    """All that one look has found.  Rates of the whole a second, None: not known yet."""

    taken: float  # seconds since the epoch
    now_ns: int  # on the packets' clock: of a recording that is played, its own
    cost: float  # seconds that the look worked, what it waited for others not counted
    counters: Counters
    packet_rate: float | None
    byte_rate: float | None
    open: list[Seen]
    ended: list[Seen]
    just_ended: int  # how many of the last of `ended` ended within LINGER
    states: dict[str, int]  # of endpoints of open connections
    findings: list[Told]
    notices: list[Notice]
    corrections: int
    changes: int
    total_ended: int
    over: bool
    reason: str  # why the capture ended by itself, or why it is to end


class Ends(Protocol):
    """Why the capture is to end now, or nothing; findings are None where they were not looked at."""

    def __call__(self, found: list[Finding] | None, /) -> str: ...


_names: dict[int, str] = {}


def port_name(port: int) -> str:
    """The service's name of this port, as the system's list has it; no name is asked of the network."""
    if port not in _names:
        from socket import getservbyport

        try:
            _names[port] = getservbyport(port, "tcp")
        except (OSError, OverflowError):
            _names[port] = ""
    return _names[port]


class Model:
    """The state of the screen between looks.  extra: more notices, asked for at every look."""

    def __init__(self, watch: Watch, *, ends: Ends | None = None, extra: Any = None, most: int = MOST) -> None:
        self.watch, self.session = watch, watch.session
        self.shown = Oddest()
        self._ends, self._extra, self._most = ends, extra, most
        self._open: dict[int, Seen] = {}
        self._ended: deque[Seen] = deque(maxlen=ENDED)
        self._notices: deque[Notice] = deque(maxlen=50)
        self._findings: list[Told] = []
        self._looked = self._judge = 0.0
        self._at_ns = 0  # the packets' clock at the last look
        self._past: deque[tuple[float, int, int]] = deque()
        self._corrections = self._changes = self._total = 0
        self._behind: int | None = None  # ns by which the packets' clock is behind ours

    def look(self) -> Look:
        began, worked = time.monotonic(), time.thread_time()
        self._turn(self.session.turn(), began)
        self._now(began)
        found: list[Finding] | None = None
        if began >= self._judge:
            before = time.thread_time()
            found = self.watch.findings()
            self._tell(found)
            self._judge = began + max(FINDINGS, SHARE * (time.thread_time() - before))
        if self._extra is not None:
            self._notices.extend(self._extra())
        counters = self.session.counters()
        packets, size = self._rates(began, counters)
        now_ns, over = self._clock(counters), self.session.over
        reason = self._ends(found) if self._ends is not None else ""
        if over and not reason:
            reason = "; ".join(self.session.analysis().warnings)
        self._looked, self._at_ns = began, now_ns if counters.last_ns is not None else 0
        pairs = self.session.states()
        closed = pairs.pop(("CLOSED", "CLOSED"), 0)  # over, though a late packet may still belong to it
        states: dict[str, int] = {}
        for pair, count in pairs.items():
            for name in pair:
                states[name] = states.get(name, 0) + count
        ended = sorted((*self._ended, *(it for it in self._open.values() if it.ended is not None)), key=_when)
        just = sum(began - _when(it) < LINGER for it in ended)
        return Look(
            time.time(), now_ns, time.thread_time() - worked, counters, packets, size,
            [it for it in self._open.values() if it.ended is None], ended, just, states, self._findings,
            list(self._notices), self._corrections, self._changes, self._total + closed, over, reason,
        )  # fmt: skip

    def finish(self) -> list[Finding]:
        """The session's thread has ended: end what is open; the final findings."""
        for turn in self.session.finish():
            self._turn(turn, time.monotonic(), last=True)
        return self.watch.final()

    def _turn(self, turn: Turn, now: float, last: bool = False) -> None:
        self.watch.take(turn)
        self.shown.take(turn.connections)
        self._notices.extend(turn.notices)
        if last:
            return
        if turn.events:
            kinds = memoryview(turn.events)[EVENT.offset("kind") :: EVENT.size].tolist()
            corrected = len(kinds) - kinds.count(0)
            self._corrections += corrected
            self._changes += len(kinds) - corrected
        if turn.connections:
            size = CONNECTION.size
            self._total += len(turn.connections) // size
            numbers = [it for it, _ in CONNECTION.select(turn.connections, ("connection", "last_frame"))]
            leaving = {it: self._open.pop(it, None) for it in numbers}
            for it in CONNECTION.select(turn.connections[-ENDED * size :], _FIELDS):
                seen = leaving[it[0]]
                if seen is None:
                    seen = Seen(it)
                else:
                    seen.take(it)
                seen.ended, seen.rates = seen.ended or now, (None, None)
                self._ended.append(seen)

    def _now(self, now: float) -> None:
        """The open connections as they are now; only those that have changed are unpacked."""
        raw, _ = self.session.open_connections(self._most, "latest")
        size, past = CONNECTION.size, now - self._looked if self._looked else 0.0
        before, self._open = self._open, {}
        changed = []
        for at, key in enumerate(CONNECTION.select(raw, _CHANGES)):
            seen = before.get(key[0])
            if seen is None or seen.key != key:
                changed.append((seen, key, raw[at * size : at * size + size]))
                continue
            if past and seen.rates != STILL:
                _rate(seen, seen.facts, past)
            self._open[seen.number] = seen
        found = CONNECTION.select(b"".join([record for _, _, record in changed]), _FIELDS)
        for (known, key, _), facts in zip(changed, found, strict=True):
            if known is None:
                known = Seen(facts)
                if past and self._at_ns and known.start_ns > self._at_ns:
                    known.rates = tuple(facts[at] / past for at in _BYTES)  # all of it is new
            else:
                _rate(known, facts, past)
                known.take(facts)
            known.key = key
            if key[2:4] != CLOSED:
                known.ended = None
            elif known.ended is None:
                known.ended = now
            self._open[known.number] = known

    def _tell(self, found: list[Finding]) -> None:
        now = time.time()
        before = {_which(it.finding): it.since for it in self._findings}
        self._findings = [Told(it, before.get(_which(it), now)) for it in found]

    def _clock(self, counters: Counters) -> int:
        now = time.time_ns()
        if self._behind is None and counters.last_ns is not None:
            behind = now - counters.last_ns
            self._behind = behind if abs(behind) > OTHER_CLOCK else 0
        return now - (self._behind or 0)

    def _rates(self, now: float, counters: Counters) -> tuple[float | None, float | None]:
        self._past.append((now, counters.packets, counters.bytes))
        while len(self._past) > 2 and now - self._past[1][0] >= SPAN:
            self._past.popleft()
        then, packets, size = self._past[0]
        if now - then < 0.2:
            return None, None
        return (counters.packets - packets) / (now - then), (counters.bytes - size) / (now - then)


def _when(it: Seen) -> float:
    return it.ended or 0.0


def _which(it: Finding) -> tuple[Any, ...]:
    """What makes it the same finding from look to look: its text counts on."""
    return it.id, it.side, *it.connections[:1]


def _rate(seen: Seen, facts: tuple[Any, ...], seconds: float) -> None:
    """Smooth a connection's rates over the last looks."""
    if seconds <= 0:
        return
    old, found = seen.facts, []
    for rate, at in zip(seen.rates, _BYTES, strict=True):
        now = (facts[at] - old[at]) / seconds
        smooth = now if rate is None else rate + SMOOTH * (now - rate)
        found.append(smooth if smooth >= 1 else 0.0)
    seen.rates = (found[0], found[1])
