"""One packet in full: the right one, harmless for a terminal, from any thread."""

from __future__ import annotations

import asyncio
import json
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tcpscope.tables.analysis import locate
from tcpscope.wireshark.dissect import dissect
from tcpscope.wireshark.tshark import find

from .conftest import Capture, needs_tshark, run

pytestmark = needs_tshark
HOSTILE = "\x1b]0;owned\x07\u202e\x9b31m"


def test_the_right_packet(capture: Capture) -> None:
    path = capture("open/three_way")
    done = run("dissect", path, "2")
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert text.startswith("Frame 2: ")
    assert text.count("\nFrame ") == 0
    assert "Flags: 0x012 (SYN, ACK)" in text
    assert "[This is an ACK to the segment in frame: 1]" in text


def test_as_json(capture: Capture) -> None:
    done = run("dissect", capture("open/three_way"), "3", "--format", "json")
    layers = json.loads(done.stdout)
    assert layers["frame"]["frame.number"] == "3"
    assert layers["tcp"]["tcp.flags"] == "0x0010"


def test_standard_input_and_a_file_for_the_answer(capture: Capture, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    done = run("dissect", "-", "1", "-o", out, data=capture("open/three_way").read_bytes())
    assert (done.returncode, done.stdout) == (0, b"")
    assert out.read_text(encoding="utf-8").startswith("Frame 1: ")


def test_a_frame_that_is_not_there(capture: Capture) -> None:
    for frame in ("99", "0"):
        done = run("dissect", capture("open/three_way"), frame)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, b"", 1)


def hostile_request(path: Path) -> None:
    """An HTTP request for a hostile name, in one packet to port 80."""
    data = f"GET /{HOSTILE} HTTP/1.1\r\nHost: {HOSTILE}\r\n\r\n".encode()
    tcp = struct.pack("!HHIIBBHHH", 40000, 80, 1, 1, 0x50, 0x18, 1000, 0, 0) + data
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, b"\x0a\0\0\1", b"\x0a\0\0\2") + tcp
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)  # raw IP
    path.write_bytes(head + struct.pack("<IIII", 1, 0, len(ip), len(ip)) + ip)


def test_hostile_names_are_harmless(tmp_path: Path) -> None:
    path = tmp_path / f"{HOSTILE}.pcap"
    hostile_request(path)
    for arguments in (["1"], ["2"]):
        done = run("dissect", path, *arguments)
        text = (done.stdout + done.stderr).decode()
        assert not set(text) & set(HOSTILE) - set("]0;owned31m"), text
    assert "Hypertext Transfer Protocol" in run("dissect", path, "1").stdout.decode()


def test_what_tshark_lets_through_is_escaped(capture: Capture, tmp_path: Path) -> None:
    program = tmp_path / "tshark"
    program.write_text(
        '#!/bin/sh\n[ "$1" = -v ] && echo "TShark (Wireshark) 4.0.17" || printf "Frame 1:\\n    \\033[31mred\\n"\n'
    )
    program.chmod(0o755)
    done = run("dissect", capture("open/three_way"), "1", PATH=f"{tmp_path}:/bin")
    assert done.stdout == b"Frame 1:\n    \\x1b[31mred\n"


def test_twice_in_threads_and_inside_a_loop(capture: Capture) -> None:
    source, tshark = locate(capture("open/three_way")).captures[0], find()
    want = dissect(source, 2, tshark)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: dissect(source, 2, tshark), range(3))) == [want] * 3

    async def inside() -> list[str]:
        return dissect(source, 2, find())

    assert asyncio.run(inside()) == want
