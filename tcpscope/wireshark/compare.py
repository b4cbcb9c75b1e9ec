"""tcpscope and Wireshark side by side, packet by packet.

Two questions.  Does the column `wireshark` (Wireshark 4.0's rules, as we read them) say what tshark
says?  It must; where it does not, one of us has the rule wrong.  And where do tcpscope's own
annotations differ from Wireshark's marks of the same name?  There each difference has a reason.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tcpscope.replay.layout import FLAGS, WIRESHARK
from tcpscope.wireshark.reasons import ONLY_TCPSCOPE, ONLY_WIRESHARK, reason

DECODED = ("seq_raw", "ack_raw", "length", "window_raw", "flags")
BITS = {name: 1 << bit for bit, name in enumerate(FLAGS)}


@dataclass
class Comparison:
    """packets: seen by both.  rules, own: per annotation how often both, only Wireshark, only tcpscope have it.

    wrong: what must not differ (the rules, decoding, grouping); differences: tcpscope's own view, with reasons.
    """

    packets: int = 0
    only_wireshark: int = 0
    only_tcpscope: int = 0
    streams: int = 0
    rules: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    own: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    wrong: list[dict[str, Any]] = field(default_factory=list)
    differences: list[dict[str, Any]] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        return not self.wrong and not self.only_wireshark


def compare(ours: Iterable[dict[str, Any]], theirs: Iterable[dict[str, Any]]) -> Comparison:
    """ours: rows of `packets` of one file; theirs: what `tshark.fields` gives of it."""
    result = Comparison()
    mine = {row["frame"]: row for row in ours}
    streams: dict[int, set[int]] = defaultdict(set)
    connections: dict[int, set[int]] = defaultdict(set)
    for row in theirs:
        packet = mine.pop(row["frame"], None)
        if packet is None:
            result.only_wireshark += 1
            continue
        result.packets += 1
        streams[row["stream"]].add(row["frame"])
        connections[packet["connection"]].add(row["frame"])
        _decode(result, packet, row)
        _marks(result, packet, row["marks"])
    result.only_tcpscope = len(mine)
    result.streams = len(streams)
    groups = {frozenset(frames) for frames in connections.values()}
    for stream, frames in streams.items():
        if frozenset(frames) not in groups:
            result.wrong.append(
                {"frame": min(frames), "what": "grouping", "reason": f"tcp.stream {stream} is not one connection"}
            )
    return result


def _decode(result: Comparison, packet: dict[str, Any], row: dict[str, Any]) -> None:
    flags = sum(BITS[name] for name in packet["flags"].split(",") if name)
    for name in DECODED:
        value = flags if name == "flags" else packet[name]
        if value != row[name] and not (name == "ack_raw" and not flags & BITS["ACK"]):
            text = f"tshark {row[name]}, tcpscope {value}"
            result.wrong.append({"frame": row["frame"], "what": name, "reason": text})


def _marks(result: Comparison, packet: dict[str, Any], marks: set[str]) -> None:
    for table, names in ((result.rules, set(packet["wireshark"])), (result.own, set(packet["annotations"]))):
        for mark in WIRESHARK:
            theirs, ours = mark in marks, mark in names
            if not theirs and not ours:
                continue
            who = "both" if theirs and ours else ONLY_WIRESHARK if theirs else ONLY_TCPSCOPE
            table[mark][who] += 1
            if who == "both":
                continue
            entry = {"frame": packet["frame"], "what": mark, "only": who, "annotations": packet["annotations"]}
            if table is result.rules:
                result.wrong.append({**entry, "reason": "the column wireshark differs from tshark"})
            else:
                result.differences.append({**entry, "reason": reason(who, mark, packet)})
