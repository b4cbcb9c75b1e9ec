"""What is written is read back the same: by tcpscope, by dpkt, by tshark."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path
from typing import Any

import dpkt
import pytest
from packet_builder import block, enhanced, ethernet, interface, ipv4, option, pcap, record, section, tcp

from tcpscope.capture.frames import FrameReader, FrameSet
from tcpscope.capture.window import Window
from tcpscope.capture.writer import Packet, PcapngWriter, PcapWriter
from tcpscope.errors import UsageError

FRAME = ethernet(ipv4(tcp(b"hello")))
FOUND = list[tuple[dict[str, Any], Packet]]


def frames(data: bytes, wanted: range = range(1, 99)) -> FOUND:
    """The wanted frames of a capture, with their interfaces."""
    chosen = FrameSet(1)
    for number in wanted:
        chosen.add(0, number)
    reader, found = FrameReader(io.BytesIO(data), buffer_size=64), []
    while packets := reader.pick(chosen, 0, 2):
        described = reader.interfaces()
        found += [(described[packet.interface], packet) for packet in packets]
    return found


def pcapng(found: FOUND) -> bytes:
    stream = io.BytesIO()
    writer = PcapngWriter(stream, "test")
    for described, packet in found:
        writer.write(0, described, packet, f"frame {packet.frame}")
    writer.close()
    return stream.getvalue()


def as_pcap(found: FOUND) -> bytes:
    stream = io.BytesIO()
    writer = PcapWriter(stream, [described for described, _ in found])
    for described, packet in found:
        writer.write(0, described, packet)
    writer.close()
    return stream.getvalue()


def essence(found: FOUND) -> list[tuple[Any, ...]]:
    """What must be kept."""
    return [
        (d["link_type"], d["fcs"], d["resolution"], d["offset"], p.time_ns, p.ticks, p.wirelen, p.data)
        for d, p in found
    ]


def resolution(exponent: int) -> bytes:
    return option(9, bytes([exponent]))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("exponent", [0, 3, 6, 9, 12, 0x80 | 20])
def test_times_keep_their_resolution(exponent: int, order: str) -> None:
    options = resolution(exponent) + option(14, (-7200).to_bytes(8, "little" if order == "<" else "big", signed=True))
    data = section(order) + interface(113, options, order, snaplen=96)
    data += b"".join(enhanced(FRAME, ticks, 0, order) for ticks in (0, 1, 123_456_789_012_345))
    given = frames(data)
    again = frames(pcapng(given))
    assert essence(again) == essence(given)
    assert [d["snaplen"] for d, _ in again] == [96] * 3


def test_interfaces_comments_and_flags_are_kept() -> None:
    flags = option(2, b"\1\0\0\0")
    data = section() + interface(1, option(2, b"eth0") + option(3, "Büro".encode())) + interface(101, option(2, b"tun"))
    data += enhanced(FRAME, 5, 1, options=option(1, b"mine") + flags) + enhanced(FRAME, 6, 0)
    again = frames(pcapng(frames(data)))
    assert [(d["name"], d["description"], d["link_type"]) for d, _ in again] == [("tun", "", 101), ("eth0", "Büro", 1)]
    assert again[0][1].options == ((1, b"mine"), (2, b"\1\0\0\0"), (1, b"frame 1"))


def test_flags_change_their_byte_order() -> None:
    data = section(">") + interface(1, order=">") + enhanced(FRAME, 5, 0, ">", option(2, b"\0\0\0\1", ">"))
    assert frames(pcapng(frames(data)))[0][1].options[0] == (2, b"\1\0\0\0")


def test_simple_blocks_have_the_time_before_them() -> None:
    simple = block(3, len(FRAME).to_bytes(4, "little") + FRAME + bytes(-len(FRAME) % 4))
    data = section() + interface(1, resolution(9)) + enhanced(FRAME, 1_000_000_007) + simple
    again = frames(pcapng(frames(data)))
    assert [p.time_ns for _, p in again] == [1_000_000_007] * 2
    assert [p.ticks for _, p in again] == [1_000_000_007] * 2


@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D])
def test_pcap_keeps_lengths_and_nanoseconds(magic: int) -> None:
    data = pcap([], magic=magic) + record(FRAME[:30], second=4_000_000_000, fraction=999_999, wire=1500)
    given = frames(data)
    again = frames(as_pcap(given))
    assert essence(again) == essence(given)
    assert again[0][1].wirelen == 1500
    assert as_pcap(given)[:4] == magic.to_bytes(4, "little")


def test_the_check_sequence_is_known_still() -> None:
    data = bytearray(pcap([FRAME]))
    data[20:24] = (1 | 0x04000000 | 2 << 28).to_bytes(4, "little")
    given = frames(bytes(data))
    assert given[0][0]["fcs"] == 4
    assert essence(frames(as_pcap(given))) == essence(given)
    assert frames(pcapng(given))[0][0]["fcs"] == 4


def test_pcap_says_what_it_cannot_hold() -> None:
    two = section() + interface(1) + interface(101) + enhanced(FRAME, 1, 0) + enhanced(FRAME, 1, 1)
    with pytest.raises(UsageError, match=r"one link type.*\.pcapng"):
        as_pcap(frames(two))
    early = section() + interface(1, option(14, (-1).to_bytes(8, "little", signed=True))) + enhanced(FRAME, 0)
    with pytest.raises(UsageError, match="time"):
        as_pcap(frames(early))
    assert frames(as_pcap([])) == []


def test_dpkt_reads_both() -> None:
    given = frames(pcap([FRAME, FRAME[:40]], wire=60))
    for data, reader in ((as_pcap(given), dpkt.pcap.Reader), (pcapng(given), dpkt.pcapng.Reader)):
        assert [(round(time), bytes(frame)) for time, frame in reader(io.BytesIO(data))] == [
            (1, FRAME),
            (2, FRAME[:40]),
        ]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark here")
def test_tshark_reads_the_comments(tmp_path: Path) -> None:
    data = section() + interface(1, resolution(9)) + enhanced(FRAME, 1_700_000_000_123_456_789)
    (tmp_path / "x.pcapng").write_bytes(pcapng(frames(data)))
    fields = ("frame.time_epoch", "frame.comment", "frame.len", "tcp.len")
    done = subprocess.run(
        ["tshark", "-r", tmp_path / "x.pcapng", "-T", "fields", *(it for field in fields for it in ("-e", field))],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split("\t") == ["1700000000.123456789", "frame 1", str(len(FRAME)), "5\n"]


def test_only_the_frames_asked_for() -> None:
    found = frames(pcap([FRAME, b"x" * 70_000, FRAME]), range(2, 4))
    assert [(packet.frame, len(packet.data)) for _, packet in found] == [(2, 70_000), (3, len(FRAME))]


def test_a_set_of_frames_counts_each_once() -> None:
    chosen = FrameSet(2)
    assert [chosen.add(1, 5), chosen.add(1, 5), chosen.add(0, 1 << 20)] == [True, False, True]
    assert (chosen.count, chosen.has(1, 5), chosen.has(0, 5), chosen.has(1, 1 << 40)) == (2, True, False, False)
    assert (FrameSet(1).any_of(0), chosen.any_of(1)) == (False, True)
    with pytest.raises(IndexError):
        chosen.has(2, 1)


def test_a_window_goes_forward() -> None:
    data = bytes(range(256)) * 100
    window = Window(io.BytesIO(data), capacity=1000)
    for offset, size in ((0, 10), (5, 900), (990, 20), (1009, 1000), (20_000, 1), (25_500, 100)):
        assert window.read(offset, size) == data[offset : offset + size]
    assert window.read(0, 1) is None, "gone"
    assert window.read(25_550, 100) is None, "past the end"
    assert Window(io.BytesIO(data), capacity=1000).read(0, 1001) is None, "too many"
