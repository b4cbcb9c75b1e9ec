"""The sample captures: each is described, small, readable by dpkt and full of TCP, and tcpscope says what it must."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dpkt
import pytest

from tcpscope.capture.sources import find
from tcpscope.replay.engine import Engine
from tcpscope.replay.layout import ANNOTATIONS, CLOSE_KINDS, CLOSED_BY, CONNECTION, PACKET, STATES
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.merge import MergedReader

from . import built, closing, flow, loss, middlebox, opening, pace, timers, variety  # noqa: F401  (each adds its samples)
from .scenario import FOLDER, SAMPLES

ROWS = {
    match[1]: match[2].split(" | ")
    for match in re.finditer(r"^\| `(\S+)` \| (.*) \|$", (FOLDER / "README.md").read_text(), re.MULTILINE)
}
CAPTURES = sorted(path for path in FOLDER.iterdir() if path.name != "README.md")


def test_each_capture_has_a_line_and_a_maker() -> None:
    names = {path.name for path in CAPTURES}
    assert names == set(ROWS)
    assert names == {sample.file for sample in SAMPLES.values()}


def test_together_under_three_megabytes() -> None:
    assert sum(path.stat().st_size for path in CAPTURES) < 3_000_000


def packets(path: Path) -> Iterator[bytes]:
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    reader = dpkt.pcapng.Reader if raw[:4] == b"\x0a\x0d\x0d\x0a" else dpkt.pcap.Reader
    return (frame for _, frame in reader(io.BytesIO(raw)))


def segment(frame: bytes) -> object:
    inner = dpkt.ethernet.Ethernet(frame).data.data
    if isinstance(inner, dpkt.udp.UDP) and inner.dport == 4789:
        return segment(inner.data[8:])
    return inner


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_dpkt_reads_tcp(path: Path) -> None:
    found = [segment(frame) for frame in packets(path)]
    assert found
    assert all(isinstance(one, dpkt.tcp.TCP | dpkt.icmp.ICMP) for one in found)


def replay(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    engine, batch, rows, ended = Engine(packets=True), SegmentBatch(), b"", b""
    with MergedReader(find([path]).captures) as reader:
        while reader.fill(batch):
            engine.replay(batch)
            rows += engine.take_packets()
            ended += engine.take_connections()
    engine.finish()
    settled = bytearray(rows + engine.take_packets())
    engine.settle(settled)
    connections = sorted(CONNECTION.dicts(ended + engine.take_connections()), key=lambda row: row["connection"])
    return connections, list(PACKET.dicts(bytes(settled)))


def each(cell: str, count: int) -> list[str]:
    """A cell's text for each connection: `a; b`, `20 × a`, `19 × a; b`."""
    found: list[str] = []
    for part in cell.split("; ") if count > 1 else [cell]:
        many = re.fullmatch(r"(\d+) × (.*)", part)
        found += [many[2]] * int(many[1]) if many else [part]
    return found


def frames(text: str) -> set[int]:
    """`3 5-7` as a set."""
    ends = [(span.split("-")[0], span.split("-")[-1]) for span in text.split()]
    return {frame for first, last in ends for frame in range(int(first), int(last) + 1)}


@pytest.mark.parametrize("name", sorted(ROWS))
def test_tcpscope_says_what_the_line_says(name: str) -> None:
    _, states, close, retransmissions, annotations = ROWS[name]
    connections, rows = replay(FOLDER / name)
    count = len(connections)
    assert [f"{STATES[row['client_state']]} / {STATES[row['server_state']]}" for row in connections] == each(
        states, count
    )
    said = [CLOSE_KINDS[row["close_kind"]] + f" by {CLOSED_BY.get(row['closed_by'], '')}" for row in connections]
    assert [text.removesuffix(" by ") for text in said] == each(close, count)
    assert [f"{row['client_retransmissions']}, {row['server_retransmissions']}" for row in connections] == each(
        retransmissions, count
    )
    for cell in annotations.split("; ") if annotations != "–" else ():
        annotation, _, where = cell.partition(" ")
        bit = ANNOTATIONS.index(annotation)
        assert {row["frame"] for row in rows if row["annotations"] >> bit & 1} == frames(where), annotation
