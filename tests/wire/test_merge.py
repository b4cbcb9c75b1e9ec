"""Several captures are one timeline."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packet_builder import ethernet, ipv4, pcap, record, tcp

from tcpscope.capture.sources import find
from tcpscope.errors import CaptureError
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.layout import as_dicts
from tcpscope.wire.merge import MergedReader

FRAME = ethernet(ipv4(tcp()))


def capture(seconds: list[int]) -> bytes:
    return pcap([]) + b"".join(record(FRAME, second=second) for second in seconds)


def merged(folder: Path, files: list[list[int]], capacity: int = 5) -> list[tuple[int, int, int]]:
    """(second, file, frame) of the merged files."""
    names = []
    for number, seconds in enumerate(files):
        path = folder / f"{number:05}.pcap"
        path.write_bytes(capture(seconds))
        names.append(str(path))
    batch, found = SegmentBatch(capacity), []
    with MergedReader(find(names).captures) as reader:
        while reader.fill(batch):
            found += [(it["time_ns"] // 10**9, it["file"], it["frame"]) for it in as_dicts(batch.tobytes())]  # type: ignore[operator]
    return found


@pytest.mark.parametrize("capacity", [1, 2, 1000])
def test_by_time_then_by_file(tmp_path: Path, capacity: int) -> None:
    found = merged(tmp_path, [[1, 3, 5], [1, 2, 5], [4]], capacity)
    assert found == [(1, 0, 1), (1, 1, 1), (2, 1, 2), (3, 0, 2), (4, 2, 1), (5, 0, 3), (5, 1, 3)]


def test_files_given_in_any_order(tmp_path: Path) -> None:
    assert [it[:2] for it in merged(tmp_path, [[7, 8], [1, 2], [4, 5]])] == [
        (1, 1),
        (2, 1),
        (4, 2),
        (5, 2),
        (7, 0),
        (8, 0),
    ]


@given(
    files=st.lists(st.lists(st.integers(1, 50), max_size=30), min_size=2, max_size=12),
    capacity=st.integers(1, 40),
)
def test_nothing_is_lost_and_files_keep_their_order(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[int]], capacity: int
) -> None:
    found = merged(tmp_path_factory.mktemp("merge"), files, capacity)
    for number, seconds in enumerate(files):
        assert [it[0] for it in found if it[1] == number] == seconds
    ordered = [sorted(it) for it in files]
    found = merged(tmp_path_factory.mktemp("merge"), ordered, capacity)
    assert found == sorted(found, key=lambda it: (it[0], it[1], it[2]))


def test_files_that_follow_each_other_are_opened_in_turn(tmp_path: Path) -> None:
    names = []
    for number in range(300):
        path = tmp_path / f"{number:03}.pcap"
        path.write_bytes(capture([10 * number + 1, 10 * number + 2]))
        names.append(str(path))
    batch, most, before = SegmentBatch(10), 0, len(os.listdir("/proc/self/fd"))
    reader = MergedReader(find(names).captures)
    while reader.fill(batch):
        most = max(most, len(os.listdir("/proc/self/fd")) - before)
    assert most <= 2
    statistics = reader.statistics()
    assert [it["name"] for it in statistics if it] == names
    assert sum(it["tcp"] for it in statistics if it) == 600


def test_one_source_is_read_directly_and_reported(tmp_path: Path) -> None:
    assert merged(tmp_path, [[5, 1, 3]]) == [(5, 0, 1), (1, 0, 2), (3, 0, 3)]


def test_a_broken_file_among_others_is_an_error_at_once(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.pcap", tmp_path / "bad.pcap"
    good.write_bytes(capture([1]))
    bad.write_bytes(b"nothing of the kind")
    with pytest.raises(CaptureError, match=r"bad\.pcap: not a capture"):
        MergedReader(find([good, bad]).captures)
