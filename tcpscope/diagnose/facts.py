"""The few facts of each connection that findings are made from, and their grouping by service."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from tcpscope.diagnose.finding import Finding
from tcpscope.replay import layout
from tcpscope.tables.address import address

MANY = 20  # connections and frames named in a finding; the rest is counted
MOST = 5_000  # odd connections looked at one by one; of more only the ends are counted, by service

_PLAIN = ("packets", "data_packets", "bytes", "dwell_close_wait_ns", "rtt_min_ns", "first_data_ns", "reply_max_ns",
          "reply_max_frame")  # fmt: skip
_ODD = ("timeout_retransmissions", "fast_retransmissions", "tail_loss_probes", "recovery_retransmissions",
        "spurious_retransmissions", "syn_retransmissions", "zero_window_ns", "zero_window_spells",
        "duplicate_captures", "missed_bytes", "bad_checksums", "nagle_stalls", "nagle_ns")  # fmt: skip
_TRANSFER = (
    "unique_bytes", "goodput", "window_scale", "max_window", "rtt_samples", "rtt_p50_ns", "longest_zero_window_ns",
    "zero_window_probes", "recovery_episodes", "timeout_episodes", "limited_receiver_ns", "limited_congestion_ns",
    "starved_ns", "restarts", "restart_frame", "window_edge_frame", "small_segments_frame", "rtt_max_frame",
    "small_segments", "silly_segments", "lost_before_capture", "lost_after_capture", "lost_again",
    "back_off_longest", "back_off_ns", "back_off_open", "stuck_segment", "stuck_times", "stuck_heard",
    "acked_segment", "spurious_by_delay", "spurious_by_order", "spurious_by_acks", "overtaken", "reordering_bytes",
    "reordering_ns", "zero_window_open_ns", "zero_window_probe_acks", "reach_samples", "reach_min_ns",
    "reach_mean_ns",
)  # fmt: skip
_COMMON = ("connection", "first_frame", "last_frame", "start_ns", "end_ns", "client_addr", "client_port",
           "server_addr", "server_port", "ip_version", "client_state", "server_state", "close_kind", "closed_by",
           "one_direction", "refused_ns", "syn_rtt_ns", "ack_rtt_ns", "initial_rtt_ns", "icmp_type", "icmp_code",
           *(f"time_{name}_ns" for name in layout.TIMES))  # fmt: skip
_SIDE = _PLAIN + _ODD + _TRANSFER
_NAMES = [*_COMMON, *(f"{role}_{name}" for role in layout.ROLES for name in _SIDE)]
_END = ("server_addr", "server_port", "ip_version", "close_kind", "closed_by")


class Proof(NamedTuple):
    """A frame that bears an annotation, and which side sent it."""

    annotation: str
    side: str
    frame: int


class Facts(NamedTuple):
    """One connection; `client` and `server` hold what that side sent, by name."""

    number: int
    server_name: str
    client_name: str
    close: str
    closed_by: str | None
    states: tuple[str, str]
    common: dict[str, Any]
    client: dict[str, Any]
    server: dict[str, Any]
    proofs: list[Proof]  # in capture order

    @property
    def frame(self) -> int:
        return int(self.common["first_frame"])

    @property
    def last_frame(self) -> int:
        return int(self.common["last_frame"])

    def side(self, role: str) -> dict[str, Any]:
        """What `role` sent."""
        return self.client if role == "client" else self.server

    @property
    def duration(self) -> float:
        return float(self.common["end_ns"] - self.common["start_ns"]) / 1e9


def endpoint(raw: bytes, version: int, port: int) -> str:
    """`10.0.0.1:80`, `[::1]:80`."""
    text = address(raw, version)
    return f"[{text}]:{port}" if version == 6 else f"{text}:{port}"


def host(name: str) -> str:
    """The address of an endpoint's name."""
    return name.rpartition(":")[0]


def odd_ones(raw: bytes | bytearray) -> list[int]:
    """Of packed connection records the places of those in which anything is odd."""
    flags = memoryview(raw)[layout.CONNECTION.offset("odd") :: layout.CONNECTION.size]
    return [at for at, odd in enumerate(flags) if odd]


def facts(raw: bytes | bytearray) -> Iterator[Facts]:
    """The facts of packed connection records, in their order."""
    common, side = len(_COMMON), len(_SIDE)
    for values in layout.CONNECTION.select(raw, _NAMES):
        c = dict(zip(_COMMON, values[:common], strict=True))
        yield Facts(
            c["connection"],
            endpoint(c["server_addr"], c["ip_version"], c["server_port"]),
            endpoint(c["client_addr"], c["ip_version"], c["client_port"]),
            layout.CLOSE_KINDS[c["close_kind"]],
            layout.CLOSED_BY.get(c["closed_by"]),
            (layout.STATES[c["client_state"]], layout.STATES[c["server_state"]]),
            c,
            dict(zip(_SIDE, values[common : common + side], strict=True)),
            dict(zip(_SIDE, values[common + side :], strict=True)),
            [],
        )


class Collected:
    """The odd connections of a capture, taken in as they end: MOST of them in full, of the rest how they ended."""

    def __init__(self) -> None:
        self.facts: list[Facts] = []
        self.beyond: Counter[tuple[str, str, str | None]] = Counter()  # by service, close kind, who closed

    def take(self, raw: bytes | bytearray, evidence: bytes | bytearray = b"") -> None:
        """More packed connection records, in any order, and the evidence records of the same connections."""
        size = layout.CONNECTION.size
        odd = odd_ones(raw)
        room = MOST - len(self.facts)
        fresh = list(facts(b"".join([raw[at * size : at * size + size] for at in odd[:room]])))
        self.facts += fresh
        if fresh:
            _prove(fresh, evidence)
        if odd[room:]:
            rest = b"".join([raw[at * size : at * size + size] for at in odd[room:]])
            for (server, port, version, close, by), count in Counter(layout.CONNECTION.select(rest, _END)).items():
                key = endpoint(server, version, port), layout.CLOSE_KINDS[close], layout.CLOSED_BY.get(by)
                self.beyond[key] += count

    def more(self, server: str, close: str, by: str | None = None) -> int:
        """How many to this service ended so beside those in `facts`; by: closed by this side only."""
        return sum(
            count
            for (name, kind, who), count in self.beyond.items()
            if name == server and kind == close and by in (None, who)
        )


def _prove(fresh: list[Facts], evidence: bytes | bytearray) -> None:
    of = {f.number: f.proofs for f in fresh}
    names = ("connection", "annotation", "side", "frame")
    for number, annotation, side, frame in layout.EVIDENCE.select(evidence, names):
        if number in of:
            of[number].append(Proof(layout.ANNOTATIONS[annotation], layout.ROLES[side], frame))


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
        proof.frame for f in group for proof in f.proofs if proof.annotation in shown and by in (None, proof.side)
    ][:MANY] or [f.last_frame if last else f.frame for f in group[:MANY]]
    frames = list(dict.fromkeys(frames))
    return Finding(
        id, severity, text, advice, side, [f.number for f in group[:MANY]], len(group) + more, frames, numbers
    )


def times(count: int, noun: str = "connection") -> str:
    """`1 connection`, `12 connections`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
