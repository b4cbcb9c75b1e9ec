"""What closing leaves behind: CLOSE_WAIT that stays, ports that run out, four-tuples used again too soon."""

from __future__ import annotations

from tcpscope.diagnose.facts import Collected, Facts, about, by_server, endpoint, having, times
from tcpscope.diagnose.finding import Finding
from tcpscope.diagnose.measure import without_acks
from tcpscope.replay import layout
from tcpscope.tables.address import address

LEAK_NS = 1_000_000_000  # in CLOSE_WAIT this long, and still at the capture's end: it looks like a forgotten close()
LONG_NS = 60_000_000_000
SEVERAL = 10
PORTS = 28_232  # ephemeral ports of Linux: 32768 to 60999 (net.ipv4.ip_local_port_range)
TIME_WAIT = 60.0  # seconds
ENOUGH = 500  # connections from which on a rate is told
CROWDED = 0.5  # share of the ports


def closing(found: Collected) -> list[Finding]:
    """What was odd about the end (RFC 9293, 3.6)."""
    findings = []
    for server, group in by_server(having(found.facts, "dwell_close_wait_ns", above=LEAK_NS - 1)).items():
        findings += _close_wait(server, group)
    risky = layout.REUSE.index("risky")
    for server, group in by_server(f for f in found.facts if f.common["reuse"] == risky).items():
        findings += _reuse(server, group)
    return findings + _exhaustion(found)


def _quiet_ns(f: Facts, side: str) -> int:
    """Since the side's last packet, at the capture's end."""
    return int(f.end_ns - f.side(side)["last_ns"])


def _may_have_closed(f: Facts, side: str) -> bool:
    """Before the capture began, or where it does not see: nothing shows that the side could still send."""
    return bool(f.common["one_direction"] or without_acks(f) or (f.begun_before and not f.side(side)["data_packets"]))


def _close_wait(server: str, group: list[Facts]) -> list[Finding]:
    findings = []
    for index, side in enumerate(("client", "server")):
        waiting = [
            f for f in group
            if f.states[index] == "CLOSE_WAIT" and f.side(side)["dwell_close_wait_ns"] >= LEAK_NS
            and _quiet_ns(f, side) >= LEAK_NS and not _may_have_closed(f, side)
        ]  # fmt: skip
        if not waiting:
            continue
        longest = max(f.side(side)["dwell_close_wait_ns"] for f in waiting)
        resting = sum(f.states[1 - index] == "FIN_WAIT_2" for f in waiting)
        findings.append(about(
            waiting, "close_wait", "warning" if longest >= LONG_NS or len(waiting) >= SEVERAL else "note", side,
            f"the {side} still had {times(len(waiting))} with {server} in CLOSE_WAIT at the end, for up to "
            f"{longest / 1e9:,.1f} s: its peer has closed, it has not"
            + (f" ({resting:,} of the peers in FIN_WAIT_2)" if resting else ""),
            f"the program on the {side} may have forgotten to close: its sockets leak",
            last=True, seconds=longest / 1e9, fin_wait_2=resting,
        ))  # fmt: skip
    return findings


def _reuse(server: str, risky: list[Facts]) -> list[Finding]:
    """RFC 1122, 4.2.2.13 and RFC 6191: whether the other side's TIME_WAIT may take the SYN."""
    failed = [f for f in risky if f.client["syn_retransmissions"] or f.common["initial_rtt_ns"] < 0
              or f.close in ("unanswered", "reset", "half_open")]  # fmt: skip
    shortest = min(f.common["reuse_gap_ms"] for f in risky) / 1e3
    return [about(
        risky, "port_reuse", "warning" if failed else "note", "client",
        f"{times(len(risky))} to {server} took a port again {shortest:.1f} s after the connection before, inside its "
        "TIME_WAIT, with an older time stamp or a lower number"
        + (f": {len(failed):,} did not open at once" if failed else ""),
        "turn on TCP time stamps, or let the client use more ports: such a SYN may be ignored or taken for an old one",
        seconds=shortest, failed=len(failed),
    )]  # fmt: skip


def _exhaustion(found: Collected) -> list[Finding]:
    """A client that leaves more ports in TIME_WAIT than it has, towards one service (RFC 6056; RFC 9293, 3.6.1)."""
    findings = []
    for it in layout.PAIR.struct.iter_unpack(found.census.pairs_of(ENOUGH)):
        pair = dict(zip(layout.PAIR.names, it, strict=True))
        count, span = pair["time_wait"], max((pair["last_ns"] - pair["first_ns"]) / 1e9, 1.0)
        rate = count / span
        standing = rate * TIME_WAIT
        if count < ENOUGH or standing < CROWDED * PORTS:
            continue
        client = address(pair["client"], pair["version"])
        server = endpoint(pair["server"], pair["version"], pair["port"])
        over = standing >= PORTS
        finding = Finding(
            "port_exhaustion", "error" if over else "warning",
            f"{client} closes {rate:,.0f} connections a second to {server}: at that rate {standing:,.0f} ports rest in "
            f"TIME_WAIT, of {PORTS:,} that Linux has ({standing / PORTS:.0%})",
            "use connections again (a pool, keep-alive); else let the server close, widen ip_local_port_range, or set "
            f"tcp_tw_reuse: more than {PORTS / TIME_WAIT:.0f} a second to one address and port cannot last",
            "client", [pair[f"number_{at}"] for at in range(4)], count, [pair[f"frame_{at}"] for at in range(4)],
            {"rate": rate, "standing": standing, "ports": PORTS, "possible": PORTS / TIME_WAIT}, server=server,
        )  # fmt: skip
        if span < TIME_WAIT:
            finding.doubt(f"it holds only if the rate of these {span:.0f} s lasts for a minute")
        findings.append(finding)
    return findings
