"""The TCP header: every field, every option, lengths, checksums, and what is wrong with them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packet_builder import ethernet, ipv4, ipv6, kinds, one, pcap, read, tcp, tcp6

MSS, WSCALE, SACK_PERMITTED, SACK, TIMESTAMPS, FAST_OPEN = 1, 2, 4, 8, 16, 32
MPTCP, MD5, AO, UTO, ACCECN, OTHER, MALFORMED, CUT = 64, 128, 256, 512, 1024, 2048, 0x4000, 0x8000
UNVERIFIABLE, GOOD, BAD, PARTIAL = range(4)
NOTE_LENGTH_FROM_WIRE, NOTE_BOGUS_OFFSET = 1, 4


def with_options(options: bytes) -> dict[str, object]:
    padded = options + bytes(-len(options) % 4)
    return one(ethernet(ipv4(tcp(b"xy", padded))))


@given(
    sport=st.integers(0, 65535), dport=st.integers(0, 65535), seq=st.integers(0, 2**32 - 1),
    ack=st.integers(0, 2**32 - 1), flags=st.integers(0, 0xFFF), window=st.integers(0, 65535),
    urgent=st.integers(0, 65535), payload=st.binary(max_size=40),
)  # fmt: skip
def test_each_field_arrives(
    sport: int, dport: int, seq: int, ack: int, flags: int, window: int, urgent: int, payload: bytes
) -> None:
    fields = {"sport": sport, "dport": dport, "seq": seq, "ack": ack, "flags": flags, "window": window}
    for frame in (
        ethernet(ipv4(tcp(payload, urgent=urgent, **fields))),
        ethernet(ipv6(tcp6(payload, urgent=urgent, **fields)), 0x86DD),
    ):
        segment = one(frame)
        assert {name: segment[name] for name in fields} == fields
        assert (segment["urgent"], segment["length"], segment["header_length"]) == (urgent, len(payload), 20)
        assert segment["checksum_state"] == GOOD


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (b"", {"options": 0}),
        (b"\x02\x04\x05\xb4", {"options": MSS, "mss": 1460}),
        (b"\x03\x03\x07", {"options": WSCALE, "window_scale": 7}),
        (b"\x04\x02", {"options": SACK_PERMITTED}),
        (b"\x01\x01\x08\x0a\0\0\0\x05\0\0\0\x06", {"options": TIMESTAMPS, "ts_val": 5, "ts_ecr": 6}),
        (b"\x08\x0a\0\0\0\x05\0\0\0\x06\x01\x01", {"options": TIMESTAMPS, "ts_val": 5, "ts_ecr": 6}),
        (b"\x01\x01\x05\x12" + struct.pack(">4I", 1, 2, 3, 4), {"options": SACK, "n_sack": 2}),
        (b"\x22\x02", {"options": FAST_OPEN, "cookie_length": 0}),
        (b"\x22\x0acookie!!", {"options": FAST_OPEN, "cookie_length": 8}),
        (b"\xfe\x08\xf9\x89cook", {"options": FAST_OPEN, "cookie_length": 4}),
        (b"\xfd\x04\xf9\x89", {"options": FAST_OPEN, "cookie_length": 0}),
        (b"\x1e\x0c" + bytes(10), {"options": MPTCP}),
        (b"\x13\x12" + bytes(16), {"options": MD5}),
        (b"\x1d\x10" + bytes(14), {"options": AO}),
        (b"\x1c\x04\x80\x05", {"options": UTO}),
        (b"\xac\x0b" + bytes(9), {"options": ACCECN}),
        (b"\xae\x05" + bytes(3), {"options": ACCECN}),
        (b"\xfe\x04\xac\xce", {"options": ACCECN}),
        (b"\x0e\x03\x01", {"options": OTHER}),
        (b"\0\x02\x04\xff", {"options": 0}),
        (b"\x02\x04\x05\xb4\x04\x02\x08\x0a" + bytes(8) + b"\x01\x03\x03\x05",
         {"options": MSS | SACK_PERMITTED | TIMESTAMPS | WSCALE, "window_scale": 5}),
        (b"\x02\0\0\0", {"options": MALFORMED}),
        (b"\x02\x01\0\0", {"options": MALFORMED}),
        (b"\x02\x03\x05\0", {"options": MALFORMED, "mss": 0}),
        (b"\x01\x01\x01\x08", {"options": MALFORMED}),
        (b"\x08\x0a\0\0", {"options": MALFORMED}),
        (b"\x05\x06\0\0\0\x01", {"options": MALFORMED, "n_sack": 0}),
        (b"\x03\x04\x07\0\x02\x04\x05\xb4", {"options": MALFORMED | MSS, "mss": 1460}),
    ],
)  # fmt: skip
def test_each_option(options: bytes, expected: dict[str, int]) -> None:
    segment = with_options(options)
    assert {name: segment[name] for name in expected} == expected
    assert segment["length"] == 2


def test_sack_edges_and_their_limit() -> None:
    edges = struct.pack(">8I", *range(8))
    segment = with_options(b"\x01\x01\x05\x22" + edges)
    assert segment["n_sack"] == 4
    assert struct.unpack("=8I", segment["sack"]) == tuple(range(8))  # type: ignore[arg-type]


def test_cut_options_are_marked_and_what_is_there_is_read() -> None:
    frame = ethernet(ipv4(tcp(b"data", b"\x02\x04\x05\xb4\x08\x0a" + bytes(8) + b"\x01\x01")))
    segment = one(frame[: 14 + 20 + 20 + 6], wire=len(frame))
    assert segment["options"] == MSS | CUT
    assert (segment["length"], segment["captured"], segment["checksum_state"]) == (4, 0, UNVERIFIABLE)


def test_fewer_than_twenty_bytes_are_no_segment() -> None:
    frame = ethernet(ipv4(tcp(b"data")))
    assert kinds(frame[:53], wire=len(frame)) == {"cut_in_tcp": 1}
    assert kinds(frame[:34], wire=len(frame)) == {"cut_before_tcp": 1}
    assert one(frame[:54], wire=len(frame))["length"] == 4


@pytest.mark.parametrize(("offset", "length"), [(0, 24), (1, 20), (4, 8)])
def test_a_bogus_offset_counts_as_tshark_counts_it(offset: int, length: int) -> None:
    segment = one(ethernet(ipv4(tcp(b"data", offset=offset))))
    assert int(segment["notes"]) & NOTE_BOGUS_OFFSET
    assert segment["length"] == length


def test_an_offset_beyond_the_segment_is_malformed() -> None:
    assert kinds(ethernet(ipv4(tcp(b"data", offset=7)))) == {"malformed_tcp": 1}


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 9, 15, 16, 100, 1459, 1460])
def test_checksums(size: int) -> None:
    payload = bytes((7 * i + 255) & 0xFF for i in range(size))
    for build, wrap, kind in ((tcp, ipv4, 0x0800), (tcp6, ipv6, 0x86DD)):
        good = ethernet(wrap(build(payload)), kind)
        assert one(good)["checksum_state"] == GOOD
        assert one(ethernet(wrap(build(payload, sum_off=1)), kind))["checksum_state"] == BAD
        if size:
            assert one(good[:-1], wire=len(good))["checksum_state"] == UNVERIFIABLE
    segments, statistics = read(pcap([ethernet(ipv4(tcp(payload)))]), verify_checksums=False)
    assert segments[0]["checksum_state"] == UNVERIFIABLE
    assert statistics["checksums"]["unverifiable"] == 1


def test_an_offloaded_checksum_is_not_a_bad_one() -> None:
    segment = tcp(b"offloaded payload")
    pseudo = struct.unpack(">6H", b"\x0a\0\0\x01\x0a\0\0\x02" + struct.pack(">HH", 6, len(segment)))
    total = sum(pseudo)
    total = (total & 0xFFFF) + (total >> 16)
    frame = ethernet(ipv4(segment[:16] + struct.pack(">H", total) + segment[18:]))
    assert one(frame)["checksum_state"] == PARTIAL


def test_ethernet_padding_never_counts() -> None:
    frame = ethernet(ipv4(tcp(b""))) + bytes(6)
    segment = one(frame)
    assert (segment["length"], segment["captured"], segment["checksum_state"]) == (0, 0, GOOD)


def test_total_length_zero_is_the_frame_s_length() -> None:
    segment = one(ethernet(ipv4(tcp(b"x" * 50), total=0)))
    assert segment["length"] == 50
    assert int(segment["notes"]) & NOTE_LENGTH_FROM_WIRE


def test_big_tcp_with_and_without_the_jumbo_option() -> None:
    payload = tcp6(b"x" * 50)
    assert one(ethernet(ipv6(payload, length=0), 0x86DD))["length"] == 50
    jumbo = b"\x06\0\xc2\x04" + struct.pack(">I", 8 + len(payload))
    segment = one(ethernet(ipv6(jumbo + payload, 0, length=0) + b"trailer", 0x86DD))
    assert (segment["length"], segment["checksum_state"]) == (50, GOOD)


def test_a_segment_longer_than_its_frame_ends_with_the_frame() -> None:
    assert one(ethernet(ipv4(tcp(b"x" * 10), total=1000)))["length"] == 10


def test_the_link_s_check_sequence_is_cut_off() -> None:
    frame = ethernet(ipv4(tcp(b"x" * 10), total=0)) + b"fcs!"
    segment = one(frame, link=1 | 0x24000000)
    assert segment["length"] == 10
    assert int(segment["notes"]) & 0x10
