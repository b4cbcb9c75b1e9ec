"""Time that was spent waiting, and for whom: the network, the server's program, or the client's."""

from __future__ import annotations

from tcpscope.diagnose.facts import Facts, about, by_server, times, told
from tcpscope.diagnose.finding import CONFIDENCES, Finding
from tcpscope.diagnose.measure import proved

SLOW_HANDSHAKE_NS = 300_000_000  # a round trip beyond this is felt by everyone
SLOW_PROGRAM_NS = 500_000_000  # a pause of a program that people notice
REPEATED_NS = 3_500_000_000  # by then a server repeats its SYN-ACK; if it did not, the ACK is only missing here
VERY_SLOW_NS = 1_000_000_000
# Services in which the server speaks when it is asked, and only then.
ANSWERING = frozenset({"http", "dns", "ftp", "smtp", "pop3", "mysql", "postgresql", "redis", "memcached", "ldap"})
MOSTLY_ANSWERING = frozenset({"tls", "http2", "imap", "mongodb", "smb", "dcerpc", "tds", "kafka"})


def span(ns: float) -> str:
    """`1.03 s`, `385 ms`."""
    return f"{ns / 1e9:.2f} s" if ns >= 1e9 else f"{ns / 1e6:.0f} ms"


def waiting(found: list[Facts]) -> list[Finding]:
    """Slow opening, slow answers, slow requests: each told from the others by where the time went."""
    findings = []
    for server, group in by_server(found).items():
        findings += _handshake(server, group)
        findings += _server(server, group)
        findings += _client(server, group)
    return findings


def _severity(ns: float) -> str:
    return "warning" if ns >= VERY_SLOW_NS else "note"


def _by_its_ack(f: Facts) -> bool:
    """What ended the handshake in the capture was its ACK: no RST had come before, and no hole in what was captured."""
    rejected = 0 < f.common["reset_ns"] < f.common["ack_ns"]
    holes = any(it.time_ns <= f.common["ack_ns"] for role in ("client", "server")
                for name in ("lost_segment", "ack_lost_segment") for it in f.seen(name, role))  # fmt: skip
    return not rejected and not holes and f.common["ack_rtt_ns"] < REPEATED_NS


def _handshake(server: str, group: list[Facts]) -> list[Finding]:
    slow = [f for f in group if f.common["initial_rtt_ns"] >= SLOW_HANDSHAKE_NS and not f.client["syn_retransmissions"]
            and not f.server["syn_retransmissions"] and _by_its_ack(f)]  # fmt: skip
    if not slow:
        return []
    worst = max(slow, key=lambda f: f.common["initial_rtt_ns"])
    there, here = max(worst.common["syn_rtt_ns"], 0), max(worst.common["ack_rtt_ns"], 0)
    side = "server" if there >= here else "client"
    return [about(
        slow, "slow_handshake", _severity(worst.common["initial_rtt_ns"]), "path",
        f"the handshake of {times(len(slow))} with {server} took up to {span(worst.common['initial_rtt_ns'])}: "
        f"{span(there)} on the server's side of the capture point, {span(here)} on the client's",
        f"a long or congested path, or a busy host, on the {side}'s side: no program takes part in this",
        milliseconds=worst.common["initial_rtt_ns"] / 1e6, server_side=there / 1e6, client_side=here / 1e6,
    )]  # fmt: skip


def _network_ns(f: Facts) -> int:
    """A round trip from the capture point to the server, as far as it is known."""
    return int(max(f.client["rtt_min_ns"], f.common["syn_rtt_ns"] if f.client["rtt_min_ns"] < 0 else 0, 0))


def _late_reply(f: Facts) -> int:
    """The longest that the client waited for an answer, beyond the network's round trip; ns, 0: it had been lost.

    Where the first that is seen of an answer is not its beginning, or a repetition, it had been sent before.
    """
    again = ("lost_segment", "retransmission")
    if any(it.frame == f.server["reply_max_frame"] for name in again for it in f.seen(name, "server")):
        return 0
    return int(f.server["reply_max_ns"] - _network_ns(f))


def _certainty(f: Facts) -> str:
    """How sure it is that what the server said at last was an answer, and not news that it had to tell just then."""
    service = told(f.common["service"], b"")[1]
    first = f.server["first_data_ns"] - f.client["first_data_ns"] - _network_ns(f)
    if service in ANSWERING or (f.client["first_data_ns"] >= 0 and first >= SLOW_PROGRAM_NS):
        return "certain"
    return "likely" if service in MOSTLY_ANSWERING else "possible"


def _server(server: str, group: list[Facts]) -> list[Finding]:
    late = [f for f in group if _late_reply(f) >= SLOW_PROGRAM_NS]
    if not late:
        return []
    certainty = min(map(_certainty, late), key=CONFIDENCES.index)
    slow = [f for f in late if _certainty(f) == certainty]
    worst = max(slow, key=_late_reply)
    took, network = worst.server["reply_max_ns"], _network_ns(worst)
    finding = about(
        slow, "slow_server", _severity(took - network) if certainty != "possible" else "note", "server",
        f"{server} took up to {span(took)} to answer in {times(len(slow))}, "
        f"of which the network accounts for {span(network)}",
        "the request had arrived: look at the program on the server and what it waits for, not at the network",
        milliseconds=took / 1e6, network=network / 1e6,
    )  # fmt: skip
    finding.frames = [f.server["reply_max_frame"] for f in sorted(slow, key=lambda f: -_late_reply(f))][:20]
    if certainty != "certain":
        finding.doubt("it may be no answer, but news that the server had to tell just then", certainty)
    if any(f.common["time_timeout_ns"] > f.server["reply_max_ns"] // 2 for f in slow):
        finding.doubt("packets of the same connections were lost: the answer, or the request, may have been among them")
    return [finding]


def _pause(f: Facts) -> int:
    """From the handshake's end to the client's first data, where the client speaks first; 0: not so."""
    first = f.client["first_data_ns"]
    opened = max(f.common["ack_ns"], f.common["start_ns"] + f.common["initial_rtt_ns"])
    if first < 0 or f.common["initial_rtt_ns"] < 0 or 0 <= f.server["first_data_ns"] < first:
        return 0
    return int(first - opened)


def _client(server: str, group: list[Facts]) -> list[Finding]:
    slow = [f for f in group if _pause(f) >= SLOW_PROGRAM_NS]
    if not slow:
        return []
    worst = max(map(_pause, slow))
    return [proved(about(
        slow, "slow_client", "note", "client",
        f"the client opened {times(len(slow))} to {server} and then waited up to {span(worst)} before it sent anything",
        "the program on the client was busy, or opens connections in advance: neither network nor server delayed it",
        milliseconds=worst / 1e6,
    ), [frame for f in slow for frame in (f.frame, f.client["first_data_frame"])])]  # fmt: skip
