"""Every kind of pcap and pcapng file, and every way in which one can be broken."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from packet_builder import (
    block,
    enhanced,
    ethernet,
    interface,
    ipv4,
    option,
    pcap,
    read,
    record,
    section,
    tcp,
)  # fmt: skip

FRAME = ethernet(ipv4(tcp(b"hello")))
ORDERS = ["<", ">"]


def times(data: bytes) -> list[object]:
    return [it["time_ns"] for it in read(data)[0]]


def numbers(data: bytes) -> list[object]:
    return [it["frame"] for it in read(data)[0]]


def damage(data: bytes) -> Any:
    return read(data)[1]["damage"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_pcap(order: str, magic: int, unit: int) -> None:
    data = (
        pcap([], order=order, magic=magic)
        + record(FRAME, order=order, second=5, fraction=7)
        + record(FRAME, order=order)
    )
    segments, statistics = read(data)
    assert [it["time_ns"] for it in segments] == [5_000_000_000 + 7 * unit, 1_000_000_000]
    assert [it["frame"] for it in segments] == [1, 2]
    assert [data[it["payload_at"] :][:5] for it in segments] == [b"hello", b"hello"]
    assert statistics["format"] == ("pcap" if unit == 1000 else "pcap (nanoseconds)")
    assert (statistics["packets"], statistics["bytes"], statistics["damage"]) == (2, len(data), None)
    assert (statistics["first_ns"], statistics["last_ns"]) == (1_000_000_000, 5_000_000_000 + 7 * unit)
    assert statistics["link_types"] == [1]


@pytest.mark.parametrize("order", ORDERS)
def test_the_modified_pcap_has_longer_records(order: str) -> None:
    head = struct.pack(order + "IIIIIHBB", 3, 4, len(FRAME), len(FRAME), 2, 0x800, 0, 0)
    data = pcap([], order=order, magic=0xA1B2CD34) + head + FRAME + head + FRAME
    assert times(data) == [3_000_004_000] * 2
    assert read(data)[1]["format"] == "pcap (modified)"


def test_old_versions_swap_the_lengths() -> None:
    data = bytearray(pcap([]) + struct.pack("<IIII", 1, 0, 1000, len(FRAME)) + FRAME)
    data[6] = 3
    assert read(bytes(data))[0][0]["length"] == 5
    data[6] = 2
    assert read(bytes(data))[0][0]["length"] == 5


@pytest.mark.parametrize("order", ORDERS)
def test_pcapng(order: str) -> None:
    data = section(order) + interface(order=order) + enhanced(FRAME, 1_500_000, order=order)
    segments, statistics = read(data)
    assert [it["time_ns"] for it in segments] == [1_500_000_000]
    assert data[segments[0]["payload_at"] :][:5] == b"hello"
    assert (statistics["format"], statistics["packets"], statistics["damage"]) == ("pcapng", 1, None)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("resolution", "offset", "ticks", "expected"),
    [
        (6, 0, 1, 1000), (9, 0, 123, 123), (3, 0, 5, 5_000_000), (0, 0, 2, 2_000_000_000), (12, 0, 5000, 5),
        (9, 10, 1, 10_000_000_001), (9, -1, 0, -1_000_000_000), (0x80, 0, 3, 3_000_000_000),
        (0x8A, 0, 1536, 1_500_000_000), (0x94, 0, 1 << 19, 500_000_000), (0xA0, 0, 1 << 31, 500_000_000),
        (0xBF, 0, 1 << 62, 500_000_000), (0xFF, 0, 5, 0), (0x7F, 0, 5, 0),
    ],
)  # fmt: skip
def test_time_resolutions(order: str, resolution: int, offset: int, ticks: int, expected: int) -> None:
    options = option(9, bytes([resolution]), order) + option(14, struct.pack(order + "q", offset), order)
    assert times(section(order) + interface(options=options, order=order) + enhanced(FRAME, ticks, order=order)) == [
        expected
    ]


def test_several_interfaces_and_sections() -> None:
    nanoseconds = option(9, b"\x09") + option(2, b"eth0") + option(3, b"the first")
    data = (
        section("<") + interface(options=nanoseconds) + interface(101)
        + enhanced(FRAME, 5, 0) + enhanced(FRAME[14:], 5, 1)
        + section(">") + interface(order=">") + enhanced(FRAME, 6, 0, order=">")
    )  # fmt: skip
    segments, statistics = read(data)
    assert [(it["frame"], it["time_ns"], it["interface"]) for it in segments] == [
        (1, 5, 0),
        (2, 5000, 1),
        (3, 6000, 2),
    ]
    assert [it["name"] for it in statistics["interfaces"]] == ["eth0", "", ""]
    assert [it["packets"] for it in statistics["interfaces"]] == [1, 1, 1]
    assert statistics["interfaces"][0]["description"] == "the first"
    assert (statistics["link_types"], statistics["sections"]) == ([1, 101], 2)


def test_simple_and_old_packet_blocks() -> None:
    simple = block(3, struct.pack("<I", len(FRAME)) + FRAME)
    old = block(2, struct.pack("<HHIIII", 0, 5, 0, 9, len(FRAME), len(FRAME)) + FRAME)
    data = section() + interface() + simple + old + simple
    assert times(data) == [0, 9000, 9000]
    cut = section() + interface(snaplen=60) + block(3, struct.pack("<I", 5000) + ethernet(ipv4(tcp(b"x" * 4946)))[:60])
    segment = read(cut)[0][0]
    assert (segment["length"], segment["captured"]) == (4946, 6)


def test_statistics_comments_names_and_unknown_blocks() -> None:
    drops = option(4, struct.pack("<Q", 100)) + option(5, struct.pack("<Q", 7)) + option(0, b"")
    data = (
        section(options=option(1, b"a comment")) + interface() + block(4, bytes(8)) + block(0xBAD, bytes(40))
        + block(0x80000001, b"anything") + enhanced(FRAME, options=option(1, b"why this packet"))
        + block(5, struct.pack("<III", 0, 0, 0) + drops)
    )  # fmt: skip
    segments, statistics = read(data)
    assert len(segments) == 1
    assert statistics["comments"] == 2
    assert (statistics["interfaces"][0]["received"], statistics["interfaces"][0]["dropped"]) == (100, 7)
    assert statistics["damage"] is None


STOCK = section() + interface() + enhanced(FRAME)


@pytest.mark.parametrize("kind", [0xBAD, 0x40000BAD, 9, 0x204, 0x216])
def test_blocks_that_wireshark_numbers_as_frames(kind: int) -> None:
    segments, statistics = read(STOCK + block(kind, bytes(24)) + enhanced(FRAME))
    assert [it["frame"] for it in segments] == [1, 3]
    assert statistics["packets"] == 2


BROKEN = {
    "caplen too large": (pcap([FRAME]) + struct.pack("<IIII", 1, 0, 262145, 262145), "longer than 262144"),
    "cut in a record": (pcap([FRAME, FRAME])[:-1], "cut off"),
    "cut in a record's header": (pcap([FRAME]) + bytes(15), "cut off"),
    "block length too small": (STOCK + struct.pack("<III", 6, 8, 0), "impossible length"),
    "block length too large": (STOCK + struct.pack("<III", 6, 1 << 28, 0), "impossible length"),
    "trailing length differs": (STOCK + enhanced(FRAME)[:-4] + bytes(4), "impossible length"),
    "unknown interface": (STOCK + enhanced(FRAME, number=1), "not described"),
    "caplen beyond its block": (STOCK + block(6, struct.pack("<5I", 0, 0, 0, 500, 500)), "cannot be read"),
    "packet block too short": (STOCK + block(6, bytes(16)), "cannot be read"),
    "interface block too short": (STOCK + block(1, bytes(4)), "interface description"),
    "bad section": (STOCK + b"\n\r\r\n" + bytes(24), "section header"),
    "unknown version": (STOCK + block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 2, 0, -1)), "section"),
    "cut inside a skipped block": (STOCK + block(4, bytes(40))[:-8], "cut off"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_stands_before_the_damage_is_used(name: str) -> None:
    data, words = BROKEN[name]
    segments, statistics = read(data)
    assert len(segments) == 1
    assert words in statistics["damage"]
    assert "at byte" in statistics["damage"]


def test_the_offset_of_the_damage() -> None:
    whole = pcap([FRAME])
    assert f"byte {len(whole)}" in damage(whole + bytes(3))
    assert f"byte {len(whole)};" in damage(whole + struct.pack("<IIII", 0, 0, 1 << 30, 0))


def test_a_huge_claim_costs_no_memory() -> None:
    claim = section() + interface() + struct.pack("<III", 6, 60 << 20, 0) + bytes(100)
    assert "cut off" in damage(claim)


def test_interfaces_are_bounded() -> None:
    assert "16384 interfaces" in damage(section() + interface() * 16385)


def test_captures_longer_than_the_wire() -> None:
    assert read(pcap([FRAME], wire=20))[0][0]["length"] == 5


@pytest.mark.parametrize("resolution", [0, 6, 9, 127, 128, 191, 255])
@pytest.mark.parametrize("offset", [-(1 << 63), -1, 0, 1 << 62, (1 << 63) - 1])
def test_times_at_the_far_ends_stay_within_bounds(resolution: int, offset: int) -> None:
    """So that the difference of any two fits 64 bits."""
    options = option(9, bytes((resolution,))) + option(14, struct.pack("<q", offset))
    far = [0, 1, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
    found = times(section() + interface(options=options) + b"".join(enhanced(FRAME, ticks) for ticks in far))
    assert len(found) == len(far)
    assert all(-(1 << 60) <= int(str(it)) <= 1 << 62 for it in found)


def test_the_last_second_of_pcap_is_no_far_end() -> None:
    assert times(pcap([]) + record(FRAME, second=0xFFFFFFFF, fraction=999_999)) == [(2**32 - 1) * 10**9 + 999_999_000]
