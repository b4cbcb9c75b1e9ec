"""Frames and capture files from a few numbers, and what the reader makes of them."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from typing import Any

from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.layout import as_dicts
from tcpscope.wire.reader import SegmentReader

SRC4, DST4 = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
SRC6, DST6 = bytes.fromhex("20010db8" + "00" * 11 + "01"), bytes.fromhex("20010db8" + "00" * 11 + "02")
ETHERNET, RAW = 1, 101


def checksum(data: bytes) -> int:
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def tcp(
    payload: bytes = b"", options: bytes = b"", *, sport: int = 4000, dport: int = 80, seq: int = 1000,
    ack: int = 2000, flags: int = 0x18, window: int = 512, offset: int | None = None, urgent: int = 0,
    src: bytes = SRC4, dst: bytes = DST4, sum_off: int = 0,
) -> bytes:  # fmt: skip
    """A segment with a good checksum (plus `sum_off`)."""
    words = 5 + len(options) // 4 if offset is None else offset
    head = struct.pack(">HHIIHHHH", sport, dport, seq, ack, words << 12 | flags, window, 0, urgent)
    pseudo = src + dst + struct.pack(">II", len(head + options + payload), 6)
    total = (checksum(pseudo + head + options + payload) + sum_off) & 0xFFFF
    return head[:16] + struct.pack(">H", total) + head[18:] + options + payload


def ipv4(
    payload: bytes, proto: int = 6, *, ident: int = 7, fragment: int = 0, options: bytes = b"",
    total: int | None = None, src: bytes = SRC4, dst: bytes = DST4, ttl: int = 64, tos: int = 0,
) -> bytes:  # fmt: skip
    length = 20 + len(options) + len(payload) if total is None else total
    first = 0x45 + len(options) // 4
    head = struct.pack(">BBHHHBBH4s4s", first, tos, length, ident, fragment, ttl, proto, 0, src, dst) + options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ipv6(payload: bytes, proto: int = 6, *, length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    return struct.pack(">IHBB16s16s", 6 << 28, size, proto, 63, SRC6, DST6) + payload


def tcp6(payload: bytes = b"", options: bytes = b"", **fields: Any) -> bytes:
    return tcp(payload, options, src=SRC6, dst=DST6, **fields)


def ethernet(payload: bytes, kind: int = 0x0800) -> bytes:
    return b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01" + struct.pack(">H", kind) + payload


def record(frame: bytes, *, order: str = "<", second: int = 1, fraction: int = 0, wire: int | None = None) -> bytes:
    return struct.pack(order + "IIII", second, fraction, len(frame), len(frame) if wire is None else wire) + frame


def pcap(
    frames: Iterable[bytes],
    link: int = ETHERNET,
    *,
    order: str = "<",
    magic: int = 0xA1B2C3D4,
    wire: int | None = None,
) -> bytes:
    """One second between frames, the first at second 1."""
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for number, frame in enumerate(frames, 1):
        out += record(frame, order=order, second=number, wire=wire)
    return out


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str = "<", options: bytes = b"") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + options, order)


def interface(link: int = ETHERNET, options: bytes = b"", order: str = "<", snaplen: int = 0) -> bytes:
    return block(1, struct.pack(order + "HHI", link, 0, snaplen) + options, order)


def enhanced(frame: bytes, ticks: int = 0, number: int = 0, order: str = "<", options: bytes = b"") -> bytes:
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
    return block(6, head + frame + bytes(-len(frame) % 4) + options, order)


def read(data: bytes, capacity: int = 64, **settings: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """All segments of a capture, and the reader's statistics."""
    return read_stream(io.BytesIO(data), capacity, **settings)


def read_stream(stream: Any, capacity: int = 64, **settings: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    reader, batch, found = SegmentReader(stream, **settings), SegmentBatch(capacity), []
    while reader.fill(batch):
        found += as_dicts(batch.tobytes())
    return found, reader.statistics()


def one(frame: bytes, link: int = ETHERNET, wire: int | None = None) -> dict[str, Any]:
    """The only segment of a capture with this only frame."""
    segments, statistics = read(pcap([frame], link, wire=wire))
    assert len(segments) == 1, statistics
    return segments[0]


def kinds(frame: bytes, link: int = ETHERNET, wire: int | None = None) -> dict[str, int]:
    """How a frame without a segment is counted."""
    segments, statistics = read(pcap([frame], link, wire=wire))
    assert not segments
    found: dict[str, int] = statistics["kinds"]
    return found
