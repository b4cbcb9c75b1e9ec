"""One connection's packets as numpy arrays, seen from one sender: what every plot of a connection is made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy

from tcpscope.errors import UsageError
from tcpscope.replay.layout import ANNOTATIONS, CAPTURE_POINTS, CONNECTION, PACKET, ROLES
from tcpscope.report.text import clock, safe, span
from tcpscope.tables.address import address, with_port
from tcpscope.tables.rows import Raw
from tcpscope.tables.values import names
from tcpscope.wire.layout import ACK, FIN, OPT_TIMESTAMPS, RST, SYN

if TYPE_CHECKING:
    from numpy.typing import NDArray

WRAP = 1 << 32
ENOUGH = 1  # samples, of which the least is taken for a round trip without delay
SMOOTH = 9  # neighbours, of which the quickest answer counts
MOST_QUEUE = 1_000_000_000  # nanoseconds that a queue may add
LEAST_SHIFT = 200_000  # nanoseconds; less cannot be seen


def records(raw: Raw) -> NDArray[Any]:
    """Connection records in the order of the connections' numbers."""
    found = numpy.frombuffer(raw, CONNECTION.dtype())
    return found[numpy.argsort(found["connection"], kind="stable")]


def of_connection(chunks: Iterable[Raw], number: int) -> NDArray[Any]:
    """The packet records of one connection, in order."""
    dtype = PACKET.dtype()
    kept = []
    for chunk in chunks:
        rows = numpy.frombuffer(chunk, dtype)
        mine = rows["connection"] == number
        if mine.any():
            kept.append(rows[mine])
    return numpy.concatenate(kept) if kept else numpy.empty(0, dtype)


def bit(word: str) -> numpy.uint64:
    """The bit of an annotation."""
    return numpy.uint64(1 << ANNOTATIONS.index(word))


def has(annotations: Any, *words: str) -> NDArray[numpy.bool_]:
    """Which of these annotations hold any of the words."""
    mask = numpy.uint64(sum(int(bit(word)) for word in words))
    found: NDArray[numpy.bool_] = annotations & mask != 0
    return found


def endpoint(record: Any, role: str) -> str:
    """`10.0.0.1:80`, `[::1]:80`."""
    ip = safe(address(bytes(record[f"{role}_addr"]), int(record["ip_version"])))
    return with_port(ip, record[f"{role}_port"])


@dataclass(frozen=True)
class Trace:
    """packets: its records, in order.  record: the connection's.  side: whose data is looked at, 0 client, 1 server.

    Arrays are as long as `packets`.  Positions count the sender's bytes, SYN and FIN, from its SYN (or from
    the first number seen), without wrapping.
    """

    packets: NDArray[Any]
    record: Any
    side: int
    title: str
    name: str
    utc: bool = True

    @property
    def role(self) -> str:
        return ROLES[self.side]

    @property
    def peer(self) -> str:
        return ROLES[1 - self.side]

    def own(self, column: str) -> Any:
        """A column of the sender's half of the record."""
        return self.record[f"{self.role}_{column}"]

    def theirs(self, column: str) -> Any:
        """A column of the receiver's half of the record."""
        return self.record[f"{self.peer}_{column}"]

    @property
    def start_ns(self) -> int:
        return int(self.record["start_ns"])

    @cached_property
    def time(self) -> NDArray[Any]:
        """Seconds since the connection's first packet."""
        found: NDArray[Any] = (self.packets["time_ns"] - self.start_ns) / 1e9
        return found

    @cached_property
    def mine(self) -> NDArray[Any]:
        """Sent by the side that is looked at."""
        found: NDArray[Any] = self.packets["sender"] == self.side
        return found

    @cached_property
    def reset(self) -> NDArray[Any]:
        found: NDArray[Any] = self.packets["flags"] & RST != 0
        return found

    @cached_property
    def answers(self) -> NDArray[Any]:
        """Acknowledgments from the other side; a RST's numbers mean something else."""
        found: NDArray[Any] = ~self.mine & (self.packets["flags"] & ACK != 0) & ~self.reset
        return found

    @cached_property
    def position(self) -> NDArray[Any]:
        """Of the sender's packets the first byte, of the receiver's the acknowledgment; 0 for others (see `answers`).

        Both count the same bytes, so they are unwrapped as one sequence in order of time.
        """
        found = numpy.zeros(len(self.packets), numpy.int64)
        told = (self.mine & ~self.reset) | self.answers
        numbers = numpy.where(self.mine, self.packets["seq"], self.packets["ack"])[told].astype(numpy.int64)
        steps = (numpy.diff(numbers, prepend=0) + WRAP // 2) % WRAP - WRAP // 2
        found[told] = numpy.cumsum(steps)
        resets = self.mine & self.reset
        if resets.any():  # at the number nearest to what was sent
            near = numpy.maximum.accumulate(numpy.where(self.mine & ~self.reset, found, 0))[resets]
            off = self.packets["seq"][resets].astype(numpy.int64) - near
            found[resets] = near + (off + WRAP // 2) % WRAP - WRAP // 2
        return found

    @cached_property
    def end(self) -> NDArray[Any]:
        """Of the sender's packets the position after the last byte, SYN and FIN counted."""
        flags = self.packets["flags"]
        extra = ((flags & SYN) != 0).astype(numpy.int64) + ((flags & FIN) != 0)
        found: NDArray[Any] = self.position + self.packets["length"] + numpy.where(self.reset, 0, extra)
        return found

    @cached_property
    def sent_up_to(self) -> NDArray[Any]:
        """SND.NXT as the capture shows it, after every packet."""
        ends = numpy.where(self.mine & ~self.reset & ~self.reminders, self.end, self._least)
        found: NDArray[Any] = numpy.maximum.accumulate(ends)
        return found

    @cached_property
    def acked_up_to(self) -> NDArray[Any]:
        """SND.UNA as the capture shows it, after every packet; before the first answer, the first byte seen."""
        found: NDArray[Any] = numpy.maximum.accumulate(numpy.where(self.answers, self.position, self._least))
        return found

    @cached_property
    def _least(self) -> int:
        seen = self.position[(self.mine & ~self.reset & ~self.reminders) | self.answers]
        return int(seen.min()) if len(seen) else 0

    @cached_property
    def reminders(self) -> NDArray[Any]:
        """The sender's keep-alives and empty probes: they carry a number from before."""
        empty = self.packets["length"] == 0
        found: NDArray[Any] = self.mine & (self.said("keep_alive") | (self.said("zero_window_probe") & empty))
        return found

    @cached_property
    def first_times(self) -> NDArray[Any]:
        """Payload bytes of each of the sender's packets that no earlier packet of the capture carried."""
        again = self.said("retransmission") & (self.packets["retransmission_of"] != 0)
        repeats = again | self.said("duplicate_capture", "network_duplicate", "keep_alive")
        found: NDArray[Any] = numpy.where(self.mine & ~repeats, self.packets["length"], 0)
        return found

    @cached_property
    def window(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The receiver's packets that advertise a window (indices), and these windows."""
        at = numpy.flatnonzero(self.answers & ~self.said("bad_checksum"))
        return at, self.packets["window"][at].astype(numpy.int64)

    @property
    def scale_known(self) -> bool:
        """Whether the receiver's window scale was seen to be agreed on."""
        if self.theirs("syn_packets") and self.theirs("window_scale") < 0:
            return True
        return bool(self.theirs("syn_packets") and self.own("syn_packets"))

    def said(self, *words: str) -> NDArray[Any]:
        """Packets with any of these annotations."""
        return has(self.packets["annotations"], *words)

    @cached_property
    def remarks(self) -> tuple[NDArray[Any], tuple[str, ...]]:
        """Of every packet its annotations, as a number that stands for one of the words."""
        masks, codes = numpy.unique(self.packets["annotations"], return_inverse=True)
        return codes.astype(numpy.int32), tuple(
            ", ".join(names(int(mask), ANNOTATIONS)).replace("_", " ") for mask in masks
        )

    def about(self, which: Any) -> dict[str, Any]:
        """For a Layer: the frames and remarks of these packets."""
        codes, words = self.remarks
        return {"frames": self.packets["frame"][which], "said": codes[which], "words": words}

    @property
    def point(self) -> str:
        """Where the capture was taken, in words."""
        word = CAPTURE_POINTS[int(self.record["capture_point"])]
        return {"unknown": "at an unknown place", "middle": "in the middle"}.get(word, f"at the {word}")

    @property
    def subtitle(self) -> str:
        flow = f"{endpoint(self.record, self.role)} ({self.role}) → {endpoint(self.record, self.peer)} ({self.peer})"
        return f"{flow}, from {clock(self.start_ns / 1e9, self.utc)}"


def reach(t: Trace, side: int) -> int:
    """Nanoseconds from the capture point to that side and back; 0 where it is not known."""
    if CAPTURE_POINTS[int(t.record["capture_point"])] == "unknown" and t.own("syn_packets") and t.theirs("syn_packets"):
        return 0  # the handshake leaves it open on which side the way is long
    shaken = int(t.record["syn_rtt_ns" if side else "ack_rtt_ns"])
    other = ROLES[1 - side]
    least = int(t.record[f"{other}_rtt_min_ns"]) if t.record[f"{other}_rtt_samples"] >= ENOUGH else -1
    return min((it for it in (shaken, least) if it >= 0), default=0)


def as_seen_by(t: Trace, side: int) -> tuple[Trace, str]:
    """The trace as that side saw it, on the time line of what it sent itself, and a note that says so.

    What the capture saw of the other side at t, this side got later, and what it did then passed the capture
    point `reach` after t.  So the other side's packets are moved by so much.
    """
    base = reach(t, side)
    if base < LEAST_SHIFT:
        return t, ""
    packets = t.packets.copy()
    other = packets["sender"] != side
    moved = packets["time_ns"][other] + _echoes(t, side, base)
    packets["time_ns"][other] = numpy.maximum.accumulate(moved)
    shift = numpy.median(packets["time_ns"][other] - t.packets["time_ns"][other]) / 1e9
    packets = packets[numpy.argsort(packets["time_ns"], kind="stable")]
    return replace(t, packets=packets), (
        f"Captured {span(float(shift))} (there and back, estimated) away from the {ROLES[side]}: what the "
        f"{ROLES[1 - side]} sent is drawn so much later, when it took effect."
    )


def _echoes(t: Trace, side: int, base: int) -> NDArray[Any]:
    """For every packet of the other side, how long until an answer to it passed: `base`, or what the timestamps show.

    The first packet of this side that echoes a timestamp was sent after the first that bore it had come (as in
    passive ping).  Only where this side was sending all the time does it tell the path and not the program.
    """
    packets = t.packets
    mine = packets["sender"] == side
    stamped = packets["options"] & OPT_TIMESTAMPS != 0
    times = packets["time_ns"]
    data = numpy.flatnonzero(mine & stamped & (packets["length"] > 0))
    theirs = numpy.flatnonzero(~mine & stamped)
    found = numpy.full(int((~mine).sum()), base, numpy.int64)
    if len(data) < SMOOTH or not len(theirs):
        return found
    echoes, first = numpy.unique(packets["ts_ecr"][data], return_index=True)
    stamps, borne = numpy.unique(packets["ts_val"][theirs], return_index=True)
    _, at, of = numpy.intersect1d(echoes, stamps, assume_unique=True, return_indices=True)
    answer, asked = data[first[at]], theirs[borne[of]]
    since = numpy.diff(times[data], prepend=times[data[0]] - base)[first[at]]
    taken = times[answer] - times[asked]
    good = (taken >= 0) & (taken < base + MOST_QUEUE) & (since < base // 2)
    order = numpy.argsort(times[asked][good], kind="stable")
    when, taken = times[asked][good][order], taken[good][order]
    if len(taken) < SMOOTH:
        return found
    least = numpy.lib.stride_tricks.sliding_window_view(
        numpy.pad(taken, SMOOTH // 2, mode="edge"), 2 * (SMOOTH // 2) + 1
    ).min(axis=1)
    found[:] = numpy.interp(times[~mine], when, numpy.maximum(least, base))
    return found


def choose_side(record: Any, asked: str | None) -> int:
    """0 client, 1 server: who was asked for, else who sent more."""
    if asked is not None:
        if asked not in ROLES:
            raise UsageError(f"no side {asked!r}: client or server")
        return ROLES.index(asked)
    return int(record["server_unique_bytes"] > record["client_unique_bytes"])
