"""Connections that did not open: refused, unanswered, unreachable, or left half-way."""

from __future__ import annotations

from collections import defaultdict

from tcpscope.diagnose.facts import Collected, Facts, about, by_server, host, times
from tcpscope.diagnose.finding import Finding

FLOOD = 50  # half-open connections to one service that look like a SYN flood
PORTS = 15  # ports of one host that one client tried in vain: a port scan


def scans(found: list[Facts]) -> tuple[list[Finding], list[Facts]]:
    """Port scans, and the connections that belong to none."""
    tried: dict[tuple[str, str], list[Facts]] = defaultdict(list)
    for f in found:
        tried[host(f.client_name), host(f.server_name)].append(f)
    findings, rest = [], []
    for (source, target), group in tried.items():
        vain = [f for f in group if f.close in ("unanswered", "refused", "unreachable", "half_open")]
        ports = len({f.server_name for f in vain})
        if ports < PORTS:
            rest += group
            continue
        rest += [f for f in group if f not in vain]
        refused = sum(f.close == "refused" for f in vain)
        findings.append(about(
            vain, "port_scan", "warning", "client",
            f"{source} tried {ports:,} ports of {target} in vain ({refused:,} refused, {len(vain) - refused:,} silent "
            "or half-open): a port scan",
            "find out whether this host is meant to scan",
            ports=ports, refused=refused,
        ))  # fmt: skip
    return findings, rest


def opening(found: Collected) -> list[Finding]:
    """What went wrong before any data could flow (RFC 9293, 3.5)."""
    findings, rest = scans(found.facts)
    for server, group in by_server(rest).items():
        refused, more = [f for f in group if f.close == "refused"], found.more(server, "refused")
        if refused:
            after = min(f.common["refused_ns"] for f in refused) / 1e6
            findings.append(about(
                refused, "refused", "error", "server",
                f"{server} refused {times(len(refused) + more)}: the SYN was answered by RST after {after:.1f} ms",
                "nothing listens on that port, or a firewall rejects it: check the service and its address",
                more=more, shown=["reset_refused"], milliseconds=after,
            ))  # fmt: skip
        silent, more = [f for f in group if f.close == "unanswered"], found.more(server, "unanswered")
        if silent:
            tries = sum(f.client["packets"] for f in silent) + more
            least = "at least " if more else ""
            findings.append(about(
                silent, "unanswered", "error", "server",
                f"{server} never answered {times(len(silent) + more)} ({least}{times(tries, 'SYN')} sent)",
                "host down, wrong address, or a firewall that drops: look for the SYN on the server's side",
                more=more, syns=tries,
            ))  # fmt: skip
        barred = [f for f in group if f.close == "unreachable"]
        if barred:
            findings.append(about(
                barred, "unreachable", "error", "path",
                f"a router or firewall answered {times(len(barred))} to {server} with ICMP unreachable",
                "read the ICMP error's sender and code: it names who rejects and why",
            ))  # fmt: skip
        half, more = [f for f in group if f.close == "half_open"], found.more(server, "half_open")
        if half:
            flood = len(half) + more >= FLOOD
            findings.append(about(
                half, "syn_flood" if flood else "half_open", "error" if flood else "warning", "client",
                f"{times(len(half) + more)} to {server} stayed half-open: the SYN-ACK was never acknowledged"
                + (", as in a SYN flood" if flood else ""),
                "spoofed or dead clients, or the path back is broken: check routes and SYN cookies",
                more=more,
            ))  # fmt: skip
        lost = [f for f in group if f.client["syn_retransmissions"] and f.close not in ("unanswered", "refused")]
        if lost:
            findings.append(about(
                lost, "syn_lost", "warning", "path",
                f"{times(len(lost))} to {server} needed more than one SYN: each repetition costs a second or more",
                "loss on the path, or a full listen queue on the server (netstat -s: listen queue overflows)",
                shown=["syn_retransmission", "syn_ack_retransmission"],
                repetitions=sum(f.client["syn_retransmissions"] for f in lost),
            ))  # fmt: skip
    return findings
