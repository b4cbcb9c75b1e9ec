"""What a sender had outstanding after every packet, in round trips, and the phases of its congestion control.

In flight: sent and not acknowledged, less what the receiver reported by SACK (RFC 6675, without its guess of
what is lost).  The congestion window itself is never on the wire: the largest flight of a round trip is the
least that it can have been, and all of it where nothing else held the sender back.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy

from tcpscope.report.plots.trace import Trace

if TYPE_CHECKING:
    from numpy.typing import NDArray

GROWS = 1.25  # a round that takes this much more than the one before is slow start: with delayed ACKs it is 1.5
STILL = 3  # rounds in a row that do not grow so: slow start is over
FULL = 0.9  # of the advertised window: it, not congestion, is the limit
STOP = 1.5  # round trips with nothing outstanding: the program had nothing to send
PHASES = ("slow start", "avoidance", "recovery", "after time-out", "window-limited")


def sacked(t: Trace) -> NDArray[Any]:
    """Bytes above the acknowledgment that the receiver has reported as arrived, after every packet."""
    at = numpy.flatnonzero(t.answers & (t.packets["n_sack"] > 0))
    if not len(at):
        return numpy.zeros(len(t.packets), numpy.int64)
    totals = numpy.zeros(len(t.packets), numpy.int64)
    left, right = blocks(t, at)
    starts: list[int] = []
    ends: list[int] = []
    total = 0
    told = t.packets["n_sack"][at].tolist()
    una = t.acked_up_to[at].tolist()
    for i, (lefts, rights) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        acked = una[i]
        while ends and ends[0] <= acked:
            total -= ends.pop(0) - starts.pop(0)
        if starts and starts[0] < acked:
            total -= acked - starts[0]
            starts[0] = acked
        for a, b in zip(lefts[: told[i]], rights[: told[i]], strict=True):
            a = max(a, acked)
            if b <= a:
                continue
            low, high = bisect_left(ends, a), bisect_right(starts, b)
            if low < high:
                a, b = min(a, starts[low]), max(b, ends[high - 1])
                total -= sum(ends[low:high]) - sum(starts[low:high])
            starts[low:high], ends[low:high] = [a], [b]
            total += b - a
        totals[at[i]] = total
    # an acknowledgment without SACK says that nothing is missing; packets of the sender change nothing
    news = numpy.where(t.answers, numpy.arange(len(totals)), 0)
    found: NDArray[Any] = totals[numpy.maximum.accumulate(news)]
    return found


def blocks(t: Trace, at: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Left and right ends of the SACK blocks of these packets, as positions: arrays of four columns."""
    raw = numpy.ascontiguousarray(t.packets["sack"][at]).view(numpy.uint32).reshape(-1, 4, 2)
    acks = t.packets["ack"][at].astype(numpy.uint32)[:, None, None]
    places = (raw - acks).view(numpy.int32).astype(numpy.int64) + t.position[at][:, None, None]
    return places[:, :, 0], places[:, :, 1]


def in_flight(t: Trace) -> NDArray[Any]:
    """Bytes outstanding after every packet."""
    found: NDArray[Any] = numpy.maximum(t.sent_up_to - t.acked_up_to - sacked(t), 0)
    return found


@dataclass(frozen=True)
class Rounds:
    """Round trips of the data: packet indices where they begin, the largest flight in each, the largest
    share of the advertised window that it took, and the index of the packet that ends the last."""

    starts: NDArray[Any]
    most: NDArray[Any]
    share: NDArray[Any]
    end: int


def rounds(t: Trace, flight: NDArray[Any]) -> Rounds:
    """A round begins with new data and ends when what was sent until then is acknowledged."""
    data = numpy.flatnonzero(t.mine & (t.packets["length"] > 0) & ~t.reset)
    starts: list[int] = []
    sent, acked = t.sent_up_to, t.acked_up_to
    at = int(data[0]) if len(data) else len(sent)
    answered = 0
    while at < len(sent):
        starts.append(at)
        answered = int(numpy.searchsorted(acked, sent[at]))
        following = int(numpy.searchsorted(data, max(answered, at + 1)))
        at = int(data[following]) if following < len(data) else len(sent)
    begin = numpy.array(starts, numpy.int64)
    if not starts:
        return Rounds(begin, begin, begin, 0)
    end = min(answered, len(sent) - 1)
    offered = advertised(t)
    share = numpy.where(offered > 0, flight / numpy.maximum(offered, 1), offered == 0)  # a closed window is full
    return Rounds(begin, numpy.maximum.reduceat(flight, begin), numpy.maximum.reduceat(share, begin), end)


def advertised(t: Trace) -> NDArray[Any]:
    """The receiver's window after every packet, bytes; -1 before the first."""
    at, windows = t.window
    latest = numpy.full(len(t.packets), -1, numpy.int64)
    latest[at] = numpy.arange(len(at))
    latest = numpy.maximum.accumulate(latest)
    found: NDArray[Any] = numpy.where(latest >= 0, windows[latest] if len(windows) else -1, -1)
    return found


@dataclass(frozen=True)
class Spell:
    """A phase from one time to another, seconds."""

    phase: str
    start: float
    end: float


def losses(t: Trace) -> list[tuple[int, int, str]]:
    """First packet, last packet and kind of every repair: until all that was out at its start is acknowledged."""
    causes = numpy.flatnonzero(t.mine & t.said("fast_retransmission", "timeout_retransmission"))
    timer = t.said("timeout_retransmission")
    found: list[tuple[int, int, str]] = []
    for at in causes.tolist():
        kind = "after time-out" if timer[at] else "recovery"
        if found and at <= found[-1][1]:
            if kind == found[-1][2] or kind == "recovery":
                continue
            found[-1] = (found[-1][0], at - 1, found[-1][2])  # the timer ran out within recovery
        until = int(numpy.searchsorted(t.acked_up_to, t.sent_up_to[at]))
        found.append((at, min(until, len(t.packets) - 1), kind))
    return found


def phases(t: Trace, flight: NDArray[Any], r: Rounds) -> list[Spell]:
    """The sender's phases, in order: an estimate, from the growth of the rounds and from repairs."""
    if not len(r.starts):
        return []
    time = t.time
    edges = [*time[r.starts].tolist(), float(time[r.end])]
    repairs = losses(t)
    labels: list[Spell] = []
    slow, flat, best, threshold = True, 0, 0, float("inf")
    pending = iter(repairs)
    coming = next(pending, None)
    for i, most in enumerate(r.most.tolist()):
        start = int(r.starts[i])
        while coming is not None and coming[1] < start:
            threshold = max(flight[max(coming[0] - 1, 0)] // 2, 1)
            slow, flat, best = coming[2] == "after time-out", 0, 0
            coming = next(pending, None)
        grows = most >= GROWS * best
        if slow and best:
            flat = 0 if grows else flat + 1
            if flat >= STILL or most > threshold:
                slow = False
                for back in range(1, min(flat, len(labels) + 1)):  # it was over when the growth stopped
                    if labels[-back].phase == "slow start":
                        labels[-back] = Spell("avoidance", labels[-back].start, labels[-back].end)
        best = max(best, most)
        phase = "slow start" if slow else "avoidance"
        if r.share[i] >= FULL and t.scale_known:
            phase = "window-limited"
        labels.append(Spell(phase, edges[i], edges[i + 1]))
    return _joined(_with_repairs(_without_pauses(t, flight, labels), [(time[a], time[b], k) for a, b, k in repairs]))


def _without_pauses(t: Trace, flight: NDArray[Any], spells: list[Spell]) -> list[Spell]:
    """Where the program had nothing to send there is no phase."""
    trip = max(int(t.record["initial_rtt_ns"]), int(t.own("rtt_p95_ns")), 1_000_000) / 1e9
    empty = numpy.flatnonzero(flight[:-1] == 0)
    gaps = empty[numpy.diff(t.time)[empty] > STOP * trip]
    return _minus(spells, [(float(t.time[at]), float(t.time[at + 1])) for at in gaps.tolist()])


def _minus(spells: list[Spell], holes: list[tuple[float, float]]) -> list[Spell]:
    """The spells without the holes; both in order, holes apart."""
    out: list[Spell] = []
    first = 0
    for it in spells:
        start = it.start
        while first < len(holes) and holes[first][1] <= start:
            first += 1
        at = first
        while at < len(holes) and holes[at][0] < it.end:
            if holes[at][0] > start:
                out.append(Spell(it.phase, start, holes[at][0]))
            start = max(start, holes[at][1])
            at += 1
        if start < it.end:
            out.append(Spell(it.phase, start, it.end))
    return out


def _with_repairs(spells: list[Spell], repairs: list[tuple[float, float, str]]) -> list[Spell]:
    """Repairs take the place of whatever they overlap."""
    kept = _minus(spells, [(a, b) for a, b, _ in repairs])
    return sorted([*kept, *(Spell(kind, a, b) for a, b, kind in repairs)], key=lambda it: it.start)


def _joined(spells: list[Spell]) -> list[Spell]:
    out: list[Spell] = []
    for it in spells:
        if out and out[-1].phase == it.phase and it.start <= out[-1].end:
            out[-1] = Spell(it.phase, out[-1].start, max(it.end, out[-1].end))
        else:
            out.append(it)
    return out
