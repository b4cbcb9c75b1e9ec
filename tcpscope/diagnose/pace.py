"""What set the pace of a transfer: the path, the sender's program, a pause, a timer, a queue that grew."""

from __future__ import annotations

from tcpscope.diagnose.facts import Facts, about, having, times
from tcpscope.diagnose.finding import Finding
from tcpscope.diagnose.loss import again
from tcpscope.diagnose.measure import bytes_of, other, proved, rate, round_trip, scale_cut, seconds, sides

LONG_NS = 1_000_000_000  # a transfer limited for so long
ALSO = 0.15  # a share in which something else was the limit
MOSTLY = 0.5  # ... and for this share of its time, is worth a word
LOSSY = 0.001  # share of data packets sent again that keeps a window small
LARGE = 500_000  # bytes that make a transfer
BLOAT_NS = 100_000_000  # by which the round trip grew under load,
BLOAT = 2.5  # ... and how many times its least
SAMPLES = 20
OUTAGE_NS = 500_000_000  # timers that ran so long: the path stood still, and with it what was on its way
# Delayed-ACK timers that are known (RFC 1122, 4.2.3.2, allows up to 500 ms), ns: least, most, who.
ACK_DELAY = (35_000_000, 550_000_000)  # least and most that a delayed ACK comes later than the path explains
FELT_NS = 100_000_000  # waited in one connection: worth more than a note
QUANTA = (
    (35_000_000, 60_000_000, "the 40 ms timer of Linux"),
    (90_000_000, 115_000_000, "the 100 ms timer of BSD and macOS"),
    (180_000_000, 230_000_000, "the 200 ms timer of Windows and of Linux at its most patient"),
    (450_000_000, 550_000_000, "a 500 ms timer, the most that RFC 1122 allows"),
)


def pace(server: str, group: list[Facts]) -> list[Finding]:
    """What limited the transfers of one service, where no window and no loss did."""
    found = []
    for role in ("client", "server"):
        found += _nagle(server, role, having(group, f"{role}_nagle_stalls"))
        found += _bloat(server, role, having(group, f"{role}_limited_congestion_ns", above=LONG_NS // 2 - 1))
        found += _restarts(server, role, having(group, f"{role}_restarts"))
        found += _path(server, role, having(group, f"{role}_limited_congestion_ns", above=LONG_NS - 1))
        found += _program(server, role, having(group, f"time_{role}_ns", above=LONG_NS - 1))
    return found


def quantum(ns: float) -> str:
    """Which delayed-ACK timer takes so long; empty: none that is known."""
    return next((who for least, most, who in QUANTA if least <= ns <= most), "")


def _nagle(server: str, role: str, group: list[Facts]) -> list[Finding]:
    held = [f for f in group if _held(f, role)]
    if not held:
        return []
    stalls = sides(held, "nagle_stalls")[role]
    lost = sides(held, "nagle_ns")[role] / 1e6
    timer = quantum(max(_late(f, role) for f in held))
    finding = about(
        held, "nagle", "warning" if max(f.side(role)["nagle_ns"] for f in held) >= FELT_NS else "note", role,
        f"the {role} waited {times(stalls, 'time')} for a delayed ACK before it sent a small segment: "
        f"{lost:.0f} ms lost in {times(len(held))} with {server}" + (f" ({timer})" if timer else ""),
        f"write each message at once, or set TCP_NODELAY on the {role}",
        shown=["nagle_stall"], by=role, stalls=stalls, milliseconds=lost,
    )  # fmt: skip
    if stalls == len(held):
        finding.doubt("once in a connection may be chance: the program may have written just then")
    return [finding]


def _late(f: Facts, role: str) -> float:
    """How much later than the path explains the ACKs came that a side's small segments waited for, on average; ns."""
    least = sum(max(side["rtt_min_ns"], 0) for side in (f.client, f.server))  # the handshake may have been slow
    path = min(round_trip(f), least) if least else round_trip(f)
    return float(f.side(role)["nagle_ns"] / max(f.side(role)["nagle_stalls"], 1) - path)


def _held(f: Facts, role: str) -> bool:
    """Small segments waited for an ACK that was delayed, and not for room, nor behind data that the capture missed."""
    side = f.side(role)
    least, most = ACK_DELAY
    roomy = side["limited_receiver_ns"] <= side["nagle_ns"]
    if not side["nagle_stalls"] or not roomy or not least <= _late(f, role) <= most:
        return False
    told = {it.frame for it in f.seen("nagle_stall", role)} - {it.frame for it in f.seen("retransmission", role)}
    return bool(told and side["missed_bytes"] <= 0 and not f.seen("ack_lost_segment", other(role)))


def _grown(f: Facts, role: str) -> tuple[int, int, str]:
    """The least round trip of what that side sent, what became of it under load, and what that is; ns, 0: not so."""
    side = f.side(role)
    near = side["rtt_samples"] >= SAMPLES and side["rtt_p50_ns"] - side["rtt_min_ns"] >= BLOAT_NS
    if near and side["rtt_p50_ns"] >= BLOAT * side["rtt_min_ns"]:
        return side["rtt_min_ns"], side["rtt_p50_ns"], ""
    far = side["reach_samples"] >= SAMPLES and side["reach_mean_ns"] - side["reach_min_ns"] >= BLOAT_NS
    far = far and side["timer_ns"] < OUTAGE_NS  # else the mean has what had stood still in it
    if far and side["reach_mean_ns"] >= BLOAT * side["reach_min_ns"]:
        return side["reach_min_ns"], side["reach_mean_ns"], " on average"  # the time in which it grew is in it
    return 0, 0, ""


def _queue(f: Facts, role: str) -> float:
    """Bytes that stood in front of the slowest link: what passed it in the time by which the round trip grew.

    At the rate at which it passed while the path was the limit; the program may have paused.
    """
    least, loaded, how = _grown(f, role)
    side = f.side(role)
    passed = float(side["unique_bytes"] * (loaded - least) / max(side["limited_congestion_ns"], 1))
    # near the receiver nothing is seen in flight: there its window is the bound
    most = f.side(other(role))["max_window"] if how else side["max_in_flight"]
    return max(min(passed, float(most)), 0.0)


def _bloat(server: str, role: str, group: list[Facts]) -> list[Finding]:
    hit = [f for f in group if f.side(role)["limited_congestion_ns"] >= LONG_NS // 2 and _grown(f, role)[1]
           and _queue(f, role) >= f.side(role)["max_segment"]]  # fmt: skip
    if not hit:
        return []
    it = max(hit, key=lambda f: _grown(f, role)[1])
    least, loaded, what = _grown(it, role)
    queue = _queue(it, role)
    return [proved(about(
        hit, "bufferbloat", "warning" if loaded - least >= 2 * BLOAT_NS else "note", "path",
        f"the round trip grew from {seconds(least)} to {seconds(loaded)}{what} while the {role} sent, in "
        f"{times(len(hit))} with {server}: about {bytes_of(queue)} stood in a queue on the path",
        "a long queue in front of the slowest link delays everybody: shape below the link's rate, or use fq_codel or "
        "CAKE there",
        least=least / 1e6, loaded=loaded / 1e6, queue=queue,
    ), [f.side(role)["rtt_max_frame"] for f in hit])]  # fmt: skip


def _restarts(server: str, role: str, group: list[Facts]) -> list[Finding]:
    hit = [f for f in group if f.side(role)["restarts"] and round_trip(f)]
    count = sides(hit, "restarts")[role]
    if count < 2:
        return []
    return [proved(about(
        hit, "slow_start_restart", "note", role,
        f"the {role} began again with slow start {times(count, 'time')} after a pause in {times(len(hit))} with "
        f"{server}: its congestion window had been larger before",
        f"bursts after a pause take round trips of {seconds(max(map(round_trip, hit)))} more: on the {role} "
        "net.ipv4.tcp_slow_start_after_idle=0 keeps the window",
        restarts=count, milliseconds=max(map(round_trip, hit)) / 1e6,
    ), [f.side(role)["restart_frame"] for f in hit])]  # fmt: skip


def _share(f: Facts, ns: float) -> float:
    """Of the time in which the connection was in use."""
    unused = sum(f.common[f"time_{name}_ns"] for name in ("opening", "idle", "closing"))
    return float(ns / 1e9 / max(f.duration - unused / 1e9, 1e-9))


def _path(server: str, role: str, group: list[Facts]) -> list[Finding]:
    def cost(f: Facts) -> int:
        return int(f.side(role)["limited_congestion_ns"])

    hit = [
        f
        for f in group
        if cost(f) >= LONG_NS and _share(f, cost(f)) >= MOSTLY and f.side(role)["unique_bytes"] >= LARGE
    ]
    if not hit:
        return []
    it = max(hit, key=cost)
    side = it.side(role)
    lossy = side["recovery_episodes"] + side["timeout_episodes"] > 0 and again(side) >= LOSSY * side["data_packets"]
    slowed = side["cwr"] if it.side(other(role))["ecn_echo"] else 0
    finding = about(
        hit, "limited_by_path", "note", "path",
        f"the path was the limit of what the {role} sent in {times(len(hit))} with {server}: "
        f"{bytes_of(side['unique_bytes'])} at {rate(side['goodput'])}, {_share(it, cost(it)):.0%} of the time at its "
        "congestion window"
        + (f"; a queue on the path marked packets (ECN), and it slowed down {times(slowed, 'time')}" if slowed else "")
        + ("; each loss makes that window smaller" if lossy else ""),
        "the losses on the path keep the rate down, or its queue is full and drops what is too much: find out where "
        "they come from" if lossy else
        "this is how a transfer should be; for more, look for the slowest link, competing traffic, or the sender's "
        "buffer (net.ipv4.tcp_wmem)",
        seconds=cost(it) / 1e9, share=_share(it, cost(it)), bytes_per_second=side["goodput"],
    )  # fmt: skip
    waited = max(_share(f, f.side(role)["limited_receiver_ns"]) for f in hit)
    if any(map(scale_cut, hit)):
        finding.doubt("the window scale was cut off: the receive window may have been the limit", "possible")
    elif any(f.begun_before for f in hit):
        finding.doubt("the handshake is not in the capture, nor the window scale with it: the receive window may have "
                      "been the limit", "possible")  # fmt: skip
    elif waited >= ALSO:
        finding.doubt(f"the {other(role)}'s receive window was the limit for {waited:.0%} of the time: a sender that "
                      "measures its pace (BBR) goes as slowly as a slow reader lets it")  # fmt: skip
    elif not lossy and not slowed:
        finding.doubt("a sender that paces itself (SO_MAX_PACING_RATE) looks the same")
    return [finding]


def _program(server: str, role: str, group: list[Facts]) -> list[Finding]:
    """One way only: in a dialogue, waiting is not the program's fault."""

    def cost(f: Facts) -> int:
        return int(f.common[f"time_{role}_ns"])

    hit = [
        f for f in group
        if cost(f) >= LONG_NS and _share(f, cost(f)) >= MOSTLY and f.side(role)["unique_bytes"] >= LARGE
        and f.side(other(role))["data_packets"] <= 4 and f.side(role)["data_packets"] >= 100
        and not f.begun_before  # else it is not known what the windows allow
        and not (role == "server" and f.server["syn_retransmissions"])  # its program may not have had the connection
    ]  # fmt: skip
    if not hit:
        return []
    it = max(hit, key=cost)
    side = it.side(role)
    finding = about(
        hit, "limited_by_program", "note", role,
        f"the program on the {role} was the limit of what it sent in {times(len(hit))} with {server}: nothing to send "
        f"{_share(it, cost(it)):.0%} of the time, {bytes_of(side['unique_bytes'])} at {rate(side['goodput'])}",
        f"network and receiver were ready for more: look at what the program on the {role} waits for (disk, database, "
        "a limit on its rate), or it is live data that comes no faster",
        seconds=cost(it) / 1e9, share=_share(it, cost(it)), bytes_per_second=side["goodput"],
    )  # fmt: skip
    if any(f.point != role for f in hit):
        finding.doubt("what was lost before it came here, and repeated in vain, leaves the same silence")
    return [finding]
