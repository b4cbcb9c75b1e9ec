"""Why a connection was reset, told from what the RST looks like and from what there was before it.

RFC 9293, 3.5.2 (who sends a RST), 3.10.7 (what answers what), 3.6 (close with unread data), RFC 5961 (challenge ACKs).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from tcpscope.diagnose.facts import Collected, Facts, about, by_server, having, times, told, without
from tcpscope.diagnose.finding import Finding
from tcpscope.diagnose.measure import other, round_trip, seconds, up_to
from tcpscope.diagnose.schedules import probing
from tcpscope.replay import layout
from tcpscope.replay.record import Record

# course.RESET_
ACK, EXACT, NO_SOCKET, OWN_FIN, PEER_FIN, PROBED = 0x001, 0x002, 0x004, 0x008, 0x010, 0x020
PROMPTED, OPENING, UNREAD, UNDELIVERED, IN_FLIGHT, SPOKE = 0x040, 0x080, 0x100, 0x200, 0x400, 0x800
STRANGE_ID, REPLACED, FIN_ALONE = 0x1000, 0x2000, 0x4000

IDLE_NS = 10_000_000_000  # a silence after which a box on the path may have forgotten the connection
AT_ONCE_NS = 3_000_000_000  # ... and the RST is what came of speaking again
KEPT_NS = 1_000_000_000  # no server's limit for an idle connection is shorter
SEGMENT = 1460  # bytes; of more some may have been read
FAREWELL = 100  # bytes after a close that are no more than a good-bye (TLS close_notify)
MOMENT_NS = 1_000_000  # what was sent before does not come so late
SILENCE_NS = 50_000_000  # on top of two round trips, what answers a packet has come
FELT_NS = 200_000_000  # a wait that people notice
HOPS = 2  # routers more or less: another host
STARTS = (32, 64, 128, 255)  # TTLs that hosts begin with
START_OF = [next(it for it in STARTS if ttl <= it) for ttl in range(256)]  # the one that a packet's host began with
HOPS_OF = [start - ttl for ttl, start in enumerate(START_OF)]  # routers that it has passed since

# Services whose clients say good-bye and are not answered: LDAP's unbind, MySQL's quit, TLS's close_notify …
PARTING = frozenset({"ldap", "mysql", "postgresql", "mqtt", "ssh", "tls"})

Told = Callable[[str, str, list[Facts], int], list[Finding]]


def apart(f: Facts) -> int:
    """How many routers more or less the RST has passed than its sender's first packet."""
    usual = f.side(f.reset_by or "client")["ttl"]
    return abs(HOPS_OF[f.common["reset_ttl"]] - HOPS_OF[usual]) if usual > 0 else 0


def nearer(f: Facts) -> bool:
    """The RST has passed fewer routers than its sender's packets: a device on their way sends what they cannot."""
    usual, ttl = f.side(f.reset_by or "client")["ttl"], f.common["reset_ttl"]
    return bool(0 < usual < ttl and START_OF[usual] == START_OF[ttl])


def elsewhere(f: Facts) -> bool:
    """The RST came from another distance than its sender's packets; one router more may be the path's."""
    routers = apart(f)
    return routers >= HOPS or nearer(f) or (routers > 0 and bool(f.common["reset_bits"] & (STRANGE_ID | SPOKE)))


def outlived(f: Facts) -> bool:
    """It had come through silences as long as the latest, again and again."""
    return any(0.9 * f.common["pause_ns"] <= side["heartbeat_ns"] for side in (f.client, f.server))


def idle_before(f: Facts) -> float:
    """Seconds of silence after which the first word, or the RST itself, ended the connection; 0: it was not so."""
    c = f.common
    if c["pause_ns"] < IDLE_NS or not 0 <= c["reset_ns"] - c["pause_end_ns"] <= AT_ONCE_NS:
        return 0.0
    if outlived(f):
        return 0.0
    unasked = c["pause_end_ns"] == c["reset_ns"]
    if c["reset_bits"] & (OWN_FIN | PEER_FIN) or (unasked and f.reset_by == "client" and not elsewhere(f)):
        return 0.0  # a client that has enough of waiting
    if c["pause_end_ns"] < c["reset_ns"] and layout.ROLES[c["pause_by"]] == f.reset_by:
        return 0.0  # who spoke first had not forgotten the connection
    return float(c["pause_ns"]) / 1e9


def gave_up(f: Facts) -> bool:
    """The RST is the end of a round of keep-alive probes that nobody answered."""
    by = f.reset_by
    if f.close != "reset" or by is None or f.common["reset_bits"] & PROMPTED:
        return False
    return bool(f.side(by)["keep_alive_lost"] > 0 and f.side(other(by))["last_ns"] < f.side(by)["last_ns"])


def _data_met_it(f: Facts) -> bool:
    """Data were on their way when the RST left: each packet of them was answered by another."""
    by = f.reset_by or "client"
    since = f.common["reset_ns"] - 2 * round_trip(f) - MOMENT_NS
    return bool(f.side(by)["rst_packets"] > 2 and f.side(other(by))["last_data_ns"] >= since)  # not ACKs alone


def _unprompted(f: Facts) -> bool:
    """What the other side had sent last had come long before the RST left."""
    quiet = f.common["reset_ns"] - f.side(other(f.reset_by or "client"))["last_ns"]
    return bool(quiet > 2 * round_trip(f) + SILENCE_NS)


def _undelivered(f: Facts) -> bool:
    """Data of the other side were on their way to the RST's sender; no more than a FIN does not count."""
    return bool(f.common["reset_bits"] & UNDELIVERED) and not f.common["reset_bits"] & FIN_ALONE


def _arrived(sent: Record) -> bool:
    """All data that a side sent was acknowledged, be it after its RST: each segment gave a round trip, as the SYN did.

    An ACK gives one only where it ends at a segment's end, and one at most.
    """
    return bool(
        sent["rtt_samples"] > sent["data_packets"] or 0 <= sent["unique_bytes"] <= max(sent["acked_segment"], 0)
    )


def _in_flight(f: Facts) -> bool:
    """Data of the RST's sender, and not its FIN alone, were not acknowledged."""
    return bool(f.common["reset_bits"] & IN_FLIGHT) and not _arrived(f.side(f.reset_by or "client"))


def _under_way(f: Facts) -> bool:
    """Data of either side were not acknowledged when the RST came; where one side alone was captured nothing is."""
    return not f.common["one_direction"] and (_undelivered(f) or _in_flight(f))


def _parted(f: Facts) -> bool:
    """The client had been answered, and closed behind its last words: in such a service they were its farewell."""
    service = told(f.common["service"], b"")[1]
    return bool(service in PARTING and f.common["reset_bits"] & PEER_FIN and f.server["data_packets"])


def kind_of(f: Facts) -> str:
    """Which finding the RST of this connection is; "": none worth a word."""
    bits, by = f.common["reset_bits"], f.reset_by
    if by is None:
        return ""
    if f.close not in ("reset", "fin", "half_closed", "open"):
        return ""
    if f.close != "reset" and f.common["reset_ns"] < f.common["syn_ack_ns"]:
        return ""  # it refused a SYN, and not the next one
    if bits & SPOKE and not bits & (OPENING | OWN_FIN):
        if not bits & NO_SOCKET and (bits & EXACT or f.close != "reset"):
            return "reset_injected"
        if f.side(by)["last_data_ns"] > f.common["reset_ns"] + MOMENT_NS:
            return "reset_injected"  # who has no socket has no data
    if f.close != "reset" or gave_up(f):
        return ""
    if bits & OPENING and f.common["syn_ack_ns"] > 0 and by == "client":
        return "handshake_reset"
    if idle_before(f) and not bits & PROBED:
        return "idle_timeout"
    if elsewhere(f) and not bits & OPENING:
        return "reset_injected"
    if bits & PROBED and bits & OWN_FIN:
        return "reset_after_close"
    if bits & PROBED:
        return "peer_rebooted"
    late = f.side(other(by))["after_fin_bytes"]
    if bits & OWN_FIN and bits & ACK and not bits & (PROMPTED | UNDELIVERED | PEER_FIN) and _data_met_it(f):
        return "reset_unread"
    if bits & OWN_FIN and late and not bits & (PROMPTED | UNDELIVERED):
        return "reset_abort"  # an open socket took it in, and acknowledged it
    if bits & OWN_FIN and (late or (bits & UNDELIVERED and not bits & FIN_ALONE)):
        return "reset_after_close"
    if bits & OWN_FIN and bits & ACK and not bits & (PEER_FIN | UNDELIVERED) and bits & PROMPTED and _unprompted(f):
        return "reset_abort"  # close() after shutdown(), with data unread
    if bits & OWN_FIN:
        return "reset_abort" if bits & ACK and not bits & (PROMPTED | PEER_FIN) else ""
    if bits & NO_SOCKET and bits & PROMPTED and (not bits & PEER_FIN or bits & UNDELIVERED):
        return "reset_half_open"
    ignored = bool(bits & UNREAD) and by == "server" and not _parted(f)  # the client had asked last
    undelivered = _undelivered(f)
    crossed = bool(bits & ACK and bits & FIN_ALONE)  # it does not acknowledge the FIN: which had not come
    if bits & PEER_FIN and not undelivered and not crossed and not (ignored and bits & ACK):
        return "reset_at_close"
    if bits & ACK and bits & EXACT:
        spoke_since = bits & IN_FLIGHT and bits & UNREAD  # and may not have been heard
        full = f.side(by)["zero_window_open_ns"] > 0  # of what it had not read
        if f.side(other(by))["data_packets"] and (undelivered or ignored or spoke_since or full or _data_met_it(f)):
            return "reset_unread"
        return "reset_abort"
    return "reset"


def resets(found: Collected) -> list[Finding]:
    """Connections that a RST ended, by service, by why, and by who sent it."""
    findings = []
    for server, group in by_server(having(found.facts, "reset_ns", "rst_packets")).items():
        kinds: dict[tuple[str, str], list[Facts]] = defaultdict(list)
        for f in group:
            if kind := kind_of(f):
                kinds[kind, f.reset_by or ""].append(f)
        beyond = {side: found.more(server, "reset", side) for side in ("client", "server")}
        for (kind, side), members in kinds.items():
            more = beyond.pop(side, 0) if kind == "reset" or all(it[1] != side for it in list(kinds)[1:]) else 0
            findings += _TOLD[kind](server, side, members, more)
    return findings


def _frames(group: list[Facts]) -> list[int]:
    """The RSTs themselves."""
    return [f.common["reset_frame"] for f in group[:20]]


def _finding(group: list[Facts], id: str, severity: str, side: str, text: str, advice: str, more: int = 0,
             **numbers: float) -> Finding:  # fmt: skip
    finding = about(group, id, severity, side, text, advice, more=more)
    finding.frames, finding.numbers = _frames(group), numbers
    return finding


def _seen_before(f: Facts) -> bool:
    """There is more of it in the capture than its end."""
    return bool(f.client["packets"] + f.server["packets"] > 2)


def _plain(server: str, side: str, group: list[Facts], more: int) -> list[Finding]:
    return [_finding(
        group, "reset", "warning" if more or any(map(_seen_before, group)) else "note", side,
        f"the {side} reset {times(len(group) + more)} with {server}",
        f"an abort, data that came after its close, or a socket it no longer has: see the {side}'s program",
        more=more,
    )]  # fmt: skip


def _injected(server: str, side: str, group: list[Facts], more: int) -> list[Finding]:
    went_on = [f for f in group if f.common["reset_bits"] & SPOKE]
    far = [f for f in group if elsewhere(f)]
    strange = sum(bool(f.common["reset_bits"] & STRANGE_ID) for f in group)
    signs = []
    if went_on:
        signs.append(f"the {side} itself went on talking in {len(went_on):,}")
    if far:
        one = far[0]
        signs.append(f"its TTL is {one.common['reset_ttl']}, not the {side}'s {one.side(side)['ttl']}"
                     + (": it comes from nearer" if nearer(one) else ""))  # fmt: skip
    if strange:
        signs.append(f"its IP ID does not continue the {side}'s")
    finding = _finding(
        group, "reset_injected", "warning", "path",
        f"a RST in the {side}'s name {_effect(group)} {times(len(group))} with {server}, "
        + ("but" if _effect(group) == "ended" else "and") + " was likely sent by something else: " + "; ".join(signs),
        "a firewall, load balancer or intrusion filter on the path resets connections: ask who runs it",
        more, went_on=len(went_on), other_ttl=len(far),
    )  # fmt: skip
    if not went_on:
        finding.doubt("a host may send its RST with another TTL than its data")
        if all(apart(f) < HOPS for f in far):
            finding.doubt("the path may have become shorter by a router meanwhile")
    elif not far:
        finding.doubt("from the same distance: a socket of the host itself, or a device beside it")
    return [finding]


def _effect(group: list[Facts]) -> str:
    """What came of the RSTs: a host that finds one doubtful asks first (RFC 5961, 3.2)."""
    ended = sum(f.close == "reset" for f in group)
    return "ended" if ended == len(group) else "came to" if ended else "was refused in"


def _handshake(server: str, side: str, group: list[Facts], more: int) -> list[Finding]:
    late = sum(f.common["syn_rtt_ns"] >= 1_000_000_000 for f in group)
    return [_finding(
        group, "handshake_reset", "note", "client",
        f"the client answered the SYN-ACK of {times(len(group))} to {server} with RST: it no longer wanted it"
        + (f" ({late:,} had waited a second or more)" if late else ""),
        "a half-open scan, a program that gave up before the answer came, or a health check that only knocks",
        more, late=late,
    )]  # fmt: skip


def _rebooted(server: str, side: str, group: list[Facts], more: int) -> list[Finding]:
    probes = group[0].side(other(side))
    idle = probes["keep_alive_idle_ns"] / 1e9
    profile = probing(idle, probes["keep_alive_interval_ns"] / 1e9, probes["keep_alive_rounds"])
    return [_finding(
        group, "peer_rebooted", "error", side,
        f"the {side} no longer knew {times(len(group))} with {server}: it answered a keep-alive probe, sent after "
        f"{idle:,.0f} s of silence" + (f" ({profile})" if profile else "") + ", with RST",
        f"the {side}'s machine or program was restarted, or something on the path forgot the connection",
        more, idle=idle,
    )]  # fmt: skip


def _idle(server: str, side: str, group: list[Facts], more: int) -> list[Finding]:
    seconds = sorted(map(idle_before, group))
    least, most = seconds[0], seconds[-1]
    span = f"{least:,.0f} s" if most - least < 1 else f"{least:,.0f} to {most:,.0f} s"
    unasked = sum(not f.common["reset_bits"] & PROMPTED or f.common["pause_end_ns"] == f.common["reset_ns"]
                  for f in group)  # fmt: skip
    finding = _finding(
        group, "idle_timeout", "warning", "path",
        f"{times(len(group))} with {server} stood idle for {span} and then met RST from the {side}'s side"
        + ("" if unasked else " at the first word"),
        f"a load balancer, NAT or firewall (or the {side}) forgets idle connections after {least:,.0f} s or less: "
        "send keep-alives more often than that, or close idle connections sooner",
        more, idle=least, longest=most,
    )  # fmt: skip
    if not any(elsewhere(f) for f in group):
        finding.doubt(f"the {side} itself may have such a limit, or have been restarted meanwhile")
    return [finding]


def _after_close(server: str, side: str, group: list[Facts], more: int) -> list[Finding]:
    peer = other(side)
    late = max(f.side(peer)["after_fin_bytes"] for f in group)
    crossed = [f for f in group if f.common["reset_bits"] & UNDELIVERED and not f.side(peer)["after_fin_bytes"]]
    if not late and crossed:
        text = (f"the {side} closed {times(len(crossed) + more)} with {server} while data of the {peer} were on their "
                "way to it: they met RST")  # fmt: skip
        if all(map(_asked_anew, crossed)):
            return [_finding(
                crossed, "reset_after_close", "warning", side, f"{text}, and no answer came",
                f"a race that every kept connection can lose: the {peer} should send it again on a new one, and give "
                f"up idle connections sooner than the {side} does",
                more, bytes=0, crossed=len(crossed),
            )]  # fmt: skip
        return [_finding(
            crossed, "reset_after_close", "note" if side == "client" else "warning", side, text,
            f"the {side} closed before it had read to the end: harmless where it wanted no more (a download broken "
            "off, the end of a measurement)",
            more, bytes=0, crossed=len(crossed),
        )]  # fmt: skip
    if not late:
        return [_finding(
            group, "reset_after_close", "note", side,
            f"the {side} had closed {times(len(group) + more)} with {server} and forgotten it when the {peer}, which "
            "had not closed, sent a keep-alive probe: it answered with RST",
            f"harmless: nothing was under way; the {peer}'s program could have closed when the {side} did",
            more, bytes=0,
        )]  # fmt: skip
    return [_finding(
        group, "reset_after_close", "warning" if late > FAREWELL or any(map(_asks, group)) else "note", side,
        f"the {side} had closed {times(len(group) + more)} with {server} when {up_to(group)}{late:,} bytes more came "
        f"from the {peer}: {'in the end ' if late > SEGMENT else ''}it answered with RST",
        f"the {side} closed before it had read to the end, or the {peer} wrote to a connection that was closed to it",
        more, bytes=late,
    )]  # fmt: skip


def _asked_anew(f: Facts) -> bool:
    """The server closed when it had answered, and the client asked anew, both at once.

    Where the client asks and is answered, its requests of a segment each, no pause need tell it from a sender that was
    cut off.
    """
    asked, answered = f.client["last_data_ns"], f.server["last_data_ns"]
    anew = asked > answered and _asks(f) and f.client["max_segment"] < SEGMENT and f.common["reset_bits"] & UNREAD
    return bool(f.reset_by == "server" and answered >= 0 and (asked - answered >= KEPT_NS or anew)
                and 0 <= f.common["reset_ns"] - asked <= AT_ONCE_NS)  # fmt: skip


def _asks(f: Facts) -> bool:
    """What the client says, however short, is a request: HTTP knows no farewell."""
    return f.reset_by == "server" and told(f.common["service"], b"")[1] == "http"


def _at_close(server: str, side: str, group: list[Facts], more: int) -> list[Finding]:
    finding = _finding(
        group, "reset_at_close", "note", side,
        f"the {side} answered the close of {times(len(group) + more)} with {server} by RST instead of FIN; "
        + ("nothing was under way" if not any(f.common["reset_bits"] & IN_FLIGHT for f in group) else
           f"it had all that the {other(side)} had said"),
        f"the {side}'s program aborts (SO_LINGER 0) where it could close: harmless, but there is no TIME_WAIT",
        more,
    )  # fmt: skip
    if any(f.side(other(side))["unique_bytes"] > 0 for f in group):
        finding.doubt("a close with data unread looks the same")
    return [finding]


def _half_open(server: str, side: str, group: list[Facts], more: int) -> list[Finding]:
    peer = other(side)
    anew = [f for f in group if f.common["reset_bits"] & REPLACED]
    if len(anew) == len(group):
        text = (f"the {side} no longer knew {times(len(group))} with {server} and opened the same ports again: the "
                f"{peer}'s challenge ACK met RST, which ended what it still held")  # fmt: skip
    else:
        text = (f"the {side} no longer knew {times(len(group) + more)} with {server}: the {peer} went on talking and "
                "met RST (a half-open connection)")  # fmt: skip
    finding = _finding(
        group, "reset_half_open", "warning", side, text,
        f"the {side}'s machine or program was restarted or killed without a word, or something on the path forgot the "
        "connection",
        more, reopened=len(anew),
    )  # fmt: skip
    if any(f.side(side)["back_off_open"] > 1 for f in group):
        finding.doubt(f"what the {side} repeated had long met no answer: it may have given up (TCP_USER_TIMEOUT, or a "
                      "timer of its program)")  # fmt: skip
    if not anew:
        finding.doubt("a program that closes with data on its way leaves the same trace")
    if any(0 < f.side(side)["syn_packets"] == f.side(side)["packets"] - f.side(side)["rst_packets"] for f in group):
        finding.doubt("it had answered nothing but the SYN: with a full accept queue it may never have had it")
    return [finding]


def _of(some: list[Facts], group: list[Facts]) -> str:
    """How many of a group, if not all."""
    return f" in {len(some):,} of them" if len(some) < len(group) else ""


def _unread(server: str, side: str, group: list[Facts], more: int) -> list[Finding]:
    peer = other(side)
    lost = [f for f in group if _under_way(f) or _data_met_it(f)]
    text = f"the {side} aborted {times(len(group) + more)} with {server}"
    shut = sum(f.side(side)["zero_window_ns"] > 0 for f in group)
    if shut:
        text += f" with data unread: its window was closed in {shut:,}"
    else:
        under_way = f" while data was under way{_of(lost, group)}"
        text += under_way if lost else f" with the {peer}'s last request unanswered"
    finding = _finding(
        group, "reset_unread", "warning", side, text,
        f"the program on the {side} closed without reading what had come, or was killed: see its log",
        more, lost=len(lost),
    )  # fmt: skip
    finding.doubt("SO_LINGER 0 looks the same as a close with data unread")
    if not lost and not shut:
        finding.doubt("the last words may have been a farewell, which asks for no answer")
    return [finding]


def _unasked(f: Facts) -> int:
    """ns that a client waited for a first answer until it aborted; 0: it was not so."""
    asked = f.client["last_data_ns"]
    if f.reset_by != "client" or asked < 0 or f.server["data_packets"] or f.common["one_direction"]:
        return 0
    return int(f.common["reset_ns"] - asked)


def _abort(server: str, side: str, group: list[Facts], more: int) -> list[Finding]:
    waited = [f for f in group if _unasked(f) >= FELT_NS and not _under_way(f)]
    if not waited:
        return _aborted(server, side, group, more)
    took = max(map(_unasked, waited))
    told = _finding(
        waited, "reset_abort", "warning", "server",
        f"the client ended {times(len(waited))} with {server} by RST: {up_to(waited)}{seconds(took)} after it had "
        "asked, and no answer had come",
        "it gave up (a time-out of its program): look at what the program on the server does so long",
        waited=took / 1e9,
    )  # fmt: skip
    rest = without(group, waited)
    return [told, *(_aborted(server, side, rest, more) if rest else [])]


def _aborted(server: str, side: str, group: list[Facts], more: int) -> list[Finding]:
    lost = [f for f in group if _under_way(f)]
    unknown = any(f.common["one_direction"] for f in group)
    silent = not unknown and not any(f.client["data_packets"] + f.server["data_packets"] for f in group)
    finding = _finding(
        group, "reset_abort", "warning" if lost else "note", side,
        f"the {side} ended {times(len(group) + more)} with {server} by RST "
        + ("after its FIN" if all(f.common["reset_bits"] & OWN_FIN for f in group) else "instead of FIN")
        + (f"; data was under way{_of(lost, group)}, and may be lost" if lost else
           "; nothing had been said" if silent else "" if unknown else "; all data was acknowledged"),
        "a health check that only knocks, or a proxy that accepts for a service that is not there" if silent else
        "SO_LINGER 0, or a program that ended" + (": it does not wait until what it sent has arrived" if lost else
        " with its last answer unread: harmless unless the peer expects more"),
        more,
    )  # fmt: skip
    finding.doubt("whether something was left unread cannot be seen")
    return [finding]


_TOLD: dict[str, Told] = {
    "reset": _plain, "reset_injected": _injected, "handshake_reset": _handshake, "peer_rebooted": _rebooted,
    "idle_timeout": _idle, "reset_after_close": _after_close, "reset_at_close": _at_close,
    "reset_half_open": _half_open, "reset_unread": _unread, "reset_abort": _abort,
}  # fmt: skip
