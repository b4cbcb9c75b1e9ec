"""How connections ended: resets, one-sided closes, peers that vanished."""

from __future__ import annotations

from tcpscope.diagnose.facts import Collected, about, by_server, times
from tcpscope.diagnose.finding import Finding

LEAK_NS = 1_000_000_000  # in CLOSE_WAIT this long, and still at the capture's end: it looks like a forgotten close()


def closing(found: Collected) -> list[Finding]:
    """What was odd about the end (RFC 9293, 3.6)."""
    findings = []
    for server, group in by_server(found.facts).items():
        for side in ("client", "server"):
            reset = [f for f in group if f.close == "reset" and f.closed_by == side]
            more = found.more(server, "reset", side)
            if reset:
                findings.append(about(
                    reset, "reset", "warning", side,
                    f"the {side} reset {times(len(reset) + more)} with {server}",
                    f"an abort, data that came after its close, or a socket it no longer has: see the {side}'s program",
                    last=True, more=more, shown=["reset_abort", "reset_no_socket"], by=side,
                ))  # fmt: skip
        gone, more = [f for f in group if f.close == "timeout"], found.more(server, "timeout")
        if gone:
            findings.append(about(
                gone, "vanished", "error", "path",
                f"one end of {times(len(gone) + more)} with {server} fell silent: "
                "repetitions and probes went unanswered",
                "the peer lost power or its network, or a firewall forgot the connection",
                last=True, more=more,
            ))  # fmt: skip
        for index, side in enumerate(("client", "server")):
            waiting = [
                f
                for f in group
                if f.states[index] == "CLOSE_WAIT" and getattr(f, side)["dwell_close_wait_ns"] >= LEAK_NS
            ]
            if waiting:
                findings.append(about(
                    waiting, "close_wait", "warning", side,
                    f"the {side} still had {times(len(waiting))} with {server} in CLOSE_WAIT at the end: its peer has "
                    "closed, it has not",
                    f"the program on the {side} may have forgotten to close: its sockets leak",
                    last=True,
                ))  # fmt: skip
    return findings
