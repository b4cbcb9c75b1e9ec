"""What Wireshark says of one frame, and whether it can be compared at all.

Some frames show several TCP headers, none, or half of one; tshark's columns cannot tell then
which value belongs to which.  They are counted with the reason and not judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tcpscope.replay.layout import WIRESHARK
from tcpscope.wireshark.tshark import Tshark, fields

HEADER = ("tcp.stream", "tcp.srcport", "tcp.dstport", "tcp.seq", "tcp.ack", "tcp.seq_raw", "tcp.ack_raw", "tcp.len",
          "tcp.window_size", "tcp.window_size_value", "tcp.flags")  # fmt: skip
FRAGMENT = ("ip.flags.mf", "ip.frag_offset", "ipv6.fraghdr.offset", "ip.reassembled.length", "ipv6.reassembled.length")
FIELDS = ("frame.number", "frame.protocols", *HEADER, *FRAGMENT, "ip.id", "tcp.checksum", "tcp.bogus_header_length",
          "_ws.short", "_ws.malformed", *(f"tcp.analysis.{name}" for name in WIRESHARK))  # fmt: skip
AT = {name: place for place, name in enumerate(FIELDS)}
FIRST_MARK = AT[f"tcp.analysis.{WIRESHARK[0]}"]
BELOW = slice(AT[FRAGMENT[0]], AT[FRAGMENT[2]] + 1)
WHOLE = slice(AT[FRAGMENT[3]], AT[FRAGMENT[4]] + 1)
CUT = re.compile(r"limited during capture: TCP truncated|Malformed Packet: TCP[]:]")

NO_TCP = "no TCP for Wireshark"
PIECE = "a piece of an IP datagram: Wireshark shows TCP in the frame of the last piece"
QUOTED = "a header quoted in an ICMP error"
SEVERAL = "several TCP headers in one frame"
HALF = "the TCP header is not whole"


@dataclass(frozen=True, slots=True)
class Marked:
    """One frame by Wireshark; header and marks are empty where `skip` says why it is not compared.

    header: the columns of HEADER as numbers.  marks: None where Wireshark shows no analysis.
    """

    frame: int
    skip: str | None
    header: dict[str, int]
    marks: frozenset[str] | None
    ip_id: int | None
    checksum: int | None
    fragments: bool


def with_implied(marks: frozenset[str]) -> frozenset[str]:
    """A fast or a spurious retransmission is one; not every version of Wireshark sets both marks."""
    if marks & {"fast_retransmission", "spurious_retransmission"}:
        return marks | {"retransmission"}
    return marks


def marked(tshark: Tshark, path: str, damaged: bool) -> Iterator[Marked]:
    """Every frame of the capture, in order."""
    for row in fields(tshark, path, FIELDS, damaged):
        if len(row) == len(FIELDS):
            yield _read(row)


def _read(row: list[str]) -> Marked:
    skip = _why_not(row)
    if skip:
        return Marked(int(row[0]), skip, {}, None, None, None, False)
    marks: frozenset[str] | None = None
    if not CUT.search(row[AT["_ws.short"]] + row[AT["_ws.malformed"]]):
        found = frozenset(name for name, value in zip(WIRESHARK, row[FIRST_MARK:], strict=True) if value)
        marks = with_implied(found)
    ids = row[AT["ip.id"]].split(",")
    return Marked(
        int(row[0]),
        None,
        {name: int(row[AT[name]], 0) for name in HEADER},
        marks,
        int(ids[-1], 0) if ids[-1] else None,
        int(row[AT["tcp.checksum"]] or "0", 0),
        any(row[WHOLE]),
    )


def _why_not(row: list[str]) -> str | None:
    protocols = row[1].split(":")
    headers = protocols.count("tcp")
    if headers == 0:
        pieces = any(value not in ("", "0", "False") for text in row[BELOW] for value in text.split(","))
        return PIECE if pieces or row[AT["ipv6.fraghdr.offset"]] else NO_TCP
    if headers > 1:
        return SEVERAL
    before = protocols[: protocols.index("tcp")]
    if "icmp" in before or "icmpv6" in before:
        return QUOTED
    if row[AT["tcp.bogus_header_length"]] or not all(row[AT[name]] for name in HEADER):
        return HALF
    return None
