"""tcpscope against Wireshark, packet by packet: header fields, streams, and two comparisons of annotations.

* emulation: the column `wireshark` says what Wireshark 4.0 would mark; tshark must mark the same.
  Each difference is an error of tcpscope (or of another version's rules).
* judgement: the column `annotations` is tcpscope's own opinion; where Wireshark's mark of the same name
  differs, the difference is listed with its reason and evidence.  It is no error.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from tcpscope.capture.sources import Source, Sources
from tcpscope.replay.layout import FLAGS, WIRESHARK
from tcpscope.tables import rows
from tcpscope.tables.analysis import Analysis, packets
from tcpscope.wireshark.marked import NO_TCP, Marked, marked, with_implied
from tcpscope.wireshark.memory import Scene, Side
from tcpscope.wireshark.reasons import reason
from tcpscope.wireshark.tshark import RULES, Tshark, on_disk

Row = dict[str, Any]

# tcpscope's column → tshark's field
DECODED = {"sport": "tcp.srcport", "dport": "tcp.dstport", "seq": "tcp.seq", "ack": "tcp.ack", "seq_raw": "tcp.seq_raw",
           "ack_raw": "tcp.ack_raw", "length": "tcp.len", "window": "tcp.window_size",
           "window_raw": "tcp.window_size_value", "flags": "tcp.flags"}  # fmt: skip
FLAG_MASK = (1 << len(FLAGS)) - 1
BIT = {name: 1 << place for place, name in enumerate(FLAGS)}
SPLIT = "Wireshark began another stream inside the connection"
BEHIND_DAMAGE = "behind the damage in the file"
PLACE = ("file", "frame", "time", "connection", "sender")
COLUMNS = ("comparison", *PLACE, "name", "wireshark", "tcpscope", "reason", "evidence")
ERRORS = ("decode", "streams", "emulation")  # comparisons in which a difference is an error


@dataclass
class Agreement:
    """The counts, and a row of COLUMNS for each difference; most: rows kept for each reason (None: all)."""

    names: Collection[str] = WIRESHARK
    most: int | None = None
    packets: int = 0
    decoded: int = 0
    analysed: int = 0
    streams: int = 0
    streams_equal: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    found: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # comparison, name, reason
    marks: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    differences: list[Row] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        return not any(count for (comparison, _, _), count in self.found.items() if comparison in ERRORS)

    def document(self, tshark: Tshark, files: list[str]) -> dict[str, Any]:
        """Everything as one JSON document."""
        return {
            "wireshark": {"version": tshark.version, "rules": RULES, "same_rules": tshark.same_rules},
            "files": files,
            "agrees": self.agrees,
            "packets": {"compared": self.packets, "decoded_equally": self.decoded, "analysed": self.analysed},
            "not_compared": dict(self.skipped.most_common()),
            "streams": {"wireshark": self.streams, "equal": self.streams_equal},
            "annotations": [{"annotation": name, **self.marks[name]} for name in WIRESHARK if name in self.marks],
            "reasons": [
                {"comparison": comparison, "name": name, "reason": why, "count": count}
                for (comparison, name, why), count in self.found.most_common()
            ],
            "differences": self.differences,
        }

    def differ(self, comparison: str, name: str, at: Row, theirs: Any, ours: Any, why: str, evidence: str) -> None:
        """Count a difference, and keep its row while there is room."""
        kind = (comparison, name, why)
        self.found[kind] += 1
        if self.most is None or self.found[kind] <= self.most:
            place = [at.get(column) for column in PLACE]
            self.differences.append(
                dict(zip(COLUMNS, (comparison, *place, name, theirs, ours, why, evidence), strict=True))
            )


def compare(
    source: Source, number: int, tshark: Tshark, agreement: Agreement, *, msl: float, by_tunnel: bool
) -> Analysis:
    """Add one capture's agreement; its frames are numbered on their own, as Wireshark opens one file.

    number: the file's, from 0.  msl in seconds.  -> what is known of the file.
    """
    with on_disk(source) as path:
        copy = Source(source.name, lambda: open(path, "rb", buffering=0))  # noqa: SIM115 (the reader closes it)
        result, chunks = packets(Sources([copy], []), msl=msl, by_tunnel=by_tunnel)
        damaged = bool(result.warnings)
        ours = (row for chunk in chunks for row in rows.rows("packets", chunk))
        _File(number, agreement, damaged).run(ours, marked(tshark, path, damaged))
    return result


class _File:
    """One capture's comparison, and what it has to remember."""

    def __init__(self, number: int, agreement: Agreement, damaged: bool) -> None:
        self.number, self.agreement, self.damaged = number, agreement, damaged
        self.sides: dict[tuple[int, str], Side] = defaultdict(Side)
        self.connections: dict[int, set[int]] = defaultdict(set)  # tcp.stream → tcpscope's numbers
        self.streams: dict[int, set[int]] = defaultdict(set)  # the other way round
        self.first: dict[int, Row] = {}  # tcp.stream → its first packet
        self.split: set[int] = set()

    def run(self, ours: Iterator[Row], theirs: Iterator[Marked]) -> None:
        """Walk both lists by frame number; a packet put together from tunnelled pieces may come late."""
        late: dict[int, Row] = {}
        missing: dict[int, Marked] = {}
        last = 0
        row = next(ours, None)
        for mark in theirs:
            last = mark.frame
            while row is not None and row["frame"] < mark.frame:
                late[row["frame"]], row = row, next(ours, None)
            if row is not None and row["frame"] == mark.frame:
                self.packet(row, mark)
                row = next(ours, None)
            elif mark.skip != NO_TCP:
                missing[mark.frame] = mark
        while row is not None:
            late[row["frame"]], row = row, next(ours, None)
        for frame in sorted(late):
            if frame in missing:
                self.packet(late[frame], missing.pop(frame))
            else:
                self.alone(late[frame], "tcpscope", frame > last)
        for frame, mark in sorted(missing.items()):
            if mark.skip:
                self.agreement.skipped[mark.skip] += 1
            else:
                self.alone({"frame": frame}, "Wireshark", False)
        self.group()

    def alone(self, at: Row, who: str, behind: bool) -> None:
        """A frame in which only one of them finds TCP."""
        if self.damaged and behind:
            self.agreement.skipped[BEHIND_DAMAGE] += 1
            return
        self.agreement.packets += 1
        theirs, ours = ("TCP", None) if who == "Wireshark" else (None, "TCP")
        self.agreement.differ("decode", "packet", at | {"file": self.number}, theirs, ours, f"only {who} finds TCP", "")

    def packet(self, row: Row, mark: Marked) -> None:
        """One frame in which both find TCP."""
        row["file"] = self.number
        skip = mark.skip or self._split(row, mark)
        if skip == NO_TCP:
            self.alone(row, "tcpscope", False)
            return
        if skip:
            self.agreement.skipped[skip] += 1
            return
        self.agreement.packets += 1
        self.agreement.decoded += self.decode(row, mark)
        stream = mark.header["tcp.stream"]
        self.first.setdefault(stream, row)
        self.connections[stream].add(row["connection"])
        self.streams[row["connection"]].add(stream)
        sender = row["sender"]
        mine = self.sides[row["connection"], sender]
        peer = self.sides[row["connection"], "server" if sender == "client" else "client"]
        if mark.marks is not None:
            self.agreement.analysed += 1
            self.judge(Scene(row, mark, mine, peer), mark.marks)
        mine.add(row, mark)

    def _split(self, row: Row, mark: Marked) -> str | None:
        """Some dissectors (VNC) make Wireshark begin a new tcp.stream in the middle, without any SYN.

        Its relative numbers, windows and analysis start afresh there: nothing can be compared.
        """
        if mark.skip:
            return None
        stream = mark.header["tcp.stream"]
        if stream not in self.first and stream not in self.split and self.streams.get(row["connection"]):
            flags = mark.header["tcp.flags"]
            if flags & (BIT["SYN"] | BIT["ACK"]) != BIT["SYN"]:
                self.split.add(stream)
        return SPLIT if stream in self.split else None

    def decode(self, row: Row, mark: Marked) -> bool:
        """Whether every header field is the same; without the ACK flag the acknowledgment number says nothing."""
        same = True
        for column, name in DECODED.items():
            ours, theirs = row[column], mark.header[name]
            if column == "flags":
                theirs &= FLAG_MASK
                ours = sum(BIT[flag] for flag in ours.split(",") if flag)
            elif column in ("ack", "ack_raw") and not mark.header["tcp.flags"] & BIT["ACK"]:
                continue
            if ours != theirs:
                same = False
                self.agreement.differ("decode", column, row, theirs, row[column], f"{name} differs", "")
        return same

    def judge(self, at: Scene, theirs: frozenset[str]) -> None:
        """Both comparisons of annotations."""
        agreement, row = self.agreement, at.row
        emulated, own = (with_implied(frozenset(row[column])) for column in ("wireshark", "annotations"))
        for name in agreement.names:
            here = (name in theirs, name in emulated, name in own)
            if not any(here):
                continue
            count = agreement.marks[name]
            count["wireshark"] += here[0]
            count["emulation"] += here[1]
            count["emulation_equal"] += here[0] and here[1]
            count["tcpscope"] += here[2]
            count["both"] += here[0] and here[2]
            if here[0] != here[1]:
                why = "the emulation of Wireshark's rules " + ("misses it" if here[0] else "adds it")
                agreement.differ("emulation", name, row, sorted(theirs), sorted(emulated), why, "")
            if here[0] != here[2]:
                because = reason(name, theirs, own)
                agreement.differ(
                    "judgement", name, row, sorted(theirs), row["annotations"], because.says, because.evidence(at)
                )

    def group(self) -> None:
        """Each of Wireshark's streams must be exactly one connection."""
        self.agreement.streams += len(self.connections)
        for stream, found in self.connections.items():
            if len(found) == 1 and len(self.streams[min(found)]) == 1:
                self.agreement.streams_equal += 1
                continue
            streams = sorted(set().union(*(self.streams[connection] for connection in found)))
            at = self.first[stream]
            self.agreement.differ("streams", "stream", at, streams, sorted(found), "grouped otherwise", "")
