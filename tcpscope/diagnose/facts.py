"""The few facts of each connection that findings are made from, and their grouping by service."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from tcpscope.diagnose.finding import Finding
from tcpscope.replay import layout
from tcpscope.tables.address import address
from tcpscope.wire.layout import SERVICES

MANY = 20  # connections and frames named in a finding; the rest is counted
MOST = 5_000  # odd connections looked at one by one; of more only the ends are counted, by service

_PLAIN = ("packets", "data_packets", "bytes", "dwell_close_wait_ns", "rtt_min_ns", "first_data_ns", "reply_max_ns",
          "reply_max_frame")  # fmt: skip
_ODD = ("timeout_retransmissions", "fast_retransmissions", "tail_loss_probes", "recovery_retransmissions",
        "spurious_retransmissions", "syn_retransmissions", "zero_window_ns", "zero_window_spells",
        "duplicate_captures", "missed_bytes", "bad_checksums", "nagle_stalls", "nagle_ns")  # fmt: skip
_COMMON = ("connection", "first_frame", "last_frame", "start_ns", "end_ns", "client_addr", "client_port",
           "server_addr", "server_port", "ip_version", "client_state", "server_state", "close_kind", "closed_by",
           "one_direction", "refused_ns", "syn_rtt_ns", "ack_rtt_ns", "initial_rtt_ns", "service",
           "server_name")  # fmt: skip
_NAMES = [*_COMMON, *(f"{role}_{name}" for role in layout.ROLES for name in _PLAIN + _ODD)]
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

    @property
    def duration(self) -> float:
        return float(self.common["end_ns"] - self.common["start_ns"]) / 1e9


def endpoint(raw: bytes, version: int, port: int) -> str:
    """`10.0.0.1:80`, `[::1]:80`."""
    text = address(raw, version)
    return f"[{text}]:{port}" if version == 6 else f"{text}:{port}"


def told(service: int, name: bytes) -> tuple[str, str]:
    """Of a record the server's name and the service in words, each empty where not known."""
    known = service < len(SERVICES)
    return name.split(b"\0", 1)[0].decode("latin-1"), SERVICES[service] if known else ""


def called(group: Sequence[Facts]) -> str:
    """What these connections' service is called: `example.com (192.0.2.1:443, tls)`, `192.0.2.1:22 (ssh)`."""
    end = group[0].server_name
    words = [told(f.common["service"], f.common["server_name"]) for f in group]
    names = list(dict.fromkeys(name for name, _ in words if name))
    services = list(dict.fromkeys(service for _, service in words if service))
    if len(names) == 1:
        return f"{names[0]} ({', '.join([end, *services])})"
    if names:
        services.append(f"{names[0]} and {times(len(names) - 1, 'other name')}")
    return f"{end} ({', '.join(services)})" if services else end


def host(name: str) -> str:
    """The address of an endpoint's name."""
    return name.rpartition(":")[0]


def odd_ones(raw: bytes | bytearray) -> list[int]:
    """Of packed connection records the places of those in which anything is odd."""
    flags = memoryview(raw)[layout.CONNECTION.offset("odd") :: layout.CONNECTION.size]
    return [at for at, odd in enumerate(flags) if odd]


def facts(raw: bytes | bytearray) -> Iterator[Facts]:
    """The facts of packed connection records, in their order."""
    common, side = len(_COMMON), len(_PLAIN + _ODD)
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
            dict(zip(_PLAIN + _ODD, values[common : common + side], strict=True)),
            dict(zip(_PLAIN + _ODD, values[common + side :], strict=True)),
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
    if len({f.server_name for f in group}) == 1:  # the rules know the service by its address
        text = re.sub(rf"(?<![\w.:\[]){re.escape(group[0].server_name)}(?!\d)", lambda _: called(group), text, count=1)
    return Finding(
        id, severity, text, advice, side, [f.number for f in group[:MANY]], len(group) + more, frames, numbers
    )


def times(count: int, noun: str = "connection") -> str:
    """`1 connection`, `12 connections`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
