"""Scans: one host tries many ports of another, or one port of many hosts, to see who answers."""

from __future__ import annotations

from collections import Counter, defaultdict

from tcpscope.diagnose.facts import Facts, about, by_pair, host, times, without
from tcpscope.diagnose.finding import Finding
from tcpscope.replay.record import Record
from tcpscope.wire.layout import ACK, FIN, PSH, RST, SYN, URG

PORTS = 15  # ports of one host tried in vain: a scan
HOSTS = 15  # hosts of which one port was tried in vain
CRAFTED = 3  # packets that no stack sends: fewer make a scan
WITHIN_NS = 60_000_000_000  # a pass over hosts is quicker than failures of a client that means to connect
NAMED = 8  # open ports named

_KINDS = {FIN: "FIN", 0: "NULL", FIN | PSH | URG: "Xmas", ACK: "ACK", FIN | ACK: "Maimon"}
_OPENING = 0x080  # course.RESET_OPENING


def _crafted(f: Facts) -> bool:
    """Its first packet is one that no stack sends: with neither SYN, ACK nor RST, or SYN with what excludes it."""
    flags = f.common["first_flags"]
    return not flags & (SYN | ACK | RST) or bool(flags & SYN and flags & (FIN | RST | URG))


def _dropped_at_once(f: Facts) -> bool:
    """SYN, SYN-ACK, and the client's RST: as a scanner treats an open port."""
    return f.close == "reset" and f.reset_by == "client" and bool(f.common["reset_bits"] & _OPENING)


def _vain(f: Facts) -> bool:
    """Tried, and nothing came of it."""
    return (f.close in ("unanswered", "refused", "unreachable", "half_open") or _crafted(f) or _dropped_at_once(f)
            or _probe(f) or _connected(f))  # fmt: skip


def _probe(f: Facts) -> bool:
    """One bare ACK to a host that has no connection: answered by RST, or not at all."""
    return f.common["first_flags"] in (ACK, FIN | ACK) and f.client["packets"] + f.server["packets"] <= 2


def _connected(f: Facts) -> bool:
    """Opened and at once reset, without a byte."""
    return f.close == "reset" and f.client["bytes"] + f.server["bytes"] == 0 and f.common["ack_ns"] > 0


def _small(f: Facts) -> bool:
    """No more than a few packets, without payload: of a host that is known to scan, one more try."""
    return bool(f.client["packets"] + f.server["packets"] <= 4 and f.client["bytes"] + f.server["bytes"] == 0)


def _kind(f: Facts) -> str:
    flags = f.common["first_flags"] & 0x3F
    if flags & SYN and not flags & (FIN | RST | URG):
        return "connect" if f.common["ack_ns"] > 0 else "SYN"
    return _KINDS.get(flags, "odd flags")


def _probed(f: Facts) -> Record:
    """What the side sent that did not begin."""
    return f.server if f.common["first_side"] == 0 else f.client


def _answered_by_reset(f: Facts) -> bool:
    return bool(_probed(f)["rst_packets"])


def _target_port(f: Facts) -> int:
    """The port that was probed."""
    return int(f.common["server_port"] if f.common["first_side"] == 0 else f.common["client_port"])


def _spelt(group: list[Facts]) -> str:
    """`SYN`, or `SYN, FIN and Xmas`."""
    kinds = [kind for kind, _ in Counter(map(_kind, group)).most_common()]
    return kinds[0] if len(kinds) == 1 else ", ".join(kinds[:-1]) + " and " + kinds[-1]


def scans(found: list[Facts]) -> tuple[list[Finding], list[Facts]]:
    """Port scans and host scans, and the connections that belong to none."""
    vain = {f.number for f in found if _vain(f)}
    findings, rest = _over_ports(found, vain)
    swept, rest = _over_hosts(rest, vain)
    return findings + swept, rest


def _over_ports(found: list[Facts], in_vain: set[int]) -> tuple[list[Finding], list[Facts]]:
    findings, rest = [], []
    for (source, target), group in by_pair(found).items():
        if len(group) < CRAFTED:
            rest += group
            continue
        vain = [f for f in group if f.number in in_vain]
        ports = {_target_port(f) for f in vain}
        if len(ports) < PORTS:  # or crafted packets, and what else the same host tried in passing
            vain = [f for f in group if _small(f)]
            if sum(map(_crafted, vain)) < CRAFTED:
                rest += group
                continue
            ports = {_target_port(f) for f in vain}
        rest += without(group, vain)
        opened = sorted({_target_port(f) for f in vain if f.common["syn_ack_ns"] > 0 and _probed(f)["packets"] > 0})
        closed = {_target_port(f) for f in vain if _answered_by_reset(f)} - set(opened)
        quiet = len(ports) - len(opened) - len(closed)
        named = ", ".join(map(str, opened[:NAMED])) + (", …" if len(opened) > NAMED else "")
        findings.append(about(
            vain, "port_scan", "warning", "client",
            f"{source} scanned {times(len(ports), 'port')} of {target} ({_spelt(vain)} scan): {len(opened):,} open"
            + (f" ({named})" if named else "") + f", {len(closed):,} closed (RST), {quiet:,} silent",
            "find out whether this host is meant to scan; silent ports are filtered, or open to odd flags",
            ports=len(ports), opened=len(opened), closed=len(closed), silent=quiet,
        ))  # fmt: skip
    return findings, rest


def _over_hosts(found: list[Facts], in_vain: set[int]) -> tuple[list[Finding], list[Facts]]:
    """One port of many hosts within a minute, each tried once: a client that means to connect tries again."""
    tried: dict[tuple[str, int], list[Facts]] = defaultdict(list)
    for f in found:
        if f.number in in_vain and f.common["first_side"] == 0:
            tried[host(f.client_name), _target_port(f)].append(f)
    findings: list[Finding] = []
    told: list[Facts] = []
    for (source, port), group in tried.items():
        if len(group) < HOSTS:
            continue
        hosts = {host(f.server_name) for f in group}
        span = max(f.common["start_ns"] for f in group) - min(f.common["start_ns"] for f in group)
        once = sum(f.client["syn_retransmissions"] == 0 for f in group)
        if len(hosts) < HOSTS or span > WITHIN_NS or once < 0.8 * len(group):
            continue
        told += group
        answered = len({host(f.server_name) for f in group if f.common["syn_ack_ns"] > 0})
        refused = len({host(f.server_name) for f in group if f.close == "refused"})
        findings.append(about(
            group, "host_scan", "warning", "client",
            f"{source} tried port {port} of {len(hosts):,} hosts within {span / 1e9:.1f} s ({_spelt(group)} scan): "
            f"{answered:,} open, {refused:,} closed (RST), {len(hosts) - answered - refused:,} silent",
            "find out whether this host is meant to scan: it looks for hosts that offer this service",
            hosts=len(hosts), opened=answered, closed=refused, port=port,
        ))  # fmt: skip
    return findings, without(found, told)
