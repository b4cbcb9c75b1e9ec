"""Each direction's statistics: scripts of a few packets, and properties over any packets."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcpscope.replay.layout import SIDE_FIELDS
from tcpscope.replay.traffic_probe import TrafficProbe, traffic_size
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.layout import SEGMENT, SEGMENT_FIELDS

SIDE = struct.Struct("@" + "".join(code for _, code in SIDE_FIELDS))
SIDE_NAMES = [name for name, _ in SIDE_FIELDS]
BITS = {"F": 1, "S": 2, "R": 4, "P": 8, ".": 16, "U": 32, "E": 64, "W": 128}
HOSTS = (b"\x0a" + bytes(15), 40000), (b"\x0b" + bytes(15), 80)
MS = 1_000_000
WSCALE, MSS, SACK = 2, 1, 8


def segment(who: int, flags: str, seq: int, length: int = 0, ack: int = 0, ms: float = 0, **more: object) -> bytes:
    """One packed Segment that side `who` sends `ms` milliseconds after the start."""
    values: dict[str, object] = dict.fromkeys((name for name, _ in SEGMENT_FIELDS), 0)
    values |= {
        "src": HOSTS[who][0], "sport": HOSTS[who][1], "dst": HOSTS[1 - who][0], "dport": HOSTS[1 - who][1],
        "sack": bytes(32), "time_ns": 10**18 + round(ms * MS), "flags": sum(BITS[f] for f in flags),
        "seq": seq % 2**32, "ack": ack % 2**32, "length": length, "window": 1000, "ip_version": 4, "ttl": 64,
    }  # fmt: skip
    if blocks := more.pop("blocks", None):
        edges = [edge % 2**32 for block in blocks for edge in block]  # type: ignore[attr-defined]
        values |= {"options": SACK, "n_sack": len(edges) // 2}
        values["sack"] = struct.pack("=8I", *edges, *[0] * (8 - len(edges)))
    return SEGMENT.pack(*(values | more).values())


def observe(probe: TrafficProbe, segments: list[bytes]) -> None:
    batch = SegmentBatch(max(1, len(segments)))
    batch.load(b"".join(segments))
    probe.observe(batch)


def replay(segments: list[bytes], end_ms: float | None = None) -> tuple[dict[str, float], dict[str, float]]:
    """Both sides' columns after the segments; the capture ends at `end_ms`."""
    probe = TrafficProbe()
    observe(probe, segments)
    if end_ms is not None:
        probe.end(10**18 + round(end_ms * MS))
    rows = [dict(zip(SIDE_NAMES, SIDE.unpack(probe.row(who)), strict=True)) for who in (0, 1)]
    return rows[0], rows[1]


@dataclass
class Script:
    """A connection that opens like most do; `c` and `s` add what the client or the server sends."""

    isn: int = 1000
    packets: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.packets += [
            segment(0, "S", self.isn, ms=0, options=MSS, mss=1460),
            segment(1, "S.", 5000, ack=self.isn + 1, ms=10, options=MSS, mss=1400),
            segment(0, ".", self.isn + 1, ack=5001, ms=11),
        ]

    def c(self, flags: str, at: int, length: int = 0, ack: int = 1, ms: float = 20, **more: object) -> Script:
        self.packets.append(segment(0, flags, self.isn + at, length, 5000 + ack, ms, **more))
        return self

    def s(self, flags: str, at: int, length: int = 0, ack: int = 1, ms: float = 20, **more: object) -> Script:
        self.packets.append(segment(1, flags, 5000 + at, length, self.isn + ack, ms, **more))
        return self

    def rows(self, end_ms: float | None = None) -> tuple[dict[str, float], dict[str, float]]:
        return replay(self.packets, end_ms)


def expect(row: dict[str, float], **columns: float) -> None:
    assert {name: row[name] for name in columns} == columns


@pytest.mark.parametrize("isn", [1000, 2**32 - 500, 2**31 - 500])
def test_a_plain_exchange(isn: int) -> None:
    script = Script(isn)
    script.c("P.", 1, 100, ms=20).s(".", 1, ack=101, ms=30).s(".", 1, 1400, ack=101, ms=40)
    script.s("P.", 1401, 600, ack=101, ms=41).c(".", 101, ack=2001, ms=50)
    script.c("F.", 101, ack=2001, ms=60).s("F.", 2001, ack=102, ms=70).c(".", 102, ack=2002, ms=71)
    client, server = script.rows(end_ms=900)
    expect(client, packets=6, data_packets=1, bytes=100, unique_bytes=100, retransmissions=0, pure_acks=3,
           pushed_packets=1, syn_packets=1, fin_packets=1, rst_packets=0, mss=1460, window_scale=-1,
           max_segment=100, min_segment=100, max_in_flight=100, initial_window_bytes=100, duplicate_acks=0,
           stream_length=100, missed_bytes=0, isn=isn, ttl=64, idle_max_ns=30 * MS)  # fmt: skip
    expect(server, packets=5, data_packets=2, bytes=2000, unique_bytes=2000, pure_acks=1, max_segment=1400,
           min_segment=600, max_in_flight=2000, initial_window_bytes=2000, stream_length=2000,
           offloaded_segments=0)  # fmt: skip
    # SYN, data, FIN each way; the server's first 1,400 bytes are acknowledged only together with the rest
    expect(client, rtt_samples=3, rtt_min_ns=10 * MS, rtt_max_ns=10 * MS, rtt_std_ns=0.0)
    expect(server, rtt_samples=3, rtt_min_ns=MS, rtt_max_ns=9 * MS)
    assert client["throughput"] == pytest.approx(100 / 0.071)


def test_a_repeated_segment_is_no_unique_byte_and_no_sample() -> None:
    script = Script().c(".", 1, 100, ms=20).c(".", 101, 100, ms=21)
    client, _ = script.c(".", 1, 100, ms=300).s(".", 1, ack=201, ms=310).rows()
    expect(client, bytes=300, unique_bytes=200, retransmissions=1, retransmitted_bytes=100, out_of_order=0)
    expect(client, rtt_samples=1)  # the SYN's; the ACK of byte 201 waited for the repair (Karn)


def test_a_repacketized_copy_counts_its_known_part() -> None:
    client, _ = Script().c(".", 1, 100).c(".", 51, 100, ms=30).s(".", 1, ack=151, ms=45).rows()
    expect(client, unique_bytes=150, retransmissions=1, retransmitted_bytes=50)
    expect(client, rtt_samples=2, rtt_max_ns=15 * MS)


def test_a_late_segment_is_out_of_order_not_repeated() -> None:
    client, _ = Script().c(".", 1, 100).c(".", 201, 100, ms=21).c(".", 101, 100, ms=22).rows()
    expect(client, out_of_order=1, retransmissions=0, unique_bytes=300, initial_window_bytes=300)


def test_repeated_syn_and_fin_are_retransmissions_without_bytes() -> None:
    packets = [segment(0, "S", 7, ms=0), segment(0, "S", 7, ms=1000), segment(1, "S.", 9, ack=8, ms=1010),
               segment(0, ".", 8, ack=10, ms=1011), segment(0, "F.", 8, 50, ack=10, ms=1020),
               segment(0, "F.", 8, 50, ack=10, ms=1300)]  # fmt: skip
    client, server = replay(packets)
    expect(client, syn_packets=2, fin_packets=2, retransmissions=2, retransmitted_bytes=52)
    expect(client, bytes=100, unique_bytes=50, stream_length=50)
    expect(client, rtt_samples=0, rtt_min_ns=-1, srtt_ns=-1, rto_ns=-1)
    expect(server, rtt_samples=1, rtt_min_ns=MS)


def test_missed_bytes_are_those_between_syn_and_fin_that_nobody_saw() -> None:
    client, _ = Script().c(".", 1, 100).c(".", 301, 100).c("F.", 401).rows()
    expect(client, stream_length=400, unique_bytes=200, missed_bytes=200)


def test_duplicate_acks_belong_to_the_data_they_ask_for() -> None:
    script = Script().c(".", 1, 100).s(".", 1, ack=101).c(".", 101, 100, ms=21).c(".", 201, 100, ms=22)
    for _ in range(3):
        script.s(".", 1, ack=101, ms=23, blocks=[(1201, 1301)])
    client, server = script.rows()
    expect(client, duplicate_acks=3, sack_packets=0)
    expect(server, duplicate_acks=0, sack_packets=3, dsack_packets=0)


@pytest.mark.parametrize(
    ("flags", "changes", "why"),
    [
        ("F.", {}, "a FIN is none"),
        ("R.", {}, "a RST is none"),
        (".", {"window": 999}, "the window changed"),
        ("P.", {"length": 5}, "it carries data"),
    ],
)
def test_what_is_no_duplicate_ack(flags: str, changes: dict[str, int], why: str) -> None:
    script = Script().c(".", 1, 100).s(".", 1, ack=101).c(".", 101, 100)
    script.s(flags, 1, ack=101, **changes)
    assert script.rows()[0]["duplicate_acks"] == 0, why
    again = Script().c(".", 1, 100).s(".", 1, ack=101).s(".", 1, ack=101)
    assert again.rows()[0]["duplicate_acks"] == 0, "nothing is outstanding"


@pytest.mark.parametrize(
    ("blocks", "duplicate"),
    [
        ([(1001, 1051)], True),  # below the ACK
        ([(1201, 1251), (1201, 1301)], True),  # inside the second block
        ([(1201, 1301)], False),
        ([(1401, 1501), (1201, 1301)], False),
    ],
)
def test_dsack_blocks(blocks: list[tuple[int, int]], duplicate: bool) -> None:
    _, server = Script().c(".", 1, 100).s(".", 1, ack=101, blocks=blocks).rows()
    expect(server, sack_packets=1, dsack_packets=int(duplicate))


def test_windows_are_scaled_once_both_sides_agreed() -> None:
    packets = [segment(0, "S", 0, options=WSCALE, window_scale=2, window=60000),
               segment(1, "S.", 0, ack=1, options=WSCALE, window_scale=3, window=65535),
               segment(0, ".", 1, ack=1, window=500), segment(1, ".", 1, ack=1, window=100),
               segment(1, ".", 1, ack=1, window=0), segment(1, ".", 1, ack=1, window=90)]  # fmt: skip
    client, server = replay(packets)
    expect(client, max_window=2000, min_window=2000, window_scale=2, zero_windows=0)
    expect(server, max_window=800, min_window=720, window_scale=3, zero_windows=1)
    one_sided = [segment(0, "S", 0, options=WSCALE, window_scale=2, window=60000),
                 segment(1, "S.", 0, ack=1, window=300), segment(0, ".", 1, ack=1, window=500)]  # fmt: skip
    expect(replay(one_sided)[0], max_window=60000, min_window=500)


def test_zero_window_probes_with_a_byte_count_as_sent_when_taken() -> None:
    script = Script().c(".", 1, 100).s(".", 1, ack=101, window=0)
    script.c(".", 101, 1, ms=500).s(".", 1, ack=101, window=0, ms=510)
    refused, _ = script.rows()
    expect(refused, zero_window_probes=1, unique_bytes=100, retransmissions=0)
    taken, _ = script.c(".", 101, 1, ms=900).s(".", 1, ack=102, window=9, ms=910).rows()
    expect(taken, zero_window_probes=2, unique_bytes=101, retransmissions=0)


def test_linux_window_probes_and_keep_alives_carry_nothing() -> None:
    probed, _ = Script().c(".", 1, 100).s(".", 1, ack=101, window=0).c(".", 100, ms=300).rows()
    expect(probed, zero_window_probes=1, keep_alives=0)
    idle, _ = Script().c(".", 1, 100).s(".", 1, ack=101).c(".", 100, ms=300).c(".", 100, 1, ms=400).rows()
    expect(idle, zero_window_probes=0, keep_alives=2)
    busy, _ = Script().c(".", 1, 100).s(".", 1, ack=51).c(".", 50, ms=300).rows()
    expect(busy, keep_alives=0)


def test_a_reset_answers_the_syn_and_advertises_nothing() -> None:
    client, server = replay([segment(0, "S", 5, ms=0), segment(1, "R.", 0, ack=6, ms=30, window=77)])
    expect(client, rtt_samples=1, rtt_min_ns=30 * MS)
    expect(server, rst_packets=1, pure_acks=0, max_window=-1, zero_windows=0)


def test_idleness_counts_to_the_end_of_the_capture_only_while_open() -> None:
    open_, _ = Script().rows(end_ms=5011)
    assert open_["idle_max_ns"] == 5000 * MS
    closed, _ = Script().c("R.", 1, ms=20).rows(end_ms=5011)
    assert closed["idle_max_ns"] == 11 * MS


def test_initial_window_and_stream_are_unknown_without_the_syn() -> None:
    client, server = replay([segment(0, ".", 50, 100, ack=9, ms=0), segment(1, ".", 9, ack=150, ms=3)])
    expect(client, initial_window_bytes=-1, stream_length=-1, missed_bytes=-1, isn=-1, mss=-1, rtt_samples=1)
    expect(server, max_segment=-1, min_segment=-1, first_data_ns=-1, max_in_flight=0)


def test_a_frame_captured_twice_is_a_packet_and_nothing_else() -> None:
    probe = TrafficProbe()
    data = segment(0, ".", 1, 100)
    observe(probe, [data])
    batch = SegmentBatch()
    batch.load(data)
    probe.observe(batch, copies=True)
    row = dict(zip(SIDE_NAMES, SIDE.unpack(probe.row(0)), strict=True))
    expect(row, packets=2, data_packets=1, bytes=100, unique_bytes=100, retransmissions=0)


def test_odd_packets_are_counted() -> None:
    script = Script().c("PU.", 1, 3000, tos=3, checksum_state=2).c("EW.", 3001, checksum_state=3)
    client, _ = script.c(".", 3001, notes=0x20).rows()
    expect(client, urgent_packets=1, ecn_ce=1, ecn_echo=1, cwr=1, bad_checksums=1, offload_checksums=1,
           offloaded_segments=1, packets=5)  # fmt: skip


def round_trips(times_ms: list[float]) -> dict[str, float]:
    """A mid-stream side that sends a byte and gets its ACK after each of the times."""
    packets, now = [], 0.0
    for i, rtt in enumerate(times_ms):
        packets += [segment(0, ".", i, 1, ack=1, ms=now), segment(1, ".", 1, ack=i + 1, ms=now + rtt)]
        now += rtt + 1
    return replay(packets)[0]


def test_rfc_6298_estimates() -> None:
    row = round_trips([100, 200])
    # R = 100: SRTT 100, RTTVAR 50; then RTTVAR = 3/4 50 + 1/4 100 = 62.5, SRTT = 7/8 100 + 1/8 200 = 112.5
    expect(row, srtt_ns=112.5 * MS, rto_ns=1000 * MS, rtt_mean_ns=150.0 * MS)
    assert row["rtt_std_ns"] == pytest.approx(100 * MS / math.sqrt(2))
    assert round_trips([1000, 1000])["rto_ns"] == (1000 + 4 * 375) * MS
    assert round_trips([100])["rtt_std_ns"] == -1


@pytest.mark.parametrize("count", [1, 2, 20, 32, 33, 500])
def test_percentiles(count: int) -> None:
    times = [1 + 37 * i % 101 for i in range(count)]
    row = round_trips(list(map(float, times)))
    allowed = 1e-6 if count <= 32 else 0.13
    for name, share in (("rtt_p50_ns", 0.50), ("rtt_p95_ns", 0.95), ("rtt_p99_ns", 0.99)):
        exact = sorted(times)[math.ceil(share * count) - 1] * MS
        assert row[name] == pytest.approx(exact, rel=allowed)


def test_the_flight_is_followed_through_thousands_of_segments() -> None:
    packets = Script(0).packets
    packets += [segment(0, ".", 1 + i, 1, ack=5001, ms=20) for i in range(3000)]
    packets += [segment(1, ".", 5001, ack=2 + i, ms=120) for i in range(3000)]
    client, _ = replay(packets)
    expect(client, rtt_samples=3001, rtt_max_ns=100 * MS, max_in_flight=3000)


def test_a_million_holes_stay_bounded_and_counted() -> None:
    probe = TrafficProbe()
    observe(probe, [segment(0, ".", 10 * i, 1) for i in range(20000)])
    assert len(probe.ranges(0)) <= 1025
    row = dict(zip(SIDE_NAMES, SIDE.unpack(probe.row(0)), strict=True))
    expect(row, unique_bytes=20000, retransmissions=0)


def test_a_stream_longer_than_the_sequence_space() -> None:
    step, steps = 2**20, 5000
    packets = [segment(0, "S", 2**32 - 10)]
    packets += [segment(0, ".", 2**32 - 9 + i * step, step, ms=1 + i) for i in range(steps)]
    packets.append(segment(0, "F", 2**32 - 9 + steps * step, ms=9999))
    client, _ = replay(packets)
    expect(client, unique_bytes=steps * step, stream_length=steps * step, missed_bytes=0, retransmissions=0)


def test_the_struct_stays_small() -> None:
    assert traffic_size() <= 512


near = st.integers(-40, 40) | st.sampled_from([0, 2**31, 2**32 - 1, 2**30]) | st.integers(0, 2**32 - 1)
any_segment = st.builds(
    segment,
    who=st.integers(0, 1),
    flags=st.text("FSRP.UEW", max_size=8).map(lambda s: "".join(set(s))),
    seq=near,
    length=st.integers(0, 12) | st.sampled_from([0, 1460, 65535, 2**31, 2**32 - 1]),
    ack=near,
    ms=st.integers(-5, 50) | st.integers(-(10**11), 8 * 10**12),
    window=st.integers(0, 65535),
    window_scale=st.integers(0, 255),
    options=st.integers(0, 0xFFFF),
    mss=st.integers(0, 65535),
    n_sack=st.integers(0, 4),
    sack=st.binary(min_size=32, max_size=32),
    notes=st.integers(0, 63),
    tos=st.integers(0, 255),
    checksum_state=st.integers(0, 3),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(any_segment, max_size=60))
def test_anything_adds_up(packets: list[bytes]) -> None:
    probe = TrafficProbe()
    observe(probe, packets)
    total = 0
    for who in (0, 1):
        ranges = probe.ranges(who)
        assert all(start < end for start, end in ranges)
        assert all(first[1] < second[0] for first, second in pairwise(ranges))
        row = dict(zip(SIDE_NAMES, SIDE.unpack(probe.row(who)), strict=True))
        total += int(row["packets"])
        assert 0 <= row["unique_bytes"] <= row["bytes"]
        assert row["data_packets"] <= row["packets"]
        assert max(row["retransmissions"], row["out_of_order"]) <= row["packets"]
        assert row["pure_acks"] + row["rst_packets"] <= row["packets"]
        assert row["dsack_packets"] <= row["sack_packets"]
        if row["rtt_samples"]:
            assert row["rtt_min_ns"] <= row["rtt_p50_ns"] <= row["rtt_p95_ns"] <= row["rtt_p99_ns"]
            assert row["rtt_p99_ns"] <= row["rtt_max_ns"]
    assert total == len(packets)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 40)), min_size=1, max_size=80),
)
def test_ranges_are_the_set_of_bytes_sent(base: int, pieces: list[tuple[int, int]]) -> None:
    """Against a plain set: unique bytes, copies, and which segments fill a hole in front of known bytes."""
    probe = TrafficProbe()
    observe(probe, [segment(0, ".", base + at, length) for at, length in pieces])
    sent: set[int] = set()
    copies = copied = 0
    for at, length in pieces:
        piece = set(range(at, at + length))
        copies += bool(piece & sent)
        copied += len(piece & sent)
        sent |= piece
    row = dict(zip(SIDE_NAMES, SIDE.unpack(probe.row(0)), strict=True))
    expect(row, unique_bytes=len(sent), retransmissions=copies, retransmitted_bytes=copied)
    zero = base if base + pieces[0][0] < 2**32 else base - 2**32  # positions start at the first number seen
    assert sent == {position - zero for start, end in probe.ranges(0) for position in range(start, end)}
