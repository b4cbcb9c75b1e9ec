"""The reader: batches, pipes, growth, and no harm from any bytes whatever."""

from __future__ import annotations

import io
import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packet_builder import enhanced, ethernet, interface, ipv4, pcap, read, read_stream, section, tcp

from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.reader import SegmentReader

FRAMES = [ethernet(ipv4(tcp(bytes(i), seq=i))) for i in range(40)]
LINKS = [
    *(0, 1, 6, 7, 8, 9, 10, 12, 50, 51, 100, 101, 104, 105, 106, 107, 108, 109, 113, 117, 119, 122, 123, 127),
    *(
        129,
        149,
        163,
        166,
        178,
        180,
        181,
        182,
        192,
        197,
        204,
        205,
        206,
        219,
        226,
        228,
        229,
        239,
        240,
        242,
        258,
    ),
    *(276, 284, 285),
]
PCAP = pcap(FRAMES)
PCAPNG = section() + interface() + b"".join(enhanced(it, i) for i, it in enumerate(FRAMES))


class Slices(io.RawIOBase):
    """A stream that gives at most `size` bytes a read."""

    def __init__(self, data: bytes, size: int) -> None:
        self.data, self.size = io.BytesIO(data), size

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self.data.readinto(buffer[: self.size])


@pytest.mark.parametrize("data", [PCAP, PCAPNG])
@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("capacity", [1, 3, 1000])
@pytest.mark.parametrize("buffer_size", [64, 1 << 16])
def test_slicing_changes_nothing(data: bytes, size: int, capacity: int, buffer_size: int) -> None:
    expected = read(data, 1000)[0]
    assert len(expected) == 40
    assert read_stream(Slices(data, size), capacity, buffer_size=buffer_size)[0] == expected


def boundaries(kind: bytes) -> set[int]:
    """Where a cut leaves no record in pieces."""
    if kind is PCAP:
        return {len(pcap(FRAMES[:n])) for n in range(41)}
    head = section(), interface(), *(enhanced(it, i) for i, it in enumerate(FRAMES))
    return {sum(map(len, head[:n])) for n in range(1, 43)}


@given(cut=st.integers(0, len(PCAPNG)), kind=st.sampled_from([PCAP, PCAPNG]))
def test_a_cut_anywhere_keeps_what_stands_before_and_is_noticed(cut: int, kind: bytes) -> None:
    segments, statistics = read(kind[:cut])
    assert segments == read(kind)[0][: len(segments)]
    assert statistics["packets"] == len(segments)
    assert (statistics["damage"] is None) == (min(cut, len(kind)) in boundaries(kind))


@pytest.mark.parametrize("kind", [PCAP, PCAPNG])
def test_a_cut_between_records_is_no_damage(kind: bytes) -> None:
    for cut in boundaries(kind):
        assert read(kind[:cut])[1]["damage"] is None


@settings(max_examples=300)
@given(
    kind=st.sampled_from([PCAP, PCAPNG]),
    noise=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=20),
)
def test_flipped_bytes_do_no_harm(kind: bytes, noise: list[tuple[int, int]]) -> None:
    data = bytearray(kind)
    for at, value in noise:
        data[at % len(data)] = value
    segments, statistics = read(bytes(data))
    assert sum(statistics["kinds"].values()) <= statistics["packets"]
    assert len(segments) <= statistics["packets"]


@settings(max_examples=400)
@given(frame=st.binary(max_size=200), link=st.sampled_from(LINKS))
def test_random_frames_on_every_link_are_counted_once(frame: bytes, link: int) -> None:
    segments, statistics = read(pcap([frame], link))
    assert sum(statistics["kinds"].values()) == 1
    assert len(segments) <= 1
    for segment in segments:
        assert segment["captured"] <= len(frame)


@given(tail=st.binary(max_size=80), at=st.integers(0, 60))
def test_random_bytes_behind_sound_headers(tail: bytes, at: int) -> None:
    frame = FRAMES[3][:at] + tail
    _, statistics = read(pcap([frame], wire=max(len(frame), 60)))
    assert sum(statistics["kinds"].values()) == 1


def test_a_record_larger_than_the_buffer_makes_it_grow() -> None:
    frame = ethernet(ipv4(tcp(os.urandom(60_000))))
    segments, _ = read(pcap([frame, *FRAMES]), buffer_size=64)
    assert [it["length"] for it in segments[:2]] == [60_000, 0]


def test_a_slow_pipe_is_served_at_once() -> None:
    """What has arrived is handed over before the next read."""
    ours, theirs = os.pipe()
    reader, batch = SegmentReader(io.FileIO(ours)), SegmentBatch(100)
    os.write(theirs, PCAP[: len(pcap(FRAMES[:3]))])
    done = threading.Event()

    def take() -> None:
        while not batch.size:
            reader.fill(batch)
        done.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    assert done.wait(5)
    assert batch.size == 3
    os.close(theirs)
    assert not reader.fill(batch)
    thread.join(5)


def test_a_stream_without_tcp_gives_the_caller_its_turn() -> None:
    reader, batch = SegmentReader(Slices(pcap([ethernet(bytes(40), 0x0806)] * 100), 600)), SegmentBatch(10)
    turns = 0
    while reader.fill(batch):
        assert batch.size == 0
        turns += 1
    assert turns > 5
    assert reader.statistics()["kinds"] == {"arp": 100}


def test_a_non_blocking_stream_may_have_nothing_yet() -> None:
    answers = [None, PCAP, None, b""]

    class Later(io.RawIOBase):
        def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
            data = answers.pop(0)
            if data is None:
                return None
            buffer[: len(data)] = data
            return len(data)

    reader, batch = SegmentReader(Later()), SegmentBatch(100)
    sizes = []
    while reader.fill(batch):
        sizes.append(batch.size)
    assert sizes == [0, 40, 0]


def test_a_failing_read_ends_the_capture_with_its_reason() -> None:
    class Failing(Slices):
        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            count = super().readinto(buffer)
            if not count:
                raise OSError(5, "Input/output error")
            return count

    segments, statistics = read_stream(Failing(PCAP, 10_000))
    assert len(segments) == 40
    assert "Input/output error" in statistics["damage"]


def test_an_impossible_count_is_refused() -> None:
    class Lying(io.RawIOBase):
        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            return len(buffer) + 1

    with pytest.raises(ValueError, match="impossible"):
        SegmentReader(Lying()).fill(SegmentBatch(1))


def test_the_file_s_index_and_its_limit() -> None:
    assert read(PCAP, file_index=9)[0][0]["file"] == 9
    with pytest.raises(ValueError, match="16 bits"):
        SegmentReader(io.BytesIO(PCAP), 70_000)


def test_bytes_on_the_wire_are_counted_whatever_was_kept() -> None:
    whole = sum(map(len, FRAMES))
    assert read(PCAP)[1]["wire_bytes"] == read(PCAPNG)[1]["wire_bytes"] == whole
    cut = pcap([it[:54] for it in FRAMES], wire=1500)
    assert read(cut)[1]["wire_bytes"] == 1500 * len(FRAMES)
