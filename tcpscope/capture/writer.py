"""Writing captures: pcap and pcapng, with what the frames had where they came from.

dpkt reads what this writes, but its writers do not serve here: they set the original length to the captured
one, take times as floats, and know one interface and one resolution.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, BinaryIO, NamedTuple

from tcpscope.errors import UsageError

SUFFIXES = {".pcap": "pcap", ".cap": "pcap", ".dmp": "pcap", ".pcapng": "pcapng", ".ntar": "pcapng"}
PCAP_US, PCAP_NS = 0xA1B2C3D4, 0xA1B23C4D
SECTION, INTERFACE, ENHANCED = 0x0A0D0D0A, 1, 6
COMMENT, IF_NAME, IF_DESCRIPTION, IF_RESOLUTION, IF_FCS, IF_OFFSET, APPLICATION = 1, 2, 3, 9, 13, 14, 4
LONGEST = 0xFFFF  # bytes of an option
LARGEST = 262_144  # bytes of a packet
AT_ONCE = 1 << 20  # bytes written at a time

WORD, OPTION, PACKET = struct.Struct("<I"), struct.Struct("<HH"), struct.Struct("<7I")
RECORD = struct.Struct("<4I")  # of pcap
PADDING = (b"", b"\0", b"\0\0", b"\0\0\0")
END = bytes(4)  # of options


class Packet(NamedTuple):
    """A frame of a capture: time_ns since the epoch; ticks: the time as written there (None: not of pcapng)."""

    frame: int
    time_ns: int
    ticks: int | None
    interface: int
    wirelen: int
    data: bytes
    options: tuple[tuple[int, bytes], ...] = ()


def option(code: int, value: bytes) -> bytes:
    value = value[:LONGEST]
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


class PcapngWriter:
    """One section; an interface for each (file, interface) that a packet comes from, as it was described there."""

    def __init__(self, stream: BinaryIO, application: str) -> None:
        self._stream = stream
        self._known: dict[tuple[int, int], int] = {}
        self._held: list[bytes] = []
        self._size = 0
        head = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
        self._held.append(block(SECTION, head + option(APPLICATION, application.encode()) + END))

    def write(self, file: int, interface: dict[str, Any], packet: Packet, comment: str = "") -> None:
        """A packet of `file`, captured on `interface` (of Container.described_interfaces)."""
        number = self._known.get((file, packet.interface))
        if number is None:
            number = self.describe(file, packet.interface, interface)
        ticks = _ticks(packet.time_ns, interface) if packet.ticks is None else packet.ticks
        data = packet.data
        options = b"".join(option(code, value) for code, value in packet.options) if packet.options else b""
        if comment:
            text = comment.encode()[:LONGEST]
            options += OPTION.pack(COMMENT, len(text)) + text + PADDING[-len(text) & 3]
        if options:
            options += END
        size = 32 + (len(data) + 3 & ~3) + len(options)
        head = PACKET.pack(
            ENHANCED, size, number, ticks >> 32 & 0xFFFFFFFF, ticks & 0xFFFFFFFF, len(data), packet.wirelen
        )
        self._held += (head, data, PADDING[-len(data) & 3], options, WORD.pack(size))
        self._size += size
        if self._size > AT_ONCE:
            self.close()

    def close(self) -> None:
        """Write what is held."""
        self._stream.write(b"".join(self._held))
        self._held.clear()
        self._size = 0

    def describe(self, file: int, number: int, interface: dict[str, Any]) -> int:
        """Write the interface's description; its number in this section."""
        body = struct.pack("<HHI", interface["link_type"], 0, interface["snaplen"])
        for code, name in ((IF_NAME, "name"), (IF_DESCRIPTION, "description")):
            if interface[name]:
                body += option(code, interface[name].encode())
        body += option(IF_RESOLUTION, bytes([interface["resolution"]]))
        if interface["fcs"]:
            body += option(IF_FCS, bytes([interface["fcs"]]))
        if interface["offset"]:
            body += option(IF_OFFSET, struct.pack("<q", interface["offset"]))
        self._held.append(block(INTERFACE, body + END))
        self._known[file, number] = len(self._known)
        return self._known[file, number]


class PcapWriter:
    """Microseconds, or nanoseconds if one of the `interfaces` counts finer; the link type of the first packet."""

    def __init__(self, stream: BinaryIO, interfaces: Iterable[dict[str, Any]]) -> None:
        self._stream = stream
        self._described = list(interfaces)
        self._nanoseconds = any(it["resolution"] > 6 for it in self._described)
        self._unit = 1 if self._nanoseconds else 1000
        self._link: tuple[int, int] | None = None
        self._held: list[bytes] = []
        self._size = 0

    def write(self, file: int, interface: dict[str, Any], packet: Packet, comment: str = "") -> None:
        """A packet; what it says of itself beside its time and lengths has no place here."""
        link = (interface["link_type"], interface["fcs"])
        if link != self._link:
            if self._link is not None:
                raise UsageError(
                    f"pcap holds one link type, these packets have {self._link[0]} and {link[0]}: "
                    "write to a .pcapng file"
                )
            self._begin(link)
        seconds, rest = divmod(packet.time_ns, 1_000_000_000)
        if not 0 <= seconds < 1 << 32:
            raise UsageError("a packet's time is not one that pcap can hold: write to a .pcapng file")
        head = RECORD.pack(seconds, rest // self._unit, len(packet.data), packet.wirelen)
        self._held += (head, packet.data)
        self._size += len(packet.data)
        if self._size > AT_ONCE:
            self._flush()

    def close(self) -> None:
        """Write what is held; without a packet the file is a header."""
        if self._link is None:
            self._begin((self._described[0]["link_type"], self._described[0]["fcs"]) if self._described else (1, 0))
        self._flush()

    def _flush(self) -> None:
        self._stream.write(b"".join(self._held))
        self._held.clear()
        self._size = 0

    def _begin(self, link: tuple[int, int]) -> None:
        limits = [it["snaplen"] for it in self._described]
        snaplen = max(limits) if limits and all(limits) else LARGEST
        flags = 0x04000000 | (link[1] // 2) << 28 if link[1] else 0
        magic = PCAP_NS if self._nanoseconds else PCAP_US
        self._held.append(struct.pack("<IHHiIII", magic, 2, 4, 0, 0, snaplen, link[0] | flags))
        self._link = link


def _ticks(time_ns: int, interface: dict[str, Any]) -> int:
    """The time in the interface's units; what is finer than them is cut off."""
    resolution = interface["resolution"]
    time_ns -= interface["offset"] * 1_000_000_000
    if resolution & 0x80:
        return int((time_ns << (resolution & 0x7F)) // 1_000_000_000)
    return int(time_ns * 10**resolution // 1_000_000_000)
