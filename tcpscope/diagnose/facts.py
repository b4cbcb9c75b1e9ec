"""The few facts of each connection that findings are made from, and their grouping by service."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from functools import cache
from operator import attrgetter
from typing import NamedTuple

from tcpscope.diagnose.finding import Finding
from tcpscope.replay import layout, record
from tcpscope.replay.census import Census
from tcpscope.replay.oddness import odd_ones
from tcpscope.replay.record import Record
from tcpscope.tables.address import address, with_port
from tcpscope.wire.layout import SERVICES, spot

MANY = 20  # connections and frames named in a finding; the rest is counted
MOST = 5_000  # odd connections looked at one by one; of more only the ends are counted, by service

_PLAIN = ("packets", "data_packets", "pure_acks", "bytes", "dwell_established_ns", "dwell_close_wait_ns", "rtt_min_ns",
          "first_data_ns", "first_data_frame", "last_data_ns", "fin_packets", "reply_mean_ns", "reply_max_ns",
          "reply_max_frame", "reply_max_skipped", "first_data_skipped")  # fmt: skip
_ODD = ("timeout_retransmissions", "fast_retransmissions", "tail_loss_probes", "recovery_retransmissions",
        "spurious_retransmissions", "syn_retransmissions", "zero_window_ns", "zero_window_spells",
        "duplicate_captures", "network_duplicates", "dsack_packets", "missed_bytes", "bad_checksums", "nagle_stalls",
        "nagle_ns")  # fmt: skip
_REST = ("syn_packets", "rst_packets", "mss", "max_segment", "ttl", "challenge_acks", "last_ns",
         "syn_options", "after_fin_bytes", "keep_alive_rounds", "keep_alive_lost", "keep_alive_idle_ns",
         "keep_alive_interval_ns", "heartbeat_ns")  # fmt: skip
_COURSE = ("syn_ack_ns", "ack_ns", "pause_ns", "pause_end_ns", "pause_by", "reset_ns", "reset_frame", "reset_bits",
           "reset_by", "reset_ttl", "idle_end_ns", "first_flags", "first_side", "echoed", "ignored",
           "fast_open_outcome", "reuse", "reuse_gap_ms", "capture_point", "icmp_type", "icmp_code",
           "role_evidence")  # fmt: skip
_TRANSFER = (
    "unique_bytes", "max_in_flight", "goodput", "window_scale", "max_window", "rtt_samples", "rtt_p50_ns",
    "longest_zero_window_ns", "zero_window_probes", "recovery_episodes", "timeout_episodes", "limited_receiver_ns",
    "limited_congestion_ns", "starved_ns", "restarts", "restart_frame", "window_edge_frame", "small_segments_frame",
    "rtt_max_frame", "small_segments", "silly_segments", "lost_before_capture", "lost_after_capture", "lost_again",
    "timer_ns", "back_off_longest", "back_off_ns", "back_off_open", "stuck_segment", "stuck_times", "stuck_heard",
    "acked_segment", "spurious_by_delay", "spurious_by_order", "spurious_by_acks",
    "spurious_timeouts", "overtaken", "reordering_bytes",
    "reordering_ns", "ecn_echo", "cwr", "zero_window_open_ns", "zero_window_probe_acks", "lost_window_updates",
    "probe_openings", "reach_samples", "reach_min_ns", "reach_mean_ns",
)  # fmt: skip
_COMMON = ("connection", "file", "first_frame", "last_frame", "start_ns", "end_ns", "client_addr", "client_port",
           "server_addr", "server_port", "ip_version", "client_state", "server_state", "close_kind", "closed_by",
           "one_direction", "refused_ns", "syn_rtt_ns", "ack_rtt_ns", "initial_rtt_ns", "service",
           "server_name", "client_hint", "server_hint", *_COURSE,
           *(f"time_{name}_ns" for name in layout.TIMES))  # fmt: skip
_SIDE = _PLAIN + _ODD + _TRANSFER + _REST
_PLACES = [layout.CONNECTION.places(_COMMON), *(layout.CONNECTION.places(_SIDE, f"{role}_") for role in layout.ROLES)]
HALF_OPEN = layout.CLOSE_KINDS.index("half_open")


class Proof(NamedTuple):
    """A frame that bears an annotation, and which side sent it."""

    annotation: str
    side: str
    frame: int  # a spot (wire.layout), as all frames here: findings tell frame and file apart at last
    time_ns: int


class Facts(NamedTuple):
    """One connection; `client` and `server` hold what that side sent, by name."""

    number: int
    server_name: str
    client_name: str
    close: str
    closed_by: str | None
    reset_by: str | None
    states: tuple[str, str]
    common: Record
    client: Record
    server: Record
    proofs: list[Proof]  # in capture order

    @property
    def frame(self) -> int:
        return int(self.common["first_frame"])

    @property
    def last_frame(self) -> int:
        return int(self.common["last_frame"])

    def side(self, role: str) -> Record:
        """What `role` sent."""
        return self.client if role == "client" else self.server

    @property
    def end_ns(self) -> int:
        """When the capture ended, if the connection had not ended before; else its last packet."""
        return int(self.common["end_ns"] + max(self.common["idle_end_ns"], 0))

    @property
    def point(self) -> str:
        """Where the capture was taken."""
        return layout.CAPTURE_POINTS[self.common["capture_point"]]

    @property
    def begun_before(self) -> bool:
        """Its handshake was not captured."""
        return layout.ROLE_EVIDENCE[self.common["role_evidence"]] in ("port", "first_packet")

    def seen(self, annotation: str, side: str) -> list[Proof]:
        """The frames of that side with the annotation, in capture order; at most a few."""
        return [proof for proof in self.proofs if proof.annotation == annotation and proof.side == side]

    @property
    def duration(self) -> float:
        return float(self.common["end_ns"] - self.common["start_ns"]) / 1e9


def endpoint(raw: bytes, version: int, port: int) -> str:
    """`10.0.0.1:80`, `[::1]:80`."""
    return with_port(address(raw, version), port)


def told(service: int, name: bytes) -> tuple[str, str]:
    """Of a record the server's name and the service in words, each empty where not known."""
    known = service < len(SERVICES)
    return name.split(b"\0", 1)[0].decode("latin-1"), SERVICES[service] if known else ""


def called(group: Sequence[Facts]) -> str:
    """What these connections' service is called: `example.com (192.0.2.1:443, tls)`, `192.0.2.1:22 (ssh)`."""
    end = group[0].server_name
    words = [told(f.common["service"], f.common["server_name"]) for f in group]
    names = list(dict.fromkeys(name for name, _ in words if name and name != host(end).strip("[]")))
    services = list(dict.fromkeys(service for _, service in words if service))
    if len(names) == 1:
        return f"{names[0]} ({', '.join([end, *services])})"
    if names:
        services.append(f"{names[0]} and {times(len(names) - 1, 'other name')}")
    return f"{end} ({', '.join(services)})" if services else end


def host(name: str) -> str:
    """The address of an endpoint's name."""
    return name.rpartition(":")[0]


def facts(raw: bytes | bytearray) -> Iterator[Facts]:
    """The facts of packed connection records, in their order."""
    size = layout.CONNECTION.size
    for at in range(0, len(raw), size):
        row = bytes(raw[at : at + size])
        c, client, server = (Record(row, places) for places in _PLACES)
        yield Facts(
            c["connection"],
            endpoint(c["server_addr"], c["ip_version"], c["server_port"]),
            endpoint(c["client_addr"], c["ip_version"], c["client_port"]),
            layout.CLOSE_KINDS[c["close_kind"]],
            layout.CLOSED_BY.get(c["closed_by"]),
            layout.CLOSED_BY.get(c["reset_by"]),
            (layout.STATES[c["client_state"]], layout.STATES[c["server_state"]]),
            c,
            client,
            server,
            [],
        )


class Collected:
    """The odd connections of a capture, taken in as they end: the first MOST in full, of the rest how they ended.

    They are the first by number, so that which they are does not depend on the order in which they are taken in:
    several threads have none.
    """

    def __init__(self) -> None:
        self.facts: list[Facts] = []
        self._below = 1 << 32  # only numbers less than that can be among the first
        self.census = Census()  # of all, odd or not
        self.beyond: Counter[tuple[str, str, str | None]] = Counter()  # by service, close kind, who closed; see `close`
        self.half_open: dict[str, Counter[int]] = {}  # of those beyond: by service, how many began in which second

    def take(
        self, raw: bytes | bytearray, evidence: bytes | bytearray = b"", briefs: bytes | bytearray | None = None
    ) -> None:
        """More packed connection records, in any order, and the evidence records of the same connections.

        briefs: of all, where not all have records (`Engine`, most_odd).
        """
        size = layout.CONNECTION.size
        if briefs is None:
            self.census.take(raw)
        else:
            self.census.take_briefs(briefs)
        self.census.count_ends(raw, self._below)
        odd = odd_ones(raw, self._below)
        fresh = list(facts(b"".join([raw[at * size : at * size + size] for at in odd])))
        if fresh:
            _prove(fresh, evidence)
            self.facts += fresh
        if len(self.facts) > MOST:
            self.facts.sort(key=attrgetter("number"))
            for it in self.facts[MOST:]:
                self.census.count_ends(it.common.raw)
            del self.facts[MOST:]
            self._below = self.facts[-1].number

    def close(self) -> None:
        """All connections have been taken: fill `beyond` and `half_open`."""
        self.beyond.clear()
        self.half_open.clear()
        for count, second, server, port, version, close, by, _ in layout.END.struct.iter_unpack(self.census.ends_of()):
            name = endpoint(server, version, port)
            self.beyond[name, layout.CLOSE_KINDS[close], layout.CLOSED_BY.get(by)] += count
            if close == HALF_OPEN:
                self.half_open.setdefault(name, Counter())[second] += count

    def copy(self) -> Collected:
        """What has been taken so far, to go on with apart."""
        other = Collected()
        other.facts, other.census, other._below = list(self.facts), self.census.copy(), self._below
        return other

    def only(self, facts: list[Facts]) -> Collected:
        """The same with these connections alone looked at one by one."""
        part = copy(self)
        part.facts = facts
        return part

    def more(self, server: str, close: str, by: str | None = None) -> int:
        """How many to this service ended so beside those in `facts`; by: closed by this side only."""
        return sum(
            count
            for (name, kind, who), count in self.beyond.items()
            if name == server and kind == close and by in (None, who)
        )


def _prove(fresh: list[Facts], evidence: bytes | bytearray) -> None:
    of = {f.number: f.proofs for f in fresh}
    names = ("connection", "annotation", "side", "frame", "file", "time_ns")
    for number, annotation, side, frame, file, time_ns in layout.EVIDENCE.select(evidence, names):
        if number in of:
            of[number].append(Proof(layout.ANNOTATIONS[annotation], layout.ROLES[side], spot(frame, file), time_ns))


@cache
def _places(names: tuple[str, ...]) -> tuple[int, ...]:
    known = set(layout.CONNECTION.names)
    spelt = [full for name in names for full in (name, *(f"{role}_{name}" for role in layout.ROLES)) if full in known]
    return tuple(layout.CONNECTION.offset(name) for name in spelt)


def having(group: list[Facts], *names: str, above: int = 0) -> list[Facts]:
    """Those of which one of these fields is more than `above`; a name without its side: of either.

    A look at thousands of records before a rule looks at those few that it can concern.
    """
    return record.having(group, _places(names), above)


def beginning(group: list[Facts], name: str, prefix: bytes) -> list[Facts]:
    """Those of which this field, bytes, begins so: the same kind of look."""
    return record.beginning(group, layout.CONNECTION.offset(name), prefix)


def without(group: Iterable[Facts], *others: Iterable[Facts]) -> list[Facts]:
    """Those that are in none of the others."""
    members = {f.number for other in others for f in other}
    return [f for f in group if f.number not in members]


def by_pair(found: Iterable[Facts]) -> dict[tuple[str, str], list[Facts]]:
    """The connections by the hosts that sent the first packet and got it."""
    groups: dict[tuple[str, str], list[Facts]] = defaultdict(list)
    for f in found:
        ends = host(f.client_name), host(f.server_name)
        groups[ends if f.common["first_side"] == 0 else ends[::-1]].append(f)
    return groups


def by_server(found: Iterable[Facts]) -> dict[str, list[Facts]]:
    """The connections to each service (server address and port)."""
    groups: dict[str, list[Facts]] = defaultdict(list)
    for f in found:
        groups[f.server_name].append(f)
    return groups


def about(
    group: list[Facts],
    id: str,
    severity: str,
    side: str,
    text: str,
    advice: str,
    last: bool = False,
    more: int = 0,
    shown: Sequence[str] = (),
    by: str | None = None,
    **numbers: float,
) -> Finding:
    """A finding about these connections, and `more`.

    Its frames are those that bear one of the annotations `shown` (sent by the side `by`); without such, the first
    frames of the connections, or the last ones.
    """
    frames = [
        frame
        for f in group
        for frame in sorted(it.frame for it in f.proofs if it.annotation in shown and by in (None, it.side))
    ][:MANY] or [f.last_frame if last else f.frame for f in group[:MANY]]
    frames = list(dict.fromkeys(frames))
    servers = {f.server_name for f in group}
    if len(servers) == 1:  # the rules know the service by its address
        text = re.sub(rf"(?<![\w.:\[]){re.escape(group[0].server_name)}(?!\d)", lambda _: called(group), text, count=1)
    return Finding(
        id, severity, text, advice, side, [f.number for f in group[:MANY]], len(group) + more, frames, numbers,
        server=group[0].server_name if len(servers) == 1 else "",
    )  # fmt: skip


def times(count: int, noun: str = "connection") -> str:
    """`1 connection`, `12 connections`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
