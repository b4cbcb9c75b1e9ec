"""tcpscope and tshark read the same TCP headers, on a sample of captures where those are at hand."""

from __future__ import annotations

import ipaddress
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packet_builder import read_stream

from tcpscope.capture.sources import find, open_stream

SHARED = Path(__file__).resolve().parents[3] / "shared"
CORPUS = SHARED / "corpus" / "tcp"
MAX_BYTES, EVERY = 60_000, 9


def sample() -> list[Path]:
    """Every ninth of the small captures, and the first of each folder."""
    files = sorted(it for it in CORPUS.rglob("*") if it.is_file() and it.stat().st_size < MAX_BYTES)
    firsts = {it.parent: it for it in reversed(files)}
    return sorted({*files[::EVERY], *firsts.values()})


@pytest.fixture(scope="module")
def oracle() -> ModuleType:
    sys.path.insert(0, str(SHARED / "tools"))
    module = pytest.importorskip("oracle")
    if module.version() is None:
        pytest.skip("no tshark")
    return module


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the shared captures are not here")
@pytest.mark.parametrize("path", sample() if CORPUS.is_dir() else [], ids=lambda it: it.name)
def test_each_whole_header_is_read_as_tshark_reads_it(path: Path, oracle: ModuleType) -> None:
    stream = open_stream(find([path]).captures[0])
    segments, statistics = read_stream(stream)
    rows = oracle.packets(str(path)).rows
    assert statistics["packets"] == len(rows)
    ours = {it["frame"]: it for it in segments if it["kind"] == 0}
    theirs = {int(row[0]): row for row in rows if oracle.layer_class(row) not in ("", "icmp")}
    assert set(ours) <= set(theirs)
    for frame, row in theirs.items():
        if oracle.is_whole(row) and oracle.layer_class(row) != "multi":
            assert header(ours[frame]) == shown(oracle, row), frame


def header(segment: dict[str, Any]) -> tuple[Any, ...]:
    size = 4 if segment["ip_version"] == 4 else 16
    ends = tuple(str(ipaddress.ip_address(segment[name][:size])) for name in ("src", "dst"))
    return ends + tuple(segment[name] for name in ("sport", "dport", "seq", "ack", "length", "window", "flags"))


def shown(oracle: ModuleType, row: list[str]) -> tuple[Any, ...]:
    names = ("tcp.seq_raw", "tcp.ack_raw", "tcp.len", "tcp.window_size_value", "tcp.flags")
    numbers = tuple(int(row[oracle.COLUMN[name]].split(",")[0], 0) for name in names)
    src, sport, dst, dport = oracle.endpoints(row)
    ends = (str(ipaddress.ip_address(src)), str(ipaddress.ip_address(dst)))
    return (*ends, int(sport.split(",")[0]), int(dport.split(",")[0]), *numbers)
