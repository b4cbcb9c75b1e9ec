"""IPv4 and IPv6: what the IP header says, extension headers, fragments, ICMP quotes."""

from __future__ import annotations

import itertools
import struct

import pytest
from packet_builder import DST4, DST6, SRC4, SRC6, ethernet, ipv4, ipv6, kinds, one, pcap, read, tcp, tcp6

NOTE_FRAGMENT, NOTE_CUT_HEADER = 0x02, 0x20
ICMP_QUOTE = 1
UNREACHABLE = b"\x03\x01" + bytes(6)
SEGMENT = tcp(bytes(range(100)))
PIECES = [(0, SEGMENT[:24]), (24, SEGMENT[24:64]), (64, SEGMENT[64:104]), (104, SEGMENT[104:])]


def fragment(at: int, data: bytes, ident: int = 7) -> bytes:
    more = 0x2000 if at + len(data) < len(SEGMENT) else 0
    return ethernet(ipv4(data, fragment=more | at // 8, ident=ident))


def fragment6(at: int, data: bytes, more: bool) -> bytes:
    return ethernet(ipv6(struct.pack(">BBHI", 6, 0, at | more, 99) + data, 44), 0x86DD)


def test_header_fields() -> None:
    segment = one(ethernet(ipv4(tcp(), ident=0x1234, ttl=17, tos=0xB8)))
    assert (segment["ip_version"], segment["ip_id"], segment["ttl"], segment["tos"]) == (4, 0x1234, 17, 0xB8)
    assert (segment["src"], segment["dst"]) == (SRC4 + bytes(12), DST4 + bytes(12))
    segment = one(ethernet(ipv6(tcp6()), 0x86DD))
    assert (segment["ip_version"], segment["ip_id"], segment["ttl"]) == (6, 0x10000, 63)
    assert (segment["src"], segment["dst"]) == (SRC6, DST6)


def test_options_are_skipped() -> None:
    assert one(ethernet(ipv4(tcp(b"abc"), options=b"\x01" * 8)))["length"] == 3


@pytest.mark.parametrize("chain", [
    b"\x06\0" + bytes(6), b"\x3c\0" + bytes(6) + b"\x06\x01" + bytes(14),
])  # fmt: skip
def test_extension_headers_are_walked(chain: bytes) -> None:
    segment = one(ethernet(ipv6(chain + tcp6(b"abc"), 0), 0x86DD))
    assert (segment["length"], segment["checksum_state"]) == (3, 1)


def test_routing_authentication_and_atomic_fragments() -> None:
    routed = ipv6(b"\x06\0\0\x01" + bytes(4) + tcp6(b"abc"), 43)
    assert (one(ethernet(routed, 0x86DD))["length"], one(ethernet(routed, 0x86DD))["checksum_state"]) == (
        3,
        0,
    )
    authenticated = ethernet(ipv6(b"\x06\x04" + bytes(22) + tcp6(b"abc"), 51), 0x86DD)
    assert one(authenticated)["length"] == 3
    assert one(fragment6(0, tcp6(b"abc"), False))["length"] == 3


@pytest.mark.parametrize("frame", [
    ipv4(tcp(), total=19), b"\x44" + ipv4(tcp())[1:], ipv6(b"\x06\xff" + bytes(6) + tcp6(), 0),
])  # fmt: skip
def test_malformed_headers_are_counted(frame: bytes) -> None:
    assert kinds(frame, 101) == {"malformed_ip": 1}


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_fragments_count_where_the_last_one_arrives(order: tuple[int, ...]) -> None:
    segments, statistics = read(pcap([fragment(*PIECES[i]) for i in order]))
    assert [(it["frame"], it["seq"], it["length"]) for it in segments] == [(4, 1000, 100)]
    assert segments[0]["captured"] == 4
    assert int(segments[0]["notes"]) & NOTE_FRAGMENT
    assert statistics["kinds"] == {"tcp": 1, "fragment": 3}


def test_ipv6_fragments() -> None:
    whole = tcp6(bytes(60))
    frames = [fragment6(0, whole[:40], True), fragment6(40, whole[40:], False)]
    segments, _ = read(pcap(frames))
    assert [(it["frame"], it["length"]) for it in segments] == [(2, 60)]


def test_repeated_and_overlapping_fragments() -> None:
    frames = [fragment(0, SEGMENT[:64]), fragment(0, SEGMENT[:64]), fragment(24, SEGMENT[24:64]),
              fragment(40, SEGMENT[40:104]), fragment(104, SEGMENT[104:])]  # fmt: skip
    segments, _ = read(pcap(frames))
    assert [(it["frame"], it["length"]) for it in segments] == [(5, 100)]


def test_a_header_in_two_fragments_is_put_together() -> None:
    segments, _ = read(pcap([fragment(0, SEGMENT[:8]), fragment(8, SEGMENT[8:])]))
    assert [(it["seq"], it["window"], it["length"]) for it in segments] == [(1000, 512, 100)]


def test_a_first_fragment_whose_rest_never_comes() -> None:
    segments, statistics = read(pcap([fragment(*PIECES[0]), fragment(*PIECES[1]), ethernet(ipv4(tcp(b"later")))]))
    assert [(it["frame"], it["time_ns"], it["length"]) for it in segments] == [(3, 3_000_000_000, 5)]
    assert statistics["incomplete_datagrams"] == 1


def test_a_flood_of_fragments_is_bounded_and_counted() -> None:
    frames = [fragment(0, SEGMENT[:24], ident) for ident in range(3000)]
    segments, statistics = read(pcap(frames), capacity=3)
    assert segments == []
    assert statistics["incomplete_datagrams"] == 3000


def test_more_holes_than_are_kept_give_nothing() -> None:
    frames = [ethernet(ipv4(bytes(8), fragment=0x2000 | 2 * i)) for i in range(1, 500)]
    segments, statistics = read(pcap(frames))
    assert not segments
    assert statistics["kinds"] == {"fragment": 499}


def test_a_tunnel_in_fragments() -> None:
    inner = ipv4(tcp(bytes(60)))
    frames = [ethernet(ipv4(inner[:48], 4, fragment=0x2000)), ethernet(ipv4(inner[48:], 4, fragment=6))]
    segments, _ = read(pcap(frames))
    assert [(it["frame"], it["length"], it["captured"]) for it in segments] == [(2, 60, 8)]


@pytest.mark.parametrize(("kind", "code"), [(3, 1), (3, 4), (4, 0), (5, 1), (11, 0), (12, 0)])
def test_icmp_errors_quote(kind: int, code: int) -> None:
    quoted = ipv4(tcp(bytes(500)))
    for size in (28, 40, 100):
        segment = one(ethernet(ipv4(struct.pack(">BBHI", kind, code, 0, 0) + quoted[:size], 1, src=DST4, dst=SRC4)))
        assert (segment["kind"], segment["icmp_type"], segment["icmp_code"]) == (ICMP_QUOTE, kind, code)
        assert (segment["src"][:4], segment["sport"], segment["seq"]) == (SRC4, 4000, 1000)  # type: ignore[index]
        assert bool(int(segment["notes"]) & NOTE_CUT_HEADER) == (size == 28)
        assert segment["length"] == (0 if size == 28 else 500)
        assert segment["checksum_state"] == 0


def test_icmpv6_errors_quote() -> None:
    quoted = ipv6(tcp6(bytes(500)))
    segment = one(ethernet(ipv6(struct.pack(">BBHI", 2, 0, 0, 1280) + quoted[:200], 58), 0x86DD))
    assert (segment["kind"], segment["icmp_type"], segment["length"]) == (ICMP_QUOTE, 2, 500)


@pytest.mark.parametrize("payload", [
    UNREACHABLE, UNREACHABLE + ipv4(bytes(30), 17), UNREACHABLE + ipv4(bytes(4)),
    UNREACHABLE + ipv4(UNREACHABLE + ipv4(tcp()), 1),
])  # fmt: skip
def test_icmp_without_tcp_is_icmp(payload: bytes) -> None:
    assert kinds(ethernet(ipv4(payload, 1))) == {"icmp": 1}


def test_a_quote_whose_length_is_not_known_has_captured_none() -> None:
    quoted = ipv6(tcp6(bytes(100)), length=0)
    segment = one(ethernet(ipv6(struct.pack(">BBHI", 1, 4, 0, 0) + quoted, 58), 0x86DD))
    assert (segment["kind"], segment["length"], segment["captured"]) == (1, 0, 0)
