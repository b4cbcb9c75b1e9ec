"""What lies in both endpoints' queues and on their timers after each packet, for many packets at once.

Grouped numpy instead of a loop: packets are sorted by connection, and every rule is one of four moves within
a group (the value of the last row that …, the highest so far, how many since …, the row before).  What a
connection knew at the end of one chunk is carried into the next, so that memory grows with connections only.

"Stream x" is what endpoint x sends: its own packets say how far it has sent (SND.NXT), its peer's how far that
is acknowledged (SND.UNA) and how much more may come (RFC 9293, 3.3.1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tcpscope.replay.layout import ANNOTATIONS, PACKET
from tcpscope.wire.layout import ACK, FIN, OPT_SACK, OPT_SACK_PERMITTED, RST, SYN

Array = Any  # numpy.ndarray
Chunk = dict[str, Array]  # columns of packets, by field of layout.PACKET

NEVER = -(1 << 62)  # no time
NOWHERE = -(1 << 43)  # no position in a stream
_APART = 1 << 45  # between two groups' positions: more than a stream is long
COLUMNS = ("order", "frame", "time_ns", "connection", "sender", "seq", "ack", "length", "flags", "window",
           "annotations", "rtt_ns", "options", "file", "mss", "retransmission_of")  # fmt: skip
SAMPLES = 100  # of the round trip, the last that count: 7/8 to the hundredth is a millionth

# What is known of a stream after a packet, and what it is before the first.
KNOWN: dict[str, int] = {
    "raw": 0, "at": NOWHERE,              # the last number seen, as in the record and unwrapped
    "first": NOWHERE, "start": NOWHERE,   # the first position, and that of the first byte of data
    "next": NOWHERE, "una": NOWHERE,      # SND.NXT, SND.UNA
    "data_end": NOWHERE, "fin": NOWHERE,  # end of the data sent; and of all data, once the FIN was sent
    "gap": NOWHERE,                       # where data went on behind the last hole
    "edge": NOWHERE,                      # right edge of what the receiver allows, FIN not counted
    "window": -1, "largest": -1,          # the receiver's window: last and largest
    "first_sent": NEVER,                  # when something went out while nothing was under way
    "new_sent": NEVER, "last_length": 0, "acked": NEVER, "resent": NEVER, "timeouts": 0,
    "probed": 0, "fin_sent": NEVER,       # tail loss probes since the last acknowledgment; last FIN
    "closed": NEVER, "probes": 0, "unanswered": 0, "probe": NEVER, "probe_gap": -1,   # zero window
    "alive": NEVER, "alive_idle": -1, "alive_gap": -1, "alive_unanswered": 0,         # keep-alive
    "heard": NEVER,                       # last packet of the receiver
    "sack": 0, "srtt": -1, "rttvar": -1, "send_q": 0, "recv_q": 0, "received": 0,
}  # fmt: skip


def _bits(*names: str) -> int:
    return sum(1 << ANNOTATIONS.index(name) for name in names)


_TIMEOUT = _bits("timeout_retransmission", "syn_retransmission", "syn_ack_retransmission")
_AGAIN = _bits("retransmission") | _TIMEOUT
_TAIL = _bits("tail_loss_probe")
_PROBE = _bits("zero_window_probe")
_ALIVE = _bits("keep_alive")
_COPY = _bits("duplicate_capture", "network_duplicate", "bad_checksum")  # copies say nothing new; damaged are dropped


def columns(records: bytes | bytearray | memoryview) -> Chunk:
    """The columns of packed packet records (layout.PACKET) that `Queues.follow` needs, copied."""
    found = np.frombuffer(records, PACKET.dtype())
    return {name: found[name].copy() for name in COLUMNS}


class _Groups:
    """The moves within the rows of one connection; rows are sorted by connection."""

    def __init__(self, connection: Array) -> None:
        size = len(connection)
        new = np.ones(size, bool)
        new[1:] = connection[1:] != connection[:-1]
        self.starts = np.flatnonzero(new)
        self.ends = np.append(self.starts[1:], size) - 1
        self.of_row = np.cumsum(new) - 1
        self.first_row = self.starts[self.of_row]
        self.number = connection[self.starts].astype(np.int64)
        self.rows = np.arange(size)

    def latest(self, where: Array) -> Array:
        """The row of the group's last `where` up to each row; below the group's first row if there is none."""
        return np.maximum.accumulate(np.where(where, self.rows, -1))

    def last(self, where: Array, values: Array, before: Array) -> Array:
        """The value at the last `where` up to each row; else what was before."""
        at = self.latest(where)
        return np.where(at >= self.first_row, values[at], before[self.of_row])

    def highest(self, values: Array, before: Array) -> Array:
        """The highest position so far."""
        apart = self.of_row * _APART
        found = np.maximum(values, NOWHERE)
        found[self.starts] = np.maximum(found[self.starts], before)
        return np.maximum.accumulate(found + apart) - apart

    def count(self, where: Array, reset: Array, before: Array) -> Array:
        """How many `where` since the last `reset`, which is itself counted."""
        total = np.cumsum(where)
        at = self.latest(reset)
        inside = at >= self.first_row
        base = np.where(inside, total[at] - where[at], total[self.first_row] - where[self.first_row])
        return total - base + np.where(inside, 0, before[self.of_row])

    def earlier(self, series: Array, before: Array) -> Array:
        """The value at the row before."""
        found = np.empty_like(series)
        found[1:] = series[:-1]
        found[self.starts] = before
        return found


class Queues:
    """What is known of both streams of every connection, carried from chunk to chunk.

    `known[name][connection, side]` is the value after the last packet followed.
    points: for each connection, by number, where it was captured (index into layout.CAPTURE_POINTS).
    """

    def __init__(self, points: Array) -> None:
        self.points = np.asarray(points)
        count = len(self.points)
        self.known = {name: np.full((count, 2), value, np.int64) for name, value in KNOWN.items()}
        self.packets = np.zeros(count, np.int64)

    def of(self, connections: Array, side: int) -> dict[str, list[int]]:
        """What is known of the streams that this side of the connections sends."""
        return {name: values[connections, side].tolist() for name, values in self.known.items()}

    @property
    def begun(self) -> Array:
        """Which connections had a packet."""
        return self.packets > 0

    def follow(self, chunk: Chunk, every_sample: bool = False) -> tuple[Array, list[Chunk]]:
        """Take in packets, in capture order; what is known after each.

        Returns the chunk's row numbers, sorted by connection, and for each of the two streams the columns of
        KNOWN in that order.  every_sample: smooth the round trip over all samples, not the chunk's last alone.
        """
        order = np.argsort(chunk["connection"], kind="stable")
        if len(order) == 0:
            return order, []
        rows = {name: values[order] for name, values in chunk.items()}
        groups = _Groups(rows["connection"])
        self.packets[groups.number] += groups.ends - groups.starts + 1
        found = []
        for side in (0, 1):
            carried = {name: values[groups.number, side] for name, values in self.known.items()}
            near_sender = self.points[rows["connection"]] == 1 + side
            series = _stream(rows, side, groups, carried, near_sender)
            series["srtt"], series["rttvar"] = _smoothed(rows, side, groups, carried, every_sample)
            for name, values in series.items():
                self.known[name][groups.number, side] = values[groups.ends]
            found.append(series)
        return order, found


def _unwrapped(raw: Array, valid: Array, g: _Groups, k: Chunk) -> tuple[Array, Array]:
    """Positions that do not wrap, from numbers modulo 2^32; and the last raw number.  Steps stay below 2^31."""
    at = np.full(len(raw), NOWHERE, np.int64)
    rows = np.flatnonzero(valid)
    if len(rows):
        numbers = raw[rows]
        group = g.of_row[rows]
        step = np.empty(len(rows), np.uint32)
        step[1:] = numbers[1:] - numbers[:-1]
        new = np.ones(len(rows), bool)
        new[1:] = group[1:] != group[:-1]
        fresh = k["at"][group[new]] == NOWHERE
        step[new] = np.where(fresh, numbers[new], numbers[new] - k["raw"][group[new]].astype(np.uint32))
        total = np.cumsum(step.view(np.int32).astype(np.int64))
        base = total[new] - step.view(np.int32)[new] - np.where(fresh, 0, k["at"][group[new]])
        at[rows] = total - base[np.cumsum(new) - 1]
    return at, g.last(valid, raw.astype(np.int64), k["raw"])


def _stream(r: Chunk, side: int, g: _Groups, k: Chunk, near_sender: Array) -> Chunk:
    """The series of one stream.  r: packets sorted by connection; k: what each group knew before."""
    flags, marks, time, length = r["flags"], r["annotations"], r["time_ns"], r["length"].astype(np.int64)
    usable = (flags & RST == 0) & (marks & np.uint64(_COPY) == 0)
    mine, theirs = usable & (r["sender"] == side), usable & (r["sender"] != side)
    acks = theirs & (flags & ACK != 0)
    syn, fin = (flags & SYN != 0).astype(np.int64), (flags & FIN != 0).astype(np.int64)

    def marked(bits: int) -> Array:
        return mine & (marks & np.uint64(bits) != 0)

    def last(where: Array, values: Array, name: str) -> Array:
        return g.last(where, values, k[name])

    def highest(where: Array, values: Array, name: str) -> Array:
        return g.highest(np.where(where, values, NOWHERE), k[name])

    s: Chunk = {}
    at, s["raw"] = _unwrapped(np.where(r["sender"] == side, r["seq"], r["ack"]), mine | acks, g, k)
    s["at"] = last(mine | acks, at, "at")
    s["first"] = _first(g, mine | acks, at, k["first"])
    end = at + length + syn + fin
    s["start"] = np.maximum(highest(mine & (syn != 0), at + 1, "start"), s["first"])
    s["next"], s["una"] = highest(mine, end, "next"), highest(acks, at, "una")
    s["data_end"] = highest(mine, at + length + syn, "data_end")
    s["fin"] = highest(mine & (fin != 0), end - 1, "fin")
    next_before, una_before = g.earlier(s["next"], k["next"]), g.earlier(s["una"], k["una"])
    s["gap"] = highest(mine & (length > 0) & (next_before > NOWHERE) & (at > next_before), at, "gap")
    una = np.maximum(s["una"], s["first"])
    s["send_q"] = np.maximum(np.maximum(s["next"], una) - una, 0)
    s["heard"] = last(theirs, time, "heard")
    s["sack"] = g.highest(np.where(mine & (r["options"] & (OPT_SACK_PERMITTED | OPT_SACK) != 0), 1, 0), k["sack"])

    _receive(s, r, g, k, theirs, acks, at, near_sender)
    _timing(s, g, k, mine, acks, time, end, next_before, una_before, marked)
    s["fin_sent"] = last(mine & (fin != 0), time, "fin_sent")
    _zero_window(s, g, k, theirs, time, marked(_PROBE))
    _keep_alive(s, g, k, theirs, time, marked(_ALIVE))
    return s


def _first(g: _Groups, where: Array, values: Array, before: Array) -> Array:
    """The value at the group's first `where`, once it has come; one that was known before stays."""
    rows = np.flatnonzero(where)
    group, at = np.unique(g.of_row[rows], return_index=True)
    found = before.copy()
    new = found[group] == NOWHERE
    found[group[new]] = values[rows[at[new]]]
    come = g.last(where, g.rows, np.where(before != NOWHERE, 0, -1)) >= 0
    return np.where(come, found[g.of_row], NOWHERE)


def _receive(s: Chunk, r: Chunk, g: _Groups, k: Chunk, theirs: Array, acks: Array, at: Array,
             near_sender: Array) -> None:  # fmt: skip
    """What the stream's receiver holds unread: its largest window less what it still allows.

    The window that a receiver advertises is the room that is left (RFC 9293, 3.8.6); so of the buffer, the room
    that was advertised when it was largest, what is missing is taken.  Data on its way to a receiver far from the
    capture count when acknowledged, else when seen; behind a hole, up to the hole.
    """
    window = r["window"].astype(np.int64)
    s["window"] = g.last(theirs, window, k["window"])
    s["largest"] = g.highest(np.where(theirs, window, -1), k["largest"])
    finished = s["fin"] > NOWHERE
    acked_data = np.where(finished & (at > s["fin"]), s["fin"], at)
    s["edge"] = g.highest(np.where(acks, acked_data + window, NOWHERE), k["edge"])
    told = np.where(finished, np.minimum(s["una"], s["fin"]), s["una"])
    whole = (s["una"] >= s["gap"]) & ~near_sender
    received = np.where(whole, np.maximum(s["data_end"], told), told)
    s["received"] = np.maximum(received - s["start"], 0)
    taken = s["largest"] - (s["edge"] - received)
    s["recv_q"] = np.where(s["edge"] > NOWHERE, np.clip(taken, 0, s["received"]), 0)


def _timing(s: Chunk, g: _Groups, k: Chunk, mine: Array, acks: Array, time: Array, end: Array, next_before: Array,
            una_before: Array, marked: Callable[[int], Array]) -> None:  # fmt: skip
    """When the retransmission timer was last started, and how often it has run out (RFC 6298, 5)."""
    new = mine & (end > next_before)
    idle = next_before <= np.maximum(una_before, g.earlier(s["first"], k["first"]))
    ahead = acks & (s["una"] > una_before)
    s["first_sent"] = g.last(new & idle, time, k["first_sent"])
    s["new_sent"] = g.last(new, time, k["new_sent"])
    s["last_length"] = g.last(new, end - next_before, k["last_length"])
    s["acked"] = g.last(ahead, time, k["acked"])
    s["resent"] = g.last(marked(_AGAIN), time, k["resent"])
    s["timeouts"] = g.count(marked(_TIMEOUT), ahead, k["timeouts"])
    s["probed"] = g.count(marked(_TAIL), ahead, k["probed"])


def _zero_window(s: Chunk, g: _Groups, k: Chunk, theirs: Array, time: Array, probes: Array) -> None:
    """The receiver's window is closed: since when, and which probes were sent (RFC 9293, 3.8.6.1)."""
    shut = theirs & (s["window"] == 0)
    s["closed"] = g.last(shut & (g.earlier(s["window"], k["window"]) != 0), time, k["closed"])
    s["probes"] = g.count(probes, theirs & (s["window"] != 0), k["probes"])
    s["unanswered"] = g.count(probes, theirs, k["unanswered"])
    s["probe"] = g.last(probes, time, k["probe"])
    before = np.maximum(g.earlier(s["probe"], k["probe"]), s["closed"])
    s["probe_gap"] = g.last(probes & (before > NEVER), time - before, k["probe_gap"])


def _keep_alive(s: Chunk, g: _Groups, k: Chunk, theirs: Array, time: Array, probes: Array) -> None:
    """Keep-alive probes: how long it was quiet before the first, and between them (RFC 9293, 3.8.4)."""
    s["alive"] = g.last(probes, time, k["alive"])
    s["alive_unanswered"] = g.count(probes, theirs, k["alive_unanswered"])
    before = g.earlier(s["alive_unanswered"], k["alive_unanswered"])
    heard = g.earlier(s["heard"], k["heard"])
    since = g.earlier(s["alive"], k["alive"])
    s["alive_idle"] = g.last(probes & (before == 0) & (heard > NEVER), time - heard, k["alive_idle"])
    s["alive_gap"] = g.last(probes & (before > 0), time - since, k["alive_gap"])


def _smoothed(r: Chunk, side: int, g: _Groups, k: Chunk, every: bool) -> tuple[Array, Array]:
    """SRTT and RTTVAR in nanoseconds by RFC 6298, 2; the n-th samples of all groups at once."""
    is_sample = (r["sender"] != side) & (r["rtt_ns"] >= 0)
    rows = np.flatnonzero(is_sample)
    srtt, rttvar = (k[name].astype(np.float64) for name in ("srtt", "rttvar"))
    smooth, varying = np.full(len(is_sample), -1.0), np.full(len(is_sample), -1.0)
    if len(rows):
        group = g.of_row[rows]
        last_of = np.searchsorted(group, group, side="right")
        if not every:
            keep = last_of - np.arange(len(rows)) <= SAMPLES
            rows, group = rows[keep], group[keep]
        nth = np.arange(len(rows)) - np.searchsorted(group, group, side="left")
        turns = np.argsort(nth, kind="stable")
        for turn in np.split(turns, np.flatnonzero(np.diff(nth[turns])) + 1):
            here, sample = group[turn], r["rtt_ns"][rows[turn]].astype(np.float64)
            first = srtt[here] < 0
            off = np.abs(srtt[here] - sample)
            rttvar[here] = np.where(first, sample / 2, 0.75 * rttvar[here] + 0.25 * off)
            srtt[here] = np.where(first, sample, 0.875 * srtt[here] + 0.125 * sample)
            smooth[rows[turn]], varying[rows[turn]] = srtt[here], rttvar[here]
        is_sample = np.zeros(len(is_sample), bool)
        is_sample[rows] = True
    return (
        g.last(is_sample, smooth.astype(np.int64), k["srtt"]),
        g.last(is_sample, varying.astype(np.int64), k["rttvar"]),
    )
