"""Receive windows: closed, too small for the path, or so small that segments are."""

from __future__ import annotations

from tcpscope.diagnose.facts import Facts, about, having, times, without
from tcpscope.diagnose.finding import Finding
from tcpscope.diagnose.measure import bytes_of, other, proved, rate, round_trip, scale_cut, seconds, sides

STALL_NS = 100_000_000
DEAD_NS = 1_000_000_000  # a window that stays closed so long, to the end, has a reader that is gone
LIMITED_NS = 500_000_000  # time that a window cost and that a person may want back
LIMITED = 0.3  # ... as a share of the connection's time
LARGEST_PLAIN = 65_535  # a window that needs no scaling
MOSTLY = 0.5  # share of the time waited for a window that was nearly full,
OFTEN = 0.25  # ... and where neither path nor window explains the pace
REACHED = 0.7  # of the window each round trip, on average
ALL = 0.9  # of the time waited for room: then the window was not as large all the time
BEYOND = 1.5  # ... more cannot be: what passes for the round trip had been lengthened by something else
FLOOD = 200  # small segments
FLOODED = 0.5  # ... as a share of the data packets
SILLY = 10


def windows(server: str, of_service: list[Facts]) -> list[Finding]:
    """What the receive windows of a service's connections did."""
    some = having(of_service, "zero_window_ns", "limited_receiver_ns", "silly_segments", "small_segments")
    group = [f for f in some if not f.common["one_direction"]]  # else nothing tells what the sender waited for
    found = []
    for role in ("client", "server"):
        dead = [f for f in group if f.side(role)["zero_window_open_ns"] >= DEAD_NS and f.close not in ("fin",)]
        shut = [f for f in without(some, dead) if f.side(role)["zero_window_ns"] >= STALL_NS]
        found += _dead(server, role, dead)
        found += _shut(server, role, shut)
        found += _limits(server, role, without(group, dead, shut))
        found += _small(server, role, group)
    return found


def _probes(group: list[Facts], role: str) -> tuple[str, dict[str, int]]:
    """What the peer's probes of that side's window brought."""
    probes, answers = sides(group, "zero_window_probes")[other(role)], sides(group, "zero_window_probe_acks")[role]
    if not probes or not any(f.seen("zero_window_probe", other(role)) for f in group):  # else it was under way
        return "", {}
    told = "answered" if probes == 1 else "all answered"
    text = f"; {times(probes, 'probe')}, " + (told if answers >= probes else f"{answers:,} answered")
    return text, {"probes": probes, "answered": answers}


def _dead(server: str, role: str, dead: list[Facts]) -> list[Finding]:
    if not dead:
        return []
    longest = max(f.side(role)["zero_window_open_ns"] for f in dead)
    probes, numbers = _probes(dead, role)
    return [proved(about(
        dead, "dead_reader", "error", role,
        f"the {role} closed its receive window in {times(len(dead))} with {server} and never opened it again, for "
        f"{seconds(longest)} to the end{probes}",
        f"the program on the {role} has stopped reading: it hangs, or waits for something else, perhaps for its peer "
        "to read what it sent",
        shown=["zero_window"], by=role, seconds=longest / 1e9,
    ), numbers=numbers)]  # fmt: skip


def _shut(server: str, role: str, shut: list[Facts]) -> list[Finding]:
    if not shut:
        return []
    total = sides(shut, "zero_window_ns")[role]
    spells = sides(shut, "zero_window_spells")[role]
    longest = max(f.side(role)["longest_zero_window_ns"] for f in shut)
    cost = sides(shut, "limited_receiver_ns")[other(role)]
    probes, numbers = _probes(shut, role)
    often = f"{spells:,} times, at longest {seconds(longest)}" if spells > 1 else "once"
    waited = f"; the {other(role)} waited {seconds(cost)} for room" if cost > 1.2 * total else ""
    unheard = sides(shut, "lost_window_updates")[role]
    if unheard:
        waited += f": {times(unheard, 'window update')} that opened it never got there"
    finding = proved(about(
        shut, "zero_window", "warning", role,
        f"the {role}'s receive window was closed for {total / 1e9:.2f} s ({often}) in {times(len(shut))} "
        f"with {server}{probes}{waited}",
        f"the program on the {role} reads too slowly: look at what it does"
        + (", and for loss on the path from it" if unheard else ", not at the network"),
        shown=["zero_window"], by=role, seconds=total / 1e9, spells=spells, longest=longest / 1e9, waited=cost / 1e9,
        unheard=unheard,
    ), numbers=numbers)  # fmt: skip
    if any(f.side(role)["probe_openings"] for f in shut) and not unheard:
        finding.doubt(
            "a probe found the window open: it may have been open for longer, and the update that said so been lost"
        )
    return [finding]


def _limits(server: str, role: str, group: list[Facts]) -> list[Finding]:
    """The window never closed, and yet the sender waited for it: a slow reader, or too small a buffer for the path."""

    def cost(f: Facts) -> int:
        return int(f.side(other(role))["limited_receiver_ns"])

    hit = [f for f in group if cost(f) >= LIMITED_NS and cost(f) >= LIMITED * f.duration * 1e9]

    def starved(f: Facts) -> float:
        """Share of that time in which less than half of the largest window was open."""
        return float(f.side(other(role))["starved_ns"] / cost(f))

    def held_up(f: Facts) -> bool:
        return starved(f) > OFTEN and round_trip(f) > 0 and not _reached(f, role)

    slow = [f for f in hit if starved(f) > MOSTLY or held_up(f)]
    found = []
    if slow:
        total = sum(map(cost, slow))
        how = "which was more than half full" if all(starved(f) > MOSTLY for f in slow) else "often more than half full"
        found.append(proved(about(
            slow, "slow_reader", "warning", role,
            f"the {other(role)} waited {seconds(total)} for room in the {role}'s receive window, {how}, "
            f"in {times(len(slow))} with {server}",
            f"the program on the {role} reads more slowly than the network delivers: look at what it does",
            seconds=total / 1e9,
        ), _edges(slow, role)))  # fmt: skip
    small = [
        f for f in without(hit, slow)
        if round_trip(f) > 0 and _windows_a_trip(f, role) <= BEYOND
        and (_reached(f, role) or (cost(f) >= ALL * f.duration * 1e9 and _windows_a_trip(f, role) >= MOSTLY))
    ]  # fmt: skip
    found += _half_full(
        server,
        role,
        [
            f
            for f in without(hit, slow, small)
            if cost(f) >= ALL * f.duration * 1e9 and _windows_a_trip(f, role) >= OFTEN
        ],
    )
    plain = [f for f in small if _plain(f, role)]
    found += _too_small(server, role, plain, "window_scale_off")
    found += _too_small(server, role, without(small, plain), "small_window")
    return found


def _half_full(server: str, role: str, group: list[Facts]) -> list[Finding]:
    """The sender waited for room nearly all the time, and the window was never much smaller than half its largest."""
    if not group:
        return []
    total = sum(f.side(other(role))["limited_receiver_ns"] for f in group)
    finding = proved(about(
        group, "slow_reader", "warning", role,
        f"the {other(role)} waited {seconds(total)} for room in the {role}'s receive window, nearly all the time, in "
        f"{times(len(group))} with {server}",
        f"the program on the {role} reads more slowly than the network delivers: look at what it does",
        seconds=total / 1e9,
    ), _edges(group, role))  # fmt: skip
    finding.doubt("a receive buffer that is too small for the path looks much the same")
    return [finding]


def _reached(f: Facts, role: str) -> bool:
    """The sender came near a window each round trip; else what it sent stood in a queue, and the path is the limit."""
    return _windows_a_trip(f, role) >= REACHED


def _windows_a_trip(f: Facts, role: str) -> float:
    """How many times the largest window was sent each round trip; above one, the path's is shorter than it seems."""
    return float(f.side(other(role))["goodput"] * round_trip(f) / 1e9 / max(f.side(role)["max_window"], 1))


def _plain(f: Facts, role: str) -> bool:
    """Its window may not be larger: the window scale option is missing."""
    missing = min(f.client["window_scale"], f.server["window_scale"]) < 0 and not scale_cut(f)
    return bool(missing and f.side(role)["max_window"] > LARGEST_PLAIN // 2)


def _edges(group: list[Facts], role: str) -> list[int]:
    """Where what the peer sent first reached the edge of that side's window."""
    return [f.side(other(role))["window_edge_frame"] for f in group]


def _too_small(server: str, role: str, small: list[Facts], id: str) -> list[Finding]:
    if not small:
        return []
    sender = other(role)
    it = max(small, key=lambda f: f.side(sender)["limited_receiver_ns"])
    window, trip, cost = it.side(role)["max_window"], round_trip(it), it.side(sender)["limited_receiver_ns"]
    share = cost / 1e9 / max(it.duration, 1e-9)
    text = (
        f"the {role}'s receive window of {bytes_of(window)} let the {sender} send no more than "
        f"{rate(window * 1e9 / trip)} over a round trip of {seconds(trip)}: it waited for the window {share:.0%} of "
        f"the time in {times(len(small))} with {server}"
    )
    numbers = {"window": window, "milliseconds": trip / 1e6, "bytes_per_second": window * 1e9 / trip,
               "seconds": cost / 1e9, "share": share}  # fmt: skip
    if id == "small_window":
        found = about(
            small, "small_window", "warning", role, text,
            f"give the program on the {role} a larger receive buffer, or let the kernel choose (no SO_RCVBUF; "
            "net.ipv4.tcp_rmem, net.core.rmem_max)",
        )  # fmt: skip
    else:
        without = [name for name in ("client", "server") if it.side(name)["window_scale"] < 0]
        who = "server" if without == ["server"] else "client"
        found = about(
            small, "window_scale_off", "warning", who, text,
            f"the {who} did not offer window scaling, or a box on the path removed it: switch it on "
            "(net.ipv4.tcp_window_scaling)",
        )  # fmt: skip
    return [proved(found, _edges(small, role), numbers)]


def _small(server: str, role: str, group: list[Facts]) -> list[Finding]:
    """What that side sent in small pieces."""
    found = []
    silly = [f for f in group if f.side(role)["silly_segments"] >= SILLY
             and f.side(role)["silly_segments"] >= 0.1 * f.side(role)["data_packets"]]  # fmt: skip
    if silly:
        count, sent = sides(silly, "silly_segments")[role], sides(silly, "data_packets")[role]
        found.append(proved(about(
            silly, "silly_window", "warning", other(role),
            f"{count:,} of {times(sent, 'data segment')} of the {role} in {times(len(silly))} with {server} were small "
            f"because the {other(role)}'s window had no more room",
            f"the {other(role)} offers its window in small pieces (silly window syndrome): its program reads too "
            "little at a time, or its TCP does not wait for room for a full segment",
            segments=count,
        ), _edges(silly, other(role))))  # fmt: skip
    flood = [f for f in group if f.side(role)["small_segments"] >= FLOOD
             and f.side(role)["small_segments"] >= FLOODED * f.side(role)["data_packets"]]  # fmt: skip
    if flood:
        count, sent = sides(flood, "small_segments")[role], sides(flood, "data_packets")[role]
        mean = sides(flood, "bytes")[role] / max(sent, 1)
        found.append(proved(about(
            flood, "small_segments", "note", role,
            f"the {role} sent {count:,} small segments ({mean:.0f} bytes on average) behind others that were not yet "
            f"acknowledged in {times(len(flood))} with {server}",
            f"each costs a packet of its own: let the program on the {role} write larger pieces, or leave Nagle's "
            "algorithm on (no TCP_NODELAY)",
            segments=count, bytes=mean,
        ), [f.side(role)["small_segments_frame"] for f in flood]))  # fmt: skip
    return found
