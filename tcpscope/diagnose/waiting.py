"""Time that was spent waiting, and for whom: the network, the server's program, or the client's."""

from __future__ import annotations

from tcpscope.diagnose.facts import Facts, about, by_server, having, times, told, without
from tcpscope.diagnose.finding import CONFIDENCES, Finding
from tcpscope.diagnose.measure import HOST_NS, other, proved, round_trip, up_to
from tcpscope.tables.nearer import ONCE, acknowledged_nearer
from tcpscope.wire.layout import SERVICES

SLOW_HANDSHAKE_NS = 300_000_000  # a round trip beyond this is felt by everyone
LONG_POLL_NS = 10_000_000_000  # ns that a server may wait on purpose; proxies allow 30 to 60 s
SLOW_PROGRAM_NS = 500_000_000  # a pause of a program that people notice
REPEATED_NS = 3_500_000_000  # by then a server repeats its SYN-ACK; if it did not, the ACK is only missing here
VERY_SLOW_NS = 1_000_000_000
HTTP = SERVICES.index("http")
UNFINISHED = b"[unfinished]"  # at the end of a hint
# Services in which the server speaks when it is asked, and only then.
ANSWERING = frozenset({"http", "dns", "ftp", "smtp", "pop3", "mysql", "postgresql", "redis", "memcached", "ldap"})
MOSTLY_ANSWERING = frozenset({"tls", "http2", "imap", "mongodb", "smb", "dcerpc", "tds", "kafka"})
# ... and in which some commands wait on purpose.
WAITING = {"redis": "a command that waits on purpose (BLPOP, XREAD, WAIT) takes as long"}
# Services in which the server speaks first.
GREETING = frozenset({"ssh", "smtp", "ftp", "pop3", "imap", "mysql", "nntp", "vnc", "telnet"})


def span(ns: float) -> str:
    """`1.03 s`, `385 ms`."""
    return f"{ns / 1e9:.2f} s" if ns >= 1e9 else f"{ns / 1e6:.0f} ms"


def unfinished(f: Facts) -> bool:
    """Its request has only begun (`replay/services.pyx`): there was nothing to answer."""
    if f.common["service"] != HTTP or f.begun_before:
        return False
    return bool(f.common["client_hint"].rstrip(b"\0").endswith(UNFINISHED))


def waiting(found: list[Facts]) -> list[Finding]:
    """Slow opening, slow answers, slow requests: each told from the others by where the time went."""
    findings = []
    for server, group in by_server(found).items():
        findings += _handshake(server, having(group, "initial_rtt_ns", above=SLOW_HANDSHAKE_NS - 1))
        findings += _server(server, having(group, "server_reply_max_ns", above=SLOW_PROGRAM_NS - 1))
        findings += _greeting(server, having(group, "server_first_data_ns"))
        findings += _client(server, having(group, "client_first_data_ns"))
    return findings


def _severity(ns: float) -> str:
    return "warning" if ns >= VERY_SLOW_NS else "note"


def _by_its_ack(f: Facts) -> bool:
    """What ended the handshake in the capture was its ACK: no RST had come before, and no hole in what was captured."""
    rejected = 0 < f.common["reset_ns"] < f.common["ack_ns"]
    holes = any(it.time_ns <= f.common["ack_ns"] for role in ("client", "server")
                for name in ("lost_segment", "ack_lost_segment") for it in f.seen(name, role))  # fmt: skip
    return not rejected and not holes and f.common["ack_rtt_ns"] < REPEATED_NS


def _why_slow(f: Facts, side: str, took: int) -> str:
    later = f.side(other(side))["rtt_min_ns"]  # what the other sends, the side acknowledges
    if side == "server" and _acked_nearer(f):
        return (
            "a long path, and a box near the capture that acknowledges in the server's stead (a proxy, a VPN, a "
            f"virtual machine's NAT): ACKs came within {span(later)}, answers did not; or its host was busy"
        )
    if 0 < later * ONCE < took:
        lost = "its ACK was lost, and what it sent next stood in for it" if side == "client" else "its SYN-ACK was late"
        return (f"not the path: later the {side} answered within {span(later)}; {lost}, or its host was busy: no "
                "program takes part in this")  # fmt: skip
    return f"a long or congested path, or a busy host, on the {side}'s side: no program takes part in this"


def _handshake(server: str, group: list[Facts]) -> list[Finding]:
    slow = [f for f in group if f.common["initial_rtt_ns"] >= SLOW_HANDSHAKE_NS and f.common["ack_ns"] > 0
            and (f.states[1] != "CLOSED" or f.server["dwell_established_ns"] + f.server["dwell_close_wait_ns"] > 0)
            and not f.client["syn_retransmissions"]
            and not f.server["syn_retransmissions"] and _by_its_ack(f)]  # fmt: skip
    if not slow:
        return []
    worst = max(slow, key=lambda f: f.common["initial_rtt_ns"])
    there, here = max(worst.common["syn_rtt_ns"], 0), max(worst.common["ack_rtt_ns"], 0)
    side = "server" if there >= here else "client"
    return [about(
        slow, "slow_handshake", _severity(worst.common["initial_rtt_ns"]), "path",
        f"the handshake of {times(len(slow))} with {server} took {up_to(slow)}{span(worst.common['initial_rtt_ns'])}: "
        f"{span(there)} on the server's side of the capture point, {span(here)} on the client's",
        _why_slow(worst, side, max(there, here)),
        milliseconds=worst.common["initial_rtt_ns"] / 1e6, server_side=there / 1e6, client_side=here / 1e6,
    )]  # fmt: skip


def _acked_nearer(f: Facts) -> bool:
    """A box near the capture may acknowledge in the server's stead."""
    return acknowledged_nearer(f.common["syn_rtt_ns"], f.client["rtt_min_ns"], f.server["reply_mean_ns"])


def _network_ns(f: Facts) -> int:
    """A round trip from the capture point to the server, as far as it is known."""
    shortest = f.client["rtt_min_ns"]
    return int(max(f.common["syn_rtt_ns"] if shortest < 0 or _acked_nearer(f) else shortest, 0))


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
    late = [f for f in group if _late_reply(f) >= SLOW_PROGRAM_NS and not unfinished(f)]
    unseen = [f for f in late if f.server["reply_max_skipped"] and f.point != "server"]
    lost = _lost_unseen(server, "server", unseen, max(map(_late_reply, unseen), default=0), "reply_max_")
    late = without(late, unseen)
    if not late:
        return lost
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
    for service, why in WAITING.items():
        if any(told(f.common["service"], b"")[1] == service for f in slow):
            finding.doubt(why)
    if certainty == "certain" and took >= LONG_POLL_NS:
        finding.doubt("who asks for news that are yet to come waits as long (a long poll)")
    if any(f.common["time_timeout_ns"] > f.server["reply_max_ns"] // 2 for f in slow):
        finding.doubt("packets of the same connections were lost: the answer, or the request, may have been among them")
    return [finding, *lost]


def _lost_unseen(server: str, side: str, group: list[Facts], took: int, what: str) -> list[Finding]:
    """What this side said came late because its earlier copies were lost before they came here."""
    if not group:
        return []
    lost = times(count := sum(f.side(side)[f"{what}skipped"] for f in group), "packet")
    finding = proved(about(
        group, "lost_unseen", _severity(took), "path",
        f"what the {side} said came up to {span(took)} late in {times(len(group))} with {server}: {lost} "
        f"{'was' if count == 1 else 'were'} lost before the capture point, as its IP identifications show",
        f"look for the loss between the {side} and the capture point, not at the program; a capture on the {side}'s "
        "host shows it",
        milliseconds=took / 1e6, packets=count,
    ), [f.side(side)[f"{what}frame"] for f in group])  # fmt: skip
    finding.doubt(
        "a host that counts the packets of all its connections together may have sent the others elsewhere",
        "likely" if side == "server" else "possible",  # a person may type the client's first words
    )
    return [finding]


def _pause(f: Facts, speaker: str) -> int:
    """From the handshake's end to the first data of that side, where it speaks first; ns, 0: not so."""
    first, others = f.side(speaker)["first_data_ns"], f.side(other(speaker))["first_data_ns"]
    opened = max(f.common["ack_ns"], f.common["start_ns"] + f.common["initial_rtt_ns"])
    if first < 0 or f.common["initial_rtt_ns"] < 0 or 0 <= others < first:
        return 0
    return int(first - opened)


def _repeated_at_first(f: Facts) -> bool:
    """Behind the client's first data more is missing that it had sent: that was its repetition, the first was lost."""
    first = f.client["first_data_ns"]
    soon = first + 2 * round_trip(f) + HOST_NS
    return f.point != "client" and any(first < it.time_ns <= soon for it in f.seen("lost_segment", "client"))


def _greeted_late(f: Facts) -> int:
    """How long a client waited for the server's greeting, beyond a round trip; ns, 0: it got lost, or there is none."""
    frame = f.server["first_data_frame"]
    if told(f.common["service"], b"")[1] not in GREETING or any(
        it.frame == frame for name in ("lost_segment", "retransmission") for it in f.seen(name, "server")
    ):
        return 0
    return _pause(f, "server") - _network_ns(f)


def _greeting(server: str, group: list[Facts]) -> list[Finding]:
    slow = [f for f in group if _greeted_late(f) >= SLOW_PROGRAM_NS]
    if not slow:
        return []
    took = max(map(_greeted_late, slow))
    return [proved(about(
        slow, "slow_greeting", _severity(took), "server",
        f"{server} kept {times(len(slow))} waiting {up_to(slow)}{span(took)} for its first word",
        "here the server speaks first; see what it does before: a look-up of the client's name (DNS, ident), "
        "a delay on purpose against spam, or a program that is busy",
        milliseconds=took / 1e6,
    ), [frame for f in slow for frame in (f.frame, f.server["first_data_frame"])])]  # fmt: skip


def _client(server: str, group: list[Facts]) -> list[Finding]:
    slow = [f for f in group if _pause(f, "client") >= SLOW_PROGRAM_NS and not _repeated_at_first(f)]
    unseen = [f for f in slow if f.client["first_data_skipped"] and f.point != "client"]
    waited = max((_pause(f, "client") for f in unseen), default=0)
    lost = _lost_unseen(server, "client", unseen, waited, "first_data_")
    slow = without(slow, unseen)
    if not slow:
        return lost
    worst = max(_pause(f, "client") for f in slow)
    return [*lost, proved(about(
        slow, "slow_client", "note", "client",
        f"the client opened {times(len(slow))} to {server} and then waited {up_to(slow)}{span(worst)} before it sent "
        "anything",
        "the program on the client was busy, or opens connections in advance: neither network nor server delayed it",
        milliseconds=worst / 1e6,
    ), [frame for f in slow for frame in (f.frame, f.client["first_data_frame"])])]  # fmt: skip
