"""tcpscope and its peers on the same captures, in turn.

Every group alternates within itself; a ratio is only taken between programs of one group.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .machine import load
from .measure import ROOT, TCPSCOPE, Program, alternate, floor, warm
from .workload import compressed, facts, part, synthetic, workload

TEN_PACKETS = ROOT / "sample_pcaps" / "three_segment_close.pcap"
ANALYSIS = ("retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order", "lost_segment",
            "ack_lost_segment", "duplicate_ack", "duplicate_ack_num", "window_update", "window_full", "zero_window",
            "zero_window_probe", "keep_alive", "keep_alive_ack", "reused_ports", "bytes_in_flight", "ack_rtt",
            "acks_frame")  # fmt: skip
FIELDS = tuple(word for name in ("frame.number", "tcp.stream", *(f"tcp.analysis.{it}" for it in ANALYSIS))
               for word in ("-e", name))  # fmt: skip
CORE = ("taskset", "-c", "0") if shutil.which("taskset") else ()


class Sizes:
    """How much of the work a full and a quick run do."""

    def __init__(self, quick: bool) -> None:
        self.workload = 300_000 if quick else 8_000_000
        self.flood = 100_000 if quick else 2_000_000
        self.tables = 100_000 if quick else 1_000_000
        self.tshark = 20_000 if quick else 500_000
        self.nfstream = 50_000 if quick else 1_000_000
        self.dpkt = 50_000 if quick else 500_000
        self.scapy = 2_000 if quick else 50_000
        self.pyshark = 500 if quick else 5_000
        self.rounds, self.few, self.cold = (2, 1, 5) if quick else (7, 3, 20)


def tcpscope(name: str, words: str, path: Path | str, packets: int, **more: Any) -> Program:
    return Program(name, (*TCPSCOPE, *words.split(), str(path)), packets, **more)


def loop(name: str, path: Path, packets: int) -> Program:
    words = (sys.executable, "-m", "tests.benchmarks.loops", name, str(path))
    if find_spec(name) is None:  # the shell's way to say it is not there
        words = (name, *words)
    return Program(name, words, packets)


def groups(cache: Path, sizes: Sizes) -> Iterator[tuple[str, int, list[Path], list[Program]]]:
    """Name, rounds, the files read, the programs; a group's files are made when its turn comes."""
    whole = workload(cache, sizes.workload)
    count = facts(whole)["packets"]
    out = cache / "output"
    yield "whole", sizes.rounds, [whole], [
        Program("capinfos -c", ("capinfos", "-c", str(whole)), count),
        tcpscope("tcpscope analyze", "analyze", whole, count),
        Program("tcptrace -n -q", ("tcptrace", "-n", "-q", str(whole)), count),
        Program("tcpscope analyze, one core", (*CORE, *TCPSCOPE, "analyze", str(whole)), count),
    ]  # fmt: skip
    flood = synthetic(cache, "flood", sizes.flood)
    yield "flood", sizes.few, [flood], [
        Program("capinfos -c", ("capinfos", "-c", str(flood)), sizes.flood),
        tcpscope("tcpscope analyze", "analyze", flood, sizes.flood),
        Program("tcpscope analyze, one core", (*CORE, *TCPSCOPE, "analyze", str(flood)), sizes.flood),
    ]  # fmt: skip
    first, many = part(whole, sizes.tables), sizes.tables
    yield "tables", sizes.few, [first], [
        tcpscope("tcpscope connections --format parquet", "connections --format parquet", first, many, output=out),
        tcpscope("tcpscope packets --format parquet", "packets --format parquet", first, many, output=out),
        tcpscope("tcpscope packets --format csv", "packets --format csv", first, many, output=out),
        tcpscope("tcpscope packets --format jsonl", "packets --format jsonl", first, many, output=out),
    ]  # fmt: skip
    streams = [
        tcpscope("tcpscope analyze FILE", "analyze", whole, count),
        tcpscope("tcpscope analyze - < FILE", "analyze", "-", count, stdin=whole),
    ]
    inputs = [whole]
    for program, suffix in (("gzip", ".gz"), ("zstd", ".zst")):
        packed = compressed(whole, program, suffix)
        if packed is not None:
            inputs.append(packed)
            streams += [
                Program(f"{program} -dc FILE{suffix}", (program, "-dc", str(packed)), count),
                tcpscope(f"tcpscope analyze FILE{suffix}", "analyze", packed, count),
            ]
    yield "streams", sizes.few, inputs, streams
    first = part(whole, sizes.tshark)
    yield "annotated", sizes.few, [first], [
        Program("tshark -T fields -e tcp.analysis…", ("tshark", "-n", "-r", str(first), "-T", "fields", *FIELDS),
                sizes.tshark, output=out),
        tcpscope("tcpscope packets --format csv", "packets --format csv", first, sizes.tshark, output=out),
        tcpscope("tcpscope packets --format parquet", "packets --format parquet", first, sizes.tshark, output=out),
        tcpscope("tcpscope analyze", "analyze", first, sizes.tshark),
    ]  # fmt: skip
    python = {name: getattr(sizes, name) for name in ("nfstream", "dpkt", "scapy", "pyshark")}
    firsts = {name: part(whole, packets) for name, packets in python.items()}
    yield "python", sizes.few, [whole, *firsts.values()], [
        *(loop(name, firsts[name], packets) for name, packets in python.items()),
        tcpscope("tcpscope analyze", "analyze", whole, count),
    ]  # fmt: skip
    yield "cold", sizes.cold, [TEN_PACKETS], [
        Program("tshark -r", ("tshark", "-r", str(TEN_PACKETS)), 10),
        tcpscope("tcpscope analyze", "analyze", TEN_PACKETS, 10),
    ]  # fmt: skip


def measure(cache: Path, quick: bool) -> dict[str, Any]:
    sizes = Sizes(quick)
    busy, found = load(), dict[str, Any]()
    for name, rounds, files, programs in groups(cache, sizes):
        print(f"== {name}", file=sys.stderr)
        for path in files:
            warm(path)
        found[name] = [it.summary() for it in alternate(programs, rounds)]
    return {"load": busy, "workload": facts(workload(cache, sizes.workload)), "floor": floor(), "groups": found}
