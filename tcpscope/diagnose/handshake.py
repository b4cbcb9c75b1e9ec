"""Handshakes that came about, but not as they should: repeated, ignored, or without what both ends had asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise

from tcpscope.diagnose.facts import Facts, about, by_server, times, without
from tcpscope.diagnose.finding import Finding
from tcpscope.diagnose.loss import FEW, again
from tcpscope.diagnose.measure import at_host, seconds
from tcpscope.replay import layout
from tcpscope.wire.layout import OPT_SACK_PERMITTED, OPT_TIMESTAMPS, OPT_WSCALE

Cases = dict[str, list[Facts]]  # of one finding: by what decides

_ANSWERED = {OPT_WSCALE: "window scale", OPT_SACK_PERMITTED: "SACK permitted", OPT_TIMESTAMPS: "timestamps"}
ECHOED_FIRST, ECHOED_LATER = 1, 2  # course.ECHOED_
DEFAULT_MSS = 536  # RFC 9293, 3.7.1
MOST_OPTIONS = 40  # bytes by which a full segment may be shorter
MANY_SEGMENTS = 20  # full segments of the default size that are worth a word
TIMER_NS = 500_000_000  # no SYN is repeated by a timer sooner
IGNORED = 3  # what a server must have ignored, if it cannot be seen at the server itself


def handshake(found: list[Facts]) -> list[Finding]:
    """Connections whose SYN-ACK was seen."""
    findings = []
    for server, group in by_server(found).items():
        cases: dict[str, dict[str, list[Facts]]] = defaultdict(lambda: defaultdict(list))
        for f in group:
            again = f.client["syn_retransmissions"] or f.server["syn_retransmissions"] or f.common["ignored"]
            seen = f.common["role_evidence"] == 0 and f.common["syn_ack_ns"] > 0 and not f.common["one_direction"]
            if again and seen and f.close != "half_open":
                id, why = _case(f)
                cases[id][why].append(f)
        _same_queue(cases)
        for id, told in _TOLD.items():
            if id in cases:
                findings.append(told(server, cases[id]))
        findings += _fast_open(server, group)
        findings += _stripped(server, group)
        findings += _no_mss(server, group)
    return findings


# ---------------------------------------------------------------- what was lost, or ignored


def _case(f: Facts) -> tuple[str, str]:
    """Which finding a repeated SYN or SYN-ACK belongs to, and what decides ("" if nothing does)."""
    answered, acked = f.common["syn_ack_ns"], f.common["ack_ns"]
    syns = [it.time_ns for it in f.seen("syn_retransmission", "client")]
    syn_acks = [it.time_ns for it in f.seen("syn_ack_retransmission", "server")]
    early = [at for at in syns if at < answered]
    if 0 < f.common["reset_ns"] < answered:
        return "", ""  # refused, and tried again: nothing was lost
    if f.common["ignored"] and at_host(f, "server"):
        return "backlog_overflow", "seen"
    if f.common["ignored"] >= IGNORED and syn_acks:  # which says that the server had not heard the client's ACK
        return "backlog_overflow", ""
    if _at_once([f.common["start_ns"], *early] if early else [answered, *syn_acks, *syns]):
        return "", ""  # not by the timer: after a RST or a challenge ACK, or copies
    if early:
        if at_host(f, "server"):
            return "backlog_overflow", "silent"
        if f.common["echoed"] == ECHOED_FIRST:
            return "syn_ack_lost", "echo"
        return "syn_lost", "echo" if f.common["echoed"] == ECHOED_LATER else ""
    if syns:
        return "syn_ack_lost", "seen" if f.point == "client" else "behind"
    if syn_acks and 0 < acked < max(syn_acks):
        if at_host(f, "server"):
            return "", ""  # it saw the ACK: deferred accept, or a full queue; its data will tell
        return "handshake_ack_lost", "ignored"
    return ("handshake_ack_lost", "silence") if syn_acks and acked > 0 else ("", "")


def _same_queue(cases: dict[str, Cases]) -> None:
    """Where a server's accept queue is known to be full, it drops SYNs and ignores ACKs: no loss on the path."""
    if "backlog_overflow" not in cases:
        return
    for id in ("syn_lost", "handshake_ack_lost", ""):
        for why, members in list(cases[id].items()):
            theirs = [f for f in members if id == "syn_lost" or f.common["ignored"]]
            cases["backlog_overflow"]["same"] += theirs
            cases[id][why] = without(members, theirs)
        if not any(cases[id].values()):
            del cases[id]


def _at_once(times_ns: list[int]) -> bool:
    """No timer was waited for between any two."""
    ordered = sorted(times_ns)
    return all(late - early < TIMER_NS for early, late in pairwise(ordered))


def _cost(group: list[Facts]) -> float:
    """Seconds from the first SYN to the handshake's end, of the slowest."""
    return max((f.common["ack_ns"] - f.common["start_ns"]) / 1e9 if f.common["ack_ns"] > 0 else 0.0 for f in group)


def _costs(group: list[Facts]) -> str:
    cost = _cost(group)
    if cost <= 0:
        return ""
    return ": the handshake took up to " + (f"{cost:.1f} s" if cost >= 1 else seconds(cost * 1e9))


def _all(cases: Cases) -> list[Facts]:
    return sorted((f for members in cases.values() for f in members), key=lambda f: f.number)


def _syn_lost(server: str, cases: Cases) -> Finding:
    group, certain = _all(cases), set(cases) == {"echo"}
    finding = about(
        group, "syn_lost", "warning", "path",
        ("the SYN" if certain else "a SYN or its answer") + f" of {times(len(group))} to {server} was lost and sent "
        f"again{_costs(group)}",
        "loss on the path to the server" + ("" if certain else " or back") + ", or a full listen queue on the server, "
        "which drops SYNs (nstat -az TcpExtListenOverflows)",
        shown=["syn_retransmission"], by="client", seconds=_cost(group),
        repetitions=sum(f.client["syn_retransmissions"] for f in group),
    )  # fmt: skip
    if not certain:
        finding.doubt("without time stamps it cannot be told which of the two was lost")
    finding.doubt("whether it was lost, or came and was dropped by the server, only a capture there can tell")
    return finding


def _syn_ack_lost(server: str, cases: Cases) -> Finding:
    group, certain = _all(cases), set(cases) == {"seen"}
    finding = about(
        group, "syn_ack_lost", "warning", "path",
        f"the SYN-ACK of {times(len(group))} from {server} was lost "
        + ("on its way to the client" if certain else "or late") + f", so the SYN was sent again{_costs(group)}",
        "the server had the SYN: look at the path from the server to the client",
        shown=["syn_retransmission", "syn_ack_retransmission"], seconds=_cost(group),
        repetitions=sum(f.client["syn_retransmissions"] for f in group),
    )  # fmt: skip
    if not certain:
        finding.doubt("the answer may also have been slow, rather than lost")
    return finding


def _ack_lost(server: str, cases: Cases) -> Finding:
    group = _all(cases)
    finding = about(
        group, "handshake_ack_lost", "warning", "path",
        f"the handshake's last ACK of {times(len(group))} to {server} was lost: the client held the connection for "
        "open, the server repeated its SYN-ACK",
        "loss on the path from the client to the server; until then the server's program knows of no connection",
        shown=["syn_ack_retransmission"], by="server",
        repetitions=sum(f.server["syn_retransmissions"] for f in group),
    )  # fmt: skip
    finding.doubt(
        "a server with a full accept queue, or with deferred accept, ignores it in the same way"
        if "ignored" in cases else "the SYN-ACK may have been late, too"
    )  # fmt: skip
    return finding


def _overflow(server: str, cases: Cases) -> Finding:
    group = _all(cases)
    silent, same = cases.get("silent", []), cases.get("same", [])
    count, refused = sum(f.common["ignored"] for f in group), len(group) - len(silent) - len(same)
    said = []
    if refused:
        said.append(f"took no notice of {times(refused)} that clients had opened ({times(count, 'packet')} with data "
                    "ignored)")  # fmt: skip
    if silent:
        said.append(f"did not answer the SYNs of {times(len(silent))} at first, though they had arrived")
    if same:
        said.append(f"answered {times(len(same), 'other')} late")
    finding = about(
        group, "backlog_overflow", "error", "server",
        f"{server} " + " and ".join(said) + ": its accept queue was full",
        "the program accepts too slowly, or its backlog is too small: see ss -ltn (Recv-Q against Send-Q), "
        "nstat -az TcpExtListenOverflows, net.core.somaxconn",
        shown=["syn_ack_retransmission", "timeout_retransmission", "tail_loss_probe", "syn_retransmission"],
        ignored=count, unanswered=len(silent), late=len(same), earlier=_later(group),
    )  # fmt: skip
    if not refused:
        finding.doubt("a firewall on the server, or rate limiting, drops SYNs too")
    if same:
        finding.doubt("SYNs, or answers to them, may have been lost on the path as well")
    if "" in cases:
        finding.doubt("taken at the client or on the way, a capture cannot show that the packets arrived")
    return finding


def _later(group: list[Facts]) -> int:
    """Repetitions that have nothing to do with the queue: so many that they are worth a word."""
    count = sum(max(again(f.client) + again(f.server) - f.common["ignored"], 0) for f in group)
    return count if count >= FEW else 0


_TOLD: dict[str, Callable[[str, Cases], Finding]] = {
    "syn_lost": _syn_lost, "syn_ack_lost": _syn_ack_lost, "handshake_ack_lost": _ack_lost,
    "backlog_overflow": _overflow,
}  # fmt: skip


# ---------------------------------------------------------------- options


def _fast_open(server: str, group: list[Facts]) -> list[Finding]:
    """RFC 7413, 4.2: data in the SYN that had to be sent again cost the round trip that it was to save."""
    refused = [f for f in group if f.common["fast_open_outcome"] == layout.FAST_OPEN.index("refused")]
    if not refused:
        return []
    blocked = sum(f.client["syn_retransmissions"] > 0 for f in refused)
    return [about(
        refused, "fast_open_refused", "warning" if blocked else "note", "server" if not blocked else "path",
        f"{server} did not take the data in the SYN of {times(len(refused))} (Fast Open): it was sent again after "
        "the handshake" + (f"; in {blocked} the SYN with data got no answer at all, and one without did"
                           if blocked else ""),
        "the cookie is no longer valid, or Fast Open is off at the server (net.ipv4.tcp_fastopen)"
        + ("; a firewall drops SYNs with data" if blocked else ""),
        shown=["fast_open"], blocked=blocked,
    )]  # fmt: skip


def _stripped(server: str, group: list[Facts]) -> list[Finding]:
    """An option of the SYN-ACK that only a SYN with it allows: the server saw another SYN than the capture."""
    odd = []
    lost = 0
    for f in group:
        only = f.server["syn_options"] & ~f.client["syn_options"] & (OPT_WSCALE | OPT_SACK_PERMITTED | OPT_TIMESTAMPS)
        if only and f.common["syn_ack_ns"] > 0 and f.common["role_evidence"] == 0:
            odd.append(f)
            lost |= only
    if not odd:
        return []
    names = ", ".join(name for bit, name in _ANSWERED.items() if lost & bit)
    finding = about(
        odd, "options_stripped", "warning", "path",
        f"{server} answered {times(len(odd))} with options that the SYN does not have ({names}): something on the "
        "path changes them",
        "a firewall, proxy or accelerator rewrites TCP options: compare captures on both sides of it",
    )  # fmt: skip
    finding.doubt("a server that breaks the rule would look the same")
    return [finding]


def _no_mss(server: str, group: list[Facts]) -> list[Finding]:
    findings = []
    for side, peer in (("client", "server"), ("server", "client")):
        small = [
            f for f in group
            if f.side(side)["syn_packets"] and f.side(side)["mss"] < 0 and f.common["syn_ack_ns"] > 0
            and f.side(peer)["data_packets"] >= MANY_SEGMENTS
            and DEFAULT_MSS - MOST_OPTIONS <= f.side(peer)["max_segment"] <= DEFAULT_MSS
        ]  # fmt: skip
        if small:
            findings.append(about(
                small, "mss_missing", "warning", side,
                f"the {side} of {times(len(small))} with {server} announced no MSS, so the {peer} sends no more than "
                f"{max(f.side(peer)['max_segment'] for f in small)} bytes a segment",
                "an old stack, or something on the path that strips the option: a segment could carry 1,460 bytes",
            ))  # fmt: skip
    return findings
