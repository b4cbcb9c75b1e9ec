"""tcpscope and dpkt read the same packets alike."""

from __future__ import annotations

import io

import dpkt
from hypothesis import given, settings
from hypothesis import strategies as st
from packet_builder import read

OPTIONS = st.lists(
    st.sampled_from([b"\x01", b"\x02\x04\x05\xb4", b"\x03\x03\x07", b"\x04\x02", b"\x08\x0a" + b"\0\0\0\1\0\0\0\2"]),
    max_size=3,
)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    options = b"".join(draw(OPTIONS))
    options += bytes(-len(options) % 4)
    segment = dpkt.tcp.TCP(
        sport=draw(st.integers(1, 65535)), dport=draw(st.integers(1, 65535)),
        seq=draw(st.integers(0, 2**32 - 1)),
        ack=draw(st.integers(0, 2**32 - 1)), flags=draw(st.integers(0, 255)), win=draw(st.integers(0, 65535)),
        data=draw(st.binary(max_size=100)), opts=options,
    )  # fmt: skip
    segment.off = (20 + len(options)) // 4
    if draw(st.booleans()):
        packet = dpkt.ip.IP(src=draw(st.binary(min_size=4, max_size=4)), dst=b"\x0a\0\0\x02", p=6, data=segment)
        packet.len = len(packet)
        kind = 0x0800
    else:
        packet = dpkt.ip6.IP6(
            src=draw(st.binary(min_size=16, max_size=16)), dst=bytes(15) + b"\x01", nxt=6, data=segment
        )
        packet.plen = len(segment)
        kind = 0x86DD
    tags = draw(st.integers(0, 2))
    body = bytes(packet)
    for _ in range(tags):
        body = b"\0\x07" + kind.to_bytes(2, "big") + body
        kind = 0x8100
    return bytes(12) + kind.to_bytes(2, "big") + body + bytes(draw(st.integers(0, 8)))


@settings(max_examples=60)
@given(st.lists(frames(), min_size=1, max_size=8))
def test_the_same_fields(packets: list[bytes]) -> None:
    out = io.BytesIO()
    writer = dpkt.pcap.Writer(out, snaplen=65535)
    for packet in packets:
        writer.writepkt(packet, ts=1)
    segments, _ = read(out.getvalue())
    assert len(segments) == len(packets)
    for raw, mine in zip(packets, segments, strict=True):
        ip = dpkt.ethernet.Ethernet(raw).data
        theirs = ip.data
        assert mine["checksum_state"] == 1
        assert (mine["sport"], mine["dport"], mine["seq"], mine["ack"]) == (
            theirs.sport,
            theirs.dport,
            theirs.seq,
            theirs.ack,
        )
        assert (mine["flags"], mine["window"], mine["length"]) == (theirs.flags, theirs.win, len(theirs.data))
        assert mine["src"][: len(ip.src)] == ip.src
        found = dict(dpkt.tcp.parse_opts(theirs.opts))
        assert bool(mine["options"] & 1) == (2 in found)
        assert bool(mine["options"] & 16) == (8 in found)
