"""Senders who want to hurt: chains that never end, queues, holes and blocks without number, times at the far ends."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tcpscope.replay.stream import Streams
from tests.replay.segments import ACK, FIN, RST, SYN, Replayed, segment

OPT_SACK = 8
BASE = 1000


def opened() -> list[bytes]:
    return [
        segment(1, 0, SYN, BASE - 1, options=4),
        segment(2, 1, SYN | ACK, 4999, BASE, options=4),
        segment(3, 0, ACK, BASE, 5000),
    ]


def sacked(frame: int, ack: int, *blocks: tuple[int, int]) -> bytes:
    edges = b"".join(edge.to_bytes(4, "little") for block in blocks for edge in block)
    return segment(frame, 1, ACK, 5000, ack, options=OPT_SACK, n_sack=len(blocks), sack=edges)


def test_a_four_tuple_opened_without_end() -> None:
    """Each incarnation waits for its successor's answer; 60,000 in a chain were more than the stack holds."""
    replayed = Replayed([segment(i, 0, SYN, i * 100_000) for i in range(1, 60_001)])
    assert replayed.counters["connections"] == len(replayed.connections) == 60_000
    assert sum(it["client_packets"] for it in replayed.connections) == 60_000


def test_an_error_about_a_connection_that_is_overdue_is_about_none() -> None:
    """Where the clock went back, whether it lingers must not depend on what else does."""
    late = 10**18
    segments = [
        *(segment(i, i & 1, FIN | ACK, BASE + i // 2, BASE + i // 2 + i % 2, time_ns=late) for i in range(4)),
        segment(5, 0, RST, BASE, time_ns=0, sport=50_000),
        segment(6, 0, ACK, BASE, kind=1, icmp_type=3, icmp_code=1, time_ns=0, sport=50_000),
    ]
    for packets in (True, False):
        replayed = Replayed(segments, packets=packets)
        assert replayed.counters["icmp_quotes_unmatched"] == 1
        assert {it["icmp_type"] for it in replayed.connections} == {255}


def test_what_is_doubtful_and_lies_behind_comes_to_an_end() -> None:
    """A piece with a wrong checksum waits; the one byte it begins with was a probe, and has been delivered."""
    streams = Streams(sides=(True, True))
    streams.feed(1, seq=4999, ack=BASE, flags=SYN, checksum=1)
    streams.feed(0, b"x" * 10, seq=BASE, ack=5000, checksum=1)
    streams.feed(0, b"bad" * 100, seq=BASE + 10, ack=5000, checksum=2)
    streams.feed(1, seq=5000, ack=BASE + 10, window=0)
    streams.feed(0, b"p", seq=BASE + 10, ack=5000)
    streams.feed(1, seq=5000, ack=BASE + 11)
    streams.finish()
    assert b"".join(it[-1] for it in streams.taken() if it[1] == 0) == b"x" * 10 + b"p"


def test_a_round_trip_of_a_century_gives_the_longest_timeout() -> None:
    far = 1 << 62
    segments = [
        *opened(),
        segment(4, 0, ACK, BASE, 5000, 100, time_ns=10_000_000),
        segment(5, 1, ACK, 5000, BASE + 100, time_ns=far),
        segment(6, 0, ACK, BASE + 100, 5000, 100, time_ns=-(1 << 60)),
        segment(7, 1, ACK, 5000, BASE + 200, time_ns=far),
    ]
    (connection,) = Replayed(segments).connections
    assert connection["client_rto_ns"] == 60_000_000_000


def test_one_packet_cannot_make_thousands_be_looked_at_for_ever() -> None:
    """Large blocks by turns, and repetitions of all that is out: what is too much is left out, and counted."""
    pieces = [segment(4 + i, 0, ACK, BASE + 3 * i, 5000, 3) for i in range(9000)]
    third = 3 * 2900
    turns = [
        sacked(10_000 + i, BASE, (BASE + 3 + third * (i % 3), BASE + third * (i % 3 + 1) - 3)) for i in range(3000)
    ]
    again = [segment(20_000 + i, 0, ACK, BASE, 5000, 27_000, time_ns=10**12 + i * 10**9) for i in range(500)]
    replayed = Replayed(opened() + pieces + turns + again, packets=False)
    assert 0 < replayed.counters["judged_in_part"] <= 3500
    honest = Replayed(opened() + pieces + turns[:2] + again[:1], packets=False)
    assert honest.counters["judged_in_part"] == 0


def test_a_loss_in_a_window_of_thousands_is_judged_in_full() -> None:
    """The first block grows by a segment each time; then the hole is filled from the left."""
    segments, frame = opened(), 4
    lost = range(0, 4000, 20)
    for i in range(4000):
        if i not in lost:
            segments.append(segment(frame, 0, ACK, BASE + 100 * i, 5000, 100))
            segments.append(sacked(frame + 1, BASE, (BASE + 100 * (i - i % 20 + 1), BASE + 100 * (i + 1))))
            frame += 2
    for i in lost:
        segments.append(segment(frame, 0, ACK, BASE + 100 * i, 5000, 100))
        segments.append(segment(frame + 1, 1, ACK, 5000, BASE + 100 * (i + 20)))
        frame += 2
    replayed = Replayed(segments, packets=False)
    assert replayed.counters["judged_in_part"] == 0
    assert replayed.connections[0]["client_unique_bytes"] == 400_000


# ---------------------------------------------------------------- Wireshark's queue, when in disorder


class Plain:
    """The unacknowledged segments of one side as Wireshark keeps them: a list, looked through every time."""

    def __init__(self) -> None:
        self.entries: list[list[int]] = []

    def add(self, seq: int, end: int) -> int:
        self.entries.append([seq, end])
        return max(it[1] for it in self.entries) - min(it[0] for it in self.entries)

    def acknowledge(self, ack: int) -> None:
        self.entries = [[max(seq, ack), end] for seq, end in self.entries if end > ack]


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 400), st.integers(1, 60), st.integers(0, 2**32 - 1), st.randoms(use_true_random=False))
def test_bytes_in_flight_of_segments_in_any_order(count: int, spread: int, base: int, rnd: random.Random) -> None:
    order = sorted(range(count), key=lambda i: i + rnd.randrange(spread))
    plain, segments, wanted, acked = Plain(), [segment(1, 0, ACK, base, 1)], [0], 0
    for i in order:
        frame = len(segments) + 1
        if 100 * i + 50 > acked:
            segments.append(segment(frame, 0, ACK, base + 100 * i, 1, 50))
            wanted.append(plain.add(100 * i, 100 * i + 50))
        if rnd.random() < 0.4:
            acked = max(acked, 100 * rnd.randrange(i + 1))
            plain.acknowledge(acked)
            segments.append(segment(len(segments) + 1, 1, ACK, 1, base + acked))
            wanted.append(0)
    found = [it["bytes_in_flight"] for it in Replayed(segments).packets]
    # a hole is shown without a figure until the next acknowledgment: what is shown must be right
    assert [0 if shown == 0 else figure for shown, figure in zip(found, wanted, strict=True)] == found
    assert count < 20 or spread > 1 or any(found)
