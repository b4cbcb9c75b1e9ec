"""Usual packets are read at fixed places, by a loop of their own: what comes out is what the walk makes of them."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from packet_builder import ETHERNET, RAW, ethernet, ipv4, pcap, read, record, tcp

OPTIONS = (b"", b"\x01\x01\x08\x0a\0\0\0\x05\0\0\0\x06", b"\x02\x04\x05\xb4\x01\x03\x03\x07",
           b"\x01\x01\x05\x0a\0\0\0\x01\0\0\0\x09", b"\x05\x22" + bytes(range(32)) + b"\x01\x01",
           b"\xfe\x08\xf9\x89cook")  # fmt: skip
VERSION = 0  # byte of an IP packet by which the walk would tell another kind of packet behind RAW


@st.composite
def packets(draw: st.DrawFn) -> tuple[bytes, int, int]:
    """An IP packet with a few bytes changed, how much of it was captured, how long it was on the wire."""
    raw = bytearray(
        ipv4(tcp(draw(st.binary(max_size=60)), draw(st.sampled_from(OPTIONS)), flags=draw(st.integers(0, 63))))
    )
    for at in draw(st.lists(st.integers(VERSION + 1, len(raw) - 1), max_size=3)):
        raw[at] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        raw[0] = 0x40 | draw(st.integers(4, 7))
    raw += bytes(draw(st.integers(0, 20)))
    held = draw(st.integers(0, len(raw))) if draw(st.booleans()) else len(raw)
    return bytes(raw), held, draw(st.sampled_from((len(raw), len(raw) + 7, held)))


def parted(found: tuple[list[dict[str, Any]], dict[str, Any]], header: int) -> tuple[Any, ...]:
    """What does not depend on the link's header."""
    segments, statistics = found
    for frame, it in enumerate(segments):
        it["payload_at"] -= header * it["frame"]
        assert it["frame"] > 0, frame
    return segments, statistics["kinds"], statistics["checksums"], statistics["cut_packets"]


@settings(max_examples=300)
@given(st.lists(packets(), max_size=6))
def test_usual_packets_are_read_as_others_are(given: list[tuple[bytes, int, int]]) -> None:
    framed = [(ethernet(raw), held + 14, wire + 14) for raw, held, wire in given]
    little, big = (
        pcap([], order=order)
        + b"".join(record(f[:held], order=order, wire=wire, second=n) for n, (f, held, wire) in enumerate(framed, 1))
        for order in "<>"
    )
    bare = pcap([], RAW) + b"".join(record(f[:held], wire=wire, second=n) for n, (f, held, wire) in enumerate(given, 1))
    assert pcap([], ETHERNET)[:20] == bare[:20]
    walked = parted(read(bare), 0)
    assert parted(read(little), 14) == walked
    assert parted(read(big), 14) == walked
    assert parted(read(little, capacity=2), 14) == walked
    assert parted(read(little, buffer_size=64), 14) == walked


def test_what_a_segment_before_left_in_the_batch_is_gone() -> None:
    sacks = ethernet(ipv4(tcp(b"", b"\x05\x22" + bytes(range(32)) + b"\x01\x01")))
    plain = ethernet(ipv4(tcp(b"", b"")))
    segments, _ = read(pcap([sacks, plain, sacks, plain]), capacity=1)
    assert [it["n_sack"] for it in segments] == [4, 0, 4, 0]
    assert segments[1]["sack"] == bytes(32)


def test_times_and_bytes_of_usual_packets_are_counted() -> None:
    frames = [ethernet(ipv4(tcp(bytes(n)))) for n in (1, 200, 3)]
    _, statistics = read(pcap([it[:60] for it in frames], wire=300))
    assert (statistics["first_ns"], statistics["last_ns"]) == (10**9, 3 * 10**9)
    assert (statistics["packets"], statistics["wire_bytes"], statistics["cut_packets"]) == (3, 900, 3)
    assert statistics["bytes"] == 24 + sum(16 + min(60, len(it)) for it in frames)
