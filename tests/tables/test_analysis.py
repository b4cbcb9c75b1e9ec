"""The limit of open connections that every analysis has, however many threads share them."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.synthetic import flood, write

from tcpscope.replay.layout import CONNECTION
from tcpscope.tables import analysis

HALF_OPEN = 15_000  # each a SYN and a SYN-ACK


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flood") / "flood.pcap"
    write(path, flood, 2 * HALF_OPEN)
    return path


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_flood_is_bounded_without_being_asked(flooded: Path, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "MANY_OPEN", 1000)
    result, ended = analysis.stream(analysis.locate(flooded), threads=threads)
    found = sum(len(it.connections) for it in ended) // CONNECTION.size
    assert found == HALF_OPEN
    assert result.retired == result.counters["retired_half_open"]
    assert abs(result.retired - (HALF_OPEN - 1000)) <= 100  # each thread's shares end a portion at a time
    assert "more than 1,000 were open at once (--max-connections)" in result.warnings[0]


def test_any_number_on_request(flooded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "MANY_OPEN", 1000)
    result, ended = analysis.stream(analysis.locate(flooded), max_connections=0)
    assert sum(len(it.connections) for it in ended) // CONNECTION.size == HALF_OPEN
    assert result.retired == 0
