"""Files of a live capture: every one of them whole, whatever pieces the bytes come in; and a full disk."""

import errno
import os
from pathlib import Path

import pytest

from tcpscope.capture.rotate import Files
from tcpscope.errors import UsageError
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.reader import SegmentReader

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
PCAPNG = next(iter(sorted(SAMPLES.glob("*.pcapng"))))


def packets(path):
    with open(path, "rb") as file:
        reader, batch = SegmentReader(file, prompt=False), SegmentBatch(4096)
        while reader.fill(batch):
            pass
    assert reader.damage is None, path
    return reader.statistics()["packets"]


def feed(files, data, piece):
    for at in range(0, len(data), piece):
        files(data[at : at + piece])
    files.close()


@pytest.mark.parametrize("source", [SAMPLES / "short_connections.pcap", PCAPNG], ids=lambda it: it.suffix)
@pytest.mark.parametrize("piece", [1, 37, 4096, 1 << 20])
@pytest.mark.parametrize("size", [0, 2000])
def test_all_packets_in_whole_files(source, piece, size, tmp_path):
    files = Files(str(tmp_path / "out.pcap"), size=size)
    feed(files, source.read_bytes(), piece)
    assert files.failure is None
    assert (len(files.names) > 1) == bool(size)
    assert sum(map(packets, files.names)) == packets(source)
    if size:
        assert all(os.path.getsize(name) < size + 2000 for name in files.names)
    else:
        assert Path(files.names[0]).read_bytes() == source.read_bytes()


def test_the_latest_few_are_kept(tmp_path):
    files = Files(str(tmp_path / "out.pcap"), size=2000, keep=2)
    feed(files, (SAMPLES / "short_connections.pcap").read_bytes(), 500)
    assert sorted(map(str, tmp_path.iterdir())) == sorted(files.names)
    assert len(files.names) == 2


@pytest.mark.parametrize("source", [SAMPLES / "short_connections.pcap", PCAPNG], ids=lambda it: it.suffix)
@pytest.mark.parametrize("room", [0, 10, 100, 777, 3000])
def test_a_full_disk_leaves_whole_packets(source, room, tmp_path, monkeypatch):
    left, write = room, os.write

    def limited(file, data):
        nonlocal left
        if left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = write(file, data[:left])
        left -= count
        return count

    monkeypatch.setattr(os, "write", limited)
    files = Files(str(tmp_path / "out.pcap"))
    feed(files, source.read_bytes(), 256)
    monkeypatch.undo()
    assert "No space left on device" in files.failure
    if os.path.getsize(files.names[0]) >= 24:
        packets(files.names[0])


def test_where_nothing_can_be_written(tmp_path):
    with pytest.raises(UsageError, match="cannot write"):
        Files(str(tmp_path / "none" / "out.pcap"))
