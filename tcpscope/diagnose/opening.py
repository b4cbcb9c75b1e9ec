"""Connections that did not open: refused, unanswered, unreachable, or left half-way."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import pairwise

from tcpscope.diagnose.facts import Collected, Facts, about, by_server, endpoint, host, times, without
from tcpscope.diagnose.finding import Finding
from tcpscope.diagnose.icmp import errors, in_words
from tcpscope.diagnose.measure import seconds
from tcpscope.diagnose.schedules import near, next_gap, recognised, spelt
from tcpscope.replay import layout

MD5, AO = 0x0080, 0x0100  # OPT_ of wire/segment.pxd
FLOOD = 50  # half-open connections to one service that look like a SYN flood
FEW_SOURCES = 3  # a flood's addresses are more than these
HOLDS = 63  # seconds a server keeps a half-open connection: five SYN-ACKs again (Linux)
MANY_SERVICES = 5  # that do not answer one client: the trouble is nearer to it
SHORTEST = 0.5  # seconds; no system repeats a SYN sooner
AT_ONCE = 0.1  # milliseconds
SYN_TIMER_NS = 900_000_000  # a SYN is repeated after a second (RFC 6298, 2.1)
SOON_NS = 1_000_000_000  # a handshake that the capture's end interrupted may still have gone on


def opening(found: Collected) -> list[Finding]:
    """What went wrong before any data could flow (RFC 9293, 3.5)."""
    findings, rest = _no_network(found)
    opened = _opened(found) if any(f.close == "unanswered" for f in rest) else Counter()
    for server, group in by_server(rest).items():
        findings += _refused(server, group, found)
        findings += _unanswered(server, group, found, opened[server])
        findings += _unreachable(server, group)
        findings += _half_open(server, group, found)
        findings += _not_unicast(server, group)
    return findings


# ---------------------------------------------------------------- refused


def _refused(server: str, group: list[Facts], found: Collected) -> list[Finding]:
    refused, more = [f for f in group if f.close == "refused"], found.more(server, "refused")
    if not refused:
        return []
    after = min(map(_answered_after, refused)) / 1e6
    when = f"after {after:.1f} ms" if after >= AT_ONCE else "at once"
    again = max(f.client["syn_packets"] for f in refused)
    ignored = [f for f in refused if _ignored_at_first(f)]
    one = refused[0].common
    opened = found.census.service(one["server_addr"], one["server_port"], one["ip_version"])[2]
    if ignored:
        silent = max(f.common["reset_ns"] - f.common["start_ns"] for f in ignored)
        which = "" if len(ignored) == len(refused) else f" of {len(ignored):,}"
        insists = f", after SYNs{which} had come to nothing for up to {seconds(silent)}"
        why = "a full listen queue of a program that hung, and has ended since, or loss before a refusal: see its log"
    else:
        insists = f"; the client tried each up to {times(again, 'time')}" if again > 1 else ""
        why = "nothing listens on that port, or a firewall rejects it: check the service and its address"
    if opened and not ignored:
        insists += f"; {times(opened)} to it {'was' if opened == 1 else 'were'} opened"
        why = "it was down for a time, or a firewall rejects some (by source, number or rate): compare which and when"
    return [about(
        refused, "refused", "error", "server",
        f"{server} refused {times(len(refused) + more)}: the SYN was answered by RST {when}{insists}", why,
        more=more, shown=["reset_refused"], milliseconds=after, tries=again, ignored=len(ignored), opened=opened,
    )]  # fmt: skip


def _ignored_at_first(f: Facts) -> bool:
    """The last SYN alone met RST: those before it, repeated by a timer, no answer."""
    waited = f.common["reset_ns"] - f.common["start_ns"] - _answered_after(f)
    return bool(f.client["syn_packets"] > f.server["rst_packets"] and waited >= SYN_TIMER_NS)


def _answered_after(f: Facts) -> int:
    """From the latest SYN to the RST, ns."""
    syns = [f.common["start_ns"], *(it.time_ns for it in f.seen("syn_retransmission", "client"))]
    refused = f.common["start_ns"] + f.common["refused_ns"]
    return int(refused - max((it for it in syns if it <= refused), default=refused))  # none: the clock went back


# ---------------------------------------------------------------- unanswered


def _no_network(found: Collected) -> tuple[list[Finding], list[Facts]]:
    """Clients that many services do not answer, and the connections of the others: one cause, told once."""
    silent: dict[str, list[Facts]] = defaultdict(list)
    for f in found.facts:
        if f.close == "unanswered":
            silent[host(f.client_name)].append(f)
    findings: list[Finding] = []
    told: list[Facts] = []
    for client, group in silent.items():
        services = {f.server_name for f in group}
        if len(services) < MANY_SERVICES:
            continue
        told += group
        longest = max(group, key=lambda f: (len(gaps(f)), _waited(f)))
        how = _patience(longest)
        findings.append(about(
            group, "unanswered", "error", "path",
            f"{len(services):,} services never answered {times(len(group))} of {client}" + (f": {how}" if how else ""),
            "one cause is likelier than many: this client's network, its way out, or a firewall that drops",
            shown=["syn_retransmission"], services=len(services), syns=sum(f.client["syn_packets"] for f in group),
        ))  # fmt: skip
    return findings, without(found.facts, told)


def gaps(f: Facts) -> list[float]:
    """Seconds between the client's SYNs, as far as their times are kept."""
    times_ns = [f.common["start_ns"], *(it.time_ns for it in f.seen("syn_retransmission", "client"))]
    return [(late - early) / 1e9 for early, late in pairwise(times_ns)]


def _waited(f: Facts) -> float:
    """Seconds from the last SYN to the capture's end."""
    return float(max(f.common["idle_end_ns"], 0)) / 1e9


def _patience(f: Facts) -> str:
    """The retry schedule of one connection, in words."""
    between = gaps(f)
    if between and max(between) < SHORTEST:
        return ""
    if not between:
        waited = _waited(f)
        return f"one SYN, and none again in {waited:.0f} s" if 1 <= waited < 3600 else ""
    told = recognised(between, f.client["ttl"], f.client["max_window"])
    if len(between) == 1:
        whose = ": the first time-out of RFC 6298" if near(between[0], 1) else (
            ": the first time-out of RFC 1122" if near(between[0], 3) else "")  # fmt: skip
    elif told is not None:
        whose = f": the schedule of {told.who}"
    elif all(near(late, 2 * early) for early, late in pairwise(between)):
        whose = ": each time twice as long"
    else:
        whose = ""
    tries = f.client["syn_packets"]
    kept = f"sent again after {spelt(between)}{whose}"
    if tries > len(between) + 1:
        kept += f" (the first {len(between) + 1} of {tries})"
    span = (f.common["end_ns"] - f.common["start_ns"]) / 1e9
    if _waited(f) > 1.3 * next_gap(between) + 1:
        end = f"; it gave up after {times(tries, 'try') if tries == 1 else f'{tries} tries'} in {span:.0f} s"
        if told is not None and span < 0.45 * told.end:
            end += f", before the {told.end:.0f} s of that system: the program was less patient"
        return kept + end
    return kept + (f", which gives up after {told.end:.0f} s if nobody set it otherwise" if told is not None else "")


def _opened(found: Collected) -> Counter[str]:
    """How many connections each service opened."""
    counts: Counter[str] = Counter()
    names = ("server", "port", "version", "opened")
    for raw, port, version, opened in layout.PAIR.select(found.census.pairs_of(1), names):
        if opened:
            counts[endpoint(raw, version, port)] += opened
    return counts


def _unanswered(server: str, group: list[Facts], found: Collected, opened: int) -> list[Finding]:
    """opened: how many connections with this service did open."""
    silent, more = [f for f in group if f.close == "unanswered"], found.more(server, "unanswered")
    if not silent:
        return []
    tries = sum(f.client["syn_packets"] for f in silent) + more
    least = "at least " if more else ""
    longest = max(silent, key=lambda f: (len(gaps(f)), _waited(f)))
    how = _patience(longest)
    between = gaps(longest)
    cut = not more and all(f.end_ns - f.common["start_ns"] < SOON_NS for f in silent)
    signed = all(f.client["syn_options"] & (MD5 | AO) for f in silent)
    finding = about(
        silent, "unanswered", "note" if cut else "error", "server",
        f"{server} never answered {times(len(silent) + more)} ({least}{times(tries, 'SYN')} sent)"
        + (f", beside {opened:,} that opened" if opened else "")
        + (f": {how}" if how else ": the capture ends within a second of them" if cut else ""),
        "its SYNs are signed (TCP MD5 or AO, as BGP wants it): a host drops those whose key is not its own without a "
        "word (nstat -az TcpExtTCPMD5Failure): compare the keys of both ends" if signed else
        "it is there and listens: its accept queue was full (nstat -az TcpExtListenOverflows), or a filter, a limit or "
        "the path dropped these SYNs: look for them on the server's side" if opened else
        "host down, wrong address, or a firewall that drops: look for the SYN on the server's side",
        more=more, shown=["syn_retransmission"], syns=tries, opened=opened,
    )  # fmt: skip
    finding.numbers |= {f"gap_{at}": gap for at, gap in enumerate(between, 1)}
    finding.frames = sorted({f.frame for f in silent[:20]} | set(finding.frames))[:20]
    if any(f.common["one_direction"] and f.close != "unanswered" for f in group):
        finding.doubt("of others only one direction was captured: the answer may have been there", "possible")
    if cut:
        finding.doubt("the capture ends before an answer, or a second try, was due", "possible")
    return [finding]


def _unreachable(server: str, group: list[Facts]) -> list[Finding]:
    barred = [f for f in group if f.close == "unreachable"]
    if not barred:
        return []
    return [about(
        barred, "unreachable", "error", "path",
        f"a router or firewall answered {times(len(barred))} to {server} with ICMP unreachable "
        f"({in_words(barred)})",
        "read the ICMP error's sender and code: it names who rejects and why",
        icmp_type=errors(barred)[0][1], icmp_code=errors(barred)[0][2],
    )]  # fmt: skip


# ---------------------------------------------------------------- half-open, flooded


def peak(starts: Mapping[int, int], held: int = HOLDS) -> int:
    """Most that are held at once, if each is for so many seconds; starts: how many begin in which second."""
    most = now = 0
    ordered = sorted(starts)
    gone = 0
    for second in ordered:
        now += starts[second]
        while ordered[gone] <= second - held:
            now -= starts[ordered[gone]]
            gone += 1
        most = max(most, now)
    return most


def _half_open(server: str, group: list[Facts], found: Collected) -> list[Finding]:
    """Left half-way; one whose handshake was under way when the capture ended is not meant."""
    half, more = [f for f in group if f.close == "half_open"], found.more(server, "half_open")
    half = [f for f in half if not f.common["one_direction"]]
    half = [f for f in half if f.end_ns - f.common["syn_ack_ns"] >= SOON_NS or more or len(half) >= FLOOD]
    if not half:
        return []
    one = half[0].common
    clients, connections, opened = found.census.service(one["server_addr"], one["server_port"], one["ip_version"])
    seconds = Counter(f.common["start_ns"] // 1_000_000_000 for f in half)
    seconds.update(found.half_open.get(server) or {})
    span = max(max(seconds) - min(seconds), 1)
    total = len(half) + more
    sources = min(clients, connections - opened, total)
    if total >= FLOOD and (sources > FEW_SOURCES or total / span >= FLOOD):
        most = peak(seconds)
        exact = min(f.common["start_ns"] for f in half), max(f.common["start_ns"] for f in half)
        took = max((exact[1] - exact[0]) / 1e9, 0.001) if not more else span
        limit = " or more" if found.census.beyond else ""
        return [about(
            half, "syn_flood", "error", "client",
            f"{server} got {total:,} SYNs from {sources:,}{limit} addresses in {took:.1f} s ({total / took:,.0f} a "
            f"second) and no handshake was completed: a SYN flood, up to {most:,} connections half-open at once"
            + (f"; {times(opened, 'other')} did open meanwhile" if opened else "; no other opened"),
            "spoofed clients: SYN cookies on the server, a filter upstream",
            more=more, sources=sources, rate=total / took, half_open=most, opened=opened,
        )]  # fmt: skip
    repeated = sum(f.server["syn_retransmissions"] for f in half)
    return [about(
        half, "half_open", "warning", "client",
        f"{times(total)} to {server} stayed half-open: the SYN-ACK "
        + (f"was sent again {times(repeated, 'time')} and " if repeated else "") + "was never acknowledged",
        "spoofed or dead clients, or the path back is broken: check routes and SYN cookies",
        more=more, repetitions=repeated, sources=sources,
    )]  # fmt: skip


def _not_unicast(server: str, group: list[Facts]) -> list[Finding]:
    """RFC 1122, 4.2.3.10: a SYN to a broadcast or multicast address must be discarded."""
    raw, version = group[0].common["server_addr"], group[0].common["ip_version"]
    multicast = raw[0] == 0xFF if version == 6 else 224 <= raw[0] < 240
    if not (multicast or (version == 4 and raw[:4] == b"\xff\xff\xff\xff")):
        return []
    return [about(
        group, "not_unicast", "warning", "client",
        f"{times(len(group))} went to {server}, which is no single host's address: TCP joins two hosts",
        "a wrong address in the client's configuration",
    )]  # fmt: skip
