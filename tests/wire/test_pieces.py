"""Fragments: which frames a datagram came in, and its payload put together."""

from __future__ import annotations

import io

from packet_builder import ethernet, ipv4, pcap, tcp

from tcpscope.wire.pieces import PieceReader

PAYLOAD = bytes(range(200))


def fragments(payload: bytes, ident: int, size: int = 64) -> list[bytes]:
    """The frames of one segment."""
    whole = tcp(payload)
    found = []
    for at in range(0, len(whole), size):
        more = 0x2000 if at + size < len(whole) else 0
        found.append(ethernet(ipv4(whole[at : at + size], ident=ident, fragment=at // 8 | more)))
    return found


def joined(frames: list[bytes], keep_bytes: bool = True) -> list[tuple[int, list[int], list[tuple[int, bytes]]]]:
    reader = PieceReader(io.BytesIO(pcap(frames)), keep_bytes=keep_bytes)
    found = []
    while (one := reader.next()) is not None:
        found.append(tuple(one))
    return found


def test_a_datagram_tells_its_frames_and_bytes() -> None:
    first, second = fragments(PAYLOAD, 1), fragments(PAYLOAD[::-1], 2)
    mixed = [frame for pair in zip(first, second, strict=True) for frame in pair]
    (a_frame, a_frames, a_parts), (b_frame, b_frames, b_parts) = joined(mixed)
    assert (a_frame, a_frames) == (7, [1, 3, 5, 7])
    assert (b_frame, b_frames) == (8, [2, 4, 6, 8])
    assert b"".join(part for _, part in a_parts) == PAYLOAD
    assert b"".join(part for _, part in b_parts) == PAYLOAD[::-1]
    assert [at for at, _ in a_parts] == [0, 44, 108, 172]


def test_in_any_order() -> None:
    ((frame, frames, parts),) = joined(fragments(PAYLOAD, 1)[::-1])
    assert (frame, frames) == (4, [1, 2, 3, 4])
    assert b"".join(part for _, part in sorted(parts)) == PAYLOAD


def test_what_stays_incomplete_is_nothing() -> None:
    assert joined([*fragments(PAYLOAD, 1)[:2], ethernet(ipv4(tcp(b"whole"), ident=9))]) == []


def test_frames_alone_need_no_memory_for_bytes() -> None:
    ((_, frames, parts),) = joined(fragments(PAYLOAD, 1), keep_bytes=False)
    assert frames == [1, 2, 3, 4]
    assert not any(part for _, part in parts)
