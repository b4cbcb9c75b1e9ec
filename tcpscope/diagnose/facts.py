"""The few facts of each connection that findings are made from, and their grouping by service."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tcpscope.diagnose.finding import Finding
from tcpscope.replay import layout
from tcpscope.tables.address import address

MANY = 20  # connections and frames named in a finding; the rest is counted

_PLAIN = ("packets", "data_packets", "bytes", "dwell_close_wait_ns")
_ODD = ("timeout_retransmissions", "fast_retransmissions", "tail_loss_probes", "recovery_retransmissions",
        "spurious_retransmissions", "syn_retransmissions", "zero_window_ns", "zero_window_spells",
        "duplicate_captures", "missed_bytes", "bad_checksums", "nagle_stalls", "nagle_ns")  # fmt: skip
_COMMON = ("connection", "first_frame", "last_frame", "start_ns", "end_ns", "client_addr", "client_port",
           "server_addr", "server_port", "ip_version", "client_state", "server_state", "close_kind", "closed_by",
           "one_direction", "refused_ns", "syn_rtt_ns", "ack_rtt_ns")  # fmt: skip


_STATES = slice(_COMMON.index("client_state"), _COMMON.index("client_state") + 2)
CLOSE_WAIT = layout.STATES.index("CLOSE_WAIT")


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


def host(name: str) -> str:
    """The address of an endpoint's name."""
    return name.rpartition(":")[0]


def facts(raw: bytes) -> Iterator[Facts]:
    """Of packed connection records those in which anything is odd, in their order."""
    names = [*_COMMON, *(f"{role}_{name}" for role in layout.ROLES for name in _PLAIN + _ODD)]
    common, plain, side = len(_COMMON), len(_PLAIN), len(_PLAIN) + len(_ODD)
    close, one_direction = _COMMON.index("close_kind"), _COMMON.index("one_direction")
    ordinary = {layout.CLOSE_KINDS.index(kind) for kind in ("open", "fin")}
    for values in layout.CONNECTION.select(raw, names):
        client, server = values[common : common + side], values[common + side :]
        if (
            values[close] in ordinary
            and not values[one_direction]
            and max(client[plain:]) <= 0
            and max(server[plain:]) <= 0
            and CLOSE_WAIT not in values[_STATES]
        ):
            continue
        c = dict(zip(_COMMON, values[:common], strict=True))
        yield Facts(
            c["connection"],
            endpoint(c["server_addr"], c["ip_version"], c["server_port"]),
            endpoint(c["client_addr"], c["ip_version"], c["client_port"]),
            layout.CLOSE_KINDS[c["close_kind"]],
            layout.CLOSED_BY.get(c["closed_by"]),
            (layout.STATES[c["client_state"]], layout.STATES[c["server_state"]]),
            c,
            dict(zip(_PLAIN + _ODD, client, strict=True)),
            dict(zip(_PLAIN + _ODD, server, strict=True)),
        )


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
    **numbers: float,
) -> Finding:
    """A finding about these connections; it names the first frames (or the last ones) as evidence."""
    frames = [f.last_frame if last else f.frame for f in group[:MANY]]
    return Finding(id, severity, text, advice, side, [f.number for f in group[:MANY]], len(group), frames, numbers)


def times(count: int, noun: str = "connection") -> str:
    """`1 connection`, `12 connections`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
