"""Sums over groups of connections, and figures in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized

from tcpscope.diagnose.facts import MANY, Facts
from tcpscope.diagnose.finding import Finding
from tcpscope.replay.record import Record
from tcpscope.wire.layout import OPT_CUT, OPT_WSCALE

ROLES = ("client", "server")
HOST_NS = 1_000_000  # what a host takes to answer itself
MANY_DATA = 8  # packets with data, of which some would be acknowledged by a packet without


def seconds(ns: float) -> str:
    """`1.03 s`, `385 ms`, `0.4 ms`."""
    if ns >= 999.5e6:
        return f"{ns / 1e9:.2f} s"
    return f"{ns / 1e6:.0f} ms" if ns >= 1e7 else f"{ns / 1e6:.1f} ms"


def rate(bytes_per_second: float) -> str:
    """Bytes a second as `5.2 Mbit/s`, `640 kbit/s`."""
    bits = bytes_per_second * 8
    for unit, size in (("Gbit/s", 1e9), ("Mbit/s", 1e6)):
        if bits >= size:
            return f"{bits / size:.3g} {unit}"
    return f"{bits / 1e3:.0f} kbit/s"


def bytes_of(count: float) -> str:
    """`64 kB`, `1.2 MB`, `800 bytes`: powers of 1000."""
    if count >= 1e6:
        return f"{count / 1e6:.3g} MB"
    return f"{count / 1e3:.3g} kB" if count >= 1e3 else f"{count:.0f} bytes"


def both(f: Facts, name: str) -> int:
    """Client and server together."""
    return int(f.client[name] + f.server[name])


def sides(group: list[Facts], name: str) -> dict[str, int]:
    """A sum for each side."""
    return {role: sum(f.side(role)[name] for f in group) for role in ROLES}


def worst(group: list[Facts], role: str, name: str) -> Record:
    """The side with the largest value."""
    return max((f.side(role) for f in group), key=lambda side: side[name])


def up_to(group: Sized) -> str:
    """What stands before the largest of a group: nothing, if it is the only one."""
    return "up to " if len(group) > 1 else ""


def other(role: str) -> str:
    return "server" if role == "client" else "client"


def round_trip(f: Facts) -> int:
    """The whole path's, ns: the handshake's, or the usual one where a SYN or its answer was slow; 0: not known."""
    first = int(f.common["initial_rtt_ns"])
    if first <= 0:
        return int(max(f.client["rtt_min_ns"], 0) + max(f.server["rtt_min_ns"], 0))
    usual = f.client["rtt_p50_ns"], f.server["rtt_p50_ns"]
    return min(first, int(sum(usual))) if min(usual) > 0 else first


def scale_cut(f: Facts) -> bool:
    """A SYN was captured, but not as far as its window scale: what its side's windows mean is not known."""
    return any(side["syn_options"] & OPT_CUT and not side["syn_options"] & OPT_WSCALE for side in (f.client, f.server))


def without_acks(f: Facts) -> bool:
    """Much was said and not one bare acknowledgment captured: a filter let nothing through but packets with data."""
    return bool(
        f.client["pure_acks"] + f.server["pure_acks"] == 0
        and f.client["data_packets"] + f.server["data_packets"] >= MANY_DATA
    )


def at_host(f: Facts, role: str) -> bool:
    """The capture was taken on the host of that side: it answers there in no time."""
    there, back = ("syn_rtt_ns", "ack_rtt_ns") if role == "server" else ("ack_rtt_ns", "syn_rtt_ns")
    took = min((it for it in (f.side(other(role))["rtt_min_ns"], f.common[there]) if it > 0), default=0)
    return bool(f.point == role and 0 < took <= max(HOST_NS, f.common[back] // 8))


def proved(finding: Finding, frames: Iterable[int] = (), numbers: Mapping[str, float] | None = None) -> Finding:
    """The finding with more numbers, and with these frames as its proof where there are any."""
    finding.frames = list(dict.fromkeys(it for it in frames if it > 0))[:MANY] or finding.frames
    finding.numbers |= numbers or {}
    return finding
