"""Data that was lost, or taken for lost: where, how it was repaired, and what it cost."""

from __future__ import annotations

from tcpscope.diagnose.facts import Facts, about, having, times, without
from tcpscope.diagnose.finding import Finding
from tcpscope.diagnose.icmp import in_words, said_unreachable
from tcpscope.diagnose.measure import ROLES, at_host, both, other, proved, seconds, sides, worst
from tcpscope.replay.record import Record
from tcpscope.wire.layout import OPT_SACK_PERMITTED

LOSSY = 0.01  # share of data packets sent again that a user feels
NOTABLE = 0.001
FULL = 1500  # bytes of payload that no Ethernet frame carries
FEW = 3  # repetitions that are worth a word whatever their share
MEANINGFUL = 50  # data packets of which a share says something
FELT_NS = 50_000_000  # no retransmission timer is shorter
CHAIN = 3  # time-outs of a long segment in a row that look like a path that cannot carry it
DETOUR = 20  # segments under way when ICMP asked for smaller ones; more repetitions had other reasons, too
REORDERED = 3  # segments overtaken, and
DISORDER = 0.01  # the share of data packets, that are worth a word

_NUMBERS = ("lost_before_capture", "lost_after_capture", "lost_again", "recovery_episodes", "timeout_episodes",
            "tail_loss_probes", "spurious_by_delay", "spurious_by_order", "spurious_by_acks",
            "data_packets")  # fmt: skip
CAUSES = ("fast_retransmission", "timeout_retransmission", "tail_loss_probe", "rto_recovery")
_COUNTS = ("fast_retransmissions", "timeout_retransmissions", "tail_loss_probes", "recovery_retransmissions")
REPEATED = (*_COUNTS, "spurious_retransmissions")

KNOWN = "though what they repeated had been acknowledged"  # of a chain of time-outs
UNTOLD = "there is no SACK to tell a sender what came behind a gap, so it repeats that, too"
WHY = {
    "delay": "answers came later than the timer waits (a delay spike, or a delayed ACK)",
    "order": "segments were late or overtaken, and taken for lost",
    "acks": "the ACK was lost, late, or held back by the receiver",
}


def again(side: Record) -> int:
    """Segments with data or FIN that a side sent again, whatever the cause."""
    return int(sum(side[cause] for cause in _COUNTS))


def loss(server: str, of_service: list[Facts]) -> list[Finding]:
    """What was sent again to and from one service, and what only came in another order."""
    group = having(of_service, *REPEATED, "overtaken", "stuck_segment")
    holes = [f for f in having(group, "stuck_segment") if any(_stuck(f, role) for role in ("client", "server"))]
    rest = without(group, holes)
    late = [f for f in rest if _late(f)]
    return [*_path_mtu(server, holes), *_smaller(server, rest), *_again(server, rest), *_timeouts(server, late),
            *_tail(server, rest), *_spurious(server, group, late), *_reordering(server, group)]  # fmt: skip


# ---------------------------------------------------------------- sent again


def _refused(side: dict[str, int], group: list[Facts], who: str) -> bool:
    """Captured on the receiver's own host: what got as far as this, the host threw away."""
    return _behind(side) > side["lost_before_capture"] and all(at_host(f, other(who)) for f in group)


def _behind(side: dict[str, int]) -> int:
    """First copies that were lost behind the capture point: seen, and needed once more."""
    return max(side["lost_after_capture"] - sum(side[f"spurious_by_{why}"] for why in ("delay", "order", "acks")), 0)


def _where(side: dict[str, int], lost: str = "lost") -> str:
    """Where the first copies were lost, as far as the capture point tells."""
    before, after = side["lost_before_capture"], _behind(side)
    if not before and not after:
        return ""
    if not before:
        return f", {lost} behind the capture point"
    if not after:
        return ", lost before the capture point"
    return f", {before:,} of them lost before the capture point and {after:,} behind it"


def _hasty(f: Facts) -> bool:
    """So many repetitions taken for time-outs, and so little silence before them: no timer is as short."""
    count = both(f, "timeout_retransmissions")
    return count >= FEW and both(f, "timer_ns") < FELT_NS * count


def _mended(f: Facts) -> bool:
    """Something was sent again that neither time-outs nor tail loss, which have findings of their own, account for."""
    if _hasty(f) and again(f.client) + again(f.server) > both(f, "spurious_retransmissions"):
        return True
    return any(
        side["fast_retransmissions"] + side["recovery_retransmissions"] > side["spurious_retransmissions"]
        or (side["tail_loss_probes"] > side["spurious_retransmissions"] and not _only_tails(f))
        for side in (f.client, f.server)
    )


def _only_tails(f: Facts) -> bool:
    return both(f, "timeout_retransmissions") > 0 or max(_tails(f, "client"), _tails(f, "server")) >= FEW


def _again(server: str, group: list[Facts]) -> list[Finding]:
    hit = [f for f in group if _mended(f)]
    if not hit:
        return []
    repeated = {role: sum(again(f.side(role)) for f in hit) for role in ("client", "server")}
    who = max(repeated, key=lambda role: repeated[role])
    side = {name: sides(hit, name)[who] for name in _NUMBERS}
    share = repeated[who] / max(side["data_packets"], 1)
    if share < NOTABLE and sum(repeated.values()) < FEW:
        return []
    if any(map(_hasty, hit)):
        side["timeout_episodes"] = 0  # not what they seem
    repairs = [
        f"{side[name]:,} {one if side[name] == 1 else many}"
        for name, one, many in (("recovery_episodes", "fast recovery", "fast recoveries"),
                                ("timeout_episodes", "time-out", "time-outs"), ("tail_loss_probes", "probe", "probes"))
        if side[name]
    ]  # fmt: skip
    of = (
        f" ({share:.2%} of its data)"
        if side["data_packets"] >= MEANINGFUL
        else f" ({side['data_packets']:,} with data in all)"
        if side["data_packets"]
        else ""
    )
    twice = f"; {side['lost_again']:,} more than once" if side["lost_again"] else ""
    rest = sum(repeated.values()) - repeated[who]
    back = f", and the {other(who)} {rest:,}" if rest else ""
    refused = _refused(side, hit, who)
    blind = _without_sack(hit)
    unsure = blind and any(both(f, "timeout_retransmissions") for f in hit)  # which all that was under way may follow
    how = _where(side, "dropped" if refused else "lost or taken for lost" if unsure else "lost") + twice + back
    return [proved(about(
        hit, "retransmissions", "warning" if share >= LOSSY and repeated[who] >= FEW else "note",
        other(who) if refused else "path",
        f"the {who} sent {times(repeated[who], 'segment')} again{of}{how}{',' if how else ''} in "
        f"{times(len(hit))} with {server}",
        (f"the {other(who)}'s host had them and did not take them (its window closed, a wrong checksum or time stamp)"
         if refused else f"loss on the path from the {who}")
        + f"{', repaired by ' if repairs else ''}{', '.join(repairs)}{blind}; "
        "`tcpscope packets --annotation retransmission` names each and its cause",
        shown=CAUSES, by=who, share=share, segments=repeated[who], others=rest,
    ), numbers=side)]  # fmt: skip


def _without_sack(group: list[Facts]) -> str:
    """Who did not agree to SACK, of connections that all do without: one loss a round trip is repaired (RFC 6582)."""
    if any(side["syn_packets"] == 0 for f in group for side in (f.client, f.server)):
        return ""
    refused = {role for f in group for role in ROLES if not f.side(role)["syn_options"] & OPT_SACK_PERMITTED}
    if not refused or any(f.client["syn_options"] & f.server["syn_options"] & OPT_SACK_PERMITTED for f in group):
        return ""
    who = "neither end offered it" if len(refused) == 2 else f"the {min(refused)}'s SYN had none of it"
    return f", one a round trip, as there is no SACK: {who}"


def _late(f: Facts) -> bool:
    """Timers stopped a sender, for long enough to be felt."""
    return bool(both(f, "timeout_retransmissions")) and both(f, "timer_ns") >= FELT_NS and not _hasty(f)


def _in_vain(f: Facts) -> dict[str, int]:
    """Time-outs that repeated what had arrived, by why."""
    left = both(f, "spurious_timeouts")
    counts = {}
    for why in ("delay", "acks"):
        counts[why] = min(left, both(f, f"spurious_by_{why}"))
        left -= counts[why]
    return counts


def _stopped(f: Facts) -> int:
    """How long timers stopped either side, ns; both may have waited at once."""
    each = f.client["timer_ns"], f.server["timer_ns"]
    return int(min(sum(each), max(*each, f.common["time_timeout_ns"])))


def _timeouts(server: str, late: list[Facts]) -> list[Finding]:
    if not late:
        return []
    side = {name: sum(both(f, name) for f in late) for name in _NUMBERS}
    count = sum(both(f, "timeout_retransmissions") for f in late)
    chain, took, after = max(_chains(f) for f in late)
    text = f"{times(count, 'retransmission time-out')} in {times(len(late))} with {server}"
    stopped = sum(map(_stopped, late))
    text += f" stopped the sender for {seconds(stopped)}"
    vain = {why: sum(_in_vain(f)[why] for f in late) for why in ("delay", "acks")}
    needless = sum(vain.values())
    if chain > 1:
        text += f"; the longest chain: {chain} in a row" + (f" over {seconds(took)}" if took > 0 else "")
        text += f", {after}" if after != KNOWN or needless < count else ""
    where = _same(_where(side)) if needless < count else ""
    if needless or not all(map(_would_be_told, late)):  # of several copies that arrived one need not tell
        where = where.replace(", lost behind", "; the data or its acknowledgment was lost behind", 1)
    if needless:
        which = "" if needless == count else f"{needless:,} of them " if count > 1 else ""
        where += f"; {which}though the data had arrived: " + "; ".join(WHY[why] for why in vain if vain[why])
    barred = [f for f in late if said_unreachable(f)]
    if barred:
        where += f"; ICMP said unreachable of {len(barred):,} ({in_words(barred)})"
    finding = proved(about(
        late, "timeouts", "warning", "path", text + where,
        "losses that duplicate ACKs could not tell: whole windows, last segments, or a dead path"
        if needless < count or _unfilled(late) else
        "the data came, their acknowledgments did not, or too late: look at the way back from the receiver"
        if vain["acks"] and not vain["delay"] else
        "nothing was lost but time: look for what holds packets back for so long (a full queue, a radio link, a paused "
        "machine)",
        shown=["timeout_retransmission"], timeouts=count, seconds=stopped / 1e9,
        chain=chain, needless=needless,
    ), numbers=side)  # fmt: skip
    too_long = max((it["stuck_segment"] for f in late for it in (f.client, f.server) if full_alone(it)), default=0)
    if too_long:
        finding.doubt(
            f"only segments of {too_long:,} bytes were repeated, and none as long had been acknowledged: a path that "
            "carries only smaller packets looks the same"
        )
    return [finding]


def _would_be_told(f: Facts) -> bool:
    """Of data that had arrived, with only its ACK lost, a D-SACK would tell (RFC 2883, 4); of a FIN nothing does."""
    return bool(
        f.client["syn_options"] & f.server["syn_options"] & OPT_SACK_PERMITTED
        and not f.client["back_off_open"] + f.server["back_off_open"]
        and not any(f.seen("fin_retransmission", role) for role in ROLES)
    )


def _unfilled(group: list[Facts]) -> bool:
    """Of some the capture lacks data that had been sent."""
    return any(f.side(role)["missed_bytes"] > 0 or f.seen("lost_segment", role) for f in group for role in ROLES)


def _same(where: str) -> str:
    """Where the first copies were lost, if it was the same for all: the counts are of more than time-outs."""
    return "" if " of them " in where else where


def _chains(f: Facts) -> tuple[int, int, str]:
    """The longest chain of time-outs: how many, how long it took, and what ended it."""

    def ended(side: Record) -> str:
        if side["spurious_retransmissions"] >= side["back_off_open"]:
            return KNOWN
        ended_it = f.close == "reset" and f.common["reset_ns"] >= side["last_ns"]
        return "ended by a reset" if ended_it else "never answered"

    return max(
        max((it["back_off_longest"], it["back_off_ns"], "then acknowledged"), (it["back_off_open"], 0, ended(it)))
        for it in (f.client, f.server)
    )


def _tail(server: str, group: list[Facts]) -> list[Finding]:
    """The last segments of a burst lost: nothing behind them tells, so a timer must."""
    found = []
    for role in ("client", "server"):
        hit = [f for f in group if _tails(f, role) > 0]
        count = sum(_tails(f, role) for f in hit)
        if count < FEW:
            continue
        found.append(about(
            hit, "tail_loss", "note", "path",
            f"the end of what the {role} sent was lost {times(count, 'time')} in {times(len(hit))} with {server}: "
            "a probe after silence had to find out",
            "each costs two round trips and more of silence: short answers suffer most; look for the loss on the path",
            shown=["tail_loss_probe"], by=role, losses=count,
        ))  # fmt: skip
    return found


def _tails(f: Facts, role: str) -> int:
    side = f.side(role)
    needless = side["spurious_by_delay"] + side["spurious_by_acks"] - side["spurious_timeouts"]
    return int(side["tail_loss_probes"] - needless)


def _opening(f: Facts) -> int:
    """SYNs and SYN-ACKs repeated in vain: the handshake's affair; a server that defers accept() does it on purpose."""
    opening = {it.frame for it in f.proofs if it.annotation in ("syn_retransmission", "syn_ack_retransmission")}
    return len(opening & {it.frame for it in f.proofs if it.annotation == "spurious_retransmission"})


def _needless(f: Facts) -> dict[str, int]:
    """Segments with data or FIN sent again in vain, by why, and in all."""
    counts = {why: both(f, f"spurious_by_{why}") for why in WHY}
    opening = left = _opening(f)
    for why in ("acks", "delay"):
        taken = min(left, counts[why])
        counts[why] -= taken
        left -= taken
    return counts | {"all": both(f, "spurious_retransmissions") - opening}


def _spurious(server: str, group: list[Facts], late: list[Facts]) -> list[Finding]:
    by_one = {f.number: _needless(f) for f in group if both(f, "spurious_retransmissions")}
    for f in late:  # what `timeouts` tells
        if f.number in by_one:
            for why, count in _in_vain(f).items():
                by_one[f.number][why] -= count
                by_one[f.number]["all"] -= count
    needless = [
        f for f in group if f.number in by_one and by_one[f.number]["all"] > 0 and f.close != "half_open"
    ]  # its SYNs were needed: no answer arrived
    if not needless:
        return []
    counts = {why: sum(by_one[f.number][why] for f in needless) for why in (*WHY, "all")}
    count = counts.pop("all")
    told = sorted((why for why in WHY if counts[why]), key=lambda why: -counts[why])
    reason = "; ".join(WHY[why] + (f" ({counts[why]:,})" if len(told) > 1 else "") for why in told)
    blind = bool(_without_sack(needless))
    if blind and any(again(f.client) + again(f.server) > both(f, "spurious_retransmissions") for f in needless):
        reason = UNTOLD  # something was lost, and what follows from that
    elif blind:
        reason = "; ".join([reason, UNTOLD] if reason else [UNTOLD])
    return [proved(about(
        needless, "spurious", "note", "path",
        f"{times(count, 'retransmission')} in {times(len(needless))} with {server} "
        + ("was" if count == 1 else "were") + " not needed" + (f": {reason}" if reason else ""),
        "let both ends offer SACK: after a loss, and after a delay spike or reordering, only what is missing is then "
        "sent again" if blind else
        "delay spikes, reordering or lost ACKs made the sender repeat what had arrived",
        shown=["spurious_retransmission"], segments=count,
    ), numbers=counts)]  # fmt: skip


# ---------------------------------------------------------------- another order


def _reordering(server: str, group: list[Facts]) -> list[Finding]:
    found = []
    for role in ("client", "server"):
        hit = [f for f in group if f.side(role)["overtaken"] > 0]
        count, sent = sides(hit, "overtaken")[role], sides(hit, "data_packets")[role]
        if count < REORDERED or count < DISORDER * sent:
            continue
        far, late = (max(f.side(role)[name] for f in hit) for name in ("reordering_bytes", "reordering_ns"))
        found.append(about(
            hit, "reordering", "note", "path",
            f"{times(count, 'segment')} of the {role} ({count / max(sent, 1):.1%}) came after their successors in "
            f"{times(len(hit))} with {server}, by up to {far:,} bytes"
            + (f" and {seconds(late)}" if late else ""),
            "several paths at once (link aggregation, load balancing by packet), or a network card with several queues",
            shown=["out_of_order"], by=role, segments=count, bytes=far, milliseconds=late / 1e6,
        ))  # fmt: skip
    return found


# ---------------------------------------------------------------- too long for the path


def full_alone(side: Record) -> bool:
    """Time-outs repeat a full segment, longer than any that arrived."""
    return bool(side["stuck_times"] >= CHAIN and side["stuck_segment"] > 500)


def _stuck(f: Facts, role: str) -> bool:
    """They do while the peer is alive.  Where the capture begins in the middle, it must have seen some arrive."""
    side = f.side(role)
    return full_alone(side) and bool(
        (side["stuck_heard"] or _told(f)) and (side["acked_segment"] or not f.begun_before)
    )


def _told(f: Facts) -> bool:
    """ICMP: fragmentation needed, packet too big."""
    return (f.common["icmp_type"], f.common["icmp_code"]) == (3, 4) or (
        f.common["ip_version"] == 6 and f.common["icmp_type"] == 2
    )


def _shrank(side: Record) -> bool:
    """What it sent again arrived, in shorter segments than before; of super-frames the card's pieces are not seen."""
    whole = side["max_segment"] > max(side["mss"], FULL)
    return bool(again(side) and side["acked_segment"] > 0 and (whole or side["acked_segment"] < side["max_segment"]))


def _smaller(server: str, group: list[Facts]) -> list[Finding]:
    """Path MTU discovery at work (RFC 1191, RFC 8201): what was too long is sent again in shorter segments."""
    hit = [f for f in group if _told(f) and (_shrank(f.client) or _shrank(f.server))]
    if not hit:
        return []
    count = sum(again(f.client) + again(f.server) for f in hit)
    return [about(
        hit, "path_mtu", "note", "path",
        f"ICMP asked for smaller packets in {times(len(hit))} with {server}, and {times(count, 'segment')} "
        + ("was" if count == 1 else "were") + " sent again in shorter pieces: path MTU discovery at work",
        "a link on the path carries only smaller packets, and says so; clamping the MSS there saves the detour",
        shown=CAUSES, segments=count, earlier=count if count > DETOUR else 0,
    )]  # fmt: skip


def _path_mtu(server: str, group: list[Facts]) -> list[Finding]:
    found = []
    for role in ("client", "server"):
        hit = [f for f in group if _stuck(f, role)]
        if not hit:
            continue
        it = worst(hit, role, "stuck_times")
        told = any(_told(f) for f in hit)
        finding = about(
            hit, "path_mtu", "error", "path",
            f"segments of {it['stuck_segment']:,} bytes from the {role} were repeated up to {it['stuck_times']} times "
            f"and never acknowledged in {times(len(hit))} with {server}, while those of up to {it['acked_segment']:,} "
            "bytes got through" + (": ICMP asked for smaller ones" if told else ", and no ICMP told why"),
            f"the {role} ignores the ICMP error, or a firewall in front of it drops it" if told else
            "a link on the path carries only smaller packets: let ICMP `fragmentation needed` through, or clamp the "
            "MSS at the tunnel",
            shown=["timeout_retransmission"], by=role, segment=it["stuck_segment"], passed=it["acked_segment"],
            repeated=it["stuck_times"],
        )  # fmt: skip
        if not told:
            finding.doubt("a lossy path may drop long segments by chance")
        found.append(finding)
    return found
