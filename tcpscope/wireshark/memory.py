"""What each side has shown so far, kept to give the evidence for a difference: a few numbers a direction."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from tcpscope.wireshark.marked import Marked

RECENT = 64  # packets of one side in which the first copy of a doubled packet is looked for
HALF = 1 << 31
Row = dict[str, Any]


def after(a: int, b: int) -> bool:
    """Whether sequence number a is later than b, modulo 2**32 (RFC 9293, 3.4)."""
    return 0 < (a - b) % (2 * HALF) < HALF


def end_of(row: Row) -> int:
    """The sequence number behind a packet, SYN and FIN counted."""
    controls = row["flags"].split(",")
    return int(row["seq_raw"] + row["length"] + ("SYN" in controls) + ("FIN" in controls)) % (2 * HALF)


@dataclass(frozen=True, slots=True)
class Seen:
    """One packet: time in seconds since the epoch; end is the sequence number behind it."""

    frame: int
    time: float
    seq: int
    end: int
    ip_id: int | None
    checksum: int | None
    ts_val: int | None


@dataclass(slots=True)
class Side:
    """Of the packets one side has sent: the newest by number, the highest acknowledgment, the last window."""

    recent: deque[Seen] = field(default_factory=lambda: deque(maxlen=RECENT))
    top: Seen | None = None
    newest: Seen | None = None
    acked: int | None = None
    acked_frame: int = 0
    window: int | None = None
    window_frame: int = 0
    duplicates: int = 0
    duplicate_frame: int = 0
    sack_frame: int = 0

    def add(self, row: Row, mark: Marked) -> None:
        """Remember a packet of this side, after it has been judged."""
        controls = row["flags"].split(",")
        end = end_of(row)
        seen = Seen(row["frame"], row["time"], row["seq_raw"], end, mark.ip_id, mark.checksum, row["ts_val"])
        self.recent.append(seen)
        if self.top is None or after(end, self.top.end) or "SYN" in controls:
            self.top = seen
        if end != seen.seq and "out_of_order" not in row["annotations"]:
            self.newest = seen
        if "RST" in controls or row["checksum"] == "bad":
            return  # it was sent, but its receiver does not hear what it acknowledges
        if "ACK" in controls:
            if self.acked is None or after(row["ack_raw"], self.acked) or "SYN" in controls:
                self.acked, self.acked_frame, self.duplicates = row["ack_raw"], seen.frame, 0
            elif row["duplicate_ack_num"]:
                self.duplicates, self.duplicate_frame = row["duplicate_ack_num"], seen.frame
        if row["sack"]:
            self.sack_frame = seen.frame
        self.window, self.window_frame = row["window"], seen.frame


@dataclass(frozen=True, slots=True)
class Scene:
    """A packet and what both sides had shown before it."""

    row: Row
    mark: Marked
    mine: Side
    peer: Side

    @property
    def end(self) -> int:
        return end_of(self.row)
