"""Connections that stay: peers that fell silent, boxes that forget, and what many short or idle ones cost."""

from __future__ import annotations

from tcpscope.diagnose.facts import MANY, Collected, Facts, about, by_server, endpoint, times, without
from tcpscope.diagnose.finding import Finding
from tcpscope.diagnose.loss import FEW, again, full_alone
from tcpscope.diagnose.measure import other, proved, without_acks
from tcpscope.diagnose.resets import IDLE_NS, gave_up, outlived
from tcpscope.diagnose.schedules import probing
from tcpscope.replay import layout
from tcpscope.tables.address import address

VAIN_NS = 3_000_000_000  # repetitions without an answer for as long mean that nobody listens
SHORT = 20  # connections of one client to one service that could have been one
COSTLY = 0.5  # share of their packets that only opened and closed
KEPT = 4  # connections that the census remembers of a pair (replay/census.pyx)
IDLE_ONES = 50  # connections to one service, open and silent for a minute at the capture's end

_ENDLESS = ("timeout", "open", "half_closed", "reset")  # a RST may be how the other side gave up

Pair = dict[str, int | bytes]


def staying(found: Collected) -> list[Finding]:
    """Silence, and the price of connections."""
    findings = []
    for server, group in by_server(f for f in found.facts if f.close in _ENDLESS).items():
        findings += _vanished(server, group, found)
    pairs = [dict(zip(layout.PAIR.names, it, strict=True))
             for it in layout.PAIR.struct.iter_unpack(found.census.pairs_of(SHORT))]  # fmt: skip
    return [*findings, *_short(pairs), *_idle(pairs)]


# ---------------------------------------------------------------- silence


def _silent(f: Facts) -> str:
    """Which side fell silent: the one whose last word is older."""
    return "server" if f.server["last_ns"] < f.client["last_ns"] else "client"


def _after_idle(f: Facts) -> float:
    """Seconds of silence after which the first word got no answer; 0: it was not so."""
    silent, c = f.side(_silent(f)), f.common
    if c["pause_ns"] >= IDLE_NS and 0 < silent["last_ns"] < c["pause_end_ns"] and not outlived(f) and not _probing(f):
        return float(c["pause_ns"]) / 1e9
    return 0.0


def _probing(f: Facts) -> bool:
    """What went unanswered were keep-alive probes."""
    speaker = f.client if _silent(f) == "server" else f.server
    return bool(speaker["keep_alive_lost"] > 0)


def _only_close(f: Facts) -> bool:
    """What went unanswered was no more than a FIN: what was sent before had been acknowledged."""
    vain = _vain(f, "retransmission")
    return bool(vain) and vain <= _vain(f, "fin_retransmission")


def _vain(f: Facts, *annotations: str) -> set[int]:
    """Frames that bear one of these, sent to a side that had fallen silent."""
    silent = _silent(f)
    return {it.frame for name in annotations for it in f.seen(name, other(silent))
            if it.time_ns > f.side(silent)["last_ns"]}  # fmt: skip


def _earlier(group: list[Facts]) -> int:
    """Repetitions that have nothing to do with the silence at the end: so many that they are worth a word."""
    count = 0
    for f in group:
        speaker = f.side(other(_silent(f)))
        count += max(again(f.client) + again(f.server) - speaker["back_off_open"], 0)
    return count if count >= FEW else 0


def _repeated(group: list[Facts]) -> list[int]:
    """What went unanswered, as far as its frames are kept, and the last of it."""
    return [it for f in group for it in sorted(_vain(f, "retransmission", "keep_alive") | {f.last_frame})]


def _vanished(server: str, group: list[Facts], found: Collected) -> list[Finding]:
    gone, more = [f for f in group if f.close == "timeout" or gave_up(f)], found.more(server, "timeout")
    findings = []
    closed = [f for f in gone if f.side(_silent(f))["fin_packets"] and not _probing(f)]
    if closed:
        findings += _had_closed(server, closed)
        gone = without(gone, closed)
    idle = [f for f in gone if _after_idle(f)]
    if idle:
        seconds = sorted(map(_after_idle, idle))
        finding = about(
            idle, "idle_timeout", "warning" if all(map(_only_close, idle)) else "error", "path",
            f"{times(len(idle))} with {server} stood idle for {seconds[0]:,.0f} s"
            + (f" to {seconds[-1]:,.0f} s" if seconds[-1] - seconds[0] >= 1 else "")
            + ", and what was sent then was never answered",
            f"a NAT, firewall or load balancer forgets idle connections after {seconds[0]:,.0f} s or less, silently: "
            "send keep-alives more often than that",
            last=True, idle=seconds[0], longest=seconds[-1], earlier=_earlier(idle),
        )  # fmt: skip
        proved(finding, _repeated(idle))
        finding.doubt("the peer may have lost power or its network meanwhile")
        findings.append(finding)
    rest = [f for f in gone if not _after_idle(f)]
    if rest:
        findings.append(_gone(server, rest, more))
    going = [f for f in group if _going(f)]
    if going:
        finding = _gone(server, going, 0)
        finding.doubt("the capture ends before the sender gave up")
        findings.append(finding)
    return findings


def _had_closed(server: str, group: list[Facts]) -> list[Finding]:
    """A side that has closed and is gone when the other says its last words: nobody waits for them."""
    found = []
    for silent in ("client", "server"):
        members = [f for f in group if _silent(f) == silent]
        if members:
            found.append(proved(about(
                members, "vanished", "note", silent,
                f"the {silent}, which had closed {times(len(members))} with {server}, no longer answered when the "
                f"{other(silent)} closed as well",
                f"harmless unless the {silent} was still to read: a host forgets a connection that it has closed, and "
                "a firewall may drop the RST that would say so",
                last=True,
            ), _repeated(members)))  # fmt: skip
    return found


def _going(f: Facts) -> bool:
    """Open, and when the capture ends its sender has repeated in vain for a while."""
    silent = f.side(_silent(f))
    speaker = other(_silent(f))
    quiet = f.side(speaker)["last_ns"] - silent["last_ns"]
    if f.close not in ("open", "half_closed") or silent["last_ns"] <= 0 or quiet < VAIN_NS or without_acks(f):
        return False
    vain = [it for it in f.seen("retransmission", speaker) if it.time_ns > silent["last_ns"]]
    return len(vain) >= 2


def _gone(server: str, rest: list[Facts], more: int) -> Finding:
    worst = max(rest, key=lambda f: abs(f.client["last_ns"] - f.server["last_ns"]))
    silent = _silent(worst)
    speaker = worst.client if silent == "server" else worst.server
    spoke = worst.common["pause_end_ns"]  # nobody waited while both were silent
    since = max(worst.side(silent)["last_ns"], worst.common["start_ns"], spoke if spoke < speaker["last_ns"] else 0)
    quiet = (speaker["last_ns"] - since) / 1e9
    barred = sum(f.common["icmp_type"] != 255 for f in rest)
    text = f"the {silent} of {times(len(rest) + more)} with {server} fell silent: "
    if _probing(worst):
        idle, step = speaker["keep_alive_idle_ns"] / 1e9, max(speaker["keep_alive_interval_ns"], 0) / 1e9
        count = speaker["keep_alive_lost"]
        profile = probing(idle, step, count)
        text += f"{times(count, 'keep-alive probe')} unanswered, the first after {idle:,.0f} s"
        text += f", then every {step:,.0f} s" if step else ""
        text += f" ({profile})" if profile else ""
    else:
        what = "its FIN" if _only_close(worst) else "what it had sent"
        text += f"nothing came from it in {quiet:,.1f} s, in which the {other(silent)} repeated {what}"
    if any(it.time_ns > worst.side(silent)["last_ns"] for it in worst.seen("window_full", other(silent))):
        text += ", just after its receive window had been filled"
    gave_up = sum(f.reset_by is not None for f in rest)
    if gave_up:
        text += ", and the other end gave up with RST"
    if barred:
        text += f"; ICMP said unreachable of {barred:,}"
    finding = about(
        rest, "vanished", "warning" if all(map(_only_close, rest)) else "error", silent, text,
        "the peer lost power or its network, or a firewall forgot the connection: it did not close",
        last=True, more=more, seconds=quiet, probes=max(speaker["keep_alive_lost"], 0), unreachable=barred,
        earlier=_earlier(rest),
    )  # fmt: skip
    proved(finding, _repeated(rest))
    if any(full_alone(f.side(other(_silent(f)))) for f in rest):
        finding.doubt("only segments longer than any acknowledged were repeated: a path that cannot carry them looks "
                      "the same")  # fmt: skip
    if all(f.side(_silent(f))["last_ns"] <= 0 for f in rest):
        finding.doubt(f"the {silent} was not heard before, either: its packets may pass elsewhere and be refused")
    return finding


# ---------------------------------------------------------------- the price


def _service(pair: Pair) -> str:
    return endpoint(pair["server"], pair["version"], pair["port"])  # type: ignore[arg-type]


def _first(pairs: list[Pair]) -> tuple[list[int], list[int]]:
    """Numbers and first frames of the first connections of each pair, as many as a finding names."""
    found = [
        (int(pair[f"number_{at}"]), int(pair[f"frame_{at}"]))
        for pair in pairs
        for at in range(min(int(pair["connections"]), KEPT))
    ][:MANY]
    return [number for number, _ in found], [frame for _, frame in found]


def _short(pairs: list[Pair]) -> list[Finding]:
    """Many connections of one client to one service, most of whose packets only open and close (RFC 9112, 9.3)."""
    findings = []
    for pair in pairs:
        opened, packets, overhead = int(pair["opened"]), int(pair["packets"]), int(pair["overhead"])
        if opened < SHORT or opened < 0.9 * int(pair["connections"]) or overhead < COSTLY * packets:
            continue
        if not pair["bytes"]:
            continue
        numbers, frames = _first([pair])
        each = int(pair["bytes"]) / opened
        client = address(bytes(pair["client"]), int(pair["version"]))
        findings.append(Finding(
            "short_connections", "note",
            f"{client} opened {opened:,} connections to {_service(pair)} for {each:,.0f} bytes each: "
            f"{overhead / packets:.0%} of their packets only open and close",
            "keep connections open and use them again (a pool, HTTP keep-alive): each saves a round trip or more",
            "client", numbers, opened, frames,
            {"connections": opened, "overhead": overhead / packets, "bytes_each": each}, server=_service(pair),
        ))  # fmt: skip
    return findings


def _idle(pairs: list[Pair]) -> list[Finding]:
    by_service: dict[str, list[Pair]] = {}
    for pair in pairs:
        if pair["idle"]:
            by_service.setdefault(_service(pair), []).append(pair)
    findings = []
    for server, group in by_service.items():
        idle = sum(int(pair["idle"]) for pair in group)
        if idle < IDLE_ONES:
            continue
        longest = max(int(pair["idle_longest_ns"]) for pair in group) / 1e9
        numbers, frames = _first(sorted(group, key=lambda pair: -int(pair["idle"])))
        findings.append(Finding(
            "idle_connections", "note",
            f"{idle:,} connections with {server} were open at the capture's end and had been silent for a minute or "
            f"more, the longest for {longest:,.0f} s",
            "a pool that is too large, or clients that never close: idle connections hold memory and descriptors",
            "client", numbers, idle, frames, {"connections": idle, "longest": longest}, server=server,
        ))  # fmt: skip
    return findings
