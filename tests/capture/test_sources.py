"""Paths, folders, patterns and pipes → streams; one clear line for what cannot be used."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import lz4.frame  # type: ignore[import-untyped]
import pytest
import zstandard
from packet_builder import ethernet, ipv4, pcap, read, read_stream, tcp

from tcpscope.capture.sources import Source, find, open_stream, why_unreadable
from tcpscope.errors import CaptureError

CAPTURE = pcap([ethernet(ipv4(tcp(os.urandom(400), seq=i))) for i in range(600)])
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "lz4": lz4.frame.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


def stored(folder: Path, data: bytes, name: str = "capture") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)


def opened(path: str) -> tuple[list[dict[str, object]], dict[str, object]]:
    stream = open_stream(find([path]).captures[0])
    try:
        return read_stream(stream)
    finally:
        stream.close()


@pytest.mark.parametrize("name", COMPRESSORS)
def test_compressed_files_are_read_whatever_their_suffix(tmp_path: Path, name: str) -> None:
    segments, statistics = opened(stored(tmp_path, COMPRESSORS[name](CAPTURE), "misleading.pcap"))
    assert segments == read(CAPTURE)[0]
    assert statistics["damage"] is None


@pytest.mark.parametrize("name", ["gzip", "zstd", "lz4", "xz"])
def test_several_compressed_frames_in_a_row(tmp_path: Path, name: str) -> None:
    pack = COMPRESSORS[name]
    segments, _ = opened(stored(tmp_path, pack(CAPTURE[:30_000]) + pack(CAPTURE[30_000:])))
    assert len(segments) == 600


@pytest.mark.parametrize("name", COMPRESSORS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_cut_compressed_stream_gives_its_beginning(tmp_path: Path, name: str, share: float) -> None:
    packed = COMPRESSORS[name](CAPTURE)
    path = stored(tmp_path, packed[: int(len(packed) * share)])
    try:
        segments, statistics = opened(path)
    except CaptureError as error:  # nothing came out of the first block
        assert path in str(error)
        assert share < 0.9 or name == "bzip2"
        return
    assert segments == read(CAPTURE)[0][: len(segments)]
    assert statistics["damage"]


@pytest.mark.parametrize("name", COMPRESSORS)
def test_a_damaged_compressed_stream_is_reported(tmp_path: Path, name: str) -> None:
    packed = bytearray(COMPRESSORS[name](CAPTURE))
    packed[len(packed) // 2 :] = bytes(len(packed) - len(packed) // 2)
    try:
        _, statistics = opened(stored(tmp_path, bytes(packed)))
    except CaptureError as error:
        assert "compressed" in str(error)
        return
    assert statistics["damage"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"x", "not a capture: starts with 78; tcpscope reads pcap and pcapng"),
        (b"GET / HTTP/1.1\r\n", "not a capture: starts with 47 45 54"),
        (b"snoop\0\0\0" + bytes(40), "snoop capture; convert it first: editcap"),
        (gzip.compress(b"text, no capture", mtime=0), "not a capture"),
        (gzip.compress(b"", mtime=0), "nothing to read"),
        (b"\x1f\x8b", "nothing to read"),
    ],
)
def test_what_is_no_capture_is_said_in_one_line(tmp_path: Path, data: bytes, words: str) -> None:
    path = stored(tmp_path, data)
    with pytest.raises(CaptureError) as caught:
        open_stream(find([path]).captures[0])
    assert words in str(caught.value)
    assert path in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_unreadable(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="no such file"):
        find([tmp_path / "absent.pcap"])
    with pytest.raises(CaptureError, match="no capture matches"):
        find([str(tmp_path / "*.pcap")])
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(CaptureError, match="no such file"):
        open_stream(find([tmp_path / "dangling"]).captures[0])

    def refuse() -> BinaryIO:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(CaptureError, match="permission denied"):
        open_stream(Source("locked", refuse))
    with pytest.raises(CaptureError, match="no capture given"):
        find([])


def test_a_folder_is_searched_in_order_and_skips_other_files(tmp_path: Path) -> None:
    for name in ("b.pcap", "a.pcap", "deep/er/c"):
        stored(tmp_path, CAPTURE, name)
    stored(tmp_path, gzip.compress(CAPTURE), "deep/d.gz")
    text = stored(tmp_path, b"some notes about the capture", "notes.txt")
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)
    found = find([tmp_path])
    names = [os.path.relpath(it.name, tmp_path) for it in found.captures]
    assert names == ["a.pcap", "b.pcap", "deep/d.gz", "deep/er/c"]
    assert found.skipped == [text]
    (tmp_path / "void").mkdir()
    with pytest.raises(CaptureError, match="no capture in folder"):
        find([tmp_path / "void"])


@pytest.mark.parametrize("name", ["empty.pcap", "ring.pcap12", "x.PCAPNG.gz", "deep/y.cap.zst"])
def test_a_folder_names_what_is_called_a_capture_and_is_none(tmp_path: Path, name: str) -> None:
    stored(tmp_path, CAPTURE, "deep/a.pcap")
    bad = stored(tmp_path, b"" if name == "empty.pcap" else b"no capture at all", name)
    found = find([tmp_path])
    assert not found.skipped and len(found.broken) == 1 and found.broken[0].startswith(f"{bad}: ")
    with pytest.raises(CaptureError, match=re.escape(f"{bad}: ")):
        find([bad[:-1] + "*"])


def test_patterns_and_several_paths_keep_their_order(tmp_path: Path) -> None:
    one, two = stored(tmp_path, CAPTURE, "1.pcap"), stored(tmp_path, CAPTURE, "2.pcap")
    assert [it.name for it in find([two, one]).captures] == [two, one]
    assert [it.name for it in find([str(tmp_path / "*.pcap")]).captures] == [one, two]
    odd = stored(tmp_path, CAPTURE, "[odd].pcap")
    assert [it.name for it in find([odd]).captures] == [odd]
    assert why_unreadable(one) is None


def test_a_pipe_is_never_seeked(tmp_path: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from packet_builder import read_stream\n"
        "from tcpscope.capture.sources import find, open_stream\n"
        "print(len(read_stream(open_stream(find(['-']).captures[0]))[0]))"
    )
    root = Path(__file__).parents[2]
    for data in (CAPTURE, gzip.compress(CAPTURE), zstandard.ZstdCompressor().compress(CAPTURE)):
        done = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, cwd=root, check=True)
        assert done.stdout.strip() == b"600"


def test_a_pipe_that_trickles_is_peeked_patiently() -> None:
    class Trickle(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.data = data

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: object) -> int:
            cast(memoryview, buffer)[: len(self.data[:1])] = self.data[:1]
            self.data, count = self.data[1:], len(self.data[:1])
            return count

    stream = open_stream(Source("trickle", lambda: cast(BinaryIO, Trickle(CAPTURE[:5000]))))
    segments, _ = read_stream(stream)
    assert segments == read(CAPTURE[:5000])[0]


def with_dictionary(size: int) -> bytes:
    """An xz file whose header claims this dictionary, as its one byte says it (4 KiB and up)."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    data = bytearray(lzma.compress(CAPTURE, filters=filters))
    at = data.index(b"\x21\x01") + 2  # LZMA2, one byte of properties
    data[at] = size
    end = 12 + (data[12] + 1) * 4
    data[end - 4 : end] = zlib.crc32(data[12 : end - 4]).to_bytes(4, "little")
    return bytes(data)


def test_a_dictionary_of_gigabytes_is_refused(tmp_path: Path) -> None:
    whole = stored(tmp_path, with_dictionary(28), "64MiB.xz")  # as much as xz -9 takes
    assert len(opened(whole)[0]) == 600
    with pytest.raises(CaptureError, match="wants more than 128 MB of memory: decompress it first"):
        opened(stored(tmp_path, with_dictionary(40), "4GiB.xz"))
    window = b"\x28\xb5\x2f\xfd" + bytes((0, 0x98)) + CAPTURE[:100]  # 2^29 bytes
    with pytest.raises(CaptureError, match="wants more than 128 MB of memory"):
        opened(stored(tmp_path, window, "512MiB.zst"))


def test_xz_streams_with_padding_between_them(tmp_path: Path) -> None:
    one, other = lzma.compress(CAPTURE[:30_000]), lzma.compress(CAPTURE[30_000:])
    segments, statistics = opened(stored(tmp_path, one + bytes(200_000) + other + bytes(8)))
    assert (len(segments), statistics["damage"]) == (600, None)
    _, statistics = opened(stored(tmp_path, one + other[:-40]))
    assert "cut off" in str(statistics["damage"])
